//! The publisher's side: killed anywhere in a push, met by another publisher, restored from a backup.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use hufu_tests::office::Office;
use hufu_tests::process::{Running, command, run};

use super::server::Hold;
use super::{BUCKET, Fleet, PATIENCE, copy, number, status_file};

#[test]
fn a_push_killed_at_any_write_leaves_a_whole_generation_and_the_next_one_goes_on() {
    let fleet = Fleet::new();
    // More than one piece: an upload by parts.
    fleet.publish_filler(17 << 20);
    let seen = fleet.bucket.seen();
    let push = |prefix: &str| fleet.push_command(&fleet.office.data, prefix);
    let began = seen.writes.load(Ordering::Relaxed);
    let _ = run(&mut push("counted")).ok();
    let writes = seen.writes.load(Ordering::Relaxed) - began;
    assert!(writes >= 9, "{writes}");
    // The very last asks the bucket what time it is, for the sweep.
    let pointer = writes - 1;
    for write in 1..=writes {
        for after in [false, true] {
            let prefix = format!("w{write}{after}");
            let reached = seen.writes.load(Ordering::Relaxed) + write;
            seen.lost.store(false, Ordering::Relaxed);
            *seen.hold.lock().unwrap() = Some(Hold {
                write: reached,
                after,
            });
            let mut killed = Running::start(&push(&prefix), &fleet.path("killed.log"));
            killed.until("the push hangs", PATIENCE, || {
                seen.writes.load(Ordering::Relaxed) >= reached
                    && (!after || seen.lost.load(Ordering::Relaxed))
            });
            killed.signal("KILL");
            let _ = killed.wait(PATIENCE);
            *seen.hold.lock().unwrap() = None;
            let edge = fleet.path("edge");
            let _ = fs::remove_dir_all(&edge);
            let follow = || {
                let mut follow = fleet.follow_command(&edge, fleet.address(), &prefix);
                run(follow.arg("--once"))
            };
            let left = follow();
            if write > pointer || (write == pointer && after) {
                assert_eq!(left.code, Some(0), "{prefix}: {left:?}");
            } else {
                assert!(
                    left.stderr.contains("no generation yet"),
                    "{prefix}: {left:?}"
                );
            }
            let again = run(&mut push(&prefix)).ok();
            let _ = follow().ok();
            assert_eq!(number(&edge.join("current")), Some(2), "{prefix}");
            if write >= pointer {
                assert!(
                    again.stdout.contains("0 files sent") || again.stdout.contains("already"),
                    "what was there was sent again: {again:?}"
                );
            }
        }
    }
}

/// `hufu-loader publish` with these words.
fn publish(data: &Path, words: &[&str]) {
    let mut publish = command("hufu-loader", ["publish", "--data"]);
    let _ = run(publish.arg(data).args(words)).ok();
}

#[test]
fn two_publishers_in_one_bucket_stop_and_say_so() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let twin = Office {
        data: fleet.path("twin"),
    };
    copy(&fleet.office.data, &twin.data);
    // Both run from the same generation; each knows the bucket's pointer.
    let start = |data: &Path, log: &str| {
        let mut run = command("hufu-loader", ["run", "--publish-to"]);
        run.arg(format!("s3://{BUCKET}/city"))
            .arg("--data")
            .arg(data);
        fleet.bucket.tell(&mut run);
        Running::start(&run, &fleet.path(log))
    };
    let mut first = start(&fleet.office.data, "first.log");
    let pointer = fleet.bucket.folder().join("current");
    fleet.office.revoke("p256", &fleet.serials[0]);
    let _ = fleet.office.signer(&["sign"]).ok();
    first.until("the first has published", PATIENCE, || {
        number(&pointer) >= Some(2)
    });
    let mut second = start(&twin.data, "second.log");
    twin.revoke("p256", &fleet.serials[1]);
    let _ = twin.signer(&["sign"]).ok();
    let status = second.wait(PATIENCE);
    assert_eq!(status.code(), Some(1), "{}", second.said());
    assert!(
        second.said().contains("another publisher is at work"),
        "{}",
        second.said()
    );
    assert!(first.ended().is_none());
    // The bucket is the first one's mirror still. Lists may come in a generation of their own.
    let firsts = fleet.office.store().join("current");
    first.until("the bucket has what the first has", PATIENCE, || {
        fs::read(&pointer).ok() == fs::read(&firsts).ok()
    });

    // The other way round: the pointer is moved under one that is running.
    let other = fleet.path("other");
    copy(&fleet.bucket.folder(), &other);
    fleet.tamper(|folder| {
        let text = fs::read_to_string(folder.join("current")).unwrap();
        let digest = text.lines().nth(1).unwrap();
        // At once, as a service does it: the publisher may be looking.
        fs::write(folder.join("current.new"), format!("77\n{digest}\n")).unwrap();
        fs::rename(folder.join("current.new"), folder.join("current")).unwrap();
    });
    fleet.office.revoke("p256", &fleet.serials[2]);
    let _ = fleet.office.signer(&["sign"]).ok();
    let status = first.wait(PATIENCE);
    assert_eq!(status.code(), Some(1), "{}", first.said());
    assert!(first.said().contains("generation 77"), "{}", first.said());
    assert_eq!(
        number(&pointer),
        Some(77),
        "a pointer of another's was overwritten"
    );
}

