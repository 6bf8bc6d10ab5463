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
//! (`void-<issuer>-…`): the refused file lies there only until an operator removes it, and an operator's word
//! (`sign --all`) nowhere else.
//!
//! If what makes up for a refused batch is refused too, the next is tried after a pause, not at once: signing in a circle
//! helps nobody. `refused/aside.rs` reads the folder.

mod aside;

use crate::ca::CaError;
use crate::durable::{self, Existing, Secrecy};
use crate::registry::{Answer, BatchKind, BatchRecord, IssuerId};
use crate::text::hex;
use aside::Aside;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use wire::time::UnixSeconds;

/// What is known of refused batches; shared by the signer's threads.
#[derive(Debug, Default)]
pub struct Refused(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    void: BTreeMap<(IssuerId, Part), u64>,
    answered: BTreeMap<(IssuerId, Part), UnixSeconds>,
    recalled: BTreeSet<IssuerId>,
    aside: Aside,
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

    /// How long what makes up for a refused batch waits after that was itself refused.
    fn pause_secs(self) -> u64 {
        match self {
            Self::Changes | Self::Documents => SHORT_PAUSE_SECS,
            Self::Whole | Self::Base | Self::Shard(_) => PAUSE_SECS,
        }
    }
}

impl Refused {
    /// From now on nothing of an issuer counts up to that number: an operator wants everything signed anew. Noted in
    /// `notes`, so that whoever goes on after a kill knows it too.
    pub fn forget(&self, issuer: IssuerId, number: u64, notes: &Path) {
        let mut known = self.lock();
        for (part, word) in NOTED {
            known.void.insert((issuer, part), number);
            remember(&note(notes, &issuer, word), number);
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

    /// Whether an issuer's folder and notes were looked at. Before that nobody knows what of it is void.
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
        for (part, refused) in known.aside.read(folder)? {
            let Some(void) = known.judge((issuer, part), &refused, numbers, now)? else {
                continue;
            };
            let mut noted = NOTED.iter().filter(|_| !part.stands_alone());
            if let Some((_, word)) = noted.find(|(noted, _)| *noted == part) {
                remember(&note(notes, &issuer, word), void);
            }
        }
        Ok(())
    }

    /// Each change under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn note(notes: &Path, issuer: &IssuerId, word: &str) -> PathBuf {
    notes.join(format!("void-{}-{word}", hex(issuer)))
}

/// Losing the note costs one needless batch at the next start, or an operator one more word.
fn remember(note: &Path, void: u64) {
    let text = format!("{void}\n");
    let written = durable::write(note, text.as_bytes(), Secrecy::Public, Existing::Replace);
    if let Err(error) = written {
        tracing::warn!(file = %note.display(), %error, "what was refused cannot be noted");
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
        for (part, word) in NOTED {
            let path = note(notes, &issuer, word);
            let text = match std::fs::read_to_string(&path) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CaError::File { path, source });
                }
                other => other.unwrap_or_default(),
            };
            let Ok(noted) = text.trim().parse() else {
                continue;
            };
            // An older copy of the registry may have been put back: what it numbers anew would be void for ever.
            let void = (numbers.next)()?.min(noted);
            let known = self.void.entry((issuer, part)).or_default();
            *known = void.max(*known);
        }
        self.recalled.insert(issuer);
        Ok(())
    }

    /// `refused` are numbers of one part. Up to which number all is void now, if that changed.
    fn judge(
        &mut self,
        part: (IssuerId, Part),
        refused: &BTreeSet<u64>,
        numbers: &Numbers<'_>,
        now: UnixSeconds,
    ) -> Answer<Option<u64>> {
        let before = self.void.get(&part).copied();
        let Some(last) = refused.last().copied().filter(|n| Some(*n) > before) else {
            return Ok(None);
        };
        // A base batch above all that was refused has made up for it already, perhaps by an earlier process. Of changes and
        // files only one that was made knowing of the refusal has.
        let stands_alone = part.1.stands_alone();
        let newest = (numbers.newest)(part.1)?;
        let lost = newest.filter(|newest| *newest <= last || !stands_alone);
        // What makes up for changes comes in pieces: the newest of them was hardly ever judged yet.
        let again = match stands_alone {
            true => lost.is_some_and(|newest| refused.contains(&newest)),
            false => before.is_some(),
        };
        if again
            && let Some(at) = self.answered.get(&part)
            && (*at..at.saturating_add(part.1.pause_secs())).contains(&now)
        {
            return Ok(None);
        }
        let void = match stands_alone {
            true => last,
            // Whatever is being made just now bears a lower number, or is made knowing.
            false => (numbers.next)()?.max(last),
        };
        if lost.is_some() || !stands_alone {
            self.answered.insert(part, now);
        }
        self.void.insert(part, void);
        Ok(Some(void))
    }
}

/// What an operator voids, and the words by which it is noted; of what was refused, that which does not stand alone is.
const NOTED: [(Part, &str); 3] = [
    (Part::Whole, "all"),
    (Part::Changes, "changes"),
    (Part::Documents, "documents"),
];
/// What is long to sign.
const PAUSE_SECS: u64 = 3_600;
/// What is short, and waited for: a revocation may be in it.
const SHORT_PAUSE_SECS: u64 = 60;

#[cfg(test)]
mod tests;
