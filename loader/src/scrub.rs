//! The scrub: published files are read again, slowly, and held against their names.
//!
//! A file was hashed when it was fetched; bits flip later. The scrubber reads a bounded number of octets at each step, so
//! that its owner decides how much of the disk it takes: one mebibyte a second goes through 86 GB a day. Deltas come first,
//! and again a minute after they were done, whatever else is being read: a responder that starts refuses a damaged one, and
//! waits for it to be fetched anew.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::digest::Digest;
use crate::error::StoreError;
use crate::manifest::{ObjectEntry, Role};
use crate::seal::PublicKey;
use crate::store::Store;

/// Reads the files of the newest generation round after round.
pub struct Scrubber {
    store: Store,
    pins: Vec<PublicKey>,
    deltas: Lane,
    others: Lane,
    /// Whether nothing but deltas is read.
    deltas_only: bool,
    /// When deltas are read again though the round goes on; none while they are being read.
    deltas_again_at: Option<Instant>,
    /// The last file of the round was damaged: said first, the end of the round at the next step.
    round_ends: bool,
}

/// Files that are read one after the other.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<ObjectEntry>,
    reading: Option<Box<Reading>>,
}

impl Lane {
    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.reading.is_none()
    }
}

struct Reading {
    entry: ObjectEntry,
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    octets: u64,
}

/// What a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, and damage is rare"
)]
pub enum Scrubbed {
    /// Nothing wrong so far.
    Sound,
    /// The last file of a round was sound; the next step begins anew.
    RoundDone,
    /// This file is not what its name says, or cannot be read. `Follower::fetch` replaces it; what is mapped stays as it
    /// is until a responder looks at its files' names.
    Damaged {
        /// Which object.
        entry: ObjectEntry,
        /// Where.
        path: PathBuf,
        /// In what way.
        damage: Damage,
    },
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Its octets changed.
    #[error("it has BLAKE3 {found}")]
    Differs {
        /// The hash it has.
        found: Digest,
    },
    /// The disk does not give it back.
    #[error("it cannot be read: {why}")]
    Unreadable {
        /// What the system said.
        why: String,
    },
    /// The newest manifest names it, and it is not there.
    #[error("it is missing")]
    Missing,
}

impl Scrubber {
    /// Over a store or an edge folder.
    pub fn new(store: Store, pins: Vec<PublicKey>) -> Scrubber {
        Scrubber {
            store,
            pins,
            deltas: Lane::default(),
            others: Lane::default(),
            deltas_only: false,
            deltas_again_at: None,
            round_ends: false,
        }
    }

    /// The same, of deltas alone: a round is one reading of them.
    #[must_use]
    pub fn of_deltas(mut self) -> Scrubber {
        self.deltas_only = true;
        self
    }

    /// Reads at most about `budget` octets more. Files that were collected meanwhile are passed over.
    pub fn step(&mut self, now: Instant, budget: u64) -> Result<Scrubbed, StoreError> {
        if std::mem::take(&mut self.round_ends) {
            return Ok(Scrubbed::RoundDone);
        }
        self.begin(now)?;
        let found = self.read_on(budget)?;
        if self.deltas.is_done() {
            self.deltas_again_at.get_or_insert(now + DELTAS_EVERY);
        }
        self.round_ends = matches!(found, Scrubbed::Damaged { .. }) && self.is_done();
        Ok(found)
    }

    fn is_done(&self) -> bool {
        self.deltas.is_done() && self.others.is_done()
    }

    /// Begins a round if the one before is over; goes through the deltas of the newest generation in between if they are
    /// due.
    fn begin(&mut self, now: Instant) -> Result<(), StoreError> {
        let round_begins = self.is_done();
        let deltas_are_due = self.deltas_again_at.is_some_and(|at| now >= at);
        if !round_begins && !deltas_are_due {
            return Ok(());
        }
        let Some(current) = self.store.read_current(&self.pins)? else {
            return Ok(());
        };
        let files = current.manifest().files().map(Cow::into_owned);
        let (deltas, others) = files.partition(|entry| matches!(entry.role, Role::Delta(_)));
        self.deltas.waiting = deltas;
        self.deltas_again_at = None;
        if round_begins && !self.deltas_only {
            self.others.waiting = others;
        }
        Ok(())
    }

