//! What goes from a bucket after a while: objects that no recent generation names, manifests much later.
//!
//! A generation is recent while a slow edge may still be fetching it: [`Keep::objects_secs`] after the next one was sealed.
//! Nothing younger than that goes in any case, so an object that was sent for a pointer still to move is safe. The history
//! is read from the local store, which keeps its manifests longer than the objects they name.

use std::collections::HashSet;

use object_store::path::Path as Key;
use wire::time::UnixSeconds;

use super::Bucket;
use super::push::{PushError, Pusher};
use crate::digest::Digest;
use crate::manifest::Previous;

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

/// When the bucket was swept last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Swept(UnixSeconds);

impl Pusher {
    /// Removes what is old, if an hour has passed since it last did; how many objects and manifests went.
    ///
    /// # Errors
    /// If the bucket cannot be listed or an object not removed; the next sweep finds it again.
    pub fn sweep(&mut self, keep: Keep, now: UnixSeconds) -> Result<u64, PushError> {
        if self
            .swept
            .is_some_and(|Swept(last)| now.abs_diff(last) < EVERY_SECS)
        {
            return Ok(0);
        }
        self.swept = Some(Swept(now));
        let Some(named) = self.recently_named(now.saturating_sub(keep.objects_secs))? else {
            return Ok(0);
        };
        let objects = self.bucket.older_than("objects", now, keep.objects_secs)?;
        let unnamed = objects.into_iter().filter(|key| {
            let digest = key.filename().and_then(Digest::from_hex);
            digest.is_some_and(|digest| !named.contains(&digest))
        });
        // Manifests outlive the objects they name.
        let manifests_secs = keep.manifests_secs.max(keep.objects_secs);
        let manifests = self.bucket.older_than("manifests", now, manifests_secs)?;
        let current = self.store.read_pointer()?.map(|pointer| pointer.number);
        let past = manifests
            .into_iter()
            .filter(|key| number(key) < current && number(key).is_some());
        let mut gone = 0;
        for key in unnamed.chain(past).take(MAX_REMOVED_A_SWEEP) {
            self.bucket.remove(&key)?;
            gone += 1;
        }
        Ok(gone)
    }

    /// Objects of every generation that was the newest at some moment since; none in an empty store.
    fn recently_named(&self, since: UnixSeconds) -> Result<Option<HashSet<Digest>>, PushError> {
        let Some(current) = self.store.read_current(&self.pins)? else {
            return Ok(None);
        };
        let mut manifest = current.manifest().clone();
        let mut named = HashSet::new();
        loop {
            named.extend(manifest.file_names());
            let superseded = manifest.sealed_at;
            match manifest.previous {
                Some(previous) if superseded >= since => match self.read_older(previous) {
                    Some(older) => manifest = older,
                    None => return Ok(Some(named)),
                },
                _ => return Ok(Some(named)),
            }
        }
    }

    /// An older manifest that is gone protects nothing any more.
    fn read_older(&self, previous: Previous) -> Option<crate::manifest::Manifest> {
        self.store.read_linked(previous).ok()
    }
}

impl Bucket {
    /// Keys in a folder of the store that were written that long ago.
    fn older_than(&self, folder: &str, now: UnixSeconds, secs: u64) -> Result<Vec<Key>, PushError> {
        let prefix = self.prefix.clone().join(folder);
        let list = self.store.list_with_delimiter(Some(&prefix));
        let list = self.runtime.block_on(list);
        let list = list.map_err(|error| self.failed("list", &prefix, &error))?;
        let old = list.objects.into_iter().filter(|object| {
            let written = u64::try_from(object.last_modified.timestamp()).unwrap_or(0);
            written.saturating_add(secs) <= now
        });
        Ok(old.map(|object| object.location).collect())
    }

    fn remove(&self, key: &Key) -> Result<(), PushError> {
        use object_store::ObjectStoreExt as _;
        match self.runtime.block_on(self.store.delete(key)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("remove", key, &error).into()),
        }
    }
}

/// The number in a manifest's key.
fn number(key: &Key) -> Option<u64> {
    key.filename()?.strip_suffix(".manifest")?.parse().ok()
}

/// Listing a bucket is paid for by the thousand names.
const EVERY_SECS: u64 = 3600;
/// Removed at a time; the rest in the next sweep.
const MAX_REMOVED_A_SWEEP: usize = 50_000;
