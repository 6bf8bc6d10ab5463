//! What stays at an edge and what goes: recent generations stay, beginnings of objects nobody names any more go.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::{Follower, Refusal};
use crate::digest::Digest;
use crate::durable::At;
use crate::error::{StoreError, sentence};
use crate::manifest::TrustedManifest;

/// A manifest of the edge's own, for keeping files only.
pub(super) struct Kept {
    taken_at: SystemTime,
    names: Vec<Digest>,
}

impl Follower<'_> {
    /// Unlinks what recent manifests do not name. What cannot be unlinked now is tried again with the next generation.
    pub(super) fn collect(&mut self) {
        if let Err(error) = self.try_collect() {
            tracing::warn!(reason = %sentence(&error), "follow: could not remove old files");
        }
    }

    fn try_collect(&mut self) -> Result<(), Refusal> {
        let numbers = self.edge.manifest_numbers()?;
        self.kept.retain(|number, _| numbers.contains(number));
        for number in &numbers {
            if !self.kept.contains_key(number) {
                let kept = self.read_kept(*number)?;
                self.kept.insert(*number, kept);
            }
        }
        let old = self.superseded();
        let recent = self.kept.iter().filter(|(number, _)| **number >= old);
        let named: HashSet<Digest> = recent.flat_map(|(_, kept)| &kept.names).copied().collect();
        self.remove_objects_but(&named)?;
        for number in numbers.iter().filter(|number| **number < old) {
            let path = self.edge.manifest(*number);
            self.disk.remove(&path).at("remove", &path)?;
            self.kept.remove(number);
        }
        Ok(())
    }

    fn remove_objects_but(&self, named: &HashSet<Digest>) -> Result<(), Refusal> {
        for digest in self.edge.object_digests()? {
            if !named.contains(&digest) {
                let path = self.edge.object(digest);
                self.disk.remove(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }

    /// For want of room: only what the generation in place and the next one name stays. A responder that has just read an
    /// older pointer reads the present one again.
    pub(super) fn collect_all_but(&self, next: &TrustedManifest) -> Result<(), Refusal> {
        let current = self.current.iter().flat_map(names);
        let named: HashSet<Digest> = current.chain(names(next)).collect();
        self.remove_objects_but(&named)
    }

    /// Beginnings of objects that the next generation does not name are of no use any more.
    pub(super) fn drop_partials_but(&self, next: &TrustedManifest) -> Result<(), Refusal> {
        let named: HashSet<Digest> = names(next).collect();
        for digest in self.edge.partial_digests()? {
            if !named.contains(&digest) {
                let path = self.edge.partial(digest);
                self.disk.remove(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }

    fn read_kept(&self, number: u64) -> Result<Kept, Refusal> {
        let path = self.edge.manifest(number);
        let taken_at = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        let current = self.current.as_ref();
        let names = match current.filter(|current| current.manifest().number == number) {
            Some(current) => names(current).collect(),
            // Nobody can open a generation whose manifest is unreadable, and nothing of it need stay: if that ended the
            // collecting, everything would stay for ever.
            None => self.edge.read_names(number).unwrap_or_else(|error| {
                tracing::warn!(number, reason = %sentence(&error), "follow: an older manifest is unreadable");
                Vec::new()
            }),
        };
        let taken_at = taken_at.map_err(|source| StoreError::Unreadable { path, source })?;
        Ok(Kept { taken_at, names })
    }

    /// Generations below this number nobody opens any more: the next one was taken long enough before the newest.
    fn superseded(&self) -> u64 {
        let mut newest_first = self.kept.iter().rev();
        let mut lowest = newest_first.next();
        let newest = lowest.map(|(_, kept)| kept.taken_at);
        for (place, entry) in newest_first.enumerate() {
            // A clock that was set back says nothing; the count does.
            let age = lowest
                .zip(newest)
                .and_then(|((_, next), newest)| newest.duration_since(next.taken_at).ok());
            if place + 1 >= KEEP_GENERATIONS && age.is_none_or(|age| age >= KEEP_FOR) {
                break;
            }
            lowest = Some(entry);
        }
        lowest.map_or(0, |(number, _)| *number)
    }
}

fn names(manifest: &TrustedManifest) -> impl Iterator<Item = Digest> {
    manifest.manifest().file_names()
}

/// Generations whose objects stay: a responder that has just read the pointer before the last still finds its files.
pub(super) const KEEP_GENERATIONS: usize = 3;
/// And so does one that has just read the pointer that was in place this long ago, however many came since.
pub(super) const KEEP_FOR: Duration = Duration::from_secs(60);
