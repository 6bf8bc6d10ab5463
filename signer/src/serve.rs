//! The loops that keep everything fresh, each on a thread of its own: changes, which wait for nothing; papers (lists,
//! certificates, expiry, reservations); base shards, signed again one after another at a lower priority.
//!
//! [`Shift::pass`] is one look at everything (`hufu-signer sign`), [`Shift::run`] the loops (`hufu-signer serve`). What is
//! due follows from the registry and the clock alone: a killed signer goes on where it was, and after a week without
//! power what ends soonest is signed first, revocations before all. `serve/rounds.rs` is what the loops do.

mod rounds;
mod sweep;
mod watch;

use crate::adopt;
use crate::batch::BatchError;
use crate::batch::base::Bases;
use crate::batch::own::Written;
use crate::batch::refused::Refused;
use crate::ca::CaError;
use crate::ca::ocsp_signer::Signers;
use crate::error::sentence;
use crate::metrics::Metrics;
use crate::office::Office;
use crate::registry::{Revision, Store};
use rounds::{Rounds, Way};
use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use watch::Watch;
use wire::time::UnixSeconds;

/// Failures of the loop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another process writes the spool.
    #[error("another signer holds {}", .0.display())]
    Locked(PathBuf),
    /// The lock or a spool folder cannot be used.
    #[error("{}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificates, lists or keys failed.
    #[error("authority")]
    Authority(#[from] CaError),
    /// Metrics cannot be told.
    #[error("metrics")]
    Metrics(#[from] prometheus::Error),
    /// Signing ahead failed.
    #[error("batch")]
    Batch(#[from] BatchError),
}

/// One thing of a pass that failed, while the others went on.
#[derive(Debug)]
pub struct Fault {
    /// Whose.
    pub issuer: String,
    /// What failed.
    pub error: ServeError,
}

/// What a pass did.
#[derive(Debug, Default)]
#[must_use]
pub struct PassReport {
    /// Batches put into the spool.
    pub batches: Vec<Written>,
    /// Staged CRLs that were looked at, each with what became of it.
    pub adoptions: Vec<adopt::Outcome>,
    /// What failed.
    pub faults: Vec<Fault>,
}

impl PassReport {
    /// Takes the answer of one piece of work, or notes whose work failed.
    fn take<T>(&mut self, whose: &str, done: Result<T, impl Into<ServeError>>) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                self.faults.push(Fault {
                    issuer: whose.to_owned(),
                    error: error.into(),
                });
                None
            }
        }
    }
}

/// The one process that writes the spool, as long as it lives.
pub struct Shift<'a, S> {
    rounds: Rounds<'a, S>,
    seen: Option<Revision>,
    bases: Bases,
    disbelieved: adopt::Memory,
    _lock: File,
}

impl<'a, S: Store> Shift<'a, S> {
    /// Takes the spool's lock.
    ///
    /// # Errors
    /// [`ServeError::Locked`] if another process has it.
    pub fn begin(office: &'a Office<S>) -> Result<Self, ServeError> {
        let path = office.home.spool_lock();
        let failed = |source| ServeError::File {
            path: path.clone(),
            source,
        };
        let lock = File::create(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ServeError::Locked(path)),
            Err(TryLockError::Error(source)) => return Err(ServeError::File { path, source }),
        }
        let spool = office.home.spools();
        sweep::remove_halves(&spool).map_err(|source| ServeError::File {
            path: spool,
            source,
        })?;
        let batch_key = office.keyring.batch_key().map_err(CaError::from)?;
        let metrics = Metrics::new(office.home.spools())?;
        Ok(Self {
            rounds: Rounds {
                office,
                batch_key,
                signers: Signers::default(),
                refused: Refused::default(),
                metrics,
            },
            seen: None,
            bases: Bases::default(),
            disbelieved: adopt::Memory::default(),
            _lock: lock,
        })
    }

    /// One look at everything. `progress` hears of records as they are signed. One issuer's fault stops no other's work.
    ///
    /// # Errors
    /// [`ServeError`] if the registry does not even say whom it serves.
    pub fn pass(
        &mut self,
        clock: &dyn Fn() -> UnixSeconds,
        progress: &dyn Fn(u64),
    ) -> Result<PassReport, ServeError> {
        let mut report = PassReport::default();
        let way = Way {
            clock,
            progress,
            stop: &|| false,
        };
        // Read before anything is looked at: what changes meanwhile is seen by the next pass. Noted at once: what fails is
        // tried again after a pause, and only what changed since at once.
        self.seen = Some(self.rounds.revision()?);
        self.rounds.refused_first(way, &mut report)?;
        self.rounds.changes(way, &mut report)?;
        self.rounds.papers(way, &mut report)?;
        let (bases, disbelieved) = (&mut self.bases, &mut self.disbelieved);
        self.rounds.base(bases, disbelieved, way, &mut report)?;
        Ok(report)
    }

    /// Whatever was signed before, the next pass signs everything anew (`hufu-signer sign --all`).
    ///
    /// # Errors
    /// [`ServeError::Authority`] if the registry fails.
    pub fn forget_all(&mut self) -> Result<(), ServeError> {
        Ok(self.rounds.forget_all()?)
    }

    /// Adopts what is staged, and does nothing else.
    ///
    /// # Errors
    /// [`ServeError`]; a list that is not believed is an outcome.
    pub fn adopt(
        &mut self,
        clock: &dyn Fn() -> UnixSeconds,
        progress: &dyn Fn(u64),
    ) -> Result<Vec<adopt::Outcome>, ServeError> {
        let way = Way {
            clock,
            progress,
            stop: &|| false,
        };
        let mut report = PassReport::default();
        self.rounds.adopt(&mut self.disbelieved, way, &mut report);
        match report.faults.pop() {
            Some(fault) => Err(fault.error),
            None => Ok(report.adoptions),
        }
    }

    /// Works until `stop` says so: changes as soon as the registry has them, everything else as it falls due.
    pub fn run(&mut self, clock: impl Fn() -> UnixSeconds + Sync, stop: impl Fn() -> bool + Sync) {
        let Self {
            rounds,
            seen,
            bases,
            disbelieved,
            ..
        } = self;
        let rounds = &*rounds;
        let ended = AtomicBool::new(false);
        let stop = || ended.load(Ordering::Relaxed) || stop();
        let way = Way {
            clock: &clock,
            progress: &|_| {},
            stop: &stop,
        };
        let papers_wanted = Bell::default();
        // Closures that other threads may hold; each makes its own way of them.
        let (clock, stop) = (&clock, &stop);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _all = EndsAll(&ended);
                let way = Way {
                    clock,
                    progress: &|_| {},
                    stop,
                };
                keep_papers(rounds, &papers_wanted, way);
            });
            scope.spawn(|| {
                let _all = EndsAll(&ended);
                let way = Way {
                    clock,
                    progress: &|_| {},
                    stop,
                };
                keep_base(rounds, bases, disbelieved, way);
            });
            let _all = EndsAll(&ended);
            watch_changes(rounds, seen, &papers_wanted, way);
        });
    }

    /// What the loops do, as operators are told.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.rounds.metrics.clone()
    }

    #[cfg(test)]
    fn changed(&self) -> bool {
        has_changed(&self.rounds, self.seen)
    }
}

