//! What a follower makes of a store's history, and of its own files once they rot.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::collect::{KEEP_FOR, KEEP_GENERATIONS};
use super::tests::{Rig, flip};
use super::trials::publish_three;
use super::{Chain, Followed, Follower, HealRound, MOST_LINKS, Opened, Refusal, SHORT_WAY, Source};
use crate::durable::FsDisk;
use crate::error::{StoreError, sentence};
use crate::manifest::{MAX_MANIFEST_OCTETS, ObjectEntry};
use crate::publish::Publisher;
use crate::snapshot::Snapshot;
use crate::specimen::NOW;
use crate::store::{Pointer, Store};

/// An edge at generation 2, and a store begun anew that is further than anybody walks.
fn begun_anew() -> Rig {
    let rig = Rig::new();
    rig.publish(1);
    rig.publish(2);
    rig.follow().unwrap();
    fs::remove_dir_all(rig.store().root()).unwrap();
    for revision in 7..MOST_LINKS as u64 + 20 {
        rig.publish(revision);
    }
    rig
}

#[test]
fn a_fork_behind_a_chain_too_long_to_walk_is_taken() {
    let rig = begun_anew();
    let forked = |refusal: &Refusal| matches!(refusal, Refusal::Forked { number: 2, .. });
    let refusal = rig.follow().unwrap_err();
    assert!(forked(&refusal), "{refusal}");
    // Nor when the way back is not there any more.
    let on_the_way = MOST_LINKS as u64 + 10;
    fs::remove_file(rig.store().manifest(on_the_way)).unwrap();
    let refusal = rig.follow().unwrap_err();
    assert!(forked(&refusal), "{refusal}");
    assert_eq!(rig.served(), 2);
}

#[test]
fn a_store_restored_from_a_backup_of_before_is_taken() {
    let rig = Rig::new();
    rig.publish(1);
    let backup = fs::read(rig.store().pointer()).unwrap();
    rig.publish(2);
    rig.follow().unwrap();
    let manifest = rig.store().manifest(2);
    let ours = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    fs::write(rig.store().pointer(), backup).unwrap();
    let mut publisher = Publisher::open(&FsDisk, rig.store(), rig.key(), &[]).unwrap();
    publisher.number_above(2);
    publisher.publish(&publisher.same_again(NOW)).unwrap();
    drop(publisher);
    // A bucket that was taken over has it still.
    fs::write(&manifest, ours).unwrap();
    for revision in 7..MOST_LINKS as u64 + 20 {
        rig.publish(revision);
    }
    let refusal = rig.follow().unwrap_err();
    assert!(
        matches!(refusal, Refusal::Forked { number: 2, .. }),
        "{refusal}"
    );
    assert_eq!(rig.served(), 2);
}

/// A store that counts how often a manifest is asked for.
struct Counted {
    store: Store,
    manifests: Arc<AtomicUsize>,
}

impl Source for Counted {
    fn root(&self) -> &Path {
        self.store.root()
    }

    fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        Source::pointer(&self.store)
    }

    fn manifest(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        self.manifests.fetch_add(1, Ordering::Relaxed);
        Source::manifest(&self.store, number)
    }

    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>> {
        Source::open(&self.store, entry, from)
    }
}

#[test]
fn a_forked_store_is_walked_from_end_to_end_at_each_poll() {
    let rig = begun_anew();
    let manifests = Arc::new(AtomicUsize::new(0));
    let source = Counted {
        store: rig.store(),
        manifests: Arc::clone(&manifests),
    };
    let mut follower = Follower::open(&FsDisk, source, rig.edge(), rig.pins()).unwrap();
    let refusal = follower.poll().unwrap_err();
    assert!(matches!(refusal, Refusal::Forked { .. }), "{refusal}");
    // The newest, those of a short way, the one under our number, and the next.
    assert_eq!(manifests.load(Ordering::Relaxed), 1 + SHORT_WAY + 2);
}

#[test]
fn each_generation_that_was_missed_is_read_more_than_once() {
    let rig = Rig::new();
    rig.publish(1);
    let manifests = Arc::new(AtomicUsize::new(0));
    let source = Counted {
        store: rig.store(),
        manifests: Arc::clone(&manifests),
    };
    let mut follower = Follower::open(&FsDisk, source, rig.edge(), rig.pins()).unwrap();
    follower.poll().unwrap();
    let mut newest = 1;
    for missed in 0..=SHORT_WAY {
        manifests.store(0, Ordering::Relaxed);
        for _ in 0..=missed {
            newest = rig.publish(newest + 1);
        }
        let Followed::Took(taken) = follower.poll().unwrap() else {
            panic!("not taken")
        };
        assert_eq!((taken.number, taken.chain), (newest, Chain::Proven));
        // Each that was missed, and the newest; from further back the two that tell another history are asked for too.
        let more = if missed == SHORT_WAY { 2 } else { 0 };
        assert_eq!(manifests.load(Ordering::Relaxed), missed + 1 + more);
    }
}

