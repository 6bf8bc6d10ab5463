//! The status file and what changed since: together what the registry says at one revision.
//!
//! Changes are kept in memory by the hash of their serial, up to a bound; then the file is written anew with them in it.

use super::file::{StatusFile, Writer, fingerprint};
use super::sorter::Sorter;
use super::{Entry, Identity, StatusError};
use crate::error::sentence;
use crate::registry::{AuthorityId, Blocking, Revision, Store};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use wire::serial::MAX_SERIAL_OCTETS;

/// What the registry says of one authority's certificates.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    identity: Identity,
    authority: AuthorityId,
    file: Option<StatusFile>,
    changes: BTreeMap<u64, Vec<Entry>>,
    changed: usize,
    revision: Revision,
    most: usize,
}

/// What holding the book against the database gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Checked {
    /// They say the same.
    Agrees,
    /// They did not; the book was made anew.
    Differed,
}

impl Book {
    /// The book at `path`; nothing is read yet. `most` rows are held in memory at once.
    #[must_use]
    pub fn at(path: &Path, identity: Identity, authority: AuthorityId, most: usize) -> Self {
        Self {
            path: path.to_owned(),
            identity,
            authority,
            file: None,
            changes: BTreeMap::new(),
            changed: 0,
            revision: 0,
            most,
        }
    }

