//! What the loader did, in words for logs, people and machines.

use serde::Serialize;
use wire::batch::Kind;
use wire::cert_id::IssuerId;

use crate::spool::{Rank, Waiting};

/// What a pass did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PassReport {
    /// The newest generation that was published and that no report spoke of, if one was.
    pub generation: Option<u64>,
    /// Published although nothing came: the seal was renewed.
    pub resealed: bool,
    /// Batches that are in it and were not before.
    pub taken: Vec<Taken>,
    /// Batches that were set aside.
    pub refused: Vec<Refused>,
    /// Batches that cannot be read at present. They wait on, and those of their kind and issuer behind them.
    pub put_off: Vec<Refused>,
    /// Batches that an earlier run had published and not acknowledged.
    pub acknowledged_late: usize,
    #[serde(skip)]
    waiting_lanes: Vec<(IssuerId, Rank)>,
    /// Something else was done, and told.
    #[serde(skip)]
    was_told: bool,
}

impl PassReport {
    /// Whether this kind of an issuer's batches waits.
    pub(super) fn puts_off(&self, issuer: IssuerId, rank: Rank) -> bool {
        self.waiting_lanes.contains(&(issuer, rank))
    }

    /// Whether any issuer's changes wait.
    pub(super) fn puts_changes_off(&self) -> bool {
        let mut lanes = self.waiting_lanes.iter();
        lanes.any(|(_, rank)| *rank == Rank::Change)
    }

    /// Leaves an issuer's batches of a kind from here on where they lie.
    pub(super) fn hold_back(&mut self, issuer: IssuerId, rank: Rank) {
        self.waiting_lanes.push((issuer, rank));
    }

    /// Leaves a batch where it lies, and those of its kind behind it.
    pub(super) fn put_off(&mut self, batch: &Waiting, rank: Rank, reason: String) {
        self.hold_back(batch.issuer, rank);
        self.put_off.push(refused(batch, reason));
    }

    /// Adds what a later step did.
    pub(crate) fn add(&mut self, step: Self) {
        self.generation = step.generation.or(self.generation);
        self.resealed |= step.resealed;
        self.taken.extend(step.taken);
        self.refused.extend(step.refused);
        self.put_off = step.put_off;
        self.waiting_lanes = step.waiting_lanes;
        self.acknowledged_late += step.acknowledged_late;
        self.was_told |= step.was_told;
    }

    /// What is left to be told once all this was.
    pub(super) fn told(self) -> Self {
        Self {
            put_off: self.put_off,
            waiting_lanes: self.waiting_lanes,
            was_told: true,
            ..Self::default()
        }
    }

    /// Whether nothing was done.
    pub fn is_quiet(&self) -> bool {
        let nothing_to_tell = self.generation.is_none() && self.refused.is_empty();
        nothing_to_tell && self.acknowledged_late == 0 && !self.was_told
    }
}

/// A batch that went in.
#[derive(Debug, Clone, Serialize)]
pub struct Taken {
    /// Whose.
    pub issuer: String,
    /// Its number.
    pub number: u64,
    /// What it does: full, shard, delta or documents.
    pub kind: &'static str,
    /// The registry revision it reaches.
    pub revision: u64,
    /// Records in it.
    pub records: u64,
    /// Signatures verified as clients will.
    pub verified: u64,
}

/// A batch that was set aside, or put off.
#[derive(Debug, Clone, Serialize)]
pub struct Refused {
    /// Whose folder it lay in.
    pub issuer: String,
    /// The number in its name.
    pub number: u64,
    /// Why.
    pub reason: String,
}

pub(super) fn refused(batch: &Waiting, reason: String) -> Refused {
    Refused {
        issuer: batch.issuer.to_string(),
        number: batch.number,
        reason,
    }
}

pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Full => "full",
        Kind::Shard => "shard",
        Kind::Delta => "delta",
        Kind::Documents => "documents",
    }
}
