//! What a follower must refuse, and what it must survive.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256;
use wire::status::CertStatus;

use super::{Chain, Followed, Follower, Refusal};
use crate::digest::Digest;
use crate::durable::{Disk, FsDisk};
use crate::error::{OpenError, StoreError};
use crate::manifest::ManifestError;
use crate::pack::Scope;
use crate::publish::{Edition, Publisher};
use crate::seal::{PublicKey, SealKey};
use crate::snapshot::Snapshot;
use crate::specimen::{NOW, Rows, serial, shared, spec, write};
use crate::store::{Pointer, Store};
use crate::trial_disk::{Loss, TrialDisk};

pub(super) struct Rig {
    folder: TempDir,
    pkcs8: Vec<u8>,
}

impl Rig {
    pub(super) fn new() -> Rig {
        let (_, pkcs8) = SealKey::generate().unwrap();
        Rig {
            folder: tempfile::tempdir().unwrap(),
            pkcs8,
        }
    }

    pub(super) fn key(&self) -> SealKey {
        SealKey::from_pkcs8(&self.pkcs8, Path::new("test")).unwrap()
    }

    pub(super) fn store(&self) -> Store {
        Store::at(self.folder.path().join("store"))
    }

    pub(super) fn edge(&self) -> Store {
        Store::at(self.folder.path().join("edge"))
    }

    pub(super) fn pins(&self) -> Vec<PublicKey> {
        vec![self.key().public()]
    }

    pub(super) fn follower<'d>(&self, disk: &'d dyn Disk) -> Follower<'d> {
        Follower::open(disk, self.store(), self.edge(), self.pins()).unwrap()
    }

    pub(super) fn follow(&self) -> Result<Followed, Refusal> {
        self.follower(&FsDisk).poll()
    }

    /// Publishes one pack of one record, sealed by `key`; gives the number.
    fn publish_by(&self, key: SealKey, revision: u64) -> u64 {
        let pins = self.pins();
        let mut publisher = Publisher::open(&FsDisk, self.store(), key, &pins).unwrap();
        let spec = spec(
            1,
            Scope::Base {
                shards: 1,
                shard: 0,
            },
            revision,
            shared(1, &[EcdsaP256Sha256], 1),
        );
        let rows = Rows::from([(serial(revision), (CertStatus::Good, 0))]);
        let sealed = write(&publisher.store().temp().join("p"), &spec, &rows).unwrap();
        let edition = Edition {
            kept: Vec::new(),
            added: vec![sealed],
            ..publisher.same_again(NOW)
        };
        publisher.publish(&edition).unwrap().number
    }

    pub(super) fn publish(&self, revision: u64) -> u64 {
        self.publish_by(self.key(), revision)
    }

    /// As if the edge had taken it that long ago.
    pub(super) fn set_taken(&self, number: u64, ago: std::time::Duration) {
        let path = self.edge().manifest(number);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - ago)
            .unwrap();
    }

    pub(super) fn served(&self) -> u64 {
        let snapshot = Snapshot::open(self.edge().root(), &self.pins(), None).unwrap();
        for (digest, pack) in snapshot.packs() {
            assert_eq!(*digest, Digest::of(pack.octets()));
        }
        snapshot.revision()
    }

    /// The file of the only object of the store's newest generation.
    pub(super) fn newest_object(&self) -> PathBuf {
        let trusted = self.store().read_current(&self.pins()).unwrap().unwrap();
        self.store().object(trusted.manifest().objects[0].blake3)
    }

    /// A refused generation leaves the edge as it was; once the store is sound again the edge goes on.
    fn refused_then_goes_on(
        &self,
        damage: impl FnOnce(&Rig),
        refused: impl FnOnce(Refusal) -> bool,
    ) {
        self.publish(1);
        self.follow().unwrap();
        self.publish(2);
        damage(self);
        let refusal = self.follow().unwrap_err();
        let text = refusal.to_string();
        assert!(refused(refusal), "{text}");
        assert_eq!(self.served(), 1);
        assert_eq!(self.edge().read_highest().unwrap().unwrap().number, 1);
        let left = self.edge().leftovers().unwrap();
        assert!(left.is_empty(), "{left:?}");
        // Whatever the damage was, a sound generation above it is taken.
        if self.store().read_current(&self.pins()).is_ok() {
            self.publish(3);
            assert!(matches!(self.follow().unwrap(), Followed::Took(_)));
            assert_eq!(self.served(), 3);
        }
    }
}

pub(super) fn flip(path: &Path, place: usize) {
    let mut octets = fs::read(path).unwrap();
    octets[place] ^= 1;
    fs::remove_file(path).unwrap();
    fs::write(path, octets).unwrap();
}

