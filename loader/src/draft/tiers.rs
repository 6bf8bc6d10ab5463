//! Deltas beside a base: few, and none that only repeats the base.

use std::path::PathBuf;

use wire::cert_id::IssuerId;

use super::{Draft, remove_temp};
use crate::digest::Digest;
use crate::durable::{Disk, DiskError};
use crate::manifest::{PackNote, Role};
use crate::merge::{Behind, Merged, merge};
use crate::object::Sealed;
use crate::pack::{Pack, PackError, WriteError};
use crate::store::Store;

/// Why deltas could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum TierError {
    /// A pack of the current generation cannot be opened.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The joined pack cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Draft {
    /// Takes out of deltas what a new base says as well, and joins neighbouring deltas of every issuer that changed until
    /// at most [`MOST_DELTAS`] are left.
    pub fn join_deltas(&mut self, disk: &dyn Disk, store: &Store) -> Result<(), TierError> {
        for issuer in self.rebased.clone() {
            self.sweep(disk, store, issuer)?;
        }
        for issuer in self.touched.clone() {
            while self.join_two(disk, store, issuer)? {}
        }
        Ok(())
    }

    /// A delta joined of older ones may outlive a new base although nearly all it says is in there, and its windows pass
    /// sooner: what the base says for longer goes.
    fn sweep(&mut self, disk: &dyn Disk, store: &Store, issuer: IssuerId) -> Result<(), TierError> {
        let deltas = self.deltas(store, issuer);
        let packs = open_all(&deltas)?;
        let mut behind = Behind::new(self.bases(store, issuer)?);
        for (place, delta) in deltas.iter().enumerate() {
            let temp = store
                .temp()
                .join(format!("swept-{issuer}-{}", delta.note.batch));
            behind.older = &packs[..place];
            match merge(disk, &temp, &[&packs[place]], &behind)? {
                Merged::Unlike => {}
                Merged::Nothing => self.replace(disk, &[delta.blake3], None)?,
                Merged::Pack(sealed) if records_of(&sealed) == delta.note.records => {
                    remove_temp(disk, sealed.temp())?;
                }
                Merged::Pack(sealed) => self.replace(disk, &[delta.blake3], Some(sealed))?,
            }
        }
        Ok(())
    }

    /// Joins the two neighbours that are smallest together; false when there is nothing to join.
    fn join_two(
        &mut self,
        disk: &dyn Disk,
        store: &Store,
        issuer: IssuerId,
    ) -> Result<bool, TierError> {
        let deltas = self.deltas(store, issuer);
        if deltas.len() <= MOST_DELTAS {
            return Ok(false);
        }
        let mut pairs: Vec<usize> = (0..deltas.len() - 1).collect();
        pairs.sort_by_key(|&place| deltas[place].note.records + deltas[place + 1].note.records);
        let packs = open_all(&deltas)?;
        let mut behind = Behind::new(self.bases(store, issuer)?);
        for place in pairs {
            // Named by both: what came of an earlier join in this pass bears the number of its newer part, and must not
            // be written over and then removed as one of the two.
            let (one, other) = (&deltas[place].note, &deltas[place + 1].note);
            let temp = store
                .temp()
                .join(format!("joined-{issuer}-{}-{}", one.batch, other.batch));
            behind.older = &packs[..place];
            let joined = match merge(disk, &temp, &[&packs[place], &packs[place + 1]], &behind)? {
                Merged::Unlike => continue,
                Merged::Nothing => None,
                Merged::Pack(sealed) => Some(sealed),
            };
            let gone = [deltas[place].blake3, deltas[place + 1].blake3];
            self.replace(disk, &gone, joined)?;
            return Ok(true);
        }
        tracing::warn!(%issuer, deltas = deltas.len(), "deltas cannot be joined; the next full batch ends this");
        Ok(false)
    }

    fn replace(
        &mut self,
        disk: &dyn Disk,
        gone: &[Digest],
        joined: Option<Sealed>,
    ) -> Result<(), DiskError> {
        self.kept.retain(|entry| !gone.contains(&entry.blake3));
        let mut temps = Vec::new();
        self.added.retain(|sealed| {
            let hit = gone.contains(&sealed.entry().blake3);
            if hit {
                temps.push(sealed.temp().to_owned());
            }
            !hit
        });
        self.added.extend(joined);
        self.remove_unused(disk, &temps)
    }

    /// The deltas of an issuer, oldest first.
    fn deltas(&self, store: &Store, issuer: IssuerId) -> Vec<Delta> {
        let mut deltas: Vec<Delta> = self
            .with_paths(store)
            .filter(|(entry, _)| entry.issuer.0 == issuer)
            .filter_map(|(entry, path)| match &entry.role {
                Role::Delta(note) => Some(Delta {
                    note: note.clone(),
                    blake3: entry.blake3,
                    path,
                }),
                _ => None,
            })
            .collect();
        deltas.sort_by_key(|delta| (delta.note.revision, delta.note.batch));
        deltas
    }

    fn bases(&self, store: &Store, issuer: IssuerId) -> Result<Vec<Pack>, PackError> {
        self.with_paths(store)
            .filter(|(entry, _)| entry.issuer.0 == issuer && matches!(entry.role, Role::Base(_)))
            .map(|(_, path)| Pack::open(&path))
            .collect()
    }
}

/// A delta of the draft.
struct Delta {
    note: PackNote,
    blake3: Digest,
    path: PathBuf,
}

fn open_all(deltas: &[Delta]) -> Result<Vec<Pack>, PackError> {
    deltas.iter().map(|delta| Pack::open(&delta.path)).collect()
}

fn records_of(pack: &Sealed) -> u64 {
    match &pack.entry().role {
        Role::Base(note) | Role::Delta(note) => note.records,
        Role::Crl(_) | Role::Certificate(_) => 0,
    }
}

/// Deltas an issuer keeps beside its base packs: each costs a lookup of an unchanged serial one filter word.
pub const MOST_DELTAS: usize = 8;
