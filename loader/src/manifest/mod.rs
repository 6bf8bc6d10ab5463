//! The manifest: what a generation consists of, sealed.
//!
//! ```text
//! { … one JSON object: Manifest … }\n
//! hufu-seal <key id, 16 hex digits> <Ed25519 over every octet before this line, base64>\n
//! ```
//!
//! The seal is checked before a single octet of the JSON is parsed; only [`Manifest::open`] makes a
//! [`TrustedManifest`], and nothing opens or copies a generation without one. The BLAKE3 of the whole text,
//! seal line included, is what the pointer and the next manifest name.

mod encoded;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

pub use encoded::{EncodedNote, Encoding};

use crate::digest::{Digest, decode_hex, encode_hex};
use crate::seal::{KeyId, PublicKey, SealKey};

/// What a generation consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Always [`FORMAT`].
    pub format: u32,
    /// The generation's number; it only rises, gaps are allowed.
    pub number: u64,
    /// The generation before, none for the first.
    pub previous: Option<Previous>,
    /// The highest registry revision in any pack.
    pub revision: u64,
    /// When it was sealed.
    pub sealed_at: UnixSeconds,
    /// Past this the generation no longer proves that nothing was revoked since.
    pub valid_until: UnixSeconds,
    /// Every file, in an order that says nothing.
    pub objects: Vec<ObjectEntry>,
    /// Issuers whose status replays a CRL past its nextUpdate.
    #[serde(default)]
    pub replayed: Vec<ReplayNote>,
    /// Where each issuer's import stands.
    #[serde(default)]
    pub issuers: Vec<IssuerNote>,
}

/// The link of the chain of manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Its number.
    pub number: u64,
    /// The BLAKE3 of its whole text.
    pub blake3: Digest,
}

/// One published file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectEntry {
    /// For people, and the last part of a document's path (`p256.crl`).
    pub name: String,
    /// Its name in `objects/`.
    pub blake3: Digest,
    /// Its length.
    pub octets: u64,
    /// Whose it is.
    pub issuer: IssuerHex,
    /// What it is for.
    pub role: Role,
}

/// What a published file is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Role {
    /// Status records of one shard, all of them.
    Base(PackNote),
    /// Status records changed since the base packs.
    Delta(PackNote),
    /// Served under `/crl/`.
    Crl(DocumentNote),
    /// Served under `/ca/`.
    Certificate(DocumentNote),
}

/// What a manifest says of a pack; the pack's own header must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackNote {
    /// Number of the newest signer batch in it.
    pub batch: u64,
    /// The registry revision that a base reaches; what a delta says is true at it.
    pub revision: u64,
    /// Which shard (0 for a delta).
    pub shard: u32,
    /// Of how many (1 for a delta).
    pub shards: u32,
    /// Records in it.
    pub records: u64,
    /// Of these, revoked.
    pub revoked: u64,
}

/// What HTTP says of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentNote {
    /// Last-Modified: the CRL's thisUpdate, the certificate's notBefore.
    pub last_modified: UnixSeconds,
    /// Expires: the CRL's nextUpdate; none for certificates.
    pub expires: Option<UnixSeconds>,
    /// The same document in content codings, each a file of its own. Manifests before there were any say nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encodings: Vec<EncodedNote>,
    /// Of a list of the signer's own registry: what it is held against. Manifests of the first edition lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<Box<ListMark>>,
}

/// What the maker of a list knows of it that the list does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListMark {
    /// The registry revision it shows.
    pub revision: u64,
    /// The revoked serials that left it because their certificates expired, if there are any that are still answered for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<ExpiredMark>,
}

/// Serials that left a list; they lie beside the store, under this hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpiredMark {
    /// BLAKE3 of their file.
    pub blake3: Digest,
    /// How many.
    pub serials: u64,
}

/// An issuer whose CRL was judged by an earlier clock (`--as-of`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayNote {
    /// Whose CRL.
    pub issuer: IssuerHex,
    /// The clock that judged it.
    pub as_of: UnixSeconds,
    /// The CRL's BLAKE3.
    pub crl_blake3: Digest,
}