#[test]
fn each_new_generation_is_copied_once_and_old_files_go() {
    let rig = Rig::new();
    assert_eq!(rig.follow().unwrap(), Followed::Empty);
    let mut follower = rig.follower(&FsDisk);
    for revision in 1..=6 {
        let number = rig.publish(revision);
        let Followed::Took(taken) = follower.poll_and_log().unwrap() else {
            panic!("generation {number} was not taken")
        };
        assert_eq!((taken.number, taken.files), (number, 1));
        let chain = if revision == 1 {
            Chain::First
        } else {
            Chain::Proven
        };
        assert_eq!(taken.chain, chain);
        assert_eq!(follower.poll_and_log().unwrap(), Followed::Unchanged);
        assert_eq!(rig.served(), revision);
    }
    drop(follower);
    // All within a minute: a responder that has just read a pointer must still find its files.
    assert_eq!(rig.edge().object_digests().unwrap().len(), 6);
    for number in 1..=6 {
        // A second more than the quarters: a file's own date comes from a coarser clock, milliseconds behind.
        let ago =
            super::collect::KEEP_FOR * (8 - number) as u32 / 4 + std::time::Duration::from_secs(1);
        rig.set_taken(number, ago);
    }
    // The third was in place until the fourth was taken, a good minute ago.
    rig.publish(7);
    rig.follow().unwrap();
    assert_eq!(rig.edge().object_digests().unwrap().len(), 4);
    for number in 4..=7 {
        rig.set_taken(number, super::collect::KEEP_FOR * 9);
    }
    rig.publish(8);
    rig.follow().unwrap();
    assert_eq!(
        rig.edge().object_digests().unwrap().len(),
        super::collect::KEEP_GENERATIONS
    );
}

#[test]
fn generations_skipped_in_between_are_proven_by_the_chain() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    for revision in 2..=5 {
        rig.publish(revision);
    }
    let followed = rig.follow().unwrap();
    assert!(
        matches!(followed, Followed::Took(taken) if taken.chain == Chain::Proven && taken.number == 5)
    );
}

#[test]
fn a_chain_longer_than_the_store_remembers_is_said_to_be_unproven() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    for revision in 2..=5 {
        rig.publish(revision);
    }
    fs::remove_file(rig.store().manifest(3)).unwrap();
    let followed = rig.follow().unwrap();
    assert!(
        matches!(followed, Followed::Took(taken) if taken.chain == Chain::Unproven { missing: 3 }),
        "{followed:?}"
    );
}

#[test]
fn a_flipped_bit_in_an_object_is_refused_while_copying() {
    let rig = Rig::new();
    rig.refused_then_goes_on(
        |rig| flip(&rig.newest_object(), 300),
        |refusal| matches!(refusal, Refusal::ObjectDiffers { .. }),
    );
}

#[test]
fn a_torn_object_is_refused() {
    let rig = Rig::new();
    rig.refused_then_goes_on(
        |rig| {
            let octets = fs::read(rig.newest_object()).unwrap();
            fs::write(rig.newest_object(), &octets[..octets.len() - 1]).unwrap();
        },
        |refusal| matches!(refusal, Refusal::ObjectDiffers { .. }),
    );
}

#[test]
fn an_extended_object_is_refused_without_copying_all_of_it() {
    let rig = Rig::new();
    rig.refused_then_goes_on(
        |rig| {
            let mut octets = fs::read(rig.newest_object()).unwrap();
            octets.resize(octets.len() + 10_000_000, 0);
            fs::write(rig.newest_object(), octets).unwrap();
        },
        |refusal| matches!(refusal, Refusal::ObjectDiffers { expected, octets, .. } if octets == expected + 10_000_000),
    );
}

#[test]
fn a_missing_object_is_refused() {
    let rig = Rig::new();
    rig.refused_then_goes_on(
        |rig| fs::remove_file(rig.newest_object()).unwrap(),
        |refusal| matches!(refusal, Refusal::ObjectUnreadable { .. }),
    );
}

#[test]
fn a_flipped_bit_in_the_manifest_is_refused_by_the_pointers_hash() {
    let rig = Rig::new();
    rig.refused_then_goes_on(
        |rig| flip(&rig.store().manifest(2), 40),
        |refusal| matches!(refusal, Refusal::Store(StoreError::NotThatManifest { .. })),
    );
}

#[test]
fn a_changed_manifest_with_a_changed_pointer_is_refused_by_the_seal() {
    let rig = Rig::new();
    rig.refused_then_goes_on(
        |rig| {
            let path = rig.store().manifest(2);
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replace("\"revision\": 2", "\"revision\": 9");
            let pointer = Pointer {
                number: 2,
                manifest: Digest::of(text.as_bytes()),
            };
            fs::write(&path, text).unwrap();
            fs::write(rig.store().pointer(), pointer.to_text()).unwrap();
        },
        |refusal| {
            let Refusal::Store(StoreError::Manifest { source, .. }) = refusal else {
                return false;
            };
            matches!(source, ManifestError::BadSeal { .. })
        },
    );
}

