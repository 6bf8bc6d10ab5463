//! Batches the loader set aside: what they covered is not covered, so it is signed again.
//!
//! The loader moves a batch it will not take to `refused/`, with one line that says why, and goes on with the next. A refused
//! base shard is signed again, a refused full batch voids all base batches up to its number, one that cannot be read any
//! more voids everything up to its number. A batch of changes begins where the one before it ended, and a batch of files
//! has only what is new: those that followed a refused one do not have what was in it. So they count for nothing either; what
//! makes up for them has all changes since the oldest base, or all files. That is remembered beside the registry
//! (`void-<issuer>-changes`), for the refused file lies there until an operator removes it.
//!
//! If what makes up for a refused batch is refused too, the next is tried after a pause, not at once: signing in a circle
//! helps nobody.

use crate::durable::{self, Existing, Secrecy};
use crate::registry::{BatchKind, BatchRecord, IssuerId};
use crate::text::hex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::batch::{Header, Kind, PREFIX_OCTETS, header_octets, spool_name};
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
    /// All base shards.
    Base,
    /// One base shard.
    Shard(u32),
    /// The deltas.
    Changes,
    /// Lists and certificates.
    Documents,
}

impl Part {
    /// The parts whose refusal voids a batch.
    fn of(record: &BatchRecord) -> [Self; 3] {
        let (own, all) = match record.kind {
            BatchKind::Full => (Self::Base, Self::Base),
            BatchKind::Shard => (Self::Shard(record.shard), Self::Base),
            BatchKind::Delta => (Self::Changes, Self::Changes),
            BatchKind::Crl => (Self::Documents, Self::Documents),
        };
        [own, all, Self::Whole]
    }

    /// What a refused file was to make; everything if it cannot be read.
    fn of_file(path: &Path) -> Self {
        header(path).map_or(Self::Whole, |header| match header.kind {
            Kind::Full => Self::Base,
            Kind::Shard => Self::Shard(header.shard),
            Kind::Delta => Self::Changes,
            Kind::Documents => Self::Documents,
        })
    }

    /// The word by which is remembered up to where it is void, where newer batches do not make up for older ones.
    fn remembered(self) -> Option<&'static str> {
        match self {
            Self::Changes => Some("changes"),
            Self::Documents => Some("documents"),
            Self::Whole | Self::Base | Self::Shard(_) => None,
        }
    }

    /// How long what makes up for a refused batch waits after that was itself refused.
    fn pause_secs(self) -> u64 {
        match self {
            Self::Changes | Self::Documents => SHORT_PAUSE_SECS,
            Self::Whole | Self::Base | Self::Shard(_) => PAUSE_SECS,
        }
    }
}

/// The header of a batch; of its records, which may be gigabytes, nothing is read.
fn header(path: &Path) -> Option<Header> {
    let mut file = File::open(path).ok()?;
    let mut octets = vec![0; PREFIX_OCTETS];
    file.read_exact(&mut octets).ok()?;
    // At most `wire::batch::MAX_HEADER_OCTETS`, and no more than there are.
    let rest = header_octets(&octets).ok()?.checked_sub(PREFIX_OCTETS)?;
    file.take(rest as u64).read_to_end(&mut octets).ok()?;
    Some(Header::parse(&octets).ok()?.0)
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
        Part::of(record)
            .iter()
            .filter_map(|part| known.void.get(&(record.issuer, *part)))
            .any(|number| record.number <= *number)
    }

    /// Looks at an issuer's `refused` folder. What must outlive this process is remembered in `notes`; `newest` knows the
    /// number of the newest batch of a part.
    pub fn look(
        &self,
        issuer: IssuerId,
        folder: &Path,
        notes: &Path,
        newest: &dyn Fn(Part) -> Option<u64>,
        now: UnixSeconds,
    ) {
        let mut known = self.lock();
        for (part, numbers) in known.read(folder) {
            let note = part.remembered();
            let note = note.map(|word| notes.join(format!("void-{}-{word}", hex(&issuer))));
            if let Some(note) = &note {
                known.recall((issuer, part), note);
            }
            let judged = known.judge((issuer, part), &numbers, newest(part), now);
            if let (Some(void), Some(note)) = (judged, &note) {
                remember(note, void);
            }
        }
    }

    /// Each change under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Losing the note costs one needless batch at the next start, nothing else.
fn remember(note: &Path, void: u64) {
    let text = format!("{void}\n");
    let written = durable::write(note, text.as_bytes(), Secrecy::Public, Existing::Replace);
    if let Err(error) = written {
        tracing::warn!(file = %note.display(), %error, "what was refused cannot be noted");
    }
}

impl Known {
    /// What an earlier process found void.
    fn recall(&mut self, part: (IssuerId, Part), note: &Path) {
        if self.void.contains_key(&part) {
            return;
        }
        let text = std::fs::read_to_string(note).ok();
        if let Some(void) = text.and_then(|text| text.trim().parse().ok()) {
            self.void.insert(part, void);
        }
    }

