//! The status file, version 1. All integers are little endian.
//!
//! | offset | octets | field |
//! |---|---|---|
//! | 0 | 8 | `HUFUSTAT` |
//! | 8 | 2 | version, 1 |
//! | 10 | 1 | serial octets S: the longest serial in the file |
//! | 11 | 5 | zero |
//! | 16 | 16 | issuer id |
//! | 32 | 16 | hash key |
//! | 48 | 8 | registry revision the file shows |
//! | 56 | 8 | records N |
//! | 64 | 16 | sum of the records' fingerprints, modulo 2¹²⁸ |
//! | 80 | 16 | zero |
//! | 96 | 32 | BLAKE3 of octets 0–95 and the table |
//! | 128 | N × (S + 13) | records, by keyed hash of the serial, then by serial: the order of batches and packs, however many shards |
//! | … | ⌈N / 4,096⌉ × 40 | table: of each block of 4,096 records the first record's hash (8) and the block's BLAKE3 (32) |
//!
//! A record is the serial (S, sign-extended), status code (1), time of revocation (4), notAfter (8). The header names the
//! table's hash, the table each block's, so that a block read alone is as trustworthy as the file read whole.
//!
//! A fingerprint is the first 16 octets of the BLAKE3 of a record whose serial is 32 octets wide; their sum does not
//! depend on any order, so the database's own rows, in whatever order they come, are held against it.

use super::{Entry, Identity, StatusError};
use crate::durable::{Existing, Pending, Secrecy};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use wire::serial::{MAX_SERIAL_OCTETS, Serial};
use wire::status::CertStatus;

/// Octets of the header.
const HEADER: usize = 128;
/// Of these, before the hash.
const HASHED: usize = 96;
/// Octets of a record beside its serial.
const BESIDE_SERIAL: usize = 13;
/// Octets of a table entry.
const TABLE_ENTRY: usize = 40;
/// Records a block.
pub(super) const BLOCK: usize = 4_096;
const MAGIC: &[u8; 8] = b"HUFUSTAT";
const VERSION: u16 = 1;
const _: () = assert!(HASHED + 32 == HEADER);

/// An open status file; its header and table are verified, its blocks as they are read.
#[derive(Debug)]
pub struct StatusFile {
    file: File,
    path: PathBuf,
    serial_octets: usize,
    /// The registry revision it shows.
    pub revision: u64,
    /// Records in it.
    pub records: u64,
    /// Sum of their fingerprints.
    pub sum: u128,
    /// First hash and BLAKE3 of each block.
    table: Vec<(u64, [u8; 32])>,
}

impl StatusFile {
    /// Opens the file and verifies header, table and length.
    ///
    /// # Errors
    /// [`StatusError::File`] if it cannot be read (or is not there), [`StatusError::Damaged`] if it is not ours.
    pub fn open(path: &Path, identity: &Identity) -> Result<Self, StatusError> {
        let failed = |source| StatusError::File {
            path: path.to_owned(),
            source,
        };
        let damaged = |offset, why| StatusError::Damaged {
            path: path.to_owned(),
            offset,
            why,
        };
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)
            .map_err(|_| damaged(0, "it is shorter than its header"))?;
        let fields = Fields::read(&header);
        if fields.magic != *MAGIC || fields.version != VERSION {
            return Err(damaged(0, "it is no status file of version 1"));
        }
        if fields.issuer != identity.issuer.0 || fields.hash_key != identity.hash_key.0 {
            return Err(damaged(16, "it is another issuer's"));
        }
        let serial_octets = usize::from(fields.serial_octets);
        if !(1..=MAX_SERIAL_OCTETS).contains(&serial_octets) {
            return Err(damaged(10, "no serial is so long"));
        }
        let blocks = fields.records.div_ceil(BLOCK as u64);
        let width = (serial_octets + BESIDE_SERIAL) as u64;
        let table_at = fields.records.saturating_mul(width);
        let table_at = table_at.saturating_add(HEADER as u64);
        // Held against the file's length before anything of that size is allocated.
        if table_at.saturating_add(blocks.saturating_mul(TABLE_ENTRY as u64)) != length {
            return Err(damaged(56, "its length is not what its header says"));
        }
        let mut table = vec![0; (length - table_at) as usize];
        file.read_exact_at(&mut table, table_at).map_err(failed)?;
        if header_hash(&header, &table) != fields.blake3 {
            return Err(damaged(96, "header and table do not match their hash"));
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            serial_octets,
            revision: fields.revision,
            records: fields.records,
            sum: fields.sum,
            table: table.chunks_exact(TABLE_ENTRY).map(table_entry).collect(),
        })
    }

    /// Octets of its longest serial.
    #[must_use]
    pub fn serial_octets(&self) -> usize {
        self.serial_octets
    }

    /// Blocks in it.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.table.len()
    }

    /// The block in which the first record of at least this hash stands, or the one before it.
    #[must_use]
    pub fn block_of(&self, hash: u64) -> usize {
        self.table
            .partition_point(|(first, _)| *first < hash)
            .saturating_sub(1)
    }

    /// Reads a block into `entries`, verified.
    ///
    /// # Errors
    /// [`StatusError::Damaged`] if a bit of it differs from what was written.
    pub fn read_block(
        &self,
        block: usize,
        octets: &mut Vec<u8>,
        entries: &mut Vec<Entry>,
    ) -> Result<(), StatusError> {
        entries.clear();
        let Some((_, blake3)) = self.table.get(block) else {
            return Ok(());
        };
        let width = self.serial_octets + BESIDE_SERIAL;
        let first = (block * BLOCK) as u64;
        let records = (self.records - first).min(BLOCK as u64) as usize;
        let offset = HEADER as u64 + first * width as u64;
        let damaged = |why| StatusError::Damaged {
            path: self.path.clone(),
            offset,
            why,
        };
        octets.resize(records * width, 0);
        self.file
            .read_exact_at(octets, offset)
            .map_err(|source| StatusError::File {
                path: self.path.clone(),
                source,
            })?;
        if blake3::hash(octets).as_bytes() != blake3 {
            return Err(damaged("a block does not match its hash"));
        }
        for record in octets.chunks_exact(width) {
            let entry = decode(record, self.serial_octets);
            entries.push(entry.ok_or_else(|| damaged("a record cannot be read"))?);
        }
        Ok(())
    }
}

