//! What goes from a bucket after a while: objects that no recent generation names, manifests much later.
//!
//! A generation is recent while a slow edge may still be fetching it: [`Keep::objects_secs`] after the next one was sealed.
//! Nothing younger than that goes in any case, so an object that was sent for a pointer still to move is safe; nor does what
//! the bucket's pointer names, or what was pushed since the sweep began. The history is read from the local store, which
//! keeps its manifests longer than the objects they name.
//!
//! A sweep goes step by step, each as long as a push: a day may have 86,400 manifests and twice as many objects, and
//! revocations do not wait for them. How old something is, the clock that is behind decides, ours or the bucket's.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStoreExt as _, PutMode};
use wire::time::UnixSeconds;

use super::Bucket;
use super::push::{PROBE, PushError, Pusher};
use crate::digest::Digest;
use crate::manifest::{Manifest, Previous};

/// How long what nobody names any more stays.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Seconds that a superseded generation's objects stay: longer than the slowest edge lags.
    pub objects_secs: u64,
    /// Seconds that manifests stay, so that an edge that was away can prove the chain.
    pub manifests_secs: u64,
}

impl Default for Keep {
    fn default() -> Self {
        Keep {
            objects_secs: 24 * 3600,
            manifests_secs: 30 * 24 * 3600,
        }
    }
}

/// What a step of a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Swept {
    /// Objects and manifests that went.
    pub gone: u64,
    /// Nothing is left to do for an hour.
    pub is_done: bool,
}

/// When the bucket was swept last, and how far the sweep is that is under way.
#[derive(Default)]
pub(super) struct Sweeps {
    began: Option<UnixSeconds>,
    under_way: Option<(Sweep, Stage)>,
}

struct Sweep {
    /// Older than this is old: the age of a generation, of an object in the bucket, of a manifest there.
    objects_before: UnixSeconds,
    manifests_before: UnixSeconds,
    /// Objects that stay.
    named: HashSet<Digest>,
}

enum Stage {
    /// Reading the history back, at this manifest.
    History(Previous),
    /// Going through the objects.
    Objects(Listing),
    /// Going through the manifests.
    Manifests(Listing),
}

type Listing = BoxStream<'static, object_store::Result<ObjectMeta>>;

impl Sweeps {
    /// What was just pushed stays, however old its objects are.
    pub(super) fn keep(&mut self, names: &HashSet<Digest>) {
        if let Some((sweep, _)) = &mut self.under_way {
            sweep.named.extend(names);
        }
    }
}

impl Sweep {
    /// Takes in what a generation of the history names; where to go on from there.
    fn take_in(&mut self, manifest: &Manifest) -> Option<Previous> {
        self.named.extend(manifest.file_names());
        // The one before was the newest until this one was sealed.
        let is_recent = manifest.sealed_at >= self.objects_before;
        manifest.previous.filter(|_| is_recent)
    }
}

impl Pusher {
    /// Goes on with a sweep, or begins one if an hour has passed since the last began. What was pushed last must be what
    /// the bucket has.
    ///
    /// # Errors
    /// If the bucket cannot be listed or objects not removed; the next sweep finds them again.
    pub fn sweep(&mut self, keep: Keep, now: UnixSeconds) -> Result<Swept, PushError> {
        let under_way = match self.sweeps.under_way.take() {
            Some(under_way) => Some(under_way),
            None => self.begin(keep, now)?,
        };
        let Some((mut sweep, stage)) = under_way else {
            return Ok(Swept {
                gone: 0,
                is_done: true,
            });
        };
        let (gone, next) = self.step(&mut sweep, stage)?;
        let is_done = next.is_none();
        self.sweeps.under_way = next.map(|stage| (sweep, stage));
        Ok(Swept { gone, is_done })
    }

    /// None if it is too soon, or there is nothing to go by.
    fn begin(&mut self, keep: Keep, now: UnixSeconds) -> Result<Option<(Sweep, Stage)>, PushError> {
        let began = self.sweeps.began;
        if began.is_some_and(|began| now.abs_diff(began) < EVERY_SECS) {
            return Ok(None);
        }
        let Some(current) = self.store.read_current(&self.pins)? else {
            return Ok(None);
        };
        let Some(standing) = self.standing.as_ref() else {
            return Ok(None);
        };
        let mut named = standing.there.clone();
        self.sweeps.began = Some(now);
        let now = now.min(self.bucket.clock()?);
        named.extend(current.manifest().file_names());
        let before = now.saturating_sub(keep.objects_secs);
        let previous = current.manifest().previous;
        let is_recent = current.manifest().sealed_at >= before;
        let sweep = Sweep {
            objects_before: before,
            // Manifests outlive the objects they name.
            manifests_before: now.saturating_sub(keep.manifests_secs.max(keep.objects_secs)),
            named,
        };
        let stage = self.history_or_objects(previous.filter(|_| is_recent));
        Ok(Some((sweep, stage)))
    }

