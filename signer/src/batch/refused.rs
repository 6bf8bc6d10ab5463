//! Batches the loader set aside: what they covered is not covered, so it is signed again.
//!
//! The loader moves a batch it will not take to `refused/`, with one line that says why, and goes on with the next. A refused
//! base shard is signed again, a refused full batch voids all base batches up to its number, one that cannot be read any
//! more voids everything up to its number. A batch of changes begins where the one before it ended, and a batch of files
//! has only what is new: those that followed a refused one do not have what was in it. So they count for nothing either; what
//! makes up for them has all changes since the oldest base, or all files.
//!
//! Another thread may be making one of these just now, without knowing. So all is void up to a number taken for the
//! purpose: whoever makes changes or files takes its number first and looks at what counts once more then, so what bears a
//! higher number was made knowing. Where nothing else would tell, that number is noted beside the registry
//! (`refused/note.rs`): the refused file lies there only until an operator removes it, and an operator's word
//! (`sign --all`) nowhere else.
//!
//! If what makes up for a refused batch is refused too, the next is tried after a pause, not at once: signing in a circle
//! helps nobody. The pause is doubled each time: saying all of it may take longer, and whoever begins again before the end
//! never comes to the last pieces. What is refused meanwhile is owed, whoever empties the folder; of changes and lists after a
//! start too, at once.
//! `refused/aside.rs` reads the folder.

mod aside;
mod note;

use crate::ca::CaError;
use crate::error::sentence;
use crate::registry::{Answer, BatchKind, BatchRecord, IssuerId};
use aside::Aside;
use note::{ALL_SO_FAR, NOTED};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::time::UnixSeconds;

/// What is known of refused batches; shared by the signer's threads.
#[derive(Debug, Default)]
pub struct Refused(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    void: BTreeMap<(IssuerId, Part), u64>,
    pauses: BTreeMap<(IssuerId, Part), Pause>,
    /// The last that was refused within a pause, and is not void yet.
    owed: BTreeMap<(IssuerId, Part), u64>,
    /// What was refused and bears a number that the registry has not come to: an older copy of it was put back.
    strange: BTreeMap<(IssuerId, Part), BTreeSet<u64>>,
    recalled: BTreeSet<IssuerId>,
    aside: Aside,
}

/// Since something was voided.
#[derive(Debug, Clone, Copy)]
struct Pause {
    since: UnixSeconds,
    /// How many times in a row it was voided before, none long after the other.
    again: u32,
}

impl Pause {
    fn after(before: Option<Self>, now: UnixSeconds) -> Self {
        let near = before.filter(|pause| pause.is_within(now, QUIET_SECS));
        Self {
            since: now,
            again: near.map_or(0, |pause| pause.again.saturating_add(1)),
        }
    }

    /// A clock that was set back delays nothing.
    fn is_within(&self, now: UnixSeconds, secs: u64) -> bool {
        (self.since..self.since.saturating_add(secs)).contains(&now)
    }

    fn lasts(&self, now: UnixSeconds, shortest: u64) -> bool {
        let doubled = 2_u64.saturating_pow(self.again);
        self.is_within(now, shortest.saturating_mul(doubled).min(PAUSE_SECS))
    }
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

/// What the registry knows of the numbers of an issuer's batches.
pub struct Numbers<'a> {
    /// The newest batch of a part, if there is one.
    pub newest: &'a dyn Fn(Part) -> Answer<Option<u64>>,
    /// Takes one above all that were ever taken.
    pub next: &'a dyn Fn() -> Answer<u64>,
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

    /// Whether a newer batch makes up for an older one, whatever it knew of it.
    fn stands_alone(self) -> bool {
        !matches!(self, Self::Changes | Self::Documents)
    }
}

