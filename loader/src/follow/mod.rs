//! Following: a copy of a store beside a responder, taken generation by generation, each whole and verified or not at all.
//!
//! One poll, in order; whatever is refused leaves the edge as it was:
//!
//! ```text
//! 1 read the store's pointer; the same as ours: done
//! 2 read the manifest it names: hash, seal by a pinned key, number
//! 3 the number is above the highest ever accepted (the file `highest`, which survives restarts)
//! 4 its chain of previous manifests leads to the one we have
//! 5 copy the objects we lack, hashing each while it is copied: tmp, fsync, rename; then fsync of objects/
//! 6 open the generation as the responder will
//! 7 write the manifest, then `highest`, then the pointer, each tmp, fsync, rename, fsync of the folder
//! 8 unlink objects that no manifest of the last minute names
//! ```
//!
//! Killed between 7's files, the next poll finds the same number with the same hash in `highest` and goes on.

mod refusal;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

pub use refusal::Refusal;

use crate::digest::Digest;
use crate::durable::{At, Audience, Disk, write_whole};
use crate::error::{StoreError, sentence};
use crate::manifest::{ObjectEntry, Previous, TrustedManifest};
use crate::publish::{KEEP_MANIFESTS, PublishError, lock, prepare_folders, remove_leftovers};
use crate::seal::PublicKey;
use crate::snapshot::Snapshot;
use crate::store::{Pointer, Store};

/// The one writer of an edge folder.
pub struct Follower<'d> {
    disk: &'d dyn Disk,
    source: Store,
    edge: Store,
    pins: Vec<PublicKey>,
    current: Option<TrustedManifest>,
    highest: Option<Pointer>,
    /// Manifests here, by number: read once.
    kept: BTreeMap<u64, Kept>,
    /// What was last logged: a generation that stays bad is said once, not at every poll.
    logged: Option<String>,
    _lock: File,
}

/// A manifest of the edge's own, for keeping files only.
struct Kept {
    taken_at: SystemTime,
    names: Vec<Digest>,
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
    /// Each manifest in between names the one before it, down to ours.
    Proven,
    /// The link is longer than the store keeps manifests: this one is missing. The seal holds nevertheless.
    Unproven {
        /// Its number.
        missing: u64,
    },
}

