//! From the spool to published generations, step by step, the most urgent first.
//!
//! ```text
//! 1  acknowledge what a killed run had published and not yet acknowledged
//! 2  of what waits: all changes; if there are none, some documents; if there are none, some base packs
//! 3  each of these in order of its number: judge, build; refused ones are set aside, the others go on
//! 4  join deltas until at most eight an issuer are left
//! 5  publish, if something came or the seal grows old
//! 6  acknowledge what came
//! ```
//!
//! A change thus waits for one small step, as a rule: while a large base batch is read or long lists are made ready, changes
//! that come are published in between (`run/meanwhile.rs`). What base packs bring is held against their issuer's lists
//! without a look at changes. So batches are not taken in the order of their numbers, and need not be: what answers for a
//! serial is decided by revision and number of the packs, and against being taken twice each kind has its own last number
//! (`import/admit.rs`).
//!
//! The manifest is the state: it names the batches that are in. Killed before 4, nothing has happened and the batches
//! wait on; killed after 4, step 1 of the next run finds them named, by number and hash, and acknowledges. So no batch is
//! lost and none goes in twice.

mod choice;
mod meanwhile;
mod report;
mod workplace;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wire::cert_id::IssuerId;
use wire::time::UnixSeconds;

pub use report::{PassReport, Refused, Taken};

use report::refused;
use workplace::{Prepared, Workplace};

use crate::digest::Digest;
use crate::draft::{DamagedDeltas, Draft, TierError};
use crate::durable::{Disk, DiskError};
use crate::error::sentence;
use crate::expired;
use crate::home::Home;
use crate::import::admit::AdmitError;
use crate::import::batch::{BatchReader, BatchRefusal};
use crate::manifest::Manifest;
use crate::pack::WriteError;
use crate::publish::{PublishError, Publisher};
use crate::seal::PublicKey;
use crate::sort::{DEFAULT_MEMORY, SortError, Sorting};
use crate::spool::{Rank, Waiting, acknowledge, set_aside, waiting};

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

/// The way from the spool to the store of one data folder.
pub struct Line<'d> {
    home: Home,
    publisher: Publisher<'d>,
    signer: PublicKey,
    terms: Terms,
    sorting: Sorting,
    changes_in_a_row: u32,
    documents_in_a_row: u32,
    /// Whose files had their turn last.
    documents_of: Option<IssuerId>,
    damaged: DamagedDeltas,
    pub(crate) portion: Portion,
    /// Seconds since then.
    pub(crate) seconds_since: fn(Instant) -> u64,
    tell: Option<Box<Tell<'d>>>,
    /// The newest generation that a report spoke of.
    reported: Option<u64>,
}

/// Hears what was published, and what the newest generation is.
pub type Tell<'t> = dyn FnMut(&PassReport, Option<&Manifest>) + 't;

/// How much is done before changes are looked at again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portion {
    /// Octets of batches other than changes that go into one generation, if there is more than one of them: a tenth of a
    /// second of reading and writing, for which a change that comes meanwhile waits.
    pub(crate) octets: u64,
    /// Records of a larger batch between two looks: some ten milliseconds' worth.
    pub(crate) records: u64,
    /// The same of files with the lists published beside them, which are held against one another and against the packs,
    /// entry by entry, and compressed. More than so many, and it is done on a thread of its own.
    pub(crate) document_octets: u64,
    /// Between a look for changes that failed and the next, while files are made ready.
    pub(crate) after_failure: Duration,
}

