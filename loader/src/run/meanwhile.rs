//! What is long in the making, and the changes that are published meanwhile.
//!
//! A base batch is read record by record, and between two handfuls of them somebody looks for changes. Files (lists of
//! millions) are judged, held against the packs and compressed on a thread of their own, which writes into `tmp/` only; what
//! is published, set aside and acknowledged is so on the one thread that always does it. The lists that come are held
//! against every pack they will stand beside: first against those that were there when it began, then, while no further
//! change is taken, against the deltas that came since, which are few.
//!
//! Killed meanwhile, nothing of the long one has happened: it waits on in the spool, and its halves go from `tmp/`.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use wire::time::UnixSeconds;

use super::{Line, PassReport, RunError};
use crate::draft::Draft;
use crate::import::batch::BatchReader;
use crate::spool::{Rank, Waiting, waiting};

impl Line<'_> {
    /// Takes one large base batch. While it is read, changes that come are published: they wait for a few thousand records,
    /// never for all.
    pub(super) fn take_long(
        &mut self,
        batch: &Waiting,
        now: UnixSeconds,
        progress: &mut dyn FnMut(u64, u64),
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        let workplace = self.workplace();
        let draft = Draft::of(self.publisher.current());
        let (mut looked_at, mut failed) = (0, None);
        let look = &mut |read, all| {
            progress(read, all);
            if failed.is_none() && read >= looked_at + self.portion.records {
                looked_at = read;
                failed = self.take_changes(now, report).err();
            }
        };
        let outcome = workplace.build(batch, &draft, now, look, &|| None);
        if let Some(error) = failed {
            return Err(error);
        }
        match self.sort_out(batch, Rank::Base, outcome, report)? {
            Some(prepared) => self.finish_alone(batch, prepared, now, report),
            None => Ok(()),
        }
    }

    /// Takes one large batch of files. While it is judged and built, on a thread of its own, changes that come are
    /// published.
    pub(super) fn take_beside(
        &mut self,
        batch: &Waiting,
        now: UnixSeconds,
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        let workplace = self.workplace();
        let draft = Draft::of(self.publisher.current());
        let (ask, asked) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let (outcome, done) = thread::scope(|scope| {
            let builder = scope.spawn(move || {
                // Of this thread only: somebody waits for each change, and few for a list. Where it may not be, it competes.
                let _ = rustix::process::setpriority_process(None, NICENESS);
                // None is the answer if changes cannot be published: then this is not either.
                let newest = || ask.send(()).ok().and_then(|()| told.recv().ok());
                workplace.build(batch, &draft, now, &mut |_, _| (), &newest)
            });
            let done = self.take_changes_until(&asked, now, report);
            if done.is_ok() {
                // From here on no change is taken until this one is out. Nobody listens if there was nothing to ask.
                let _ = tell.send(Draft::of(self.publisher.current()));
            }
            drop(tell);
            let outcome = builder.join();
            (
                outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                done,
            )
        });
        done?;
        match self.sort_out(batch, Rank::Document, outcome, report)? {
            Some(prepared) => self.finish_alone(batch, prepared, now, report),
            None => Ok(()),
        }
    }

    /// Until the other thread asks what was published, or has ended without.
    fn take_changes_until(
        &mut self,
        asked: &mpsc::Receiver<()>,
        now: UnixSeconds,
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        loop {
            match asked.recv_timeout(LOOK) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => self.take_changes(now, report)?,
            }
        }
    }

    /// What was long in the making goes into what is published now, changes that came meanwhile included.
    fn finish_alone(
        &mut self,
        batch: &Waiting,
        prepared: super::Prepared,
        now: UnixSeconds,
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        let mut draft = Draft::of(self.publisher.current());
        let disk = self.publisher.disk();
        let taken = prepared.into_draft(&mut draft, disk, batch.clone())?;
        self.finish(draft, vec![taken], now, report)
    }

    /// Changes only. One that brings files waits: these are named by their octets while they are built, and may be among
    /// those that are being built beside.
    pub(super) fn take_changes(
        &mut self,
        now: UnixSeconds,
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        let mut changes = waiting(&self.home.spool())?;
        changes.retain(|batch| Rank::of(batch) == Rank::Change && !brings_files(batch));
        if changes.is_empty() {
            return Ok(());
        }
        let mut step = PassReport::default();
        self.take_rank(Rank::Change, changes, now, &mut |_, _| (), &mut step)?;
        if let Some(tell) = self.tell.as_mut().filter(|_| !step.is_quiet()) {
            tell(&step, self.publisher.current());
            step = step.told();
        }
        report.add(step);
        Ok(())
    }
}

/// One that cannot be read does not: whoever judges it says why.
fn brings_files(batch: &Waiting) -> bool {
    BatchReader::open(&batch.path).is_ok_and(|(header, _)| !header.documents.is_empty())
}

/// What making lists ready gives way to: everything.
const NICENESS: i32 = 10;
/// Between two looks at the spool while something is made beside: what a change waits at most before it is seen.
const LOOK: Duration = Duration::from_millis(5);
