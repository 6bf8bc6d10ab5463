//! From the spool to a published generation: one pass, and what it did.
//!
//! ```text
//! 1  acknowledge what a killed run had published and not yet acknowledged
//! 2  each waiting batch in order of its number: judge, build; refused ones are set aside, the others go on
//! 3  join deltas until at most eight an issuer are left
//! 4  publish, if something came or the seal grows old
//! 5  acknowledge what came
//! ```
//!
//! The manifest is the state: it names the batches that are in. Killed before 4, nothing has happened and the batches
//! wait on; killed after 4, step 1 of the next run finds them named, by number and hash, and acknowledges. So no batch is
//! lost and none goes in twice.

use std::io;
use std::path::Path;

use serde::Serialize;
use wire::batch::Kind;
use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

use crate::build::{build, build_document};
use crate::digest::Digest;
use crate::draft::{Draft, TierError};
use crate::durable::{Disk, DiskError};
use crate::error::sentence;
use crate::home::Home;
use crate::import::admit::{AdmitError, Candidate, Gate};
use crate::import::batch::{BatchReader, BatchRefusal};
use crate::manifest::DocumentNote;
use crate::object::Sealed;
use crate::pack::WriteError;
use crate::publish::{PublishError, Publisher};
use crate::seal::PublicKey;
use crate::sort::{DEFAULT_MEMORY, SortError, Sorting};
use crate::spool::{Waiting, acknowledge, set_aside, waiting};

/// How long a seal is good, and when it is renewed.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Seconds after sealing that a generation proves nothing was revoked since.
    pub valid_for_secs: u64,
    /// Seconds after which an unchanged generation is sealed anew.
    pub reseal_after_secs: u64,
}

