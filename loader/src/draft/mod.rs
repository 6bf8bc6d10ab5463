//! The next generation while it is put together: what stays of the current one, and what comes.
//!
//! Next door: `tiers.rs` keeps an issuer's deltas few, `shared.rs` judges files that several issuers bring,
//! `agreement.rs` whether lists and packs say the same, `fit.rs` whether a batch's packs go with
//! those that stay, `ended.rs` lets go what ended.

mod agreement;
mod ended;
mod fit;
mod shared;
mod tiers;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub use agreement::{Ask, Newest};
pub use tiers::{DamagedDeltas, MOST_DELTAS, TierError};
use wire::batch::{DocumentKind, Header, Kind, Source};
use wire::cert_id::IssuerId;
use wire::crl::Crl;
use wire::time::UnixSeconds;

use crate::build::Built;
use crate::digest::Digest;
use crate::durable::{At as _, Disk, DiskError};
use crate::import::admit::{Candidate, Floor};
use crate::import::batch::BatchRefusal;
use crate::import::file::unsigned;
use crate::manifest::{
    BatchNote, IssuerHex, IssuerNote, Manifest, ObjectEntry, ReplayNote, Role, SourceNote,
};
use crate::object::Sealed;
use crate::publish::{Edition, HashKeys};
use crate::store::Store;

/// What the next generation will hold.
#[derive(Debug)]
pub struct Draft {
    pub(super) kept: Vec<ObjectEntry>,
    pub(super) added: Vec<Sealed>,
    replayed: Vec<ReplayNote>,
    issuers: Vec<IssuerNote>,
    /// Issuers that changed.
    pub(super) touched: Vec<IssuerId>,
    /// Issuers that got new base packs.
    pub(super) rebased: Vec<(IssuerId, Rebased)>,
}

/// How much of an issuer's base came anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rebased {
    /// All of it.
    Whole,
    /// One shard or some.
    InPart,
}

impl Draft {
    /// Begins with the current generation, if there is one.
    pub fn of(current: Option<&Manifest>) -> Self {
        Self {
            kept: current.map_or_else(Vec::new, |manifest| manifest.objects.clone()),
            added: Vec::new(),
            replayed: current.map_or_else(Vec::new, |manifest| manifest.replayed.clone()),
            issuers: current.map_or_else(Vec::new, |manifest| {
                let unchanged = |note: &IssuerNote| IssuerNote {
                    imported: Vec::new(),
                    ..note.clone()
                };
                manifest.issuers.iter().map(unchanged).collect()
            }),
            touched: Vec::new(),
            rebased: Vec::new(),
        }
    }

    /// Whether anything came.
    pub fn is_changed(&self) -> bool {
        !self.touched.is_empty()
    }

    /// What the next batch of `issuer` must be above.
    pub fn floor(&self, issuer: IssuerId) -> Floor {
        let note = self.issuers.iter().find(|note| note.issuer.0 == issuer);
        let last = |of: fn(&IssuerNote) -> Option<u64>| {
            note.map_or(0, |note| of(note).unwrap_or(note.last_number))
        };
        let mut floor = Floor {
            delta_number: last(|note| note.last_delta),
            documents_number: last(|note| note.last_documents),
            ..Floor::default()
        };
        for entry in self.entries_of(issuer) {
            match &entry.role {
                Role::Base(note) => {
                    let base = floor.bases.entry(note.shard).or_default();
                    base.number = base.number.max(note.batch);
                    base.revision = base.revision.max(note.revision);
                }
                Role::Delta(note) => floor.delta_revision = floor.delta_revision.max(note.revision),
                Role::Crl(_) | Role::Certificate(_) => {}
            }
        }
        floor
    }

    /// Whether a batch fits what will stay beside it: its shards, its hash key, its issuer's name and key, and its
    /// documents. What does not fit would be refused only by the rehearsal before publishing, and keep all other batches
    /// from going on.
    pub fn check(
        &self,
        store: &Store,
        known: &HashKeys,
        candidate: &Candidate,
    ) -> Result<(), BatchRefusal> {
        self.check_packs(store, known, &candidate.header)?;
        self.check_issuer(store, candidate)?;
        self.check_documents(store, candidate)?;
        self.check_lists(store, candidate)
    }