/// Signs what changed: at once when the registry says so, else looks once a second.
fn watch_changes<S: Store>(
    rounds: &Rounds<'_, S>,
    seen: &mut Option<Revision>,
    papers_wanted: &Bell,
    way: Way<'_>,
) {
    let watch = Watch::of(&rounds.office.home.signer());
    let poll = Duration::from_millis(rounds.office.settings.poll_millis);
    let (mut rhythm, mut refused) = (Rhythm::default(), Rhythm::default());
    while !(way.stop)() {
        let now = (way.clock)();
        let changed = has_changed(rounds, *seen);
        if changed || rhythm.is_due(now) {
            let began = Instant::now();
            let done = rounds.note(
                "changes",
                began,
                now,
                rounds
                    .revision()
                    .map_err(ServeError::from)
                    .and_then(|revision| {
                        // Noted at once: what fails is tried again after a pause, and only what changed since at once.
                        *seen = Some(revision);
                        rounds.metrics.saw(revision);
                        let mut report = PassReport::default();
                        // A refused change is waited for like any other, and papers may be at a long list.
                        if refused.is_due(now) {
                            refused.done(now, true);
                            rounds.refused_first(way, &mut report)?;
                        }
                        rounds.changes(way, &mut report)?;
                        Ok(report)
                    }),
            );
            rhythm.done(now, done);
            if changed {
                papers_wanted.ring();
            }
        }
        watch.wait(poll);
    }
}

fn has_changed<S: Store>(rounds: &Rounds<'_, S>, seen: Option<Revision>) -> bool {
    rounds
        .revision()
        .is_ok_and(|revision| Some(revision) != seen)
}

/// Lists and certificates, once a second and after each change; a long list is not written again before four times as long
/// has passed as it took.
fn keep_papers<S: Store>(rounds: &Rounds<'_, S>, wanted: &Bell, way: Way<'_>) {
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
fn keep_base<S: Store>(
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

impl<S> Rounds<'_, S> {
    /// Tells metrics and log of a round; whether all of it was done.
    fn note(
        &self,
        which: &str,
        began: Instant,
        now: UnixSeconds,
        done: Result<PassReport, ServeError>,
    ) -> bool {
        let report = done.as_ref().ok();
        self.metrics.passed(which, report, began.elapsed(), now);
        log_faults(done)
    }
}

/// Whether all of it was done.
fn log_faults(done: Result<PassReport, ServeError>) -> bool {
    match done {
        Ok(report) => {
            for Fault { issuer, error } in &report.faults {
                let cause = sentence(error);
                tracing::error!(issuer, %cause, "not done; what is served stays served, the others go on");
            }
            report.faults.is_empty()
        }
        Err(error) => {
            let cause = sentence(&error);
            tracing::error!(%cause, "pass failed; what is served stays served");
            false
        }
    }
}

/// Once a second; after failures less and less often. A clock that was set back delays nothing.
#[derive(Default)]
struct Rhythm {
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
struct Bell {
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
struct EndsAll<'a>(&'a AtomicBool);

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
/// The longest that a list waits for the one before to have been worth its cost.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// What a base shard's signing gives way to: everything.
const BASE_NICENESS: i32 = 10;

/// The system's clock; called by main loops only.
#[must_use]
pub fn clock() -> UnixSeconds {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
