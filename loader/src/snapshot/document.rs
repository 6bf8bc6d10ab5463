//! CRLs and certificates of a generation: mapped octets and what HTTP says of them.

use std::sync::Arc;

use wire::time::UnixSeconds;

use super::check_length;
use crate::digest::Digest;
use crate::error::OpenError;
use crate::manifest::{DocumentNote, Encoding, ObjectEntry, Role};
use crate::pack::{Map, PackError};
use crate::store::Store;

/// A document as it is served.
#[derive(Debug, Clone, Copy)]
pub struct Document<'s> {
    /// Its octets, cheap to clone, alive as long as a clone is.
    pub body: &'s Body,
    /// `application/pkix-crl`, `application/pkix-cert` or `application/pkcs7-mime`.
    pub content_type: &'static str,
    /// The BLAKE3 of the octets, hexadecimal, without quotes.
    pub etag: &'s str,
    /// thisUpdate of a CRL, notBefore of a certificate.
    pub last_modified: UnixSeconds,
    /// nextUpdate of a CRL.
    pub expires: Option<UnixSeconds>,
    /// The same in content codings, each smaller than the body.
    pub encoded: &'s [Encoded],
}

/// A document in a content coding.
#[derive(Debug, Clone)]
pub struct Encoded {
    /// Which.
    pub encoding: Encoding,
    /// Its octets.
    pub body: Body,
    /// The BLAKE3 of these octets, hexadecimal, without quotes.
    pub etag: String,
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
    etag: String,
    body: Body,
    content_type: &'static str,
    last_modified: UnixSeconds,
    expires: Option<UnixSeconds>,
    encoded: Vec<Encoded>,
}

impl DocumentFile {
    /// Maps a document, or shares the map of the snapshot before if that has the same octets under the path.
    pub(super) fn open(
        store: &Store,
        entry: &ObjectEntry,
        note: &DocumentNote,
        shared: Option<&DocumentFile>,
    ) -> Result<DocumentFile, OpenError> {
        let body = open_body(store, entry.blake3, entry.octets, shared)?;
        let mut encoded = Vec::with_capacity(note.encodings.len());
        for form in &note.encodings {
            encoded.push(Encoded {
                encoding: form.encoding,
                body: open_body(store, form.blake3, form.octets, shared)?,
                etag: form.blake3.to_string(),
            });
        }
        Ok(DocumentFile {
            etag: entry.blake3.to_string(),
            body,
            content_type: content_type(entry),
            last_modified: note.last_modified,
            expires: note.expires,
            encoded,
        })
    }

    /// Its bodies, encoded or not, and their names.
    fn bodies(&self) -> impl Iterator<Item = (&str, &Body)> {
        let encoded = self.encoded.iter();
        std::iter::once((self.etag.as_str(), &self.body))
            .chain(encoded.map(|form| (form.etag.as_str(), &form.body)))
    }

    /// Whether one of its names is another file's by now.
    pub(super) fn is_replaced(&self, store: &Store) -> bool {
        self.bodies().any(|(name, body)| {
            let digest = Digest::from_hex(name);
            digest.is_some_and(|digest| body.0.is_replaced_at(&store.object(digest)))
        })
    }

    pub(super) fn view(&self) -> Document<'_> {
        Document {
            body: &self.body,
            content_type: self.content_type,
            etag: &self.etag,
            last_modified: self.last_modified,
            expires: self.expires,
            encoded: &self.encoded,
        }
    }
}

/// Maps a file, or shares the map of the snapshot before if it is still the file of that name.
fn open_body(
    store: &Store,
    digest: Digest,
    octets: u64,
    shared: Option<&DocumentFile>,
) -> Result<Body, OpenError> {
    let path = store.object(digest);
    let name = digest.to_string();
    let mut before = shared.into_iter().flat_map(DocumentFile::bodies);
    if let Some((_, body)) = before.find(|(etag, body)| *etag == name && body.0.is_at(&path)) {
        return Ok(body.clone());
    }
    check_length(&path, octets)?;
    let map = Map::open(&path).map_err(|source| PackError::Unreadable { path, source })?;
    Ok(Body(Arc::new(map)))
}

fn content_type(entry: &ObjectEntry) -> &'static str {
    match entry.role {
        // RFC 5280 §4.2.1.13: a list in DER over HTTP is application/pkix-crl.
        Role::Crl(_) => "application/pkix-crl",
        // RFC 5280 §4.2.2.1: a certs-only message (.p7c) SHOULD be application/pkcs7-mime.
        _ if entry.name.ends_with(".p7c") => "application/pkcs7-mime",
        // RFC 5280 §4.2.2.1: a single certificate in DER SHOULD be application/pkix-cert.
        _ => "application/pkix-cert",
    }
}