    /// The revision it shows since it caught up last.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// How many certificates it holds, those that changed since the file was written counted again.
    #[must_use]
    pub fn records_about(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.records) + self.changed as u64
    }

    /// Brings it to the registry's newest revision: opens or builds the file, reads what changed since.
    ///
    /// # Errors
    /// [`StatusError`]; the next call begins anew.
    pub fn catch_up<S: Store>(&mut self, registry: &Blocking<S>) -> Result<Revision, StatusError> {
        if self.file.is_none() && !self.open()? {
            return self.rebuild(registry);
        }
        let newest = registry.wait(|store| store.revision())?;
        if newest < self.revision {
            tracing::error!(path = %self.path.display(), file = self.revision, registry = newest,
                "the registry is older than the status file: an older copy was put in its place; built anew");
            return self.rebuild(registry);
        }
        if newest > self.revision {
            self.read_changes(registry)?;
        }
        let unrevised = registry.wait(|store| store.unrevised(self.authority))?;
        let unrevised = unrevised.into_iter().map(Entry::from);
        unrevised.for_each(|entry| self.note(entry));
        if self.changed >= self.most {
            self.rewrite()?;
        }
        Ok(self.revision)
    }

    /// Whether there is a whole file of ours.
    fn open(&mut self) -> Result<bool, StatusError> {
        let whole = StatusFile::open(&self.path, &self.identity).and_then(|file| {
            let (mut octets, mut entries) = (Vec::new(), Vec::new());
            (0..file.blocks())
                .try_for_each(|block| file.read_block(block, &mut octets, &mut entries))?;
            Ok(file)
        });
        match whole {
            Ok(file) => {
                self.begin_with(file);
                Ok(true)
            }
            Err(StatusError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(false)
            }
            Err(error @ StatusError::Damaged { .. }) => {
                tracing::error!(cause = %sentence(&error), "the status file is built anew");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn begin_with(&mut self, file: StatusFile) {
        self.revision = file.revision;
        self.file = Some(file);
        self.changes.clear();
        self.changed = 0;
    }

    /// Builds the file from the database.
    ///
    /// # Errors
    /// [`StatusError`].
    pub fn rebuild<S: Store>(&mut self, registry: &Blocking<S>) -> Result<Revision, StatusError> {
        self.file = None;
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| StatusError::File {
                path: folder.to_owned(),
                source,
            })?;
        }
        let mut sorter = Sorter::new(&self.path, self.identity, self.most);
        let mut failed = None;
        let revision = registry.wait(|store| {
            store.each_status(self.authority, None, |row| {
                if failed.is_none() {
                    failed = sorter.push(row.into()).err();
                }
            })
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let file = sorter.finish(revision)?;
        tracing::info!(path = %self.path.display(), records = file.records, revision, "status file built");
        self.begin_with(file);
        Ok(revision)
    }

    fn read_changes<S: Store>(&mut self, registry: &Blocking<S>) -> Result<(), StatusError> {
        let mut changed = Vec::new();
        let room = self.most.saturating_sub(self.changed);
        let mut fits = true;
        let revision = registry.wait(|store| {
            store.each_status(self.authority, Some(self.revision), |row| {
                fits &= changed.len() < room;
                if fits {
                    changed.push(Entry::from(row));
                }
            })
        })?;
        if !fits {
            // Millions were issued while nobody signed: sorted on the disk, as at the first start.
            drop(changed);
            self.rebuild(registry)?;
            return Ok(());
        }
        changed.into_iter().for_each(|entry| self.note(entry));
        self.revision = revision;
        Ok(())
    }

    fn note(&mut self, entry: Entry) {
        let hash = self.identity.hash_key.hash(entry.serial.content());
        let known = self.changes.entry(hash).or_default();
        match known.iter_mut().find(|known| known.serial == entry.serial) {
            Some(known) => *known = entry,
            None => {
                known.push(entry);
                self.changed += 1;
            }
        }
    }

    /// Writes the file anew with all changes in it.
    fn rewrite(&mut self) -> Result<(), StatusError> {
        // The longest serial there may be: that of a change is not known before it is met.
        let longest = self
            .changes
            .values()
            .flatten()
            .map(|entry| entry.serial.content().len());
        let longest = longest.max().unwrap_or(1).max(USUAL_SERIAL_OCTETS);
        let width = longest.max(self.file.as_ref().map_or(1, StatusFile::serial_octets));
        let mut writer = Writer::create(&self.path, self.identity, width.min(MAX_SERIAL_OCTETS))?;
        self.each(0, None, &mut |hash, entry| writer.push(hash, entry))?;
        let file = writer.finish(self.revision)?;
        self.begin_with(file);
        Ok(())
    }

    /// Hands out shard `shard` of `shards`, in the order of batches.
    ///
    /// # Errors
    /// [`StatusError::Damaged`] if a bit of it is not as it was written: nothing of it was to be signed. The file is not
    /// used again; the next [`catch_up`](Self::catch_up) builds another.
    pub fn shard(
        &mut self,
        shard: u32,
        shards: u32,
        each: &mut dyn FnMut(&Entry),
    ) -> Result<(), StatusError> {
        let (from, to) = (first_hash(shard, shards), first_hash(shard + 1, shards));
        let Ok(from) = u64::try_from(from) else {
            return Ok(());
        };
        let read = self.each(from, u64::try_from(to).ok(), &mut |_, entry| {
            each(entry);
            Ok(())
        });
        if matches!(read, Err(StatusError::Damaged { .. })) {
            self.discard();
        }
        read
    }

    /// Forgets the file, so that it is built anew.
    fn discard(&mut self) {
        self.file = None;
        // It would be opened again; that it is damaged has been told.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Holds everything it says against the database, row by row; built anew if they differ.
    ///
    /// # Errors
    /// [`StatusError`].
    pub fn check<S: Store>(&mut self, registry: &Blocking<S>) -> Result<Checked, StatusError> {
        if self.file.is_none() && !self.open()? {
            // What was read from the database this moment says what it says.
            self.rebuild(registry)?;
            return Ok(Checked::Agrees);
        }
        let known = self.catch_up(registry)?;
        let (mut sum, mut records, mut unsayable) = (0_u128, 0_u64, None);
        let mut changed = Vec::new();
        let revision = registry.wait(|store| {
            store.each_status(self.authority, None, |row| {
                let entry = Entry::from(row);
                match fingerprint(&entry) {
                    Ok(print) => sum = sum.wrapping_add(print),
                    Err(error) => unsayable = Some(error),
                }
                records += 1;
                if row.revision > known || row.revision == 0 {
                    changed.push(entry);
                }
            })
        })?;
        if let Some(error) = unsayable {
            return Err(error);
        }
        changed.into_iter().for_each(|entry| self.note(entry));
        self.revision = revision;
        let (mut own_sum, mut own_records) = (0_u128, 0_u64);
        let read = self.each(0, None, &mut |_, entry| {
            own_sum = own_sum.wrapping_add(fingerprint(entry)?);
            own_records += 1;
            Ok(())
        });
        match read {
            Ok(()) if (own_sum, own_records) == (sum, records) => return Ok(Checked::Agrees),
            Ok(()) | Err(StatusError::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        tracing::error!(path = %self.path.display(), records, own_records,
            "the status file does not say what the database says; built anew");
        self.discard();
        self.rebuild(registry)?;
        Ok(Checked::Differed)
    }

    /// File and changes merged, from the first entry of hash `from` to the last below `to`.
    fn each(
        &self,
        from: u64,
        to: Option<u64>,
        each: &mut dyn FnMut(u64, &Entry) -> Result<(), StatusError>,
    ) -> Result<(), StatusError> {
        let is_behind = |hash: u64| to.is_some_and(|to| hash >= to);
        let mut merge = Merge {
            changes: self.changes.range(from..).peekable(),
            group: Vec::new(),
            hash: from,
            each,
        };
        if let Some(file) = &self.file {
            let (mut octets, mut entries) = (Vec::new(), Vec::new());
            'blocks: for block in file.block_of(from)..file.blocks() {
                file.read_block(block, &mut octets, &mut entries)?;
                for entry in &entries {
                    let hash = self.identity.hash_key.hash(entry.serial.content());
                    if is_behind(hash) {
                        break 'blocks;
                    }
                    if hash >= from {
                        merge.take(hash, *entry)?;
                    }
                }
            }
        }
        merge.flush()?;
        for (hash, entries) in merge.changes {
            if is_behind(*hash) {
                break;
            }
            let mut entries = entries.clone();
            entries.sort_unstable_by_key(|entry| entry.serial);
            entries
                .iter()
                .try_for_each(|entry| (merge.each)(*hash, entry))?;
        }
        Ok(())
    }
}

/// Joins the file's entries with changes, hash by hash.
struct Merge<'a, I: Iterator<Item = (&'a u64, &'a Vec<Entry>)>> {
    changes: std::iter::Peekable<I>,
    /// Entries of the file of one hash: nearly always one.
    group: Vec<Entry>,
    hash: u64,
    each: &'a mut dyn FnMut(u64, &Entry) -> Result<(), StatusError>,
}

impl<'a, I: Iterator<Item = (&'a u64, &'a Vec<Entry>)>> Merge<'a, I> {
    fn take(&mut self, hash: u64, entry: Entry) -> Result<(), StatusError> {
        if hash != self.hash {
            self.flush()?;
            self.hash = hash;
        }
        self.group.push(entry);
        Ok(())
    }

    /// Hands out the group, and changes of certificates that stand before it.
    fn flush(&mut self) -> Result<(), StatusError> {
        if self.group.is_empty() {
            return Ok(());
        }
        while let Some((hash, entries)) = self.changes.next_if(|(hash, _)| **hash <= self.hash) {
            if *hash == self.hash {
                for entry in entries {
                    self.group.retain(|known| known.serial != entry.serial);
                }
                self.group.extend_from_slice(entries);
                continue;
            }
            let mut entries = entries.clone();
            entries.sort_unstable_by_key(|entry| entry.serial);
            for entry in &entries {
                (self.each)(*hash, entry)?;
            }
        }
        self.group.sort_unstable_by_key(|entry| entry.serial);
        for entry in &self.group {
            (self.each)(self.hash, entry)?;
        }
        self.group.clear();
        Ok(())
    }
}

/// The least hash of a shard; 2⁶⁴ behind the last: the rule of `wire::serial::shard`, turned round.
fn first_hash(shard: u32, shards: u32) -> u128 {
    (u128::from(shard) << 64).div_ceil(u128::from(shards.max(1)))
}

/// What authorities give their certificates.
const USUAL_SERIAL_OCTETS: usize = 16;
