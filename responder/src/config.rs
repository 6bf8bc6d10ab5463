//! Settings: what a flag or the configuration file says ([`Settings`]) becomes what the rest of the program uses
//! ([`Config`]), checked once, here.
//!
//! Each setting is documented by the failure it prevents. A flag overrides the file, the file overrides the default;
//! only the paths have none. Unknown keys are refused, so that a misspelt limit cannot silently be the default.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::live::settings::{IssuerSettings, Live, NoncePolicy, TlsError};

/// Settings as written, in the file (kebab-case keys) or as flags of the same names; all may be absent.
#[derive(Clone, Debug, Default, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// Folder that `hufu-loader follow` fills: the generation to serve. Required.
    #[arg(long, value_name = "DIR")]
    pub edge: Option<PathBuf>,
    /// Public key (hex) of the loader that seals; repeat it with the next key before a change of keys, or the day of the
    /// change is an outage. Required.
    #[arg(long = "pin", value_name = "FILE")]
    pub pin: Option<Vec<PathBuf>>,
    /// Where OCSP, CRL and issuer certificate requests are answered [default: 127.0.0.1:2560].
    #[arg(long, value_name = "ADDR")]
    pub ocsp: Option<SocketAddr>,
    /// Where the same is answered behind TLS, if at all: HTTP/2 and HTTP/1.1. Its key proves this host's name and nothing
    /// else: it is not a PKI key, and no status depends on it.
    #[arg(long, value_name = "ADDR")]
    pub tls: Option<SocketAddr>,
    /// Certificate chain of that listener, PEM, its own certificate first; read again within a second of a change, without
    /// dropping connections.
    #[arg(long, value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// Private key of that certificate, PEM (PKCS#8, PKCS#1 or SEC1).
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Where metrics, health and readiness are told; apart from the public port, so that strangers cannot read them
    /// [default: 127.0.0.1:2561].
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<SocketAddr>,
    /// Serving threads; fewer than the cores leaves room for a neighbour [default: one a core].
    #[arg(long, value_name = "N")]
    pub workers: Option<NonZeroUsize>,
    /// Connections open at once, all workers together; without it a flood exhausts memory and file descriptors. Over it,
    /// connections that rest make room after a second. One in eight may speak HTTP/2, with as many streams together as there
    /// may be connections [default: 16384].
    #[arg(long, value_name = "N")]
    pub max_connections: Option<NonZeroUsize>,
    /// Seconds from a request's first octet to its last; without it a client that sends an octet a minute holds a
    /// connection for ever [default: 10].
    #[arg(long, value_name = "SECONDS")]
    pub request_secs: Option<u32>,
    /// Seconds a connection may rest between requests, or an answer may wait for a client that does not read
    /// [default: 60].
    #[arg(long, value_name = "SECONDS")]
    pub idle_secs: Option<u32>,
    /// Seconds that requests in progress get after SIGTERM; without an end one slow client holds up a restart
    /// [default: 10].
    #[arg(long, value_name = "SECONDS")]
    pub drain_secs: Option<u32>,
    /// The longest that caches may keep an answer (`max-age`); a revocation is unseen behind them for as long
    /// [default: 300].
    #[arg(long, value_name = "SECONDS")]
    pub max_age_secs: Option<u32>,
    /// What to answer once the generation's `valid_until` has passed: `serve` (go on until nextUpdate; `/readyz` and a
    /// metric tell) or `try-later` (a cut-off edge falls silent) [default: serve].
    #[arg(long, value_name = "POLICY")]
    pub past_valid_until: Option<PastValidUntil>,
    /// Milliseconds between two looks at the edge folder: what a revocation waits here at most [default: 100].
    #[arg(long, value_name = "MILLISECONDS")]
    pub poll_millis: Option<u64>,
    /// Where the signer's live lane listens (`hufu-signer live`); without one nonces are ignored and several certificates
    /// in one request refused.
    #[arg(long, value_name = "ADDR")]
    pub live: Option<SocketAddr>,
    /// What becomes of a nonce: `ignore` (the pre-signed answer, without it) or `live` (signed anew, at the cost of a
    /// signature a request) [default: ignore].
    #[arg(long, value_name = "POLICY")]
    pub nonce: Option<NoncePolicy>,
    /// Requests that may wait for the live lane at once, all workers together; the others are answered as if it were away
    /// [default: 32 a worker].
    #[arg(long, value_name = "N")]
    pub live_queue: Option<usize>,
    /// Requests sent to the live lane a second, all workers together; without a limit a flood of nonces takes the cores
    /// from the pre-signed answers [default: 4000 a worker].
    #[arg(long, value_name = "N")]
    pub live_rate: Option<u64>,
    /// Milliseconds that a request may wait for the live lane; then it is answered as if that were away [default: 500].
    #[arg(long, value_name = "MILLISECONDS")]
    pub live_deadline_millis: Option<u64>,
    /// Off loopback: whose certificate the live lane must show.
    #[arg(long, value_name = "FILE")]
    pub live_ca: Option<PathBuf>,
    /// Off loopback: the certificate shown to the live lane.
    #[arg(long, value_name = "FILE")]
    pub live_cert: Option<PathBuf>,
    /// Off loopback: its key. It opens the lane and signs nothing that a client would see.
    #[arg(long, value_name = "FILE")]
    pub live_key: Option<PathBuf>,
    /// Off loopback: the name in the live lane's certificate [default: its address].
    #[arg(long, value_name = "NAME")]
    pub live_name: Option<String>,
    /// `[issuer.<id>]`: `nonce = "ignore"|"live"`, `unknown-serials = "live"|"unauthorized"` for one issuer.
    #[arg(skip)]
    pub issuer: BTreeMap<String, IssuerSettings>,
    /// Log lines as JSON.
    #[arg(skip)]
    pub log_json: Option<bool>,
}