/// A status file being written, in order.
pub struct Writer {
    pending: Pending,
    path: PathBuf,
    identity: Identity,
    serial_octets: usize,
    records: u64,
    sum: u128,
    block: Vec<u8>,
    first: u64,
    table: Vec<u8>,
}

impl Writer {
    /// Begins a file for serials of at most `serial_octets` octets; it takes the place of the one at `path` when finished.
    ///
    /// # Errors
    /// [`StatusError::File`].
    pub fn create(
        path: &Path,
        identity: Identity,
        serial_octets: usize,
    ) -> Result<Self, StatusError> {
        let pending = Pending::create(path, Secrecy::Private);
        let mut writer = Self {
            pending: pending.map_err(|source| StatusError::File {
                path: path.to_owned(),
                source,
            })?,
            path: path.to_owned(),
            identity,
            serial_octets: serial_octets.clamp(1, MAX_SERIAL_OCTETS),
            records: 0,
            sum: 0,
            block: Vec::with_capacity(BLOCK * (MAX_SERIAL_OCTETS + BESIDE_SERIAL)),
            first: 0,
            table: Vec::new(),
        };
        writer.write(&[0; HEADER])?;
        Ok(writer)
    }

    /// Adds the next entry in order; `hash` is its serial's.
    ///
    /// # Errors
    /// [`StatusError::File`]; [`StatusError::Unsayable`] for what no record holds.
    pub fn push(&mut self, hash: u64, entry: &Entry) -> Result<(), StatusError> {
        if self.block.is_empty() {
            self.first = hash;
        }
        encode(entry, self.serial_octets, &mut self.block)
            .ok_or(StatusError::Unsayable(entry.serial))?;
        self.sum = self.sum.wrapping_add(fingerprint(entry)?);
        self.records += 1;
        if self.records.is_multiple_of(BLOCK as u64) {
            self.end_block()?;
        }
        Ok(())
    }

    /// Ends the file, which shows `revision`, and puts it in place.
    ///
    /// # Errors
    /// [`StatusError::File`]; the file that was there stays then.
    pub fn finish(mut self, revision: u64) -> Result<StatusFile, StatusError> {
        if !self.block.is_empty() {
            self.end_block()?;
        }
        let table = std::mem::take(&mut self.table);
        self.write(&table)?;
        let header = Fields {
            magic: *MAGIC,
            version: VERSION,
            serial_octets: self.serial_octets as u8,
            issuer: self.identity.issuer.0,
            hash_key: self.identity.hash_key.0,
            revision,
            records: self.records,
            sum: self.sum,
            blake3: [0; 32],
        };
        let mut octets = header.write();
        let blake3 = header_hash(&octets, &table);
        if let Some(place) = octets.get_mut(HASHED..) {
            place.copy_from_slice(&blake3);
        }
        let path = self.path.clone();
        let failed = |source| StatusError::File {
            path: path.clone(),
            source,
        };
        let file = self.pending.file();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.write_all(&octets).map_err(failed)?;
        self.pending.publish(Existing::Replace).map_err(failed)?;
        StatusFile::open(&path, &self.identity)
    }

