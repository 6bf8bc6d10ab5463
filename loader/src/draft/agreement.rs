//! A batch whose lists or packs contradict what they would stand beside is set aside before anything is published.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};

use wire::batch::{DocumentKind, Kind};
use wire::cert_id::IssuerId;
use wire::crl::Crl;

use super::Draft;
use crate::build::Built;
use crate::durable::{Disk, DiskError};
use crate::home::Home;
use crate::import::admit::Candidate;
use crate::import::batch::BatchRefusal;
use crate::import::certificate::Certificate;
use crate::manifest::{ObjectEntry, Role};
use crate::object::Sealed;
use crate::pack::Pack;
use crate::store::Store;
use crate::verify::answers::{Answers, Lost};
use crate::verify::contradiction::{Eve, Seen, Sight};
use crate::verify::view::Published;

impl Draft {
    /// Holds what came with a batch against what the draft holds. Its files are removed if it is refused.
    ///
    /// That takes long where lists are long. `newest` is asked once it is done: for the draft that a batch of files will go
    /// into after all, if changes were published meanwhile and nothing else was; these are held against the lists then, while
    /// further ones are published, until few came meanwhile, and only against these while none is.
    pub fn check_agreement(
        &self,
        disk: &dyn Disk,
        home: &Home,
        built: &Built,
        documents: &[Sealed],
        (standing, newest): (Standing, &Newest<'_>),
    ) -> Result<Result<(), BatchRefusal>, DiskError> {
        let Some(refusal) = self.contradiction(home, built, documents, standing, newest) else {
            return Ok(Ok(()));
        };
        let temps: Vec<PathBuf> = built
            .packs
            .iter()
            .chain(documents)
            .flat_map(|sealed| sealed.temps().map(Path::to_owned))
            .collect();
        self.remove_unused(disk, &temps)?;
        Ok(Err(refusal))
    }

    fn contradiction(
        &self,
        home: &Home,
        built: &Built,
        documents: &[Sealed],
        standing: Standing,
        newest: &Newest<'_>,
    ) -> Option<BatchRefusal> {
        let issuer = built.admitted.header.issuer_id;
        let brings_list = |sealed: &Sealed| matches!(sealed.entry().role, Role::Crl(_));
        let brings_base = |sealed: &Sealed| matches!(sealed.entry().role, Role::Base(_));
        if !documents.iter().any(brings_list) && !built.packs.iter().any(brings_base) {
            return None;
        }
        let store = home.store();
        let came = built.packs.iter().map(|s| (s.entry(), s.temp().to_owned()));
        let new_packs: Vec<PathBuf> = came.clone().map(|(_, path)| path).collect();
        let Standing { packs, lost } = standing.and(came);
        let mut all: Vec<&Pack> = packs.iter().collect();
        newest_first(&mut all);
        let Some(first) = all.first() else {
            // A list waits where nobody can tell what its issuer answers; also where the first pack came just now.
            let has_pack = |draft: Self| draft.entries_of(issuer).any(is_pack);
            let waits = !lost.is_empty() || newest(Ask::Last).is_some_and(has_pack);
            return waits.then(nothing_opens);
        };
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
            answers: Answers::of(&all).beside(&lost),
            bases: bases.collect(),
            replaced: replaced.iter().collect(),
            sight,
            deltas: all.iter().copied().filter(|pack| pack.is_delta()).collect(),
            lists,
        };
        let seen = match eve.read() {
            Ok(seen) => seen,
            Err(why) => return Some(BatchRefusal::Contradiction { why }),
        };
        if let Some(why) = eve.contradiction(&seen) {
            return Some(BatchRefusal::Contradiction { why });
        }
        let since = Since {
            newest,
            store: &store,
            issuer,
            lost: &lost,
            eve: &eve,
            seen: &seen,
        };
        since.contradiction(&all, MOST_ROUNDS)
    }

    /// Lists wait where nobody can tell what their issuer answers. Asked before a long batch is even read: while it waits it is
    /// asked at every look.
    pub fn check_opens(&self, store: &Store, issuer: IssuerId) -> Result<(), BatchRefusal> {
        let is_its = |entry: &ObjectEntry| entry.issuer.0 == issuer && is_pack(entry);
        let there = self.with_paths(store);
        let its = there.filter(|(entry, _)| is_its(entry));
        Standing::default().and(its).check_opens()
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

    /// The packs that what a batch brings will be held against. To be opened before anything long is done: what is joined
    /// with others meanwhile may be gone from the store by its end.
    pub fn standing(&self, store: &Store, candidate: &Candidate) -> Standing {
        let issuer = candidate.header.issuer_id;
        let mut documents = candidate.documents.iter();
        let brings_list = documents.any(|(document, _)| document.kind == DocumentKind::Crl);
        let brings_base = match candidate.header.kind {
            Kind::Full | Kind::Shard => true,
            Kind::Delta | Kind::Documents => false,
        };
        let is_asked = |entry: &ObjectEntry| match entry.role {
            // A list speaks of every shard. Of base packs that came, nobody asks others for serials.
            Role::Base(_) => brings_list,
            Role::Delta(_) => brings_list || brings_base,
            Role::Crl(_) | Role::Certificate(_) => false,
        };
        let there = self.with_paths(store);
        Standing::default().and(there.filter(|(e, _)| e.issuer.0 == issuer && is_asked(e)))
    }
}

/// What else is held against files while changes are published beside.
struct Since<'s> {
    newest: &'s Newest<'s>,
    store: &'s Store,
    issuer: IssuerId,
    /// What could not be opened when it began.
    lost: &'s [Lost],
    eve: &'s Eve<'s>,
    seen: &'s Seen<'s>,
}

