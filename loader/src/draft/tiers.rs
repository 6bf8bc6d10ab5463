//! Deltas beside a base: few, and none that only repeats the base.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wire::cert_id::IssuerId;

use super::{Draft, Rebased, remove_temp};
use crate::digest::Digest;
use crate::durable::{Disk, DiskError};
use crate::manifest::{PackNote, Role};
use crate::merge::{Behind, Merged, Standing, merge};
use crate::object::Sealed;
use crate::pack::{Pack, WriteError};
use crate::store::Store;

/// Why deltas could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum TierError {
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
    ///
    /// One that is damaged, or cannot be opened, stays as it is: edges have it sound.
    pub fn join_deltas(
        &mut self,
        disk: &dyn Disk,
        store: &Store,
        damaged: &mut DamagedDeltas,
    ) -> Result<(), TierError> {
        for (issuer, rebased) in self.rebased.clone() {
            self.sweep(disk, store, issuer, rebased, damaged)?;
        }
        for issuer in self.touched.clone() {
            while self.join_two(disk, store, issuer, damaged)? {}
        }
        // Whoever copied one back wants to see that it helped; its issuer may be quiet for hours.
        let files = self.with_paths(store);
        let told = files.filter(|(entry, _)| damaged.told.contains(&entry.blake3));
        let still = told.filter(|(entry, path)| !is_sound(path, entry.blake3));
        damaged.told = still.map(|(entry, _)| entry.blake3).collect();
        Ok(())
    }

    /// A delta joined of older ones may outlive a new base although nearly all it says is in there, and its windows pass
    /// sooner: what the base says for longer goes.
    ///
    /// After one new shard of many only a delta of which a quarter has been outlived is written anew: each of hundreds of
    /// shards would else write all deltas again, for the hundredth part of each.
    fn sweep(
        &mut self,
        disk: &dyn Disk,
        store: &Store,
        issuer: IssuerId,
        rebased: Rebased,
        damaged: &mut DamagedDeltas,
    ) -> Result<(), TierError> {
        let deltas = self.deltas(store, issuer);
        if deltas.is_empty() {
            return Ok(());
        }
        let packs = open_all(&deltas);
        let mut behind = Behind::new(self.bases(store, issuer));
        for (place, delta) in deltas.iter().enumerate() {
            let temp = store
                .temp()
                .join(format!("swept-{issuer}-{}", delta.note.batch));
            // Unhashed: it is left alone by this at the most, and hundreds of shards may be signed in a row.
            if rebased == Rebased::InPart
                && let Some(pack) = packs[place].pack()
            {
                let outlived = behind.outlives(pack);
                if outlived == 0 || outlived * 4 < delta.note.records {
                    continue;
                }
            }
            let Some(pack) = damaged.tell_unless_sound(delta, &packs[place]) else {
                continue;
            };
            behind.older = &packs[..place];
            match merge(disk, &temp, &[pack], &behind)? {
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
        damaged: &mut DamagedDeltas,
    ) -> Result<bool, TierError> {
        let deltas = self.deltas(store, issuer);
        if deltas.len() <= MOST_DELTAS {
            return Ok(false);
        }
        let sizes: Vec<u64> = deltas.iter().map(|delta| delta.note.records).collect();
        let pairs = smallest_first(&sizes);
        let packs = open_all(&deltas);
        let mut behind = Behind::new(self.bases(store, issuer));
        for place in pairs {
            // Named by both: what came of an earlier join in this pass bears the number of its newer part, and must not
            // be written over and then removed as one of the two.
            let (one, other) = (&deltas[place].note, &deltas[place + 1].note);
            let temp = store
                .temp()
                .join(format!("joined-{issuer}-{}-{}", one.batch, other.batch));
            behind.older = &packs[..place];
            let mut sound = |place: usize| damaged.tell_unless_sound(&deltas[place], &packs[place]);
            let (Some(one), Some(other)) = (sound(place), sound(place + 1)) else {
                continue;
            };
            let joined = match merge(disk, &temp, &[one, other], &behind)? {
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

    fn bases<'s>(
        &'s self,
        store: &'s Store,
        issuer: IssuerId,
    ) -> impl Iterator<Item = (&'s PackNote, PathBuf)> {
        self.with_paths(store)
            .filter(move |(entry, _)| entry.issuer.0 == issuer)
            .filter_map(|(entry, path)| match &entry.role {
                Role::Base(note) => Some((note, path)),
                _ => None,
            })
    }
}

/// Neighbours in the order in which joining them costs least, each pair named by its older one.
fn smallest_first(sizes: &[u64]) -> Vec<usize> {
    let mut pairs: Vec<usize> = (0..sizes.len().saturating_sub(1)).collect();
    pairs.sort_by_key(|&place| sizes[place] + sizes[place + 1]);
    pairs
}

/// A delta of the draft.
struct Delta {
    note: PackNote,
    blake3: Digest,
    path: PathBuf,
}

/// Deltas of the current generation that are not what their names say any more: each is said once. One must not be written
/// anew: its damage would get a name of its own, and a seal.
#[derive(Debug, Default)]
pub struct DamagedDeltas {
    told: BTreeSet<Digest>,
}

impl DamagedDeltas {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = Digest> {
        self.told.iter().copied()
    }

    fn tell_unless_sound<'p>(&mut self, delta: &Delta, standing: &'p Standing) -> Option<&'p Pack> {
        let sound = standing.sound();
        if sound.is_some() {
            self.told.remove(&delta.blake3);
        } else if self.told.insert(delta.blake3) {
            tracing::error!(
                path = %delta.path.display(),
                "a delta of the store is damaged, and is not joined with others: copy the file back from the bucket or from an edge's objects/, under another name first (then mv), or have all of its issuer signed anew (hufu signer sign --all)"
            );
        }
        sound
    }
}

fn is_sound(path: &Path, name: Digest) -> bool {
    Standing::open(path, name).sound().is_some()
}

fn open_all(deltas: &[Delta]) -> Vec<Standing> {
    let open = |delta: &Delta| Standing::open(&delta.path, delta.blake3);
    deltas.iter().map(open).collect()
}

fn records_of(pack: &Sealed) -> u64 {
    match &pack.entry().role {
        Role::Base(note) | Role::Delta(note) => note.records,
        Role::Crl(_) | Role::Certificate(_) => 0,
    }
}

/// Deltas an issuer keeps beside its base packs: each costs a lookup of an unchanged serial one filter word.
pub const MOST_DELTAS: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use wire::algorithm::SignatureAlgorithm;
    use wire::status::CertStatus;

    use super::*;
    use crate::durable::FsDisk;
    use crate::pack::index::Needle;
    use crate::pack::{Find, Scope};
    use crate::specimen::{self, KEY, serial, shared, spec};

    /// Windows that two octets name.
    const WINDOWS: u64 = 1 << 16;

    #[test]
    fn a_publish_every_second_overflows_the_windows() {
        // One revocation a second, each with a window of its own, and no base shard signed again: for three days.
        let mut tiers: Vec<u64> = Vec::new();
        let mut most = 0;
        for _ in 0..3 * 86_400 {
            tiers.push(1);
            while tiers.len() > MOST_DELTAS {
                let joined = smallest_first(&tiers)
                    .into_iter()
                    .find(|&pair| tiers[pair] + tiers[pair + 1] <= WINDOWS);
                let Some(pair) = joined else { break };
                tiers[pair] += tiers.remove(pair + 1);
            }
            most = most.max(tiers.len());
        }
        assert_eq!(tiers.iter().sum::<u64>(), 3 * 86_400);
        assert_eq!(most, MOST_DELTAS, "{tiers:?}");
    }

    /// A delta of `count` records from serial `from` on, each in a window of its own.
    fn delta(store: &Store, revision: u64, from: u64, count: u64) -> Sealed {
        let algorithms = [SignatureAlgorithm::EcdsaP256Sha256];
        let mut shared = shared(1, &algorithms, count as usize);
        // No two deltas share a window.
        for window in &mut shared.windows {
            window.this_update += from;
            window.produced_at += from;
            window.next_update += from;
        }
        let spec = spec(1, Scope::Delta, revision, shared);
        let rows: HashMap<_, _> = (0..count)
            .map(|n| (serial(from + n), (CertStatus::Good, n as u16)))
            .collect();
        let path = store.temp().join(format!("delta-{revision}"));
        specimen::write(&path, &spec, &rows).unwrap()
    }

    #[test]
    fn two_tiers_too_large_for_one_another_keep_the_others_apart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        crate::publish::prepare_folders(&FsDisk, &store).unwrap();
        let mut draft = Draft::of(None);
        draft.touched.push(IssuerId([1; 16]));
        let sizes = [40_000, 40_000, 1, 1, 1, 1, 1, 1, 1, 1];
        let mut from = 1;
        for (revision, size) in (1..).zip(sizes) {
            draft.added.push(delta(&store, revision, from, size));
            from += size;
        }
        draft
            .join_deltas(&FsDisk, &store, &mut DamagedDeltas::default())
            .unwrap();
        let deltas = draft.deltas(&store, IssuerId([1; 16]));
        assert_eq!(deltas.len(), MOST_DELTAS);
        let records: u64 = deltas.iter().map(|delta| delta.note.records).sum();
        assert_eq!(records, 80_008);
        let packs = open_all(&deltas);
        for number in (1..from).step_by(997).chain(80_001..from) {
            let needle = Needle::new(&KEY, serial(number).content()).unwrap();
            let mut sound = packs.iter().filter_map(Standing::sound);
            let found = sound.find_map(|pack| match pack.find(&needle) {
                Find::Here(record) => pack.window(record.window()),
                _ => None,
            });
            let begins = found.unwrap().this_update;
            assert!(begins > specimen::NOW, "{number}");
        }
    }

    /// One change each, of revisions 1 to 20.
    fn twenty_changes(store: &Store) -> (Draft, IssuerId) {
        crate::publish::prepare_folders(&FsDisk, store).unwrap();
        let mut draft = Draft::of(None);
        let issuer = IssuerId([1; 16]);
        draft.touched.push(issuer);
        for revision in 1..=20 {
            draft.added.push(delta(store, revision, revision, 1));
        }
        (draft, issuer)
    }

    #[test]
    fn a_damaged_delta_is_written_anew_and_sealed_as_a_sound_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let (mut draft, issuer) = twenty_changes(&store);
        // Too small to miss: the pair that is cheapest to join.
        let damaged = draft.deltas(&store, issuer).swap_remove(0);
        let mut octets = std::fs::read(&damaged.path).unwrap();
        let pack = Pack::open(&damaged.path).unwrap();
        let record = pack.records().next().unwrap().octets();
        let mut places = octets.windows(record.len());
        let place = places.position(|found| found == record).unwrap();
        // The last octet of its signature: order, serial and status are as they were.
        octets[place + record.len() - 1] ^= 1;
        std::fs::remove_file(&damaged.path).unwrap();
        std::fs::write(&damaged.path, octets).unwrap();
        let mut known = DamagedDeltas::default();
        draft.join_deltas(&FsDisk, &store, &mut known).unwrap();
        assert_eq!(known.names().count(), 1);
        let deltas = draft.deltas(&store, issuer);
        assert_eq!(deltas.len(), MOST_DELTAS);
        assert_eq!(deltas[0].blake3, damaged.blake3);
        let records: u64 = deltas.iter().map(|delta| delta.note.records).sum();
        assert_eq!(records, 20);
        // After one new shard nobody hashes what is left alone.
        let mut unknown = DamagedDeltas::default();
        draft.touched.clear();
        draft.rebased.push((issuer, Rebased::InPart));
        draft.join_deltas(&FsDisk, &store, &mut unknown).unwrap();
        assert_eq!(unknown.names().count(), 0);
        draft.rebased.clear();
        // After a new base too.
        draft.rebased.push((issuer, Rebased::Whole));
        draft.join_deltas(&FsDisk, &store, &mut known).unwrap();
        assert_eq!(known.names().count(), 1);
        assert_eq!(draft.deltas(&store, issuer)[0].blake3, damaged.blake3);
    }

    #[test]
    fn a_delta_that_cannot_be_opened_stops_every_revocation() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let (mut draft, issuer) = twenty_changes(&store);
        let torn = draft.deltas(&store, issuer).swap_remove(4);
        let sound = std::fs::read(&torn.path).unwrap();
        std::fs::write(&torn.path, b"torn").unwrap();
        let mut known = DamagedDeltas::default();
        draft.rebased.push((issuer, Rebased::Whole));
        draft.join_deltas(&FsDisk, &store, &mut known).unwrap();
        let deltas = draft.deltas(&store, issuer);
        assert_eq!(deltas.len(), MOST_DELTAS);
        assert!(deltas.iter().any(|delta| delta.blake3 == torn.blake3));
        let records: u64 = deltas.iter().map(|delta| delta.note.records).sum();
        assert_eq!((records, known.names().count()), (20, 1));
        // Copied back, and of its issuer nothing is new.
        draft.touched.clear();
        draft.rebased.clear();
        draft.join_deltas(&FsDisk, &store, &mut known).unwrap();
        assert_eq!(known.names().count(), 1);
        std::fs::write(&torn.path, sound).unwrap();
        draft.join_deltas(&FsDisk, &store, &mut known).unwrap();
        assert_eq!(known.names().count(), 0);
    }

    #[test]
    fn what_a_damaged_delta_does_not_say_is_taken_for_unsaid() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        crate::publish::prepare_folders(&FsDisk, &store).unwrap();
        let mut draft = Draft::of(None);
        let issuer = IssuerId([1; 16]);
        let algorithms = [SignatureAlgorithm::EcdsaP256Sha256];
        let scope = Scope::Base {
            shards: 1,
            shard: 0,
        };
        // The base says of 3 what the newest delta says, and for as long; the oldest delta speaks of 9.
        let mut lasting = shared(1, &algorithms, 4);
        for window in &mut lasting.windows {
            window.next_update += 1_000;
        }
        let rows: HashMap<_, _> = HashMap::from([(serial(3), (CertStatus::Good, 0))]);
        let base = spec(1, scope, 1, lasting);
        let path = store.temp().join("base");
        draft
            .added
            .push(specimen::write(&path, &base, &rows).unwrap());
        draft.added.push(delta(&store, 2, 9, 1));
        draft.added.push(delta(&store, 3, 3, 1));
        let oldest = draft.deltas(&store, issuer).swap_remove(0);
        let mut octets = std::fs::read(&oldest.path).unwrap();
        *octets.last_mut().unwrap() ^= 1;
        let left = |octets: &[u8]| {
            std::fs::write(&oldest.path, octets).unwrap();
            let deltas = draft.deltas(&store, issuer);
            let packs = open_all(&deltas);
            assert!(packs[0].pack().is_some());
            let mut behind = Behind::new(draft.bases(&store, issuer));
            behind.older = &packs[..1];
            let path = store.temp().join("joined");
            let newest = packs[1].sound().unwrap();
            match merge(&FsDisk, &path, &[newest], &behind).unwrap() {
                Merged::Nothing => 0,
                Merged::Pack(sealed) => records_of(&sealed),
                Merged::Unlike => panic!("alike"),
            }
        };
        let damaged = octets.clone();
        *octets.last_mut().unwrap() ^= 1;
        assert_eq!(left(&octets), 0);
        assert_eq!(left(&damaged), 1);
    }

    #[test]
    fn joining_two_revocations_opens_every_base_pack() {
        const SHARDS: u32 = 64;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        crate::publish::prepare_folders(&FsDisk, &store).unwrap();
        let mut draft = Draft::of(None);
        for shard in 0..SHARDS {
            let algorithms = [SignatureAlgorithm::EcdsaP256Sha256];
            let scope = Scope::Base {
                shards: SHARDS,
                shard,
            };
            let spec = spec(1, scope, 1, shared(1, &algorithms, 1));
            let path = store.temp().join(format!("base-{shard}"));
            let rows = HashMap::new();
            draft
                .added
                .push(specimen::write(&path, &spec, &rows).unwrap());
        }
        draft.added.push(delta(&store, 2, 1, 1));
        draft.added.push(delta(&store, 3, 2, 1));
        let deltas = draft.deltas(&store, IssuerId([1; 16]));
        let packs = open_all(&deltas);
        let behind = Behind::new(draft.bases(&store, IssuerId([1; 16])));
        let path = store.temp().join("joined");
        let both = [0, 1].map(|place| packs[place].sound().unwrap());
        let Merged::Pack(joined) = merge(&FsDisk, &path, &both, &behind).unwrap() else {
            panic!("no base has them")
        };
        assert_eq!(records_of(&joined), 2);
        assert!((1..=2).contains(&behind.opened()), "{}", behind.opened());
    }
}
