//! Files that several issuers bring: two authorities below one root both bring the root's list and certificate, each in
//! the state it had when the batch was made.

use wire::batch::{Document, DocumentKind};
use wire::crl::Crl;

use super::{Draft, goes_back, is_crl};
use crate::digest::Digest;
use crate::import::admit::Candidate;
use crate::import::batch::BatchRefusal;
use crate::import::certificate::Certificate;
use crate::store::Store;

/// How a document stands to the one that another issuer published under its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinship {
    /// Of the same authority above both, and not older.
    Newer,
    /// Of the same authority above both, and older.
    Older,
    /// Something else altogether.
    Stranger,
}

impl Draft {
    /// Takes out of a batch what an authority above its own has published in a newer state through another batch. Its own
    /// files stay: they must not go back at all.
    pub fn pass_over_older(&self, store: &Store, candidate: &mut Candidate) {
        let documents = std::mem::take(&mut candidate.documents);
        let stays =
            |document: &Document| self.kinship(store, candidate, document) != Some(Kinship::Older);
        let kept = documents
            .into_iter()
            .filter(|(document, _)| stays(document))
            .collect();
        candidate.documents = kept;
    }

    /// Refuses a document whose name another issuer has for something else.
    pub(super) fn check_documents(
        &self,
        store: &Store,
        candidate: &Candidate,
    ) -> Result<(), BatchRefusal> {
        for (document, _) in &candidate.documents {
            if self.kinship(store, candidate, document) == Some(Kinship::Stranger) {
                let why = "another issuer has a document of this name".to_owned();
                return Err(BatchRefusal::Document {
                    name: document.name.clone(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// None if no other issuer has other octets under that name.
    fn kinship(
        &self,
        store: &Store,
        candidate: &Candidate,
        document: &Document,
    ) -> Option<Kinship> {
        let blake3 = Digest::of(&document.octets);
        let published = self.with_paths(store).find(|(entry, _)| {
            entry.issuer.0 != candidate.header.issuer_id
                && entry.name == document.name
                && is_crl(&entry.role) == Some(document.kind == DocumentKind::Crl)
                && entry.blake3 != blake3
        });
        let (_, path) = published?;
        let Ok(before) = std::fs::read(path) else {
            // What is published and cannot be read is replaced.
            return Some(Kinship::Newer);
        };
        Some(match document.kind {
            DocumentKind::Crl => of_lists(&before, &document.octets, &candidate.issuer),
            DocumentKind::IssuerCertificate
            | DocumentKind::OtherCertificate
            | DocumentKind::CertificateBundle => {
                of_certificates(&before, &document.octets, &candidate.issuer)
            }
        })
    }
}

fn of_lists(before: &[u8], after: &[u8], own: &Certificate) -> Kinship {
    let (Ok(one), Ok(other)) = (Crl::parse(before), Crl::parse(after)) else {
        return Kinship::Stranger;
    };
    if one.issuer != other.issuer || other.issuer == own.subject {
        Kinship::Stranger
    } else if goes_back(before, after).is_some() {
        Kinship::Older
    } else {
        Kinship::Newer
    }
}

/// Renewed under the same names and keys.
fn of_certificates(before: &[u8], after: &[u8], own: &Certificate) -> Kinship {
    let (Some(one), Some(other)) = (certificates(before), certificates(after)) else {
        return Kinship::Stranger;
    };
    let names = |all: &[Certificate]| {
        let mut names: Vec<_> = all
            .iter()
            .map(|certificate| (certificate.subject.clone(), certificate.key_bits.clone()))
            .collect();
        names.sort_unstable();
        names
    };
    let youngest = |all: &[Certificate]| all.iter().map(|c| c.not_before).max();
    let is_own = other
        .iter()
        .any(|certificate| certificate.subject == own.subject);
    if names(&one) != names(&other) || is_own {
        Kinship::Stranger
    } else if youngest(&other) < youngest(&one) {
        Kinship::Older
    } else {
        Kinship::Newer
    }
}

/// One certificate, or a message that holds some.
fn certificates(octets: &[u8]) -> Option<Vec<Certificate>> {
    match wire::certs_only::parse(octets) {
        Ok(bundle) => bundle
            .into_iter()
            .map(|der| Certificate::from_der(der).ok())
            .collect(),
        Err(_) => Some(vec![Certificate::from_der(octets).ok()?]),
    }
}