    /// `numbers` were refused, `newest` was written last, both of one part. Up to which number all is void now, if that
    /// changed.
    fn judge(
        &mut self,
        part: (IssuerId, Part),
        numbers: &BTreeSet<u64>,
        newest: Option<u64>,
        now: UnixSeconds,
    ) -> Option<u64> {
        let before = self.void.get(&part).copied();
        let refused = numbers.last().copied().filter(|n| Some(*n) > before)?;
        // A base batch above all that was refused has made up for it already, perhaps by an earlier process. Of changes and
        // files only one that was made knowing of the refusal has.
        let stands_alone = part.1.remembered().is_none();
        let lost = newest.filter(|newest| *newest <= refused || !stands_alone);
        if lost.is_some_and(|newest| numbers.contains(&newest))
            && let Some(at) = self.answered.get(&part)
            && (*at..at.saturating_add(part.1.pause_secs())).contains(&now)
        {
            return None;
        }
        if lost.is_some() {
            self.answered.insert(part, now);
        }
        let void = lost.map_or(refused, |newest| newest.max(refused));
        self.void.insert(part, void);
        Some(void)
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

/// What is long to sign.
const PAUSE_SECS: u64 = 3_600;
/// What is short, and waited for: a revocation may be in it.
const SHORT_PAUSE_SECS: u64 = 60;

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
        let notes = folder.path();
        let look = |newest, now| {
            refused.look([7; 16], folder.path(), notes, &|_| Some(newest), now);
        };
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
        refused.look([7; 16], folder.path(), folder.path(), &|_| Some(3), 100);
        assert!(!refused.voids(&record(3)));
        assert!(!refused.voids(&BatchRecord {
            issuer: [8; 16],
            ..record(1)
        }));
    }

    #[test]
    fn a_refused_change_counts_as_said_because_a_later_one_was_taken() {
        for (part, kind) in [
            (Part::Changes, BatchKind::Delta),
            (Part::Documents, BatchKind::Crl),
        ] {
            let of_kind = |number| BatchRecord {
                kind,
                ..record(number)
            };
            let (issuer, mut known) = ([7; 16], Known::default());
            // Number 4 was written before the refusal of 3 was seen: it begins where 3 ended.
            let judged = known.judge((issuer, part), &BTreeSet::from([3]), Some(4), 100);
            assert_eq!(judged, Some(4));
            let refused = Refused(Mutex::new(known));
            assert!(refused.voids(&of_kind(4)) && !refused.voids(&of_kind(5)));
            assert!(!refused.voids(&record(4)), "the base is another matter");
            // Number 5 makes up for all; when it is refused at once, the next follows after a pause, though 6 came meanwhile.
            let mut known = refused.lock();
            let two = BTreeSet::from([3, 5]);
            assert_eq!(known.judge((issuer, part), &two, Some(5), 110), None);
            assert_eq!(known.judge((issuer, part), &two, Some(6), 120), Some(6));
            assert_eq!(known.judge((issuer, part), &two, Some(7), 130), None);
        }
    }

    #[test]
    fn a_killed_signer_forgets_which_changes_are_still_to_be_made_up_for() {
        let (folder, notes) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let subject = Header {
            kind: Kind::Delta,
            number: 3,
            ..header_of(7)
        };
        std::fs::write(folder.path().join(spool_name(3)), subject.encode().unwrap()).unwrap();
        std::fs::write(folder.path().join(format!("{:020}.reason", 3)), "no\n").unwrap();
        let delta = |number| BatchRecord {
            kind: BatchKind::Delta,
            ..record(number)
        };
        let look = |newest| {
            let refused = Refused::default();
            let (folder, notes) = (folder.path(), notes.path());
            refused.look([7; 16], folder, notes, &|_| Some(newest), 100);
            refused
        };
        assert!(look(4).voids(&delta(4)));
        // Killed before it had made up for it; and started again after.
        assert!(look(4).voids(&delta(4)));
        assert!(!look(5).voids(&delta(5)));
        assert!(!look(9).voids(&delta(9)));
    }

    fn header_of(issuer: u8) -> Header {
        Header {
            kind: Kind::Full,
            issuer_id: wire::cert_id::IssuerId([issuer; 16]),
            number: 1,
            revision: 1,
            created_at: 1,
            hash_key: wire::serial::SerialHashKey([0; 16]),
            shards: 1,
            shard: 0,
            source: wire::batch::Source::Registry,
            serial_octets: 16,
            record_count: 0,
            issuer_certificate: Vec::new(),
            variants: Vec::new(),
            slots: 0,
            responders: Vec::new(),
            windows: Vec::new(),
            documents: Vec::new(),
        }
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
        let _ = refused
            .lock()
            .judge(([7; 16], Part::Shard(3)), &numbers, Some(9), 100);
        assert!(refused.voids(&shard(3, 9)));
        assert!(!refused.voids(&shard(3, 10)));
        assert!(!refused.voids(&shard(2, 8)) && !refused.voids(&record(1)));
        refused.forget([7; 16], 12);
        assert!(refused.voids(&shard(2, 8)) && !refused.voids(&shard(2, 13)));
        // A refused full batch: no base of before is there, but changes that were said stay said.
        let refused = Refused::default();
        let _ = refused
            .lock()
            .judge(([7; 16], Part::Base), &numbers, Some(9), 100);
        assert!(refused.voids(&shard(3, 8)) && refused.voids(&record(9)));
        assert!(!refused.voids(&BatchRecord {
            kind: BatchKind::Delta,
            ..record(8)
        }));
    }
}
