//! What the operator says about the live lane, checked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use wire::cert_id::IssuerId;

pub use super::tls::{Tls, TlsError};
use crate::config::{ConfigError, Settings};

/// What becomes of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NoncePolicy {
    /// It is passed over: the pre-signed answer goes out without one.
    Ignore,
    /// The live lane signs an answer with it; the pre-signed one if the lane cannot.
    Live,
}

/// What becomes of a question about a serial that the packs do not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum UnknownSerials {
    /// Live for issuers known by their CRL only, whose good certificates nobody lists; `unauthorized` for our own.
    #[default]
    Default,
    /// To the live lane, which has a policy for serials never issued.
    Live,
    /// `unauthorized` without asking.
    Unauthorized,
}

/// `[issuer.<id>]` of the configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct IssuerSettings {
    /// Its own nonce policy.
    pub nonce: Option<NoncePolicy>,
    /// Its own policy for serials that are not found.
    pub unknown_serials: Option<Unknown>,
}

/// [`UnknownSerials`] as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// Ask the live lane.
    Live,
    /// Say so at once.
    Unauthorized,
}

/// What goes live, for all issuers and for single ones.
#[derive(Clone, Debug)]
pub struct Policies {
    nonce: NoncePolicy,
    issuers: BTreeMap<IssuerId, IssuerSettings>,
}

/// What goes live of one issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its nonces.
    pub nonce: NoncePolicy,
    /// Its serials that are not found.
    pub unknown_serials: UnknownSerials,
}

impl Policies {
    /// The policy for an issuer.
    #[must_use]
    pub fn of(&self, issuer: IssuerId) -> Policy {
        let own = self.issuers.get(&issuer).copied().unwrap_or_default();
        Policy {
            nonce: own.nonce.unwrap_or(self.nonce),
            unknown_serials: match own.unknown_serials {
                None => UnknownSerials::Default,
                Some(Unknown::Live) => UnknownSerials::Live,
                Some(Unknown::Unauthorized) => UnknownSerials::Unauthorized,
            },
        }
    }

    /// False if nobody's nonce goes live: then a nonce need not be looked at.
    #[must_use]
    pub fn any_nonce_goes_live(&self) -> bool {
        self.nonce == NoncePolicy::Live
            || self
                .issuers
                .values()
                .any(|own| own.nonce == Some(NoncePolicy::Live))
    }
}

/// The way to the live lane.
#[derive(Clone, Debug)]
pub struct Live {
    /// Where it listens.
    pub address: SocketAddr,
    /// Requests that may wait for it at once, all workers together.
    pub queue: usize,
    /// How long one may wait.
    pub deadline: Duration,
    /// Requests sent to it a second, all workers together.
    pub rate: u64,
    /// Off loopback.
    pub tls: Option<Arc<Tls>>,
    /// What goes there.
    pub policies: Policies,
}

impl Live {
    /// Checks what was said; none if there is no lane.
    pub(crate) fn check(settings: &Settings, workers: usize) -> Result<Option<Self>, ConfigError> {
        let Some(address) = settings.live else {
            // Whoever asks for live answers must say where they come from.
            return match needs_a_lane(settings) {
                Some(name) => Err(ConfigError::NeedsLive(name)),
                None => Ok(None),
            };
        };
        let mut issuers = BTreeMap::new();
        for (id, own) in &settings.issuer {
            let id = IssuerId::from_hex(id).ok_or_else(|| ConfigError::NotAnIssuer(id.clone()))?;
            issuers.insert(id, *own);
        }
        let queue = settings.live_queue.unwrap_or(QUEUE_A_WORKER * workers);
        // CABF BR §4.10.2: an answer takes at most ten seconds; what is signed live has a deadline below that.
        let deadline = settings.live_deadline_millis.unwrap_or(DEADLINE_MILLIS);
        let rate = settings.live_rate.unwrap_or(RATE_A_WORKER * workers as u64);
        for (name, value, most) in [
            ("live-queue", queue as u64, MAX_QUEUE),
            ("live-deadline-millis", deadline, MAX_DEADLINE_MILLIS),
            ("live-rate", rate, MAX_RATE),
        ] {
            if value == 0 || value > most {
                let rule = "outside of what can work";
                return Err(ConfigError::OutOfRange { name, value, rule });
            }
        }
        Ok(Some(Self {
            address,
            queue,
            deadline: Duration::from_millis(deadline),
            rate,
            tls: tls(settings, address)?,
            policies: Policies {
                nonce: settings.nonce.unwrap_or(NoncePolicy::Ignore),
                issuers,
            },
        }))
    }
}

