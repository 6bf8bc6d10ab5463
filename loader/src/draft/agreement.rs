//! A batch whose lists or packs contradict what they would stand beside is set aside before anything is published.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use wire::batch::Kind;
use wire::cert_id::IssuerId;
use wire::crl::Crl;

use super::Draft;
use crate::build::Built;
use crate::durable::{Disk, DiskError};
use crate::home::Home;
use crate::import::batch::BatchRefusal;
use crate::import::certificate::Certificate;
use crate::manifest::{ObjectEntry, Role};
use crate::object::Sealed;
use crate::pack::Pack;
use crate::store::Store;
use crate::verify::answers::Answers;
use crate::verify::contradiction::{Eve, Seen, Sight};
use crate::verify::view::Published;

impl Draft {
    /// Holds what came with a batch against what the draft holds. Its files are removed if it is refused.
    ///
    /// That takes long where lists are long. `newest` is asked once it is done: for the draft that a batch of files will go
    /// into after all, if changes were published meanwhile and nothing else was; these are held against the lists then.
    pub fn check_agreement(
        &self,
        disk: &dyn Disk,
        home: &Home,
        built: &Built,
        documents: &[Sealed],
        newest: &dyn Fn() -> Option<Draft>,
    ) -> Result<Result<(), BatchRefusal>, DiskError> {
        let Some(why) = self.contradiction(home, built, documents, newest) else {
            return Ok(Ok(()));
        };
        let temps: Vec<PathBuf> = built
            .packs
            .iter()
            .chain(documents)
            .flat_map(|sealed| sealed.temps().map(Path::to_owned))
            .collect();
        self.remove_unused(disk, &temps)?;
        Ok(Err(BatchRefusal::Contradiction { why }))
    }

    fn contradiction(
        &self,
        home: &Home,
        built: &Built,
        documents: &[Sealed],
        newest: &dyn Fn() -> Option<Draft>,
    ) -> Option<String> {
        let issuer = built.admitted.header.issuer_id;
        let brings_list = |sealed: &Sealed| matches!(sealed.entry().role, Role::Crl(_));
        let brings_base = |sealed: &Sealed| matches!(sealed.entry().role, Role::Base(_));
        if !documents.iter().any(brings_list) && !built.packs.iter().any(brings_base) {
            return None;
        }
        let store = home.store();
        let asked = match documents.iter().any(brings_list) {
            true => Asked::All,
            false => Asked::WhatCame,
        };
        let (new_packs, packs) = self.packs(&store, built, asked)?;
        let mut all: Vec<&Pack> = packs.iter().collect();
        newest_first(&mut all);
        let first = all.first()?;
        // Other authorities' lists were held against their batch, record by record.
        if first.crl_blake3().is_some() {
            return None;
        }
        let certificate = Certificate::from_der(&first.shared().issuer_certificate).ok()?;
        let came: Vec<String> = documents.iter().map(|d| d.entry().name.clone()).collect();
        let mut sight = Sight::Whole;
        let mut own = |entry: &ObjectEntry, path: &Path| match published(entry, path, &certificate)
        {
            Ok(list) => list,
            Err(Unreadable) => {
                sight = Sight::Partial;
                None
            }
        };
        let mut lists: Vec<Published> = documents
            .iter()
            .filter_map(|sealed| own(sealed.entry(), sealed.temp()))
            .collect();
        let mut before = Vec::new();
        for (entry, path) in self.with_paths(&store) {
            if entry.issuer.0 != issuer || !matches!(entry.role, Role::Crl(_)) {
                continue;
            }
            if !came.contains(&entry.name) {
                lists.extend(own(entry, &path));
                continue;
            }
            // What is replaced and cannot be read is missed by nobody.
            let replaced = published(entry, &path, &certificate).ok().flatten();
            before.extend(replaced.filter(|list| !is_delta(list)));
        }
        let replaced = self.replaced(&store, built);
        let bases = all
            .iter()
            .copied()
            .filter(|pack| !pack.is_delta() && new_packs.contains(&pack.path().to_owned()));
        let eve = Eve {
            home,
            key: *first.hash_key(),
            came,
            before,
            answers: Answers::of(&all),
            bases: bases.collect(),
            replaced: replaced.iter().collect(),
            sight,
            deltas: all.iter().copied().filter(|pack| pack.is_delta()).collect(),
            lists,
        };
        let seen = match eve.read() {
            Ok(seen) => seen,
            Err(why) => return Some(why),
        };
        let wrong = eve.contradiction(&seen);
        wrong.or_else(|| newest()?.contradiction_since(&store, issuer, &all, &eve, &seen))
    }

