//! What rots or is lost comes back: in the bucket by the operator's word, at an edge by itself; and what leaves the publisher
//! is told to whoever watches.

use std::fs;

use hufu_tests::pki::Status;
use hufu_tests::process::{Running, command, free_address, run, wait_until};

use super::{BUCKET, Fleet, PATIENCE, number, status_file, told};

#[test]
fn what_the_bucket_lost_is_sent_again_when_asked() {
    let fleet = Fleet::new();
    // Large enough for an upload by parts.
    fleet.publish_filler(17 << 20);
    let _ = fleet.push().ok();
    fleet.tamper(|folder| {
        let objects = fs::read_dir(folder.join("objects")).unwrap().flatten();
        let mut objects: Vec<_> = objects.map(|entry| entry.path()).collect();
        objects.sort_by_key(|path| fs::metadata(path).unwrap().len());
        // The filler keeps its length, another loses its octets, a third its name.
        let filler = objects.pop().unwrap();
        let mut octets = fs::read(&filler).unwrap();
        octets[1 << 20] ^= 1;
        fs::write(&filler, octets).unwrap();
        fs::write(objects.pop().unwrap(), b"").unwrap();
        fs::remove_file(objects.pop().unwrap()).unwrap();
        let manifest = folder.join("manifests/00000000000000000002.manifest");
        fs::write(manifest, b"torn").unwrap();
    });
    let edge = fleet.path("edge");
    let refused = fleet.follow(&edge).ended_with(1);
    assert_eq!(
        status_file(&edge)["refused"]["kind"],
        "manifest",
        "{refused:?}"
    );
    assert!(fleet.push().ok().stdout.contains("already"));
    let again = run(fleet
        .push_command(&fleet.office.data, "city")
        .arg("--again"));
    assert!(again.ok().stdout.contains("generation 2 is in"));
    let _ = fleet.follow(&edge).ok();
    let responder = fleet.office.responder(&edge);
    assert_eq!(fleet.status(&responder, 0), Status::Good);
}

#[test]
fn what_rots_of_an_edges_own_files_is_written_anew_before_a_restart_needs_it() {
    let fleet = Fleet::new();
    let _ = fleet.push().ok();
    let edge = fleet.path("edge");
    let mut follower = fleet.follower(&edge, &["--every", "100"]);
    follower.until("the edge has a generation", PATIENCE, || {
        edge.join("current").exists()
    });
    let manifest = edge.join("manifests/00000000000000000001.manifest");
    for path in [edge.join("current"), edge.join("highest"), manifest] {
        let sound = fs::read(&path).unwrap();
        let mut rotten = sound.clone();
        rotten[0] ^= 0x40;
        fs::write(&path, rotten).unwrap();
        follower.until("it is as it was", PATIENCE, || {
            fs::read(&path).is_ok_and(|found| found == sound)
        });
    }
    let responder = fleet.office.responder(&edge);
    assert_eq!(fleet.status(&responder, 0), Status::Good);
}

#[test]
fn a_bucket_that_is_behind_is_told_to_nobody() {
    let mut fleet = Fleet::new();
    let [metrics, nudge, nobody] = [(); 3].map(|()| free_address());
    let edge = fleet.path("edge");
    let mut publish = command("hufu-loader", ["run", "--publish-to"]);
    publish
        .arg(format!("s3://{BUCKET}/city"))
        .arg("--data")
        .arg(&fleet.office.data)
        .args(["--metrics", &metrics.to_string()])
        .args(["--nudge", &format!("http://{nudge}/")])
        .args(["--nudge", &format!("http://{nobody}/")]);
    fleet.bucket.tell(&mut publish);
    let mut publisher = Running::start(&publish, &fleet.path("publish.log"));
    let value = |name: &str| told(metrics, name);
    let is_level = || {
        let here = value("hufu_loader_generation_number");
        // Both are zero before the first pass.
        here > Some(0.0) && here == value("hufu_loader_pushed_generation_number")
    };
    publisher.until("the bucket has the first generation", PATIENCE, is_level);
    assert!(value("hufu_loader_pushed_bytes_total") > Some(0.0));
    assert!(value("hufu_loader_pushed_files_total") > Some(0.0));
    assert!(value("hufu_loader_push_last_success_timestamp_seconds") > Some(1e9));

    let hourly = ["--every", "3600000", "--nudge", &nudge.to_string()];
    let mut follower = fleet.follower(&edge, &hourly);
    follower.until("the edge has a generation", PATIENCE, || {
        edge.join("current").exists()
    });
    let sign = |fleet: &Fleet, which: usize| {
        fleet.office.revoke("p256", &fleet.serials[which]);
        let _ = fleet.office.signer(&["sign"]).ok();
    };
    sign(&fleet, 0);
    publisher.until("the edge heard a nudge, nobody did not", PATIENCE, || {
        value("hufu_loader_nudges_total{outcome=\"heard\"}") >= Some(1.0)
            && value("hufu_loader_nudges_total{outcome=\"not_heard\"}") >= Some(1.0)
    });
    follower.until("the edge has what it was told of", PATIENCE, || {
        number(&edge.join("current")) >= Some(2)
    });

    wait_until("the bucket has all there is", PATIENCE, is_level);
    let since = value("hufu_loader_push_last_success_timestamp_seconds");
    fleet.bucket.stop();
    sign(&fleet, 1);
    publisher.until("pushes fail", PATIENCE, || {
        value("hufu_loader_pushes_total{outcome=\"failed\"}") >= Some(1.0)
    });
    assert!(!is_level());
    let then = value("hufu_loader_push_last_success_timestamp_seconds");
    assert!(then >= since);
    publisher.until("it fails again", PATIENCE, || {
        value("hufu_loader_pushes_total{outcome=\"failed\"}") >= Some(3.0)
    });
    // The moment of the last success stands still meanwhile.
    assert_eq!(
        value("hufu_loader_push_last_success_timestamp_seconds"),
        then
    );
    fleet.bucket.start_again();
    publisher.until("the bucket has what was missed", PATIENCE, is_level);
    assert!(value("hufu_loader_pushes_total{outcome=\"moved\"}") >= Some(2.0));
}
