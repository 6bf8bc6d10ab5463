//! Records in, sorted; a pack file out, in one pass.
//!
//! Two properties to know before using it. The records must come in the pack's order (by hash of the serial, see
//! [`super::layout`]), as they stand in a signer's batch. And their number should be known about right before the first:
//! it decides the number of buckets; the exact one is counted and written into the header at the end. Memory is one octet
//! a record (three in a delta) plus a megabyte and the tables; the file's hash is computed while it is written.

use std::io::Write;
use std::path::{Path, PathBuf};

use wire::cert_id::IssuerId;
use wire::record::{RecordLayout, RecordRef};
use wire::serial::{Serial, SerialHashKey, shard};
use wire::status::CertStatus;
use zerocopy::{FromZeros, IntoBytes};

use super::flaw::Flaw;
use super::index::{MAX_BUCKET_RECORDS, bucket, filter_bits};
use super::late_hash::LateHash;
use super::layout::{FLAG_REPLAYED, Header, KIND_BASE, KIND_DELTA, buckets_for};
use super::spec::{PackSpec, Scope, WriteError};
use super::tables::Shared;
use super::verify::Tally;
use crate::digest::Digest;
use crate::durable::{At, Audience, Disk, DiskFile};
use crate::manifest::{IssuerHex, PackNote, Role};
use crate::object::Sealed;

/// A pack file being written.
pub struct PackWriter {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    hash: LateHash,
    buffer: Vec<u8>,
    octets: u64,
    header: Header,
    shared: Shared,
    record: RecordLayout,
    hash_key: SerialHashKey,
    shards: u32,
    windows: u32,
    delta: bool,
    pushed: u64,
    last_rest: u64,
    last_padded: Vec<u8>,
    /// First record of each bucket begun so far.
    directory: Vec<u32>,
    /// Filter word of each bucket, a delta's only.
    filter: Vec<u64>,
    tally: Tally,
}

impl PackWriter {
    /// Creates the file at `path` (a leftover there is removed) and writes header and tables.
    pub fn create(disk: &dyn Disk, path: &Path, spec: &PackSpec) -> Result<PackWriter, WriteError> {
        let (kind, shards, shard) = match spec.scope {
            Scope::Base { shards, shard } => (KIND_BASE, shards, shard),
            Scope::Delta => (KIND_DELTA, 1, 0),
        };
        let mut header = Header::new_zeroed();
        header.kind = kind.into();
        header.issuer_id = spec.issuer.0;
        header.hash_key = spec.hash_key.0;
        header.shards = shards.into();
        header.shard = shard.into();
        header.revision = spec.revision.into();
        header.batch = spec.batch.into();
        header.buckets = buckets_for(spec.records_about).into();
        header.serial_octets = spec.serial_octets;
        header.flags = spec.as_of.map_or(0, |_| FLAG_REPLAYED).into();
        header.as_of = spec.as_of.unwrap_or(0).into();
        header.created_at = spec.created_at.into();
        header.crl_blake3 = spec.crl_blake3.unwrap_or_default();
        // For now it counts no records; what it says besides, and how long the front is, stays.
        let front = spec.shared.encode(&mut header)?;
        let record = spec.shared.record_layout(spec.serial_octets.into())?;
        let delta = spec.scope == Scope::Delta;
        let buckets = usize::try_from(header.buckets.get()).map_err(|_| Flaw::Counts)?;

        disk.remove(path).at("remove the leftover", path)?;
        let file = disk
            .create_new(path, Audience::Everyone)
            .at("create", path)?;
        let mut writer = PackWriter {
            path: path.to_owned(),
            file,
            hash: LateHash::new(),
            buffer: Vec::with_capacity(BUFFER_OCTETS + record.record_octets()),
            octets: 0,
            header,
            shared: spec.shared.clone(),
            last_padded: vec![0; record.serial_octets()],
            record,
            hash_key: spec.hash_key,
            shards,
            windows: header.window_count.into(),
            delta,
            pushed: 0,
            last_rest: 0,
            directory: Vec::with_capacity(buckets + 1),
            filter: vec![0; if delta { buckets } else { 0 }],
            tally: Tally::default(),
        };
        writer.append(&front)?;
        Ok(writer)
    }

    /// Adds a record of a batch or of another pack with the same variants; its window is `window` here.
    pub fn push_record(&mut self, record: RecordRef<'_>, window: u16) -> Result<(), WriteError> {
        let serial = Serial::from_padded(record.serial_padded()).map_err(|_| self.content())?;
        let behind_serial = record
            .octets()
            .get(record.serial_padded().len()..)
            .unwrap_or_default();
        let status = record.status().map_err(|_| self.content())?;
        self.admit(&serial, status, window)?;
        let padded =
            serial
                .padded(self.record.serial_octets())
                .ok_or(WriteError::SerialTooWide {
                    serial,
                    octets: self.record.serial_octets(),
                })?;
        if padded.len() + behind_serial.len() != self.record.record_octets() {
            return Err(Flaw::RecordWidth.into());
        }
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(padded);
        self.buffer.extend_from_slice(behind_serial);
        self.buffer[begin + padded.len() + WINDOW_BEHIND_SERIAL..][..2]
            .copy_from_slice(&window.to_le_bytes());
        self.flush_if_full()
    }

