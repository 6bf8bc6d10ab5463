//! What is done in a pass, in three rounds that wait for nothing of one another: changes, papers, base shards.

use super::sweep::sweep;
use super::{PassReport, ServeError};
use crate::adopt;
use crate::batch::base::{Bases, Task};
use crate::batch::own::{self, Written};
use crate::batch::papers::papers;
use crate::batch::pieces::{self, Pieces};
use crate::batch::refused::{Numbers, Part, Refused};
use crate::batch::{BatchError, Spooler};
use crate::ca::issue::Issuing;
use crate::ca::ocsp_signer::Signers;
use crate::ca::{CaError, Issuer, crl, issue};
use crate::key::Signer;
use crate::metrics::Metrics;
use crate::office::Office;
use crate::registry::{BatchKind, By, IssuerId, Rest, Revision, Store};
use crate::text::hex;
use std::collections::BTreeSet;
use wire::time::UnixSeconds;

/// What all rounds share.
pub(super) struct Rounds<'a, S> {
    pub(super) office: &'a Office<S>,
    pub(super) batch_key: Box<dyn Signer>,
    pub(super) signers: Signers,
    pub(super) refused: Refused,
    pub(super) pieces: Pieces,
    pub(super) metrics: Metrics,
}

/// How a round tells the time, and whom it tells.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub(super) clock: &'a dyn Fn() -> UnixSeconds,
    pub(super) progress: &'a dyn Fn(u64),
    pub(super) stop: &'a dyn Fn() -> bool,
}