/// Publishes the newest generation once more under the next number.
fn seal_again(rig: &Rig) {
    let mut publisher = Publisher::open(&FsDisk, rig.store(), rig.key(), &[]).unwrap();
    let edition = publisher.same_again(NOW);
    publisher.publish(&edition).unwrap();
}

#[test]
fn a_header_that_rotted_keeps_every_generation_out() {
    let rig = Rig::new();
    rig.publish(1);
    let mut follower = rig.follower(&FsDisk);
    follower.poll().unwrap();
    let heal = |follower: &Follower<'_>| {
        let healing = follower.heal(&mut HealRound::default(), &mut || false);
        assert_eq!(healing.is_done, healing.failed.is_none());
        healing
    };
    assert!(heal(&follower).fetched.is_empty());
    let object = rig.edge().object(rig.edge().object_digests().unwrap()[0]);
    let sound = fs::read(&object).unwrap();
    // The next generation has the same pack: it is carried over, and not fetched.
    flip(&object, 0);
    seal_again(&rig);
    assert!(matches!(follower.poll().unwrap(), Followed::Took(_)));
    assert_eq!(fs::read(&object).unwrap(), sound);
    // Without a new generation too: a responder that is started now would find nothing to serve.
    flip(&object, 0);
    assert_eq!(heal(&follower).fetched.len(), 1);
    assert_eq!(fs::read(&object).unwrap(), sound);
    fs::remove_file(&object).unwrap();
    assert_eq!(heal(&follower).fetched.len(), 1);
    assert_eq!(rig.served(), 1);
    // What is as bad in the store is not put in place of anything, also where that keeps a new generation out.
    seal_again(&rig);
    let offered = rig.newest_object();
    flip(&offered, 0);
    flip(&object, 0);
    let (_, in_place) = heal(&follower).failed.unwrap();
    for refusal in [in_place, follower.poll().unwrap_err()] {
        assert_eq!(refusal.kind(), "altered");
        let said = sentence(&refusal);
        for path in [&object, &offered] {
            assert!(said.contains(path.to_str().unwrap()), "{said}");
        }
    }
}

#[test]
fn one_file_that_cannot_be_healed_hides_the_others() {
    let rig = Rig::new();
    publish_three(&rig);
    let mut follower = rig.follower(&FsDisk);
    follower.poll().unwrap();
    let mut names = rig.edge().object_digests().unwrap();
    names.sort_unstable();
    for name in &names {
        flip(&rig.edge().object(*name), 0);
    }
    fs::remove_file(rig.store().object(names[1])).unwrap();
    // One file a step.
    let mut round = HealRound::default();
    for (step, is_there) in [true, false, true].into_iter().enumerate() {
        let healing = follower.heal(&mut round, &mut || true);
        assert_eq!(healing.fetched.len(), usize::from(is_there), "{step}");
        assert_eq!(
            healing.failed.map(|failed| failed.0),
            (!is_there).then_some(names[1])
        );
        assert!(!healing.is_done);
    }
    assert!(follower.heal(&mut round, &mut || true).is_done);
    // And round again.
    let healing = follower.heal(&mut round, &mut || false);
    assert_eq!(healing.failed.unwrap().1.kind(), "missing");
    assert!(follower.heal(&mut round, &mut || false).is_done);
}

#[test]
fn rot_under_the_edges_own_number_is_taken_for_a_fork() {
    let damages: [fn(&Path); 3] = [
        |path| flip(path, 40),
        |path| fs::remove_file(path).unwrap(),
        |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(MAX_MANIFEST_OCTETS as u64 + 1).unwrap();
        },
    ];
    for damage in damages {
        let rig = begun_anew();
        // The next one tells of another history as well.
        fs::remove_file(rig.store().manifest(3)).unwrap();
        damage(&rig.store().manifest(2));
        let Followed::Took(taken) = rig.follow().unwrap() else {
            panic!("not taken")
        };
        assert!(matches!(taken.chain, Chain::Unproven { .. }), "{taken:?}");
    }
}

#[test]
fn a_fork_is_taken_once_the_edges_own_manifest_has_rotted() {
    let rig = Rig::new();
    rig.publish(1);
    rig.publish(2);
    rig.follow().unwrap();
    fs::remove_dir_all(rig.store().root()).unwrap();
    for revision in 7..=9 {
        rig.publish(revision);
    }
    flip(&rig.edge().manifest(2), 40);
    let refusal = rig.follow().unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Forked {
                number: 2,
                offered: 3
            }
        ),
        "{refusal}"
    );
}

