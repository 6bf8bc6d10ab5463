//! Verifying a pack: every octet read, every record held against its place. Costly, so it has a name of its own and
//! opening never calls it.

use wire::record::RecordRef;
use wire::serial::Serial;
use wire::status::CertStatus;

use super::flaw::Flaw;
use super::index::{bucket, filter_bits};
use super::reader::{Pack, PackError};

impl Pack {
    /// Reads every octet: order, shard, bucket and filter of each record, its status, serial and window, the directory,
    /// the padding. Returns what it counted. About a second for 10 M records; opening never calls it.
    pub fn verify(&self) -> Result<Tally, PackError> {
        self.verify_records().map_err(|flaw| PackError::Flawed {
            path: self.path().to_owned(),
            flaw,
        })
    }

    fn verify_records(&self) -> Result<Tally, Flaw> {
        let (shards, own) = self.shards();
        let mut tally = Tally::default();
        let mut last = None;
        let mut directory = DirectoryCheck::new(self);
        for (index, record) in (0_u64..).zip(self.records()) {
            let content = Flaw::RecordContent { index };
            let serial = Serial::from_padded(record.serial_padded()).map_err(|_| content)?;
            let (shard, rest) = wire::serial::shard(self.hash_key().hash(serial.content()), shards);
            let place = Some((rest, record.serial_padded()));
            if shard != own || place <= last {
                return Err(Flaw::RecordOrder { index });
            }
            last = place;
            directory.record(index, rest)?;
            tally.count(self, &record).ok_or(content)?;
        }
        directory.finish(self.record_count())?;
        self.verify_padding()?;
        Ok(tally)
    }

    fn verify_padding(&self) -> Result<(), Flaw> {
        let octets = self.map.octets();
        let records_end = self.records + self.record_count() as usize * self.record_octets;
        let directory_end = self.directory + (self.buckets as usize + 1) * 4;
        let behind = self.filter.unwrap_or(octets.len());
        let zero = |range: std::ops::Range<usize>| {
            octets
                .get(range)
                .is_some_and(|gap| gap.iter().all(|&o| o == 0))
        };
        if zero(records_end..self.directory) && zero(directory_end..behind) {
            Ok(())
        } else {
            Err(Flaw::Padding)
        }
    }
}

/// What a pack holds, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Good.
    pub good: u64,
    /// Revoked.
    pub revoked: u64,
    /// No longer answered for.
    pub absent: u64,
}

impl Tally {
    /// Counts a record; none if its status or window cannot be.
    fn count(&mut self, pack: &Pack, record: &RecordRef<'_>) -> Option<()> {
        pack.window(record.window())?;
        self.add(record.status().ok()?, pack.is_delta())
            .then_some(())
    }

    /// Counts a status; false for a tombstone in a base pack, which has nothing to hide.
    pub(super) fn add(&mut self, status: CertStatus, delta: bool) -> bool {
        match status {
            CertStatus::Good => self.good += 1,
            CertStatus::Revoked { .. } => self.revoked += 1,
            CertStatus::Absent => self.absent += 1,
        }
        delta || status != CertStatus::Absent
    }
}

/// Walks the directory and the filter beside the records.
struct DirectoryCheck<'p> {
    pack: &'p Pack,
    bucket: u64,
    bits: u64,
}

impl<'p> DirectoryCheck<'p> {
    fn new(pack: &'p Pack) -> Self {
        DirectoryCheck {
            pack,
            bucket: 0,
            bits: 0,
        }
    }

    fn record(&mut self, index: u64, rest: u64) -> Result<(), Flaw> {
        let bucket = bucket(rest, self.pack.buckets);
        while self.bucket < bucket {
            self.close(index)?;
        }
        self.bits |= filter_bits(rest);
        Ok(())
    }

    /// The current bucket ends before record `end`.
    fn close(&mut self, end: u64) -> Result<(), Flaw> {
        let bucket = self.bucket;
        let flaw = Flaw::Directory { bucket };
        let (first, claimed) = self.pack.bucket_range(bucket).ok_or(flaw)?;
        let bits = match self.pack.filter {
            Some(filter) => self.pack.word(filter, bucket).ok_or(flaw)?,
            None => self.bits,
        };
        if u64::from(claimed) != end
            || first > claimed
            || (bucket == 0 && first != 0)
            || bits != self.bits
        {
            return Err(flaw);
        }
        self.bucket += 1;
        self.bits = 0;
        Ok(())
    }

    fn finish(mut self, records: u64) -> Result<(), Flaw> {
        while self.bucket < self.pack.buckets {
            self.close(records)?;
        }
        Ok(())
    }
}