impl Since<'_> {
    /// Files that agreed with `packs`, now that some of the deltas among them have been joined and others came. After so many
    /// rounds, or once there is little to hold, no change is taken until it is done.
    fn contradiction(&self, packs: &[&Pack], rounds: u32) -> Option<BatchRefusal> {
        let ask = if rounds == 0 { Ask::Last } else { Ask::Now };
        let draft = (self.newest)(ask)?;
        let is_delta = |entry: &ObjectEntry| matches!(entry.role, Role::Delta(_));
        let there: Vec<(&ObjectEntry, PathBuf)> = draft
            .with_paths(self.store)
            .filter(|(entry, _)| entry.issuer.0 == self.issuer && is_delta(entry))
            .collect();
        let is_there = |pack: &&&Pack| there.iter().any(|(_, path)| path == pack.path());
        let (stay, gone): (Vec<&Pack>, Vec<&Pack>) = packs
            .iter()
            .partition(|pack| !pack.is_delta() || is_there(pack));
        let is_new = |(entry, path): &&(&ObjectEntry, PathBuf)| {
            let was_lost = lost(&entry.role).is_some_and(|one| self.lost.contains(&one));
            !was_lost && stay.iter().all(|pack| pack.path() != path.as_path())
        };
        let came = there.iter().filter(is_new).cloned();
        let Standing {
            packs: came,
            lost: hidden,
        } = Standing::default().and(came);
        let came: Vec<&Pack> = came.iter().collect();
        let records = came.iter().chain(&gone).map(|pack| pack.record_count());
        let is_last = ask == Ask::Last;
        // What cannot be opened now may have been joined and gone since it was asked for.
        if !is_last && (!hidden.is_empty() || records.sum::<u64>() < MANY_RECORDS) {
            return self.contradiction(packs, 0);
        }
        if !hidden.is_empty() {
            // It opened when it was published, a moment ago. Next time it is lost like others, or opens.
            let why = "a change that was published meanwhile cannot be opened, so nobody can tell whether its lists agree with it";
            return Some(std::io::Error::other(why).into());
        }
        let mut newer: Vec<&Pack> = stay.iter().chain(&came).copied().collect();
        newest_first(&mut newer);
        let deltas = newer.iter().copied().filter(|pack| pack.is_delta());
        let answers = Answers::of(&newer).beside(self.lost);
        let later = self.eve.with(answers, deltas.collect());
        match (later.contradiction_since(self.seen, &came, &gone), ask) {
            (None, Ask::Last) => None,
            (None, Ask::Now) => self.contradiction(&newer, rounds - 1),
            // The next change may take back what this one says.
            (Some(_), Ask::Now) => self.contradiction(packs, 0),
            (Some(why), Ask::Last) => Some(BatchRefusal::Contradiction { why }),
        }
    }
}

/// Gives what files will go into; none if nothing is published beside.
pub type Newest<'n> = dyn Fn(Ask) -> Option<Draft> + 'n;

/// What whoever makes files ready asks of whoever publishes beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// What is out now.
    Now,
    /// What is out now, and no further change until the files are, or are not.
    Last,
}

/// So many times what came meanwhile is held against files while more comes.
const MOST_ROUNDS: u32 = 4;
/// From so many records on, some milliseconds' worth, changes do not wait while they are held against files.
const MANY_RECORDS: u64 = if cfg!(test) { 1 } else { 1_024 };

/// An issuer's packs, as far as they can be opened.
#[derive(Default)]
pub struct Standing {
    packs: Vec<Pack>,
    lost: Vec<Lost>,
}

impl Standing {
    /// Refuses, for the time being, what brings lists and no packs where packs are and none of them can be opened.
    pub fn check_opens(&self) -> Result<(), BatchRefusal> {
        match self.packs.is_empty() && !self.lost.is_empty() {
            true => Err(nothing_opens()),
            false => Ok(()),
        }
    }

    fn and<'e>(mut self, others: impl Iterator<Item = (&'e ObjectEntry, PathBuf)>) -> Self {
        for (entry, path) in others {
            match Pack::open(&path) {
                Ok(pack) => self.packs.push(pack),
                Err(_) => self.lost.extend(lost(&entry.role)),
            }
        }
        self
    }
}

fn nothing_opens() -> BatchRefusal {
    let why =
        "no pack of its issuer can be opened, so nobody can tell whether its lists agree with them";
    std::io::Error::other(why).into()
}

fn lost(role: &Role) -> Option<Lost> {
    let (note, shard) = match role {
        Role::Base(note) => (note, Some((note.shards, note.shard))),
        Role::Delta(note) => (note, None),
        Role::Crl(_) | Role::Certificate(_) => return None,
    };
    let age = (note.revision, note.batch);
    Some(Lost { age, shard })
}

fn is_pack(entry: &ObjectEntry) -> bool {
    matches!(entry.role, Role::Base(_) | Role::Delta(_))
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
