//! Whatever is wrong in the bucket is refused with a reason, said once; the generation in place serves on.

use std::fs;
use std::path::{Path, PathBuf};

use hufu_tests::office::Office;
use hufu_tests::pki::Status;
use hufu_tests::process::{free_address, run, wait_until};

use super::{Fleet, PATIENCE, copy, number, status_file, times, told};

/// Files of the folder `after` that `before` has not.
fn new_files(before: &Path, after: &Path, below: &str) -> Vec<PathBuf> {
    let names = |folder: &Path| -> Vec<_> {
        let entries = fs::read_dir(folder.join(below)).unwrap().flatten();
        entries.map(|entry| entry.file_name()).collect()
    };
    let known = names(before);
    let new = names(after).into_iter();
    new.filter(|name| !known.contains(name))
        .map(|name| Path::new(below).join(name))
        .collect()
}

fn flip(path: &Path) {
    let mut octets = fs::read(path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 0x10;
    fs::write(path, octets).unwrap();
}

/// At once: a follower that polls must not meet half of it, for that is another refusal.
fn put(path: &Path, octets: &[u8]) {
    let aside = path.with_extension("aside");
    fs::write(&aside, octets).unwrap();
    fs::rename(aside, path).unwrap();
}

fn cut(path: &Path) {
    let octets = fs::read(path).unwrap();
    fs::write(path, &octets[..octets.len() / 2]).unwrap();
}

fn extend(path: &Path) {
    let mut octets = fs::read(path).unwrap();
    octets.resize(octets.len() + 9_000_000, 0);
    fs::write(path, octets).unwrap();
}

#[test]
fn altered_truncated_extended_and_missing_files_are_refused_and_the_old_generation_serves_on() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let _ = fleet.follow(&edge).ok();
    let responder = fleet.office.responder(&edge);
    let [before, sound] = ["before", "sound"].map(|name| fleet.path(name));
    copy(&fleet.bucket.folder(), &before);
    fleet.revoke_and_publish(0);
    let _ = fleet.push().ok();
    copy(&fleet.bucket.folder(), &sound);
    let object = new_files(&before, &sound, "objects").swap_remove(0);
    let manifest = new_files(&before, &sound, "manifests").swap_remove(0);
    type Damage = fn(&Path);
    let remove: Damage = |path| fs::remove_file(path).unwrap();
    let nonsense: Damage = |path| fs::write(path, "2\nnonsense\n").unwrap();
    let cases: [(&str, &Path, Damage, &[&str]); 10] = [
        ("an object flipped", &object, flip, &["altered"]),
        ("an object cut", &object, cut, &["altered"]),
        ("an object extended", &object, extend, &["altered"]),
        ("an object missing", &object, remove, &["missing"]),
        ("the manifest flipped", &manifest, flip, &["manifest"]),
        ("the manifest cut", &manifest, cut, &["manifest"]),
        ("the manifest extended", &manifest, extend, &["manifest"]),
        ("the manifest missing", &manifest, remove, &["missing"]),
        (
            "the pointer nonsense",
            Path::new("current"),
            nonsense,
            &["manifest"],
        ),
        ("the pointer cut", Path::new("current"), cut, &["manifest"]),
    ];
    for (what, file, damage, kinds) in cases {
        fleet.tamper(|folder| {
            copy(&sound, folder);
            damage(&folder.join(file));
        });
        let ran = fleet.follow(&edge);
        assert_eq!(ran.code, Some(1), "{what} was taken: {ran:?}");
        let kind = status_file(&edge)["refused"]["kind"].clone();
        assert!(kinds.contains(&kind.as_str().unwrap()), "{what}: {kind}");
        assert_eq!(number(&edge.join("current")), Some(1), "{what}");
        assert_eq!(fleet.status(&responder, 0), Status::Good, "{what}");
    }
    fleet.tamper(|folder| copy(&sound, folder));
    let _ = fleet.follow(&edge).ok();
    assert_eq!(status_file(&edge)["state"], "following");
    wait_until("the sound generation is served", PATIENCE, || {
        fleet.is_revoked(&responder, 0)
    });
}

