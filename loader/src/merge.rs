//! Deltas joined without signing anew: at most eight stay beside an issuer's base packs.
//!
//! A record carries its signatures and names its window, so joining packs is moving records and joining window tables.
//! Of one serial the newest pack's record stays. Only packs that are neighbours in age are joined: with one between them,
//! the joined pack would be as new as its newest part and hide what the one between says. What the older part says counts as
//! known at the newer one's revision from then on: so the newer one must tell all that turned up to there.
//!
//! A record goes when a base pack of its shard is at least as new as the delta it stood in; or when the base says the same
//! for longer and no older delta stands between. It never goes because its window has passed: behind it the base may
//! still say "good" of what was revoked since.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use wire::record::RecordRef;
use wire::serial::{Serial, shard};

use crate::digest::Digest;
use crate::durable::Disk;
use crate::manifest::PackNote;
use crate::object::Sealed;
use crate::pack::index::Needle;
use crate::pack::{Find, Pack, PackSpec, PackWriter, Responder, Scope, Shared, Window, WriteError};

/// The packs of one issuer that answer when the joined ones do not: its base, and deltas older than those.
#[derive(Default)]
pub struct Behind<'p> {
    by_shard: HashMap<u32, Base>,
    shards: u32,
    /// Deltas older than the ones being joined.
    pub older: &'p [Standing],
}

/// A delta where it stands: hashed once, and only when somebody goes by what it says, or does not say.
pub struct Standing {
    pack: Option<Pack>,
    name: Digest,
    is_sound: OnceCell<bool>,
}

impl Standing {
    /// The delta of this name at `path`, also if it cannot be opened.
    pub fn open(path: &Path, name: Digest) -> Self {
        Self {
            pack: Pack::open(path).ok(),
            name,
            is_sound: OnceCell::new(),
        }
    }

    /// The pack, unless it cannot be opened.
    pub fn pack(&self) -> Option<&Pack> {
        self.pack.as_ref()
    }

    /// The pack, if its octets are those that its name says.
    pub fn sound(&self) -> Option<&Pack> {
        let is_sound = |pack: &&Pack| {
            let hashed = || Digest::of(pack.octets()) == self.name;
            *self.is_sound.get_or_init(hashed)
        };
        self.pack().filter(is_sound)
    }

    /// Whether it says nothing of a serial, as far as can be relied on: elsewhere it is whole, and may say something.
    fn lacks(&self, needle: &Needle) -> bool {
        let lacks = |pack: &Pack| matches!(pack.find(needle), Find::NotHere);
        self.pack().is_some_and(lacks) && self.sound().is_some()
    }
}

/// A base pack, known by what the manifest says of it, and opened only when a record asks for it: an issuer may have
/// thousands, and a few revocations concern a few of them.
struct Base {
    path: PathBuf,
    age: (u64, u64),
    pack: OnceCell<Option<Pack>>,
}

impl Base {
    /// None if it cannot be opened: then nothing is known to stand there.
    fn pack(&self) -> Option<&Pack> {
        let open = || Pack::open(&self.path).ok();
        self.pack.get_or_init(open).as_ref()
    }
}

impl Behind<'_> {
    /// Of base packs that split an issuer in the same number of shards.
    pub fn new<'n>(packs: impl IntoIterator<Item = (&'n PackNote, PathBuf)>) -> Self {
        let mut behind = Self::default();
        for (note, path) in packs {
            behind.shards = note.shards;
            let base = Base {
                path,
                age: (note.revision, note.batch),
                pack: OnceCell::new(),
            };
            behind.by_shard.insert(note.shard, base);
        }
        behind
    }

    /// How many base packs were opened so far.
    pub fn opened(&self) -> usize {
        let bases = self.by_shard.values();
        bases.filter(|base| base.pack.get().is_some()).count()
    }

    /// How many records of a delta stand in a shard whose base pack is at least as new: nobody asks for them any more.
    pub fn outlives(&self, delta: &Pack) -> u64 {
        let key = delta.hash_key();
        let outlived = |record: &RecordRef<'_>| {
            let hash = key.hash(record.serial_content());
            let base = self.by_shard.get(&shard(hash, self.shards).0);
            base.is_some_and(|base| base.age >= delta.age())
        };
        delta.records().filter(outlived).count() as u64
    }

    /// Whether what is behind answers at least as well as this record.
    fn supersedes(&self, delta: &Pack, hash: u64, record: &RecordRef<'_>) -> bool {
        let Some(base) = self.by_shard.get(&shard(hash, self.shards).0) else {
            return false;
        };
        if base.age >= delta.age() {
            return true;
        }
        let Some(base) = base.pack() else {
            return false;
        };
        let Some(needle) = Needle::new(base.hash_key(), record.serial_content()) else {
            return false;
        };
        let Find::Here(found) = base.find(&needle) else {
            return false;
        };
        let lasts_as_long = match (base.window(found.window()), delta.window(record.window())) {
            (Some(base), Some(delta)) => base.next_update >= delta.next_update,
            _ => false,
        };
        lasts_as_long
            && same_status(&found, record)
            && same_variants(base, delta)
            && self.older.iter().all(|older| older.lacks(&needle))
    }
}

fn same_status(one: &RecordRef<'_>, other: &RecordRef<'_>) -> bool {
    matches!((one.status(), other.status()), (Ok(one), Ok(other)) if one == other)
}

fn same_variants(one: &Pack, other: &Pack) -> bool {
    one.shared().variants == other.shared().variants
}

