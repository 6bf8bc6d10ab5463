//! What a batch's header says, and what must hold between its parts. Its octets are in `codec`.

use alloc::string::String;
use alloc::vec::Vec;

use super::MAX_WINDOWS;
use crate::Rule;
use crate::algorithm::SignatureAlgorithm;
use crate::cert_id::{CertIdForm, IssuerId};
use crate::record::RecordLayout;
use crate::serial::{Serial, SerialHashKey};
use crate::time::UnixSeconds;

/// What a batch does to an issuer's packs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Takes the place of all of them.
    Full,
    /// Takes the place of base shard `shard`.
    Shard,
    /// Adds to them.
    Delta,
    /// Carries documents only, no records.
    Documents,
}

/// Where the status comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The signer's own registry.
    Registry,
    /// Another authority's CRL.
    ForeignCrl {
        /// BLAKE3 of its DER.
        blake3: [u8; 32],
        /// Its nextUpdate, if it has one.
        next_update: Option<UnixSeconds>,
        /// The time that replaced the clock when the CRL was judged, if it is replayed.
        as_of: Option<UnixSeconds>,
    },
}

/// One way an issuer's responses are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The form of its `CertID`.
    pub form: CertIdForm,
    /// What signs it.
    pub algorithm: SignatureAlgorithm,
    /// Which responder of a window's group signs it.
    pub slot: u16,
    /// Hash of the issuer's Name.
    pub name_hash: Vec<u8>,
    /// Hash of the issuer's public key.
    pub key_hash: Vec<u8>,
}

/// A delegated OCSP signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responder {
    /// What it signs with.
    pub algorithm: SignatureAlgorithm,
    /// SHA-1 of its public key: `responderID`.
    pub key_hash: [u8; 20],
    /// Start of its certificate's validity.
    pub not_before: UnixSeconds,
    /// End of its certificate's validity.
    pub not_after: UnixSeconds,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
}

/// The times shared by many records, and who signed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// `thisUpdate`.
    pub this_update: UnixSeconds,
    /// `nextUpdate`.
    pub next_update: UnixSeconds,
    /// `producedAt`.
    pub produced_at: UnixSeconds,
    /// The group of responders.
    pub group: u16,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentKind {
    /// A CRL, served under `/crl/`.
    Crl,
    /// The issuer's certificate, served under `/ca/`.
    IssuerCertificate,
    /// A root or another certificate, served under `/ca/`.
    OtherCertificate,
    /// A CMS message that holds certificates only (RFC 5280 §4.2.2.1), served under `/ca/`.
    CertificateBundle,
}

/// A file that is served as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// Its file name below its prefix: letters, digits, `.`, `-` and `_`, not starting with a dot.
    pub name: String,
    /// DER.
    pub octets: Vec<u8>,
    /// Of a list made from the signer's registry: what it can be held against.
    pub list: Option<ListNote>,
}

/// What the maker of a list knows of it that the list does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListNote {
    /// The registry revision it shows: every later difference has a later one.
    pub revision: u64,
    /// Serials revoked by then that are not on it any more, because a list made after their certificate expired had them
    /// (RFC 5280 §3.3), as long as they are still answered for. Rising.
    pub expired: Vec<Serial>,
}

/// The header of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it does.
    pub kind: Kind,
    /// Whose.
    pub issuer_id: IssuerId,
    /// Rises with every batch of this issuer.
    pub number: u64,
    /// The registry's revision up to which it speaks.
    pub revision: u64,
    /// When it was written.
    pub created_at: UnixSeconds,
    /// The key of shards and buckets.
    pub hash_key: SerialHashKey,
    /// How many shards this issuer has, at least one.
    pub shards: u32,
    /// Which one, for [`Kind::Shard`]; zero otherwise.
    pub shard: u32,
    /// Where the status comes from.
    pub source: Source,
    /// Width of the serial in a record.
    pub serial_octets: u8,
    /// How many records follow.
    pub record_count: u64,
    /// The issuer's certificate, DER.
    pub issuer_certificate: Vec<u8>,
    /// The ways responses are signed; a record has one signature of each, in this order.
    pub variants: Vec<Variant>,
    /// Responders a group has.
    pub slots: u16,
    /// Groups × slots responders, group by group.
    pub responders: Vec<Responder>,
    /// The windows that records name.
    pub windows: Vec<Window>,
    /// Files that come with it.
    pub documents: Vec<Document>,
}

impl Header {
    /// The layout of the records that follow.
    pub fn layout(&self) -> Result<RecordLayout, Rule> {
        RecordLayout::new(
            usize::from(self.serial_octets),
            self.variants.iter().map(|variant| variant.algorithm),
        )
    }

    /// The responder that signs a variant in a window.
    pub fn responder(&self, window: &Window, variant: &Variant) -> Option<&Responder> {
        let at = usize::from(window.group) * usize::from(self.slots) + usize::from(variant.slot);
        if variant.slot >= self.slots {
            return None;
        }
        self.responders.get(at)
    }

    /// How many groups of responders there are.
    pub fn groups(&self) -> usize {
        self.responders
            .len()
            .checked_div(usize::from(self.slots))
            .unwrap_or(0)
    }

    /// What must hold between the parts.
    pub fn check(&self) -> Result<(), Rule> {
        self.layout()?;
        let fits = self.shards >= 1
            && match self.kind {
                Kind::Shard => self.shard < self.shards,
                Kind::Full | Kind::Delta => self.shard == 0,
                Kind::Documents => self.shard == 0 && self.record_count == 0,
            }
            && self.windows.len() <= MAX_WINDOWS
            && self.variants.iter().all(|variant| {
                variant.slot < self.slots
                    && variant.name_hash.len() == variant.form.hash.octets()
                    && variant.key_hash.len() == variant.form.hash.octets()
            })
            && self.responders.len() == self.groups() * usize::from(self.slots)
            && self
                .windows
                .iter()
                .all(|window| usize::from(window.group) < self.groups())
            && self.variants.iter().all(|variant| {
                self.responders
                    .iter()
                    .skip(usize::from(variant.slot))
                    .step_by(usize::from(self.slots).max(1))
                    .all(|responder| responder.algorithm == variant.algorithm)
            })
            && (self.record_count == 0 || (!self.windows.is_empty() && !self.variants.is_empty()))
            && self
                .documents
                .iter()
                .all(|document| is_file_name(&document.name) && document.note_fits())
            && !matches!(
                self.source,
                Source::ForeignCrl { as_of: Some(0), .. }
                    | Source::ForeignCrl {
                        next_update: Some(0),
                        ..
                    }
            );
        if fits { Ok(()) } else { Err(Rule::FieldRange) }
    }
}

impl Document {
    /// Only a list has a note, and its serials rise.
    fn note_fits(&self) -> bool {
        self.list.as_ref().is_none_or(|note| {
            self.kind == DocumentKind::Crl
                && note.expired.windows(2).all(|pair| match pair {
                    [one, other] => one < other,
                    _ => true,
                })
        })
    }
}

/// Names become file names and URL paths; nothing that could climb out of a folder or need escaping passes.
fn is_file_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'))
}
