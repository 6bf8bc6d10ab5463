//! Following: a copy of a store beside a responder, taken generation by generation, each whole and verified or not at all.
//!
//! One poll, in order; whatever is refused leaves the edge as it was:
//!
//! ```text
//! 1 read the store's pointer; the same as ours: done
//! 2 read the manifest it names: hash, seal by a pinned key, number
//! 3 the number is above the highest ever accepted (the file `highest`, which survives restarts)
//! 4 its chain of previous manifests leads to that one; before a long one is walked to its end, the store is asked what it
//!   has under that number and the next: another history shows there
//! 5 there is room for what we lack (room.rs)
//! 6 fetch the objects we lack, hashing each: partial, fsync, rename (fetch.rs); then fsync of objects/
//! 7 open the generation as the responder will; what has rotted since it was fetched is fetched anew (heal.rs)
//! 8 write the manifest, then `highest`, then the pointer, each tmp, fsync, rename, fsync of the folder
//! 9 unlink objects that no manifest of the last minute names (collect.rs)
//! ```
//!
//! Killed between 8's files, the next poll finds the same number with the same hash in `highest` and goes on. Killed in
//! 6, it goes on with the object, and in the object, where it was. The store is a folder, a bucket or a web server
//! (source.rs); a nudge (nudge.rs) only makes the next poll come sooner.

mod collect;
mod fetch;
mod heal;
pub mod nudge;
mod own;
mod refusal;
mod room;
mod source;
mod status;

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::AtomicBool;

use collect::Kept;
pub use heal::{HealRound, Healing};
pub use refusal::Refusal;
pub use room::{Limits, NoRoom};
pub use source::{Opened, Source};
pub use status::Tally;

use crate::durable::{At, Disk};
use crate::error::StoreError;
use crate::manifest::{Previous, TrustedManifest};
use crate::ownership::warn_of_folder;
use crate::publish::{PublishError, lock, prepare_folders, remove_leftovers};
use crate::seal::PublicKey;
use crate::store::{Pointer, Store};

/// The newest generation's manifest in a store, believed by a pinned key; none in an empty store. Nothing is kept.
pub fn newest(
    source: &dyn Source,
    pins: &[PublicKey],
) -> Result<Option<TrustedManifest>, StoreError> {
    let pointer = source.pointer()?;
    pointer
        .map(|pointer| source::read_trusted(source, pointer, pins))
        .transpose()
}

/// The one writer of an edge folder.
pub struct Follower<'d> {
    disk: &'d dyn Disk,
    source: Box<dyn Source>,
    edge: Store,
    pins: Vec<PublicKey>,
    limits: Limits,
    current: Option<TrustedManifest>,
    highest: Option<Pointer>,
    /// The operator's word that this generation may be taken though it does not follow from ours.
    accepted_fork: Option<u64>,
    /// Manifests here, by number: read once.
    kept: BTreeMap<u64, Kept>,
    /// Something came damaged since a generation was taken: the caches before the store are not asked any more.
    past_caches: AtomicBool,
    /// What was offered and refused last.
    refused: Option<Pointer>,
    tally: Tally,
    _lock: File,
}

/// What a poll found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    /// The store has no generation yet.
    Empty,
    /// Nothing new.
    Unchanged,
    /// A new generation is in place.
    Took(Taken),
}

/// A generation that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its number.
    pub number: u64,
    /// Files that were copied; the others were here.
    pub files: u64,
    /// Octets that were copied.
    pub octets: u64,
    /// What its chain says.
    pub chain: Chain,
}

/// How a generation is linked to the one before it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// There was none.
    First,
    /// Each manifest in between names the one before it, down to the highest that was accepted here.
    Proven,
    /// It does not lead to ours, and the operator said that it may be taken: [`Follower::accept_fork`].
    Accepted,
    /// The link is longer than the store keeps manifests, or than [`MOST_LINKS`]: it was followed down to this one. The
    /// seal holds nevertheless, and the store has no other generation under the number of ours, nor one under the next that
    /// names another before it.
    Unproven {
        /// Its number.
        missing: u64,
    },
}

