//! What a follower does when a cache before the store keeps what is damaged, or what is not so any more.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::tests::{Rig, flip};
use super::trials::{Breaking, By, publish_three};
use super::{Chain, Followed, Follower, MOST_LINKS, Opened, Refusal, Source};
use crate::durable::FsDisk;
use crate::error::StoreError;
use crate::manifest::ObjectEntry;
use crate::store::{Pointer, Store};

/// A cache before a store, which gives out what it was once given unless it is passed by.
struct Cached {
    kept: Store,
    store: Store,
}

impl Source for Cached {
    fn root(&self) -> &Path {
        self.store.root()
    }

    fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        Source::pointer(&self.store)
    }

    fn manifest(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        Source::manifest(&self.kept, number).or_else(|_| Source::manifest(&self.store, number))
    }

    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>> {
        Source::open(&self.kept, entry, from).or_else(|_| Source::open(&self.store, entry, from))
    }

    fn past_caches(&self) -> Option<&dyn Source> {
        Some(&self.store)
    }
}

impl Rig {
    /// A cache that holds what the store holds now.
    fn cache(&self) -> Store {
        let kept = Store::at(self.store().root().with_file_name("cache"));
        let store = self.store();
        let folders = [
            (store.objects(), kept.objects()),
            (store.manifests(), kept.manifests()),
        ];
        for (from, to) in folders {
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(from).unwrap().flatten() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
        kept
    }

    fn follow_by(&self, kept: Store) -> Result<Followed, Refusal> {
        let store = self.store();
        let cached = Cached { kept, store };
        let follower = Follower::open(&FsDisk, cached, self.edge(), self.pins());
        follower.unwrap().poll()
    }
}

#[test]
fn what_a_cache_keeps_damaged_is_refused_though_the_store_has_it_right() {
    let damages: [fn(&Path); 3] = [
        |path| flip(path, 40),
        |path| {
            let half = fs::read(path).unwrap().len() / 2;
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_len(half as u64).unwrap();
        },
        |path| {
            let longer = [fs::read(path).unwrap(), vec![0; 9]].concat();
            fs::write(path, longer).unwrap();
        },
    ];
    for damage in damages {
        let rig = Rig::new();
        rig.publish(1);
        let kept = rig.cache();
        damage(&kept.manifest(1));
        damage(&kept.object(rig.store().object_digests().unwrap()[0]));
        assert!(matches!(rig.follow_by(kept).unwrap(), Followed::Took(_)));
        assert_eq!(rig.served(), 1);
        // A manifest on the way back as well.
        rig.publish(2);
        rig.publish(3);
        let kept = rig.cache();
        damage(&kept.manifest(2));
        let Followed::Took(taken) = rig.follow_by(kept).unwrap() else {
            panic!("not taken")
        };
        assert_eq!(taken.chain, Chain::Proven);
        assert_eq!(rig.served(), 3);
    }
}

#[test]
fn what_is_damaged_behind_the_cache_too_is_taken() {
    let rig = Rig::new();
    rig.publish(1);
    let object = rig.newest_object();
    let sound = fs::read(&object).unwrap();
    flip(&object, 300);
    let kept = rig.cache();
    assert_eq!(rig.follow_by(kept.clone()).unwrap_err().kind(), "altered");
    assert!(rig.edge().partial_digests().unwrap().is_empty());
    // `push --again`: the cache still has the damaged one.
    fs::write(&object, sound).unwrap();
    assert!(matches!(rig.follow_by(kept).unwrap(), Followed::Took(_)));
    assert_eq!(rig.served(), 1);
}

#[test]
fn a_cache_that_holds_the_old_history_hides_a_fork() {
    let rig = Rig::new();
    rig.publish(1);
    rig.publish(2);
    rig.follow().unwrap();
    rig.publish(3);
    let kept = rig.cache();
    fs::remove_dir_all(rig.store().root()).unwrap();
    for revision in 7..MOST_LINKS as u64 + 20 {
        rig.publish(revision);
    }
    // What it holds of the numbers further on is of no interest.
    let refusal = rig.follow_by(kept).unwrap_err();
    assert!(
        matches!(refusal, Refusal::Forked { number: 2, .. }),
        "{refusal}"
    );
    assert_eq!(rig.served(), 2);
}

/// A cache before a store to which the way breaks off.
struct Hindered {
    kept: Store,
    from_cache: Arc<Mutex<usize>>,
    past: By<Breaking>,
}

impl Source for Hindered {
    fn root(&self) -> &Path {
        self.kept.root()
    }

    fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        self.past.pointer()
    }

    fn manifest(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        self.past.manifest(number)
    }

    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>> {
        *self.from_cache.lock().unwrap() += 1;
        Source::open(&self.kept, entry, from)
    }

    fn past_caches(&self) -> Option<&dyn Source> {
        Some(&self.past)
    }
}

#[test]
fn past_a_cache_that_lies_a_download_begins_again_and_again() {
    let rig = Rig::new();
    rig.publish(1);
    let kept = rig.cache();
    let whole = fs::metadata(rig.newest_object()).unwrap().len();
    flip(&kept.object(rig.store().object_digests().unwrap()[0]), 300);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let from_cache = Arc::new(Mutex::new(0));
    let after = whole / 3 + 1;
    let way = Breaking {
        after,
        asked: Arc::clone(&asked),
    };
    let source = Hindered {
        kept,
        from_cache: Arc::clone(&from_cache),
        past: By {
            store: rig.store(),
            way,
        },
    };
    let mut follower = Follower::open(&FsDisk, source, rig.edge(), rig.pins()).unwrap();
    // Each attempt gets a third further; the last finds nothing lacking but the name.
    for _ in 0..3 {
        let refusal = follower.poll().unwrap_err();
        assert_eq!(refusal.kind(), "away", "{refusal}");
    }
    assert!(matches!(follower.poll().unwrap(), Followed::Took(_)));
    assert_eq!(*from_cache.lock().unwrap(), 1);
    assert_eq!(*asked.lock().unwrap(), [0, after, after * 2]);
    assert_eq!(rig.served(), 1);
}

/// A cache that gives nothing out before all have asked it that are fetched at once.
struct Crowded {
    cached: Cached,
    asked: Mutex<usize>,
    met: Condvar,
}

impl Source for Crowded {
    fn root(&self) -> &Path {
        self.cached.root()
    }

    fn pointer(&self) -> Result<Option<Pointer>, StoreError> {
        self.cached.pointer()
    }

    fn manifest(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        Source::manifest(&self.cached, number)
    }

    fn open(&self, entry: &ObjectEntry, from: u64) -> io::Result<Opened<'_>> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        self.met.notify_all();
        let waited = self
            .met
            .wait_timeout_while(asked, Duration::from_secs(60), |asked| *asked < 3);
        if waited.unwrap().1.timed_out() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Source::open(&self.cached, entry, from)
    }

    fn past_caches(&self) -> Option<&dyn Source> {
        self.cached.past_caches()
    }
}

#[test]
fn of_files_fetched_side_by_side_only_one_is_asked_for_past_the_cache() {
    let rig = Rig::new();
    publish_three(&rig);
    let kept = rig.cache();
    for name in kept.object_digests().unwrap() {
        flip(&kept.object(name), 300);
    }
    let source = Crowded {
        cached: Cached {
            kept,
            store: rig.store(),
        },
        asked: Mutex::new(0),
        met: Condvar::new(),
    };
    let mut follower = Follower::open(&FsDisk, source, rig.edge(), rig.pins()).unwrap();
    let Followed::Took(taken) = follower.poll().unwrap() else {
        panic!("not taken")
    };
    assert_eq!(taken.files, 3);
    assert_eq!(rig.served(), 1);
}
