//! Delegated OCSP signers: short-lived certificates with id-kp-OCSPSigning and ocsp-nocheck (RFC 6960 §4.2.2.2).
//!
//! Their key signs every response, so the authority's own key stays closed. A signer is replaced while it still outlives
//! the longest window it may be asked to sign; the old certificate stays in the packs that were signed with it.
//!
//! An authority has one for its own algorithm, and one for each that its settings name beside it. What a signer signs with is
//! read from its certificate. `ocsp_signer/signers.rs` keeps their keys open for the threads that sign.

mod signers;

pub use signers::Signers;

use super::lint::{Purpose, Signatory, signs_with};
use super::name::NameParts;
use super::prepare::{self, Draft};
use super::sign::{checked, sign};
use super::{CaError, Issuer, extension};
use crate::key::{KeyError, Signer};
use crate::office::Office;
use crate::registry::{By, CertificateKind, Issued, OcspSigner, Reservation, Store};
use der::{Decode, Encode};
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::algorithm::SignatureAlgorithm;
use wire::time::UnixSeconds;
use x509_cert::Certificate;
use x509_cert::ext::pkix::KeyUsages;

/// A responder with its key opened.
pub struct Responder {
    /// Signs responses.
    pub key: Box<dyn Signer>,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// SHA-1 of its public key: responderID byKey.
    pub key_hash: [u8; 20],
    /// notBefore of its certificate.
    pub not_before: UnixSeconds,
    /// notAfter of its certificate.
    pub not_after: UnixSeconds,
}

impl Responder {
    /// Joins a key with its certificate.
    ///
    /// # Errors
    /// If the certificate does not hold the key's public half or cannot be read.
    pub fn new(key: Box<dyn Signer>, certificate: Vec<u8>) -> Result<Self, CaError> {
        let encode = || CaError::encode("responder certificate");
        let parsed = Certificate::from_der(&certificate).map_err(encode())?;
        let tbs = parsed.tbs_certificate();
        let stated = tbs.subject_public_key_info().to_der().map_err(encode())?;
        if stated != key.public_key_der() {
            return Err(KeyError::Unusable(key.algorithm()).into());
        }
        let validity = tbs.validity();
        Ok(Self {
            key_hash: extension::key_identifier(&stated).map_err(encode())?,
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            key,
            certificate,
        })
    }
}

/// Who signs a batch: a responder of each of its authority's algorithms, its own first. Never empty.
#[derive(Clone)]
pub struct Group(Vec<Arc<Responder>>);

impl Group {
    /// All of them, by slot.
    #[must_use]
    pub fn responders(&self) -> &[Arc<Responder>] {
        &self.0
    }

    /// The soonest notAfter: no window outlives any of those who sign it.
    #[must_use]
    pub fn not_after(&self) -> UnixSeconds {
        let ends = self.0.iter().map(|responder| responder.not_after);
        ends.min().expect("a group is never empty")
    }
}

impl From<Responder> for Group {
    fn from(alone: Responder) -> Self {
        Self(vec![Arc::new(alone)])
    }
}

/// The responder that signs with `algorithm` for `issuer` now: the newest one if it lives long enough, else a new one. Only
/// whoever holds the spool calls it.
///
/// # Errors
/// [`CaError`], see there.
pub fn current<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    algorithm: SignatureAlgorithm,
    by: By<'_>,
) -> Result<Responder, CaError> {
    super::issue::resume_ocsp_signers(office, issuer, by)?;
    let signers = office
        .registry
        .wait(|store| store.ocsp_signers(issuer.id(), by.at))?;
    let wanted = Wanted {
        office,
        issuer,
        lasts: Lasts::WithTimeToSpare,
        now: by.at,
    };
    match wanted.chosen(&signers, algorithm) {
        Some(signer) => open(office, signer, algorithm),
        None => make(office, issuer, algorithm, by),
    }
}

/// A signer with its key opened.
fn open<S>(
    office: &Office<S>,
    signer: &OcspSigner,
    algorithm: SignatureAlgorithm,
) -> Result<Responder, CaError> {
    let key = office.keyring.signer(&signer.key_file, algorithm)?;
    Responder::new(key, signer.certificate.clone())
}

/// What a signer signs with, by its certificate; none if it cannot be read.
pub(crate) fn algorithm_of(certificate: &[u8]) -> Option<SignatureAlgorithm> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let key = certificate.tbs_certificate().subject_public_key_info();
    signs_with(&key.to_der().ok()?)
}

/// How long whoever signs must live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasts {
    /// A quarter of its life, and two windows at least: there is time to make another.
    WithTimeToSpare,
    /// As long as any window: nobody who waits is kept waiting for another.
    ForAWindow,
}

/// Who is looked for.
struct Wanted<'a, S> {
    office: &'a Office<S>,
    issuer: &'a Issuer,
    lasts: Lasts,
    now: UnixSeconds,
}

