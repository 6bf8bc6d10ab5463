//! The header of a batch.
//!
//! ```text
//!   0  magic 8 "HUFUBTCH" · version u16 · kind u16 · header_octets u32
//!  16  issuer_id 16 · number u64 · revision u64 · created_at u64 · hash_key 16 · shards u32 · shard u32
//!  80  source u8 · replayed u8 · serial_octets u8 · reserved u8 · as_of u64 · crl_blake3 32 · crl_next_update u64
//! 132  record_count u64 · record_octets u32
//! 144  sections, each u32 length + octets, in this order:
//!      issuer certificate DER
//!      variants    u16 count, each: form u8 · algorithm u8 · slot u16 · name_hash (u8 + octets) · key_hash (u8 + octets)
//!      responders  u16 slots · u16 groups, slots × groups entries, group by group:
//!                  algorithm u8 · key_hash 20 · not_before u64 · not_after u64 · certificate (u32 + DER)
//!      windows     u32 count, each: this_update u64 · next_update u64 · produced_at u64 · group u16
//!      documents   u16 count, each: kind u8 · name (u16 + UTF-8) · DER (u32 + octets)
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use super::{MAGIC, MAX_HEADER_OCTETS, MAX_WINDOWS, PREFIX_OCTETS, VERSION};
use crate::algorithm::SignatureAlgorithm;
use crate::cert_id::{CertIdForm, IssuerId};
use crate::record::{MAX_VARIANTS, RecordLayout};
use crate::serial::SerialHashKey;
use crate::time::UnixSeconds;
use crate::{DecodeError, Rule};

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

/// The length of the whole header, from its first [`PREFIX_OCTETS`] octets.
pub fn header_octets(prefix: &[u8]) -> Result<usize, DecodeError> {
    let mut input = Input::new(prefix);
    let (_, octets) = read_prefix(&mut input)?;
    Ok(octets)
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

    /// The octets of this header. What [`check`](Self::check) refuses is refused here too.
    pub fn encode(&self) -> Result<Vec<u8>, Rule> {
        self.check()?;
        let record_octets = u32::try_from(self.layout()?.record_octets()).map_err(range)?;
        let mut sections = Vec::new();
        section(&mut sections, |out| {
            out.extend_from_slice(&self.issuer_certificate);
            Ok(())
        })?;
        section(&mut sections, |out| self.put_variants(out))?;
        section(&mut sections, |out| self.put_responders(out))?;
        section(&mut sections, |out| self.put_windows(out))?;
        section(&mut sections, |out| self.put_documents(out))?;
        let header_octets = u32::try_from(FIXED_OCTETS + sections.len())
            .ok()
            .filter(|&octets| octets <= MAX_HEADER_OCTETS)
            .ok_or(Rule::TooLong)?;

        let (source, replayed, as_of, blake3, next_update) = match self.source {
            Source::Registry => (1, 0, 0, [0; 32], 0),
            Source::ForeignCrl {
                blake3,
                next_update,
                as_of,
            } => (
                2,
                u8::from(as_of.is_some()),
                as_of.unwrap_or(0),
                blake3,
                next_update.unwrap_or(0),
            ),
        };
        let mut out = Vec::with_capacity(FIXED_OCTETS + sections.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.kind.code().to_le_bytes());
        out.extend_from_slice(&header_octets.to_le_bytes());
        out.extend_from_slice(&self.issuer_id.0);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&self.created_at.to_le_bytes());
        out.extend_from_slice(&self.hash_key.0);
        out.extend_from_slice(&self.shards.to_le_bytes());
        out.extend_from_slice(&self.shard.to_le_bytes());
        out.extend_from_slice(&[source, replayed, self.serial_octets, 0]);
        out.extend_from_slice(&as_of.to_le_bytes());
        out.extend_from_slice(&blake3);
        out.extend_from_slice(&next_update.to_le_bytes());
        out.extend_from_slice(&self.record_count.to_le_bytes());
        out.extend_from_slice(&record_octets.to_le_bytes());
        out.extend_from_slice(&sections);
        Ok(out)
    }

    /// Reads a header from the front of `octets`. Gives it and the octets it has, at which records start.
    pub fn parse(octets: &[u8]) -> Result<(Self, usize), DecodeError> {
        let mut input = Input::new(octets);
        let (kind, header_octets) = read_prefix(&mut input)?;
        let mut input = input.limited(header_octets)?;
        let issuer_id = IssuerId(input.array()?);
        let number = input.u64()?;
        let revision = input.u64()?;
        let created_at = input.u64()?;
        let hash_key = SerialHashKey(input.array()?);
        let shards = input.u32()?;
        let shard = input.u32()?;
        let source_at = input.offset;
        let [source, replayed, serial_octets, reserved] = input.array()?;
        if reserved != 0 {
            return Err(Rule::ReservedNotZero.at(source_at + 3));
        }
        let as_of = input.u64()?;
        let blake3 = input.array()?;
        let next_update = input.u64()?;
        let source = match (source, replayed) {
            (1, 0) if as_of == 0 && blake3 == [0; 32] && next_update == 0 => Source::Registry,
            (2, 0 | 1) if (replayed == 1) == (as_of != 0) => Source::ForeignCrl {
                blake3,
                next_update: (next_update != 0).then_some(next_update),
                as_of: (as_of != 0).then_some(as_of),
            },
            _ => return Err(Rule::CodeUnknown.at(source_at)),
        };
        let record_count = input.u64()?;
        let record_octets_at = input.offset;
        let record_octets = input.u32()?;
        let issuer_certificate = Vec::from(input.section()?.rest);
        let variants = read_variants(input.section()?)?;
        let (slots, responders) = read_responders(input.section()?)?;
        let windows = read_windows(input.section()?)?;
        let documents = read_documents(input.section()?)?;
        input.finish()?;
        let header = Self {
            kind,
            issuer_id,
            number,
            revision,
            created_at,
            hash_key,
            shards,
            shard,
            source,
            serial_octets,
            record_count,
            issuer_certificate,
            variants,
            slots,
            responders,
            windows,
            documents,
        };
        header.check().map_err(|rule| rule.at(PREFIX_OCTETS))?;
        let layout = header.layout().map_err(|rule| rule.at(record_octets_at))?;
        if usize::try_from(record_octets) != Ok(layout.record_octets()) {
            return Err(Rule::RecordWidth.at(record_octets_at));
        }
        Ok((header, header_octets))
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
                .all(|document| is_file_name(&document.name))
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

    fn put_variants(&self, out: &mut Vec<u8>) -> Result<(), Rule> {
        put_u16(out, self.variants.len())?;
        for variant in &self.variants {
            out.extend_from_slice(&[variant.form.code(), variant.algorithm.code()]);
            out.extend_from_slice(&variant.slot.to_le_bytes());
            for hash in [&variant.name_hash, &variant.key_hash] {
                out.push(u8::try_from(hash.len()).map_err(range)?);
                out.extend_from_slice(hash);
            }
        }
        Ok(())
    }

    fn put_responders(&self, out: &mut Vec<u8>) -> Result<(), Rule> {
        out.extend_from_slice(&self.slots.to_le_bytes());
        put_u16(out, self.groups())?;
        for responder in &self.responders {
            out.push(responder.algorithm.code());
            out.extend_from_slice(&responder.key_hash);
            out.extend_from_slice(&responder.not_before.to_le_bytes());
            out.extend_from_slice(&responder.not_after.to_le_bytes());
            put_u32(out, responder.certificate.len())?;
            out.extend_from_slice(&responder.certificate);
        }
        Ok(())
    }

    fn put_windows(&self, out: &mut Vec<u8>) -> Result<(), Rule> {
        put_u32(out, self.windows.len())?;
        for window in &self.windows {
            out.extend_from_slice(&window.this_update.to_le_bytes());
            out.extend_from_slice(&window.next_update.to_le_bytes());
            out.extend_from_slice(&window.produced_at.to_le_bytes());
            out.extend_from_slice(&window.group.to_le_bytes());
        }
        Ok(())
    }

    fn put_documents(&self, out: &mut Vec<u8>) -> Result<(), Rule> {
        put_u16(out, self.documents.len())?;
        for document in &self.documents {
            out.push(document.kind.code());
            put_u16(out, document.name.len())?;
            out.extend_from_slice(document.name.as_bytes());
            put_u32(out, document.octets.len())?;
            out.extend_from_slice(&document.octets);
        }
        Ok(())
    }
}