    /// A list never goes backwards under its name.
    fn check_lists(&self, store: &Store, candidate: &Candidate) -> Result<(), BatchRefusal> {
        let lists = candidate.documents.iter().map(|(document, _)| document);
        for document in lists.filter(|document| document.kind == DocumentKind::Crl) {
            let blake3 = Digest::of(&document.octets);
            let published = self.with_paths(store).find(|(entry, _)| {
                entry.name == document.name
                    && is_crl(&entry.role) == Some(true)
                    && entry.blake3 != blake3
            });
            // What is published and cannot be read is replaced.
            let Some(before) = published.and_then(|(_, path)| std::fs::read(path).ok()) else {
                continue;
            };
            if let Some(why) = goes_back(&before, &document.octets) {
                return Err(BatchRefusal::Document {
                    name: document.name.clone(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// Takes a batch in: its packs and `documents` replace what they are newer than.
    pub fn take(
        &mut self,
        disk: &dyn Disk,
        built: Built,
        documents: Vec<Sealed>,
    ) -> Result<(), DiskError> {
        let header = &built.admitted.header;
        let issuer = header.issuer_id;
        let age = (header.revision, header.number);
        match header.kind {
            Kind::Full => self.drop_where(disk, issuer, |entry| match &entry.role {
                Role::Base(_) => true,
                // A full batch long in the making may be older than a delta: that one still counts.
                Role::Delta(note) => (note.revision, note.batch) <= age,
                Role::Crl(_) | Role::Certificate(_) => false,
            })?,
            Kind::Shard => self.drop_where(
                disk,
                issuer,
                |entry| matches!(&entry.role, Role::Base(note) if note.shard == header.shard),
            )?,
            Kind::Delta | Kind::Documents => {}
        }
        self.added.extend(built.packs);
        let rebased = match header.kind {
            Kind::Full => Some((issuer, Rebased::Whole)),
            Kind::Shard => Some((issuer, Rebased::InPart)),
            Kind::Delta | Kind::Documents => None,
        };
        if let Some(rebased) = rebased.filter(|rebased| !self.rebased.contains(rebased)) {
            self.rebased.push(rebased);
        }
        if header.kind == Kind::Shard {
            self.drop_outlived_deltas(disk, issuer)?;
        }
        let lists: Vec<String> = documents
            .iter()
            .map(|document| document.entry().name.clone())
            .collect();
        self.add_documents(disk, issuer, documents)?;
        if header.kind == Kind::Full && matches!(header.source, Source::ForeignCrl { .. }) {
            // They come whole with the batch that repeats them: a delta that says nothing any more, a partition that
            // nobody imports, or the certificate of who signs lists no longer, must not be served on for ever.
            self.drop_where(disk, issuer, |entry| {
                is_crl(&entry.role).is_some() && !lists.contains(&entry.name)
            })?;
        }
        self.note(header, built.admitted.digest);
        Ok(())
    }

    /// Deltas that every base pack is newer than say nothing any more.
    fn drop_outlived_deltas(&mut self, disk: &dyn Disk, issuer: IssuerId) -> Result<(), DiskError> {
        let oldest_base = self
            .entries_of(issuer)
            .filter_map(|entry| match &entry.role {
                Role::Base(note) => Some((note.revision, note.batch)),
                _ => None,
            });
        let Some(oldest) = oldest_base.min() else {
            return Ok(());
        };
        self.drop_where(
            disk,
            issuer,
            |entry| matches!(&entry.role, Role::Delta(note) if (note.revision, note.batch) <= oldest),
        )
    }

    fn add_documents(
        &mut self,
        disk: &dyn Disk,
        issuer: IssuerId,
        documents: Vec<Sealed>,
    ) -> Result<(), DiskError> {
        for document in documents {
            let entry = document.entry();
            let path = entry.role.path(&entry.name);
            let (name, blake3) = (entry.name.clone(), entry.blake3);
            let same_path = |entry: &ObjectEntry| entry.role.path(&entry.name) == path;
            if self
                .all()
                .any(|entry| same_path(entry) && entry.issuer.0 != issuer && entry.blake3 == blake3)
            {
                // Two issuers share it (a common root): once is enough. Temporary files of documents are named by their
                // octets, so if the other's came in this pass, this is the very file that will be placed.
                let is_the_others = |sealed: &Sealed| sealed.temp() == document.temp();
                if !self.added.iter().any(is_the_others) {
                    document
                        .temps()
                        .try_for_each(|temp| remove_temp(disk, temp))?;
                }
                continue;
            }
            let crl = is_crl(&document.entry().role);
            let mut gone = Vec::new();
            self.kept.retain(|entry| {
                !(entry.name == name && is_crl(&entry.role) == crl && crl.is_some())
            });
            self.added.retain(|sealed| {
                let replaced = sealed.entry().name == name
                    && crl.is_some()
                    && is_crl(&sealed.entry().role) == crl;
                if replaced && sealed.temp() != document.temp() {
                    gone.extend(sealed.temps().map(Path::to_owned));
                }
                !replaced
            });
            self.added.push(document);
            self.remove_unused(disk, &gone)?;
        }
        Ok(())
    }

    /// Removes files that nothing added is in any more. The same octets under two names are one file.
    pub(super) fn remove_unused(
        &self,
        disk: &dyn Disk,
        temps: &[PathBuf],
    ) -> Result<(), DiskError> {
        if temps.is_empty() {
            return Ok(());
        }
        let used: HashSet<&Path> = self.added.iter().flat_map(Sealed::temps).collect();
        let mut unused = temps.iter().filter(|temp| !used.contains(temp.as_path()));
        unused.try_for_each(|temp| remove_temp(disk, temp))
    }

    /// Notes the batch as taken. `imported` names the batches of exactly this generation, so that after a crash each of
    /// them can still be acknowledged.
    fn note(&mut self, header: &Header, blake3: Digest) {
        let issuer = IssuerHex(header.issuer_id);
        if !self.touched.contains(&header.issuer_id) {
            self.touched.push(header.issuer_id);
        }
        let place = self
            .issuers
            .iter()
            .position(|note| note.issuer == issuer)
            .unwrap_or_else(|| {
                self.issuers.push(IssuerNote {
                    issuer,
                    source: SourceNote::Registry,
                    last_number: 0,
                    last_delta: Some(0),
                    last_documents: Some(0),
                    revision: 0,
                    imported: Vec::new(),
                });
                self.issuers.len() - 1
            });
        let note = &mut self.issuers[place];
        note.source = match header.source {
            Source::Registry => SourceNote::Registry,
            Source::ForeignCrl { .. } => SourceNote::ForeignCrl,
        };
        // A note of an earlier version has one number for all kinds.
        let before = note.last_number;
        note.last_delta.get_or_insert(before);
        note.last_documents.get_or_insert(before);
        match header.kind {
            Kind::Delta => note.last_delta = Some(header.number),
            Kind::Documents => note.last_documents = Some(header.number),
            Kind::Full | Kind::Shard => {}
        }
        note.last_number = before.max(header.number);
        note.revision = note.revision.max(header.revision);
        note.imported.push(BatchNote {
            number: header.number,
            blake3,
        });
        if header.kind == Kind::Full {
            self.replayed.retain(|note| note.issuer != issuer);
            if let Source::ForeignCrl {
                blake3,
                as_of: Some(as_of),
                ..
            } = header.source
            {
                self.replayed.push(ReplayNote {
                    issuer,
                    as_of,
                    crl_blake3: Digest::from_octets(blake3),
                });
            }
        }
    }

    fn drop_where(
        &mut self,
        disk: &dyn Disk,
        issuer: IssuerId,
        gone: impl Fn(&ObjectEntry) -> bool,
    ) -> Result<(), DiskError> {
        let hit = |entry: &ObjectEntry| entry.issuer.0 == issuer && gone(entry);
        self.kept.retain(|entry| !hit(entry));
        let mut temps = Vec::new();
        self.added.retain(|sealed| {
            if hit(sealed.entry()) {
                temps.push(sealed.temp().to_owned());
            }
            !hit(sealed.entry())
        });
        self.remove_unused(disk, &temps)
    }

    fn all(&self) -> impl Iterator<Item = &ObjectEntry> {
        self.kept.iter().chain(self.added.iter().map(Sealed::entry))
    }

    fn entries_of(&self, issuer: IssuerId) -> impl Iterator<Item = &ObjectEntry> {
        self.all().filter(move |entry| entry.issuer.0 == issuer)
    }

    /// Every object and where its octets lie now.
    fn with_paths<'s>(
        &'s self,
        store: &'s Store,
    ) -> impl Iterator<Item = (&'s ObjectEntry, PathBuf)> {
        let kept = self
            .kept
            .iter()
            .map(|entry| (entry, store.object(entry.blake3)));
        kept.chain(
            self.added
                .iter()
                .map(|sealed| (sealed.entry(), sealed.temp().to_owned())),
        )
    }

    /// The edition to be published.
    pub fn into_edition(mut self, sealed_at: UnixSeconds, valid_for_secs: u64) -> Edition {
        let mut added: Vec<Sealed> = Vec::with_capacity(self.added.len());
        let mut temps = HashSet::new();
        for sealed in self.added {
            if temps.insert(sealed.temp().to_owned()) {
                added.push(sealed);
            } else {
                // The same octets under another name: the file is placed once and named twice.
                self.kept.push(sealed.entry().clone());
            }
        }
        Edition {
            kept: self.kept,
            added,
            replayed: self.replayed,
            issuers: self.issuers,
            sealed_at,
            valid_for_secs,
        }
    }
}

/// Why a list may not follow another of the same CA, if it may not.
fn goes_back(before: &[u8], after: &[u8]) -> Option<String> {
    let (before, after) = (Crl::parse(before).ok()?, Crl::parse(after).ok()?);
    if before.issuer != after.issuer {
        return None;
    }
    if after.this_update < before.this_update {
        return Some(
            "its thisUpdate lies before that of the list published under this name".into(),
        );
    }
    let numbers = after.extensions.number.zip(before.extensions.number);
    numbers
        .is_some_and(|(after, before)| unsigned(after) < unsigned(before))
        .then(|| "its number is below that of the list published under this name".into())
}

/// Some(true) for a CRL, Some(false) for a certificate, None for a pack: what shares a path prefix.
fn is_crl(role: &Role) -> Option<bool> {
    match role {
        Role::Crl(_) => Some(true),
        Role::Certificate(_) => Some(false),
        Role::Base(_) | Role::Delta(_) => None,
    }
}

pub(super) fn remove_temp(disk: &dyn Disk, temp: &Path) -> Result<(), DiskError> {
    disk.remove(temp).at("remove", temp)
}
