//! The loop that keeps everything fresh: changes go out within a poll, responses and lists are renewed at half of their
//! validity, staged CRLs are adopted, acknowledged batches are removed.
//!
//! [`Shift::pass`] is one look at everything (`hufu-signer sign`), [`Shift::run`] the loop (`hufu-signer serve`). After a
//! week without power the first pass signs everything anew: what is due follows from the registry and the clock alone.

use crate::adopt;
use crate::batch::own::{self, Errand, Written};
use crate::batch::papers;
use crate::batch::refused::Refused;
use crate::batch::{BatchError, Spooler};
use crate::ca::issue::Issuing;
use crate::ca::{CaError, Issuer, crl, issue, ocsp_signer};
use crate::error::sentence;
use crate::key::Signer;
use crate::office::Office;
use crate::registry::{BatchKind, By, IssuerId, Revision, Store};
use crate::text::hex;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wire::batch::{Kind, acknowledgement_name, parse_spool_name};
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
    office: &'a Office<S>,
    batch_key: Box<dyn Signer>,
    seen: Option<Revision>,
    disbelieved: adopt::Memory,
    refused: Refused,
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
        let batch_key = office.keyring.batch_key().map_err(CaError::from)?;
        Ok(Self {
            office,
            batch_key,
            seen: None,
            disbelieved: adopt::Memory::default(),
            refused: Refused::default(),
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
        let office = self.office;
        let by = || By::signer(clock());
        let mut report = PassReport::default();
        // Read before anything is looked at: what changes meanwhile is seen by the next pass. Noted at once: what fails is
        // tried again after a pause, and only what changed since at once.
        let seen = office.registry.wait(|store| store.revision());
        self.seen = Some(seen.map_err(CaError::from)?);
        let authorities = office.issuers()?;
        let foreign = office.registry.wait(|store| store.foreign());
        let foreign = foreign.map_err(CaError::from)?;
        let foreign = foreign.iter().map(|row| row.adoption.issuer);
        let ids: Vec<_> = authorities
            .iter()
            .map(Issuer::issuer_id)
            .chain(foreign)
            .collect();
        for id in &ids {
            let looked = self.look_for_refused(id, clock());
            report.take(&hex(id), looked);
        }
        let spooler = Spooler {
            batch_key: &*self.batch_key,
            clock,
            refused: &self.refused,
            progress,
        };
        // Changes first: a revocation must not wait for lists and renewals.
        let issuing = || authorities.iter().filter(|issuer| !issuer.is_root());
        for issuer in issuing() {
            let papers = papers::Papers::default();
            let written = own::write(office, issuer, &papers, Errand::Changes, spooler);
            let written = report.take(issuer.alias(), written);
            report.batches.extend(written.into_iter().flatten());
        }
        // No status changes by it: what is past its end keeps its last word.
        let expired = office.registry.wait(|store| store.expire(by()));
        report.take("registry", expired.map_err(CaError::from));
        if let Some(held) = report
            .take("issuing", Issuing::try_now(&office.home))
            .flatten()
        {
            for issuer in &authorities {
                let resumed = issue::resume(office, &held, issuer, by());
                report.take(issuer.alias(), resumed);
            }
        }
        let mut lists = Vec::with_capacity(authorities.len());
        for issuer in &authorities {
            let one = std::slice::from_ref(issuer);
            let written = crl::write_notes(office, one, crl::Urgency::Due, by());
            match report.take(issuer.alias(), written) {
                Some(written) => lists.extend(written),
                // The lists before are still the newest there are.
                None => {
                    let newest = crl::newest(office, issuer);
                    lists.extend(report.take(issuer.alias(), newest).unwrap_or_default());
                }
            }
        }
        for issuer in issuing() {
            let papers = papers::papers(issuer, &authorities, &lists);
            let written = own::write(office, issuer, &papers, Errand::Everything, spooler);
            let written = report.take(issuer.alias(), written);
            let is_full = |written: &Vec<Written>| written.iter().any(|w| w.kind == Kind::Full);
            if written.as_ref().is_some_and(is_full) {
                let forgotten = ocsp_signer::forget_keys(office, issuer, clock());
                report.take(issuer.alias(), forgotten);
            }
            report.batches.extend(written.into_iter().flatten());
        }
        let adopted = adopt::pass(office, &mut self.disbelieved, spooler);
        report.adoptions = report.take("staged", adopted).unwrap_or_default();
        let adopted = report.adoptions.iter().filter_map(adopt::Outcome::written);
        report.batches.extend(adopted.cloned());
        for id in &ids {
            let path = office.home.spool(id);
            let swept = sweep_one(&path).map_err(|source| ServeError::File { path, source });
            report.take(&hex(id), swept);
        }
        self.refused.remember_again();
        Ok(report)
    }

    /// Whatever was signed before, the next pass signs everything anew (`hufu-signer sign --all`).
    pub fn forget_all(&mut self) {
        self.refused.forget_all();
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
        let spooler = Spooler {
            batch_key: &*self.batch_key,
            clock,
            refused: &self.refused,
            progress,
        };
        Ok(adopt::pass(self.office, &mut self.disbelieved, spooler)?)
    }

    /// Passes until `stop` says so: at once when the registry changes, else once a second.
    pub fn run(&mut self, clock: impl Fn() -> UnixSeconds, stop: impl Fn() -> bool) {
        let poll = Duration::from_millis(self.office.settings.poll_millis);
        let mut last_pass = None;
        let mut failures = 0_u32;
        while !stop() {
            let now = clock();
            let due = last_pass.is_none_or(|last| now >= last + pause_secs(failures) || now < last);
            if due || self.changed() {
                if self.pass_and_log(&clock) {
                    failures = 0;
                } else {
                    failures = failures.saturating_add(1);
                }
                last_pass = Some(now);
            }
            std::thread::sleep(poll);
        }
    }

    /// Whether all of it was done.
    fn pass_and_log(&mut self, clock: &dyn Fn() -> UnixSeconds) -> bool {
        match self.pass(clock, &|_| {}) {
            Ok(report) => {
                adopt::log(&report.adoptions);
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

    fn changed(&self) -> bool {
        let revision = self.office.registry.wait(|store| store.revision());
        revision.is_ok_and(|revision| Some(revision) != self.seen)
    }

    /// What the loader set aside is signed again.
    fn look_for_refused(&mut self, id: &IssuerId, now: UnixSeconds) -> Result<(), CaError> {
        let full = self
            .office
            .registry
            .wait(|store| store.latest_batch(id, BatchKind::Full, 0))?;
        let folder = self.office.home.spool(id).join("refused");
        self.refused
            .look(*id, &folder, full.map(|full| full.number), now);
        Ok(())
    }
}

/// Removes batches that the loader has acknowledged, with their acknowledgements.
fn sweep_one(folder: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let name = entry?.file_name();
        // Half a batch of a signer that was killed: we hold the lock and are not writing, so it is nobody's.
        if name
            .to_str()
            .is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp"))
        {
            remove(&folder.join(name))?;
            continue;
        }
        let Some(number) = name.to_str().and_then(parse_spool_name) else {
            continue;
        };
        let acknowledgement = folder.join(acknowledgement_name(number));
        if acknowledgement.exists() {
            // The batch first: the loader takes an acknowledgement without its batch for what it is, the end of the story.
            remove(&folder.join(name))?;
            remove(&acknowledgement)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A second between passes; after failures up to half a minute.
fn pause_secs(failures: u32) -> u64 {
    (1_u64 << failures.min(5)).min(30)
}

/// The system's clock; called by main loops only.
#[must_use]
pub fn clock() -> UnixSeconds {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