/// Octets before the sections.
const FIXED_OCTETS: usize = 144;

impl Kind {
    const fn code(self) -> u16 {
        match self {
            Self::Full => 1,
            Self::Shard => 2,
            Self::Delta => 3,
            Self::Documents => 4,
        }
    }
}

impl DocumentKind {
    const fn code(self) -> u8 {
        match self {
            Self::Crl => 1,
            Self::IssuerCertificate => 2,
            Self::OtherCertificate => 3,
        }
    }
}

fn read_prefix(input: &mut Input<'_>) -> Result<(Kind, usize), DecodeError> {
    if input.array()? != MAGIC {
        return Err(Rule::Magic.at(0));
    }
    if input.u16()? != VERSION {
        return Err(Rule::FormatVersion.at(8));
    }
    let kind = match input.u16()? {
        1 => Kind::Full,
        2 => Kind::Shard,
        3 => Kind::Delta,
        4 => Kind::Documents,
        _ => return Err(Rule::CodeUnknown.at(10)),
    };
    let octets = input.u32()?;
    if octets > MAX_HEADER_OCTETS {
        return Err(Rule::TooLong.at(12));
    }
    Ok((
        kind,
        usize::try_from(octets).map_err(|_| Rule::TooLong.at(12))?,
    ))
}

