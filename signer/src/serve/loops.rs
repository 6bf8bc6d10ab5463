//! What each of the signer's threads does until it is told to stop, and what wakes it.

use super::rounds::{Rounds, Way};
use super::watch::Watch;
use super::{PassReport, ServeError};
use crate::adopt;
use crate::batch::base::Bases;
use crate::error::sentence;
use crate::registry::{Rest, Revision, Store};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use wire::time::UnixSeconds;

/// Signs what changed: at once when the registry says so, else looks once a second; on and on while there is more.
pub(super) fn watch_changes<S: Store>(
    rounds: &Rounds<'_, S>,
    seen: &mut Option<Revision>,
    papers_wanted: &Bell,
    way: Way<'_>,
) {
    let watch = Watch::of(&rounds.office.home.signer());
    let poll = Duration::from_millis(rounds.office.settings.poll_millis);
    let (mut rhythm, mut refused) = (Rhythm::default(), Rhythm::default());
    let mut rest = Rest::Nothing;
    while !(way.stop)() {
        let now = (way.clock)();
        let changed = has_changed(rounds, *seen);
        if changed || rest == Rest::More || rhythm.is_due(now) {
            let began = Instant::now();
            let mut report = PassReport::default();
            let done = look_at_changes(rounds, seen, &mut refused, way, &mut report);
            rest = *done.as_ref().unwrap_or(&Rest::Nothing);
            let done = rounds.note("changes", began, now, done.map(|_| report));
            rhythm.done(now, done);
            if changed {
                papers_wanted.ring();
            }
        }
        if rest == Rest::Nothing {
            watch.wait(poll);
        }
    }
}

/// A piece of what changed; once a second it is looked for what was refused.
fn look_at_changes<S: Store>(
    rounds: &Rounds<'_, S>,
    seen: &mut Option<Revision>,
    refused: &mut Rhythm,
    way: Way<'_>,
    report: &mut PassReport,
) -> Result<Rest, ServeError> {
    let now = (way.clock)();
    let revision = rounds.revision()?;
    // The first look comes before anything is signed: what an earlier process found void must not count, nor what lies in a
    // folder of refused batches, if that can be read. Later ones come behind the change that somebody waits for.
    let is_first = refused.last.is_none();
    if is_first {
        rounds.refused_first(way, report)?;
        refused.done(now, true);
    }
    // Noted at once: what fails is tried again after a pause, and only what changed since at once.
    *seen = Some(revision);
    rounds.metrics.saw(revision);
    let rest = rounds.changes(way, report)?;
    // A refused change is waited for like any other, and papers may be at a long list.
    if !is_first && refused.is_due(now) {
        rounds.refused_first(way, report)?;
        refused.done(now, true);
    }
    Ok(rest)
}

pub(super) fn has_changed<S: Store>(rounds: &Rounds<'_, S>, seen: Option<Revision>) -> bool {
    rounds
        .revision()
        .is_ok_and(|revision| Some(revision) != seen)
}

/// Lists and certificates, once a second and after each change; a long list is not written again before four times as long
/// has passed as it took.
pub(super) fn keep_papers<S: Store>(rounds: &Rounds<'_, S>, wanted: &Bell, way: Way<'_>) {
    let mut rhythm = Rhythm::default();
    let mut rung = true;
    let mut not_before = Instant::now();
    while !(way.stop)() {
        let now = (way.clock)();
        if (rung || rhythm.is_due(now)) && Instant::now() >= not_before {
            let began = Instant::now();
            let mut report = PassReport::default();
            let done = rounds.papers(way, &mut report).map(|()| report);
            rhythm.done(now, rounds.note("papers", began, now, done));
            let rest = (began.elapsed() * 4).min(LONGEST_REST);
            not_before = Instant::now() + rest;
            rung = false;
        }
        rung |= wanted.wait(BELL_POLL);
    }
}

/// Base shards and other authorities' lists, once a second and on and on while any are due.
pub(super) fn keep_base<S: Store>(
    rounds: &Rounds<'_, S>,
    bases: &mut Bases,
    disbelieved: &mut adopt::Memory,
    way: Way<'_>,
) {
    // Of this thread and those it starts. Where it may not be, the threads' number is the only bound.
    let _ = rustix::process::setpriority_process(None, BASE_NICENESS);
    let mut rhythm = Rhythm::default();
    while !(way.stop)() {
        let now = (way.clock)();
        if rhythm.is_due(now) {
            let began = Instant::now();
            let mut report = PassReport::default();
            let done = rounds.base(bases, disbelieved, way, &mut report);
            adopt::log(&report.adoptions);
            let done = done.map(|()| report);
            rhythm.done(now, rounds.note("base", began, now, done));
        }
        std::thread::sleep(BELL_POLL);
    }
}

/// What was committed is brought to its place, so that no revocation does it while somebody waits for it.
pub(super) fn keep_folding<S: Store>(rounds: &Rounds<'_, S>, stop: &dyn Fn() -> bool) {
    let mut told = false;
    while !stop() {
        match rounds.office.registry.wait(|store| store.fold()) {
            Ok(()) => told = false,
            // Whoever commits does it then, later.
            Err(error) if !told => {
                told = true;
                tracing::warn!(cause = %sentence(&error), "the registry's log cannot be folded");
            }
            Err(_) => {}
        }
        std::thread::sleep(FOLD_PAUSE);
    }
}

/// Once a second; after failures less and less often. A clock that was set back delays nothing.
#[derive(Default)]
pub(super) struct Rhythm {
    last: Option<UnixSeconds>,
    failures: u32,
}

impl Rhythm {
    fn is_due(&self, now: UnixSeconds) -> bool {
        self.last
            .is_none_or(|last| now >= last.saturating_add(pause_secs(self.failures)) || now < last)
    }

    fn done(&mut self, now: UnixSeconds, well: bool) {
        self.last = Some(now);
        self.failures = if well {
            0
        } else {
            self.failures.saturating_add(1)
        };
    }
}

/// Rung by one thread, heard by another.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ring.notify_one();
    }

    /// Whether it rang, now or within `longest`.
    fn wait(&self, longest: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rung, _) = self
            .ring
            .wait_timeout_while(rung, longest, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *rung)
    }
}

/// A loop that ends, be it by a panic, ends the others: half a signer would look like a whole one.
pub(super) struct EndsAll<'a>(pub(super) &'a AtomicBool);

impl Drop for EndsAll<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A second between passes; after failures up to half a minute.
fn pause_secs(failures: u32) -> u64 {
    (1_u64 << failures.min(5)).min(30)
}

/// How long a loop sleeps before it looks whether it is told to stop.
const BELL_POLL: Duration = Duration::from_millis(50);
/// Between two times that the registry's log is folded: some ten revocations when there are many.
const FOLD_PAUSE: Duration = Duration::from_millis(500);
/// The longest that a list waits for the one before to have been worth its cost.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// What a base shard's signing gives way to: everything.
const BASE_NICENESS: i32 = 10;
