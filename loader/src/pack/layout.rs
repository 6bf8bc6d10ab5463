//! **The** byte table of a pack file, format version 1. Nothing else in the workspace knows an offset in a pack.
//!
//! All integers little endian. Sections follow one another in this order, each padded with zeros to a multiple of 8;
//! [`Sections::of`] computes where each lies from the counts alone, for the writer and for the reader, and a header
//! that says otherwise is refused.
//!
//! ```text
//! first read, at open: the header and the tables, a few kilobytes
//!   0      header, 256 octets: Header below
//!   256    issuer certificate, DER
//!          variants      variant_count × 16: VariantRow
//!          responders    groups × slots × 48: ResponderRow, group by group
//!          windows       window_count × 32: WindowRow
//!          blob          the octets that variant and responder rows point at: CertID prefixes, whole [0] certs TLVs
//! third read, per question: one bucket's records, and the one that is found
//!          records       record_count × record_octets, sorted by (rest, serial content); wire::record says the fields
//! second read, per question: two neighbouring numbers
//!          directory     (buckets + 1) × u32: the first record of each bucket, then record_count
//!          filter        deltas only: buckets × u64, four bits set for each record of the bucket
//! ```
//!
//! `(shard, rest) = wire::serial::shard(SipHash-1-3(hash_key, serial content), shards)`, and the bucket of a record is
//! `rest × buckets ÷ 2^64` ([`super::index`]). A delta spans all shards: it says `shards` 1, `shard` 0. As the split is
//! monotone, a delta is sorted by the hash itself.
//!
//! Records stand before the directory because the writer streams: the directory is known when the last record is.
//! A record of one variant with 64-octet signatures and 20-octet serials takes 91 octets and the directory one more;
//! the filter of a delta takes two.
//!
//! Version rules: a reader refuses every version but its own. A new version gets a new number and, for as long as a
//! published generation may hold the old one, its own reader.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first 256 octets.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Header {
    /// 0: [`MAGIC`].
    pub magic: [u8; 8],
    /// 8: [`VERSION`].
    pub version: U16,
    /// 10: [`KIND_BASE`] or [`KIND_DELTA`].
    pub kind: U16,
    /// 12: [`HEADER_OCTETS`].
    pub header_octets: U32,
    /// 16: from the header's end to the records.
    pub tables_octets: U64,
    /// 24: the whole file.
    pub file_octets: U64,
    /// 32: whose certificates these are.
    pub issuer_id: [u8; 16],
    /// 48: key of the hash of serials, one an issuer.
    pub hash_key: [u8; 16],
    /// 64: in how many shards the issuer's base packs are split; 1 for a delta.
    pub shards: U32,
    /// 68: which of them this is; 0 for a delta.
    pub shard: U32,
    /// 72: the registry revision that a base reaches; a delta's records are true at it, and more may have changed up to there.
    pub revision: U64,
    /// 80: number of the newest signer batch in it; settles equal revisions.
    pub batch: U64,
    /// 88: records.
    pub record_count: U64,
    /// 96: octets of one record.
    pub record_octets: U32,
    /// 100: octets of a record's serial, sign-extended on the left.
    pub serial_octets: u8,
    /// 101: signatures of one record.
    pub variant_count: u8,
    /// 102: responders of one group.
    pub slots: U16,
    /// 104: groups of responders.
    pub groups: U16,
    /// 106: [`FLAG_REPLAYED`] or 0.
    pub flags: U16,
    /// 108: windows, at most 65,536.
    pub window_count: U32,
    /// 112: buckets of the directory: [`buckets_for`] the records the writer expected.
    pub buckets: U64,
    /// 120: the clock a replayed CRL was judged by; 0 if not replayed. Unix seconds.
    pub as_of: U64,
    /// 128: offset of the variants.
    pub variants: U64,
    /// 136: offset of the responders.
    pub responders: U64,
    /// 144: offset of the windows.
    pub windows: U64,
    /// 152: offset of the records.
    pub records: U64,
    /// 160: offset of the directory.
    pub directory: U64,
    /// 168: offset of the filter; 0 if there is none.
    pub filter: U64,
    /// 176: when the newest batch read the registry. Unix seconds.
    pub created_at: U64,
    /// 184: octets of the issuer certificate, which begins at 256.
    pub issuer_certificate_octets: U32,
    /// 188: zeros.
    pub reserved: [u8; 4],
    /// 192: the BLAKE3 of the CRL these records repeat; zeros for the own registry.
    pub crl_blake3: [u8; 32],
    /// 224: the BLAKE3 of this header, with this field zero, and the tables.
    pub tables_blake3: [u8; 32],
}

/// One signature of each record: for which `CertID`, by which algorithm.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct VariantRow {
    /// 0: `wire::cert_id::CertIdForm`.
    pub form: u8,
    /// 1: `wire::algorithm::SignatureAlgorithm`.
    pub algorithm: u8,
    /// 2: which responder of a window's group signs it.
    pub slot: U16,
    /// 4: offset of the `CertID` prefix in the file.
    pub prefix: U32,
    /// 8: its octets.
    pub prefix_octets: U32,
    /// 12: zeros.
    pub reserved: [u8; 4],
}

/// One responder: who signs, and when its certificate lets it.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ResponderRow {
    /// 0: the responderID: SHA-1 of the public key's bits.
    pub key_hash: [u8; 20],
    /// 20: `wire::algorithm::SignatureAlgorithm`.
    pub algorithm: u8,
    /// 21: zeros.
    pub reserved: [u8; 3],
    /// 24: offset in the file of the whole `[0]` certs TLV of its responses.
    pub certs: U32,
    /// 28: its octets; 0 if none is sent.
    pub certs_octets: U32,
    /// 32: the certificate's notBefore, Unix seconds.
    pub not_before: U64,
    /// 40: the certificate's notAfter, Unix seconds.
    pub not_after: U64,
}

