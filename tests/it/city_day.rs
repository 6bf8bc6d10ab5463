//! A short day of a city: everything at once, one responder killed, and no wrong answer. `tests/city` has the long one.

use std::time::Duration;

use hufu_tests::city::{Plan, day};

#[test]
fn one_of_a_citys_questions_is_answered_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan {
        length: Duration::from_secs(12),
        records: 1_000,
        gets: 60,
        posts: 20,
        live: 16,
        lists: 1,
        burst: 4,
        revocations: 8,
        // A busy machine's: what is revoked on the wire once is not good again, and that is judged at once.
        visible_within: Duration::from_secs(90),
        listed_within: Duration::from_secs(90),
        restarted_within: Duration::from_secs(90),
    };
    let report = day(folder.path(), &plan).unwrap().close();
    let table = report.table();
    assert_eq!((report.wrong(), report.failed()), (0, 0), "{table}");
    for kind in hufu_tests::city::tally::KINDS {
        assert!(report.kind(kind).answered > 0, "{kind}: {table}");
    }
    assert!(report.kind("GET, if it changed").unchanged > 0, "{table}");
    assert!(report.generations() > 0, "{table}");
    assert!(report.away().is_some(), "{table}");
}
