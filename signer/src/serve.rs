//! The loop that keeps everything fresh: changes go out within a poll, responses and lists are renewed at half of their
//! validity, staged CRLs are adopted, acknowledged batches are removed.
//!
//! [`Shift::pass`] is one look at everything (`hufu-signer sign`), [`Shift::run`] the loop (`hufu-signer serve`). After a
//! week without power the first pass signs everything anew: what is due follows from the registry and the clock alone.

use crate::adopt;
use crate::batch::own::{self, Errand, Written};
use crate::batch::{BatchError, Spooler};
use crate::ca::{CaError, Issuer, crl, issue};
use crate::error::sentence;
use crate::key::Signer;
use crate::office::Office;
use crate::registry::{By, Revision, Store};
use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use wire::batch::{acknowledgement_name, parse_spool_name};
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

/// What a pass did.
#[derive(Debug, Default)]
#[must_use]
pub struct PassReport {
    /// Batches put into the spool.
    pub batches: Vec<Written>,
    /// Staged CRLs that were looked at, each with what became of it.
    pub adoptions: Vec<adopt::Outcome>,
}

/// The one process that writes the spool, as long as it lives.
pub struct Shift<'a, S> {
    office: &'a Office<S>,
    batch_key: Box<dyn Signer>,
    seen: Option<Revision>,
    refused: adopt::Memory,
    told: BTreeSet<PathBuf>,
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
            refused: adopt::Memory::default(),
            told: BTreeSet::new(),
            _lock: lock,
        })
    }

    /// One look at everything. `progress` hears of records as they are signed.
    ///
    /// # Errors
    /// [`ServeError`]; what was done before stays done.
    pub fn pass(
        &mut self,
        now: UnixSeconds,
        progress: &dyn Fn(u64),
    ) -> Result<PassReport, ServeError> {
        let by = By::signer(now);
        let spooler = Spooler {
            batch_key: &*self.batch_key,
            now,
            progress,
        };
        let mut report = PassReport::default();
        // Read before anything is looked at: what changes meanwhile is seen by the next pass.
        let seen = self
            .office
            .registry
            .wait(|store| store.revision())
            .map_err(CaError::from)?;
        // No status changes by it: what is past its end keeps its last word.
        self.office
            .registry
            .wait(|store| store.expire(by))
            .map_err(CaError::from)?;
        let authorities = self.office.issuers()?;
        for issuer in &authorities {
            let _ = issue::resume(self.office, issuer, by)?;
        }
        // Changes first: a revocation must not wait for lists and renewals.
        let issuing = || authorities.iter().filter(|issuer| !issuer.is_root());
        for issuer in issuing() {
            let written = own::write(self.office, issuer, &[], Errand::Changes, spooler)?;
            report.batches.extend(written);
        }
        let lists = crl::write(self.office, &authorities, crl::Urgency::Due, by)?;
        for issuer in issuing() {
            let documents = own::documents(issuer, &authorities, &lists);
            let written = own::write(self.office, issuer, &documents, Errand::Everything, spooler)?;
            report.batches.extend(written);
        }
        report.adoptions = self.adopt(now, progress)?;
        let adopted = report.adoptions.iter().filter_map(adopt::Outcome::written);
        report.batches.extend(adopted.cloned());
        self.sweep(&authorities)?;
        self.seen = Some(seen);
        Ok(report)
    }

    /// Adopts what is staged (`hufu-signer adopt`).
    ///
    /// # Errors
    /// [`ServeError`]; a list that is not believed is an outcome.
    pub fn adopt(
        &mut self,
        now: UnixSeconds,
        progress: &dyn Fn(u64),
    ) -> Result<Vec<adopt::Outcome>, ServeError> {
        let spooler = Spooler {
            batch_key: &*self.batch_key,
            now,
            progress,
        };
        Ok(adopt::pass(self.office, &mut self.refused, spooler)?)
    }

    /// Passes until `stop` says so: at once when the registry changes, else once a second.
    pub fn run(&mut self, clock: impl Fn() -> UnixSeconds, stop: impl Fn() -> bool) {
        let poll = Duration::from_millis(self.office.settings.poll_millis);
        let mut last_pass = None;
        let mut failures = 0_u32;
        while !stop() {
            let now = clock();
            let due = last_pass.is_none_or(|last| now >= last + pause_secs(failures) || now < last);
            let changed = failures == 0 && self.changed();
            if due || changed {
                match self.pass(now, &|_| {}) {
                    Ok(report) => {
                        failures = 0;
                        adopt::log(&report.adoptions);
                    }
                    Err(error) => {
                        failures += 1;
                        let cause = sentence(&error);
                        tracing::error!(%cause, failures, "pass failed; what is served stays served");
                    }
                }
                last_pass = Some(now);
            }
            std::thread::sleep(poll);
        }
    }

    fn changed(&self) -> bool {
        let revision = self.office.registry.wait(|store| store.revision());
        revision.is_ok_and(|revision| Some(revision) != self.seen)
    }

    /// Removes batches that the loader has acknowledged, with their acknowledgements.
    fn sweep(&mut self, authorities: &[Issuer]) -> Result<(), ServeError> {
        let foreign = self
            .office
            .registry
            .wait(|store| store.foreign())
            .map_err(CaError::from)?;
        let own = authorities.iter().map(Issuer::issuer_id);
        for id in own.chain(foreign.iter().map(|row| row.adoption.issuer)) {
            let folder = self.office.home.spool(&id);
            sweep_one(&folder).map_err(|source| ServeError::File {
                path: folder.clone(),
                source,
            })?;
            self.tell_refused(&folder.join("refused"));
        }
        Ok(())
    }

    /// What the loader refused lies in `refused/`, with one line that says why. Nothing is signed again for it: the same
    /// batch would be refused again, and whoever reads the log decides.
    fn tell_refused(&mut self, folder: &Path) {
        // No such folder: nothing was ever refused.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "reason")
                && !self.told.contains(&path)
            {
                let reason = std::fs::read_to_string(&path).unwrap_or_default();
                let reason = reason.trim();
                tracing::error!(file = %path.display(), reason, "the loader refused a batch");
                self.told.insert(path);
            }
        }
    }
}

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
