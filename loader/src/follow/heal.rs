//! What rots at the edge where it keeps a generation from being opened: fetched anew, without waiting for the scrub.
//!
//! A responder that starts opens every file by its header and tables. The scrub comes by each of them, but in a large edge
//! only after hours. A sector that the disk does not give back is healed as well: opening reads, and does not look into
//! the map (`pack/reader.rs`).

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::io::Errno;

use super::{Follower, Refusal};
use crate::digest::Digest;
use crate::error::{OpenError, sentence};
use crate::manifest::{ObjectEntry, TrustedManifest};
use crate::snapshot::{Snapshot, can_be_opened};

/// How far the files in place were looked at, by name.
#[derive(Debug, Default)]
pub struct HealRound {
    after: Option<Digest>,
}

/// What a step of a round came to.
#[derive(Debug, Default)]
pub struct Healing {
    /// What was fetched anew, by what people call it.
    pub fetched: Vec<String>,
    /// The file that ended the step, and why; the next one begins behind it.
    pub failed: Option<(Digest, Refusal)>,
    /// All were looked at; the next step begins a round.
    pub is_done: bool,
}

impl Follower<'_> {
    /// Goes on opening the files in place as a responder that starts will, one at least and until `enough` is told, and
    /// fetches anew what does not open because it has rotted. Costs a read of each header: who polls stands still meanwhile.
    pub fn heal(&self, round: &mut HealRound, enough: &mut dyn FnMut() -> bool) -> Healing {
        let mut healing = Healing::default();
        let mut files: Vec<_> = self
            .current
            .iter()
            .flat_map(|it| it.manifest().files())
            .collect();
        files.retain(|entry| round.after.is_none_or(|after| entry.blake3 > after));
        files.sort_unstable_by_key(|entry| entry.blake3);
        for entry in files {
            round.after = Some(entry.blake3);
            if let Err(error) = can_be_opened(&self.edge, &entry) {
                match self.fetch_anew(&entry, error) {
                    Ok(()) => healing.fetched.push(entry.name.clone()),
                    Err(refusal) => {
                        healing.failed = Some((entry.blake3, refusal));
                        return healing;
                    }
                }
            }
            if enough() {
                return healing;
            }
        }
        round.after = None;
        healing.is_done = true;
        healing
    }

    /// Fetches what does not open, unless it is what its name says: the store has the same then.
    fn fetch_anew(&self, entry: &ObjectEntry, error: OpenError) -> Result<(), Refusal> {
        let path = self.edge.object(entry.blake3);
        if is_sound(&path, entry.blake3) {
            return Err(error.into());
        }
        if let Err(refusal) = self.fetch(entry) {
            return Err(Refusal::NotHealed {
                name: entry.name.clone(),
                damage: Box::new(error),
                fetch: Box::new(refusal),
            });
        }
        tracing::error!(path = %path.display(), name = %entry.name, reason = %sentence(&error), "a file was damaged, and is fetched anew");
        Ok(())
    }

    /// Opens a generation that is to be put in place, and heals it, but for the files that were fetched just now.
    pub(super) fn open_or_heal(
        &self,
        manifest: &TrustedManifest,
        fetched: &[Cow<'_, ObjectEntry>],
    ) -> Result<(), Refusal> {
        let mut tried: Vec<Digest> = fetched.iter().map(|entry| entry.blake3).collect();
        loop {
            let Err(error) = Snapshot::assemble(&self.edge, manifest.clone(), None) else {
                return Ok(());
            };
            let blamed = manifest.manifest().files().find(|entry| {
                let path = self.edge.object(entry.blake3);
                error.path() == Some(&path)
            });
            let may_be = |entry: &Cow<'_, ObjectEntry>| {
                tried.len() < fetched.len() + MOST_HEALED && !tried.contains(&entry.blake3)
            };
            let Some(entry) = blamed.filter(may_be) else {
                return Err(error.into());
            };
            self.fetch_anew(&entry, error)?;
            tried.push(entry.blake3);
        }
    }
}

/// Whether it is what its name says, as far as can be told.
fn is_sound(path: &Path, name: Digest) -> bool {
    let hashed = || -> io::Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(Digest::from(hasher.finalize()))
    };
    match hashed() {
        Ok(found) => found == name,
        // Nothing is said of the file.
        Err(error) => matches!(
            Errno::from_io_error(&error),
            Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)
        ),
    }
}

/// Files fetched anew in a row: more have rotted only where a disk is lost, and then each poll brings some.
const MOST_HEALED: usize = 64;
