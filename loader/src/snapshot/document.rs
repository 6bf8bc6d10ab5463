//! CRLs and certificates of a generation: mapped octets and what HTTP says of them.

use std::sync::Arc;

use wire::time::UnixSeconds;

use super::check_length;
use crate::digest::Digest;
use crate::error::OpenError;
use crate::manifest::{DocumentNote, ObjectEntry, Role};
use crate::pack::{Map, PackError};
use crate::store::Store;

/// A document as it is served.
#[derive(Debug, Clone, Copy)]
pub struct Document<'s> {
    /// Its octets, cheap to clone, alive as long as a clone is.
    pub body: &'s Body,
    /// `application/pkix-crl`, `application/pkix-cert`, or `application/pkcs7-mime` for several certificates.
    pub content_type: &'static str,
    /// The BLAKE3 of the octets, hexadecimal, without quotes.
    pub etag: &'s str,
    /// thisUpdate of a CRL, notBefore of a certificate.
    pub last_modified: UnixSeconds,
    /// nextUpdate of a CRL.
    pub expires: Option<UnixSeconds>,
}

/// Mapped octets that outlive their snapshot while someone still sends them.
#[derive(Clone)]
pub struct Body(Arc<Map>);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.octets()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} octets)", self.as_ref().len())
    }
}

pub(super) struct DocumentFile {
    digest: Digest,
    etag: String,
    body: Body,
    content_type: &'static str,
    last_modified: UnixSeconds,
    expires: Option<UnixSeconds>,
}

impl DocumentFile {
    /// Maps a document, or shares the map of the snapshot before if that has the same octets under the path.
    pub(super) fn open(
        store: &Store,
        entry: &ObjectEntry,
        note: &DocumentNote,
        shared: Option<&DocumentFile>,
    ) -> Result<DocumentFile, OpenError> {
        let path = store.object(entry.blake3);
        let is_same = |document: &&DocumentFile| {
            document.digest == entry.blake3 && document.body.0.is_at(&path)
        };
        let body = match shared.filter(is_same) {
            Some(document) => document.body.clone(),
            None => {
                check_length(&path, entry.octets)?;
                let map =
                    Map::open(&path).map_err(|source| PackError::Unreadable { path, source })?;
                Body(Arc::new(map))
            }
        };
        // RFC 5280 §4.2.2.1: a certs-only CMS message is application/pkcs7-mime (RFC 8551 §3.2.1: ending .p7c).
        let content_type = match entry.role {
            Role::Crl(_) => "application/pkix-crl",
            _ if entry.name.ends_with(".p7c") => "application/pkcs7-mime",
            _ => "application/pkix-cert",
        };
        Ok(DocumentFile {
            digest: entry.blake3,
            etag: entry.blake3.to_string(),
            body,
            content_type,
            last_modified: note.last_modified,
            expires: note.expires,
        })
    }

    pub(super) fn view(&self) -> Document<'_> {
        Document {
            body: &self.body,
            content_type: self.content_type,
            etag: &self.etag,
            last_modified: self.last_modified,
            expires: self.expires,
        }
    }
}
