//! What must hold between the entries of one CRL.
//!
//! A serial may stand in a list more than once: put on hold, released, revoked. Then the entry with the latest
//! revocationDate wins, `removeFromCRL` clears, and every such serial is reported. Entries of one serial and one date
//! that say different things contradict each other, and the list is refused whole: no reading of it is the right one.
//!
//! This is for a list that is held whole, to be asked about any serial; `listed.rs` settles one that is read in passing, by
//! the same rules. A million entries are judged in sixteen octets each: a keyed hash of the serial and where the entry starts. Only
//! serials whose hashes meet are read a second time.

use wire::DecodeError;
use wire::crl::{Crl, CrlEntry};
use wire::serial::{Serial, SerialHashKey};
use wire::status::{CertStatus, RevocationReason};
use wire::time::UnixSeconds;

use super::listed::say_the_same;

/// A serial that stood in the list more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrence {
    /// The serial.
    pub serial: Serial,
    /// How many entries it had.
    pub entries: usize,
    /// What counts in the end; `None` when the latest entry cleared it.
    pub outcome: Option<(UnixSeconds, Option<RevocationReason>)>,
}

/// Why a list contradicts itself, or cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryFault {
    /// An entry is not what RFC 5280 §5.3 says.
    Decode {
        /// Its number, from 1.
        number: usize,
        /// The rule and the octet.
        error: DecodeError,
    },
    /// Two entries of one serial bear the same date and different reasons.
    Contradiction {
        /// The serial.
        serial: Serial,
        /// The date both bear.
        at: UnixSeconds,
    },
    /// An extension of the entry is critical and unknown here.
    Critical {
        /// Its number, from 1.
        number: usize,
        /// The entry's serial.
        serial: Serial,
        /// The extension's OID, dotted.
        oid: String,
    },
    /// The entry belongs to another issuer (certificateIssuer, RFC 5280 §5.3.3).
    OtherIssuer {
        /// Its number, from 1.
        number: usize,
        /// The entry's serial.
        serial: Serial,
    },
    /// The entry names an issuer (certificateIssuer, RFC 5280 §5.3.3) without a directory name that can be compared.
    Nameless {
        /// Its number, from 1.
        number: usize,
        /// The entry's serial.
        serial: Serial,
    },
    /// Two partitions say different things of one certificate.
    Partitions {
        /// Its serial.
        serial: Serial,
    },
    /// A complete list and a delta of its own number say different things of one certificate.
    OneNumber {
        /// Its serial.
        serial: Serial,
    },
}

/// Which entries count, by hash of their serial.
#[derive(Debug)]
pub struct EntryIndex {
    /// Key of the hash; the batch's own, so that the index stands in the batch's order.
    key: SerialHashKey,
    /// (hash of the serial, where the entry starts), sorted; one a serial.
    slots: Vec<(u64, u32)>,
    /// Serials that stood there more than once.
    pub recurrences: Vec<Recurrence>,
    /// Entries read, counted as they stand in the list.
    pub entries: usize,
    /// `removeFromCRL` in a complete list, where RFC 5280 §5.3.1 does not expect it.
    pub removals: usize,
}

impl EntryIndex {
    /// Reads all entries of `crl` and settles recurrences.
    pub fn build(crl: &Crl<'_>, key: SerialHashKey) -> Result<Self, EntryFault> {
        let mut index = Self {
            key,
            // Room that is not used is never touched, and so never there; growing would copy.
            slots: Vec::with_capacity(crl.entries_octets() / LEAST_ENTRY_OCTETS),
            recurrences: Vec::new(),
            entries: 0,
            removals: 0,
        };
        for entry in crl.entries() {
            let number = index.entries + 1;
            let entry = entry.map_err(|error| EntryFault::Decode { number, error })?;
            refuse_foreign(&entry, number)?;
            index.entries = number;
            index.removals += usize::from(entry.reason == Some(RevocationReason::RemoveFromCrl));
            let offset = u32::try_from(entry.offset).map_err(|_| EntryFault::Decode {
                number,
                error: wire::Rule::TooLong.at(entry.offset),
            })?;
            index.slots.push((key.hash(entry.serial.content()), offset));
        }
        index.slots.sort_unstable();
        index.settle(crl)?;
        Ok(index)
    }

    /// Serials revoked in the end.
    pub fn revoked(&self) -> usize {
        self.slots.len()
    }