/// One window: the times a response carries, and which group signed it.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct WindowRow {
    /// 0: thisUpdate, Unix seconds.
    pub this_update: U64,
    /// 8: nextUpdate, Unix seconds.
    pub next_update: U64,
    /// 16: producedAt, Unix seconds.
    pub produced_at: U64,
    /// 24: group of responders.
    pub group: U16,
    /// 26: zeros.
    pub reserved: [u8; 6],
}

const _: () = {
    assert!(size_of::<Header>() == HEADER_OCTETS);
    assert!(std::mem::offset_of!(Header, shards) == 64);
    assert!(std::mem::offset_of!(Header, variants) == 128);
    assert!(std::mem::offset_of!(Header, crl_blake3) == 192);
    assert!(std::mem::offset_of!(Header, tables_blake3) == 224);
    assert!(size_of::<VariantRow>() == 16);
    assert!(size_of::<ResponderRow>() == 48);
    assert!(size_of::<WindowRow>() == 32);
};

/// Where each section lies; a pure function of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sections {
    /// The variant rows.
    pub variants: u64,
    /// The responder rows.
    pub responders: u64,
    /// The window rows.
    pub windows: u64,
    /// The blob behind the rows.
    pub blob: u64,
    /// The records.
    pub records: u64,
    /// The directory.
    pub directory: u64,
    /// The filter; 0 if there is none.
    pub filter: u64,
    /// The end of the file.
    pub end: u64,
}

impl Sections {
    /// Computes them from the counts in `header` and the blob's octets; `None` if a number overflows, which only a
    /// forged header makes happen.
    pub fn of(header: &Header, blob_octets: u64) -> Option<Sections> {
        let rows = |count: u64, octets: usize| count.checked_mul(octets as u64);
        let responders_count = u64::from(header.groups) * u64::from(header.slots);
        let variants = after(
            HEADER_OCTETS as u64,
            u64::from(header.issuer_certificate_octets),
        )?;
        let responders = after(
            variants,
            rows(header.variant_count.into(), size_of::<VariantRow>())?,
        )?;
        let windows = after(
            responders,
            rows(responders_count, size_of::<ResponderRow>())?,
        )?;
        let blob = after(
            windows,
            rows(header.window_count.into(), size_of::<WindowRow>())?,
        )?;
        let records = after(blob, blob_octets)?;
        let directory = after(
            records,
            u64::from(header.record_count).checked_mul(header.record_octets.into())?,
        )?;
        let buckets = u64::from(header.buckets);
        let behind = after(directory, rows(buckets.checked_add(1)?, size_of::<u32>())?)?;
        let (filter, end) = if header.kind == KIND_DELTA {
            (behind, after(behind, rows(buckets, size_of::<u64>())?)?)
        } else {
            (0, behind)
        };
        Some(Sections {
            variants,
            responders,
            windows,
            blob,
            records,
            directory,
            filter,
            end,
        })
    }
}

impl Sections {
    /// Writes the offsets and lengths into the header.
    pub(super) fn write_to(&self, header: &mut Header) {
        header.variants = self.variants.into();
        header.responders = self.responders.into();
        header.windows = self.windows.into();
        header.records = self.records.into();
        header.directory = self.directory.into();
        header.filter = self.filter.into();
        header.file_octets = self.end.into();
        header.tables_octets = (self.records - HEADER_OCTETS as u64).into();
    }

    /// True if the header says the same: a second opinion on every offset.
    pub(super) fn agree_with(&self, header: &Header) -> bool {
        let mut own = *header;
        self.write_to(&mut own);
        own.as_bytes() == header.as_bytes()
    }
}

/// The next multiple of 8 behind a section.
fn after(begin: u64, octets: u64) -> Option<u64> {
    begin.checked_add(octets)?.checked_next_multiple_of(8)
}

/// Four records a bucket on average: the directory costs one octet a record, and a bucket of 91-octet records spans
/// six cache lines whose addresses are all known at once, so reading it costs little more than reading one.
pub fn buckets_for(records: u64) -> u64 {
    records.div_ceil(RECORDS_A_BUCKET).max(1)
}

/// The first 8 octets.
pub const MAGIC: [u8; 8] = *b"HUFUPACK";
/// The only version so far.
pub const VERSION: u16 = 1;
/// All records of a shard.
pub const KIND_BASE: u16 = 1;
/// Records changed since, of all shards.
pub const KIND_DELTA: u16 = 2;
/// The records repeat a CRL past its nextUpdate (`--as-of`).
pub const FLAG_REPLAYED: u16 = 1;
/// Octets of [`Header`].
pub const HEADER_OCTETS: usize = 256;
/// Windows are named by two octets.
pub const MAX_WINDOWS: usize = 1 << 16;
/// A base pack each: more would be more files than a store should hold. Opening allocates a place for each.
pub const MAX_SHARDS: u32 = 1 << 16;
/// The directory holds four-octet record numbers.
pub const MAX_RECORDS: u64 = u32::MAX as u64;
/// Header and tables are hashed at each opening; 65,536 windows and a thousand certificates take less than this.
pub const MAX_TABLES_OCTETS: u64 = 64 << 20;
/// The mean; see [`buckets_for`].
const RECORDS_A_BUCKET: u64 = 4;