impl<'d> Follower<'d> {
    /// Takes the edge folder over: locks it, makes its folders, removes what a killed run left.
    pub fn open(
        disk: &'d dyn Disk,
        source: Store,
        edge: Store,
        pins: Vec<PublicKey>,
    ) -> Result<Follower<'d>, PublishError> {
        prepare_folders(disk, &edge)?;
        let lock = lock(&edge)?;
        remove_leftovers(disk, &edge)?;
        let mut highest = edge.read_highest()?;
        // A manifest here that cannot be read any more (damaged, or its key no longer pinned) is fetched again.
        let current = edge.read_current(&pins).unwrap_or_else(|error| {
            tracing::warn!(edge = %edge.root().display(), %error, "follow: own generation is unreadable, fetching again");
            None
        });
        // The pointer's number was accepted, whatever became of the other file.
        if let Some(current) = &current {
            let number = current.manifest().number;
            if highest.is_none_or(|highest| highest.number < number) {
                let manifest = current.blake3();
                highest = Some(Pointer { number, manifest });
            }
        }
        Ok(Follower {
            disk,
            source,
            edge,
            pins,
            current,
            highest,
            kept: BTreeMap::new(),
            logged: None,
            _lock: lock,
        })
    }

    /// The number of the generation in place.
    pub fn number(&self) -> Option<u64> {
        self.current
            .as_ref()
            .map(|current| current.manifest().number)
    }

    /// [`poll`](Self::poll), said in the log: what was taken, and why something was refused, once.
    pub fn poll_and_log(&mut self) -> Result<Followed, Refusal> {
        let outcome = self.poll();
        match &outcome {
            Ok(Followed::Took(taken)) => {
                self.logged = None;
                let Taken {
                    number,
                    files,
                    octets,
                    chain,
                } = taken;
                tracing::info!(number, files, octets, ?chain, "follow: took generation");
            }
            Ok(_) => self.logged = None,
            Err(refusal) => {
                let reason = sentence(refusal);
                if self.logged.as_ref() != Some(&reason) {
                    tracing::error!(serving = self.number(), %reason, "follow: refused");
                    self.logged = Some(reason);
                }
            }
        }
        outcome
    }

    /// Takes the store's newest generation if there is a new one. On an error the edge is as it was.
    pub fn poll(&mut self) -> Result<Followed, Refusal> {
        let Some(pointer) = self.source.read_pointer()? else {
            return Ok(Followed::Empty);
        };
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.blake3() == pointer.manifest)
        {
            return Ok(Followed::Unchanged);
        }
        let next = self.source.read_manifest(pointer, &self.pins)?;
        self.check_number(pointer)?;
        let chain = self.check_chain(&next)?;
        let (files, octets) = self.fetch_objects(&next)?;
        Snapshot::assemble(&self.edge, next.clone(), None)?;
        self.accept(&next, pointer)?;
        self.collect();
        Ok(Followed::Took(Taken {
            number: pointer.number,
            files,
            octets,
            chain,
        }))
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
                })
            }
            _ => Ok(()),
        }
    }

    /// Walks back from the new manifest to ours. Each manifest on the way is proven by the hash that the next one names,
    /// whoever sealed it.
    fn check_chain(&self, next: &TrustedManifest) -> Result<Chain, Refusal> {
        let Some(ours) = &self.current else {
            return Ok(Chain::First);
        };
        let ours = Previous {
            number: ours.manifest().number,
            blake3: ours.blake3(),
        };
        let mut link = next.manifest().previous;
        for _ in 0..KEEP_MANIFESTS {
            match link {
                Some(previous) if previous == ours => return Ok(Chain::Proven),
                Some(previous) if previous.number > ours.number => {
                    match self.source.read_linked(previous) {
                        Ok(manifest) => link = manifest.previous,
                        Err(StoreError::Unreadable { source, .. })
                            if source.kind() == io::ErrorKind::NotFound =>
                        {
                            return Ok(Chain::Unproven {
                                missing: previous.number,
                            });
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                _ => {
                    return Err(Refusal::Forked {
                        number: ours.number,
                    });
                }
            }
        }
        let missing = link.map_or(0, |previous| previous.number);
        Ok(Chain::Unproven { missing })
    }

    /// Copies what is not here; how many files and octets that were.
    fn fetch_objects(&self, next: &TrustedManifest) -> Result<(u64, u64), Refusal> {
        let (mut files, mut octets) = (0, 0);
        for entry in &next.manifest().objects {
            let here = std::fs::metadata(self.edge.object(entry.blake3));
            // A file under its hash was hashed before it got that name; a wrong length is damage since.
            if here.is_ok_and(|metadata| metadata.len() == entry.octets) {
                continue;
            }
            self.fetch(entry)?;
            files += 1;
            octets += entry.octets;
        }
        let folder = self.edge.objects();
        self.disk
            .sync_folder(&folder)
            .at("fsync the folder", &folder)?;
        Ok((files, octets))
    }

    /// Copies one object, hashing it on the way. It gets its name only if it is what the manifest says. Also repairs an
    /// object found damaged: the new file takes the name, maps of the old one stay as they are until reopened.
    pub fn fetch(&self, entry: &ObjectEntry) -> Result<(), Refusal> {
        let from = self.source.object(entry.blake3);
        let temp = self.edge.temp().join(entry.blake3.to_string());
        let outcome = self.copy_hashed(&from, &temp, entry);
        if outcome.is_err() {
            self.disk.remove(&temp).at("remove", &temp)?;
        }
        outcome?;
        let path = self.edge.object(entry.blake3);
        self.disk
            .rename(&temp, &path)
            .at("rename an object to", &path)?;
        Ok(())
    }

    fn copy_hashed(&self, from: &Path, temp: &Path, entry: &ObjectEntry) -> Result<(), Refusal> {
        let missing = |source| Refusal::ObjectUnreadable {
            path: from.to_owned(),
            source,
        };
        // One octet more than announced is read at most: a file that grew fills no disk.
        let mut input = File::open(from)
            .map_err(missing)?
            .take(entry.octets.saturating_add(1));
        self.disk.remove(temp).at("remove the leftover", temp)?;
        let mut output = self
            .disk
            .create_new(temp, Audience::Everyone)
            .at("create", temp)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; COPY_OCTETS];
        let mut octets = 0;
        loop {
            let read = match input.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(missing)?,
            };
            if read == 0 {
                break;
            }
            octets += read as u64;
            hasher.update(&buffer[..read]);
            output.write_all(&buffer[..read]).at("write", temp)?;
        }
        let found = Digest::from(hasher.finalize());
        if octets != entry.octets || found != entry.blake3 {
            return Err(Refusal::ObjectDiffers {
                path: from.to_owned(),
                expected: entry.octets,
                octets,
                found,
            });
        }
        output.sync().at("fsync", temp)?;
        Ok(())
    }

    fn accept(&mut self, next: &TrustedManifest, pointer: Pointer) -> Result<(), Refusal> {
        let temp = self.edge.temp();
        let write = |name: &str, path: &Path, octets: &[u8]| {
            write_whole(
                self.disk,
                &temp.join(name),
                path,
                octets,
                Audience::Everyone,
            )
        };
        write(
            "manifest",
            &self.edge.manifest(pointer.number),
            next.octets(),
        )?;
        write(
            "highest",
            &self.edge.highest(),
            pointer.to_text().as_bytes(),
        )?;
        self.highest = Some(pointer);
        write(
            "current",
            &self.edge.pointer(),
            pointer.to_text().as_bytes(),
        )?;
        self.current = Some(next.clone());
        Ok(())
    }

    /// Unlinks what recent manifests do not name. What cannot be unlinked now is tried again with the next generation.
    fn collect(&mut self) {
        if let Err(error) = self.try_collect() {
            tracing::warn!(reason = %sentence(&error), "follow: could not remove old files");
        }
    }

    fn try_collect(&mut self) -> Result<(), Refusal> {
        let numbers = self.edge.manifest_numbers()?;
        self.kept.retain(|number, _| numbers.contains(number));
        for number in &numbers {
            if !self.kept.contains_key(number) {
                self.kept.insert(*number, self.read_kept(*number)?);
            }
        }
        let old = self.superseded();
        let recent = self.kept.iter().filter(|(number, _)| **number >= old);
        let named: HashSet<Digest> = recent.flat_map(|(_, kept)| &kept.names).copied().collect();
        for digest in self.edge.object_digests()? {
            if !named.contains(&digest) {
                let path = self.edge.object(digest);
                self.disk.remove(&path).at("remove", &path)?;
            }
        }
        for number in numbers.iter().filter(|number| **number < old) {
            let path = self.edge.manifest(*number);
            self.disk.remove(&path).at("remove", &path)?;
            self.kept.remove(number);
        }
        Ok(())
    }

    fn read_kept(&self, number: u64) -> Result<Kept, Refusal> {
        let path = self.edge.manifest(number);
        let taken_at = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
        let names = self.edge.read_names(number)?;
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

/// Copied at a time.
const COPY_OCTETS: usize = 1 << 20;
/// Generations whose objects stay: a responder that has just read the pointer before the last still finds its files.
const KEEP_GENERATIONS: usize = 3;
/// And so does one that has just read the pointer that was in place this long ago, however many came since.
const KEEP_FOR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