/// What is answered from a generation that is past its `valid_until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PastValidUntil {
    /// Its answers, as long as each is before its own nextUpdate.
    Serve,
    /// `tryLater`.
    TryLater,
}

/// Settings that have been checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Folder with the generation to serve.
    pub edge: PathBuf,
    /// Files with the public keys of the loader.
    pub pins: Vec<PathBuf>,
    /// Public listener.
    pub ocsp: SocketAddr,
    /// Listener behind TLS.
    pub tls: Option<Tls>,
    /// Operators' listener.
    pub admin: SocketAddr,
    /// Number of serving threads.
    pub workers: usize,
    /// Connections open at once, all workers together.
    pub max_connections: usize,
    /// Seconds from a request's first octet to its last.
    pub request_secs: u32,
    /// Seconds without progress before a connection is closed.
    pub idle_secs: u32,
    /// Time that requests in progress get after SIGTERM.
    pub drain: Duration,
    /// Upper limit of `max-age`, seconds.
    pub max_age_secs: u32,
    /// What is answered past `valid_until`.
    pub past_valid_until: PastValidUntil,
    /// Time between two looks at the edge folder.
    pub poll: Duration,
    /// The way to the live lane.
    pub live: Option<Live>,
    /// Log lines as JSON.
    pub log_json: bool,
}

/// The TLS listener.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where.
    pub address: SocketAddr,
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl Tls {
    fn check(settings: &Settings) -> Result<Option<Self>, ConfigError> {
        match (settings.tls, &settings.tls_certificate, &settings.tls_key) {
            (None, None, None) => Ok(None),
            (Some(address), Some(certificate), Some(key)) => Ok(Some(Self {
                address,
                certificate: certificate.clone(),
                key: key.clone(),
            })),
            _ => Err(ConfigError::TlsIncomplete),
        }
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The configuration file is not what it should be.
    #[error("{path} is not a valid configuration")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and rule.
        source: Box<toml::de::Error>,
    },
    /// A setting without default is absent.
    #[error("`{0}` is not set: give --{0} or `{0} = …` in the file")]
    Missing(&'static str),
    /// A setting has a value that cannot work.
    #[error("`{name} = {value}`: {rule}")]
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: u64,
        /// What it must be.
        rule: &'static str,
    },
    /// Both listeners at one address.
    #[error("`ocsp` and `admin` are both {0}: strangers would read the metrics")]
    SameAddress(SocketAddr),
    /// Live answers without a lane.
    #[error("`{0}` needs the live lane: give --live or `live = …` in the file")]
    NeedsLive(&'static str),
    /// The lane is on another machine, and anybody could answer in its place.
    #[error(
        "`live = {0}` is not on this machine: give all of `live-ca`, `live-cert` and `live-key`"
    )]
    LiveInTheClear(SocketAddr),
    /// The files for the lane cannot be used.
    #[error(transparent)]
    LiveTls(#[from] TlsError),
    /// Not the name of an issuer.
    #[error(
        "`[issuer.{0}]`: an issuer is named by 32 hexadecimal digits, as `hufu-loader inspect` prints them"
    )]
    NotAnIssuer(String),
    /// The TLS listener at the address of another.
    #[error("`tls` is {0}, and so is `ocsp` or `admin`: each needs a port of its own")]
    TlsAddressTaken(SocketAddr),
    /// Some of the TLS settings, but not all.
    #[error("`tls`, `tls-certificate` and `tls-key` go together: give all three or none")]
    TlsIncomplete,
}