/// What joining packs gave.
#[must_use]
pub enum Merged {
    /// One pack.
    Pack(Sealed),
    /// No record was left.
    Nothing,
    /// They cannot be joined: other variants, other source, or more windows than two octets name.
    Unlike,
}

/// Joins `packs`, neighbours in age, oldest first, into a new delta at `path`; `behind` is of the same issuer.
pub fn merge(
    disk: &dyn Disk,
    path: &Path,
    packs: &[&Pack],
    behind: &Behind<'_>,
) -> Result<Merged, WriteError> {
    let Some(newest) = packs.last() else {
        return Ok(Merged::Nothing);
    };
    if !packs.iter().all(|pack| joinable(pack, newest)) {
        return Ok(Merged::Unlike);
    }
    let survivors = survivors(packs, behind);
    if survivors.is_empty() {
        return Ok(Merged::Nothing);
    }
    let Some(tables) = JoinedTables::of(packs, &survivors) else {
        return Ok(Merged::Unlike);
    };
    let (revision, batch) = newest.age();
    let spec = PackSpec {
        issuer: newest.issuer(),
        hash_key: *newest.hash_key(),
        scope: Scope::Delta,
        revision,
        batch,
        created_at: newest.created_at(),
        as_of: newest.as_of(),
        crl_blake3: newest.crl_blake3().copied(),
        records_about: survivors.len() as u64,
        serial_octets: widest(packs),
        shared: tables.shared(newest),
    };
    let mut writer = PackWriter::create(disk, path, &spec)?;
    for survivor in &survivors {
        let window = tables.number[&(survivor.pack, survivor.record.window())];
        writer.push_record(survivor.record, window)?;
    }
    writer.finish().map(Merged::Pack)
}

fn joinable(one: &Pack, other: &Pack) -> bool {
    one.issuer() == other.issuer()
        && one.hash_key() == other.hash_key()
        && one.shared().slots == other.shared().slots
        && one.as_of() == other.as_of()
        && one.crl_blake3() == other.crl_blake3()
        && same_variants(one, other)
}

fn widest(packs: &[&Pack]) -> u8 {
    let widest = packs
        .iter()
        .map(|pack| pack.record_layout().serial_octets())
        .max();
    widest
        .and_then(|octets| u8::try_from(octets).ok())
        .expect("a serial has at most 32 octets")
}

/// A record that stays, and which of the packs it stood in.
struct Survivor<'p> {
    pack: usize,
    record: RecordRef<'p>,
}

/// One walk along all packs in order of (hash, serial); of one serial the newest record stays.
fn survivors<'p>(packs: &[&'p Pack], behind: &Behind<'_>) -> Vec<Survivor<'p>> {
    let mut heads: Vec<_> = packs
        .iter()
        .map(|pack| {
            let key = pack.hash_key();
            let ordered = move |record: RecordRef<'p>| {
                let serial =
                    Serial::from_padded(record.serial_padded()).expect("a pack's serials fit");
                ((key.hash(serial.content()), serial), record)
            };
            pack.records().map(ordered).peekable()
        })
        .collect();
    let mut survivors = Vec::new();
    while let Some(least) = heads
        .iter_mut()
        .filter_map(|head| head.peek().map(|(place, _)| *place))
        .min()
    {
        let mut newest = None;
        for (pack, head) in heads.iter_mut().enumerate() {
            if let Some((_, record)) = head.next_if(|(place, _)| *place == least) {
                newest = Some(Survivor { pack, record });
            }
        }
        let Some(newest) = newest else { break };
        if !behind.supersedes(packs[newest.pack], least.0, &newest.record) {
            survivors.push(newest);
        }
    }
    survivors
}

/// The windows that survivors name and the responders of these, each once.
struct JoinedTables {
    windows: Vec<Window>,
    groups: Vec<Vec<Responder>>,
    /// From (pack, its window) to the window here.
    number: HashMap<(usize, u16), u16>,
}

impl JoinedTables {
    /// None when there are more windows or groups than two octets name.
    fn of(packs: &[&Pack], survivors: &[Survivor<'_>]) -> Option<Self> {
        let mut tables = Self {
            windows: Vec::new(),
            groups: Vec::new(),
            number: HashMap::new(),
        };
        let mut known = HashMap::new();
        for survivor in survivors {
            let old = survivor.record.window();
            if tables.number.contains_key(&(survivor.pack, old)) {
                continue;
            }
            let pack = packs[survivor.pack];
            let mut window = pack.window(old)?;
            window.group = tables.group(pack, window.group)?;
            let key = (
                window.this_update,
                window.next_update,
                window.produced_at,
                window.group,
            );
            let number = match known.get(&key) {
                Some(&number) => number,
                None => {
                    let number = u16::try_from(tables.windows.len()).ok()?;
                    tables.windows.push(window);
                    known.insert(key, number);
                    number
                }
            };
            tables.number.insert((survivor.pack, old), number);
        }
        Some(tables)
    }

    fn group(&mut self, pack: &Pack, group: u16) -> Option<u16> {
        let slots = usize::from(pack.shared().slots);
        let first = usize::from(group) * slots;
        let responders = pack.shared().responders.get(first..first + slots)?;
        let place = self
            .groups
            .iter()
            .position(|known| known == responders)
            .unwrap_or_else(|| {
                self.groups.push(responders.to_vec());
                self.groups.len() - 1
            });
        u16::try_from(place).ok()
    }

    fn shared(&self, newest: &Pack) -> Shared {
        Shared {
            issuer_certificate: newest.shared().issuer_certificate.clone(),
            variants: newest.shared().variants.clone(),
            responders: self.groups.concat(),
            slots: newest.shared().slots,
            windows: self.windows.clone(),
        }
    }
}
