//! For whom the lane answers: each issuer's signers, where its statuses come from, and every form of `CertID` it may be
//! asked by.
//!
//! Read off the answering thread, whole, and then exchanged: a request sees one book from beginning to end. What did not
//! change is carried over, so that keys are opened and lists are judged once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::digest;
use der::Decode;
use sm3::Digest as _;
use spki::SubjectPublicKeyInfoRef;
use wire::algorithm::SignatureAlgorithm;
use wire::cert_id::{AskedHash, IssuerId, asked_prefixes};
use wire::request::PreferredAlgorithms;
use wire::time::UnixSeconds;

use super::list::List;
use super::settings::{LiveSettings, NeverIssued};
use crate::adopt::responder as local;
use crate::ca::ocsp_signer::{Responder, algorithm_of};
use crate::ca::{CaError, Issuer};
use crate::error::sentence;
use crate::office::Office;
use crate::registry::{AuthorityId, Foreign, OcspSigner, Revision, Store};

/// Who signs, ready to.
pub(super) struct Signatory {
    pub(super) responder: Responder,
    /// The `[0]` TLV with its certificate.
    pub(super) certs: Vec<u8>,
}

impl Signatory {
    fn new(responder: Responder) -> Self {
        Self {
            certs: wire::response::certs_tlv(&responder.certificate),
            responder,
        }
    }

    pub(super) fn is_valid(&self, now: UnixSeconds) -> bool {
        self.responder.not_before <= now && now < self.responder.not_after
    }
}

/// Where an issuer's statuses come from.
#[derive(Clone)]
pub(super) enum Source {
    /// Our own.
    Registry(AuthorityId),
    /// Another authority's; none while its list is not here.
    List(Option<Arc<List>>),
}

/// One issuer.
pub(super) struct Entry {
    pub(super) id: IssuerId,
    pub(super) source: Source,
    pub(super) never_issued: NeverIssued,
    /// Seconds from thisUpdate to nextUpdate.
    pub(super) validity_secs: u64,
    /// One of each algorithm: the one that lives longest.
    signatories: Vec<Arc<Signatory>>,
    prefixes: Vec<Vec<u8>>,
}

impl Entry {
    /// Who signs now.
    // RFC 6960 §4.4.7.2: the algorithm the client would like best of those there are, else our own first.
    pub(super) fn signatory(
        &self,
        preferred: Option<PreferredAlgorithms<'_>>,
        now: UnixSeconds,
    ) -> Option<&Arc<Signatory>> {
        let valid: Vec<_> = self
            .signatories
            .iter()
            .filter(|signatory| signatory.is_valid(now))
            .collect();
        let chosen = match (preferred, valid.len()) {
            (Some(preferred), 2..) => {
                let algorithms: Vec<_> = valid.iter().map(|one| algorithm(one)).collect();
                preferred.choose(&algorithms).unwrap_or(0)
            }
            _ => 0,
        };
        valid.get(chosen).copied()
    }
}

fn algorithm(signatory: &Signatory) -> SignatureAlgorithm {
    signatory.responder.key.algorithm()
}

/// All issuers.
#[derive(Default)]
pub(super) struct Book {
    /// The registry's revision before it was read.
    pub(super) revision: Revision,
    entries: Vec<Arc<Entry>>,
    places: HashMap<Vec<u8>, usize>,
}

impl Book {
    /// Reads everything anew, but for what `before` has already.
    pub(super) fn read<S: Store>(
        office: &Office<S>,
        settings: &LiveSettings,
        before: &Self,
        now: UnixSeconds,
    ) -> Result<Self, CaError> {
        let mut book = Self {
            revision: office.registry.wait(|store| store.revision())?,
            ..Self::default()
        };
        for issuer in office.issuers()?.iter().filter(|one| !one.is_root()) {
            let id = IssuerId(issuer.issuer_id());
            let kept = before.entries.iter().find(|entry| entry.id == id);
            let prefixes = match kept {
                Some(kept) => kept.prefixes.clone(),
                None => own_prefixes(issuer)?,
            };
            book.push(Entry {
                id,
                source: Source::Registry(issuer.id()),
                never_issued: settings.never_issued(id),
                validity_secs: office.settings.terms(issuer.alias()).validity,
                signatories: signatories(office, issuer, kept, now)?,
                prefixes,
            });
        }
        let foreign = office.registry.wait(|store| store.foreign())?;
        if !foreign.is_empty() {
            let signatories = local_signatory(office, before, now)?;
            for row in &foreign {
                book.push(foreign_entry(
                    office,
                    settings,
                    before,
                    row,
                    &signatories,
                    now,
                ));
            }
        }
        Ok(book)
    }

