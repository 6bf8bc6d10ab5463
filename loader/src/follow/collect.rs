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
    /// What it names; not read before somebody needs it.
    names: Option<Vec<Digest>>,
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
                let taken_at = self.taken_at(*number)?;
                let kept = Kept {
                    taken_at,
                    names: None,
                };
                self.kept.insert(*number, kept);
            }
        }
        let old = self.superseded();
        let recent = self.kept.range(old..);
        let unread = recent.filter(|(_, kept)| kept.names.is_none());
        let unread: Vec<u64> = unread.map(|(number, _)| *number).collect();
        for number in unread {
            let names = self.read_recent(number)?;
            if let Some(kept) = self.kept.get_mut(&number) {
                kept.names = Some(names);
            }
        }
        let recent = self.kept.range(old..);
        let named = recent.flat_map(|(_, kept)| kept.names.iter().flatten());
        let named: HashSet<Digest> = named.copied().collect();
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

    fn taken_at(&self, number: u64) -> Result<SystemTime, Refusal> {
        let path = self.edge.manifest(number);
        let taken_at = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        Ok(taken_at.map_err(|source| StoreError::Unreadable { path, source })?)
    }

    /// What the manifest of a recent generation names. If it cannot be read now, everything stays until it can: it may
    /// well be sound, and a responder about to open what it names. It does not stay for ever, for this is asked of recent
    /// ones only.
    fn read_recent(&self, number: u64) -> Result<Vec<Digest>, Refusal> {
        if let Some(current) = &self.current
            && current.manifest().number == number
        {
            return Ok(names(current).collect());
        }
        match self.edge.read_names(number) {
            Err(error @ StoreError::Unreadable { .. }) => Err(error.into()),
            // Its octets are wrong: nobody can open it, and nothing of it need stay.
            Err(error) => {
                tracing::warn!(number, reason = %sentence(&error), "follow: an older manifest is damaged");
                Ok(Vec::new())
            }
            Ok(names) => Ok(names),
        }
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
