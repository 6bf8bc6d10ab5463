//! What is urgent goes first, whatever its number; and nothing that was taken once is taken again.

use wire::batch::{Header, Kind};
use wire::status::{CertStatus, RevocationReason};

use super::{Place, good};
use crate::durable::FsDisk;
use crate::run::Portion;
use crate::workshop::*;

const GONE: RevocationReason = RevocationReason::KeyCompromise;

impl Place {
    fn delta(&self, number: u64, revision: u64, serials: &[u64]) {
        let header = Header {
            kind: Kind::Delta,
            shards: 2,
            revision,
            ..self.header(number)
        };
        let rows: Vec<Row> = serials
            .iter()
            .map(|n| (serial(*n), revoked(NOW, GONE), 0))
            .collect();
        self.put(header, &rows);
    }

    fn shard(&self, number: u64, revision: u64, rows: &[Row]) {
        let shard = |row: &Row| wire::serial::shard(HASH_KEY.hash(row.0.content()), 2).0;
        let header = Header {
            kind: Kind::Shard,
            shards: 2,
            shard: shard(&rows[0]),
            revision,
            ..self.header(number)
        };
        self.put(header, rows);
    }

    fn whole(&self, number: u64, revision: u64, rows: &[Row]) {
        let header = Header {
            shards: 2,
            revision,
            ..self.header(number)
        };
        self.put(header, rows);
    }
}

#[test]
fn a_shard_is_shut_out_by_a_change_that_took_its_number_later() {
    let place = Place::new();
    place.whole(1, 1, &[good(1), good(2), good(3)]);
    place.pass(NOW);
    place.delta(5, 5, &[1]);
    place.pass(NOW + 1);
    // Read from the registry before the change, signed for long.
    place.shard(4, 4, &[good(1)]);
    let report = place.pass(NOW + 2);
    assert_eq!(report.taken.len(), 1, "{report:?}");
    assert_eq!(
        place.status(1),
        Some(revoked(NOW, GONE)),
        "the change is newer"
    );
    // And one that was read after it, but comes first: the change adds nothing, and is no reason to refuse it.
    place.shard(8, 8, &[(serial(1), revoked(NOW, GONE), 0)]);
    place.pass(NOW + 3);
    place.delta(7, 7, &[1]);
    let report = place.pass(NOW + 4);
    assert_eq!(
        (report.taken.len(), report.refused.len()),
        (1, 0),
        "{report:?}"
    );
}

#[test]
fn what_was_taken_once_is_taken_again() {
    let place = Place::new();
    place.whole(3, 3, &[good(1), good(2), good(3)]);
    place.delta(5, 5, &[1]);
    place.pass(NOW);
    place.shard(9, 9, &[(serial(1), revoked(NOW, GONE), 0)]);
    place.pass(NOW);
    for (what, put) in [
        (
            "a full batch",
            &(|| place.whole(8, 20, &[good(1)])) as &dyn Fn(),
        ),
        ("a shard", &|| place.shard(7, 20, &[good(1)])),
        ("a change", &|| place.delta(4, 20, &[2])),
    ] {
        put();
        assert!(place.refused(NOW).contains("is not above"), "{what}");
    }
    assert_eq!(place.status(1), Some(revoked(NOW, GONE)));
    assert_eq!(place.status(2), Some(CertStatus::Good));
}

#[test]
fn a_change_waits_behind_base_packs_and_lists() {
    let place = Place::new();
    place.whole(1, 1, &[good(1), good(2)]);
    let header = Header {
        kind: Kind::Documents,
        ..place.header(2)
    };
    place.put(header, &[]);
    place.delta(3, 3, &[2]);
    let mut line = place.line(&FsDisk);
    let mut order = Vec::new();
    loop {
        let step = line.step(NOW, &mut |_, _| ()).unwrap();
        if step.is_quiet() {
            break;
        }
        order.push((step.taken[0].kind, step.generation.unwrap()));
    }
    assert_eq!(order, [("delta", 1), ("documents", 2), ("full", 3)]);
    assert_eq!(place.status(2), Some(revoked(NOW, GONE)));
}

