//! Publishing: a new generation appears in a store, whole, or the old one stays.
//!
//! A [`Plan`] of steps is made first, can be printed, and is then carried out in order:
//!
//! ```text
//! place each new object      rename tmp/… to objects/<blake3>; its octets were flushed when it was sealed
//! sync objects/              every name the manifest will use is on the platter
//! write the manifest         tmp, fsync, rename, fsync of manifests/
//! rehearse                   open the new generation as a responder will (rehearsal.rs); refused here, nothing has
//!                            happened yet
//! move the pointer           tmp, fsync, rename over `current`, fsync of the store's folder: the one visible act
//! retire                     unlink what no recent manifest names
//! ```
//!
//! Killed between any two system calls, `current` names generation N or N+1, and everything it names is there. The next
//! run removes what lies in `tmp/`, takes a number above every manifest it sees, and goes on. If the power goes before the
//! pointer's name is on the platter, it names N again, though followers may have taken N+1 meanwhile. N+1 is whole then: the
//! next run points at it again, so that what it publishes follows what they have. One publisher a store: a lock on `lock`,
//! which the kernel drops with the process, keeps a second one out.

mod plan;
mod rehearsal;
mod retention;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wire::cert_id::IssuerId;
use wire::serial::SerialHashKey;
use wire::time::UnixSeconds;

pub use plan::{Plan, Step};
use rehearsal::Rehearsal;
pub use retention::{KEEP_MANIFESTS, KEEP_OBJECTS_OF, KEEP_OBJECTS_SECS};
use retention::{LastNamed, last_named};

use crate::digest::Digest;
use crate::durable::{At, Audience, Disk, DiskError, write_whole};
use crate::error::{OpenError, StoreError, sentence};
use crate::manifest::{
    FORMAT, IssuerNote, Manifest, ManifestError, ObjectEntry, Previous, ReplayNote, Role,
    TrustedManifest,
};
use crate::object::Sealed;
use crate::seal::{PublicKey, SealKey};
use crate::snapshot::Snapshot;
use crate::store::{Pointer, Store};

/// The one writer of a store.
pub struct Publisher<'d> {
    disk: &'d dyn Disk,
    store: Store,
    key: SealKey,
    /// Our own key, and those that sealed what is there already.
    pins: Vec<PublicKey>,
    current: Option<TrustedManifest>,
    /// Of each object that recent manifests name, which was the last.
    last_named: HashMap<Digest, LastNamed>,
    /// Numbers of all manifests here, pointed at or not.
    manifests: BTreeSet<u64>,
    /// The next number is above this one in any case.
    above: u64,
    /// A publication failed, and what is remembered above may not be what is on disk.
    in_doubt: bool,
    /// What was rehearsed last: the next rehearsal opens only what is new.
    rehearsed: Option<Rehearsal>,
    /// By what key each issuer's serials are hashed, as far as it was read since the start.
    hash_keys: Arc<HashKeys>,
    _lock: File,
}

/// What the next generation shall be.
#[derive(Debug)]
pub struct Edition {
    /// Objects of the current generation that stay.
    pub kept: Vec<ObjectEntry>,
    /// New ones.
    pub added: Vec<Sealed>,
    /// Issuers whose status is a replay.
    pub replayed: Vec<ReplayNote>,
    /// Where each issuer's import stands.
    pub issuers: Vec<IssuerNote>,
    /// The clock.
    pub sealed_at: UnixSeconds,
    /// For how long it shall prove that nothing was revoked since; [`DEFAULT_VALID_FOR_SECS`].
    pub valid_for_secs: u64,
}

