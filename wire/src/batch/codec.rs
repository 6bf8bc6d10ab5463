//! The octets of a batch's header.
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
//!      documents   u16 count, each: kind u8 · name (u16 + UTF-8) · DER (u32 + octets); of kind 4, a list with its note,
//!                  before the DER: revision u64 · u32 count of expired serials, each u8 + octets, rising
//! ```

use alloc::vec::Vec;

use super::header::{Header, Kind, Source};
use super::input::Input;
use super::sections::{range, read_documents, read_responders, read_variants, read_windows};
use super::{MAGIC, MAX_HEADER_OCTETS, PREFIX_OCTETS, VERSION};
use crate::cert_id::IssuerId;
use crate::serial::SerialHashKey;
use crate::{DecodeError, Rule};

/// The length of the whole header, from its first [`PREFIX_OCTETS`] octets.
pub fn header_octets(prefix: &[u8]) -> Result<usize, DecodeError> {
    let mut input = Input::new(prefix);
    let (_, octets) = read_prefix(&mut input)?;
    Ok(octets)
}

/// What a batch does, from its first [`PREFIX_OCTETS`] octets; none if they are not a batch's.
pub fn kind_of(prefix: &[u8]) -> Option<Kind> {
    let (kind, _) = read_prefix(&mut Input::new(prefix)).ok()?;
    Some(kind)
}

impl Header {
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
}

/// Octets before the sections.
const FIXED_OCTETS: usize = 144;

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