#[test]
fn revocations_without_pause_keep_everything_else_out() {
    let place = Place::new();
    place.whole(1, 1, &[good(1)]);
    let mut line = place.line(&FsDisk);
    let taken = (2..20).find(|number| {
        place.delta(*number, *number, &[100 + number]);
        let step = line.step(NOW, &mut |_, _| ()).unwrap();
        step.taken.iter().any(|taken| taken.kind == "full")
    });
    assert!(taken.is_some());
}

#[test]
fn lists_without_pause_keep_base_packs_out() {
    let place = Place::new();
    place.whole(1, 1, &[good(1)]);
    let mut line = place.line(&FsDisk);
    let taken = (2..20).find(|number| {
        let header = Header {
            kind: Kind::Documents,
            ..place.header(*number)
        };
        place.put(header, &[]);
        let step = line.step(NOW, &mut |_, _| ()).unwrap();
        step.taken.iter().any(|taken| taken.kind == "full")
    });
    assert!(taken.is_some());
}

#[test]
fn a_change_waits_until_a_large_batch_is_read() {
    let place = Place::new();
    place.whole(1, 1, &[good(1), good(2), good(3)]);
    let mut line = place.line(&FsDisk);
    line.portion = Portion {
        octets: 1,
        records: 0,
        ..Portion::default()
    };
    let mut come = false;
    let report = line.step(NOW, &mut |_, _| {
        if !come {
            come = true;
            place.delta(2, 2, &[3]);
        }
    });
    let report = report.unwrap();
    let kinds: Vec<_> = report.taken.iter().map(|taken| taken.kind).collect();
    assert_eq!(kinds, ["delta", "full"]);
    assert!(
        place.ack(2).unwrap().ends_with(" 1\n"),
        "published before the batch was read"
    );
    assert!(place.ack(1).unwrap().ends_with(" 2\n"));
    drop(line);
    assert_eq!(place.status(3), Some(revoked(NOW, GONE)));
    assert_eq!(place.status(1), Some(CertStatus::Good));
}

#[test]
fn a_small_batch_is_taken_for_a_large_one_because_one_waits_behind_it() {
    let place = Place::new();
    place.whole(1, 1, &[good(1), good(2), good(3)]);
    place.pass(NOW);
    place.shard(2, 2, &[good(1)]);
    let folder = place.authority.certificate.id().to_string();
    let folder = place.data.path().join("spool").join(folder);
    let small = folder.join(wire::batch::spool_name(2));
    let mut line = place.line(&FsDisk);
    line.portion = Portion {
        octets: std::fs::metadata(small).unwrap().len(),
        records: 0,
        ..Portion::default()
    };
    place.shard(3, 3, &[good(1)]);
    let mut come = false;
    let step = line.step(NOW, &mut |_, _| {
        if !come {
            come = true;
            place.delta(4, 4, &[3]);
        }
    });
    let step = step.unwrap();
    let numbers: Vec<_> = step.taken.iter().map(|taken| taken.number).collect();
    assert_eq!(numbers, [2], "nobody looks for changes in between");
}

#[test]
fn a_clock_that_steps_keeps_a_revocation_out_for_good() {
    let place = Place::new();
    place.whole(1, 1, &[good(1), good(2)]);
    place.pass(NOW);
    // Set back by an hour: what is dated ahead waits, and what comes of it when the clock is right again.
    place.delta(2, 2, &[1]);
    let report = place.pass(NOW - 3_600);
    assert_eq!(
        (report.put_off.len(), report.refused.len()),
        (1, 0),
        "{report:?}"
    );
    assert_eq!(place.pass(NOW).taken.len(), 1);
    // Ahead by a week: its windows are over, and "good" must not be said all the same.
    place.delta(3, 3, &[2]);
    let report = place.pass(NOW + 7 * 86_400);
    assert_eq!(
        (report.taken.len(), report.refused.len()),
        (1, 0),
        "{report:?}"
    );
    assert_eq!(place.status(2), Some(revoked(NOW, GONE)));
    assert!(
        place.pass(NOW).generation.is_some(),
        "sealed by our clock again"
    );
}