    /// Adds a record from its parts; `signatures` raw, one of each variant, in order.
    pub fn push(
        &mut self,
        serial: &Serial,
        status: CertStatus,
        window: u16,
        signatures: &[&[u8]],
    ) -> Result<(), WriteError> {
        self.admit(serial, status, window)?;
        let begin = self.buffer.len();
        self.buffer.resize(begin + self.record.record_octets(), 0);
        let out = &mut self.buffer[begin..];
        let too_wide = WriteError::SerialTooWide {
            serial: *serial,
            octets: self.record.serial_octets(),
        };
        self.record
            .write(out, serial, status, window)
            .map_err(|_| too_wide)?;
        if signatures.len() != self.record.variants() {
            return Err(Flaw::RecordWidth.into());
        }
        for (variant, signature) in signatures.iter().enumerate() {
            match self.record.signature_mut(out, variant) {
                Some(place) if place.len() == signature.len() => place.copy_from_slice(signature),
                _ => return Err(Flaw::RecordWidth.into()),
            }
        }
        self.flush_if_full()
    }

    /// Checks what must hold between records and of this one, and books it in directory, filter and tally.
    fn admit(
        &mut self,
        serial: &Serial,
        status: CertStatus,
        window: u16,
    ) -> Result<(), WriteError> {
        let index = self.pushed;
        let padded =
            serial
                .padded(self.record.serial_octets())
                .ok_or(WriteError::SerialTooWide {
                    serial: *serial,
                    octets: self.record.serial_octets(),
                })?;
        let (shard, rest) = shard(self.hash_key.hash(serial.content()), self.shards);
        if shard != self.header.shard.get() {
            return Err(WriteError::OtherShard {
                serial: *serial,
                shard,
            });
        }
        if index > 0 && (rest, padded) <= (self.last_rest, self.last_padded.as_slice()) {
            return Err(match padded == self.last_padded.as_slice() {
                true => WriteError::Twice { serial: *serial },
                false => WriteError::Unsorted {
                    serial: *serial,
                    index,
                },
            });
        }
        if u32::from(window) >= self.windows {
            return Err(WriteError::NoSuchWindow {
                serial: *serial,
                window,
            });
        }
        if status.time().is_none() || !self.tally.add(status, self.delta) {
            return Err(self.content().into());
        }
        self.last_rest = rest;
        self.last_padded.copy_from_slice(padded);
        self.book(rest)?;
        self.pushed += 1;
        Ok(())
    }

    fn book(&mut self, rest: u64) -> Result<(), WriteError> {
        let bucket = bucket(rest, self.header.buckets.into()) as usize;
        let index = u32::try_from(self.pushed).map_err(|_| Flaw::Counts)?;
        while self.directory.len() <= bucket {
            self.directory.push(index);
        }
        if index - self.directory[bucket] >= MAX_BUCKET_RECORDS {
            return Err(WriteError::CrowdedBucket);
        }
        if let Some(word) = self.filter.get_mut(bucket) {
            *word |= filter_bits(rest);
        }
        Ok(())
    }

    /// Writes directory, filter and, over the front, the header; flushes the file to the device. What it returns can be
    /// published.
    pub fn finish(mut self) -> Result<Sealed, WriteError> {
        self.pad()?;
        let count = u32::try_from(self.pushed).map_err(|_| Flaw::Counts)?;
        let buckets = self.header.buckets.get() as usize;
        let mut directory = std::mem::take(&mut self.directory);
        directory.resize(buckets + 1, count);
        for numbers in directory.chunks(BUFFER_OCTETS / 4) {
            let octets: Vec<u8> = numbers
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect();
            self.append(&octets)?;
        }
        self.pad()?;
        for words in std::mem::take(&mut self.filter).chunks(BUFFER_OCTETS / 8) {
            let octets: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            self.append(&octets)?;
        }
        self.flush()?;
        self.header.record_count = self.pushed.into();
        self.shared.encode(&mut self.header)?;
        if self.octets != self.header.file_octets.get() {
            return Err(Flaw::Sections.into());
        }
        let front = self.header.as_bytes();
        self.file
            .write_over(0, front)
            .at("write the header of", &self.path)?;
        self.file.sync().at("fsync", &self.path)?;
        let digest = Digest::from(self.hash.finish(front));
        let note = PackNote {
            batch: self.header.batch.into(),
            revision: self.header.revision.into(),
            shard: self.header.shard.into(),
            shards: self.header.shards.into(),
            records: self.pushed,
            revoked: self.tally.revoked,
        };
        let (name, role) = if self.delta {
            (format!("delta-{:020}.pack", note.batch), Role::Delta(note))
        } else {
            (format!("base-{:05}.pack", note.shard), Role::Base(note))
        };
        let issuer = IssuerHex(IssuerId(self.header.issuer_id));
        Ok(Sealed::new(
            self.path,
            name,
            digest,
            self.octets,
            issuer,
            role,
        ))
    }

    fn content(&self) -> Flaw {
        Flaw::RecordContent { index: self.pushed }
    }

    fn append(&mut self, octets: &[u8]) -> Result<(), WriteError> {
        self.buffer.extend_from_slice(octets);
        self.flush_if_full()
    }

    fn pad(&mut self) -> Result<(), WriteError> {
        let written = self.octets + self.buffer.len() as u64;
        let gap = written.next_multiple_of(8) - written;
        self.append(&[0; 8][..gap as usize])
    }

    fn flush_if_full(&mut self) -> Result<(), WriteError> {
        if self.buffer.len() < BUFFER_OCTETS {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        self.hash.update(&self.buffer);
        self.file.write_all(&self.buffer).at("write", &self.path)?;
        self.octets += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Written at a time.
const BUFFER_OCTETS: usize = 1 << 20;
/// Status octet and time lie between serial and window.
const WINDOW_BEHIND_SERIAL: usize = 5;
