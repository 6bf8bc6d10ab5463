//! Files that are finished but not yet published: [`Sealed`] is the token that publishing asks for.

use std::path::{Path, PathBuf};

use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

use crate::digest::Digest;
use crate::durable::{At, Audience, Disk, DiskError};
use crate::encode::{EncodedFile, encode};
use crate::manifest::{DocumentNote, IssuerHex, ListMark, ObjectEntry, Role};
use crate::store::Store;

/// A whole file in `tmp/`, flushed to the device, its hash known. Made only by the pack writer and [`seal_document`].
#[derive(Debug)]
#[must_use = "a sealed file that is not published is a leftover"]
pub struct Sealed {
    temp: PathBuf,
    entry: ObjectEntry,
    /// Where the encoded forms of a document lie, in the order of its note.
    encoded: Vec<PathBuf>,
}

impl Sealed {
    pub(crate) fn new(
        temp: PathBuf,
        name: String,
        blake3: Digest,
        octets: u64,
        issuer: IssuerHex,
        role: Role,
    ) -> Sealed {
        Sealed {
            temp,
            entry: ObjectEntry {
                name,
                blake3,
                octets,
                issuer,
                role,
            },
            encoded: Vec::new(),
        }
    }

    /// With what the maker of a list knows of it.
    #[cfg(feature = "publish")]
    pub(crate) fn with_list(mut self, list: Option<Box<ListMark>>) -> Sealed {
        if let Role::Crl(note) = &mut self.entry.role {
            note.list = list;
        }
        self
    }

    /// Where it lies until published.
    pub fn temp(&self) -> &Path {
        &self.temp
    }

    /// Where it and its encoded forms lie.
    pub fn temps(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.temp()).chain(self.encoded.iter().map(PathBuf::as_path))
    }

    /// Each of its files, and the name that it is to have in the store.
    pub fn placements(&self) -> impl Iterator<Item = (&Path, Digest)> {
        let forms = self.entry.encodings().iter().map(|note| note.blake3);
        self.temps()
            .zip(std::iter::once(self.entry.blake3).chain(forms))
    }

    /// What the manifest will say of it.
    pub fn entry(&self) -> &ObjectEntry {
        &self.entry
    }
}

/// A CRL or certificate to be served as it is.
#[derive(Debug, Clone, Copy)]
pub struct NewDocument<'a> {
    /// Under `/crl/` or under `/ca/`.
    pub kind: DocumentKind,
    /// The last part of its path.
    pub name: &'a str,
    /// Whose it is.
    pub issuer: IssuerId,
    /// Last-Modified: a CRL's thisUpdate, a certificate's notBefore.
    pub last_modified: UnixSeconds,
    /// Expires: a CRL's nextUpdate.
    pub expires: Option<UnixSeconds>,
    /// DER.
    pub octets: &'a [u8],
}

/// What a document is served as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// Under `/crl/`.
    Crl,
    /// Under `/ca/`.
    Certificate,
}

/// Writes a document and its encoded forms into `tmp/` and flushes them to the device.
pub fn seal_document(
    disk: &dyn Disk,
    store: &Store,
    document: &NewDocument<'_>,
) -> Result<Sealed, DiskError> {
    let digest = Digest::of(document.octets);
    let temp = store.temp().join(format!("document-{digest}"));
    disk.remove(&temp).at("remove the leftover", &temp)?;
    let mut file = disk
        .create_new(&temp, Audience::Everyone)
        .at("create", &temp)?;
    file.write_all(document.octets).at("write", &temp)?;
    file.sync().at("fsync", &temp)?;
    drop(file);
    let octets = document.octets.len() as u64;
    let encoded = encode(disk, &temp, octets)?;
    let note = DocumentNote {
        last_modified: document.last_modified,
        expires: document.expires,
        encodings: encoded.iter().map(|form| form.note).collect(),
        list: None,
    };
    let role = match document.kind {
        DocumentKind::Crl => Role::Crl(note),
        DocumentKind::Certificate => Role::Certificate(note),
    };
    let issuer = IssuerHex(document.issuer);
    let sealed = Sealed::new(temp, document.name.to_owned(), digest, octets, issuer, role);
    Ok(Sealed {
        encoded: encoded
            .into_iter()
            .map(|EncodedFile { temp, .. }| temp)
            .collect(),
        ..sealed
    })
}