    fn end_block(&mut self) -> Result<(), StatusError> {
        let block = std::mem::take(&mut self.block);
        self.table.extend_from_slice(&self.first.to_le_bytes());
        self.table
            .extend_from_slice(blake3::hash(&block).as_bytes());
        self.write(&block)?;
        self.block = block;
        self.block.clear();
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> Result<(), StatusError> {
        let written: io::Result<()> = self.pending.write_all(octets);
        written.map_err(|source| StatusError::File {
            path: self.path.clone(),
            source,
        })
    }
}

/// What tells a record from every other, whatever file it stands in.
///
/// # Errors
/// [`StatusError::Unsayable`].
pub fn fingerprint(entry: &Entry) -> Result<u128, StatusError> {
    let mut octets = Vec::with_capacity(MAX_SERIAL_OCTETS + BESIDE_SERIAL);
    encode(entry, MAX_SERIAL_OCTETS, &mut octets).ok_or(StatusError::Unsayable(entry.serial))?;
    let hash = blake3::hash(&octets);
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 octets");
    Ok(u128::from_le_bytes(*first))
}

/// Writes one record; none if it cannot be said.
pub(super) fn encode(entry: &Entry, serial_octets: usize, out: &mut Vec<u8>) -> Option<()> {
    let time = entry.status.time()?;
    let padded = entry.serial.padded(serial_octets)?;
    out.extend_from_slice(padded.as_ref());
    out.push(entry.status.code());
    out.extend_from_slice(&time.to_le_bytes());
    out.extend_from_slice(&entry.not_after.to_le_bytes());
    Some(())
}

/// Reads one record.
pub(super) fn decode(record: &[u8], serial_octets: usize) -> Option<Entry> {
    let (serial, rest) = record.split_at_checked(serial_octets)?;
    let (code, rest) = rest.split_first()?;
    let (time, not_after) = rest.split_at_checked(4)?;
    Some(Entry {
        serial: Serial::from_padded(serial).ok()?,
        status: CertStatus::from_code(*code, u32::from_le_bytes(time.try_into().ok()?)).ok()?,
        not_after: u64::from_le_bytes(not_after.try_into().ok()?),
    })
}

/// Octets of a record of the widest serial.
pub(super) const WIDEST: usize = MAX_SERIAL_OCTETS + BESIDE_SERIAL;

fn header_hash(header: &[u8; HEADER], table: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header.get(..HASHED).unwrap_or_default());
    hasher.update(table);
    *hasher.finalize().as_bytes()
}

fn table_entry(octets: &[u8]) -> (u64, [u8; 32]) {
    let (mut first, mut blake3) = ([0; 8], [0; 32]);
    let (one, other) = octets.split_at(8);
    first.copy_from_slice(one);
    blake3.copy_from_slice(other);
    (u64::from_le_bytes(first), blake3)
}

/// The header's fields.
struct Fields {
    magic: [u8; 8],
    version: u16,
    serial_octets: u8,
    issuer: [u8; 16],
    hash_key: [u8; 16],
    revision: u64,
    records: u64,
    sum: u128,
    blake3: [u8; 32],
}

impl Fields {
    fn read(octets: &[u8; HEADER]) -> Self {
        fn at<const N: usize>(octets: &[u8; HEADER], offset: usize) -> [u8; N] {
            let field = octets.get(offset..).and_then(|rest| rest.first_chunk());
            *field.expect("all fields lie in the header")
        }
        Self {
            magic: at(octets, 0),
            version: u16::from_le_bytes(at(octets, 8)),
            serial_octets: at::<1>(octets, 10)[0],
            issuer: at(octets, 16),
            hash_key: at(octets, 32),
            revision: u64::from_le_bytes(at(octets, 48)),
            records: u64::from_le_bytes(at(octets, 56)),
            sum: u128::from_le_bytes(at(octets, 64)),
            blake3: at(octets, 96),
        }
    }

    fn write(&self) -> [u8; HEADER] {
        let mut octets = [0; HEADER];
        let mut put = |offset: usize, field: &[u8]| {
            let place = octets.get_mut(offset..offset + field.len());
            place
                .expect("all fields lie in the header")
                .copy_from_slice(field);
        };
        put(0, &self.magic);
        put(8, &self.version.to_le_bytes());
        put(10, &[self.serial_octets]);
        put(16, &self.issuer);
        put(32, &self.hash_key);
        put(48, &self.revision.to_le_bytes());
        put(56, &self.records.to_le_bytes());
        put(64, &self.sum.to_le_bytes());
        put(96, &self.blake3);
        octets
    }
}