impl<'d> Publisher<'d> {
    /// Takes the store over: locks it, makes its folders, removes what a killed run left in `tmp/`. `older` are keys that
    /// sealed what is there already, after a change of keys.
    pub fn open(
        disk: &'d dyn Disk,
        store: Store,
        key: SealKey,
        older: &[PublicKey],
    ) -> Result<Publisher<'d>, PublishError> {
        prepare_folders(disk, &store)?;
        let lock = lock(&store)?;
        remove_leftovers(disk, &store)?;
        let mut pins = vec![key.public()];
        pins.extend_from_slice(older);
        let mut current = store.read_current(&pins)?;
        if let Some(next) = unpointed(&store, &pins, current.as_ref())? {
            let pointer = Pointer {
                number: next.manifest().number,
                manifest: next.blake3(),
            };
            tracing::warn!(
                number = pointer.number,
                "publish: a generation was whole when a run was cut short; the pointer moves to it"
            );
            move_pointer(disk, &store, pointer)?;
            current = Some(next);
        }
        let last_named = last_named(&store, &pins, current.as_ref());
        let manifests = store.manifest_numbers()?.into_iter().collect();
        Ok(Publisher {
            disk,
            store,
            key,
            pins,
            current,
            last_named,
            manifests,
            above: 0,
            in_doubt: false,
            rehearsed: None,
            hash_keys: Arc::default(),
            _lock: lock,
        })
    }

    /// The newest published generation.
    pub fn current(&self) -> Option<&Manifest> {
        self.current.as_ref().map(TrustedManifest::manifest)
    }

    /// After a publication that failed: reads again which generation is out, for the pointer may have moved before the
    /// act that failed. To be called before asking for [`current`](Self::current); without need it does nothing.
    pub fn settle(&mut self) -> Result<(), PublishError> {
        if !self.in_doubt {
            return Ok(());
        }
        // Whoever is told of what is read now must be able to rely on it.
        let root = self.store.root();
        self.disk.sync_folder(root).at("fsync the folder", root)?;
        self.current = self.store.read_current(&self.pins)?;
        self.last_named = last_named(&self.store, &self.pins, self.current.as_ref());
        self.manifests = self.store.manifest_numbers()?.into_iter().collect();
        self.in_doubt = false;
        Ok(())
    }

    /// The next generation's number is above this one: edges, or a bucket, have seen numbers that a store restored from a
    /// backup knows nothing of. Gaps are allowed.
    pub fn number_above(&mut self, number: u64) {
        self.above = number;
    }

    /// Opens the newest published generation; none before the first.
    pub fn open_current(&self) -> Result<Option<Snapshot>, OpenError> {
        let manifest = self.current.clone();
        manifest
            .map(|manifest| Snapshot::assemble(&self.store, manifest, None))
            .transpose()
    }

    /// Removes sealed files that were not published after all; sealed files in hand become invalid.
    pub fn remove_leftovers(&self) -> Result<(), PublishError> {
        remove_leftovers(self.disk, &self.store)
    }

    /// The store, for sealing files into its `tmp/`.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The disk it writes to.
    pub fn disk(&self) -> &'d dyn Disk {
        self.disk
    }

    /// An edition with everything of the current generation but the batches that entered in it: as it is, a re-seal.
    pub fn same_again(&self, now: UnixSeconds) -> Edition {
        let current = self.current();
        let mut issuers = current.map_or_else(Vec::new, |manifest| manifest.issuers.clone());
        issuers
            .iter_mut()
            .for_each(|issuer| issuer.imported.clear());
        Edition {
            kept: current.map_or_else(Vec::new, |manifest| manifest.objects.clone()),
            added: Vec::new(),
            replayed: current.map_or_else(Vec::new, |manifest| manifest.replayed.clone()),
            issuers,
            sealed_at: now,
            valid_for_secs: DEFAULT_VALID_FOR_SECS,
        }
    }

    /// Says what would be done. Nothing is written.
    pub fn plan(&self, edition: &Edition) -> Result<Plan, PublishError> {
        if self.in_doubt {
            return Err(PublishError::InDoubt);
        }
        let next = self.next_manifest(edition);
        next.check()?;
        let (octets, _) = next.seal(&self.key);
        let next = Manifest::open(octets, &self.pins)?;
        let mut steps = Vec::new();
        for (temp, name) in edition.added.iter().flat_map(Sealed::placements) {
            steps.push(Step::Place {
                temp: temp.to_owned(),
                path: self.store.object(name),
            });
        }
        let number = next.manifest().number;
        steps.push(Step::SyncFolder {
            folder: self.store.objects(),
        });
        steps.push(Step::WriteManifest {
            path: self.store.manifest(number),
        });
        steps.push(Step::Rehearse);
        steps.push(Step::MovePointer {
            pointer: Pointer {
                number,
                manifest: next.blake3(),
            },
        });
        self.plan_retirement(&next, &mut steps)?;
        Ok(Plan { steps, next })
    }

    fn next_manifest(&self, edition: &Edition) -> Manifest {
        let added = edition.added.iter().map(|sealed| sealed.entry().clone());
        let objects: Vec<ObjectEntry> = edition.kept.iter().cloned().chain(added).collect();
        let revision = objects.iter().filter_map(|object| match &object.role {
            Role::Base(note) | Role::Delta(note) => Some(note.revision),
            Role::Crl(_) | Role::Certificate(_) => None,
        });
        Manifest {
            format: FORMAT,
            number: self
                .manifests
                .last()
                .map_or(0, |highest| *highest)
                .max(self.above)
                .saturating_add(1),
            previous: self.current.as_ref().map(|current| Previous {
                number: current.manifest().number,
                blake3: current.blake3(),
            }),
            revision: revision.max().unwrap_or(0),
            objects,
            sealed_at: edition.sealed_at,
            valid_until: edition.sealed_at.saturating_add(edition.valid_for_secs),
            replayed: edition.replayed.clone(),
            issuers: edition.issuers.clone(),
        }
    }

    /// Carries a plan out. If it fails before the pointer moved, the old generation is untouched; whether it moved,
    /// [`settle`](Self::settle) finds out.
    pub fn carry_out(&mut self, plan: Plan) -> Result<Published, PublishError> {
        self.in_doubt = true;
        for step in &plan.steps {
            tracing::debug!(%step, "publish");
            match (step, self.carry_out_step(step, &plan.next)) {
                // The generation is out. What cannot be unlinked now is found again by the next plan.
                (Step::Retire { .. }, Err(error)) => {
                    tracing::warn!(reason = %sentence(&error), "publish: could not remove an old file");
                }
                (_, outcome) => outcome?,
            }
        }
        self.in_doubt = false;
        let manifest = plan.next.manifest();
        let published = Published {
            number: manifest.number,
            manifest: plan.next.blake3(),
        };
        self.note_published(manifest, &plan.steps);
        self.current = Some(plan.next);
        Ok(published)
    }

    fn note_published(&mut self, manifest: &Manifest, steps: &[Step]) {
        let gone: HashSet<&Path> = steps.iter().filter_map(Step::retired).collect();
        let store = &self.store;
        self.manifests
            .retain(|number| !gone.contains(store.manifest(*number).as_path()));
        self.manifests.insert(manifest.number);
        self.last_named.retain(|_, last| last.is_recent(manifest));
        for last in self.last_named.values_mut() {
            last.until.get_or_insert(manifest.sealed_at);
        }
        let last = LastNamed {
            number: manifest.number,
            until: None,
        };
        let names = manifest.file_names().map(|name| (name, last));
        self.last_named.extend(names);
    }

    fn carry_out_step(&mut self, step: &Step, next: &TrustedManifest) -> Result<(), PublishError> {
        let temp = self.store.temp();
        match step {
            Step::Place { temp, path } => self
                .disk
                .rename(temp, path)
                .at("rename an object to", path)?,
            Step::SyncFolder { folder } => self
                .disk
                .sync_folder(folder)
                .at("fsync the folder", folder)?,
            Step::WriteManifest { path } => {
                let temp = temp.join("manifest");
                write_whole(self.disk, &temp, path, next.octets(), Audience::Everyone)?;
            }
            Step::Rehearse => self.rehearse(next)?,
            Step::MovePointer { pointer } => move_pointer(self.disk, &self.store, *pointer)?,
            Step::Retire { path } => self.disk.remove(path).at("remove", path)?,
        }
        Ok(())
    }

    fn rehearse(&mut self, next: &TrustedManifest) -> Result<(), OpenError> {
        let before = self.rehearsed.as_ref();
        let rehearsed = Rehearsal::of(&self.store, next, self.current(), before)?;
        Arc::make_mut(&mut self.hash_keys).extend(rehearsed.snapshot.hash_keys());
        self.rehearsed = Some(rehearsed);
        Ok(())
    }

    /// By what key each issuer's serials are hashed, as far as it was read since the start.
    pub fn hash_keys(&self) -> Arc<HashKeys> {
        Arc::clone(&self.hash_keys)
    }

    /// Names of files that could not be opened at the last publication, and that it was done without.
    pub fn damaged(&self) -> impl Iterator<Item = Digest> {
        let rehearsed = self.rehearsed.iter();
        rehearsed.flat_map(|rehearsed| rehearsed.damaged().iter().copied())
    }

    /// Plans and carries out.
    pub fn publish(&mut self, edition: &Edition) -> Result<Published, PublishError> {
        let plan = self.plan(edition)?;
        self.carry_out(plan)
    }
}