    fn read_on(&mut self, budget: u64) -> Result<Scrubbed, StoreError> {
        let mut left = budget;
        let mut buffer = vec![0; READ_OCTETS];
        while left > 0 {
            let mut reading = match self.next_reading()? {
                Next::Open(reading) => reading,
                Next::Damaged(damaged) => return Ok(damaged),
                Next::Nothing => return Ok(Scrubbed::RoundDone),
            };
            let read = match reading.file.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    self.put_back(reading);
                    continue;
                }
                Err(error) => {
                    let Reading { entry, path, .. } = *reading;
                    return Ok(unreadable(entry, path, &error));
                }
            };
            reading.hasher.update(&buffer[..read]);
            reading.octets += read as u64;
            left = left.saturating_sub(read as u64);
            if read > 0 && reading.octets <= reading.entry.octets {
                self.put_back(reading);
                continue;
            }
            let found = Digest::from(reading.hasher.finalize());
            if found != reading.entry.blake3 {
                let Reading { entry, path, .. } = *reading;
                let damage = Damage::Differs { found };
                return Ok(Scrubbed::Damaged {
                    entry,
                    path,
                    damage,
                });
            }
            if self.is_done() {
                return Ok(Scrubbed::RoundDone);
            }
        }
        Ok(Scrubbed::Sound)
    }

    fn put_back(&mut self, reading: Box<Reading>) {
        let is_delta = matches!(reading.entry.role, Role::Delta(_));
        let lane = if is_delta {
            &mut self.deltas
        } else {
            &mut self.others
        };
        lane.reading = Some(reading);
    }

    /// The file in hand, or the next that is still there; deltas before all others.
    fn next_reading(&mut self) -> Result<Next, StoreError> {
        loop {
            let lane = if self.deltas.is_done() {
                &mut self.others
            } else {
                &mut self.deltas
            };
            if let Some(reading) = lane.reading.take() {
                return Ok(Next::Open(reading));
            }
            let Some(entry) = lane.waiting.pop_front() else {
                return Ok(Next::Nothing);
            };
            let path = self.store.object(entry.blake3);
            match File::open(&path) {
                Ok(file) => {
                    return Ok(Next::Open(Box::new(Reading {
                        entry,
                        path,
                        file,
                        hasher: blake3::Hasher::new(),
                        octets: 0,
                    })));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if self.is_named(&entry)? {
                        let damage = Damage::Missing;
                        return Ok(Next::Damaged(Scrubbed::Damaged {
                            entry,
                            path,
                            damage,
                        }));
                    }
                }
                Err(error) => return Ok(Next::Damaged(unreadable(entry, path, &error))),
            }
        }
    }

    /// Whether the newest manifest still names it; one that does not may have been collected.
    fn is_named(&self, entry: &ObjectEntry) -> Result<bool, StoreError> {
        let current = self.store.read_current(&self.pins)?;
        Ok(current.is_some_and(|current| {
            let mut names = current.manifest().file_names();
            names.any(|name| name == entry.blake3)
        }))
    }
}

/// What is to be read next.
enum Next {
    Open(Box<Reading>),
    Damaged(Scrubbed),
    Nothing,
}

fn unreadable(entry: ObjectEntry, path: PathBuf, error: &io::Error) -> Scrubbed {
    let why = error.to_string();
    Scrubbed::Damaged {
        entry,
        path,
        damage: Damage::Unreadable { why },
    }
}