impl Default for Portion {
    fn default() -> Self {
        Self {
            octets: 16 << 20,
            records: 16_384,
            document_octets: 512 << 10,
            after_failure: Duration::from_millis(500),
        }
    }
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
            reported: publisher.current().map(|current| current.number),
            publisher,
            signer,
            terms,
            changes_in_a_row: 0,
            documents_in_a_row: 0,
            documents_of: None,
            damaged: DamagedDeltas::default(),
            portion: Portion::default(),
            seconds_since: |then| then.elapsed().as_secs(),
            tell: None,
        }
    }

    /// The same, telling at once of changes that are published while something large is made: edges wait for them. What was
    /// told so is in no report.
    #[must_use]
    pub fn telling(mut self, tell: Box<Tell<'d>>) -> Self {
        self.tell = Some(tell);
        self
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

    /// Files of the store that were found damaged: deltas when they were to be joined, any when the generation was opened.
    pub fn damaged_files(&self) -> usize {
        let names: BTreeSet<Digest> = self
            .damaged
            .names()
            .chain(self.publisher.damaged())
            .collect();
        names.len()
    }

    /// Where batches come to lie: the spool and its issuers' folders.
    pub fn spool_folders(&self) -> Vec<PathBuf> {
        let spool = self.home.spool();
        let issuers = std::fs::read_dir(&spool).into_iter().flatten().flatten();
        let issuers = issuers.map(|entry| entry.path());
        std::iter::once(spool.clone()).chain(issuers).collect()
    }

    /// Takes all that waits into one generation, however long it takes: for `publish`, behind which nobody waits. `progress`
    /// is told of a batch's records read and how many it has. After an error nothing has happened that the next pass would
    /// not find and go on from.
    pub fn pass(
        &mut self,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PassReport, RunError> {
        let mut report = PassReport::default();
        let done = self.try_pass(now, progress, &mut report);
        self.swept(done)?;
        self.report_newest(&mut report);
        Ok(report)
    }

    fn try_pass(
        &mut self,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        let ranks = self.waiting_by_rank(report)?;
        let ranked = |(rank, batches): (Rank, Vec<Waiting>)| {
            batches.into_iter().map(move |batch| (rank, batch))
        };
        let all = ranks.into_iter().flat_map(ranked).collect();
        self.take_together(all, now, progress, report)?;
        self.reseal_if_due(now, report)
    }

    /// One generation at most: of what waits the most urgent. There may be more.
    pub fn step(
        &mut self,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<PassReport, RunError> {
        let mut report = PassReport::default();
        let done = self.try_step(now, progress, &mut report);
        self.swept(done)?;
        self.report_newest(&mut report);
        Ok(report)
    }

    /// What went out in a step that failed behind it is in no report yet, and somebody waits for it.
    fn report_newest(&mut self, report: &mut PassReport) {
        let newest = self.newest();
        if newest != self.reported {
            report.generation = newest;
            self.reported = newest;
        }
    }

    fn newest(&self) -> Option<u64> {
        self.publisher.current().map(|current| current.number)
    }

    fn swept<T>(&mut self, done: Result<T, RunError>) -> Result<T, RunError> {
        if done.is_err() {
            // Half-built packs are of no use; if they cannot be removed now, the next start does it.
            let _ = self.publisher.remove_leftovers();
        }
        done
    }

    fn try_step(
        &mut self,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        let mut ranks = self.waiting_by_rank(report)?;
        if ranks.contains_key(&Rank::Base) && self.documents_in_a_row >= DOCUMENTS_IN_A_ROW {
            // Nor must whoever has lists ready as soon as the ones before are out keep base packs out until they end.
            ranks.remove(&Rank::Document);
        }
        if ranks.len() > 1 && self.changes_in_a_row >= CHANGES_IN_A_ROW {
            // Whoever revokes without pause must not keep lists and base packs out until they end.
            ranks.remove(&Rank::Change);
        }
        for (rank, batches) in ranks {
            self.changes_in_a_row = match rank {
                Rank::Change => self.changes_in_a_row + 1,
                Rank::Document | Rank::Base => 0,
            };
            self.documents_in_a_row = match rank {
                Rank::Change => self.documents_in_a_row,
                Rank::Document => self.documents_in_a_row + 1,
                Rank::Base => 0,
            };
            self.take_rank(rank, batches, now, progress, report)?;
            if !report.is_quiet() {
                return Ok(());
            }
        }
        self.reseal_if_due(now, report)
    }

    /// What waits, the most urgent first; what an earlier run had published is acknowledged.
    fn waiting_by_rank(
        &mut self,
        report: &mut PassReport,
    ) -> Result<BTreeMap<Rank, Vec<Waiting>>, RunError> {
        self.publisher.settle()?;
        let mut ranks: BTreeMap<Rank, Vec<Waiting>> = BTreeMap::new();
        for batch in waiting(&self.home.spool())? {
            if self.acknowledge_late(&batch)? {
                report.acknowledged_late += 1;
            } else {
                ranks.entry(Rank::of(&batch)).or_default().push(batch);
            }
        }
        Ok(ranks)
    }

    fn reseal_if_due(&mut self, now: UnixSeconds, report: &mut PassReport) -> Result<(), RunError> {
        report.resealed = report.generation.is_none() && self.reseal_is_due(now);
        if report.resealed {
            let draft = Draft::of(self.publisher.current());
            report.generation = Some(self.publish(draft, now)?);
        }
        Ok(())
    }

    /// Takes these, in this order, into one generation.
    fn take_together(
        &mut self,
        chosen: Vec<(Rank, Waiting)>,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        let mut draft = Draft::of(self.publisher.current());
        let mut taken = Vec::new();
        for (rank, batch) in chosen {
            // Within a kind numbers only rise: what comes behind a batch put off would shut it out for good.
            // And a list goes out behind the changes that stand on it: held against the packs without them it would be refused.
            let is_list = rank == Rank::Document;
            if report.puts_off(batch.issuer, rank)
                || is_list && report.puts_off(batch.issuer, Rank::Change)
            {
                continue;
            }
            let outcome = self.build(&batch, &draft, now, progress);
            if let Some(prepared) = self.sort_out(&batch, rank, outcome, report)? {
                taken.push(prepared.into_draft(&mut draft, self.publisher.disk(), batch)?);
            }
        }
        self.finish(draft, taken, now, report)
    }

    /// What becomes of a batch that could not be built: set aside, put off, or an end of the step.
    fn sort_out(
        &self,
        batch: &Waiting,
        rank: Rank,
        outcome: Result<Prepared, AdmitError>,
        report: &mut PassReport,
    ) -> Result<Option<Prepared>, RunError> {
        match outcome {
            Ok(prepared) => return Ok(Some(prepared)),
            // The signer took it away again between listing and opening.
            Err(AdmitError::Refused(BatchRefusal::Io(error)))
                if error.kind() == io::ErrorKind::NotFound => {}
            Err(AdmitError::Refused(refusal)) if refusal.may_pass() => {
                report.put_off(batch, rank, sentence(&refusal));
            }
            Err(AdmitError::Refused(refusal)) => {
                report.refused.push(self.refuse(batch, &refusal)?);
            }
            Err(AdmitError::Write(WriteError::Disk(error))) => return Err(error.into()),
            Err(AdmitError::Sort(error)) => return Err(error.into()),
            // The disk is well: what the batch says makes no pack, and would make none in the next pass.
            Err(AdmitError::Write(error)) => {
                let refusal = BatchRefusal::NoPack(error);
                report.refused.push(self.refuse(batch, &refusal)?);
            }
        }
        Ok(None)
    }

    /// Publishes what was taken, and acknowledges it.
    fn finish(
        &mut self,
        draft: Draft,
        taken: Vec<(Waiting, Taken, Digest)>,
        now: UnixSeconds,
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        if taken.is_empty() {
            return Ok(());
        }
        let number = self.publish(draft, now)?;
        for (batch, note, digest) in taken {
            acknowledge(self.publisher.disk(), &batch, digest, number)?;
            report.taken.push(note);
        }
        report.generation = Some(number);
        Ok(())
    }

    fn publish(&mut self, mut draft: Draft, now: UnixSeconds) -> Result<u64, RunError> {
        draft.drop_ended_deltas(self.publisher.store(), now);
        let (disk, store) = (self.publisher.disk(), self.publisher.store());
        draft.join_deltas(disk, store, &mut self.damaged)?;
        let edition = draft.into_edition(now, self.terms.valid_for_secs);
        Ok(self.publisher.publish(&edition)?.number)
    }

    pub(crate) fn workplace(&self) -> Workplace<'d> {
        Workplace {
            disk: self.publisher.disk(),
            store: self.publisher.store().clone(),
            data: self.home.data().to_owned(),
            signer: self.signer,
            sorting: self.sorting.clone(),
            hash_keys: self.publisher.hash_keys(),
        }
    }

    fn build(
        &self,
        batch: &Waiting,
        draft: &Draft,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Prepared, AdmitError> {
        self.workplace()
            .build(batch, draft, now, progress, &|_| None)
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

/// Steps for changes alone before something else has its turn.
const CHANGES_IN_A_ROW: u32 = 4;
/// Steps for lists before base packs have their turn.
const DOCUMENTS_IN_A_ROW: u32 = 4;

/// Opens spool and store of `data` for one publisher: keys made or read, the store locked.
pub fn open<'d>(disk: &'d dyn Disk, data: &Path, terms: Terms) -> Result<Line<'d>, OpenLineError> {
    if terms.reseal_after_secs >= terms.valid_for_secs {
        return Err(OpenLineError::Terms(terms));
    }
    let home = Home::at(data);
    let keys = home.keys(disk, None)?;
    let publisher = Publisher::open(disk, home.store(), keys.seal, &keys.older_seals)?;
    if let Some(manifest) = publisher.current() {
        expired::sweep(disk, &home, manifest);
    }
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
