//! The files that are served for an authority: its lists, its certificate, both also of the authorities above it.
//!
//! What was sent is remembered by name and content, so that a batch of files holds only what changed: with many partitions
//! a revocation changes one small list, not all of them.

use super::BatchError;
use crate::ca::Issuer;
use crate::office::Office;
use crate::registry::{CrlNote, ListForm, Revision, Store};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use wire::batch::{Document, DocumentKind, ListNote};
use wire::certs_only;

/// Files that are served for an authority; lists are read when they go out, for they may be large.
#[derive(Debug, Clone, Default)]
pub struct Papers {
    papers: Vec<Paper>,
    /// The newest revision its own lists show.
    revision: Revision,
}

#[derive(Debug, Clone)]
enum Paper {
    List { note: CrlNote, name: String },
    Certificate(Document),
}

/// The files served for an authority: its own lists and certificate, and those of the authorities above it.
///
/// Whichever batch of several authorities below one root comes first brings the root's.
#[must_use]
pub fn papers(issuer: &Issuer, authorities: &[Issuer], lists: &[CrlNote]) -> Papers {
    let mut chain = Vec::new();
    let mut wanted = Some(issuer.alias());
    while let Some(authority) =
        wanted.and_then(|alias| authorities.iter().find(|a| a.alias() == alias))
    {
        chain.push(authority);
        wanted = authority.row.parent.as_deref();
    }
    let mut papers = Vec::new();
    let mut kind = DocumentKind::IssuerCertificate;
    for (place, authority) in chain.iter().enumerate() {
        let own = lists.iter().filter(|note| note.authority == authority.id());
        papers.extend(own.map(|note| Paper::List {
            note: *note,
            name: match note.form {
                ListForm::Full => authority.list_name(note.scope),
                ListForm::Delta { .. } => authority.delta_name(note.scope),
            },
        }));
        papers.push(Paper::Certificate(Document {
            kind,
            name: authority.certificate_name(),
            octets: authority.row.certificate.clone(),
            list: None,
        }));
        // RFC 5280 §4.2.2.1: several certificates, here the whole chain, come as a certs-only CMS message.
        let above = chain.iter().skip(place);
        let certificates: Vec<_> = above.map(|a| a.row.certificate.as_slice()).collect();
        papers.push(Paper::Certificate(Document {
            kind: DocumentKind::CertificateBundle,
            name: authority.bundle_name(),
            octets: certs_only::encode(&certificates),
            list: None,
        }));
        kind = DocumentKind::OtherCertificate;
    }
    let own = lists.iter().filter(|note| note.authority == issuer.id());
    Papers {
        papers,
        revision: own.map(|note| note.revision).max().unwrap_or(0),
    }
}

impl Papers {
    /// The newest revision that the authority's own lists show.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The files.
    ///
    /// # Errors
    /// [`BatchError::Registry`].
    pub fn read<S: Store>(&self, office: &Office<S>) -> Result<Vec<Document>, BatchError> {
        let mut documents = Vec::with_capacity(self.papers.len());
        for paper in &self.papers {
            match paper {
                Paper::Certificate(document) => documents.push(document.clone()),
                Paper::List { note, name } => {
                    let list = office.registry.wait(|store| store.crl(note))?;
                    documents.extend(list.map(|list| Document {
                        kind: DocumentKind::Crl,
                        name: name.clone(),
                        list: Some(ListNote {
                            revision: list.revision,
                            expired: sorted(list.expired),
                        }),
                        octets: list.der,
                    }));
                }
            }
        }
        Ok(documents)
    }

    /// What is not among the files that were sent, if anything is: the lists that changed, with all certificates, by which
    /// they are verified. `sent` is the fingerprint of what was sent.
    #[must_use]
    pub fn news(&self, sent: &str) -> Option<Self> {
        let sent: BTreeMap<&str, &str> = sent.lines().filter_map(|l| l.split_once(' ')).collect();
        let is_new = |paper: &Paper| sent.get(paper.name()) != Some(&paper.fingerprint().as_str());
        if !self.papers.iter().any(is_new) {
            return None;
        }
        let goes = |paper: &&Paper| matches!(paper, Paper::Certificate(_)) || is_new(paper);
        Some(Self {
            papers: self.papers.iter().filter(goes).cloned().collect(),
            revision: self.revision,
        })
    }

    /// Tells these files from others: a line each.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.papers.iter().fold(String::new(), |mut text, paper| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {}", paper.name(), paper.fingerprint());
            text
        })
    }
}

impl Paper {
    fn name(&self) -> &str {
        match self {
            Self::List { name, .. } => name,
            Self::Certificate(document) => &document.name,
        }
    }

    fn fingerprint(&self) -> String {
        match self {
            Self::List { note, .. } => format!("{}-{}", note.number, note.this_update),
            Self::Certificate(document) => blake3::hash(&document.octets).to_hex().to_string(),
        }
    }
}

fn sorted(mut serials: Vec<wire::serial::Serial>) -> Vec<wire::serial::Serial> {
    serials.sort_unstable();
    serials.dedup();
    serials
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{AuthorityId, ListScope};

    fn list(number: u64, form: ListForm) -> Paper {
        let note = CrlNote {
            authority: AuthorityId(1),
            scope: ListScope::Whole,
            form,
            number,
            revision: number,
            this_update: number,
            next_update: number + 60,
            cut: None,
            names_deltas: !form.is_delta(),
        };
        let name = if form.is_delta() {
            "a.delta.crl"
        } else {
            "a.crl"
        };
        Paper::List {
            note,
            name: name.to_owned(),
        }
    }

    fn papers(full: u64, delta: u64) -> Papers {
        let certificate = Document {
            kind: DocumentKind::IssuerCertificate,
            name: "a.cer".to_owned(),
            octets: vec![0x30, 0],
            list: None,
        };
        Papers {
            papers: vec![
                list(full, ListForm::Full),
                list(delta, ListForm::Delta { base: full }),
                Paper::Certificate(certificate),
            ],
            revision: delta,
        }
    }

    #[test]
    fn a_revocation_sends_every_list_again_or_none() {
        let sent = papers(1, 1).fingerprint();
        assert!(papers(1, 1).news(&sent).is_none());
        let news = papers(1, 2).news(&sent).unwrap();
        let names: Vec<_> = news.papers.iter().map(Paper::name).collect();
        assert_eq!(names, ["a.delta.crl", "a.cer"]);
        assert_eq!(papers(2, 2).news(&sent).unwrap().papers.len(), 3);
        // What the first edition remembered is one line that names nothing.
        assert_eq!(papers(1, 1).news("0123").unwrap().papers.len(), 3);
    }
}