impl Refused {
    /// From now on nothing of an issuer counts up to that number: an operator wants everything signed anew. Noted in
    /// `notes`, so that whoever goes on after a kill knows it too.
    pub fn forget(&self, issuer: IssuerId, number: u64, notes: &Path) {
        let mut known = self.lock();
        for (part, _) in NOTED {
            known.void.insert((issuer, part), number);
            if let Some(path) = note::path(notes, &issuer, part) {
                note::write(&path, number);
            }
        }
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

    /// Whether an issuer's notes were read and its folder was looked at. Before that nobody knows what of it is void. A
    /// folder that cannot be read holds nothing up: what it has is judged when it can be.
    #[must_use]
    pub fn has_looked(&self, issuer: &IssuerId) -> bool {
        self.lock().recalled.contains(issuer)
    }

    /// Looks at an issuer's `refused` folder. What must outlive this process is noted in `notes`.
    ///
    /// # Errors
    /// [`CaError::Registry`], [`CaError::File`]; what was not judged then is judged at the next look.
    pub fn look(
        &self,
        issuer: IssuerId,
        folder: &Path,
        notes: &Path,
        numbers: &Numbers<'_>,
        now: UnixSeconds,
    ) -> Result<(), CaError> {
        // Held while the registry is asked, so that nobody takes for good what is being voided.
        let mut known = self.lock();
        known.recall(issuer, notes, numbers)?;
        let mut aside = known.aside.read(folder)?;
        for (_, part) in known.owed.keys().filter(|(owed, _)| *owed == issuer) {
            aside.entry(*part).or_default();
        }
        for (part, refused) in aside {
            let void = known.judge((issuer, part), &refused, numbers, now)?;
            let path = note::path(notes, &issuer, part).filter(|_| !part.stands_alone());
            if let (Some(void), Some(path)) = (void, path) {
                note::write(&path, void);
            }
        }
        Ok(())
    }

    /// Each change under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What an earlier process found void, whatever still lies in the folder.
    fn recall(
        &mut self,
        issuer: IssuerId,
        notes: &Path,
        numbers: &Numbers<'_>,
    ) -> Result<(), CaError> {
        if self.recalled.contains(&issuer) {
            return Ok(());
        }
        for (part, _) in NOTED {
            let path = note::path(notes, &issuer, part);
            let read = path.and_then(|path| note::read(&path).map(|noted| (path, noted)));
            let Some((path, noted)) = read else {
                continue;
            };
            let next = (numbers.next)()?;
            // Saying again what was said harms nobody; holding all of it up for a note would.
            let noted = noted.unwrap_or_else(|error| {
                let cause = sentence(&error);
                tracing::error!(file = %path.display(), cause, "what is void cannot be read: all is");
                ALL_SO_FAR
            });
            // An older copy of the registry may have been put back: what it numbers anew would be void for ever.
            let void = next.min(noted);
            if void < noted {
                note::write(&path, void);
            }
            let known = self.void.entry((issuer, part)).or_default();
            *known = void.max(*known);
        }
        self.recalled.insert(issuer);
        Ok(())
    }

    /// How long what makes up for a refused batch waits at first after that was itself refused.
    fn shortest(&self, (issuer, part): (IssuerId, Part), now: UnixSeconds) -> u64 {
        // Changes that were refused may be said by the base only, if that was signed behind them.
        let changes = self.pauses.get(&(issuer, Part::Changes));
        let is_urgent = changes.is_some_and(|pause| pause.is_within(now, QUIET_SECS));
        match part.stands_alone() && !is_urgent {
            true => PAUSE_SECS,
            false => SHORT_PAUSE_SECS,
        }
    }

    /// What is refused or owed and not void yet, of one part; and the newest batch of that part, if there is any.
    fn open(
        &mut self,
        part: (IssuerId, Part),
        refused: &BTreeSet<u64>,
        numbers: &Numbers<'_>,
    ) -> Answer<(BTreeSet<u64>, Option<u64>)> {
        let void = self.void.get(&part).copied();
        let numbers_of = refused.iter().chain(self.owed.get(&part)).copied();
        let mut open: BTreeSet<u64> = numbers_of.filter(|number| Some(*number) > void).collect();
        if open.is_empty() {
            return Ok((open, None));
        }
        let newest = (numbers.newest)(part.1)?;
        if let Some(strange) = self.strange.get_mut(&part) {
            // What bears such a number by now may be another batch.
            strange.retain(|number| Some(*number) > newest);
            open.retain(|number| !strange.contains(number));
        }
        Ok((open, newest))
    }

    /// `refused` are numbers of one part. What is to be noted, if that changed: up to which number all is void, or that all
    /// will be.
    fn judge(
        &mut self,
        part: (IssuerId, Part),
        refused: &BTreeSet<u64>,
        numbers: &Numbers<'_>,
        now: UnixSeconds,
    ) -> Answer<Option<u64>> {
        let before = self.void.get(&part).copied();
        let (mut open, newest) = self.open(part, refused, numbers)?;
        let Some(last) = open.last().copied() else {
            self.owed.remove(&part);
            return Ok(None);
        };
        // A base batch above all that was refused has made up for it already, perhaps by an earlier process. Of changes and
        // files only one that was made knowing of the refusal has.
        let stands_alone = part.1.stands_alone();
        let lost = newest.filter(|newest| *newest <= last || !stands_alone);
        // What makes up for changes comes in pieces: the newest of them was hardly ever judged yet.
        let again = match stands_alone {
            true => lost.is_some_and(|newest| newest == last || refused.contains(&newest)),
            false => before.is_some(),
        };
        let pause = self.pauses.get(&part).copied();
        let shortest = self.shortest(part, now);
        if again && pause.is_some_and(|pause| pause.lasts(now, shortest)) {
            let is_new = self.owed.insert(part, last).is_none();
            return Ok(is_new.then_some(ALL_SO_FAR));
        }
        let reached = match newest {
            Some(newest) if stands_alone && newest >= last => newest,
            // Whatever is being made just now bears a lower number, or is made knowing.
            _ => (numbers.next)()?,
        };
        self.owed.remove(&part);
        let strange = open.split_off(&reached.saturating_add(1));
        if !strange.is_empty() {
            // Void up to there would be void for ever: all that is made bears lower numbers.
            self.strange.entry(part).or_default().extend(strange);
        }
        let Some(last) = open.last().copied() else {
            return Ok(None);
        };
        let void = if stands_alone { last } else { reached };
        if lost.is_some() || !stands_alone {
            self.pauses.insert(part, Pause::after(pause, now));
        }
        self.void.insert(part, void);
        Ok(Some(void))
    }
}

/// What is long to sign; and the longest pause.
const PAUSE_SECS: u64 = 3_600;
/// What is short, and waited for: a revocation may be in it.
const SHORT_PAUSE_SECS: u64 = 60;
/// What is refused so long after the last time has nothing to do with it: making up, with its pause, is over.
const QUIET_SECS: u64 = 2 * PAUSE_SECS;

#[cfg(test)]
mod tests;