impl Settings {
    /// Reads a configuration file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// These settings, and `others` where these are silent.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            edge: self.edge.or(others.edge),
            pin: self.pin.or(others.pin),
            ocsp: self.ocsp.or(others.ocsp),
            tls: self.tls.or(others.tls),
            tls_certificate: self.tls_certificate.or(others.tls_certificate),
            tls_key: self.tls_key.or(others.tls_key),
            admin: self.admin.or(others.admin),
            workers: self.workers.or(others.workers),
            max_connections: self.max_connections.or(others.max_connections),
            request_secs: self.request_secs.or(others.request_secs),
            idle_secs: self.idle_secs.or(others.idle_secs),
            drain_secs: self.drain_secs.or(others.drain_secs),
            max_age_secs: self.max_age_secs.or(others.max_age_secs),
            past_valid_until: self.past_valid_until.or(others.past_valid_until),
            poll_millis: self.poll_millis.or(others.poll_millis),
            live: self.live.or(others.live),
            nonce: self.nonce.or(others.nonce),
            live_queue: self.live_queue.or(others.live_queue),
            live_rate: self.live_rate.or(others.live_rate),
            live_deadline_millis: self.live_deadline_millis.or(others.live_deadline_millis),
            live_ca: self.live_ca.or(others.live_ca),
            live_cert: self.live_cert.or(others.live_cert),
            live_key: self.live_key.or(others.live_key),
            live_name: self.live_name.or(others.live_name),
            issuer: if self.issuer.is_empty() {
                others.issuer
            } else {
                self.issuer
            },
            log_json: self.log_json.or(others.log_json),
        }
    }

    /// Fills in the defaults and checks.
    pub fn check(self) -> Result<Config, ConfigError> {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let workers = self.workers.unwrap_or(cores).get();
        let config = Config {
            live: Live::check(&self, workers)?,
            tls: Tls::check(&self)?,
            edge: self.edge.ok_or(ConfigError::Missing("edge"))?,
            pins: self
                .pin
                .filter(|pins| !pins.is_empty())
                .ok_or(ConfigError::Missing("pin"))?,
            ocsp: self.ocsp.unwrap_or(local(OCSP_PORT)),
            admin: self.admin.unwrap_or(local(ADMIN_PORT)),
            workers,
            max_connections: self.max_connections.map_or(16_384, NonZeroUsize::get),
            request_secs: in_range("request-secs", self.request_secs.unwrap_or(10), 1..=600)?,
            idle_secs: in_range("idle-secs", self.idle_secs.unwrap_or(60), 1..=3600)?,
            drain: Duration::from_secs(u64::from(in_range(
                "drain-secs",
                self.drain_secs.unwrap_or(DRAIN_SECS),
                0..=600,
            )?)),
            max_age_secs: self.max_age_secs.unwrap_or(300),
            past_valid_until: self.past_valid_until.unwrap_or(PastValidUntil::Serve),
            poll: Duration::from_millis(in_range(
                "poll-millis",
                self.poll_millis.unwrap_or(100),
                10..=60_000,
            )?),
            log_json: self.log_json.unwrap_or(false),
        };
        if config.workers > MAX_WORKERS {
            return Err(ConfigError::OutOfRange {
                name: "workers",
                value: config.workers as u64,
                rule: "at most 1024",
            });
        }
        if config.max_connections < config.workers {
            return Err(ConfigError::OutOfRange {
                name: "max-connections",
                value: config.max_connections as u64,
                rule: "each worker needs at least one",
            });
        }
        if config.ocsp == config.admin && config.ocsp.port() != 0 {
            return Err(ConfigError::SameAddress(config.ocsp));
        }
        if let Some(tls) = &config.tls
            && tls.address.port() != 0
            && [config.ocsp, config.admin].contains(&tls.address)
        {
            return Err(ConfigError::TlsAddressTaken(tls.address));
        }
        Ok(config)
    }
}