    fn push(&mut self, entry: Entry) {
        let place = self.entries.len();
        let prefixes = entry.prefixes.iter().cloned();
        self.places.extend(prefixes.map(|prefix| (prefix, place)));
        self.entries.push(Arc::new(entry));
    }

    /// The issuer of which a `CertID` with these octets before its serial speaks.
    pub(super) fn find(&self, prefix: &[u8]) -> Option<&Arc<Entry>> {
        self.entries.get(*self.places.get(prefix)?)
    }

    /// How many issuers.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The newest book, shared.
#[derive(Clone)]
pub(super) struct Shelf(Arc<RwLock<Arc<Book>>>);

impl Shelf {
    pub(super) fn new(book: Book) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(book))))
    }

    pub(super) fn newest(&self) -> Arc<Book> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn put(&self, book: Book) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(book);
    }
}

/// The signers that `serve` maintains for an authority, one of each algorithm. A key that is opened stays open as long as its
/// certificate stands in the registry as issued: a revoked signer is gone with the next reading.
fn signatories<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    before: Option<&Arc<Entry>>,
    now: UnixSeconds,
) -> Result<Vec<Arc<Signatory>>, CaError> {
    let mut rows = office
        .registry
        .wait(|store| store.ocsp_signers(issuer.id(), now))?;
    rows.retain(|row| row.not_before <= now);
    rows.sort_by_key(|row| std::cmp::Reverse(row.not_after));
    let terms = office.settings.terms(issuer.alias());
    let mut found = Vec::new();
    for algorithm in terms.algorithms(issuer.algorithm) {
        let signs_with_it = |row: &&OcspSigner| algorithm_of(&row.certificate) == Some(algorithm);
        // The one that lives longest, unless its key is not there.
        let mut usable = rows.iter().filter(signs_with_it).filter_map(|row| {
            let known = before.and_then(|entry| {
                let same = |one: &&Arc<Signatory>| one.responder.certificate == row.certificate;
                entry.signatories.iter().find(same).cloned()
            });
            known.or_else(|| opened(office, issuer, row, algorithm))
        });
        found.extend(usable.next());
    }
    Ok(found)
}

/// A signer with its key; none, and a line in the log, if that cannot be used.
fn opened<S>(
    office: &Office<S>,
    issuer: &Issuer,
    row: &OcspSigner,
    algorithm: SignatureAlgorithm,
) -> Option<Arc<Signatory>> {
    match open(office, algorithm, &row.key_file, row.certificate.clone()) {
        Ok(opened) => Some(Arc::new(opened)),
        Err(error) => {
            let (authority, cause) = (issuer.alias(), sentence(&error));
            tracing::warn!(authority, %cause, "an OCSP signer cannot be used");
            None
        }
    }
}

fn open<S>(
    office: &Office<S>,
    algorithm: SignatureAlgorithm,
    key_file: &str,
    certificate: Vec<u8>,
) -> Result<Signatory, CaError> {
    let key = office.keyring.signer(key_file, algorithm)?;
    Ok(Signatory::new(Responder::new(key, certificate)?))
}

/// The local responder, for all lists of other authorities.
fn local_signatory<S: Store>(
    office: &Office<S>,
    before: &Book,
    now: UnixSeconds,
) -> Result<Vec<Arc<Signatory>>, CaError> {
    let Some(certificate) = local::certificate(office)? else {
        return Ok(Vec::new());
    };
    let known = before
        .entries
        .iter()
        .flat_map(|entry| &entry.signatories)
        .find(|one| one.responder.certificate == certificate);
    if let Some(known) = known {
        return Ok(vec![Arc::clone(known)]);
    }
    let signing = local::signing(office, now)?;
    Ok(signing
        .map(Signatory::new)
        .map(Arc::new)
        .into_iter()
        .collect())
}

fn foreign_entry<S>(
    office: &Office<S>,
    settings: &LiveSettings,
    before: &Book,
    row: &Foreign,
    signatories: &[Arc<Signatory>],
    now: UnixSeconds,
) -> Entry {
    let id = IssuerId(row.adoption.issuer);
    let kept = before.entries.iter().find(|entry| entry.id == id);
    let known = kept.and_then(|entry| match &entry.source {
        Source::List(Some(list)) => Some(list),
        _ => None,
    });
    let list = match known.filter(|list| list.repeats(row)) {
        Some(same) => Some(Arc::clone(same)),
        None => match List::read(&office.home, row, settings.partitions_complete(id), now) {
            Ok(list) => Some(Arc::new(list)),
            Err(error) => {
                // A newer list lies there already, and is not adopted yet: the one we have read still stands.
                let cause = sentence(&error);
                tracing::debug!(issuer = %id, %cause, "its list is not read yet");
                known.cloned()
            }
        },
    };
    let prefixes = match (kept, &list) {
        (Some(kept), _) if !kept.prefixes.is_empty() => kept.prefixes.clone(),
        (_, Some(list)) => asked_prefixes(&list.name_der, &list.key_bits, hash),
        _ => Vec::new(),
    };
    Entry {
        id,
        source: Source::List(list),
        never_issued: settings.never_issued(id),
        validity_secs: office.settings.response_validity_secs,
        signatories: signatories.to_vec(),
        prefixes,
    }
}

