//! Downloads that are cut short go on where they were.

use std::fs;

use hufu_tests::pki::Status;
use hufu_tests::process::{Running, run, wait_until};

use super::{Fleet, PATIENCE, number, status_file};

/// Octets of the only beginning in an edge's `partial/`.
fn begun(edge: &std::path::Path) -> u64 {
    let entries = fs::read_dir(edge.join("partial")).into_iter().flatten();
    let sizes = entries.flatten().filter_map(|entry| entry.metadata().ok());
    sizes.map(|metadata| metadata.len()).max().unwrap_or(0)
}

#[test]
fn a_follower_killed_in_the_middle_of_an_object_goes_on_where_it_was() {
    let fleet = Fleet::new();
    fleet.publish_filler(40 << 20);
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let wire = fleet.bucket.wire();
    // So much comes each time, however long the kill takes: the small files and one piece, then two.
    for (reached, comes) in [(8 << 20, 9 << 20), (24 << 20, 17 << 20)] {
        wire.stall_after(comes);
        let mut follow = fleet.follow_command(&edge, wire.address, "city");
        follow.arg("--once");
        let mut follower = Running::start(&follow, &fleet.path("killed.log"));
        follower.until("so much is here", PATIENCE, || begun(&edge) >= reached);
        follower.signal("KILL");
        let _ = follower.wait(PATIENCE);
        assert!(!edge.join("current").exists());
        wire.mend();
    }
    let before = wire.passed();
    fleet.bucket.seen().ranges.lock().unwrap().clear();
    let mut follow = fleet.follow_command(&edge, wire.address, "city");
    let _ = run(follow.arg("--once")).ok();
    let first = fleet.bucket.seen().ranges.lock().unwrap()[0];
    assert!(first >= 24 << 20, "it began again at {first}");
    let rest = wire.passed() - before;
    assert!(
        rest < 20 << 20,
        "{rest} octets after 24 MiB of 40 were here"
    );
    let responder = fleet.office.responder(&edge);
    assert_eq!(fleet.status(&responder, 0), Status::Good);
    assert_eq!(begun(&edge), 0);
}

#[test]
fn a_wire_that_is_cut_again_and_again_is_survived_without_a_restart() {
    let fleet = Fleet::new();
    fleet.publish_filler(20 << 20);
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let wire = fleet.bucket.wire();
    wire.go_away();
    let mut follow = fleet.follow_command(&edge, wire.address, "city");
    follow.args(["--every", "100"]);
    let mut follower = Running::start(&follow, &fleet.path("cut.log"));
    follower.until("it says that the bucket is away", PATIENCE, || {
        status_file(&edge)["refused"]["kind"] == "away"
    });
    // Enough for the small files and a piece of the large one, each time.
    for cuts in 1..=3_u64 {
        wire.mend();
        wire.cut_after(9 << 20);
        follower.until("some more is here", PATIENCE, || {
            edge.join("current").exists() || begun(&edge) >= (cuts * 8) << 20
        });
        if edge.join("current").exists() {
            break;
        }
    }
    wire.mend();
    follower.until("all is here", PATIENCE, || {
        number(&edge.join("current")) == Some(2)
    });
    assert!(
        wire.passed() < 50 << 20,
        "{} octets for 20 MiB",
        wire.passed()
    );
}

#[test]
fn what_a_power_cut_left_of_a_download_is_not_believed() {
    let fleet = Fleet::new();
    fleet.publish_filler(20 << 20);
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let wire = fleet.bucket.wire();
    wire.stall_after(9 << 20);
    let mut follow = fleet.follow_command(&edge, wire.address, "city");
    follow.arg("--once");
    let mut follower = Running::start(&follow, &fleet.path("killed.log"));
    follower.until("a piece is here", PATIENCE, || begun(&edge) >= 8 << 20);
    follower.signal("KILL");
    let _ = follower.wait(PATIENCE);
    wire.mend();
    // The length is there, the octets are not: what a file system may leave of a file that was never flushed.
    let partial = fs::read_dir(edge.join("partial"))
        .unwrap()
        .flatten()
        .max_by_key(|entry| entry.metadata().unwrap().len())
        .unwrap()
        .path();
    let length = fs::metadata(&partial).unwrap().len();
    fs::write(&partial, vec![0; usize::try_from(length).unwrap()]).unwrap();
    let mut again = fleet.follow_command(&edge, wire.address, "city");
    let _ = run(again.arg("--once")).ok();
    assert_eq!(number(&edge.join("current")), Some(2));
    wait_until("nothing is left over", PATIENCE, || begun(&edge) == 0);
}