/// By what key each issuer's serials are hashed.
pub type HashKeys = BTreeMap<IssuerId, SerialHashKey>;

/// A generation that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub number: u64,
    /// The BLAKE3 of its manifest.
    pub manifest: Digest,
}

/// Makes a store's folders, and their names durable.
pub(crate) fn prepare_folders(disk: &dyn Disk, store: &Store) -> Result<(), DiskError> {
    for folder in [store.objects(), store.manifests(), store.temp()] {
        disk.create_folder(&folder)
            .at("create the folder", &folder)?;
    }
    disk.sync_folder(store.root())
        .at("fsync the folder", store.root())
}

/// Removes whatever lies in `tmp/`.
pub(crate) fn remove_leftovers(disk: &dyn Disk, store: &Store) -> Result<(), PublishError> {
    for leftover in store.leftovers()? {
        disk.remove(&leftover)
            .at("remove the leftover", &leftover)?;
    }
    Ok(())
}

/// Keeps a second writer out for as long as the returned file lives.
pub(crate) fn lock(store: &Store) -> Result<File, PublishError> {
    let path = store.root().join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .at("open", &path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(PublishError::Locked { path }),
        Err(std::fs::TryLockError::Error(source)) => Err(DiskError {
            action: "lock",
            path,
            source,
        }
        .into()),
    }
}

