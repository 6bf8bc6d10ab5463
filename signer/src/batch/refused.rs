//! Batches the loader set aside: what they covered is not covered, so it is signed again.
//!
//! The loader moves a batch it will not take to `refused/`, with one line that says why. Whatever was recorded up to the
//! highest refused number counts as never written: the issuer gets one new full batch, lists and certificates included. If
//! the loader refuses that one too, the next is tried after a pause, not at once: signing a whole issuer in a circle helps
//! nobody.

use crate::registry::{BatchRecord, IssuerId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wire::time::UnixSeconds;

/// What is known of refused batches.
#[derive(Debug, Default)]
pub struct Refused {
    all: bool,
    void: BTreeMap<IssuerId, u64>,
    answered: BTreeMap<IssuerId, UnixSeconds>,
    told: BTreeSet<PathBuf>,
}

impl Refused {
    /// From now on nothing counts that was ever written: an operator wants everything signed anew.
    pub fn forget_all(&mut self) {
        self.all = true;
    }

    /// Everything was signed anew.
    pub fn remember_again(&mut self) {
        self.all = false;
    }

    /// Whether what this batch covered still has to be signed.
    #[must_use]
    pub fn voids(&self, record: &BatchRecord) -> bool {
        let void = self.void.get(&record.issuer);
        self.all || void.is_some_and(|number| record.number <= *number)
    }

    /// Looks at an issuer's `refused` folder. `full` is the number of its newest full batch.
    pub fn look(&mut self, issuer: IssuerId, folder: &Path, full: Option<u64>, now: UnixSeconds) {
        let numbers = self.read(folder);
        let known = self.void.get(&issuer).copied();
        let Some(newest) = numbers.last().copied().filter(|n| Some(*n) > known) else {
            return;
        };
        // A full batch above all that was refused has made up for it already, perhaps by an earlier process.
        let lost = full.filter(|full| *full <= newest);
        if lost.is_some_and(|full| numbers.contains(&full))
            && let Some(at) = self.answered.get(&issuer)
            && (*at..at + PAUSE_SECS).contains(&now)
        {
            return;
        }
        if lost.is_some() {
            self.answered.insert(issuer, now);
        }
        self.void.insert(issuer, newest);
    }

    /// The refused numbers; those not seen before are told.
    fn read(&mut self, folder: &Path) -> BTreeSet<u64> {
        let mut numbers = BTreeSet::new();
        // No such folder: nothing was ever refused.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".reason"));
            let Some(number) = stem.and_then(|stem| stem.parse().ok()) else {
                continue;
            };
            numbers.insert(number);
            if !self.told.contains(&path) {
                let reason = std::fs::read_to_string(&path).unwrap_or_default();
                let reason = reason.trim();
                tracing::error!(file = %path.display(), reason, "the loader refused a batch");
                self.told.insert(path);
            }
        }
        numbers
    }
}

/// How long a full batch waits that makes up for one which was itself refused.
const PAUSE_SECS: u64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::BatchKind;

    fn record(number: u64) -> BatchRecord {
        BatchRecord {
            issuer: [7; 16],
            number,
            kind: BatchKind::Full,
            shard: 0,
            revision: 1,
            created_at: 0,
            next_update: 2,
            renew_at: 1,
            records: 1,
        }
    }

    #[test]
    fn an_issuer_is_signed_in_a_circle_for_a_loader_that_refuses_all() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = |number: u64| {
            std::fs::write(folder.path().join(format!("{number:020}.reason")), "no\n").unwrap();
        };
        let mut refused = Refused::default();
        refused.look([7; 16], folder.path(), Some(1), 100);
        assert!(!refused.voids(&record(1)));
        refuse(2);
        refused.look([7; 16], folder.path(), Some(1), 100);
        assert!(refused.voids(&record(2)) && refused.voids(&record(1)));
        // Number 3 makes up for it, a change within the hour is refused: made up for at once.
        refuse(4);
        refused.look([7; 16], folder.path(), Some(3), 200);
        assert!(refused.voids(&record(3)));
        // Number 5, which should make up for that, is refused too.
        refuse(5);
        refused.look([7; 16], folder.path(), Some(5), 300);
        assert!(!refused.voids(&record(5)));
        refused.look([7; 16], folder.path(), Some(5), 200 + PAUSE_SECS);
        assert!(refused.voids(&record(5)));
    }

    #[test]
    fn a_restart_signs_everything_for_what_was_made_up_long_ago() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("00000000000000000002.reason"), "no\n").unwrap();
        let mut refused = Refused::default();
        refused.look([7; 16], folder.path(), Some(3), 100);
        assert!(!refused.voids(&record(3)));
        assert!(!refused.voids(&BatchRecord {
            issuer: [8; 16],
            ..record(1)
        }));
    }
}