/// After they were read, deltas are left alone for so long.
pub const DELTAS_EVERY: Duration = Duration::from_secs(60);
/// Read at a time.
const READ_OCTETS: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256;
    use wire::status::CertStatus;

    use super::*;
    use crate::durable::FsDisk;
    use crate::follow::Follower;
    use crate::pack::Scope;
    use crate::publish::{Edition, Publisher};
    use crate::seal::SealKey;
    use crate::specimen::{NOW, Rows, serial, shared, spec, write};

    fn published(root: &Path) -> SealKey {
        let (key, pkcs8) = SealKey::generate().unwrap();
        let mut publisher = Publisher::open(&FsDisk, Store::at(root), key, &[]).unwrap();
        let mut added = Vec::new();
        for issuer in 1..=3 {
            let rows: Rows = (0..1000)
                .map(|n| (serial(n), (CertStatus::Good, 0)))
                .collect();
            let scope = Scope::Base {
                shards: 1,
                shard: 0,
            };
            let spec = spec(issuer, scope, 1, shared(issuer, &[EcdsaP256Sha256], 1));
            let temp = publisher.store().temp().join(format!("p{issuer}"));
            added.push(write(&temp, &spec, &rows).unwrap());
        }
        let edition = Edition {
            added,
            ..publisher.same_again(NOW)
        };
        publisher.publish(&edition).unwrap();
        SealKey::from_pkcs8(&pkcs8, root).unwrap()
    }

    #[test]
    fn a_bit_that_flips_after_publishing_is_found_within_one_round_and_repaired() {
        let folder = tempfile::tempdir().unwrap();
        let (root, edge) = (folder.path().join("store"), folder.path().join("edge"));
        let pins = vec![published(&root).public()];
        let mut follower =
            Follower::open(&FsDisk, Store::at(&root), Store::at(&edge), pins.clone()).unwrap();
        follower.poll().unwrap();
        let mut scrubber = Scrubber::new(Store::at(&edge), pins);
        let round = |scrubber: &mut Scrubber| {
            let mut steps = 0;
            loop {
                steps += 1;
                match scrubber.step(Instant::now(), 100_000).unwrap() {
                    Scrubbed::Sound => {}
                    other => return (steps, other),
                }
            }
        };
        assert_eq!(round(&mut scrubber).1, Scrubbed::RoundDone);
        let digest = Store::at(&edge).object_digests().unwrap()[1];
        let path = Store::at(&edge).object(digest);
        let mut octets = std::fs::read(&path).unwrap();
        let middle = octets.len() / 2;
        octets[middle] ^= 4;
        std::fs::write(&path, octets).unwrap();
        let (steps, outcome) = round(&mut scrubber);
        let Scrubbed::Damaged { entry, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(steps <= 3, "{steps}");
        assert_eq!(entry.blake3, digest);
        follower.fetch(&entry).unwrap();
        while round(&mut scrubber).1 != Scrubbed::RoundDone {}
        assert_eq!(round(&mut scrubber).1, Scrubbed::RoundDone);
    }

    /// The same with a delta, and the file of that.
    fn published_with_a_delta(root: &Path) -> (Vec<PublicKey>, PathBuf) {
        let key = published(root);
        let pins = vec![key.public()];
        let store = Store::at(root);
        let mut publisher = Publisher::open(&FsDisk, store.clone(), key, &[]).unwrap();
        let spec = spec(1, Scope::Delta, 2, shared(1, &[EcdsaP256Sha256], 1));
        let rows = Rows::from([(serial(1), (CertStatus::Good, 0))]);
        let sealed = write(&store.temp().join("delta"), &spec, &rows).unwrap();
        let delta = store.object(sealed.entry().blake3);
        let edition = Edition {
            added: vec![sealed],
            ..publisher.same_again(NOW)
        };
        publisher.publish(&edition).unwrap();
        (pins, delta)
    }

    fn rot(path: &Path) {
        let mut octets = std::fs::read(path).unwrap();
        *octets.last_mut().unwrap() ^= 1;
        std::fs::write(path, octets).unwrap();
    }

    fn is_damage_of(found: &Scrubbed, file: &Path) -> bool {
        matches!(found, Scrubbed::Damaged { path, .. } if path == file)
    }

    #[test]
    fn a_damaged_delta_waits_for_all_base_packs_to_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let (pins, delta) = published_with_a_delta(folder.path());
        rot(&delta);
        let now = Instant::now();
        let mut scrubber = Scrubber::new(Store::at(folder.path()), pins);
        // One reading, and the one that finds its end.
        let found = [(); 2].map(|()| scrubber.step(now, 1).unwrap());
        assert!(is_damage_of(&found[1], &delta), "{found:?}");
    }

    #[test]
    fn a_delta_that_rots_behind_the_scrubber_waits_for_the_next_round() {
        let folder = tempfile::tempdir().unwrap();
        let (pins, delta) = published_with_a_delta(folder.path());
        let now = Instant::now();
        let store = Store::at(folder.path());
        let mut scrubber = Scrubber::new(store.clone(), pins.clone());
        // In the first of three base packs.
        for _ in 0..2 {
            assert_eq!(scrubber.step(now, 1).unwrap(), Scrubbed::Sound);
        }
        rot(&delta);
        assert_eq!(scrubber.step(now, 1).unwrap(), Scrubbed::Sound);
        let later = now + DELTAS_EVERY;
        let found = [(); 2].map(|()| scrubber.step(later, 1).unwrap());
        assert!(is_damage_of(&found[1], &delta), "{found:?}");
        // The round goes on where it was, and ends: deltas are not read for ever.
        let mut steps = 0;
        while scrubber.step(later, 1).unwrap() == Scrubbed::Sound {
            steps += 1;
        }
        assert!(steps <= 4, "{steps}");
        // Deltas alone, each minute.
        let mut scrubber = Scrubber::new(store, pins).of_deltas();
        let found = [(); 3].map(|()| scrubber.step(now, u64::MAX).unwrap());
        assert!(is_damage_of(&found[0], &delta), "{found:?}");
        assert_eq!(found[1], Scrubbed::RoundDone);
        assert!(is_damage_of(&found[2], &delta), "{found:?}");
    }

    #[test]
    fn a_file_that_the_disk_does_not_give_back_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let pins = vec![published(folder.path()).public()];
        let path = store.object(store.object_digests().unwrap()[1]);
        let damage =
            |scrubber: &mut Scrubber| match scrubber.step(Instant::now(), u64::MAX).unwrap() {
                Scrubbed::Damaged { damage, .. } => damage,
                other => panic!("{other:?}"),
            };
        let mut scrubber = Scrubber::new(store, pins);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(damage(&mut scrubber), Damage::Missing);
        assert_eq!(
            scrubber.step(Instant::now(), u64::MAX).unwrap(),
            Scrubbed::RoundDone
        );
        // A folder opens and cannot be read, like a file on a failing disk.
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(damage(&mut scrubber), Damage::Unreadable { .. }));
        assert_eq!(
            scrubber.step(Instant::now(), u64::MAX).unwrap(),
            Scrubbed::RoundDone
        );
    }
}