fn read_variants(mut input: Input<'_>) -> Result<Vec<Variant>, DecodeError> {
    let count = usize::from(input.u16()?);
    if count > MAX_VARIANTS {
        return Err(input.error(Rule::FieldRange));
    }
    let mut variants = Vec::new();
    for _ in 0..count {
        let at = input.offset;
        let [form, algorithm] = input.array()?;
        let slot = input.u16()?;
        let length = input.u8()?;
        let name_hash = Vec::from(input.take(length.into())?);
        let length = input.u8()?;
        let key_hash = Vec::from(input.take(length.into())?);
        variants.push(Variant {
            form: CertIdForm::from_code(form).ok_or(Rule::CodeUnknown.at(at))?,
            algorithm: SignatureAlgorithm::from_code(algorithm)
                .ok_or(Rule::CodeUnknown.at(at + 1))?,
            slot,
            name_hash,
            key_hash,
        });
    }
    input.finish()?;
    Ok(variants)
}

fn read_responders(mut input: Input<'_>) -> Result<(u16, Vec<Responder>), DecodeError> {
    let slots = input.u16()?;
    let groups = input.u16()?;
    // Nothing is reserved ahead: the count is the file's word, the octets are its proof.
    let mut responders = Vec::new();
    for _ in 0..u32::from(slots) * u32::from(groups) {
        let at = input.offset;
        let algorithm = input.u8()?;
        let key_hash = input.array()?;
        let not_before = input.u64()?;
        let not_after = input.u64()?;
        let length = input.length()?;
        responders.push(Responder {
            algorithm: SignatureAlgorithm::from_code(algorithm).ok_or(Rule::CodeUnknown.at(at))?,
            key_hash,
            not_before,
            not_after,
            certificate: Vec::from(input.take(length)?),
        });
    }
    if slots == 0 && groups != 0 {
        return Err(input.error(Rule::FieldRange));
    }
    input.finish()?;
    Ok((slots, responders))
}

fn read_windows(mut input: Input<'_>) -> Result<Vec<Window>, DecodeError> {
    let count = input.length()?;
    if count > MAX_WINDOWS {
        return Err(input.error(Rule::FieldRange));
    }
    let mut windows = Vec::new();
    for _ in 0..count {
        windows.push(Window {
            this_update: input.u64()?,
            next_update: input.u64()?,
            produced_at: input.u64()?,
            group: input.u16()?,
        });
    }
    input.finish()?;
    Ok(windows)
}

fn read_documents(mut input: Input<'_>) -> Result<Vec<Document>, DecodeError> {
    let count = input.u16()?;
    let mut documents = Vec::new();
    for _ in 0..count {
        let at = input.offset;
        let kind = match input.u8()? {
            1 => DocumentKind::Crl,
            2 => DocumentKind::IssuerCertificate,
            3 => DocumentKind::OtherCertificate,
            _ => return Err(Rule::CodeUnknown.at(at)),
        };
        let length = input.u16()?;
        let name = core::str::from_utf8(input.take(length.into())?)
            .map_err(|_| Rule::NotUtf8.at(at))?
            .into();
        let length = input.length()?;
        documents.push(Document {
            kind,
            name,
            octets: Vec::from(input.take(length)?),
        });
    }
    input.finish()?;
    Ok(documents)
}

/// Names become file names and URL paths; nothing that could climb out of a folder or need escaping passes.
fn is_file_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'))
}

/// Appends a section: what `fill` writes, with its length before it.
fn section(
    out: &mut Vec<u8>,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Rule>,
) -> Result<(), Rule> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    fill(out)?;
    let length = u32::try_from(out.len() - start - 4).map_err(range)?;
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
    Ok(())
}

fn put_u16(out: &mut Vec<u8>, number: usize) -> Result<(), Rule> {
    out.extend_from_slice(&u16::try_from(number).map_err(range)?.to_le_bytes());
    Ok(())
}

fn put_u32(out: &mut Vec<u8>, number: usize) -> Result<(), Rule> {
    out.extend_from_slice(&u32::try_from(number).map_err(range)?.to_le_bytes());
    Ok(())
}

fn range(_: core::num::TryFromIntError) -> Rule {
    Rule::FieldRange
}

/// Reads little-endian numbers one after another.
struct Input<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Input<'a> {
    fn new(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            offset: 0,
        }
    }

    fn error(&self, rule: Rule) -> DecodeError {
        rule.at(self.offset)
    }

    fn take(&mut self, octets: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(octets)
            .ok_or(self.error(Rule::Truncated))?;
        self.rest = rest;
        self.offset += octets;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let error = self.error(Rule::Truncated);
        self.take(N)?.try_into().map_err(|_| error)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        let error = self.error(Rule::TooLong);
        usize::try_from(self.u32()?).map_err(|_| error)
    }

    fn section(&mut self) -> Result<Input<'a>, DecodeError> {
        let length = self.length()?;
        let offset = self.offset;
        Ok(Input {
            rest: self.take(length)?,
            offset,
        })
    }

    /// The same place, but ending where the header says it does.
    fn limited(&self, header_octets: usize) -> Result<Input<'a>, DecodeError> {
        let left = header_octets
            .checked_sub(self.offset)
            .ok_or(Rule::FieldRange.at(12))?;
        Ok(Input {
            rest: self.rest.get(..left).ok_or(self.error(Rule::Truncated))?,
            offset: self.offset,
        })
    }

    fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.error(Rule::TrailingOctets))
        }
    }
}