    fn history_or_objects(&self, previous: Option<Previous>) -> Stage {
        match previous {
            Some(previous) => Stage::History(previous),
            None => Stage::Objects(self.bucket.listing("objects")),
        }
    }

    /// One step: what went, and where to go on; nowhere at the end.
    fn step(&self, sweep: &mut Sweep, stage: Stage) -> Result<(u64, Option<Stage>), PushError> {
        match stage {
            Stage::History(previous) => {
                let mut at = Some(previous);
                for _ in 0..MANIFESTS_A_STEP {
                    let Some(previous) = at else { break };
                    // An older manifest that is gone protects nothing any more.
                    let older = self.store.read_linked(previous).ok();
                    at = older.and_then(|older| sweep.take_in(&older));
                }
                Ok((0, Some(self.history_or_objects(at))))
            }
            Stage::Objects(mut listing) => {
                let unnamed = |key: &Key| {
                    let digest = key.filename().and_then(Digest::from_hex);
                    digest.is_some_and(|digest| !sweep.named.contains(&digest))
                };
                let before = sweep.objects_before;
                let (gone, is_end) = self.bucket.remove_old(&mut listing, before, unnamed)?;
                let next = match is_end {
                    true => Stage::Manifests(self.bucket.listing("manifests")),
                    false => Stage::Objects(listing),
                };
                Ok((gone, Some(next)))
            }
            Stage::Manifests(mut listing) => {
                let standing = self.standing.as_ref().and_then(|standing| standing.pointer);
                let current = standing.map(|pointer| pointer.number);
                let past = |key: &Key| number(key).is_some() && number(key) < current;
                let before = sweep.manifests_before;
                let (gone, is_end) = self.bucket.remove_old(&mut listing, before, past)?;
                Ok((gone, (!is_end).then_some(Stage::Manifests(listing))))
            }
        }
    }
}

impl Bucket {
    /// What the bucket's own clock says, by the date it gives to what is written now.
    fn clock(&self) -> Result<UnixSeconds, PushError> {
        let key = self.probe_key();
        self.put(&key, PROBE.to_vec(), PutMode::Overwrite)?;
        let probe = self.runtime.block_on(self.store.head(&key));
        let probe = probe.map_err(|error| self.failed("look at", &key, &error))?;
        Ok(written(&probe))
    }

    /// The keys in a folder of the store; asked for by the thousand, as they are read.
    fn listing(&self, folder: &str) -> Listing {
        self.store.list(Some(&self.prefix.clone().join(folder)))
    }

    /// Removes what was written before that moment and is to go, of the next thousand; how many went, and whether those were
    /// the last.
    fn remove_old(
        &self,
        listing: &mut Listing,
        before: UnixSeconds,
        is_to_go: impl Fn(&Key) -> bool,
    ) -> Result<(u64, bool), PushError> {
        self.runtime.block_on(async {
            let mut to_go = Vec::new();
            let mut is_end = true;
            let mut looked_at = 0;
            while let Some(object) = listing.next().await {
                let object = object.map_err(|error| self.failed("list", &self.prefix, &error))?;
                if written(&object) <= before && is_to_go(&object.location) {
                    to_go.push(object.location);
                }
                looked_at += 1;
                if looked_at == OBJECTS_A_STEP {
                    is_end = false;
                    break;
                }
            }
            let gone = to_go.len() as u64;
            let keys = stream::iter(to_go.into_iter().map(Ok));
            let mut removals = self.store.delete_stream(Box::pin(keys));
            while let Some(removed) = removals.next().await {
                match removed {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => {
                        return Err(self.failed("remove from", &self.prefix, &error).into());
                    }
                }
            }
            Ok((gone, is_end))
        })
    }
}

fn written(object: &ObjectMeta) -> UnixSeconds {
    u64::try_from(object.last_modified.timestamp()).unwrap_or(0)
}

/// The number in a manifest's key.
fn number(key: &Key) -> Option<u64> {
    key.filename()?.strip_suffix(".manifest")?.parse().ok()
}

/// Listing a bucket is paid for by the thousand names.
const EVERY_SECS: u64 = 3600;
/// Manifests of the local store read in one step: some tens of milliseconds. Tests see more of the steps.
const MANIFESTS_A_STEP: usize = if cfg!(test) { 2 } else { 256 };
/// Names looked at in one step: a page of the list, and one request to remove what is to go of them.
const OBJECTS_A_STEP: usize = if cfg!(test) { 2 } else { 1000 };
