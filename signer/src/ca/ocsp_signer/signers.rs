//! The OCSP signers whose keys are open, shared by the threads that sign.
//!
//! A key of RSA may take seconds to make. Whoever makes one holds up nobody but who wants one of the same authority, and changes
//! and papers want none while those at hand last for a window: successors are made where base shards are signed, in good time.

use super::{Group, Lasts, Responder, Wanted, forget_keys, make, open};
use crate::ca::{CaError, Issuer, issue};
use crate::error::sentence;
use crate::office::Office;
use crate::registry::{By, IssuerId, OcspSigner, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wire::algorithm::SignatureAlgorithm;
use wire::time::UnixSeconds;

/// The responders whose keys are open, one for each authority and algorithm: opening a key takes longer than a signature, and
/// the threads that sign must not make two responders where one is wanted.
#[derive(Default)]
pub struct Signers(Mutex<BTreeMap<IssuerId, Arc<Own>>>);

/// One authority's.
#[derive(Default)]
struct Own {
    /// Held while a key is made or some are removed: a new one has no certificate for a moment, and of two threads that
    /// miss the same one the second finds what the first made. Nothing is behind it that a panic could have left half done.
    making: Mutex<()>,
    /// Held for moments only.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    responders: BTreeMap<SignatureAlgorithm, Arc<Responder>>,
    /// Key files that could not be opened. Each was told, and has a successor.
    closed: BTreeSet<String>,
}

impl Signers {
    /// Who signs for `issuer` from now on: of each algorithm the newest responder that leaves time to make another, else a new
    /// one. Keys are opened once. A key beside the own one that cannot be opened is told and gets a successor: it must not keep
    /// what the own one signs from going out.
    ///
    /// # Errors
    /// [`CaError`], see there.
    pub fn current<S: Store>(
        &self,
        office: &Office<S>,
        issuer: &Issuer,
        by: By<'_>,
    ) -> Result<Group, CaError> {
        self.group(office, issuer, Lasts::WithTimeToSpare, by)
    }

    /// As [`current`](Self::current), for what somebody waits for: whoever lasts for a window will do, and a thread that makes their
    /// successors is not waited for. The first ones are.
    ///
    /// # Errors
    /// [`CaError`], see there.
    pub fn at_hand<S: Store>(
        &self,
        office: &Office<S>,
        issuer: &Issuer,
        by: By<'_>,
    ) -> Result<Group, CaError> {
        self.group(office, issuer, Lasts::ForAWindow, by)
    }

    /// As the function [`forget_keys`], while no responder of the authority is being made.
    ///
    /// # Errors
    /// [`CaError::Registry`], [`CaError::Key`].
    pub fn forget_keys<S: Store>(
        &self,
        office: &Office<S>,
        issuer: &Issuer,
        now: UnixSeconds,
    ) -> Result<(), CaError> {
        let own = self.of(issuer.issuer_id());
        let _alone = locked(&own.making);
        forget_keys(office, issuer, now)
    }

    fn group<S: Store>(
        &self,
        office: &Office<S>,
        issuer: &Issuer,
        lasts: Lasts,
        by: By<'_>,
    ) -> Result<Group, CaError> {
        let now = by.at;
        let own = self.of(issuer.issuer_id());
        let terms = office.settings.terms(issuer.alias());
        let algorithms = terms.algorithms(issuer.algorithm);
        let wanted = Wanted {
            office,
            issuer,
            lasts,
            now,
        };
        // Nobody waits for a maker who needs none.
        let signers = living(office, issuer, now)?;
        let open = algorithms
            .iter()
            .map(|one| own.known(&wanted, &signers, *one));
        if let Some(group) = open.collect() {
            return Ok(Group(group));
        }
        let _alone = locked(&own.making);
        issue::resume_ocsp_signers(office, issuer, by)?;
        // Read again: another thread may have made what was missed.
        let signers = living(office, issuer, now)?;
        let mut group = Vec::with_capacity(algorithms.len());
        for algorithm in algorithms {
            group.push(match own.known(&wanted, &signers, algorithm) {
                Some(known) => known,
                None => own.added(&wanted, &signers, algorithm, by)?,
            });
        }
        Ok(Group(group))
    }

    fn of(&self, issuer: IssuerId) -> Arc<Own> {
        Arc::clone(locked(&self.0).entry(issuer).or_default())
    }
}

impl Own {
    /// Who is wanted, if that one's key is open.
    fn known<S>(
        &self,
        wanted: &Wanted<'_, S>,
        signers: &[OcspSigner],
        algorithm: SignatureAlgorithm,
    ) -> Option<Arc<Responder>> {
        let open = locked(&self.open);
        let chosen = wanted.chosen(open.usable(signers), algorithm)?;
        let known = open.responders.get(&algorithm);
        known
            .filter(|known| known.certificate == chosen.certificate)
            .cloned()
    }

    /// Opens or makes who is wanted.
    fn added<S: Store>(
        &self,
        wanted: &Wanted<'_, S>,
        signers: &[OcspSigner],
        algorithm: SignatureAlgorithm,
        by: By<'_>,
    ) -> Result<Arc<Responder>, CaError> {
        let (office, issuer) = (wanted.office, wanted.issuer);
        let responder = loop {
            let chosen = {
                let open = locked(&self.open);
                wanted.chosen(open.usable(signers), algorithm)
            };
            let Some(chosen) = chosen else {
                break make(office, issuer, algorithm, by)?;
            };
            match open(office, chosen, algorithm) {
                Ok(responder) => break responder,
                // Without its own algorithm an authority answers nobody who asks for nothing: that is for people to mend.
                Err(error) if algorithm == issuer.algorithm => return Err(error),
                Err(error) => {
                    let (authority, key_file) = (issuer.alias(), &chosen.key_file);
                    let (algorithm, cause) = (algorithm.name(), sentence(&error));
                    tracing::error!(authority, algorithm, key_file, %cause, "an OCSP signer cannot be used; another takes its place");
                    locked(&self.open).closed.insert(key_file.clone());
                }
            }
        };
        let responder = Arc::new(responder);
        let known = Arc::clone(&responder);
        locked(&self.open).responders.insert(algorithm, known);
        Ok(responder)
    }
}

impl Open {
    fn usable<'s>(&self, signers: &'s [OcspSigner]) -> impl Iterator<Item = &'s OcspSigner> {
        let signers = signers.iter();
        signers.filter(|signer| !self.closed.contains(&signer.key_file))
    }
}

/// Those that are not revoked and have not ended.
fn living<S: Store>(
    office: &Office<S>,
    issuer: &Issuer,
    now: UnixSeconds,
) -> Result<Vec<OcspSigner>, CaError> {
    let authority = issuer.id();
    let signers = office
        .registry
        .wait(|store| store.ocsp_signers(authority, now))?;
    Ok(signers)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