fn needs_a_lane(settings: &Settings) -> Option<&'static str> {
    let live = |nonce: Option<NoncePolicy>| nonce == Some(NoncePolicy::Live);
    if live(settings.nonce) || settings.issuer.values().any(|own| live(own.nonce)) {
        return Some("nonce = \"live\"");
    }
    let unknown = settings.issuer.values().map(|own| own.unknown_serials);
    unknown
        .into_iter()
        .any(|own| own == Some(Unknown::Live))
        .then_some("unknown-serials = \"live\"")
}

fn tls(settings: &Settings, address: SocketAddr) -> Result<Option<Arc<Tls>>, ConfigError> {
    let files: [&Option<PathBuf>; 3] = [&settings.live_ca, &settings.live_cert, &settings.live_key];
    match files {
        [Some(authority), Some(certificate), Some(key)] => {
            let ip = address.ip().to_string();
            let name = settings.live_name.as_deref().unwrap_or(&ip);
            let tls = Tls::read(authority, certificate, key, name)?;
            Ok(Some(Arc::new(tls)))
        }
        // Whoever could answer in the lane's place could answer anything: what it says is not verified again.
        [None, None, None] if address.ip().is_loopback() => Ok(None),
        _ => Err(ConfigError::LiveInTheClear(address)),
    }
}

/// Places of a worker: more would let a burst of exchanges stand before a plain request for half a millisecond.
const QUEUE_A_WORKER: usize = 32;

/// A signature takes a fraction of a millisecond; a client that waits for half a second has not given up.
const DEADLINE_MILLIS: u64 = 500;

/// An exchange costs a core about 25 µs: a tenth of it at most.
const RATE_A_WORKER: u64 = 4_000;

const MAX_QUEUE: u64 = 16_384;
const MAX_DEADLINE_MILLIS: u64 = 10_000;
const MAX_RATE: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Option<Live>, ConfigError> {
        let settings: Settings = toml::from_str(text).unwrap();
        Live::check(&settings, 2)
    }

    #[test]
    fn live_answers_are_asked_for_without_a_lane() {
        assert!(check("").unwrap().is_none());
        assert!(check("nonce = 'ignore'").unwrap().is_none());
        let id = "00112233445566778899aabbccddeeff";
        for text in [
            "nonce = 'live'".to_owned(),
            format!("[issuer.{id}]\nnonce = 'live'"),
            format!("[issuer.{id}]\nunknown-serials = 'live'"),
        ] {
            assert!(
                matches!(check(&text), Err(ConfigError::NeedsLive(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn lane_on_another_machine_is_asked_in_the_clear() {
        let refused = check("live = '192.0.2.1:2562'").unwrap_err();
        assert!(
            matches!(refused, ConfigError::LiveInTheClear(_)),
            "{refused}"
        );
        let half = check("live = '127.0.0.1:2562'\nlive-ca = 'x.pem'").unwrap_err();
        assert!(matches!(half, ConfigError::LiveInTheClear(_)), "{half}");
    }

    #[test]
    fn policy_of_one_issuer_is_everybodys() {
        let (own, other) = ("00112233445566778899aabbccddeeff", IssuerId([7; 16]));
        let live = check(&format!(
            "live = '127.0.0.1:1'\n[issuer.{own}]\nnonce = 'live'"
        ));
        let policies = live.unwrap().unwrap().policies;
        assert!(policies.any_nonce_goes_live());
        let own = policies.of(IssuerId::from_hex(own).unwrap());
        assert_eq!(own.nonce, NoncePolicy::Live);
        assert_eq!(policies.of(other).nonce, NoncePolicy::Ignore);
        let wrong = check("live = '127.0.0.1:1'\n[issuer.abc]\nnonce = 'live'").unwrap_err();
        assert!(matches!(wrong, ConfigError::NotAnIssuer(_)), "{wrong}");
    }
}
