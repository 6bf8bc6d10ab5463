//! What rots at the edge where it keeps a generation from being opened: fetched anew, without waiting for the scrub.
//!
//! A responder that starts opens every file by its header and tables. The scrub comes by each of them, but in a large edge
//! only after hours.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::path::Path;

use super::{Follower, Refusal};
use crate::digest::Digest;
use crate::manifest::{ObjectEntry, TrustedManifest};
use crate::snapshot::Snapshot;

impl Follower<'_> {
    /// Opens the generation in place as a responder that starts will, and fetches anew what does not open because it has
    /// rotted. Gives the names of what was fetched. Costs a look at each file's header.
    ///
    /// # Errors
    /// If it cannot be opened all the same, or the store does not give the file.
    pub fn heal(&self) -> Result<Vec<String>, Refusal> {
        let Some(current) = &self.current else {
            return Ok(Vec::new());
        };
        self.open_or_heal(current, &[])
    }

    /// The same of a generation that is to be put in place, but for the files that were fetched just now.
    pub(super) fn open_or_heal(
        &self,
        manifest: &TrustedManifest,
        fetched: &[Cow<'_, ObjectEntry>],
    ) -> Result<Vec<String>, Refusal> {
        let mut healed: Vec<Digest> = fetched.iter().map(|entry| entry.blake3).collect();
        let mut names = Vec::new();
        loop {
            let Err(error) = Snapshot::assemble(&self.edge, manifest.clone(), None) else {
                return Ok(names);
            };
            let blamed = manifest.manifest().files().find(|entry| {
                let path = self.edge.object(entry.blake3);
                error.path() == Some(&path)
            });
            let Some(entry) = blamed.filter(|_| names.len() < MOST_HEALED) else {
                return Err(error.into());
            };
            let path = self.edge.object(entry.blake3);
            // Sound, and yet it does not open: the store has the same.
            if healed.contains(&entry.blake3) || is_sound(&path, entry.blake3) {
                return Err(error.into());
            }
            tracing::error!(path = %path.display(), name = %entry.name, "a file is damaged, and is fetched anew");
            self.fetch(&entry)?;
            healed.push(entry.blake3);
            names.push(entry.name.clone());
        }
    }
}

fn is_sound(path: &Path, name: Digest) -> bool {
    let hashed = || -> io::Result<Digest> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(Digest::from(hasher.finalize()))
    };
    hashed().is_ok_and(|found| found == name)
}

/// Files fetched anew in a row: more have rotted only where a disk is lost, and then each poll brings some.
const MOST_HEALED: usize = 64;
