//! Does a batch say what our own reading of the staged CRL says?
//!
//! Signer and loader read another CA's list apart. A full batch (or a shard's) must hold every serial the list revokes,
//! with its date and reason, and nothing else; a delta must not contradict it. Both stand in the same order (hash of the
//! serial under the batch's key), so this is one walk along both.

use wire::batch::{Header, Kind};
use wire::crl::Crl;
use wire::record::RecordRef;
use wire::serial::{Serial, shard};
use wire::status::CertStatus;

use super::check::EntryIndex;
use super::guard::Place;

/// Where batch and list part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// The list revokes it, the batch leaves it out.
    #[error("serial {0} is revoked by the staged list and missing from the batch")]
    Missing(Serial),
    /// The batch has it, the list does not.
    #[error("serial {0} is in the batch and not revoked by the staged list")]
    NotListed(Serial),
    /// Both have it and differ.
    #[error("serial {serial}: the staged list says {list:?}, the batch says {batch:?}")]
    Differs {
        /// The serial.
        serial: Serial,
        /// Our reading.
        list: CertStatus,
        /// The signer's.
        batch: CertStatus,
    },
}

/// The walk along a list and a batch.
#[derive(Debug)]
pub struct Agreement<'a> {
    crl: &'a Crl<'a>,
    /// Indexed under the batch's hash key.
    index: &'a EntryIndex,
    mode: Mode,
    next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Every serial the list revokes is there; of one shard, or of all.
    Whole { shards: u32, only: Option<u32> },
    /// Some of them.
    Part,
}

impl<'a> Agreement<'a> {
    /// Begins a walk; `index` is of `crl` and under the hash key of `header`.
    pub fn new(header: &Header, crl: &'a Crl<'a>, index: &'a EntryIndex) -> Self {
        let mode = match header.kind {
            Kind::Full => Mode::Whole {
                shards: header.shards,
                only: None,
            },
            Kind::Shard => Mode::Whole {
                shards: header.shards,
                only: Some(header.shard),
            },
            Kind::Delta | Kind::Documents => Mode::Part,
        };
        Self {
            crl,
            index,
            mode,
            next: 0,
        }
    }

    /// Holds the next record against the list.
    pub fn see(&mut self, place: Place, record: &RecordRef<'_>) -> Result<(), Disagreement> {
        let serial = Serial::from_padded(record.serial_padded())
            .expect("the layout bounds the serial's width");
        let batch = record.status().expect("the guard admitted this record");
        match self.mode {
            Mode::Part => self.see_alone(serial, batch),
            Mode::Whole { .. } => self.see_in_turn(place, serial, batch),
        }
    }

    /// All records were seen: nothing of the list may be left.
    pub fn finish(mut self) -> Result<(), Disagreement> {
        match self.mode {
            Mode::Part => Ok(()),
            Mode::Whole { .. } => match self.upcoming() {
                None => Ok(()),
                Some((_, serial, _)) => Err(Disagreement::Missing(serial)),
            },
        }
    }

    fn see_alone(&self, serial: Serial, batch: CertStatus) -> Result<(), Disagreement> {
        let listed = self.index.find(self.crl, &serial);
        match (listed, batch) {
            (None, CertStatus::Absent) => Ok(()),
            (None, _) => Err(Disagreement::NotListed(serial)),
            (Some(list), batch) if list == batch => Ok(()),
            (Some(list), batch) => Err(Disagreement::Differs {
                serial,
                list,
                batch,
            }),
        }
    }

    fn see_in_turn(
        &mut self,
        place: Place,
        serial: Serial,
        batch: CertStatus,
    ) -> Result<(), Disagreement> {
        let Some((hash, listed, list)) = self.upcoming() else {
            return Err(Disagreement::NotListed(serial));
        };
        if listed != serial {
            let missing = (hash, listed) < (place.hash, serial);
            return Err(if missing {
                Disagreement::Missing(listed)
            } else {
                Disagreement::NotListed(serial)
            });
        }
        if list != batch {
            return Err(Disagreement::Differs {
                serial,
                list,
                batch,
            });
        }
        self.next += 1;
        Ok(())
    }

    /// The next serial the list revokes, in the batch's order and of its shard.
    fn upcoming(&mut self) -> Option<(u64, Serial, CertStatus)> {
        loop {
            let (hash, serial, status) = self.index.get(self.crl, self.next)?;
            match self.mode {
                Mode::Whole {
                    shards,
                    only: Some(only),
                } if shard(hash, shards).0 != only => self.next += 1,
                _ => return Some((hash, serial, status)),
            }
        }
    }
}
