//! The loops that keep everything fresh, each on a thread of its own: changes, which wait for nothing; papers (lists,
//! certificates, expiry, reservations); base shards, signed again one after another at a lower priority; the registry's log.
//!
//! [`Shift::pass`] is one look at everything (`hufu-signer sign`), [`Shift::run`] the loops (`hufu-signer serve`). What is
//! due follows from the registry and the clock alone: a killed signer goes on where it was, and after a week without
//! power what ends soonest is signed first, revocations before all. `serve/loops.rs` are the loops, `serve/rounds.rs` is what is
//! done in them.

mod loops;
mod rounds;
mod sweep;
mod watch;

use crate::adopt;
use crate::batch::BatchError;
use crate::batch::base::Bases;
use crate::batch::own::Written;
use crate::batch::pieces::Pieces;
use crate::batch::refused::Refused;
use crate::ca::CaError;
use crate::ca::ocsp_signer::Signers;
use crate::error::sentence;
use crate::metrics::Metrics;
use crate::office::Office;
use crate::registry::{Rest, Revision, Store};
use loops::{Bell, EndsAll, keep_base, keep_folding, keep_papers, watch_changes};
use rounds::{Rounds, Way};
use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};
use wire::cert_id::IssuerId;
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
        for issuer in office.issuers()? {
            metrics.serves(IssuerId(issuer.issuer_id()), issuer.alias());
        }
        Ok(Self {
            rounds: Rounds {
                office,
                batch_key,
                signers: Signers::default(),
                refused: Refused::default(),
                pieces: Pieces::default(),
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
        while self.rounds.changes(way, &mut report)? == Rest::More {}
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
            scope.spawn(|| {
                let _all = EndsAll(&ended);
                keep_folding(rounds, stop);
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
        loops::has_changed(&self.rounds, self.seen)
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

/// The system's clock; called by main loops only.
#[must_use]
pub fn clock() -> UnixSeconds {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
pub(crate) mod tests;
