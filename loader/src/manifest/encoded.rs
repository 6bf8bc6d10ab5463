//! Documents in content codings, made when they were published: what the manifest says of them, and the one list of all
//! files of a generation.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{DocumentNote, Manifest, ObjectEntry, Role};
use crate::digest::Digest;

/// A content coding of HTTP that documents are made in (RFC 9110 §8.4.1, RFC 8878).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// What every client of the last twenty years reads.
    Gzip,
    /// Smaller, and several times faster to read.
    Zstd,
}

impl Encoding {
    /// In the order in which they are made.
    pub const ALL: [Encoding; 2] = [Encoding::Gzip, Encoding::Zstd];

    /// Its name in `Content-Encoding` and `Accept-Encoding`.
    pub fn token(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
        }
    }

    /// How files of it are named.
    pub fn suffix(self) -> &'static str {
        match self {
            Encoding::Gzip => "gz",
            Encoding::Zstd => "zst",
        }
    }
}

/// A document in one coding: a file of its own beside the document's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedNote {
    /// Which coding.
    pub encoding: Encoding,
    /// Its name in `objects/`.
    pub blake3: Digest,
    /// Its length: always less than the document's.
    pub octets: u64,
}

impl Role {
    /// What HTTP says of a document; nothing for packs.
    pub fn document(&self) -> Option<&DocumentNote> {
        match self {
            Role::Crl(note) | Role::Certificate(note) => Some(note),
            Role::Base(_) | Role::Delta(_) => None,
        }
    }

    fn document_mut(&mut self) -> Option<&mut DocumentNote> {
        match self {
            Role::Crl(note) | Role::Certificate(note) => Some(note),
            Role::Base(_) | Role::Delta(_) => None,
        }
    }
}

impl ObjectEntry {
    /// Its encoded forms.
    pub fn encodings(&self) -> &[EncodedNote] {
        self.role.document().map_or(&[], |note| &note.encodings)
    }

    /// Its encoded forms, each told as an object of its own (`p256.crl.gz`), for whoever copies, hashes or keeps files.
    pub fn encoded(&self) -> impl Iterator<Item = ObjectEntry> + '_ {
        self.encodings().iter().map(|note| {
            let mut role = self.role.clone();
            if let Some(document) = role.document_mut() {
                document.encodings = Vec::new();
            }
            ObjectEntry {
                name: format!("{}.{}", self.name, note.encoding.suffix()),
                blake3: note.blake3,
                octets: note.octets,
                issuer: self.issuer,
                role,
            }
        })
    }
}

impl Manifest {
    /// Every file of the generation: each object, and behind a document its encoded forms.
    pub fn files(&self) -> impl Iterator<Item = Cow<'_, ObjectEntry>> {
        self.objects.iter().flat_map(|object| {
            std::iter::once(Cow::Borrowed(object)).chain(object.encoded().map(Cow::Owned))
        })
    }

    /// The names of all files in `objects/`.
    pub fn file_names(&self) -> impl Iterator<Item = Digest> + '_ {
        self.objects.iter().flat_map(|object| {
            let encoded = object.encodings().iter().map(|note| note.blake3);
            std::iter::once(object.blake3).chain(encoded)
        })
    }
}
