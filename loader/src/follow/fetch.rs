//! Fetching objects: hashed on the way, named only when whole, gone on with where it was cut short.
//!
//! ```text
//! partial/<blake3>    grows while octets come; a poll that fails, or a kill, leaves it
//! fsync, rename       to objects/<blake3>, once all is there and has that hash
//! ```
//!
//! What an earlier attempt left is hashed again before it is written on: a power cut may have left anything in it. If the
//! whole then has another hash, the object is fetched once more from its first octet before it is refused: past the caches
//! that may lie before the store, which keep an altered one when the store has the right one again. From then on nobody
//! asks these any more until a generation is taken: what is cut short goes on where it was, and nothing comes twice.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Follower, Refusal, Source};
use crate::digest::Digest;
use crate::durable::{At, Audience, DiskFile};
use crate::manifest::{ObjectEntry, TrustedManifest};

/// What was fetched for a generation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fetched {
    /// Files that were not here.
    pub(super) files: u64,
    /// Octets that came in.
    pub(super) octets: u64,
}

/// A file that is being fetched.
struct Growing {
    file: Box<dyn DiskFile>,
    hasher: blake3::Hasher,
    octets: u64,
}

impl Follower<'_> {
    /// Those of a generation's files that are not here, each once.
    pub(super) fn lacking<'m>(&self, next: &'m TrustedManifest) -> Vec<Cow<'m, ObjectEntry>> {
        // Two documents may have the same octets.
        let mut named = HashSet::new();
        next.manifest()
            .files()
            .filter(|entry| {
                let here = std::fs::metadata(self.edge.object(entry.blake3));
                // A file under its hash was hashed before it got that name; a wrong length is damage since.
                !here.is_ok_and(|metadata| metadata.len() == entry.octets)
                    && named.insert(entry.blake3)
            })
            .collect()
    }

    /// Fetches what is not here, [`FILES_AT_ONCE`] at a time; how many files and octets that were. After a failure no
    /// other is begun.
    pub(super) fn fetch_objects(
        &self,
        lacking: &[Cow<'_, ObjectEntry>],
    ) -> Result<Fetched, Refusal> {
        let next = AtomicUsize::new(0);
        let failed = AtomicBool::new(false);
        let fetch_on = || -> Result<Fetched, Refusal> {
            let mut fetched = Fetched::default();
            while !failed.load(Ordering::Relaxed) {
                let Some(entry) = lacking.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    break;
                };
                let octets = self.fetch_counted(entry);
                failed.fetch_or(octets.is_err(), Ordering::Relaxed);
                fetched.octets += octets?;
                fetched.files += 1;
            }
            Ok(fetched)
        };
        let mut fetched = Fetched::default();
        for each in in_parallel(lacking.len().min(FILES_AT_ONCE), &fetch_on) {
            let each = each?;
            fetched.files += each.files;
            fetched.octets += each.octets;
        }
        let folder = self.edge.objects();
        self.disk
            .sync_folder(&folder)
            .at("fsync the folder", &folder)?;
        Ok(fetched)
    }

    /// Fetches one object. It gets its name only if it is what the manifest says. Also repairs an object found damaged:
    /// the new file takes the name, maps of the old one stay as they are until reopened.
    pub fn fetch(&self, entry: &ObjectEntry) -> Result<(), Refusal> {
        self.fetch_counted(entry).map(drop)
    }

    fn fetch_counted(&self, entry: &ObjectEntry) -> Result<u64, Refusal> {
        let partial = self.edge.partial(entry.blake3);
        let begun = self.begun(entry, &partial);
        let went_on = begun.is_some();
        let source = self.source.as_ref();
        let past = source.past_caches();
        let asked_past = self.past_caches.load(Ordering::Relaxed);
        let first = past.filter(|_| asked_past).unwrap_or(source);
        let mut outcome = self.download(first, entry, &partial, begun);
        if outcome.as_ref().is_err_and(Refusal::is_altered) {
            // This one: of others that are fetched beside it, one may have come damaged before.
            let by_cache = past.is_some() && !asked_past;
            if by_cache && !self.past_caches.swap(true, Ordering::Relaxed) {
                let path = source.object_path(entry.blake3);
                tracing::warn!(path = %path.display(), "follow: it came damaged, and is asked for past the caches before the store; if it comes right then, purge them");
            }
            if by_cache || went_on {
                outcome = self.download(past.unwrap_or(source), entry, &partial, None);
            }
        }
        if let Err(Refusal::ObjectDiffers { .. }) = outcome {
            self.disk.remove(&partial).at("remove", &partial)?;
        }
        let octets = outcome?;
        let path = self.edge.object(entry.blake3);
        self.disk
            .rename(&partial, &path)
            .at("rename an object to", &path)?;
        Ok(octets)
    }

    /// What an earlier attempt left, hashed; none if there is nothing to go on from.
    fn begun(&self, entry: &ObjectEntry, partial: &Path) -> Option<Growing> {
        let mut hasher = blake3::Hasher::new();
        let mut octets = 0;
        let mut input = File::open(partial).ok()?;
        let mut buffer = vec![0; COPY_OCTETS];
        loop {
            let read = input.read(&mut buffer).ok()?;
            if read == 0 {
                break;
            }
            octets += read as u64;
            if octets > entry.octets {
                return None;
            }
            hasher.update(&buffer[..read]);
        }
        let file = self.disk.open_end(partial).ok()?;
        (octets > 0).then_some(Growing {
            file,
            hasher,
            octets,
        })
    }

    /// Reads on from where `begun` ends, or from the beginning; how many octets came in.
    fn download(
        &self,
        source: &dyn Source,
        entry: &ObjectEntry,
        partial: &Path,
        begun: Option<Growing>,
    ) -> Result<u64, Refusal> {
        let from = begun.as_ref().map_or(0, |begun| begun.octets);
        let path = source.object_path(entry.blake3);
        let unreadable = |source| Refusal::ObjectUnreadable {
            path: path.clone(),
            source,
        };
        let differs = |octets, found| Refusal::ObjectDiffers {
            path: path.clone(),
            expected: entry.octets,
            octets,
            found,
        };
        let mut rest: Box<dyn Read + '_> = Box::new(io::empty());
        if from < entry.octets {
            let opened = source.open(entry, from).map_err(unreadable)?;
            if opened.octets != entry.octets {
                return Err(differs(opened.octets, None));
            }
            rest = opened.rest;
        }
        let mut growing = match begun {
            Some(begun) => begun,
            None => self.begin(partial)?,
        };
        let mut buffer = vec![0; COPY_OCTETS];
        loop {
            let read = match rest.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(unreadable)?,
            };
            if read == 0 {
                break;
            }
            growing.octets += read as u64;
            growing.hasher.update(&buffer[..read]);
            growing
                .file
                .write_all(&buffer[..read])
                .at("write", partial)?;
        }
        let found = Digest::from(growing.hasher.finalize());
        if growing.octets != entry.octets || found != entry.blake3 {
            return Err(differs(growing.octets, Some(found)));
        }
        growing.file.sync().at("fsync", partial)?;
        Ok(growing.octets - from)
    }

    fn begin(&self, partial: &Path) -> Result<Growing, Refusal> {
        self.disk
            .remove(partial)
            .at("remove the leftover", partial)?;
        let file = self
            .disk
            .create_new(partial, Audience::Everyone)
            .at("create", partial)?;
        Ok(Growing {
            file,
            hasher: blake3::Hasher::new(),
            octets: 0,
        })
    }
}

/// The same work on so many threads, this one if it is not more than one.
fn in_parallel<T: Send>(threads: usize, work: &(impl Fn() -> T + Sync)) -> Vec<T> {
    if threads <= 1 {
        return vec![work()];
    }
    std::thread::scope(|scope| {
        let begun: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ended = begun.into_iter().map(|thread| thread.join());
        ended
            .map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// Files fetched at once. A bucket gives one reader some fifty megabytes a second, and lets one wait for each small file;
/// each takes ten megabytes of memory.
const FILES_AT_ONCE: usize = 4;
/// Copied at a time.
const COPY_OCTETS: usize = 1 << 20;