    /// The `place`-th serial that is revoked in the end, in order of (hash, serial): the order of a batch with the same
    /// hash key. Gives the hash, the serial and what is said of it.
    pub fn get(&self, crl: &Crl<'_>, place: usize) -> Option<(u64, Serial, CertStatus)> {
        let &(hash, offset) = self.slots.get(place)?;
        let entry = read_again(crl, offset);
        Some((hash, entry.serial, status_of(&entry)))
    }

    /// Whether `serial` is revoked, and how.
    pub fn find(&self, crl: &Crl<'_>, serial: &Serial) -> Option<CertStatus> {
        let hash = self.key.hash(serial.content());
        let from = self.slots.partition_point(|slot| slot.0 < hash);
        let run = self.slots[from..].iter().take_while(|slot| slot.0 == hash);
        run.map(|&(_, offset)| read_again(crl, offset))
            .find(|entry| entry.serial == *serial)
            .map(|entry| status_of(&entry))
    }

    /// Goes through runs of equal hashes; serials that really recur are judged, and one slot or none stays.
    fn settle(&mut self, crl: &Crl<'_>) -> Result<(), EntryFault> {
        let recurs = self.slots.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if !recurs && self.removals == 0 {
            return Ok(());
        }
        let slots = core::mem::take(&mut self.slots);
        let mut kept = Vec::with_capacity(slots.len());
        for run in slots.chunk_by(|one, other| one.0 == other.0) {
            // The usual case by far: one entry, and no removal anywhere that it could be.
            if let ([slot], 0) = (run, self.removals) {
                kept.push(*slot);
                continue;
            }
            let mut entries: Vec<(u32, CrlEntry<'_>)> = run
                .iter()
                .map(|&(_, offset)| (offset, read_again(crl, offset)))
                .collect();
            entries.sort_by(|(_, one), (_, other)| {
                (one.serial, one.revoked_at).cmp(&(other.serial, other.revoked_at))
            });
            for same in entries.chunk_by(|one, other| one.1.serial == other.1.serial) {
                if let Some(offset) = self.recurrences_of(same)? {
                    kept.push((run[0].0, offset));
                }
            }
        }
        kept.shrink_to_fit();
        self.slots = kept;
        // The hash is keyed by chance; reports are not.
        self.recurrences.sort_by_key(|recurrence| recurrence.serial);
        Ok(())
    }

    /// Judges all entries of one serial, in order of their dates; gives the one that counts.
    fn recurrences_of(
        &mut self,
        entries: &[(u32, CrlEntry<'_>)],
    ) -> Result<Option<u32>, EntryFault> {
        for pair in entries.windows(2) {
            let (one, other) = (&pair[0].1, &pair[1].1);
            if one.revoked_at == other.revoked_at && !say_the_same(status_of(one), status_of(other))
            {
                return Err(EntryFault::Contradiction {
                    serial: one.serial,
                    at: one.revoked_at,
                });
            }
        }
        let Some((offset, latest)) = entries.last() else {
            return Ok(None);
        };
        let cleared = latest.reason == Some(RevocationReason::RemoveFromCrl);
        if entries.len() > 1 {
            self.recurrences.push(Recurrence {
                serial: latest.serial,
                entries: entries.len(),
                outcome: (!cleared).then_some((latest.revoked_at, latest.reason)),
            });
        }
        Ok((!cleared).then_some(*offset))
    }
}

/// Sequence, serial of one octet, `UTCTime`: no entry is shorter.
const LEAST_ENTRY_OCTETS: usize = 20;

/// What makes an entry of a direct list one that must not be used, whatever it says.
pub(super) fn refuse_foreign(entry: &CrlEntry<'_>, number: usize) -> Result<(), EntryFault> {
    refuse_critical(entry, number)?;
    if entry.certificate_issuer.is_some() {
        return Err(EntryFault::OtherIssuer {
            number,
            serial: entry.serial,
        });
    }
    Ok(())
}

/// What makes an entry of any list such a one.
pub(super) fn refuse_critical(entry: &CrlEntry<'_>, number: usize) -> Result<(), EntryFault> {
    if let Some(oid) = entry.unknown_critical {
        return Err(EntryFault::Critical {
            number,
            serial: entry.serial,
            oid: super::trust::oid_text(oid),
        });
    }
    Ok(())
}

fn status_of(entry: &CrlEntry<'_>) -> CertStatus {
    CertStatus::Revoked {
        at: entry.revoked_at,
        reason: entry.reason,
    }
}

fn read_again<'a>(crl: &Crl<'a>, offset: u32) -> CrlEntry<'a> {
    crl.entry_at(offset as usize)
        .expect("this entry was read before, from the same octets")
}