#[test]
fn a_pointer_set_back_is_refused_said_once_and_remembered_over_a_restart() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let old = fs::read(fleet.bucket.folder().join("current")).unwrap();
    fleet.revoke_and_publish(0);
    let _ = fleet.push().ok();
    let new = fs::read(fleet.bucket.folder().join("current")).unwrap();
    let edge = fleet.path("edge");
    let mut follower = fleet.follower(&edge, &["--every", "100"]);
    follower.until("the edge has the second", PATIENCE, || {
        number(&edge.join("current")) == Some(2)
    });
    let responder = fleet.office.responder(&edge);
    assert!(fleet.is_revoked(&responder, 0));
    fleet.tamper(|folder| put(&folder.join("current"), &old));
    follower.until("the follower refuses it", PATIENCE, || {
        status_file(&edge)["refused"]["kind"] == "lower"
    });
    // Several polls later it is still in the log once.
    let seen = || {
        fleet
            .bucket
            .seen()
            .requests
            .load(std::sync::atomic::Ordering::Relaxed)
    };
    let before = seen();
    follower.until("it asks on", PATIENCE, || seen() > before + 10);
    assert_eq!(
        times(&follower.said(), "follow: refused"),
        1,
        "{}",
        follower.said()
    );
    assert!(fleet.is_revoked(&responder, 0));
    drop(follower);
    drop(responder);
    let ran = fleet.follow(&edge).ended_with(1);
    assert!(ran.stderr.contains("already accepted"), "{ran:?}");
    let responder = fleet.office.responder(&edge);
    assert!(fleet.is_revoked(&responder, 0));
    fleet.tamper(|folder| put(&folder.join("current"), &new));
    let _ = fleet.follow(&edge).ok();
}

#[test]
fn a_refusal_is_said_at_every_poll_or_counted_nowhere() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let [before, sound] = ["before", "sound"].map(|name| fleet.path(name));
    copy(&fleet.bucket.folder(), &before);
    fleet.revoke_and_publish(0);
    let _ = fleet.push().ok();
    copy(&fleet.bucket.folder(), &sound);
    let object = new_files(&before, &sound, "objects").swap_remove(0);
    let manifest = new_files(&before, &sound, "manifests").swap_remove(0);
    let strange = stranger(&fleet).store();
    let pointer = |store: &Path| fs::read(store.join("current")).unwrap();
    fleet.tamper(|folder| put(&folder.join("current"), &pointer(&before)));

    let edge = fleet.path("edge");
    let metrics = free_address();
    let words = ["--every", "100", "--metrics", &metrics.to_string()];
    let mut follower = fleet.follower(&edge, &words);
    follower.until("the edge has the first", PATIENCE, || {
        number(&edge.join("current")) == Some(1)
    });
    let refused = |kind: &str| {
        let name = format!("hufu_follow_refused_total{{reason=\"{kind}\"}}");
        told(metrics, &name)
    };
    let polls = || told(metrics, "hufu_follow_polls_total{outcome=\"refused\"}");
    let mut said = 0;
    let mut is_refused_once = |kind: &str| {
        let mut so_far = None;
        follower.until("it tells what it does", PATIENCE, || {
            so_far = polls();
            so_far.is_some()
        });
        let twice = so_far.map(|polls| polls + 2.0);
        let mut seen = None;
        follower.until("it is refused, and refused again", PATIENCE, || {
            let is_again = polls() >= twice;
            seen = refused(kind);
            is_again && seen >= Some(1.0)
        });
        said += 1;
        assert_eq!(seen, Some(1.0), "{kind}");
        let log = follower.said();
        assert_eq!(times(&log, "follow: refused"), said, "{kind}: {log}");
        let named = format!("kind=\"{kind}\"");
        assert_eq!(times(&log, &named), 1, "{kind}: {log}");
        assert_eq!(status_file(&edge)["refused"]["kind"], kind);
    };
    type Damage<'a> = &'a dyn Fn(&Path);
    let cases: [(&str, Damage<'_>, &Path); 3] = [
        ("altered", &|folder| flip(&folder.join(&object)), &sound),
        (
            "missing",
            &|folder| fs::remove_file(folder.join(&object)).unwrap(),
            &sound,
        ),
        (
            "unknown-key",
            &|folder| {
                let octets = fs::read(strange.join(&manifest)).unwrap();
                put(&folder.join(&manifest), &octets);
            },
            &strange,
        ),
    ];
    for (kind, damage, offered) in cases {
        // Nobody reads what is damaged before the pointer names it.
        fleet.tamper(|folder| {
            damage(folder);
            put(&folder.join("current"), &pointer(offered));
        });
        is_refused_once(kind);
        assert_eq!(number(&edge.join("current")), Some(1), "{kind}");
        fleet.tamper(|folder| put(&folder.join("current"), &pointer(&before)));
        wait_until("the follower has what is offered", PATIENCE, || {
            status_file(&edge)["state"] == "following"
        });
        fleet.tamper(|folder| {
            for file in [&object, &manifest] {
                put(&folder.join(file), &fs::read(sound.join(file)).unwrap());
            }
        });
    }
    fleet.tamper(|folder| put(&folder.join("current"), &pointer(&sound)));
    wait_until("the edge has the second", PATIENCE, || {
        number(&edge.join("current")) == Some(2)
    });
    fleet.tamper(|folder| put(&folder.join("current"), &pointer(&before)));
    is_refused_once("lower");
    assert_eq!(number(&edge.join("current")), Some(2));
}

