//! What a follower does when a download is cut short, comes damaged, or finds no room.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256;
use wire::status::CertStatus;

use super::tests::{Rig, flip};
use super::{Chain, Followed, Follower, Limits, NoRoom, Opened, Refusal, Source};
use crate::durable::FsDisk;
use crate::error::StoreError;
use crate::manifest::ObjectEntry;
use crate::pack::Scope;
use crate::publish::{Edition, Publisher};
use crate::specimen::{NOW, Rows, serial, shared, spec, write};
use crate::store::{Pointer, Store};

/// A store whose objects are read by way of something that goes wrong.
pub(super) struct By<W> {
    pub(super) store: Store,
    pub(super) way: W,
}

/// What may go wrong on the way to an object.
pub(super) trait Way: Send + Sync {
    /// Opens it.
    fn open<'s>(&self, store: &'s Store, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'s>>;
}

impl<W: Way> Source for By<W> {
    fn root(&self) -> &Path {
        self.store.root()
    }

    fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        Source::pointer(&self.store)
    }

    fn manifest(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        Source::manifest(&self.store, number)
    }

    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>> {
        self.way.open(&self.store, entry, from)
    }
}

/// Breaks off, and remembers from where objects were read.
pub(super) struct Breaking {
    pub(super) after: u64,
    pub(super) asked: Arc<Mutex<Vec<u64>>>,
}

impl Way for Breaking {
    fn open<'s>(&self, store: &'s Store, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'s>> {
        self.asked.lock().unwrap().push(from);
        let Opened { octets, rest } = Source::open(store, entry, from)?;
        let rest = Box::new(rest.take(self.after).chain(Broken));
        Ok(Opened { octets, rest })
    }
}

impl Rig {
    fn follower_by(&self, way: impl Way + 'static) -> Follower<'static> {
        let store = self.store();
        Follower::open(&FsDisk, By { store, way }, self.edge(), self.pins()).unwrap()
    }
}

/// The end of a wire.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }
}

#[test]
fn a_download_that_breaks_off_begins_again_from_nothing() {
    let rig = Rig::new();
    rig.publish(1);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let way = Breaking {
        after: 100,
        asked: Arc::clone(&asked),
    };
    let mut follower = rig.follower_by(way);
    for _ in 0..3 {
        let refusal = follower.poll().unwrap_err();
        assert!(matches!(refusal, Refusal::ObjectUnreadable { .. }));
        assert_eq!(refusal.kind(), "away");
    }
    assert_eq!(*asked.lock().unwrap(), [0, 100, 200]);
    drop(follower);
    let Followed::Took(taken) = rig.follow().unwrap() else {
        panic!("not taken")
    };
    let whole = fs::metadata(rig.newest_object()).unwrap().len();
    assert_eq!(taken.octets, whole - 300);
    assert_eq!(rig.served(), 1);
    assert!(rig.edge().partial_digests().unwrap().is_empty());
}

#[test]
fn the_beginning_that_a_power_cut_left_is_believed() {
    let rig = Rig::new();
    rig.publish(1);
    let digest = rig.store().object_digests().unwrap()[0];
    let whole = fs::metadata(rig.store().object(digest)).unwrap().len();
    let lengths = [1, whole / 2, whole, whole + 1];
    for length in lengths {
        let _ = fs::remove_dir_all(rig.edge().root());
        fs::create_dir_all(rig.edge().partials()).unwrap();
        let length = usize::try_from(length).unwrap();
        fs::write(rig.edge().partial(digest), vec![7; length]).unwrap();
        assert!(matches!(rig.follow().unwrap(), Followed::Took(_)));
        assert_eq!(rig.served(), 1);
    }
}

#[test]
fn beginnings_that_nobody_needs_stay_for_ever() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    let old = rig.store().object_digests().unwrap()[0];
    rig.publish(2);
    fs::write(rig.edge().partial(old), b"half").unwrap();
    rig.follow().unwrap();
    assert!(rig.edge().partial_digests().unwrap().is_empty());
}

#[test]
fn a_generation_without_room_is_fetched_anyway_or_never_again() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    let each = fs::metadata(rig.newest_object()).unwrap().len();
    let mut follower = rig.follower(&FsDisk);
    let budget = |octets| Limits {
        budget: Some(octets),
        keep_free: 0,
    };
    rig.publish(2);
    follower.limit(budget(each * 2 - 1));
    let refusal = follower.poll().unwrap_err();
    let (needed, used) = (each, each);
    assert!(
        matches!(refusal, Refusal::NoRoom(NoRoom::Budget { needed: n, used: u, .. }) if (n, u) == (needed, used)),
        "{refusal:?}"
    );
    assert_eq!(rig.served(), 1);
    assert_eq!(rig.edge().object_digests().unwrap().len(), 1);
    // Two fit. What the generation before the present one left goes at once, though it is younger than a minute.
    follower.limit(budget(each * 2));
    for revision in 2..=4 {
        if revision > 2 {
            rig.publish(revision);
        }
        assert!(matches!(follower.poll().unwrap(), Followed::Took(_)));
        assert_eq!(rig.edge().object_digests().unwrap().len(), 2);
    }
    follower.limit(Limits {
        budget: None,
        keep_free: u64::MAX,
    });
    rig.publish(5);
    let refusal = follower.poll().unwrap_err();
    assert!(matches!(refusal, Refusal::NoRoom(NoRoom::Disk { .. })));
    assert_eq!(refusal.kind(), "no-room");
    // A re-seal needs no room.
    follower.limit(Limits::default());
    follower.poll().unwrap();
}

