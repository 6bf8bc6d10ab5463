//! The lists that stand in a staged folder in the end: what came and what stays, and whether they speak together.

use std::fs::File;
use std::path::{Path, PathBuf};

use wire::crl::{Crl, Outline};

use super::certificate::Certificate;
use super::crl::Judging;
use super::file::{CrlImport, ImportError, random_key, refused_at, unreadable};
use super::floor::Stays;
use super::intake::{Bench, Came};
use super::listed::SettleError;
use super::refusal::CrlRefusal;
use super::together::{Reading, TogetherError};
use super::whose::{Parties, is_indirect};
use crate::staged::{ListFile, OpenList, Pending, identity, rfc3339};

/// What stands together.
pub(super) struct Set {
    /// What came.
    pub(super) came: Vec<Came>,
    /// What stays.
    pub(super) kept: Vec<Kept>,
    /// Who signs the indirect ones among them, if that is not the CA: named now, or with those that stay.
    pub(super) crl_issuer: Option<Certificate>,
    /// The operator's word that these partitions are all there are.
    pub(super) complete: bool,
    /// Serials revoked in the end, by all of them.
    pub(super) revoked: u64,
    /// What is unusual, in sentences.
    pub(super) odd: Vec<String>,
}

/// A list that was staged before, and stays.
pub(super) struct Kept {
    /// Its file in the folder.
    pub(super) name: String,
    path: PathBuf,
    /// Its BLAKE3.
    pub(super) blake3: [u8; 32],
    outline: Outline,
}

impl Kept {
    /// Everything but its entries.
    pub(super) fn crl(&self) -> Crl<'_> {
        self.outline.read().expect("it was read when it was staged")
    }
}

