//! What must hold of each record of a batch, and between one and the next.

use wire::batch::{Header, Kind};
use wire::record::RecordRef;
use wire::serial::{SerialHashKey, shard};
use wire::status::{CertStatus, RevocationReason};
use wire::{DecodeError, Rule};

/// A record that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// A code or width `wire` does not know.
    #[error("{0}")]
    Decode(DecodeError),
    /// The serial's hash lies before the one before it.
    #[error("it stands before the record ahead of it in order of (shard, hash, serial)")]
    Unsorted,
    /// The same serial as the record before it.
    #[error("the same serial stands there twice")]
    Duplicate,
    /// It names a window the header does not have.
    #[error("it names window {window} of {count}")]
    NoSuchWindow {
        /// What it names.
        window: u16,
        /// How many there are.
        count: usize,
    },
    /// A tombstone outside a delta.
    #[error("only a delta may say that a serial is absent")]
    AbsentOutsideDelta,
    /// RFC 5280 §5.3.1: this reason stands in delta lists, of what is no longer revoked.
    #[error("it is revoked for the reason removeFromCRL, which revokes nothing")]
    Removed,
    /// A record of another shard in a batch of one.
    #[error("it belongs in shard {belongs}, the batch is of shard {batch}")]
    OtherShard {
        /// Where its hash puts it.
        belongs: u32,
        /// What the header says.
        batch: u32,
    },
}

/// Looks at records in order.
#[derive(Debug)]
pub struct RecordGuard {
    key: SerialHashKey,
    shards: u32,
    only_shard: Option<u32>,
    absent_allowed: bool,
    windows: usize,
    last: Option<(u64, Vec<u8>)>,
}

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The shard of the base packs.
    pub shard: u32,
    /// What the hash says within that shard.
    pub rest: u64,
    /// The hash itself: a delta, which spans all shards, is sorted by it.
    pub hash: u64,
}

impl RecordGuard {
    /// For the records behind `header`.
    pub fn new(header: &Header) -> Self {
        Self {
            key: header.hash_key,
            shards: header.shards,
            only_shard: (header.kind == Kind::Shard).then_some(header.shard),
            absent_allowed: header.kind == Kind::Delta,
            windows: header.windows.len(),
            last: None,
        }
    }

    /// Judges the next record.
    pub fn admit(&mut self, record: &RecordRef<'_>) -> Result<Place, RecordFault> {
        let status = record.status().map_err(RecordFault::Decode)?;
        if status == CertStatus::Absent && !self.absent_allowed {
            return Err(RecordFault::AbsentOutsideDelta);
        }
        if let CertStatus::Revoked {
            reason: Some(RevocationReason::RemoveFromCrl),
            ..
        } = status
        {
            return Err(RecordFault::Removed);
        }
        // A time behind anything but a revocation is nobody's; it would differ from what was signed.
        if !matches!(status, CertStatus::Revoked { .. }) && time_octets(record) != [0; 4] {
            return Err(RecordFault::Decode(
                Rule::ReservedNotZero.at(record.serial_padded().len() + 1),
            ));
        }
        let window = record.window();
        if usize::from(window) >= self.windows {
            return Err(RecordFault::NoSuchWindow {
                window,
                count: self.windows,
            });
        }
        let hash = self.key.hash(record.serial_content());
        self.check_order(hash, record.serial_padded())?;
        let (shard, rest) = shard(hash, self.shards);
        match self.only_shard {
            Some(batch) if batch != shard => Err(RecordFault::OtherShard {
                belongs: shard,
                batch,
            }),
            _ => Ok(Place { shard, rest, hash }),
        }
    }

    /// Sorted by (shard, rest, serial) is sorted by (hash, serial), as the split is monotone.
    fn check_order(&mut self, hash: u64, serial: &[u8]) -> Result<(), RecordFault> {
        match &mut self.last {
            None => self.last = Some((hash, serial.to_vec())),
            Some((last_hash, last_serial)) => {
                match (*last_hash, last_serial.as_slice()).cmp(&(hash, serial)) {
                    core::cmp::Ordering::Less => {}
                    core::cmp::Ordering::Equal => return Err(RecordFault::Duplicate),
                    core::cmp::Ordering::Greater => return Err(RecordFault::Unsorted),
                }
                *last_hash = hash;
                last_serial.copy_from_slice(serial);
            }
        }
        Ok(())
    }
}

fn time_octets(record: &RecordRef<'_>) -> [u8; 4] {
    let at = record.serial_padded().len() + 1;
    record
        .octets()
        .get(at..at + 4)
        .and_then(|octets| octets.try_into().ok())
        .unwrap_or_default()
}