#[test]
fn a_fork_is_taken_without_the_operators_word_or_with_a_word_for_another() {
    let rig = Rig::new();
    rig.publish(1);
    rig.publish(2);
    rig.follow().unwrap();
    fs::remove_dir_all(rig.store().root()).unwrap();
    rig.publish(7);
    let mut follower = rig.follower(&FsDisk);
    // Not above what was accepted: no word helps.
    follower.accept_fork(1);
    assert!(matches!(
        follower.poll().unwrap_err(),
        Refusal::Lower {
            found: 1,
            highest: 2
        }
    ));
    rig.publish(8);
    follower.accept_fork(2);
    assert!(matches!(
        follower.poll().unwrap_err(),
        Refusal::Forked { .. }
    ));
    rig.publish(9);
    assert!(matches!(
        follower.poll().unwrap_err(),
        Refusal::OtherFork {
            named: 2,
            offered: 3
        }
    ));
    assert_eq!(rig.served(), 2);
    follower.accept_fork(3);
    let Followed::Took(taken) = follower.poll().unwrap() else {
        panic!("not taken")
    };
    assert_eq!((taken.number, taken.chain), (3, Chain::Accepted));
    assert_eq!(rig.served(), 9);
    // The word was good once.
    fs::remove_dir_all(rig.store().root()).unwrap();
    for revision in 10..=13 {
        rig.publish(revision);
    }
    assert!(matches!(
        follower.poll().unwrap_err(),
        Refusal::Forked { .. }
    ));
}

#[test]
fn a_refusal_that_stands_is_told_at_every_poll() {
    let rig = Rig::new();
    rig.publish(1);
    rig.follow().unwrap();
    rig.publish(2);
    let object = rig.newest_object();
    let sound = fs::read(&object).unwrap();
    fs::remove_file(&object).unwrap();
    let mut follower = rig.follower(&FsDisk);
    let status = || fs::read_to_string(rig.edge().root().join("follow.json")).unwrap();
    for times in 1..=3 {
        follower.poll_and_log().unwrap_err();
        assert_eq!(follower.tally().refusals_in_a_row(), times);
        assert_eq!(follower.tally().refused["missing"], times);
        // Written once, when it was news.
        assert!(
            status().contains("\"kind\":\"missing\"") && status().contains("\"times\":1"),
            "{}",
            status()
        );
        assert!(!follower.offers_another());
    }
    fs::write(&object, sound).unwrap();
    follower.poll_and_log().unwrap();
    assert!(status().contains("\"state\":\"following\""), "{}", status());
    assert_eq!(follower.tally().refusals_in_a_row(), 0);
    assert!(Refusal::KINDS.contains(&"missing"));
}

/// Gives nothing out before two have asked.
struct Meeting {
    asked: Mutex<usize>,
    met: Condvar,
}

impl Way for Meeting {
    fn open<'s>(&self, store: &'s Store, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'s>> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        self.met.notify_all();
        let waited = self
            .met
            .wait_timeout_while(asked, Duration::from_secs(60), |asked| *asked < 2);
        if waited.unwrap().1.timed_out() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Source::open(store, entry, from)
    }
}

/// A generation of three packs.
pub(super) fn publish_three(rig: &Rig) {
    let mut publisher = Publisher::open(&FsDisk, rig.store(), rig.key(), &[]).unwrap();
    let mut added = Vec::new();
    for issuer in 1..=3 {
        let scope = Scope::Base {
            shards: 1,
            shard: 0,
        };
        let spec = spec(issuer, scope, 1, shared(issuer, &[EcdsaP256Sha256], 1));
        let rows = Rows::from([(serial(1), (CertStatus::Good, 0))]);
        let temp = publisher.store().temp().join(format!("p{issuer}"));
        added.push(write(&temp, &spec, &rows).unwrap());
    }
    let edition = Edition {
        added,
        ..publisher.same_again(NOW)
    };
    publisher.publish(&edition).unwrap();
}

#[test]
fn one_file_waits_for_the_other() {
    let rig = Rig::new();
    publish_three(&rig);
    let mut follower = rig.follower_by(Meeting {
        asked: Mutex::new(0),
        met: Condvar::new(),
    });
    let Followed::Took(taken) = follower.poll().unwrap() else {
        panic!("not taken")
    };
    assert_eq!(taken.files, 3);
    assert_eq!(rig.served(), 1);
}

#[test]
fn one_bad_file_among_several_is_overlooked() {
    for bad in 0..3 {
        let rig = Rig::new();
        publish_three(&rig);
        let digest = rig.store().object_digests().unwrap()[bad];
        let path = rig.store().object(digest);
        let sound = fs::read(&path).unwrap();
        flip(&path, 300);
        let refusal = rig.follow().unwrap_err();
        assert_eq!(refusal.kind(), "altered");
        assert!(!rig.edge().pointer().exists());
        fs::write(&path, sound).unwrap();
        assert!(matches!(rig.follow().unwrap(), Followed::Took(_)));
    }
}
