//! Does a batch say what our own reading of the staged CRL says?
//!
//! Signer and loader read another CA's list apart. A full batch (or a shard's) must hold every serial the list speaks of,
//! with its status, date and reason, and nothing else; a delta must not contradict it. Both stand in the same order (hash
//! of the serial under the batch's key), so this is one walk along both, and neither is held.

use wire::batch::{Header, Kind};
use wire::record::RecordRef;
use wire::serial::{Serial, shard};
use wire::status::CertStatus;

use super::guard::Place;
use super::listed::{Listed, SettleError, say_the_same};
use super::together::Said;

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

/// Why the walk ended early.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// They part.
    #[error(transparent)]
    Disagrees(#[from] Disagreement),
    /// The list cannot be settled.
    #[error(transparent)]
    List(#[from] SettleError),
}

/// The walk along a list and a batch.
pub struct Agreement {
    /// What is staged says, in order under the batch's hash key.
    said: Said,
    upcoming: Option<Listed>,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Every serial of the list is there; of one shard, or of all.
    Whole { shards: u32, only: Option<u32> },
    /// Some of them.
    Part,
}

impl Agreement {
    /// Begins a walk; `said` is in order under the hash key of `header`.
    pub fn begin(header: &Header, said: Said) -> Result<Self, SettleError> {
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
        let mut walk = Self {
            said,
            upcoming: None,
            mode,
        };
        walk.advance()?;
        Ok(walk)
    }

    /// Holds the next record against the list.
    pub fn see(&mut self, place: Place, record: &RecordRef<'_>) -> Result<(), WalkError> {
        let serial = Serial::from_padded(record.serial_padded())
            .expect("the layout bounds the serial's width");
        let batch = record.status().expect("the guard admitted this record");
        match self.mode {
            Mode::Part => self.see_alone(place, serial, batch),
            Mode::Whole { .. } => self.see_in_turn(place, serial, batch),
        }
    }

    /// All records were seen: nothing of the list may be left, and what is left of it must make sense.
    pub fn finish(mut self) -> Result<(), WalkError> {
        match (self.mode, self.upcoming) {
            (Mode::Whole { .. }, Some(listed)) => Err(Disagreement::Missing(listed.serial).into()),
            (Mode::Whole { .. }, None) => Ok(()),
            (Mode::Part, _) => Ok(self.said.run_out()?),
        }
    }

    fn see_alone(
        &mut self,
        place: Place,
        serial: Serial,
        batch: CertStatus,
    ) -> Result<(), WalkError> {
        while self
            .upcoming
            .is_some_and(|listed| (listed.hash, listed.serial) < (place.hash, serial))
        {
            self.advance()?;
        }
        let listed = self.upcoming.filter(|listed| listed.serial == serial);
        match (listed, batch) {
            (None, CertStatus::Absent) => Ok(()),
            (None, _) => Err(Disagreement::NotListed(serial).into()),
            (Some(listed), batch) => Ok(compare(&listed, batch)?),
        }
    }

    fn see_in_turn(
        &mut self,
        place: Place,
        serial: Serial,
        batch: CertStatus,
    ) -> Result<(), WalkError> {
        let Some(listed) = self.upcoming else {
            return Err(Disagreement::NotListed(serial).into());
        };
        if listed.serial != serial {
            let missing = (listed.hash, listed.serial) < (place.hash, serial);
            return Err(if missing {
                Disagreement::Missing(listed.serial)
            } else {
                Disagreement::NotListed(serial)
            }
            .into());
        }
        compare(&listed, batch)?;
        Ok(self.advance()?)
    }

    /// Goes on to the next serial of the list that belongs in the batch.
    fn advance(&mut self) -> Result<(), SettleError> {
        loop {
            self.upcoming = self.said.next_listed()?;
            match (self.mode, self.upcoming) {
                (
                    Mode::Whole {
                        shards,
                        only: Some(only),
                    },
                    Some(listed),
                ) if shard(listed.hash, shards).0 != only => {}
                _ => return Ok(()),
            }
        }
    }
}

fn compare(listed: &Listed, batch: CertStatus) -> Result<(), Disagreement> {
    if say_the_same(listed.status, batch) {
        return Ok(());
    }
    Err(Disagreement::Differs {
        serial: listed.serial,
        list: listed.status,
        batch,
    })
}
