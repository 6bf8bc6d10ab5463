//! What a list says of each serial in the end, in a pack's order, from records that a [`Sorter`] has put in order.
//!
//! A serial may stand in a CRL more than once: put on hold, released, revoked. Then the entry with the latest
//! revocationDate wins, `removeFromCRL` clears, and every such serial is counted. Entries of one serial and one date that
//! say different things contradict each other, and the list is refused whole: no reading of it is the right one.
//!
//! A record for the sort, all big endian, so that its octets are ordered as (hash, serial, date):
//!
//! ```text
//! hash 8 │ serial, sign-extended 32 │ date 8 │ status code 1 │ of a list without a signature: line 8
//! ```
//!
//! A list without a signature names a serial once, or is refused.

use wire::serial::{MAX_SERIAL_OCTETS, Serial, SerialHashKey};
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;

use super::check::{EntryFault, Recurrence};
use crate::sort::{SortError, Sorted, Sorter};

/// What a list says of a serial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// The keyed hash of the serial: its place in a pack.
    pub hash: u64,
    /// The serial.
    pub serial: Serial,
    /// Its status.
    pub status: CertStatus,
}

impl Listed {
    /// Places a serial.
    #[inline]
    pub fn new(key: &SerialHashKey, serial: Serial, status: CertStatus) -> Self {
        Self {
            hash: key.hash(serial.content()),
            serial,
            status,
        }
    }

    /// Hands it to a sort.
    #[inline]
    pub fn push_to(&self, sorter: &mut Sorter<'_>) -> Result<(), SortError> {
        sorter.push(&self.record())
    }

    /// Hands it to a sort of lines, with its line's number.
    pub fn push_numbered_to(&self, sorter: &mut Sorter<'_>, line: u64) -> Result<(), SortError> {
        let mut numbered = [0; NUMBERED_OCTETS];
        numbered[..LISTED_OCTETS].copy_from_slice(&self.record());
        numbered[LISTED_OCTETS..].copy_from_slice(&line.to_be_bytes());
        sorter.push(&numbered)
    }

    #[inline]
    pub(super) fn record(&self) -> [u8; LISTED_OCTETS] {
        let mut record = [0; LISTED_OCTETS];
        let (hash, rest) = record.split_at_mut(8);
        let (serial, rest) = rest.split_at_mut(MAX_SERIAL_OCTETS);
        let (at, code) = rest.split_at_mut(8);
        hash.copy_from_slice(&self.hash.to_be_bytes());
        let padded = self.serial.padded(MAX_SERIAL_OCTETS);
        serial.copy_from_slice(padded.expect("the full width holds every serial"));
        at.copy_from_slice(&self.at().to_be_bytes());
        code[0] = self.status.code();
        record
    }

    pub(super) fn from_record(record: &[u8]) -> Self {
        let number = |at: usize| {
            let octets = record.get(at..at + 8).and_then(<[u8]>::first_chunk);
            u64::from_be_bytes(*octets.expect("a record of this file's own"))
        };
        let serial = Serial::from_padded(&record[8..8 + MAX_SERIAL_OCTETS]);
        let status = CertStatus::from_code(record[LISTED_OCTETS - 1], 0);
        let status = match status.expect("a code of this file's own") {
            // A date in a list may lie beyond what a record of a pack holds.
            CertStatus::Revoked { reason, .. } => CertStatus::Revoked {
                at: number(8 + MAX_SERIAL_OCTETS),
                reason,
            },
            other => other,
        };
        Self {
            hash: number(0),
            serial: serial.expect("a serial of this file's own"),
            status,
        }
    }

    fn at(&self) -> UnixSeconds {
        match self.status {
            CertStatus::Revoked { at, .. } => at,
            CertStatus::Good | CertStatus::Absent => 0,
        }
    }

    /// Whether it says removeFromCRL.
    pub(super) fn clears(&self) -> bool {
        matches!(
            self.status,
            CertStatus::Revoked {
                reason: Some(RevocationReason::RemoveFromCrl),
                ..
            }
        )
    }
}

/// The records of a sorted list, one a serial.
pub struct Settled {
    sorted: Sorted,
    upcoming: Option<Listed>,
    /// The upcoming one's line, where lines are numbered.
    line: Option<u64>,
    is_numbered: bool,
    /// Cleared serials are given too.
    keeps_clears: bool,
    begun: bool,
    /// Serials that stood there more than once, the first [`MOST_RECURRENCES`] in the list's order of hashes.
    pub recurrences: Vec<Recurrence>,
    /// How many of them there are.
    pub recurring: u64,
    /// Serials revoked in the end, so far.
    pub revoked: u64,
}

