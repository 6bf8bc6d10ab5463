//! Batches the loader set aside: what they covered is not covered, so it is signed again.
//!
//! The loader moves a batch it will not take to `refused/`, with one line that says why. A refused base shard is signed
//! again, a refused batch of changes is followed by one of all changes since the oldest base shard, refused documents are
//! sent again, a refused full batch (or one that cannot be read any more) voids everything up to its number. If what makes
//! up for it is refused too, the next is tried after a pause, not at once: signing in a circle helps nobody.

use crate::registry::{BatchKind, BatchRecord, IssuerId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::batch::{Header, Kind, spool_name};
use wire::time::UnixSeconds;

/// What is known of refused batches; shared by the signer's threads.
#[derive(Debug, Default)]
pub struct Refused(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    void: BTreeMap<(IssuerId, Part), u64>,
    answered: BTreeMap<(IssuerId, Part), UnixSeconds>,
    told: BTreeMap<PathBuf, Part>,
}

/// What of an issuer's published state a batch makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All of it.
    Whole,
    /// One base shard.
    Shard(u32),
    /// The deltas.
    Changes,
    /// Lists and certificates.
    Documents,
}

impl Part {
    fn of(record: &BatchRecord) -> Self {
        match record.kind {
            BatchKind::Full => Self::Whole,
            BatchKind::Shard => Self::Shard(record.shard),
            BatchKind::Delta => Self::Changes,
            BatchKind::Crl => Self::Documents,
        }
    }

    /// What a refused file was to make; everything if it cannot be read.
    fn of_file(path: &Path) -> Self {
        let header = std::fs::read(path).ok();
        let header = header.and_then(|octets| Header::parse(&octets).ok());
        header.map_or(Self::Whole, |(header, _)| match header.kind {
            Kind::Full => Self::Whole,
            Kind::Shard => Self::Shard(header.shard),
            Kind::Delta => Self::Changes,
            Kind::Documents => Self::Documents,
        })
    }
}

impl Refused {
    /// From now on nothing of an issuer counts up to that number: an operator wants everything signed anew.
    pub fn forget(&self, issuer: IssuerId, number: u64) {
        self.lock().void.insert((issuer, Part::Whole), number);
    }

    /// Whether what this batch covered still has to be signed.
    #[must_use]
    pub fn voids(&self, record: &BatchRecord) -> bool {
        let known = self.lock();
        [Part::Whole, Part::of(record)]
            .iter()
            .filter_map(|part| known.void.get(&(record.issuer, *part)))
            .any(|number| record.number <= *number)
    }

    /// Looks at an issuer's `refused` folder. `newest` knows the number of the newest batch of a part.
    pub fn look(
        &self,
        issuer: IssuerId,
        folder: &Path,
        newest: &dyn Fn(Part) -> Option<u64>,
        now: UnixSeconds,
    ) {
        let mut known = self.lock();
        for (part, numbers) in known.read(folder) {
            known.judge((issuer, part), &numbers, newest(part), now);
        }
    }

    /// Each change under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// `numbers` were refused, `newest` was written last, both of one part.
    fn judge(
        &mut self,
        part: (IssuerId, Part),
        numbers: &BTreeSet<u64>,
        newest: Option<u64>,
        now: UnixSeconds,
    ) {
        let before = self.void.get(&part).copied();
        let Some(refused) = numbers.last().copied().filter(|n| Some(*n) > before) else {
            return;
        };
        // One above all that was refused has made up for it already, perhaps by an earlier process.
        let lost = newest.filter(|newest| *newest <= refused);
        if lost.is_some_and(|newest| numbers.contains(&newest))
            && let Some(at) = self.answered.get(&part)
            && (*at..at.saturating_add(PAUSE_SECS)).contains(&now)
        {
            return;
        }
        if lost.is_some() {
            self.answered.insert(part, now);
        }
        self.void.insert(part, refused);
    }

    /// The refused numbers by part; those not seen before are told.
    fn read(&mut self, folder: &Path) -> BTreeMap<Part, BTreeSet<u64>> {
        let mut parts: BTreeMap<Part, BTreeSet<u64>> = BTreeMap::new();
        // No such folder: nothing was ever refused.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".reason"));
            let Some(number) = stem.and_then(|stem| stem.parse().ok()) else {
                continue;
            };
            let part = self.told.get(&path).copied().unwrap_or_else(|| {
                let reason = std::fs::read_to_string(&path).unwrap_or_default();
                let reason = reason.trim();
                tracing::error!(file = %path.display(), reason, "the loader refused a batch");
                let part = Part::of_file(&folder.join(spool_name(number)));
                self.told.insert(path, part);
                part
            });
            parts.entry(part).or_default().insert(number);
        }
        parts
    }
}

/// How long what makes up for a refused batch waits after that was itself refused.
const PAUSE_SECS: u64 = 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u64) -> BatchRecord {
        BatchRecord {
            issuer: [7; 16],
            number,
            kind: BatchKind::Full,
            shard: 0,
            shards: 1,
            variants: 0,
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
        // Without the file itself: it might have been a full batch.
        let refuse = |number: u64| {
            std::fs::write(folder.path().join(format!("{number:020}.reason")), "no\n").unwrap();
        };
        let refused = Refused::default();
        let look = |newest, now| refused.look([7; 16], folder.path(), &|_| Some(newest), now);
        look(1, 100);
        assert!(!refused.voids(&record(1)));
        refuse(2);
        look(1, 100);
        assert!(refused.voids(&record(2)) && refused.voids(&record(1)));
        // Number 3 makes up for it, a change within the hour is refused: made up for at once.
        refuse(4);
        look(3, 200);
        assert!(refused.voids(&record(3)));
        // Number 5, which should make up for that, is refused too.
        refuse(5);
        look(5, 300);
        assert!(!refused.voids(&record(5)));
        look(5, 200 + PAUSE_SECS);
        assert!(refused.voids(&record(5)));
    }

    #[test]
    fn a_restart_signs_everything_for_what_was_made_up_long_ago() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("00000000000000000002.reason"), "no\n").unwrap();
        let refused = Refused::default();
        refused.look([7; 16], folder.path(), &|_| Some(3), 100);
        assert!(!refused.voids(&record(3)));
        assert!(!refused.voids(&BatchRecord {
            issuer: [8; 16],
            ..record(1)
        }));
    }

    #[test]
    fn one_refused_shard_voids_its_issuer() {
        let refused = Refused::default();
        let shard = |shard, number| BatchRecord {
            kind: BatchKind::Shard,
            shard,
            ..record(number)
        };
        let numbers = BTreeSet::from([9]);
        refused
            .lock()
            .judge(([7; 16], Part::Shard(3)), &numbers, Some(9), 100);
        assert!(refused.voids(&shard(3, 9)));
        assert!(!refused.voids(&shard(3, 10)));
        assert!(!refused.voids(&shard(2, 8)) && !refused.voids(&record(1)));
        refused.forget([7; 16], 12);
        assert!(refused.voids(&shard(2, 8)) && !refused.voids(&shard(2, 13)));
    }
}
