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
    let plan = rig.plan(sql::STATUS_PAGE);
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    assert!(plan.contains("revision>?"), "{plan}");
}

#[test]
fn a_question_of_every_pass_reads_every_certificate() {
    let rig = rig();
    for (asked, index) in [
        (sql::LIST_CHANGES, "INDEX certificate_revoked "),
        (sql::LIST_CHANGES, "INDEX certificate_released "),
        (sql::LISTED_SINCE, "INDEX certificate_revoked "),
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