impl<'d> Follower<'d> {
    /// Takes the edge folder over: locks it, makes its folders, removes what a killed run left.
    pub fn open(
        disk: &'d dyn Disk,
        source: impl Source + 'static,
        edge: Store,
        pins: Vec<PublicKey>,
    ) -> Result<Follower<'d>, PublishError> {
        prepare_folders(disk, &edge)?;
        let partials = edge.partials();
        disk.create_folder(&partials)
            .at("create the folder", &partials)?;
        let lock = lock(&edge)?;
        // "No rollback across restarts" is as strong as the file `highest`, and that as the folder's modes.
        warn_of_folder(edge.root(), "which generation was accepted last");
        remove_leftovers(disk, &edge)?;
        // A manifest here that cannot be read any more (damaged, or its key no longer pinned) is fetched again.
        let current = edge.read_current(&pins).unwrap_or_else(|error| {
            tracing::warn!(edge = %edge.root().display(), %error, "follow: own generation is unreadable, fetching again");
            None
        });
        let highest = own::highest(&edge, current.as_ref())?;
        Ok(Follower {
            disk,
            source: Box::new(source),
            edge,
            pins,
            limits: Limits::default(),
            current,
            highest,
            accepted_fork: None,
            kept: BTreeMap::new(),
            past_caches: AtomicBool::new(false),
            refused: None,
            tally: Tally::default(),
            _lock: lock,
        })
    }

    /// How much of the disk the edge may take; without this, all of it.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The operator's word that the store's generation `number` may be taken although its chain does not lead to ours: the
    /// store was restored from a copy, or begun anew. It must still bear a pinned seal and a number above every one that
    /// was accepted here; the word is good for that one generation.
    pub fn accept_fork(&mut self, number: u64) {
        self.accepted_fork = Some(number);
    }

    /// What was polled, taken and refused since the start.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The number of the generation in place.
    pub fn number(&self) -> Option<u64> {
        self.current
            .as_ref()
            .map(|current| current.manifest().number)
    }

    /// [`poll`](Self::poll), said in the log and in the file `follow.json`: what was taken, and why something was refused,
    /// once.
    pub fn poll_and_log(&mut self) -> Result<Followed, Refusal> {
        let outcome = self.poll();
        self.tell(&outcome);
        outcome
    }

    /// Whether the store offers something else than what was refused last. Costs one look at the pointer.
    pub fn offers_another(&self) -> bool {
        self.source.pointer().is_ok_and(|now| now != self.refused)
    }

    /// Takes the store's newest generation if there is a new one. On an error the edge is as it was.
    pub fn poll(&mut self) -> Result<Followed, Refusal> {
        self.refused = None;
        let Some(pointer) = self.source.pointer()? else {
            return match self.highest {
                None => Ok(Followed::Empty),
                // Not a new store but a lost one: whoever took it for empty would hear of no revocation, and of no fault.
                Some(highest) => Err(Refusal::Gone {
                    highest: highest.number,
                }),
            };
        };
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.blake3() == pointer.manifest)
        {
            return Ok(Followed::Unchanged);
        }
        self.refused = Some(pointer);
        let taken = self.take(pointer)?;
        self.refused = None;
        Ok(Followed::Took(taken))
    }

    fn take(&mut self, pointer: Pointer) -> Result<Taken, Refusal> {
        let next = source::read_trusted(self.source.as_ref(), pointer, &self.pins)?;
        self.check_number(pointer)?;
        let chain = self.check_chain(&next)?;
        let lacking = self.lacking(&next);
        self.make_room(&next, &lacking)?;
        let fetched = self.fetch_objects(&lacking)?;
        self.open_or_heal(&next, &lacking)?;
        self.accept(&next, pointer)?;
        *self.past_caches.get_mut() = false;
        self.collect();
        Ok(Taken {
            number: pointer.number,
            files: fetched.files,
            octets: fetched.octets,
            chain,
        })
    }

    fn check_number(&self, pointer: Pointer) -> Result<(), Refusal> {
        match self.highest {
            Some(highest) if pointer.number < highest.number => Err(Refusal::Lower {
                found: pointer.number,
                highest: highest.number,
            }),
            Some(highest) if pointer.number == highest.number && pointer != highest => {
                Err(Refusal::Forked {
                    number: pointer.number,
                    offered: pointer.number,
                })
            }
            _ => Ok(()),
        }
    }

    /// The chain, or the operator's word instead of it.
    fn check_chain(&self, next: &TrustedManifest) -> Result<Chain, Refusal> {
        let chain = self.walk_chain(next);
        let offered = next.manifest().number;
        match (self.accepted_fork, &chain) {
            (Some(named), _) if named != offered => Err(Refusal::OtherFork { named, offered }),
            (Some(_), Err(Refusal::Forked { .. })) => Ok(Chain::Accepted),
            _ => chain,
        }
    }

    /// Walks back from the new manifest to the highest that was accepted: not to the one in place, whose file may have
    /// rotted, or be sealed by a key that is no longer pinned. Each manifest on the way is proven by the hash that the next
    /// one names, whoever sealed it.
    fn walk_chain(&self, next: &TrustedManifest) -> Result<Chain, Refusal> {
        let Some(highest) = self.highest else {
            return Ok(Chain::First);
        };
        // Accepted before, and not put in place, or lost since.
        if next.blake3() == highest.manifest {
            return Ok(Chain::Proven);
        }
        let ours = Previous {
            number: highest.number,
            blake3: highest.manifest,
        };
        let mut link = next.manifest().previous;
        if link == Some(ours) {
            return Ok(Chain::Proven);
        }
        for walked in 0..MOST_LINKS {
            if walked == SHORT_WAY {
                // Two questions in place of thousands, at every generation of a store that is another.
                self.check_own_number(next, ours)?;
            }
            match link {
                Some(previous) if previous == ours => return Ok(Chain::Proven),
                Some(previous) if previous.number > ours.number => {
                    match source::read_linked(self.source.as_ref(), previous)? {
                        Some(manifest) => link = manifest.previous,
                        None => {
                            if walked < SHORT_WAY {
                                self.check_own_number(next, ours)?;
                            }
                            let missing = previous.number;
                            return Ok(Chain::Unproven { missing });
                        }
                    }
                }
                _ => return Err(forked(next, ours)),
            }
        }
        let missing = link.map_or(0, |previous| previous.number);
        Ok(Chain::Unproven { missing })
    }

    /// The way back may be too long to be walked to its end, or have gaps. But a store whose history is another has, under
    /// the number of ours, another manifest; or, if it was restored from before that and went on above it, one under the
    /// next number that names another before it. Unless it has neither any more. A cache may have kept both from when they
    /// were ours, and no hash would tell: it is not asked.
    fn check_own_number(&self, next: &TrustedManifest, ours: Previous) -> Result<(), Refusal> {
        let source = self.source.as_ref();
        let source = source.past_caches().unwrap_or(source);
        let own = source::read_sealed(source, ours.number, &self.pins)?;
        let after = source::read_sealed(source, ours.number.saturating_add(1), &self.pins)?;
        let is_other = own.is_some_and(|own| own.blake3() != ours.blake3)
            || after.is_some_and(|after| after.manifest().previous != Some(ours));
        if is_other {
            return Err(forked(next, ours));
        }
        Ok(())
    }
}

fn forked(next: &TrustedManifest, ours: Previous) -> Refusal {
    Refusal::Forked {
        number: ours.number,
        offered: next.manifest().number,
    }
}

/// So many links are walked before anything else is asked: an edge that looks every two seconds at a store of a generation
/// each second finds its own at the first or second, and reads each manifest once. Tests have fewer.
const SHORT_WAY: usize = if cfg!(test) { 3 } else { 16 };

/// Manifests that are read to prove a chain: an hour of a generation each second. Each may be a request to a bucket, one
/// after the other, and while an edge that was away for days reads on it hears of no revocation. Tests have fewer.
pub const MOST_LINKS: usize = if cfg!(test) { 8 } else { 4_096 };

#[cfg(test)]
mod caches;
#[cfg(test)]
mod history;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trials;