/// Another office with two generations of its own.
fn stranger(fleet: &Fleet) -> Office {
    let stranger = Office::found(&fleet.path("stranger"));
    let _ = stranger.enrol("p256", "device");
    stranger.publish();
    let serial = stranger.serials("p256").swap_remove(0);
    stranger.revoke("p256", &serial);
    stranger.publish();
    stranger
}

#[test]
fn a_generation_that_a_stranger_sealed_is_refused() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let _ = fleet.follow(&edge).ok();
    let stranger = stranger(&fleet);
    fleet.tamper(|folder| copy(&stranger.store(), folder));
    let ran = fleet.follow(&edge).ended_with(1);
    assert!(ran.stderr.contains("not pinned"), "{ran:?}");
    assert_eq!(status_file(&edge)["refused"]["kind"], "unknown-key");
    assert_eq!(number(&edge.join("current")), Some(1));
}

#[test]
fn wrong_keys_are_named_as_the_reason() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let mut follow = fleet.follow_command(&edge, fleet.address(), "city");
    let wrong = run(follow
        .arg("--once")
        .env("AWS_SECRET_ACCESS_KEY", "another secret"));
    let wrong = wrong.ended_with(1);
    assert!(
        wrong
            .stderr
            .contains("403 Forbidden, SignatureDoesNotMatch"),
        "{wrong:?}"
    );
    assert_eq!(status_file(&edge)["refused"]["kind"], "denied");
    let mut without = fleet.follow_command(&edge, fleet.address(), "city");
    without.arg("--once").env_remove("AWS_ACCESS_KEY_ID");
    let without = run(&mut without).ended_with(1);
    assert!(
        without.stderr.contains("set AWS_ACCESS_KEY_ID"),
        "{without:?}"
    );
    let mut push = fleet.push_command(&fleet.office.data, "city");
    let push = run(push.env("AWS_SECRET_ACCESS_KEY", "another secret")).ended_with(1);
    assert!(push.stderr.contains("SignatureDoesNotMatch"), "{push:?}");
    assert!(!push.both().contains("a secret of the test's"));
}

#[test]
fn a_generation_that_does_not_fit_is_refused_before_it_is_fetched() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let _ = fleet.follow(&edge).ok();
    fleet.publish_filler(6 << 20);
    let _ = fleet.push().ok();
    let wire = fleet.bucket.wire();
    let follow = |mebibytes: &str| {
        let mut follow = fleet.follow_command(&edge, wire.address, "city");
        run(follow.args(["--once", "--disk-budget", mebibytes]))
    };
    let refused = follow("4").ended_with(1);
    assert!(refused.stderr.contains("disk budget"), "{refused:?}");
    assert_eq!(status_file(&edge)["refused"]["kind"], "no-room");
    assert!(wire.passed() < 1 << 20, "{} octets", wire.passed());
    let _ = follow("8").ok();
    // The next one fits only when what nobody names any more is gone at once: three generations would be 18 MiB.
    for _ in 0..2 {
        fleet.publish_filler(6 << 20);
        let _ = fleet.push().ok();
        let _ = follow("14").ok();
    }
    assert_eq!(number(&edge.join("current")), Some(4));
}
