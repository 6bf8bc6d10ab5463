//! Rows in any order into the order of the file, in bounded memory.
//!
//! Up to a bound they are sorted where they are. Beyond it they are spread over 256 nameless temporary files by the first
//! octet of the hash, which is even, and each of these is sorted alone: a tenth of a gigabyte of rows at a time for a
//! thousand million of them.

use super::file::{StatusFile, WIDEST, Writer, decode, encode};
use super::{Entry, Identity, StatusError};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use wire::serial::MAX_SERIAL_OCTETS;

/// Takes rows, gives a file.
pub(super) struct Sorter {
    identity: Identity,
    path: PathBuf,
    /// Rows kept in memory at most.
    most: usize,
    rows: Vec<(u64, Entry)>,
    buckets: Vec<BufWriter<File>>,
    serial_octets: usize,
}

impl Sorter {
    pub(super) fn new(path: &Path, identity: Identity, most: usize) -> Self {
        Self {
            identity,
            path: path.to_owned(),
            most: most.max(1),
            rows: Vec::new(),
            buckets: Vec::new(),
            serial_octets: 1,
        }
    }

    pub(super) fn push(&mut self, entry: Entry) -> Result<(), StatusError> {
        let hash = self.identity.hash_key.hash(entry.serial.content());
        self.serial_octets = self.serial_octets.max(entry.serial.content().len());
        self.rows.push((hash, entry));
        if self.rows.len() >= self.most {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes the file, which shows `revision`.
    pub(super) fn finish(mut self, revision: u64) -> Result<StatusFile, StatusError> {
        let mut writer = Writer::create(&self.path, self.identity, self.serial_octets)?;
        if self.buckets.is_empty() {
            write_sorted(&mut self.rows, &mut writer)?;
            return writer.finish(revision);
        }
        self.spill()?;
        for bucket in std::mem::take(&mut self.buckets) {
            let mut rows = self.read_bucket(bucket)?;
            write_sorted(&mut rows, &mut writer)?;
        }
        writer.finish(revision)
    }

    fn spill(&mut self) -> Result<(), StatusError> {
        if self.buckets.is_empty() {
            for number in 0..BUCKETS {
                let bucket = self.nameless(number)?;
                self.buckets.push(BufWriter::with_capacity(1 << 14, bucket));
            }
        }
        let mut record = Vec::with_capacity(WIDEST);
        for (hash, entry) in std::mem::take(&mut self.rows) {
            record.clear();
            encode(&entry, MAX_SERIAL_OCTETS, &mut record)
                .ok_or(StatusError::Unsayable(entry.serial))?;
            let bucket = self.buckets.get_mut((hash >> 56) as usize);
            let written = bucket.map_or(Ok(()), |bucket| bucket.write_all(&record));
            written.map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// A temporary file that is gone with this process, whatever becomes of it.
    fn nameless(&self, number: usize) -> Result<File, StatusError> {
        let path = self.path.with_extension(format!("sort-{number}.tmp"));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path);
        let file = file.map_err(|source| self.failed(source))?;
        std::fs::remove_file(&path).map_err(|source| self.failed(source))?;
        Ok(file)
    }

    fn read_bucket(&self, bucket: BufWriter<File>) -> Result<Vec<(u64, Entry)>, StatusError> {
        let failed = |source| self.failed(source);
        let mut file = bucket.into_inner().map_err(|e| failed(e.into_error()))?;
        let octets = file.seek(SeekFrom::End(0)).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut input = BufReader::with_capacity(1 << 20, file);
        let records = octets / WIDEST as u64;
        let mut rows = Vec::with_capacity(records as usize);
        let mut record = [0; WIDEST];
        for _ in 0..records {
            input.read_exact(&mut record).map_err(failed)?;
            let entry = decode(&record, MAX_SERIAL_OCTETS).ok_or_else(|| StatusError::Damaged {
                path: self.path.clone(),
                offset: 0,
                why: "a temporary file does not read back as written",
            })?;
            rows.push((self.identity.hash_key.hash(entry.serial.content()), entry));
        }
        Ok(rows)
    }

    fn failed(&self, source: std::io::Error) -> StatusError {
        StatusError::File {
            path: self.path.clone(),
            source,
        }
    }
}

fn write_sorted(rows: &mut Vec<(u64, Entry)>, writer: &mut Writer) -> Result<(), StatusError> {
    rows.sort_unstable_by_key(|(hash, entry)| (*hash, entry.serial));
    let mut rows = rows.drain(..);
    rows.try_for_each(|(hash, entry)| writer.push(hash, &entry))
}

/// By the first octet of the hash.
const BUCKETS: usize = 256;