/// How long a drain lasts unless it is set; who supervises the program must wait longer than this.
pub const DRAIN_SECS: u32 = 10;

const OCSP_PORT: u16 = 2560;
const ADMIN_PORT: u16 = 2561;
const MAX_WORKERS: usize = 1024;

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// `value` if it lies in `range`.
fn in_range<T: Copy + PartialOrd + Into<u64>>(
    name: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, ConfigError> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(ConfigError::OutOfRange {
            name,
            value: value.into(),
            rule: "outside of what can work",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn misspelt_limit_is_not_silently_the_default() {
        let error = parse("max-connection = 5").expect_err("unknown key must be refused");
        assert!(error.to_string().contains("max-connection"), "{error}");
    }

    #[test]
    fn flag_overrides_file_and_file_overrides_default() {
        let file = parse("edge = '/e'\npin = ['/p']\nidle-secs = 7\nrequest-secs = 3").unwrap();
        let flags = Settings {
            idle_secs: Some(9),
            ..Settings::default()
        };
        let config = flags.or(file).check().unwrap();
        assert_eq!((config.idle_secs, config.request_secs), (9, 3));
        assert_eq!(config.max_age_secs, 300);
        assert_eq!(config.ocsp.to_string(), "127.0.0.1:2560");
    }

    #[test]
    fn missing_pin_is_named_not_served_unverified() {
        let error = parse("edge = '/e'").unwrap().check().unwrap_err();
        assert!(matches!(error, ConfigError::Missing("pin")), "{error}");
        let error = parse("edge = '/e'\npin = []").unwrap().check().unwrap_err();
        assert!(matches!(error, ConfigError::Missing("pin")), "{error}");
    }

    #[test]
    fn zero_request_time_would_refuse_every_request() {
        let error = parse("edge = '/e'\npin = ['/p']\nrequest-secs = 0")
            .unwrap()
            .check()
            .unwrap_err();
        assert!(error.to_string().contains("request-secs"), "{error}");
    }

    #[test]
    fn half_of_the_tls_settings_serve_without_tls() {
        let parsed = |more: &str| parse(&format!("edge = '/e'\npin = ['/p']\n{more}")).unwrap();
        let all = "tls = '[::1]:443'\ntls-certificate = '/c'\ntls-key = '/k'";
        assert!(parsed(all).check().unwrap().tls.is_some());
        for left_out in 0..3 {
            let lines = all
                .lines()
                .enumerate()
                .filter(|(place, _)| *place != left_out);
            let some: Vec<&str> = lines.map(|(_, line)| line).collect();
            let error = parsed(&some.join("\n")).check().unwrap_err();
            assert!(matches!(error, ConfigError::TlsIncomplete), "{error}");
        }
        let taken = format!("{all}\nocsp = '[::1]:443'");
        let error = parsed(&taken).check().unwrap_err();
        assert!(matches!(error, ConfigError::TlsAddressTaken(_)), "{error}");
    }

    #[test]
    fn metrics_are_not_on_the_public_port() {
        let error = parse("edge = '/e'\npin = ['/p']\nocsp = '[::1]:80'\nadmin = '[::1]:80'")
            .unwrap()
            .check()
            .unwrap_err();
        assert!(matches!(error, ConfigError::SameAddress(_)), "{error}");
    }
}