#[test]
fn a_publisher_restored_from_a_backup_takes_over_by_three_commands_and_not_by_itself() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let backup = fleet.path("backup");
    copy(&fleet.office.store(), &backup);
    let edge = fleet.path("edge");
    for which in 0..2 {
        fleet.revoke_and_publish(which);
        let _ = fleet.push().ok();
    }
    let _ = fleet.follow(&edge).ok();
    assert_eq!(number(&edge.join("current")), Some(3));

    // The store is lost, and its backup is two generations old.
    copy(&backup, &fleet.office.store());
    let refused = fleet.push().ended_with(1);
    assert!(refused.stderr.contains("another publisher"), "{refused:?}");
    publish(&fleet.office.data, &["--above", "3"]);
    let refused = fleet.push().ended_with(1);
    assert!(refused.stderr.contains("--take-over"), "{refused:?}");
    let push = |words: &[&str]| run(fleet.push_command(&fleet.office.data, "city").args(words));
    let refused = push(&["--take-over", "2"]).ended_with(1);
    assert!(refused.stderr.contains("names 2"), "{refused:?}");
    let _ = push(&["--take-over", "3"]).ok();

    let refused = fleet.follow(&edge).ended_with(1);
    assert!(refused.stderr.contains("--accept-fork 4"), "{refused:?}");
    assert_eq!(status_file(&edge)["refused"]["kind"], "forked");
    let accept = |number: &str| {
        let mut follow: Command = fleet.follow_command(&edge, fleet.address(), "city");
        run(follow.args(["--accept-fork", number]))
    };
    let refused = accept("5").ended_with(1);
    assert!(
        refused.stderr.contains("offers generation 4"),
        "{refused:?}"
    );
    assert_eq!(number(&edge.join("current")), Some(3));
    let _ = accept("4").ok();
    assert_eq!(number(&edge.join("current")), Some(4));
    // What the backup lacks the signer had seen acknowledged: it signs all anew, and the lists, which told of revocations
    // that the packs did not have, are taken when these have them.
    let _ = fleet.office.signer(&["sign", "--all"]).ok();
    let _ = fleet.office.loader(&["publish"]);
    let _ = fleet.office.signer(&["sign", "--all"]).ok();
    let _ = fleet.office.loader(&["publish"]).ok();
    // From then on as ever.
    let before = number(&fleet.office.store().join("current")).unwrap();
    fleet.revoke_and_publish(2);
    let _ = fleet.push().ok();
    let _ = fleet.follow(&edge).ok();
    assert_eq!(number(&edge.join("current")), Some(before + 1));
}

#[test]
fn what_nobody_names_any_more_goes_from_the_bucket_and_nothing_else() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let _ = fleet.follow(&edge).ok();
    for _ in 0..3 {
        fleet.publish_filler(1 << 20);
        let _ = fleet.push().ok();
    }
    let names = |below: &str| -> Vec<String> {
        let entries = fs::read_dir(fleet.bucket.folder().join(below)).unwrap();
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = names("objects");
    // Superseded in an earlier second than this one: kept for no time at all, it may go.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let ran = run(fleet
        .push_command(&fleet.office.data, "city")
        .args(["--keep-for", "0"]));
    let ran = ran.ok();
    assert!(ran.stdout.contains("2 old files removed"), "{ran:?}");
    let mut inspect = command("hufu-loader", ["inspect", "--json", "--store"]);
    inspect.arg(format!("s3://{BUCKET}/city"));
    inspect.arg("--pin").arg(fleet.office.pin());
    fleet.bucket.tell(&mut inspect);
    let listing = run(&mut inspect).ok();
    let listing: serde_json::Value = serde_json::from_str(&listing.stdout).unwrap();
    assert_eq!(listing["number"], 4);
    let objects = listing["objects"].as_array().unwrap();
    let mut named: Vec<&str> = objects
        .iter()
        .map(|object| object["blake3"].as_str().unwrap())
        .collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(names("objects"), named);
    assert!(before.len() > named.len());
    // Manifests outlive what they name: the edge proves the chain over the three it missed.
    assert_eq!(names("manifests").len(), 4);
    let followed = fleet.follow(&edge).ok();
    assert!(followed.both().contains("Proven"), "{followed:?}");
}