#[test]
fn a_generation_sealed_by_an_unknown_key_is_refused_and_by_the_next_pinned_key_taken() {
    let rig = Rig::new();
    let (next, next_pkcs8) = SealKey::generate().unwrap();
    rig.publish(1);
    rig.follow().unwrap();
    rig.publish_by(next, 2);
    let refusal = rig.follow().unwrap_err();
    assert!(
        matches!(
            &refusal,
            Refusal::Store(StoreError::Manifest {
                source: ManifestError::UnknownKey { .. },
                ..
            })
        ),
        "{refusal}"
    );
    assert_eq!(rig.served(), 1);
    let next = SealKey::from_pkcs8(&next_pkcs8, Path::new("test")).unwrap();
    let pins = vec![rig.key().public(), next.public()];
    let mut follower = Follower::open(&FsDisk, rig.store(), rig.edge(), pins.clone()).unwrap();
    assert!(
        matches!(follower.poll().unwrap(), Followed::Took(taken) if taken.chain == Chain::Proven)
    );
    let snapshot = Snapshot::open(rig.edge().root(), &pins, None).unwrap();
    assert_eq!(snapshot.revision(), 2);
}

#[test]
fn a_lower_number_is_refused_even_after_a_restart_and_with_the_edges_pointer_gone() {
    let rig = Rig::new();
    rig.publish(1);
    let old_pointer = fs::read(rig.store().pointer()).unwrap();
    rig.publish(2);
    rig.follow().unwrap();
    fs::write(rig.store().pointer(), &old_pointer).unwrap();
    let refusal = rig.follow().unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Lower {
                found: 1,
                highest: 2
            }
        ),
        "{refusal}"
    );
    assert_eq!(rig.served(), 2);
    let highest = fs::read(rig.edge().highest()).unwrap();
    fs::remove_file(rig.edge().highest()).unwrap();
    let refusal = rig.follow().unwrap_err();
    assert!(matches!(refusal, Refusal::Lower { found: 1, .. }));
    fs::write(rig.edge().highest(), highest).unwrap();
    fs::remove_file(rig.edge().pointer()).unwrap();
    let refusal = rig.follow().unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Lower {
                found: 1,
                highest: 2
            }
        ),
        "{refusal}"
    );
}

#[test]
fn a_responder_refuses_a_pointer_below_the_highest_it_has_seen() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    let old_pointer = fs::read(rig.edge().pointer()).unwrap();
    rig.publish(2);
    rig.follow().unwrap();
    let newest = Snapshot::open(rig.edge().root(), &rig.pins(), None).unwrap();
    fs::write(rig.edge().pointer(), old_pointer).unwrap();
    let open = |highest| Snapshot::open(rig.edge().root(), &rig.pins(), highest).err();
    assert!(matches!(
        open(Some(2)),
        Some(OpenError::Lower {
            found: 1,
            highest: 2
        })
    ));
    let next = Snapshot::open_next(rig.edge().root(), &rig.pins(), &newest).err();
    assert!(matches!(next, Some(OpenError::Lower { .. })));
    assert!(open(None).is_none());
}

#[test]
fn a_store_that_began_anew_is_a_fork_and_not_an_update() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    fs::remove_dir_all(rig.store().root()).unwrap();
    rig.publish(7);
    let refusal = rig.follow().unwrap_err();
    assert!(
        matches!(refusal, Refusal::Forked { number: 1, .. }),
        "{refusal}"
    );
    rig.publish(8);
    let refusal = rig.follow().unwrap_err();
    assert!(
        matches!(refusal, Refusal::Forked { number: 1, .. }),
        "{refusal}"
    );
    assert_eq!(rig.served(), 1);
}

#[test]
fn a_crash_at_any_act_of_following_leaves_a_servable_edge_and_the_next_poll_goes_on() {
    for loss in [Loss::Nothing, Loss::Everything] {
        for act in 1.. {
            let rig = Rig::new();
            rig.publish(1);
            rig.follow().unwrap();
            rig.publish(2);
            let disk = TrialDisk::dying_at(Some(act));
            let outcome = Follower::open(&disk, rig.store(), rig.edge(), rig.pins())
                .map_err(|error| error.to_string())
                .and_then(|mut follower| follower.poll().map_err(|error| error.to_string()));
            disk.crash(loss);
            let acts = disk.acts();
            let served = rig.served();
            assert!(
                (1..=2).contains(&served),
                "{served} after {:?}",
                acts.last()
            );
            assert!(outcome.is_err() || served == 2);
            rig.follow()
                .unwrap_or_else(|error| panic!("{error} after {:?}", acts.last()));
            assert_eq!(rig.served(), 2, "after {:?}", acts.last());
            if outcome.is_ok() {
                assert!(act > 15, "{act}");
                break;
            }
        }
    }
}

#[test]
fn a_damaged_file_of_the_edges_own_is_fetched_again() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    // The edge's own manifest rots: nothing can be opened, and the next poll takes the generation again.
    flip(&rig.edge().manifest(1), 40);
    assert!(Snapshot::open(rig.edge().root(), &rig.pins(), None).is_err());
    assert!(matches!(rig.follow().unwrap(), Followed::Took(_)));
    assert_eq!(rig.served(), 1);
}