/// Why a list cannot be settled.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// It contradicts itself.
    #[error("{}", super::refusal::entry_sentence(.0))]
    Fault(EntryFault),
    /// A list without a signature names a serial in two lines.
    #[error("serial {serial} stands in line {first} and in line {second}")]
    Twice {
        /// The serial.
        serial: Serial,
        /// A line.
        first: u64,
        /// A later one.
        second: u64,
    },
    /// Its records cannot be read back.
    #[error(transparent)]
    Sort(#[from] SortError),
}

impl Settled {
    /// From records that [`Listed::push_to`] has written.
    pub fn new(sorted: Sorted) -> Self {
        Self {
            sorted,
            upcoming: None,
            line: None,
            is_numbered: false,
            keeps_clears: false,
            begun: false,
            recurrences: Vec::new(),
            recurring: 0,
            revoked: 0,
        }
    }

    /// From records that [`Listed::push_numbered_to`] has written.
    pub fn of_numbered(sorted: Sorted) -> Self {
        Self {
            is_numbered: true,
            ..Self::new(sorted)
        }
    }

    /// The same, giving serials that are cleared as well: a delta says so to the list it changes.
    #[must_use]
    pub fn keeping_clears(self) -> Self {
        Self {
            keeps_clears: true,
            ..self
        }
    }

    /// What is said of the next serial, in order of (hash, serial).
    pub fn next_listed(&mut self) -> Result<Option<Listed>, SettleError> {
        if !std::mem::replace(&mut self.begun, true) {
            self.upcoming = self.read()?;
        }
        while let Some(first) = self.upcoming {
            let mut latest = first;
            let mut entries = 1;
            let line = self.line;
            self.upcoming = self.read()?;
            while let Some(same) = self.upcoming.filter(|next| next.serial == latest.serial) {
                if let (Some(one), Some(other)) = (line, self.line) {
                    return Err(SettleError::Twice {
                        serial: same.serial,
                        first: one.min(other),
                        second: one.max(other),
                    });
                }
                if same.at() == latest.at() && !say_the_same(same.status, latest.status) {
                    return Err(SettleError::Fault(EntryFault::Contradiction {
                        serial: same.serial,
                        at: same.at(),
                    }));
                }
                latest = same;
                entries += 1;
                self.upcoming = self.read()?;
            }
            if entries > 1 {
                self.note(&latest, entries);
            }
            let clears = latest.clears();
            self.revoked += u64::from(!clears && latest.status != CertStatus::Good);
            if !clears || self.keeps_clears {
                return Ok(Some(latest));
            }
        }
        Ok(None)
    }

    /// Goes through to the end.
    pub fn run_out(&mut self) -> Result<(), SettleError> {
        while self.next_listed()?.is_some() {}
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Listed>, SortError> {
        let Some(record) = self.sorted.next_record()? else {
            return Ok(None);
        };
        if self.is_numbered {
            let number = record.last_chunk().expect("a line's number stands last");
            self.line = Some(u64::from_be_bytes(*number));
        }
        Ok(Some(Listed::from_record(record)))
    }

    fn note(&mut self, latest: &Listed, entries: usize) {
        self.recurring += 1;
        if self.recurrences.len() == MOST_RECURRENCES {
            return;
        }
        let outcome = match latest.status {
            CertStatus::Revoked { at, reason } if !latest.clears() => Some((at, reason)),
            _ => None,
        };
        self.recurrences.push(Recurrence {
            serial: latest.serial,
            entries,
            outcome,
        });
    }
}

/// Whether two entries mean one thing.
// RFC 5280 §5.3.1: the reason unspecified should be left out instead: no reason and that one are the same.
pub fn say_the_same(one: CertStatus, other: CertStatus) -> bool {
    let plain = |status| match status {
        CertStatus::Revoked {
            at,
            reason: Some(RevocationReason::Unspecified),
        } => CertStatus::Revoked { at, reason: None },
        status => status,
    };
    plain(one) == plain(other)
}

/// Octets of a record for the sort.
pub const LISTED_OCTETS: usize = 8 + MAX_SERIAL_OCTETS + 8 + 1;
/// Octets of a record with a line's number.
pub const NUMBERED_OCTETS: usize = LISTED_OCTETS + 8;
/// Recurring serials that are told by name; a list of nothing else must not fill the memory.
pub const MOST_RECURRENCES: usize = 10_000;
