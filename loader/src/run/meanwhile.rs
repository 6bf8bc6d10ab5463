//! What is long in the making, and the changes that are published meanwhile.
//!
//! A base batch is read record by record, and between two handfuls of them somebody looks for changes. Files (lists of
//! millions) are judged, held against the packs and compressed on a thread of their own, which writes into `tmp/` only; what
//! is published, set aside and acknowledged is so on the one thread that always does it. The lists that come are held
//! against every pack they will stand beside: first against those that were there when it began, then against the deltas that
//! came since, and so on until few records came; and against these while no further change is taken.
//!
//! Killed meanwhile, nothing of the long one has happened: it waits on in the spool, and its halves go from `tmp/`.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use wire::time::UnixSeconds;

use super::{Line, PassReport, RunError};
use crate::draft::{Ask, Draft};
use crate::error::sentence;
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
        let begun = self.begin(batch, now);
        let (mut looked_at, mut failed) = (0, None);
        let look = &mut |read, all| {
            progress(read, all);
            if read >= looked_at + self.portion.records {
                looked_at = read;
                self.look(&begun, report, &mut failed);
            }
        };
        let outcome = workplace.build(batch, &draft, now, look, &|_| None);
        self.look_if_failed(&begun, report, failed)?;
        match self.sort_out(batch, Rank::Base, outcome, report)? {
            Some(prepared) => self.finish_alone(batch, prepared, begun.now(), report),
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
        let begun = self.begin(batch, now);
        let (ask, asked) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let (outcome, done) = thread::scope(|scope| {
            let builder = scope.spawn(move || {
                // Of this thread only: somebody waits for each change, and few for a list. Where it may not be, it competes.
                let _ = rustix::process::setpriority_process(None, NICENESS);
                // None is the answer if changes cannot be published: then this is not either.
                let newest = |what: Ask| ask.send(what).ok().and_then(|()| told.recv().ok());
                workplace.build(batch, &draft, now, &mut |_, _| (), &newest)
            });
            let done = self.take_changes_until(&asked, &tell, &begun, report);
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
            Some(prepared) => self.finish_alone(batch, prepared, begun.now(), report),
            None => Ok(()),
        }
    }

    /// Until the other thread asks for the last time what was published, or has ended without.
    fn take_changes_until(
        &mut self,
        asked: &mpsc::Receiver<Ask>,
        tell: &mpsc::Sender<Draft>,
        begun: &Begun,
        report: &mut PassReport,
    ) -> Result<(), RunError> {
        let mut failed = None;
        let mut pause = LOOK;
        loop {
            match asked.recv_timeout(pause) {
                Ok(Ask::Now) => {
                    // Nobody listens if it has ended meanwhile, which is seen at once.
                    let _ = tell.send(Draft::of(self.publisher.current()));
                }
                Ok(Ask::Last) | Err(RecvTimeoutError::Disconnected) => {
                    return self.look_if_failed(begun, report, failed);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let has_gone_on = self.look(begun, report, &mut failed);
                    pause = match failed {
                        Some(_) => self.portion.after_failure,
                        None => next_pause(pause, has_gone_on || !report.puts_changes_off()),
                    };
                }
            }
        }
    }

    /// Takes changes. If that fails the next look tries again, for it may be long until what is made is ready; it is said
    /// once. Says whether anything was done.
    fn look(
        &mut self,
        begun: &Begun,
        report: &mut PassReport,
        failed: &mut Option<RunError>,
    ) -> bool {
        let done = self.take_changes(begun.now(), report);
        if let (Err(error), None) = (&done, &failed) {
            let error = sentence(error);
            tracing::error!(error, "changes wait, and will be tried again");
        }
        let has_gone_on = matches!(done, Ok(true));
        *failed = done.err();
        if failed.is_some() {
            // The next try writes them anew, also over what is left: this only keeps `tmp/` from growing.
            let _ = self.remove_halves(begun);
        }
        has_gone_on
    }

    /// Removes what changes that failed left in `tmp/`, and nothing of what is being made.
    fn remove_halves(&self, begun: &Begun) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.publisher.store().temp())? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with("document-") && !name.starts_with(&begun.packs) {
                self.publisher.disk().remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// The last look, if the one before it failed: nothing else is published behind a failure.
    fn look_if_failed(
        &mut self,
        begun: &Begun,
        report: &mut PassReport,
        mut failed: Option<RunError>,
    ) -> Result<(), RunError> {
        if failed.is_some() {
            self.look(begun, report, &mut failed);
        }
        failed.map_or(Ok(()), Err)
    }

    fn begin(&self, batch: &Waiting, now: UnixSeconds) -> Begun {
        Begun {
            packs: format!("pack-{}-{}-", batch.issuer, batch.number),
            now,
            at: Instant::now(),
            seconds_since: self.seconds_since,
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

    /// Changes only. One that brings files waits, and its issuer's behind it: files are named by their octets while they are
    /// built, and may be among those that are being built beside. Says whether anything was done.
    pub(super) fn take_changes(
        &mut self,
        now: UnixSeconds,
        report: &mut PassReport,
    ) -> Result<bool, RunError> {
        // If the look before this one failed, it may have published.
        self.publisher.settle()?;
        let mut step = PassReport::default();
        let (mut changes, mut held) = (Vec::new(), BTreeSet::new());
        let all = waiting(&self.home.spool())?;
        for batch in all.into_iter().filter(|b| Rank::of(b) == Rank::Change) {
            if self.acknowledge_late(&batch)? {
                step.acknowledged_late += 1;
                continue;
            }
            if brings_files(&batch) {
                held.insert(batch.issuer);
            }
            if !held.contains(&batch.issuer) {
                changes.push(batch);
            }
        }
        let is_reported = self.newest() == self.reported;
        if changes.is_empty() && held.is_empty() && step.is_quiet() && is_reported {
            return Ok(false);
        }
        self.take_rank(Rank::Change, changes, now, &mut |_, _| (), &mut step)?;
        for issuer in held {
            step.hold_back(issuer, Rank::Change);
        }
        self.report_newest(&mut step);
        let has_gone_on = !step.is_quiet();
        if let Some(tell) = self.tell.as_mut().filter(|_| !step.is_quiet()) {
            tell(&step, self.publisher.current());
            step = step.told();
        }
        report.add(step);
        Ok(has_gone_on)
    }
}

/// What takes long, and the clock for it: a change that is signed meanwhile is not from the future.
struct Begun {
    /// How the names of its packs begin.
    packs: String,
    now: UnixSeconds,
    at: Instant,
    seconds_since: fn(Instant) -> u64,
}

impl Begun {
    fn now(&self) -> UnixSeconds {
        self.now.saturating_add((self.seconds_since)(self.at))
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
/// The same at most where changes wait that cannot be taken at present: they are judged at each look, and an empty spool costs
/// next to nothing.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

fn next_pause(pause: Duration, starts_anew: bool) -> Duration {
    match starts_anew {
        true => LOOK,
        false => LONGEST_LOOK.min(pause * 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_taken_is_judged_at_every_look_or_a_change_waits_long_behind_it() {
        let mut pause = LOOK;
        let pauses = [false, false, false, false, false, true].map(|starts_anew| {
            pause = next_pause(pause, starts_anew);
            pause.as_millis()
        });
        assert_eq!(pauses, [10, 20, 40, 50, 50, 5]);
        // From a pause after a failure as well.
        assert_eq!(next_pause(Duration::from_millis(500), false), LONGEST_LOOK);
    }
}