/// Why a pass ended before its end. Nothing was published that is not whole; the next pass begins anew.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Spool or store cannot be written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A staged list cannot be sorted.
    #[error(transparent)]
    Sort(#[from] SortError),
    /// Deltas cannot be joined.
    #[error(transparent)]
    Draft(#[from] TierError),
    /// The generation cannot be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// What a pass did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct PassReport {
    /// The generation that was published, if one was.
    pub generation: Option<u64>,
    /// Published although nothing came: the seal was renewed.
    pub resealed: bool,
    /// Batches that are in it and were not before.
    pub taken: Vec<Taken>,
    /// Batches that were set aside.
    pub refused: Vec<Refused>,
    /// Batches that cannot be read at present. They wait on, and those behind them of the same issuer with them.
    pub put_off: Vec<Refused>,
    /// Batches that an earlier run had published and not acknowledged.
    pub acknowledged_late: usize,
}

impl PassReport {
    fn puts_off(&self, issuer: IssuerId) -> bool {
        let issuer = issuer.to_string();
        self.put_off.iter().any(|batch| batch.issuer == issuer)
    }

    /// Whether there is anything to tell.
    pub fn is_quiet(&self) -> bool {
        self.generation.is_none() && self.refused.is_empty() && self.acknowledged_late == 0
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

/// The way from the spool to the store of one data folder.
pub struct Line<'d> {
    home: Home,
    publisher: Publisher<'d>,
    signer: PublicKey,
    terms: Terms,
    sorting: Sorting,
}

impl<'d> Line<'d> {
    /// Takes spool and store over.
    pub fn new(home: Home, publisher: Publisher<'d>, signer: PublicKey, terms: Terms) -> Self {
        Self {
            sorting: Sorting {
                folder: home.work(),
                memory: DEFAULT_MEMORY,
            },
            home,
            publisher,
            signer,
            terms,
        }
    }

    /// The same, sorting staged lists in so many octets of memory.
    #[must_use]
    pub fn sorting_within(mut self, memory: usize) -> Self {
        self.sorting.memory = memory;
        self
    }

    /// The publisher, to ask what is published.
    pub fn publisher(&self) -> &Publisher<'d> {
        &self.publisher
    }

    /// One pass. `progress` is told of a batch's records read and how many it has. After an error nothing has happened
    /// that the next pass would not find and go on from.
    pub fn pass(
        &mut self,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PassReport, RunError> {
        let report = self.try_pass(now, progress);
        if report.is_err() {
            // Half-built packs are of no use; if they cannot be removed now, the next start does it.
            let _ = self.publisher.remove_leftovers();
        }
        report
    }

    fn try_pass(
        &mut self,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PassReport, RunError> {
        let mut report = PassReport::default();
        self.publisher.settle()?;
        let mut draft = Draft::of(self.publisher.current());
        let mut taken: Vec<(Waiting, Taken, Digest)> = Vec::new();
        for batch in waiting(&self.home.spool())? {
            // Numbers only rise: what comes behind a batch put off would shut it out for good.
            if report.puts_off(batch.issuer) {
                continue;
            }
            if self.acknowledge_late(&batch)? {
                report.acknowledged_late += 1;
                continue;
            }
            match self.take(&batch, &mut draft, now, progress) {
                Ok((note, digest)) => taken.push((batch, note, digest)),
                // The signer took it away again between listing and opening.
                Err(AdmitError::Refused(BatchRefusal::Io(error)))
                    if error.kind() == io::ErrorKind::NotFound => {}
                Err(AdmitError::Refused(refusal)) if refusal.may_pass() => {
                    report.put_off.push(refused(&batch, sentence(&refusal)));
                }
                Err(AdmitError::Refused(refusal)) => {
                    report.refused.push(self.refuse(&batch, &refusal)?);
                }
                Err(AdmitError::Write(WriteError::Disk(error))) => return Err(error.into()),
                Err(AdmitError::Sort(error)) => return Err(error.into()),
                // The disk is well: what the batch says makes no pack, and would make none in the next pass.
                Err(AdmitError::Write(error)) => {
                    let refusal = BatchRefusal::NoPack(error);
                    report.refused.push(self.refuse(&batch, &refusal)?);
                }
            }
        }
        report.resealed = !draft.is_changed() && self.reseal_is_due(now);
        if !draft.is_changed() && !report.resealed {
            return Ok(report);
        }
        draft.join_deltas(self.publisher.disk(), self.publisher.store())?;
        let edition = draft.into_edition(now, self.terms.valid_for_secs);
        let published = self.publisher.publish(&edition)?;
        for (batch, note, digest) in taken {
            acknowledge(self.publisher.disk(), &batch, digest, published.number)?;
            report.taken.push(note);
        }
        report.generation = Some(published.number);
        Ok(report)
    }

    /// Judges and builds one batch into the draft.
    fn take(
        &self,
        batch: &Waiting,
        draft: &mut Draft,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(Taken, Digest), AdmitError> {
        let (disk, store) = (self.publisher.disk(), self.publisher.store());
        let gate = Gate {
            disk,
            sorting: &self.sorting,
            data: self.home.data(),
            signer: &self.signer,
            now,
        };
        let floor = draft.floor(batch.issuer);
        let mut candidate = Candidate::open(&batch.path, batch.issuer, batch.number, &floor)?;
        draft.pass_over_older(store, &mut candidate);
        draft.check(store, &candidate)?;
        let records = candidate.header.record_count;
        let built = build(disk, store, candidate, &gate, &mut |read| {
            progress(read, records);
        })?;
        let documents = self.build_documents(disk, &built.admitted.documents, batch)?;
        let header = &built.admitted.header;
        let note = Taken {
            issuer: batch.issuer.to_string(),
            number: batch.number,
            kind: kind_name(header.kind),
            revision: header.revision,
            records,
            verified: built.admitted.witnessed,
        };
        let digest = built.admitted.digest;
        draft
            .take(disk, built, documents)
            .map_err(WriteError::from)?;
        Ok((note, digest))
    }

    fn build_documents(
        &self,
        disk: &dyn Disk,
        documents: &[(wire::batch::Document, DocumentNote)],
        batch: &Waiting,
    ) -> Result<Vec<Sealed>, WriteError> {
        let store = self.publisher.store();
        let seal = |(document, note): &(wire::batch::Document, DocumentNote)| {
            build_document(disk, store, batch.issuer, document, note).map_err(WriteError::from)
        };
        documents.iter().map(seal).collect()
    }

    /// A batch that the current manifest names, by number and hash, went in before a run was killed.
    fn acknowledge_late(&self, batch: &Waiting) -> Result<bool, DiskError> {
        let Some(current) = self.publisher.current() else {
            return Ok(false);
        };
        let issuer = current
            .issuers
            .iter()
            .find(|note| note.issuer.0 == batch.issuer);
        let named = issuer.and_then(|note| {
            note.imported
                .iter()
                .find(|note| note.number == batch.number)
        });
        let Some(note) = named else { return Ok(false) };
        if BatchReader::trailing_hash(&batch.path).ok() != Some(*note.blake3.octets()) {
            return Ok(false);
        }
        acknowledge(self.publisher.disk(), batch, note.blake3, current.number)?;
        Ok(true)
    }

    fn refuse(&self, batch: &Waiting, refusal: &BatchRefusal) -> Result<Refused, DiskError> {
        let reason = sentence(refusal);
        let aside = set_aside(self.publisher.disk(), batch, &reason)?;
        tracing::warn!(issuer = %batch.issuer, number = batch.number, %reason, aside = %aside.display(), "batch refused");
        Ok(refused(batch, reason))
    }

    fn reseal_is_due(&self, now: UnixSeconds) -> bool {
        let Some(current) = self.publisher.current() else {
            return false;
        };
        // A clock that was set back must not keep a seal from being renewed for as long as it was ahead.
        now >= current
            .sealed_at
            .saturating_add(self.terms.reseal_after_secs)
            || now < current.sealed_at
    }
}

fn refused(batch: &Waiting, reason: String) -> Refused {
    Refused {
        issuer: batch.issuer.to_string(),
        number: batch.number,
        reason,
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Full => "full",
        Kind::Shard => "shard",
        Kind::Delta => "delta",
        Kind::Documents => "documents",
    }
}

/// Opens spool and store of `data` for one publisher: keys made or read, the store locked.
pub fn open<'d>(disk: &'d dyn Disk, data: &Path, terms: Terms) -> Result<Line<'d>, OpenLineError> {
    if terms.reseal_after_secs >= terms.valid_for_secs {
        return Err(OpenLineError::Terms(terms));
    }
    let home = Home::at(data);
    let keys = home.keys(disk, None)?;
    let publisher = Publisher::open(disk, home.store(), keys.seal, &keys.older_seals)?;
    Ok(Line::new(home, publisher, keys.batch, terms))
}

/// Why a data folder could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum OpenLineError {
    /// Each seal would run out before it is renewed.
    #[error("a generation valid for {} s must be sealed anew sooner than after {} s", .0.valid_for_secs, .0.reseal_after_secs)]
    Terms(Terms),
    /// Its keys.
    #[error(transparent)]
    Home(#[from] crate::home::HomeError),
    /// Its store.
    #[error(transparent)]
    Publish(#[from] PublishError),
}
