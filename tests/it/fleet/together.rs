//! Three edges at once: revocations reach them, a bucket that is away or slow stops nothing.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use hufu_tests::pki::Status;
use hufu_tests::process::{Running, command, free_address, run, wait_until};

use super::{BUCKET, Fleet, PATIENCE, number, status_file};

/// A reason that a program told a second time before anything went well again.
fn told_twice(said: &str) -> Option<&str> {
    let mut told = HashSet::new();
    for line in said.lines() {
        let went_well = ["goes on again", "took generation", "generation pushed"];
        if went_well.iter().any(|words| line.contains(words)) {
            told.clear();
        }
        let is_refusal = line.contains("follow: refused") || line.contains("push: failed");
        if let Some((_, reason)) = line.split_once("reason=").filter(|_| is_refusal)
            && !told.insert(reason)
        {
            return Some(reason);
        }
    }
    None
}

#[test]
fn three_edges_get_a_revocation_survive_the_buckets_absence_and_go_on() {
    let mut fleet = Fleet::new();
    let nudge = free_address();
    let mut publish = command("hufu-loader", ["run", "--publish-to"]);
    publish
        .arg(format!("s3://{BUCKET}/city"))
        .arg("--data")
        .arg(&fleet.office.data)
        .args(["--nudge", &format!("http://{nudge}/")]);
    fleet.bucket.tell(&mut publish);
    let mut publisher = Running::start(&publish, &fleet.path("publish.log"));
    let pointer = fleet.bucket.folder().join("current");
    publisher.until("the first generation is pushed", PATIENCE, || {
        pointer.exists()
    });

    let edges = ["one", "two", "three"].map(|name| fleet.path(name));
    // The third would not look again within the hour: only the nudge tells it.
    let hourly = ["--every", "3600000", "--nudge", &nudge.to_string()];
    let often = ["--every", "200"];
    let mut followers = [
        fleet.follower(&edges[0], &often),
        fleet.follower(&edges[1], &often),
        fleet.follower(&edges[2], &hourly),
    ];
    for (follower, edge) in followers.iter_mut().zip(&edges) {
        follower.until("the edge has a generation", PATIENCE, || {
            edge.join("current").exists()
        });
    }
    let responders = [0, 1, 2].map(|edge: usize| fleet.office.responder(&edges[edge]));
    for responder in &responders {
        assert_eq!(fleet.status(responder, 0), Status::Good);
    }
    // A poll that finds nothing new costs a "not modified".
    wait_until("polls are answered with 304", PATIENCE, || {
        fleet.bucket.seen().unchanged.load(Ordering::Relaxed) > 3
    });

    let sign = |fleet: &Fleet, which: usize| {
        fleet.office.revoke("p256", &fleet.serials[which]);
        let _ = fleet.office.signer(&["sign"]).ok();
    };
    sign(&fleet, 0);
    for responder in &responders {
        wait_until("the revocation is served", PATIENCE, || {
            fleet.is_revoked(responder, 0)
        });
    }

    // The bucket goes away. Generations go on at the publisher; edges serve what they have.
    fleet.bucket.stop();
    let local = fleet.office.store().join("current");
    let before = number(&local);
    sign(&fleet, 1);
    wait_until("the local generation goes on", PATIENCE, || {
        number(&local) > before
    });
    for (follower, edge) in followers[..2].iter_mut().zip(&edges) {
        follower.until(
            "the follower says that the bucket is away",
            PATIENCE,
            || status_file(edge)["refused"]["kind"] == "away",
        );
    }
    publisher.until(
        "the publisher says that the bucket is away",
        PATIENCE,
        || {
            let said = std::fs::read_to_string(fleet.path("publish.log")).unwrap();
            said.contains("push: failed")
        },
    );
    for responder in &responders {
        assert_eq!(fleet.status(responder, 1), Status::Good);
        assert!(fleet.is_revoked(responder, 0));
    }
    fleet.bucket.start_again();
    for responder in &responders {
        wait_until("what was missed is served", PATIENCE, || {
            fleet.is_revoked(responder, 1)
        });
    }
    for edge in &edges[..2] {
        wait_until("the status file says so", PATIENCE, || {
            status_file(edge)["state"] == "following"
        });
    }
    assert!(publisher.ended().is_none(), "{}", publisher.said());
    // However often they tried meanwhile: a connection may be reset first and refused afterwards, and each is told once.
    for program in [&publisher, &followers[0], &followers[1]] {
        let said = program.said();
        assert_eq!(told_twice(&said), None, "{said}");
    }
}

#[test]
fn a_slow_wire_delays_and_does_not_break() {
    let fleet = Fleet::new();
    fleet.publish_filler(3 << 20);
    let _ = fleet.push().ok();
    let wire = fleet.bucket.wire();
    wire.slow_down(10);
    let edge = fleet.path("edge");
    let mut follow = fleet.follow_command(&edge, wire.address, "city");
    let ran = run(follow.arg("--once")).ok();
    assert!(ran.stdout.contains("generation 2"), "{ran:?}");
    let responder = fleet.office.responder(&edge);
    assert_eq!(fleet.status(&responder, 0), Status::Good);
}

#[test]
fn only_what_changed_is_fetched() {
    let fleet = Fleet::new();
    fleet.publish_filler(12 << 20);
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let wire = fleet.bucket.wire();
    let follow = || {
        let mut follow = fleet.follow_command(&edge, wire.address, "city");
        let _ = run(follow.arg("--once")).ok();
    };
    follow();
    let whole = wire.passed();
    assert!(whole > 12 << 20, "{whole}");
    fleet.revoke_and_publish(0);
    let _ = fleet.push().ok();
    follow();
    let delta = wire.passed() - whole;
    assert!(delta < 1 << 20, "{delta} octets for one revocation");
    assert_eq!(number(&edge.join("current")), Some(3));
}

#[test]
fn a_web_server_that_shows_the_bucket_is_as_good() {
    let fleet = Fleet::new();
    fleet.publish_filler(9 << 20);
    let _ = fleet.push().ok();
    let shown = fleet.bucket.shown();
    let edge = fleet.path("edge");
    let url = format!("http://{}/{BUCKET}/city", shown.address);
    let mut follow = command("hufu-loader", ["follow", "--once", "--store", &url]);
    follow.arg("--edge").arg(&edge);
    follow.arg("--pin").arg(fleet.office.pin());
    let refused = run(&mut follow).ended_with(1);
    assert!(refused.stderr.contains("--allow-http"), "{refused:?}");
    let ran = run(follow.arg("--allow-http")).ok();
    assert!(ran.stdout.contains("generation 2"), "{ran:?}");
    let responder = fleet.office.responder(&edge);
    assert_eq!(fleet.status(&responder, 0), Status::Good);
    // Nobody publishes through it.
    let mut push = command(
        "hufu-loader",
        ["push", "--allow-http", "--publish-to", &url],
    );
    let refused = run(push.arg("--data").arg(&fleet.office.data)).ended_with(1);
    assert!(refused.stderr.contains("reading only"), "{refused:?}");
}