/// Where an issuer's import stands: part of the generation, so that a crash cannot part the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerNote {
    /// Whose batches.
    pub issuer: IssuerHex,
    /// Where its status comes from.
    pub source: SourceNote,
    /// The highest number of a batch in it.
    pub last_number: u64,
    /// Number of the newest delta batch that came in; none up to it is ever taken again. Numbers rise kind by kind: a base
    /// shard long in the making may come behind a delta that took its number later. None: not above `last_number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delta: Option<u64>,
    /// The same of batches of documents. What base batches must be above stands at the base packs themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_documents: Option<u64>,
    /// The registry revision that batch reaches.
    pub revision: u64,
    /// The batches that entered in exactly this generation: to be acknowledged, now or after a crash.
    pub imported: Vec<BatchNote>,
}

/// Where an issuer's status comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceNote {
    /// The signer's own registry.
    Registry,
    /// Another authority's CRL.
    ForeignCrl,
}

/// A signer batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNote {
    /// Its number.
    pub number: u64,
    /// The BLAKE3 in its trailer.
    pub blake3: Digest,
}

/// An [`IssuerId`] as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct IssuerHex(pub IssuerId);

impl From<IssuerHex> for String {
    fn from(issuer: IssuerHex) -> String {
        encode_hex(&issuer.0.0)
    }
}

impl TryFrom<String> for IssuerHex {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<IssuerHex, &'static str> {
        decode_hex(&digits)
            .map(|octets| IssuerHex(IssuerId(octets)))
            .ok_or("an issuer id is 32 lower-case hexadecimal digits")
    }
}

impl Role {
    /// The path a document is served under, none for packs.
    pub fn path(&self, name: &str) -> Option<String> {
        match self {
            Role::Base(_) | Role::Delta(_) => None,
            Role::Crl(_) => Some(format!("/crl/{name}")),
            Role::Certificate(_) => Some(format!("/ca/{name}")),
        }
    }
}

impl Manifest {
    /// The sealed text, and its BLAKE3.
    pub fn seal(&self, key: &SealKey) -> (Vec<u8>, Digest) {
        let mut text = serde_json::to_vec_pretty(self).expect("a manifest is plain JSON");
        text.push(b'\n');
        let signature = STANDARD.encode(key.sign(&text));
        text.extend_from_slice(
            format!("{SEAL_WORD} {} {signature}\n", key.public().id()).as_bytes(),
        );
        let digest = Digest::of(&text);
        (text, digest)
    }

    /// Checks the seal against the pinned keys, then parses, then checks what must hold of any manifest.
    pub fn open(octets: Vec<u8>, pins: &[PublicKey]) -> Result<TrustedManifest, ManifestError> {
        let body = checked_body(&octets, pins)?;
        let manifest: Manifest = serde_json::from_slice(body)?;
        manifest.check()?;
        Ok(TrustedManifest {
            blake3: Digest::of(&octets),
            manifest,
            octets,
        })
    }

    /// Parses a manifest whose seal nobody checks: one that a trusted manifest names by hash.
    #[cfg(feature = "publish")]
    pub(crate) fn parse_unsealed(octets: &[u8]) -> Result<Manifest, ManifestError> {
        let (body, _) = split_seal(octets)?;
        Ok(serde_json::from_slice(body)?)
    }