impl<S> Wanted<'_, S> {
    /// The newest of these of that algorithm that lives long enough and whose key is there.
    fn chosen<'s>(
        &self,
        signers: impl IntoIterator<Item = &'s OcspSigner>,
        algorithm: SignatureAlgorithm,
    ) -> Option<&'s OcspSigner> {
        let fresh = |signer: &&OcspSigner| {
            // The key goes when the signer ends, be it by a clock that was ahead.
            signer.not_before <= self.now
                && self.office.keyring.holds(&signer.key_file)
                && self.lives_long_enough(signer.not_after)
                && algorithm_of(&signer.certificate) == Some(algorithm)
        };
        let fresh = signers.into_iter().filter(fresh);
        fresh.max_by_key(|signer| signer.not_after)
    }

    fn lives_long_enough(&self, not_after: UnixSeconds) -> bool {
        let settings = &self.office.settings;
        let window = settings.longest_validity_secs();
        let least = match self.lasts {
            Lasts::WithTimeToSpare => (settings.ocsp_signer_validity_secs / 4).max(2 * window),
            Lasts::ForAWindow => window,
        };
        // Near the authority's own end no signer lives longer than the newest.
        not_after > self.now + least || not_after >= self.issuer.not_after
    }
}

/// Removes keys that will not sign again: of signers that ended or are revoked, and of those that never came to be. Only
/// whoever holds the spool calls it: a key lies here for a moment before its certificate is reserved.
///
/// # Errors
/// [`CaError::Registry`], [`CaError::Key`].
pub fn forget_keys<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    now: UnixSeconds,
) -> Result<(), CaError> {
    let signers = office
        .registry
        .wait(|store| store.ocsp_signers(issuer.id(), now))?;
    let reserved = office
        .registry
        .wait(|store| store.unfinished(issuer.id()))?;
    let reserved = reserved.into_iter().filter_map(|r| r.reservation.key_file);
    let kept: BTreeSet<_> = signers
        .into_iter()
        .map(|signer| signer.key_file)
        .chain(reserved)
        .collect();
    for name in office.keyring.names_beginning(&key_prefix(issuer))? {
        if !kept.contains(&name) {
            office.keyring.remove(&name)?;
        }
    }
    Ok(())
}

fn key_prefix(issuer: &Issuer) -> String {
    format!("{}-ocsp-", issuer.alias())
}

fn make<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    algorithm: SignatureAlgorithm,
    by: By<'_>,
) -> Result<Responder, CaError> {
    let key_file = format!("{}{}", key_prefix(issuer), random_name()?);
    let key = office.keyring.make(&key_file, algorithm)?;
    // Several are made within a minute: one that is beside the authority's own says so.
    let beside = if algorithm == issuer.algorithm {
        String::new()
    } else {
        format!("{} ", algorithm.name())
    };
    let title = format!(
        "{} OCSP {beside}{}",
        issuer.alias().to_uppercase(),
        wire_date(by.at)
    );
    let not_before = prepare::start(by.at);
    // RFC 9919 §3.2.2: the certificate of a delegate, which nobody checks, is short-lived and renewed in time.
    let not_after = (not_before + office.settings.ocsp_signer_validity_secs).min(issuer.not_after);
    let encode = || CaError::encode("OCSP signer extensions");
    let draft = Draft {
        subject: NameParts {
            country: "CN",
            organisation: &office.settings.organisation,
            unit: "",
            common_name: &title,
        }
        .build()
        .map_err(CaError::encode("name"))?,
        public_key_der: key.public_key_der().to_vec(),
        not_before,
        not_after,
        extensions: vec![
            extension::key_usage(KeyUsages::DigitalSignature, extension::Weight::Critical)
                .map_err(encode())?,
            extension::extended_key_usage(&[extension::KP_OCSP_SIGNING]).map_err(encode())?,
            // CABF BR §4.9.9: the certificate of a delegate has id-pkix-ocsp-nocheck.
            // RFC 9919 §3.2.2: it says neither where answers nor where lists about itself are.
            extension::ocsp_nocheck().map_err(encode())?,
        ],
        // It names no list, but stands on one if it is ever revoked: on that of a partition, where there are some, so that
        // all partitions together are the list of all.
        list: prepare::choose_list(&office.settings.lists(issuer.alias(), issuer.is_root()))?,
    };
    let prepared = prepare::prepare(issuer, &draft)?;
    let linted = checked(
        prepared,
        &Signatory::from(issuer),
        Purpose::OcspSigner,
        &title,
    )?;
    let reservation = Reservation {
        authority: issuer.id(),
        serial: linted.serial(),
        item: None,
        kind: CertificateKind::OcspSigner,
        tbs: linted.tbs().to_vec(),
        not_before,
        not_after,
        key_file: Some(key_file),
        crl_partition: linted.partition(),
    };
    let reservations = [reservation];
    let ids = office
        .registry
        .wait(|store| store.reserve(&reservations, by))?;
    let certificate = sign(&*issuer.open_key(&office.keyring)?, &linted, &title)?;
    let issued: Vec<Issued> = ids
        .into_iter()
        .map(|id| Issued {
            id,
            certificate: certificate.clone(),
        })
        .collect();
    office
        .registry
        .wait(|store| store.record_issued(&issued, by))?;
    let (authority, algorithm) = (issuer.alias(), algorithm.name());
    tracing::info!(authority, algorithm, not_after, "new OCSP signer");
    Responder::new(key, certificate)
}

/// Tells two signers of one authority apart for people who read names.
fn wire_date(now: UnixSeconds) -> String {
    let text = wire::time::write_generalized(now);
    String::from_utf8_lossy(text.get(..12).unwrap_or_default()).into_owned()
}

fn random_name() -> Result<String, KeyError> {
    let mut octets = [0; 8];
    getrandom::fill(&mut octets).map_err(|_| KeyError::Random)?;
    Ok(crate::text::hex(&octets))
}