#[test]
fn a_chain_of_any_length_is_walked() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    let links = MOST_LINKS as u64;
    for revision in 2..=links + 4 {
        rig.publish(revision);
    }
    let Followed::Took(taken) = rig.follow().unwrap() else {
        panic!("not taken")
    };
    // From its own manifest, so many were read.
    let missing = links + 4 - 1 - links;
    assert_eq!(taken.chain, Chain::Unproven { missing });
}

#[test]
fn a_store_that_lost_its_pointer_is_taken_for_an_empty_one() {
    let rig = Rig::new();
    assert_eq!(rig.follow().unwrap(), Followed::Empty);
    rig.publish(1);
    let mut follower = rig.follower(&FsDisk);
    follower.poll().unwrap();
    let pointer = fs::read(rig.store().pointer()).unwrap();
    fs::remove_file(rig.store().pointer()).unwrap();
    let refusal = follower.poll().unwrap_err();
    assert!(matches!(refusal, Refusal::Gone { highest: 1 }), "{refusal}");
    assert_eq!(refusal.kind(), "missing");
    drop(follower);
    assert!(rig.follow().is_err());
    assert_eq!(rig.served(), 1);
    fs::write(rig.store().pointer(), pointer).unwrap();
    assert_eq!(rig.follow().unwrap(), Followed::Unchanged);
}

#[test]
fn a_rotten_file_of_the_edges_own_stays_as_it_is() {
    let rig = Rig::new();
    rig.publish(1);
    let mut follower = rig.follower(&FsDisk);
    follower.poll().unwrap();
    assert!(follower.mend().unwrap().is_empty());
    let edge = rig.edge();
    let files = [
        ("manifest", edge.manifest(1)),
        ("current", edge.pointer()),
        ("highest", edge.highest()),
    ];
    for (name, path) in files {
        let sound = fs::read(&path).unwrap();
        let longer = [sound.as_slice(), b"more"].concat();
        for damage in [&sound[..sound.len() / 2], longer.as_slice()] {
            fs::write(&path, damage).unwrap();
            assert_eq!(follower.mend().unwrap(), [name]);
            assert_eq!(fs::read(&path).unwrap(), sound, "{name}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(follower.mend().unwrap(), [name]);
        assert!(Snapshot::open(edge.root(), &rig.pins(), None).is_ok());
    }
}

#[test]
fn a_highest_that_rots_ends_following_or_lets_an_old_generation_in() {
    let rig = Rig::new();
    rig.publish(1);
    let old = fs::read(rig.store().pointer()).unwrap();
    rig.publish(2);
    rig.follow().unwrap();
    for rotten in [&b"2\nx\n"[..], &[b'9'; 1000]] {
        fs::write(rig.edge().highest(), rotten).unwrap();
        assert_eq!(rig.follow().unwrap(), Followed::Unchanged);
        let new = fs::read(rig.store().pointer()).unwrap();
        fs::write(rig.store().pointer(), &old).unwrap();
        let refusal = rig.follow().unwrap_err();
        assert!(
            matches!(refusal, Refusal::Lower { highest: 2, .. }),
            "{refusal}"
        );
        fs::write(rig.store().pointer(), new).unwrap();
    }
    // With nothing left to go by, anything might be an old one.
    fs::remove_file(rig.edge().pointer()).unwrap();
    assert!(Follower::open(&FsDisk, rig.store(), rig.edge(), rig.pins()).is_err());
}

#[test]
fn an_unreadable_old_manifest_keeps_every_file_for_ever() {
    let rig = Rig::new();
    for revision in 1..=5 {
        rig.publish(revision);
        rig.follow().unwrap();
    }
    fs::write(rig.edge().manifest(2), b"torn").unwrap();
    for number in 1..=5 {
        rig.set_taken(number, KEEP_FOR * 9);
    }
    rig.publish(6);
    rig.follow().unwrap();
    assert_eq!(rig.edge().object_digests().unwrap().len(), KEEP_GENERATIONS);
    assert!(!rig.edge().manifest(2).exists());
}

#[test]
fn a_manifest_that_cannot_be_read_just_now_takes_its_files_with_it() {
    let rig = Rig::new();
    for revision in 1..=3 {
        rig.publish(revision);
        rig.follow().unwrap();
    }
    let manifest = rig.edge().manifest(2);
    let sound = fs::read(&manifest).unwrap();
    fs::remove_file(&manifest).unwrap();
    // It opens and cannot be read, as on a failing disk or without a file descriptor left.
    fs::create_dir(&manifest).unwrap();
    rig.publish(4);
    assert!(matches!(rig.follow().unwrap(), Followed::Took(_)));
    assert_eq!(rig.edge().object_digests().unwrap().len(), 4);
    fs::remove_dir(&manifest).unwrap();
    fs::write(&manifest, sound).unwrap();
    for number in 1..=4 {
        rig.set_taken(number, KEEP_FOR * 9);
    }
    rig.publish(5);
    rig.follow().unwrap();
    assert_eq!(rig.edge().object_digests().unwrap().len(), KEEP_GENERATIONS);
}