fn own_prefixes(issuer: &Issuer) -> Result<Vec<Vec<u8>>, CaError> {
    let key_bits = key_bits(issuer)?;
    Ok(asked_prefixes(&issuer.name_der, &key_bits, hash))
}

/// Content of the BIT STRING of an authority's public key: what a `CertID` hashes.
pub(super) fn key_bits(issuer: &Issuer) -> Result<Vec<u8>, CaError> {
    let key = SubjectPublicKeyInfoRef::from_der(&issuer.public_key_der)
        .map_err(CaError::encode("public key"))?;
    Ok(key.subject_public_key.raw_bytes().to_vec())
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::key::{KeyError, Signer};

    /// A key of which only the algorithm matters.
    struct Named(SignatureAlgorithm);

    impl Signer for Named {
        fn algorithm(&self) -> SignatureAlgorithm {
            self.0
        }

        fn public_key_der(&self) -> &[u8] {
            &[]
        }

        fn sign_into(&self, _: &[u8], _: &mut [u8]) -> Result<(), KeyError> {
            Ok(())
        }
    }

    /// Some `CertID`, without its header.
    const ID: [u8; 11] = [0x30, 2, 0x06, 0, 0x04, 0, 0x04, 0, 0x02, 1, 5];

    fn signatory(algorithm: SignatureAlgorithm, not_after: UnixSeconds) -> Arc<Signatory> {
        Arc::new(Signatory::new(Responder {
            key: Box::new(Named(algorithm)),
            certificate: vec![0x30, 0],
            key_hash: [0; 20],
            not_before: 0,
            not_after,
        }))
    }

    /// A request for the certificate of that `CertID`, given without its header, whose client would rather have these algorithms,
    /// in this order.
    pub(in crate::live) fn wishing(id: &[u8], algorithms: &[SignatureAlgorithm]) -> Vec<u8> {
        use wire::der::push_tlv;
        let wrapped = |tag, content: &[u8]| {
            let mut whole = Vec::new();
            push_tlv(&mut whole, tag, content);
            whole
        };
        let list: Vec<u8> = algorithms
            .iter()
            .flat_map(|algorithm| wrapped(0x30, algorithm.identifier()))
            .collect();
        let value = wrapped(0x04, &wrapped(0x30, &list));
        let extension = [wire::oid::PREFERRED_SIGNATURE_ALGORITHMS, &value].concat();
        let extensions = wrapped(0xa2, &wrapped(0x30, &wrapped(0x30, &extension)));
        let list = wrapped(0x30, &wrapped(0x30, &wrapped(0x30, id)));
        wrapped(0x30, &wrapped(0x30, &[list, extensions].concat()))
    }

    // RFC 6960 §4.4.7.2: the algorithm the client would like best of those there are, else our own first.
    #[test]
    fn a_client_is_answered_with_what_it_likes_less_or_by_who_has_ended() {
        use SignatureAlgorithm::{EcdsaP256Sha256, EcdsaP384Sha384, Ed25519, Rsa2048Sha256};
        let entry = Entry {
            id: IssuerId([0; 16]),
            source: Source::List(None),
            never_issued: NeverIssued::Unauthorized,
            validity_secs: 1,
            signatories: vec![
                signatory(EcdsaP256Sha256, 100),
                signatory(Rsa2048Sha256, 100),
                signatory(Ed25519, 50),
            ],
            prefixes: vec![],
        };
        let chosen = |wishes: &[SignatureAlgorithm], now| {
            let request = wishing(&ID, wishes);
            let read = wire::request::OcspRequest::parse(&request).unwrap();
            assert!(read.preferred.is_some());
            entry
                .signatory(read.preferred, now)
                .map(|one| algorithm(one))
        };
        assert_eq!(
            chosen(&[Rsa2048Sha256, EcdsaP256Sha256], 1),
            Some(Rsa2048Sha256)
        );
        assert_eq!(chosen(&[EcdsaP384Sha384, Ed25519], 1), Some(Ed25519));
        assert_eq!(chosen(&[Ed25519, Rsa2048Sha256], 60), Some(Rsa2048Sha256));
        assert_eq!(chosen(&[EcdsaP384Sha384], 1), Some(EcdsaP256Sha256));
        assert_eq!(chosen(&[Rsa2048Sha256], 100), None);
        assert!(entry.signatory(None, 1).map(|one| algorithm(one)) == Some(EcdsaP256Sha256));
    }
}
