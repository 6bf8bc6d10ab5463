//! How SQLite means to answer what is asked every second, or by the million.

use super::*;
use crate::registry::sql;
use crate::registry::sqlite::{listing, status};

impl Rig {
    /// The steps of the plan.
    fn plan(&self, statement: &str) -> String {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let rows: Vec<(i64, i64, i64, String)> = self
            .db
            .drive(sqlx::query_as(explain).fetch_all(&self.db.store().readers))
            .unwrap();
        rows.into_iter().map(|row| row.3 + "\n").collect()
    }
}

#[test]
fn every_page_sorts_what_is_left() {
    let rig = rig();
    for page in [
        sql::STATUS_PAGE,
        sql::ISSUED_PAGE,
        sql::REVOKED_PAGE,
        sql::RELEASED_PAGE,
    ] {
        let plan = rig.plan(page);
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        assert!(plan.contains("revision>?"), "{plan}");
    }
    for rest in [sql::STATUS_PAGE_REST, sql::ISSUED_PAGE_REST] {
        let rest = rig.plan(rest);
        assert!(!rest.contains("TEMP B-TREE"), "{rest}");
        assert!(
            rest.contains("revision=? AND id>?"),
            "it steps over all that came before: {rest}"
        );
    }
}

#[test]
fn statuses_of_one_revision_that_fill_several_pages_are_lost_or_told_twice() {
    let rig = rig();
    // Three pages exactly of revision 7, and one more than three; one row of the revisions around them.
    for (authority, of_seven) in [(1, 3 * 4_096), (2, 3 * 4_096 + 1)] {
        if authority == 2 {
            let other = founded("sm2", 2);
            rig.db
                .drive(rig.db.store().add_authority(&other, By::signer(NOW)))
                .unwrap();
        }
        let fill = sqlx::query(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i <= $2)
             INSERT INTO certificate (authority, serial, kind, state, not_before, not_after, reserved_at, revision)
             SELECT $1, unhex(printf('41%08x', i)), 'authority', 'issued', 0, 1, 0,
                 CASE WHEN i = 0 THEN 6 WHEN i <= $2 THEN 7 ELSE 8 END FROM n",
        );
        let fill = fill.bind(authority).bind(of_seven);
        rig.db.drive(fill.execute(&rig.db.store().writer)).unwrap();
        for (since, expected) in [(None, of_seven + 2), (Some(6), of_seven + 1), (Some(7), 1)] {
            let statuses = rig.db.store().statuses(AuthorityId(authority), since);
            let told = rig.db.drive(statuses).unwrap().rows;
            let mut serials: Vec<_> = told.iter().map(|row| row.serial).collect();
            assert_eq!(i64::try_from(told.len()).unwrap(), expected, "{since:?}");
            assert!(told.is_sorted_by_key(|row| row.revision));
            serials.sort_unstable();
            serials.dedup();
            assert_eq!(i64::try_from(serials.len()).unwrap(), expected, "{since:?}");
        }
    }
}

#[test]
fn a_question_of_every_pass_reads_every_certificate() {
    let rig = rig();
    for (asked, index) in [
        (sql::LIST_CHANGES, "INDEX certificate_revoked "),
        (sql::LIST_CHANGES, "INDEX certificate_released "),
        (sql::LISTED_SINCE, "INDEX certificate_revoked "),
        (sql::REVOKED_PAGE, "INDEX certificate_revoked "),
        (sql::RELEASED_PAGE, "INDEX certificate_released "),
        (sql::NEXT_TURN, "INDEX certificate_revoked "),
        (sql::NEXT_TURN, "INDEX certificate_released "),
        (sql::RELEASED_SINCE, "INDEX certificate_released "),
        (sql::REVOKED_ENDED, "INDEX certificate_revoked_end "),
        (sql::NAMED_PARTITION, "INDEX certificate_partition "),
        (sql::NAMED_WHOLE, "INDEX certificate_partition "),
        (listing::PACKED_PAGE, "COVERING INDEX certificate_listed "),
    ] {
        let plan = rig.plan(asked);
        assert!(plan.contains(index), "{plan}");
        assert!(!plan.contains("SCAN certificate"), "{plan}");
    }
    for asked in [
        sql::EXPIRY_DUE,
        sql::UNFINISHED,
        sql::OCSP_SIGNERS,
        sql::UNREVISED,
    ] {
        let plan = rig.plan(asked);
        assert!(!plan.contains("SCAN c"), "{plan}");
    }
}

#[test]
fn one_certificate_is_looked_for_in_all_of_them() {
    let rig = rig();
    let serial = Serial::from_unsigned(&[1]).unwrap();
    let filters = [
        CertificateFilter {
            name: Some("n".to_owned()),
            ..CertificateFilter::default()
        },
        CertificateFilter {
            number: Some("n".to_owned()),
            ..CertificateFilter::default()
        },
        CertificateFilter {
            serial: Some(serial),
            ..CertificateFilter::default()
        },
        CertificateFilter {
            item: Some(ItemId(1)),
            ..CertificateFilter::default()
        },
        CertificateFilter {
            submission: Some(SubmissionNumber(1)),
            ..CertificateFilter::default()
        },
    ];
    for filter in filters {
        let plan = rig.plan(status::selection(&filter).sql().as_str());
        assert!(!plan.contains("SCAN c"), "{filter:?}\n{plan}");
    }
}

#[test]
fn a_long_list_that_is_read_from_two_connections_loses_entries_or_has_them_twice() {
    use crate::registry::{ListQuery, Part};
    let rig = rig();
    // More than two pages of the list, at row numbers with gaps.
    let fill = sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
         INSERT INTO certificate (id, authority, serial, kind, state, not_before, not_after, reserved_at, revision,
             revoked_at, reason, crl_partition)
         SELECT i * 3, 1, unhex(printf('41%08x', i)), 'authority', 'revoked', 0, 2000000000, 0, 1, 1700000000 + i, 1,
             1 + i % 2 FROM n",
    );
    rig.db.drive(fill.execute(&rig.db.store().writer)).unwrap();
    for (scope, expected) in [
        (ListScope::Whole, 50_000),
        (ListScope::Partition(1), 25_000),
        (ListScope::Partition(3), 0),
    ] {
        let query = ListQuery {
            authority: rig.authority,
            scope,
            cut: None,
            archived_since: 0,
            full: Part::Wanted,
            delta: None,
        };
        let listing = rig.db.drive(rig.db.store().listing(&query)).unwrap();
        let mut serials: Vec<_> = listing.full.iter().map(|entry| entry.serial).collect();
        assert_eq!(serials.len(), expected, "{scope:?}");
        serials.sort_unstable();
        serials.dedup();
        assert_eq!(serials.len(), expected, "{scope:?}");
        let last = Serial::from_content(&[0x41, 0, 0, 0xC3, 0x50]).unwrap();
        let is_there = serials.binary_search(&last).is_ok();
        assert_eq!(is_there, expected > 0, "the very last row");
    }
}