fn move_pointer(disk: &dyn Disk, store: &Store, pointer: Pointer) -> Result<(), DiskError> {
    write_whole(
        disk,
        &store.temp().join("current"),
        &store.pointer(),
        pointer.to_text().as_bytes(),
        Audience::Everyone,
    )
}

/// The generation of a run cut short that may have been out for a moment: its manifest follows the current one, bears a
/// pinned seal, and all that it names anew is here and opens. One that does not is nobody's: it was never pointed at.
fn unpointed(
    store: &Store,
    pins: &[PublicKey],
    current: Option<&TrustedManifest>,
) -> Result<Option<TrustedManifest>, StoreError> {
    let follows = current.map(|current| Previous {
        number: current.manifest().number,
        blake3: current.blake3(),
    });
    let number = highest_number(store)?;
    if number <= follows.map_or(0, |previous| previous.number) {
        return Ok(None);
    }
    let next = match store.read_unpointed(number, pins) {
        Ok(next) if next.manifest().previous == follows => next,
        Ok(_) => return Ok(None),
        Err(error) => {
            tracing::warn!(number, reason = %sentence(&error), "publish: passing over the manifest of a run cut short");
            return Ok(None);
        }
    };
    let current = current.map(TrustedManifest::manifest);
    Ok(Rehearsal::of(store, &next, current, None)
        .is_ok()
        .then_some(next))
}

/// The highest number that any manifest here bears, pointed at or not.
fn highest_number(store: &Store) -> Result<u64, StoreError> {
    Ok(store.manifest_numbers()?.last().copied().unwrap_or(0))
}

fn names(manifest: &Manifest) -> HashSet<Digest> {
    manifest.file_names().collect()
}

/// Why nothing was published. Unless the pointer had already moved, the old generation is untouched.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The manifest would be refused by those who read it.
    #[error("the manifest would be refused")]
    Manifest(#[from] ManifestError),
    /// The generation could not be opened.
    #[error("the new generation could not be opened")]
    Rehearsal(#[from] OpenError),
    /// An earlier publication failed and nobody looked which generation is out.
    #[error("an earlier publication failed half-way; settle first")]
    InDoubt,
    /// Another publisher, or another follower, is at work.
    #[error("{} is held by another process", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
}

/// One hour; re-sealed when idle, well before.
pub const DEFAULT_VALID_FOR_SECS: u64 = 3600;

#[cfg(test)]
mod tests;