    /// The same of a batch of files that agreed with `packs`, now that some of their deltas have been joined and others came.
    fn contradiction_since(
        &self,
        store: &Store,
        issuer: IssuerId,
        packs: &[&Pack],
        eve: &Eve<'_>,
        seen: &Seen<'_>,
    ) -> Option<String> {
        let is_delta = |entry: &ObjectEntry| matches!(entry.role, Role::Delta(_));
        let there: Vec<PathBuf> = self
            .with_paths(store)
            .filter(|(entry, _)| entry.issuer.0 == issuer && is_delta(entry))
            .map(|(_, path)| path)
            .collect();
        let (stay, gone): (Vec<&Pack>, Vec<&Pack>) = packs
            .iter()
            .partition(|pack| !pack.is_delta() || there.iter().any(|path| path == pack.path()));
        let came = there
            .iter()
            .filter(|path| stay.iter().all(|pack| pack.path() != path.as_path()));
        // Of one that cannot be opened nobody knows what it said, as below.
        let came: Vec<Pack> = came
            .map(|path| Pack::open(path).ok())
            .collect::<Option<_>>()?;
        let came: Vec<&Pack> = came.iter().collect();
        let mut packs: Vec<&Pack> = stay.iter().chain(&came).copied().collect();
        newest_first(&mut packs);
        let deltas = packs.iter().copied().filter(|pack| pack.is_delta());
        let later = eve.with(Answers::of(&packs), deltas.collect());
        later.contradiction_since(seen, &came, &gone)
    }

    /// The base packs whose place those that came take. What cannot be opened any more has nothing to say.
    fn replaced(&self, store: &Store, built: &Built) -> Vec<Pack> {
        let header = &built.admitted.header;
        let is_replaced = |entry: &ObjectEntry| match &entry.role {
            Role::Base(note) => match header.kind {
                Kind::Full => true,
                Kind::Shard => note.shard == header.shard,
                Kind::Delta | Kind::Documents => false,
            },
            Role::Delta(_) | Role::Crl(_) | Role::Certificate(_) => false,
        };
        let of_issuer = |(entry, _): &(&ObjectEntry, PathBuf)| entry.issuer.0 == header.issuer_id;
        let replaced = self.with_paths(store).filter(of_issuer);
        replaced
            .filter(|(entry, _)| is_replaced(entry))
            .filter_map(|(_, path)| Pack::open(&path).ok())
            .collect()
    }

    /// The paths of the packs that came, and all packs that are asked. None if one cannot be opened: what it said
    /// nobody knows, and nothing is held against it.
    fn packs(
        &self,
        store: &Store,
        built: &Built,
        asked: Asked,
    ) -> Option<(Vec<PathBuf>, Vec<Pack>)> {
        let issuer = built.admitted.header.issuer_id;
        let new: Vec<PathBuf> = built.packs.iter().map(|s| s.temp().to_owned()).collect();
        let is_pack = |entry: &ObjectEntry| match entry.role {
            Role::Base(_) => asked == Asked::All,
            Role::Delta(_) => true,
            Role::Crl(_) | Role::Certificate(_) => false,
        };
        let there = self
            .with_paths(store)
            .filter(|(entry, _)| entry.issuer.0 == issuer && is_pack(entry))
            .map(|(_, path)| path);
        let paths = new.iter().cloned().chain(there);
        let packs = paths
            .map(|path| Pack::open(&path).ok())
            .collect::<Option<_>>()?;
        Some((new, packs))
    }
}

/// Which packs answer for what is held against lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Any: a list speaks of every shard.
    All,
    /// Base packs that came, and deltas: nobody asks for serials of other shards.
    WhatCame,
}

/// In the order in which they are asked: a delta before a base as new.
fn newest_first(packs: &mut [&Pack]) {
    packs.sort_by_key(|pack| Reverse((pack.age(), pack.is_delta())));
}

/// Nobody can tell whose list it is.
struct Unreadable;

/// A list, if this issuer signed it.
fn published(
    entry: &ObjectEntry,
    path: &Path,
    certificate: &Certificate,
) -> Result<Option<Published>, Unreadable> {
    let Role::Crl(note) = &entry.role else {
        return Ok(None);
    };
    let octets = std::fs::read(path).map_err(|_| Unreadable)?;
    let crl = Crl::parse(&octets).map_err(|_| Unreadable)?;
    let is_own = certificate.subject_is(crl.issuer).is_same();
    Ok(is_own.then(|| Published {
        name: entry.name.clone(),
        mark: note.list.as_deref().cloned(),
        octets: octets.clone(),
    }))
}

fn is_delta(list: &Published) -> bool {
    Crl::parse(&list.octets).is_ok_and(|crl| crl.is_delta())
}