impl<S: Store> Rounds<'_, S> {
    fn spooler<'s>(&'s self, way: Way<'s>) -> Spooler<'s> {
        Spooler {
            batch_key: &*self.batch_key,
            clock: way.clock,
            refused: &self.refused,
            pieces: &self.pieces,
            signers: &self.signers,
            progress: way.progress,
            stop: way.stop,
        }
    }

    pub(super) fn revision(&self) -> Result<Revision, CaError> {
        let revision = self.office.registry.wait(|store| store.revision());
        Ok(revision?)
    }

    /// Everybody the spool is written for: our own, and those whose lists were adopted.
    pub(super) fn everybody(&self) -> Result<Vec<IssuerId>, CaError> {
        let own = self.office.issuers()?;
        let foreign = self.office.registry.wait(|store| store.foreign())?;
        let foreign = foreign.into_iter().map(|row| row.adoption.issuer);
        Ok(own.iter().map(Issuer::issuer_id).chain(foreign).collect())
    }

    /// What the loader set aside counts as never written.
    pub(super) fn refused_first(
        &self,
        way: Way<'_>,
        report: &mut PassReport,
    ) -> Result<(), ServeError> {
        for id in self.everybody()? {
            report.take(&hex(&id), self.look_for_refused(&id, (way.clock)()));
        }
        Ok(())
    }

    /// What was signed before counts as never signed.
    pub(super) fn forget_all(&self) -> Result<(), CaError> {
        for id in self.everybody()? {
            let number = self
                .office
                .registry
                .wait(|store| store.next_batch_number(&id))?;
            self.refused.forget(id, number, &self.office.home.signer());
        }
        Ok(())
    }

    /// What changed, and nothing else: a revocation waits for no list, no renewal and no other authority's fault. Of each
    /// authority one piece; the answer is whether another is waiting.
    pub(super) fn changes(
        &self,
        way: Way<'_>,
        report: &mut PassReport,
    ) -> Result<Rest, ServeError> {
        let mut rest = Rest::Nothing;
        for issuer in self.office.issuers()?.iter().filter(|i| !i.is_root()) {
            let piece = pieces::changes(self.office, issuer, self.spooler(way));
            let Some(piece) = report.take(issuer.alias(), piece) else {
                continue;
            };
            report.batches.extend(piece.written);
            if piece.rest == Rest::More {
                rest = Rest::More;
            }
        }
        Ok(rest)
    }

    /// What was refused is looked for; what is past its end expires; reservations are finished; lists and certificates go
    /// out; what the loader acknowledged is removed.
    pub(super) fn papers(&self, way: Way<'_>, report: &mut PassReport) -> Result<(), ServeError> {
        let office = self.office;
        let by = || By::signer((way.clock)());
        let authorities = office.issuers()?;
        let everybody = self.everybody()?;
        self.refused_first(way, report)?;
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
        for issuer in authorities.iter().filter(|issuer| !issuer.is_root()) {
            let papers = papers(issuer, &authorities, &lists);
            let written = own::documents(office, issuer, &papers, self.spooler(way));
            let written = report.take(issuer.alias(), written);
            report.batches.extend(written.into_iter().flatten());
        }
        for id in &everybody {
            let path = office.home.spool(id);
            let swept = sweep(&path).map_err(|source| ServeError::File { path, source });
            report.take(&hex(id), swept);
        }
        Ok(())
    }

    /// Base shards, the most urgent of all authorities first, until none is due; between two of them, other authorities'
    /// lists.
    pub(super) fn base(
        &self,
        bases: &mut Bases,
        disbelieved: &mut adopt::Memory,
        way: Way<'_>,
        report: &mut PassReport,
    ) -> Result<(), ServeError> {
        let mut at_fault = BTreeSet::new();
        loop {
            let told = report.adoptions.len();
            self.adopt(disbelieved, way, report);
            if told > 0 {
                // Between two shards only what is new is told: everything was before the first.
                let again = report.adoptions.split_off(told);
                let news = again
                    .into_iter()
                    .filter(|outcome| outcome.written().is_some());
                report.adoptions.extend(news);
            }
            if (way.stop)() {
                return Ok(());
            }
            // Read anew: a shard may have been divided.
            let authorities = self.office.issuers()?;
            let mut next: Option<(&Issuer, Task)> = None;
            for issuer in authorities.iter().filter(|issuer| !issuer.is_root()) {
                if at_fault.contains(&issuer.issuer_id()) {
                    continue;
                }
                let due = bases.next(self.office, issuer, &self.spooler(way));
                match report.take(issuer.alias(), due) {
                    None => {
                        at_fault.insert(issuer.issuer_id());
                    }
                    Some(Some(task)) if next.is_none_or(|(_, next)| task.due() < next.due()) => {
                        next = Some((issuer, task));
                    }
                    Some(_) => {}
                }
            }
            let Some((issuer, task)) = next else {
                return Ok(());
            };
            match bases.sign(self.office, issuer, &task, self.spooler(way)) {
                Err(BatchError::Stopped) => return Ok(()),
                written => match report.take(issuer.alias(), written) {
                    Some(written) => report.batches.push(written),
                    None => {
                        at_fault.insert(issuer.issuer_id());
                    }
                },
            }
        }
    }

    /// Adopts what is staged.
    pub(super) fn adopt(
        &self,
        disbelieved: &mut adopt::Memory,
        way: Way<'_>,
        report: &mut PassReport,
    ) {
        let adopted = adopt::pass(self.office, disbelieved, self.spooler(way));
        let outcomes = report.take("staged", adopted).unwrap_or_default();
        let written: Vec<Written> = outcomes
            .iter()
            .filter_map(adopt::Outcome::written)
            .cloned()
            .collect();
        report.batches.extend(written);
        report.adoptions.extend(outcomes);
    }

    /// What the loader set aside is signed again.
    fn look_for_refused(&self, id: &IssuerId, now: UnixSeconds) -> Result<(), CaError> {
        let registry = &self.office.registry;
        let newest = |part| {
            let (kind, shard) = match part {
                Part::Whole | Part::Base => (BatchKind::Full, 0),
                Part::Shard(shard) => (BatchKind::Shard, shard),
                Part::Changes => (BatchKind::Delta, 0),
                Part::Documents => (BatchKind::Crl, 0),
            };
            let latest = registry.wait(|store| store.latest_batch(id, kind, shard))?;
            Ok(latest.map(|record| record.number))
        };
        let numbers = Numbers {
            newest: &newest,
            next: &|| registry.wait(|store| store.next_batch_number(id)),
        };
        let home = &self.office.home;
        let folder = home.spool(id).join("refused");
        self.refused
            .look(*id, &folder, &home.signer(), &numbers, now)
    }
}
