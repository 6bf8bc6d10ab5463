//! Room on the edge's disk: asked for before a generation is fetched, so that a disk never fills half-way.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use super::{Follower, Refusal};
use crate::error::StoreError;
use crate::manifest::{ObjectEntry, TrustedManifest};

/// How much of the disk an edge may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Octets of all objects at the edge, those of older generations that are still kept included; none: no limit.
    pub budget: Option<u64>,
    /// Octets of the file system that stay free whatever comes.
    pub keep_free: u64,
}

/// A generation that does not fit, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// More than the edge may take.
    #[error(
        "{needed} octets are needed beside the {used} that must stay, and the disk budget is {budget}"
    )]
    Budget {
        /// Still to be fetched.
        needed: u64,
        /// What the generation in place and the beginnings of this one take.
        used: u64,
        /// The setting.
        budget: u64,
    },
    /// More than the file system has.
    #[error(
        "{needed} octets are needed, {free} are free, and {keep_free} of them are to stay free"
    )]
    Disk {
        /// Still to be fetched.
        needed: u64,
        /// What the file system says.
        free: u64,
        /// The setting.
        keep_free: u64,
    },
}

impl Follower<'_> {
    /// Makes sure that what is lacking fits, removing what only older generations name if it must.
    pub(super) fn make_room(
        &self,
        next: &TrustedManifest,
        lacking: &[Cow<'_, ObjectEntry>],
    ) -> Result<(), Refusal> {
        self.drop_partials_but(next)?;
        let begun = octets_in(&self.edge.partials())?;
        let wanted: u64 = lacking.iter().map(|entry| entry.octets).sum();
        let needed = wanted.saturating_sub(begun);
        if needed == 0 || self.shortage(needed)?.is_none() {
            return Ok(());
        }
        self.collect_all_but(next)?;
        self.shortage(needed)?
            .map_or(Ok(()), |short| Err(short.into()))
    }

    fn shortage(&self, needed: u64) -> Result<Option<NoRoom>, Refusal> {
        if let Some(budget) = self.limits.budget {
            let used = octets_in(&self.edge.objects())? + octets_in(&self.edge.partials())?;
            if used.saturating_add(needed) > budget {
                return Ok(Some(NoRoom::Budget {
                    needed,
                    used,
                    budget,
                }));
            }
        }
        let keep_free = self.limits.keep_free;
        let free = free_octets(self.edge.root())?;
        Ok(
            (needed.saturating_add(keep_free) > free).then_some(NoRoom::Disk {
                needed,
                free,
                keep_free,
            }),
        )
    }
}

/// What the files of a folder take together.
fn octets_in(folder: &Path) -> Result<u64, StoreError> {
    let unreadable = |source| StoreError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut octets = 0;
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        // A file that went meanwhile takes nothing.
        if let Ok(metadata) = entry.map_err(unreadable)?.metadata() {
            octets += metadata.len();
        }
    }
    Ok(octets)
}

/// What the file system under a folder has left for us.
fn free_octets(folder: &Path) -> Result<u64, StoreError> {
    let system = rustix::fs::statvfs(folder).map_err(|source| StoreError::Unreadable {
        path: folder.to_owned(),
        source: source.into(),
    })?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}
