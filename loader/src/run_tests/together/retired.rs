//! Partitions that their CA gives up.

use super::*;

const ONE: &str = "http://x/1.crl";
const TWO: &str = "http://x/2.crl";

/// Two partitions, the first with a delta, which the operator says are all.
fn staged_two() -> (Place, Report) {
    let place = Place::new();
    let one = part(ONE, 3, NOW - 300, &[key(1)]);
    let change = List {
        point: Some(ONE),
        ..delta(3, 4, NOW - 250, &[key(4)])
    };
    let two = part(TWO, 1, NOW - 200, &[key(2)]);
    let all = How {
        complete: true,
        ..ALONE
    };
    let report = import(&place, &[one, change, two], all, NOW).unwrap();
    assert_eq!((report.revoked, report.complete), (3, true));
    (place, report)
}

fn retire(place: &Place, wanted: &str, list: List) -> Result<Report, String> {
    // Names of partitions live as long as the program that was told them.
    let retired = Box::leak(Box::new([wanted.to_owned()]));
    let how = How {
        retired: &retired[..],
        ..BESIDE
    };
    import(place, &[list], how, NOW)
}

#[test]
fn a_partition_that_is_given_up_stays_for_ever_or_takes_another_with_it() {
    let newer = || part(TWO, 2, NOW - 100, &[key(2), key(3)]);
    let by_address = |_: &Report| ONE.to_owned();
    let by_list = |report: &Report| report.lists[0].blake3.to_uppercase();
    let by_delta = |report: &Report| report.lists[1].blake3[..8].to_owned();
    for name in [
        &by_address as &dyn Fn(&Report) -> String,
        &by_list,
        &by_delta,
    ] {
        let (place, before) = staged_two();
        assert_eq!(before.lists[0].point.as_deref(), Some(ONE));
        let report = retire(&place, &name(&before), newer()).unwrap();
        assert_eq!((report.revoked, report.lists.len()), (2, 0), "{report:?}");
        // It was counted among all.
        assert!(!report.complete);
        assert!(report.odd.iter().any(|odd| odd.contains("is retired")));
        repeat(&place, 1, &[row(2), row(3)]);
        assert_eq!(place.pass(NOW).taken.len(), 1);
        assert!(verify(place.data.path(), NOW).unwrap().holds());
    }
}

#[test]
fn a_partition_nobody_meant_is_retired() {
    let newer = || part(TWO, 2, NOW - 100, &[key(2)]);
    let (place, before) = staged_two();
    for nobodys in [
        "http://x/3.crl",
        "",
        "http://x/",
        &before.lists[0].blake3[..7],
    ] {
        let why = retire(&place, nobodys, newer()).unwrap_err();
        assert!(why.contains("no staged partition is known by"), "{why}");
    }
    let why = retire(&place, TWO, newer()).unwrap_err();
    assert!(why.contains("shall be retired"), "{why}");
    let why = retire(&Place::new(), ONE, newer()).unwrap_err();
    assert!(why.contains("no staged partition is known by"), "{why}");
}