impl Set {
    /// Puts what stays beside what came.
    pub(super) fn gather(
        came: Vec<Came>,
        stays: Stays,
        request: &CrlImport<'_>,
        pending: &mut Pending,
    ) -> Result<Self, ImportError> {
        let mut kept = Vec::with_capacity(stays.lists.len());
        for (list, outline) in stays.lists {
            let name = pending.keep(&list.path)?;
            kept.push(Kept {
                path: pending.path_of(&name),
                name,
                blake3: list.blake3,
                outline,
            });
        }
        let mut set = Self {
            revoked: 0,
            complete: request.company.complete || stays.complete,
            odd: stays.odd,
            // Who was named for lists that go is named anew, or not at all.
            crl_issuer: stays.crl_issuer.filter(|_| !kept.is_empty()),
            came,
            kept,
        };
        let restricts = |crl: Crl<'_>| {
            let point = crl.extensions.distribution_point;
            point.is_some_and(|point| point.is_restricting())
        };
        // A list of all is complete by itself.
        set.complete = set.complete && set.crls().any(restricts);
        set.doubt_strangers(request)?;
        set.note_stale(&request.judging);
        Ok(set)
    }

    /// An indirect list that names others only may be another CA's: nobody is good by it.
    fn doubt_strangers(&mut self, request: &CrlImport<'_>) -> Result<(), ImportError> {
        let is_strange = |came: &Came| {
            let crl = came.crl();
            is_indirect(&crl) && !crl.is_delta() && came.entries > 0 && came.others == came.entries
        };
        if !self.came.iter().any(is_strange) {
            return Ok(());
        }
        if request.company.complete {
            return Err(refused_at(request.crl, CrlRefusal::Strange));
        }
        if std::mem::take(&mut self.complete) {
            self.odd.push(
                "the word that these lists are all is no longer believed: it must be given anew"
                    .to_owned(),
            );
        }
        self.odd.push(
            "none of its entries is about this issuer's certificates: is it the right list, and the right issuer?"
                .to_owned(),
        );
        Ok(())
    }

    fn crls(&self) -> impl Iterator<Item = Crl<'_>> {
        let came = self.came.iter().map(Came::crl);
        came.chain(self.kept.iter().map(Kept::crl))
    }

    /// Partitions that come one by one must not keep each other out.
    fn note_stale(&mut self, judging: &Judging) {
        for kept in &self.kept {
            let end = kept.crl().next_update;
            if let Some(end) = end.filter(|end| *end < judging.moment()) {
                self.odd.push(format!(
                    "{}, which stays, is past its nextUpdate {}: nothing new is answered from these lists until its next one comes",
                    kept.name,
                    rfc3339(end)
                ));
            }
        }
    }

    /// Whether all of them together make sense. Counts what they revoke.
    pub(super) fn speak_together(
        &mut self,
        bench: &Bench<'_>,
        paths: &[&Path],
    ) -> Result<(), ImportError> {
        if let ([only], []) = (self.came.as_slice(), self.kept.as_slice()) {
            if only.crl().is_delta() {
                return Err(refused_at(paths[0], CrlRefusal::DeltaAlone));
            }
            self.revoked = only.revoked;
            return Ok(());
        }
        let lists = self.open()?;
        let path_of = |place: usize| paths.get(place).copied().unwrap_or(&lists[place].path);
        let reading = Reading {
            disk: bench.disk,
            sorting: bench.sorting,
            key: random_key(),
            parties: Parties {
                crl_issuer: self.crl_issuer.as_ref(),
                ..bench.parties
            },
        };
        let judging = |crl: &Crl<'_>| judge_as(crl, bench.judging);
        let together = reading.read(&lists, &judging);
        let mut together = together.map_err(|error| match error {
            TogetherError::Refused { place, refusal } => refused_at(path_of(place), refusal),
            TogetherError::Staged(error) => error.into(),
            TogetherError::Sort(error) => error.into(),
        })?;
        match together.said.run_out() {
            Ok(()) => {}
            Err(SettleError::Fault(fault)) => return Err(refused_at(paths[0], fault.into())),
            Err(SettleError::Sort(error)) => return Err(error.into()),
            Err(SettleError::Twice { .. }) => unreachable!("only lines are numbered"),
        }
        self.revoked = together.said.revoked();
        Ok(())
    }

    fn open(&self) -> Result<Vec<OpenList>, ImportError> {
        let came = self.came.iter().map(|came| (&came.path, came.blake3));
        let kept = self.kept.iter().map(|kept| (&kept.path, kept.blake3));
        came.chain(kept)
            .map(|(path, blake3)| {
                let file = File::open(path).map_err(|source| unreadable(path, source))?;
                Ok(OpenList {
                    path: path.clone(),
                    file,
                    blake3,
                })
            })
            .collect()
    }

    fn hashes(&self) -> Vec<[u8; 32]> {
        let came = self.came.iter().map(|came| came.blake3);
        came.chain(self.kept.iter().map(|kept| kept.blake3))
            .collect()
    }

    /// What batches that repeat them name.
    pub(super) fn identity(&self) -> [u8; 32] {
        identity(&self.hashes(), self.complete)
    }

    /// As `options.toml` has them: none, if there is one and nothing more to say.
    pub(super) fn list_files(&self) -> Vec<ListFile> {
        if self.came.len() + self.kept.len() == 1 && !self.complete {
            return Vec::new();
        }
        let came = self.came.iter().map(|came| (&came.name, came.blake3));
        let kept = self.kept.iter().map(|kept| (&kept.name, kept.blake3));
        came.chain(kept)
            .map(|(name, blake3)| ListFile {
                name: name.clone(),
                blake3,
            })
            .collect()
    }
}

/// One that stays was judged by the clock when it came. What is past its nextUpdate is judged as of its own day: whoever
/// signs or answers from it judges by the present one.
fn judge_as(crl: &Crl<'_>, judging: &Judging) -> Judging {
    let is_over = crl.next_update.is_some_and(|end| end < judging.moment());
    Judging {
        as_of: match is_over {
            true => Some(crl.this_update.min(judging.now)),
            false => judging.as_of,
        },
        ..*judging
    }
}
