//! Which issuer a `CertID` is about, in every form it may be asked by, and what of its requests goes live.
//!
//! Made from the issuers' certificates when a generation is opened, off the serving threads; looked into only for requests
//! that the packs could not answer. Hashes are computed once an issuer, not once a generation.

use std::collections::HashMap;

use hufu_loader::snapshot::Snapshot;
use ring::digest;
use sm3::Digest as _;
use wire::cert_id::{AskedHash, IssuerId, asked_prefixes};
use wire::der::{Reader, tag};

use super::settings::{NoncePolicy, Policies, UnknownSerials};

/// The issuers of a generation.
#[derive(Default)]
pub(super) struct Directory {
    issuers: Vec<Known>,
    /// From the octets of a `CertID` before the serial.
    places: HashMap<Box<[u8]>, usize>,
}

/// What is known of an issuer here.
pub(super) struct Known {
    id: IssuerId,
    prefixes: Vec<Box<[u8]>>,
    /// The highest registry revision that its packs show: a live answer from before it is not believed.
    pub(super) revision: u64,
    pub(super) nonce_goes_live: bool,
    pub(super) unknown_serials_go_live: bool,
}

impl Directory {
    pub(super) fn of(snapshot: &Snapshot, policies: &Policies, before: &Self) -> Self {
        let mut directory = Self::default();
        for info in snapshot.issuers() {
            let kept = before.issuers.iter().find(|known| known.id == info.id);
            let prefixes = kept
                .map(|known| known.prefixes.clone())
                .or_else(|| prefixes(info.issuer_certificate));
            // One whose certificate cannot be read is served from its packs alone.
            let Some(prefixes) = prefixes else {
                tracing::warn!(issuer = %info.id, "its certificate cannot be read: nothing of it is asked live");
                continue;
            };
            let of_issuer = snapshot
                .packs()
                .filter(|(_, pack)| pack.issuer() == info.id);
            let policy = policies.of(info.id);
            let unknown_serials_go_live = match policy.unknown_serials {
                UnknownSerials::Default => info.repeats_list,
                UnknownSerials::Live => true,
                UnknownSerials::Unauthorized => false,
            };
            let place = directory.issuers.len();
            for prefix in &prefixes {
                directory.places.insert(prefix.clone(), place);
            }
            directory.issuers.push(Known {
                id: info.id,
                prefixes,
                revision: of_issuer.map(|(_, pack)| pack.age().0).max().unwrap_or(0),
                nonce_goes_live: policy.nonce == NoncePolicy::Live,
                unknown_serials_go_live,
            });
        }
        directory
    }

    pub(super) fn find(&self, prefix: &[u8]) -> Option<&Known> {
        self.issuers.get(*self.places.get(prefix)?)
    }
}

fn prefixes(certificate: &[u8]) -> Option<Vec<Box<[u8]>>> {
    let (name, key) = name_and_key(certificate)?;
    let prefixes = asked_prefixes(name, key, hash);
    Some(prefixes.into_iter().map(Vec::into_boxed_slice).collect())
}

fn hash(hash: AskedHash, octets: &[u8]) -> Vec<u8> {
    let algorithm = match hash {
        AskedHash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        AskedHash::Sha256 => &digest::SHA256,
        AskedHash::Sha384 => &digest::SHA384,
        AskedHash::Sha512 => &digest::SHA512,
        AskedHash::Sm3 => return sm3::Sm3::digest(octets).to_vec(),
    };
    digest::digest(algorithm, octets).as_ref().to_vec()
}

/// The subject's Name, whole, and the content of the public key's BIT STRING without its count of unused bits.
///
/// ```asn1
/// TBSCertificate ::= SEQUENCE {            -- RFC 5280 §4.1
///     version               [0] EXPLICIT Version DEFAULT v1,
///     serialNumber          CertificateSerialNumber,
///     signature             AlgorithmIdentifier,
///     issuer                Name,
///     validity              Validity,
///     subject               Name,
///     subjectPublicKeyInfo  SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }, … }
/// ```
fn name_and_key(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut tbs = Reader::new(certificate).sequence().ok()?.sequence().ok()?;
    tbs.optional(tag::context_constructed(0)).ok()?;
    tbs.read(tag::INTEGER).ok()?;
    for _signature_issuer_validity in 0..3 {
        tbs.read(tag::SEQUENCE).ok()?;
    }
    let subject = tbs.read(tag::SEQUENCE).ok()?.raw;
    let mut key = tbs.sequence().ok()?;
    key.read(tag::SEQUENCE).ok()?;
    let bits = key.read(tag::BIT_STRING).ok()?.content;
    Some((subject, bits.split_first()?.1))
}