    /// What must hold whoever wrote it: our own loader may be wrong too.
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.format != FORMAT {
            return Err(ManifestError::Format { found: self.format });
        }
        if self.valid_until <= self.sealed_at {
            return Err(ManifestError::NeverValid);
        }
        match self.previous {
            Some(previous) if previous.number >= self.number => {
                return Err(ManifestError::NumberNotAbovePrevious {
                    number: self.number,
                    previous: previous.number,
                });
            }
            _ => {}
        }
        let mut paths = HashSet::new();
        for object in &self.objects {
            let path = object.role.path(&object.name);
            if !is_plain_name(&object.name) {
                return Err(ManifestError::BadName {
                    name: object.name.clone(),
                });
            }
            let encodings = object.encodings();
            let in_order = encodings.is_sorted_by(|one, next| one.encoding < next.encoding);
            if !in_order || encodings.iter().any(|note| note.octets >= object.octets) {
                return Err(ManifestError::BadEncodings {
                    name: object.name.clone(),
                });
            }
            if let Some(path) = path
                && !paths.insert(path)
            {
                return Err(ManifestError::NamedTwice {
                    name: object.name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Letters, digits, `.`, `_`, `-`, not starting with a dot: safe as a file name, in a URL, in a log line.
pub fn is_plain_name(name: &str) -> bool {
    (1..=200).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-'))
}

/// A manifest whose seal was verified by a pinned key. Only [`Manifest::open`] makes one.
#[derive(Debug, Clone)]
pub struct TrustedManifest {
    manifest: Manifest,
    blake3: Digest,
    octets: Vec<u8>,
}

impl TrustedManifest {
    /// What it says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The BLAKE3 of its whole text.
    pub fn blake3(&self) -> Digest {
        self.blake3
    }

    /// Its whole text, seal line included.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

/// The body with its newline, and the seal line without.
fn split_seal(octets: &[u8]) -> Result<(&[u8], &[u8]), ManifestError> {
    if octets.len() > MAX_MANIFEST_OCTETS {
        return Err(ManifestError::TooLong {
            octets: octets.len(),
        });
    }
    let text = octets.strip_suffix(b"\n").ok_or(ManifestError::NoSeal)?;
    let newline = text.iter().rposition(|&octet| octet == b'\n');
    Ok(text.split_at(newline.ok_or(ManifestError::NoSeal)? + 1))
}

fn checked_body<'a>(octets: &'a [u8], pins: &[PublicKey]) -> Result<&'a [u8], ManifestError> {
    let (body, line) = split_seal(octets)?;
    let line = std::str::from_utf8(line).map_err(|_| ManifestError::NoSeal)?;
    let mut words = line.split(' ');
    let (Some(SEAL_WORD), Some(id), Some(signature), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(ManifestError::NoSeal);
    };
    let id = KeyId::from_hex(id).ok_or(ManifestError::NoSeal)?;
    let signature = STANDARD
        .decode(signature)
        .map_err(|_| ManifestError::NoSeal)?;
    let key = pins
        .iter()
        .find(|pin| pin.id() == id)
        .ok_or(ManifestError::UnknownKey { id })?;
    if !key.verifies(body, &signature) {
        return Err(ManifestError::BadSeal { id });
    }
    Ok(body)
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Longer than [`MAX_MANIFEST_OCTETS`].
    #[error("the manifest is {octets} octets long, more than {MAX_MANIFEST_OCTETS}")]
    TooLong {
        /// Its length.
        octets: usize,
    },
    /// The last line is not a seal: torn, or never sealed.
    #[error("the manifest does not end in a seal line")]
    NoSeal,
    /// Sealed by a key that is not pinned here.
    #[error("the manifest is sealed by key {id}, which is not pinned")]
    UnknownKey {
        /// The key the seal names.
        id: KeyId,
    },
    /// The seal does not fit the octets.
    #[error("the seal of key {id} does not fit the manifest's octets")]
    BadSeal {
        /// The key the seal names.
        id: KeyId,
    },
    /// Sealed, but not the JSON we know.
    #[error("the manifest's JSON is not what format {FORMAT} says")]
    Json(#[from] serde_json::Error),
    /// Another format version.
    #[error("the manifest has format {found}, this program reads {FORMAT}")]
    Format {
        /// What it says.
        found: u32,
    },
    /// Ends before it begins.
    #[error("valid_until is not after sealed_at")]
    NeverValid,
    /// The chain must rise.
    #[error("number {number} is not above the previous number {previous}")]
    NumberNotAbovePrevious {
        /// Its own.
        number: u64,
        /// The one it says it follows.
        previous: u64,
    },
    /// A name that could escape its folder or confuse a log.
    #[error("object name {name:?} is not plain letters, digits, '.', '_' and '-'")]
    BadName {
        /// The name.
        name: String,
    },
    /// Encoded forms that nobody would have made.
    #[error("document {name:?} is encoded twice alike, or a form is no smaller than the document")]
    BadEncodings {
        /// The document.
        name: String,
    },
    /// Two documents under one path.
    #[error("two documents are called {name:?}")]
    NamedTwice {
        /// The name.
        name: String,
    },
}

/// The manifest format this program writes and reads.
pub const FORMAT: u32 = 1;
/// Three hundred thousand objects fit, more than four issuers of the most shards have; a larger text is refused unread. An
/// edge reads it before it can know whose it is, so it must not be what a small machine dies of.
pub const MAX_MANIFEST_OCTETS: usize = 128 << 20;
const SEAL_WORD: &str = "hufu-seal";

#[cfg(test)]
mod tests;
