//! The `[live]` table of the configuration file and the flags of `hufu-signer live`, checked.
//!
//! ```toml
//! [live]
//! queue = 256
//! never-issued = "unauthorized"
//!
//! [live.issuers.00112233445566778899aabbccddeeff]
//! never-issued = "extended-revoke"
//! partitions-complete = true
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use wire::cert_id::IssuerId;

/// What the file says. Every key has a default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct LiveConfig {
    /// Requests that may wait or be signed at once; one more gets 503.
    pub queue: usize,
    /// Milliseconds a request may take; the responders' own deadline should be a little longer.
    pub deadline_millis: u64,
    /// Signing threads; 0: one a core.
    pub threads: usize,
    /// Answers without nonce that are kept.
    pub cache_entries: usize,
    /// What is said of a serial that was never issued.
    pub never_issued: NeverIssued,
    /// For single issuers, by their id.
    pub issuers: BTreeMap<String, IssuerConfig>,
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self {
            queue: 256,
            deadline_millis: 400,
            threads: 0,
            cache_entries: 65_536,
            never_issued: NeverIssued::default(),
            issuers: BTreeMap::new(),
        }
    }
}

/// What the file says about one issuer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct IssuerConfig {
    /// In place of the general one.
    pub never_issued: Option<NeverIssued>,
    /// The operator's word that what is staged of another authority is every partition of its CRL: who is not on it is good,
    /// though the list itself says that it is only a part. Of one list that its CA signs; of several, and of indirect ones,
    /// the word is `--complete` when they are imported.
    pub partitions_complete: bool,
}

/// What is said of a serial that the authority never issued.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeverIssued {
    /// No answer: `unauthorized`.
    #[default]
    Unauthorized,
    /// `unknown`, signed.
    Unknown,
    /// `revoked` since 1970 on hold, with the extension that says what this means.
    ExtendedRevoke,
}

/// Why settings are refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LiveRefused {
    /// Outside of what can work.
    #[error("live.{key} is {value}; it must lie between {least} and {most}")]
    Range {
        /// Which key.
        key: &'static str,
        /// What it says.
        value: u64,
        /// The least it may say.
        least: u64,
        /// The most it may say.
        most: u64,
    },
    /// Not the id of an issuer.
    #[error(
        "[live.issuers.{0}]: an issuer is named by 32 hexadecimal digits, as `hufu loader inspect` prints them"
    )]
    Issuer(String),
    /// An address that others reach, without TLS.
    #[error(
        "{0} can be reached from other machines: whoever reaches it makes us sign. Give all of --tls-cert, --tls-key and --client-ca, or listen on 127.0.0.1"
    )]
    InTheClear(SocketAddr),
    /// Some of the files for TLS without the others.
    #[error("--tls-cert, --tls-key and --client-ca belong together")]
    HalfTls,
}

/// Checked settings.
#[derive(Debug, Clone)]
pub struct LiveSettings {
    /// Requests that may wait or be signed at once.
    pub queue: usize,
    /// What a request may take.
    pub deadline: Duration,
    /// Signing threads, at least one.
    pub threads: usize,
    /// Answers without nonce that are kept.
    pub cache_entries: usize,
    never_issued: NeverIssued,
    issuers: BTreeMap<IssuerId, IssuerConfig>,
}

impl LiveSettings {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`LiveRefused`] names the first key that cannot stand.
    pub fn new(config: &LiveConfig) -> Result<Self, LiveRefused> {
        for (key, value, least, most) in [
            ("queue", config.queue as u64, 1, 65_536),
            ("deadline-millis", config.deadline_millis, 1, 10_000),
            ("threads", config.threads as u64, 0, 1_024),
            ("cache-entries", config.cache_entries as u64, 0, 16_777_216),
        ] {
            if !(least..=most).contains(&value) {
                return Err(LiveRefused::Range {
                    key,
                    value,
                    least,
                    most,
                });
            }
        }
        let mut issuers = BTreeMap::new();
        for (id, own) in &config.issuers {
            let id = IssuerId::from_hex(id).ok_or_else(|| LiveRefused::Issuer(id.clone()))?;
            issuers.insert(id, *own);
        }
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            queue: config.queue,
            deadline: Duration::from_millis(config.deadline_millis),
            threads: match config.threads {
                0 => cores(),
                some => some,
            },
            cache_entries: config.cache_entries,
            never_issued: config.never_issued,
            issuers,
        })
    }

    /// What is said of a serial this issuer never issued.
    #[must_use]
    pub fn never_issued(&self, issuer: IssuerId) -> NeverIssued {
        let own = self.issuers.get(&issuer).and_then(|own| own.never_issued);
        own.unwrap_or(self.never_issued)
    }

    /// Whether the operator vouches that all partitions of this issuer's CRL are staged.
    #[must_use]
    pub fn partitions_complete(&self, issuer: IssuerId) -> bool {
        self.issuers
            .get(&issuer)
            .is_some_and(|own| own.partitions_complete)
    }
}

/// Where the lane listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The address.
    pub listen: SocketAddr,
    /// Mutual TLS; none on loopback only.
    pub tls: Option<TlsFiles>,
    /// Where metrics are told as well, to whoever asks: the port itself tells them to those who may ask there.
    pub metrics: Option<SocketAddr>,
}

/// Files for mutual TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The port's certificate, and what is above it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority of those who may ask.
    pub clients: PathBuf,
}

impl Port {
    /// Checks the flags.
    ///
    /// # Errors
    /// [`LiveRefused::InTheClear`], [`LiveRefused::HalfTls`].
    pub fn new(
        listen: SocketAddr,
        certificate: Option<PathBuf>,
        key: Option<PathBuf>,
        clients: Option<PathBuf>,
    ) -> Result<Self, LiveRefused> {
        let tls = match (certificate, key, clients) {
            (Some(certificate), Some(key), Some(clients)) => Some(TlsFiles {
                certificate,
                key,
                clients,
            }),
            (None, None, None) if listen.ip().is_loopback() => None,
            (None, None, None) => return Err(LiveRefused::InTheClear(listen)),
            _ => return Err(LiveRefused::HalfTls),
        };
        Ok(Self {
            listen,
            tls,
            metrics: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_others_reach_signs_for_anybody() {
        let file = || Some(PathBuf::from("x.pem"));
        let open: SocketAddr = "0.0.0.0:2562".parse().unwrap();
        let here: SocketAddr = "127.0.0.1:2562".parse().unwrap();
        assert_eq!(
            Port::new(open, None, None, None),
            Err(LiveRefused::InTheClear(open))
        );
        assert_eq!(
            Port::new(open, file(), file(), None),
            Err(LiveRefused::HalfTls)
        );
        assert!(Port::new(open, file(), file(), file()).is_ok());
        assert!(Port::new(here, None, None, None).is_ok());
    }

    #[test]
    fn a_misspelt_policy_is_the_default() {
        let read = toml::from_str::<LiveConfig>;
        assert!(read("never-issued = \"good\"").is_err());
        assert!(read("never_issued = \"unknown\"").is_err());
        let config = read("[issuers.abc]\nnever-issued = \"unknown\"").unwrap();
        assert_eq!(
            LiveSettings::new(&config).unwrap_err(),
            LiveRefused::Issuer("abc".to_owned())
        );
    }
}
