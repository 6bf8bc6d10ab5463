//! One look after the other at an edge folder, by a clock of the test's.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hufu_loader::digest::Digest;
use hufu_loader::manifest::Role;
use hufu_loader::seal::read_pins;
use hufu_loader::store::Store;

use super::{Edge, Reload};

#[path = "../../tests/it/edge.rs"]
#[expect(dead_code, reason = "the tests of the whole program need more of it")]
mod edge;

/// What looks into `folder`, and what it leaves for others to see.
fn reload(folder: &edge::Edge) -> (Reload, Arc<Edge>) {
    let left = Arc::new(Edge::default());
    let pins = read_pins(&folder.pin()).unwrap();
    (Reload::new(folder.root(), pins, Arc::clone(&left)), left)
}

fn number(left: &Edge) -> u64 {
    left.snapshot().map_or(0, |snapshot| snapshot.number())
}

#[test]
fn good_generation_waits_because_the_one_before_it_was_refused() {
    let mut folder = edge::Edge::filled();
    let (mut reload, left) = reload(&folder);
    let now = Instant::now();
    reload.look(now);
    assert_eq!(number(&left), 1);
    fs::write(folder.root().join("current"), b"torn").unwrap();
    reload.look(now);
    assert!(left.refusal().is_some());
    folder.publish(&edge::Generation::default());
    // In the same moment: nothing waits for the torn one's second.
    reload.look(now);
    assert_eq!((number(&left), left.refusal()), (2, None));
}

#[test]
fn what_is_refused_is_never_tried_again_or_all_the_time() {
    let folder = edge::Edge::filled();
    let (mut reload, left) = reload(&folder);
    let now = Instant::now();
    let objects = folder.root().join("objects");
    let aside = folder.root().join("aside");
    fs::rename(&objects, &aside).unwrap();
    reload.look(now);
    assert_eq!(number(&left), 0);
    fs::rename(&aside, &objects).unwrap();
    // Repaired in place, under the same pointer.
    reload.look(now + Duration::from_millis(999));
    assert_eq!(number(&left), 0);
    reload.look(now + Duration::from_secs(1));
    assert_eq!((number(&left), left.refusal()), (1, None));
    let refused: u64 = left.refused().map(|(_, times)| times).sum();
    assert_eq!(refused, 1);
}

#[test]
fn generation_that_trips_over_a_defect_is_tried_each_second_or_given_up() {
    let mut folder = edge::Edge::filled();
    let (mut reload, left) = reload(&folder);
    let now = Instant::now();
    let times_tried = |reload: &mut Reload, seconds: std::ops::Range<u64>| {
        let mut tried = 0;
        for second in seconds {
            reload.look_by(now + Duration::from_secs(second), |_| {
                tried += 1;
                panic!("a defect")
            });
        }
        tried
    };
    // With nothing to serve there is nothing better to do.
    assert_eq!(times_tried(&mut reload, 0..10), 10);
    reload.look(now + Duration::from_secs(10));
    assert_eq!(number(&left), 1);
    folder.publish(&edge::Generation::default());
    // At 20, 21, 23, 27, 35, 51, 83, 147, 275, 531, and every five minutes from then on.
    assert_eq!(times_tried(&mut reload, 20..600), 10);
    assert_eq!(times_tried(&mut reload, 600..1200), 2);
    assert!(left.refusal().is_some());
    let refused = || left.refused().map(|(_, times)| times).sum::<u64>();
    assert_eq!(refused(), 2);
    // Another one does not wait, and is told of.
    folder.publish(&edge::Generation::default());
    assert_eq!(times_tried(&mut reload, 1200..1201), 1);
    assert_eq!(refused(), 3);
    reload.look(now + Duration::from_secs(1201));
    assert_eq!((number(&left), left.refusal()), (3, None));
}

#[test]
fn delta_that_rotted_since_it_was_fetched_lets_the_base_say_good() {
    let mut folder = edge::Edge::filled();
    let (mut first, left) = reload(&folder);
    let now = Instant::now();
    first.look(now);
    folder.publish(&edge::Generation {
        changed: vec![(1001, edge::status_of(7))],
        revision: 2,
        ..edge::Generation::default()
    });
    let store = Store::at(folder.root());
    let pins = read_pins(&folder.pin()).unwrap();
    let manifest = store.read_current(&pins).unwrap().unwrap();
    let mut objects = manifest.manifest().objects.iter();
    let delta = objects.find(|object| matches!(object.role, Role::Delta(_)));
    let path = store.object(delta.unwrap().blake3);
    let sound = fs::read(&path).unwrap();
    let mut rotten = sound.clone();
    *rotten.last_mut().unwrap() ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, rotten).unwrap();
    first.look(now);
    assert_eq!(number(&left), 1);
    assert!(left.refusal().unwrap().contains("damaged"));
    let torn = left.refused().find(|(reason, _)| *reason == "torn");
    assert_eq!(torn, Some(("torn", 1)));
    // Nor by a responder that finds it when it starts.
    let (mut another, found) = reload(&folder);
    another.look(now);
    assert_eq!(number(&found), 0);
    // What the scrub fetched anew is taken.
    fs::remove_file(&path).unwrap();
    fs::write(&path, sound).unwrap();
    for (reload, left) in [(&mut first, &left), (&mut another, &found)] {
        reload.look(now + Duration::from_secs(1));
        assert_eq!((number(left), left.refusal()), (2, None));
    }
}

#[test]
fn repaired_file_is_served_as_it_was_damaged() {
    let folder = edge::Edge::filled();
    let (mut reload, left) = reload(&folder);
    let store = Store::at(folder.root());
    let pins = read_pins(&folder.pin()).unwrap();
    let manifest = store.read_current(&pins).unwrap().unwrap();
    let mut objects = manifest.manifest().objects.clone();
    objects.retain(|object| matches!(object.role, Role::Crl(_) | Role::Base(_)));
    let paths: Vec<_> = objects
        .iter()
        .map(|object| store.object(object.blake3))
        .collect();
    let replace = |path: &std::path::Path, octets: &[u8]| {
        fs::remove_file(path).unwrap();
        fs::write(path, octets).unwrap();
    };
    let sound: Vec<_> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    for (path, octets) in paths.iter().zip(&sound) {
        let mut damaged = octets.clone();
        *damaged.last_mut().unwrap() ^= 1;
        replace(path, &damaged);
    }
    // Neither base packs nor lists are hashed when they are opened.
    let mut now = Instant::now();
    reload.look(now);
    reload.look(now);
    let is_sound = || {
        let snapshot = left.snapshot().unwrap();
        let mut packs = snapshot.packs();
        let list = snapshot.document("/crl/test.crl").unwrap();
        let is_list = |octets: &[u8]| octets == list.body.as_ref();
        let packs = packs.all(|(digest, pack)| *digest == Digest::of(pack.octets()));
        (packs, sound.iter().any(|octets| is_list(octets)))
    };
    assert_eq!(is_sound(), (false, false));
    // One after the other, as the scrub finds them.
    for (path, octets) in paths.iter().zip(&sound) {
        replace(path, octets);
        let before = is_sound();
        reload.look(now);
        assert_eq!(is_sound(), before, "at once, all the time");
        now += Duration::from_secs(10);
        reload.look(now);
        assert_ne!(is_sound(), before);
    }
    assert_eq!(is_sound(), (true, true));
    // It is the same generation.
    assert_eq!((number(&left), left.taken(), left.refusal()), (1, 1, None));
}
