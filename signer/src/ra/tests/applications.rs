//! Application forms, who may issue what to whom, previews.

use super::*;

#[test]
fn a_person_who_waits_is_taken_twice() {
    let rig = rig();
    rig.accepted(&form(&[WANG]));
    let receipt = rig.hand_in(&form(&[WANG, ZHAO])).unwrap();
    assert_eq!(receipt.accepted.len(), 1);
    assert!(
        receipt.refused[0].rule.contains("submission 1"),
        "{:?}",
        receipt.refused
    );
}

#[test]
fn a_preview_is_recorded() {
    let rig = rig();
    let f = form(&[WANG]);
    let handed = HandedIn {
        schedule: &f.schedule,
        application: &f.application,
        kind: f.kind,
        alias: f.alias,
        csrs: &rig.csrs,
        additional: false,
        clerk: "王受理",
        now: NOW,
    };
    let shown = rig.db.drive(preview(rig.db.store(), &handed)).unwrap();
    assert_eq!((shown.submission, shown.accepted.len()), (None, 1));
    assert_eq!(rig.accepted(&f), 1);
}

#[test]
fn the_count_differs_from_the_rows() {
    rig().application_refused(&form(&[WANG]).with(",申请,1,", ",申请,2,"), "count");
}

#[test]
fn an_application_without_seal_or_attestation_is_taken() {
    rig().application_refused(&form(&[WANG]).with("是,是", "是,否"), "sealed");
    rig().application_refused(&form(&[WANG]).with("是,是", ",是"), "attested");
}

#[test]
fn an_application_from_tomorrow_is_taken() {
    rig().application_refused(&form(&[WANG]).with("2026-09-29", "2026-09-30"), "date");
    rig().application_refused(&form(&[WANG]).with("2026-09-29", "2026-09-31"), "date");
}

#[test]
fn an_application_with_a_wrong_code_is_taken() {
    rig().application_refused(
        &form(&[WANG]).with("91350100M000100Y43", "91350100M000100Y44"),
        "unit_code",
    );
    rig().application_refused(
        &form(&[WANG]).with("11010519491231002X", "110105194912310021"),
        "handler_id",
    );
    rig().application_refused(&form(&[WANG]).with("266000", "26600"), "postcode");
}

#[test]
fn an_application_for_another_kind_or_business_is_taken() {
    rig().application_refused(&form(&[WANG]).with("个人,申请", "设备,申请"), "cert_type");
    rig().application_refused(&form(&[WANG]).with("个人,申请", "个人,撤销"), "business");
}

#[test]
fn an_application_of_two_rows_is_taken() {
    let mut two = form(&[WANG]);
    let row = APPLICATION.lines().nth(1).unwrap().replace("{count}", "1");
    two.application.extend_from_slice(row.as_bytes());
    let refused = rig().hand_in(&two).unwrap_err();
    assert!(matches!(
        refused,
        SubmissionRefused::Form {
            source: FormRefused::NotOneRow(2),
            ..
        }
    ));
}

#[test]
fn a_root_issues_to_people() {
    let mut root = form(&[WANG]);
    root.alias = "p256-root";
    assert!(matches!(
        rig().hand_in(&root),
        Err(SubmissionRefused::NoAuthority(_))
    ));
}

#[test]
fn an_authority_certifies_keys_of_the_other_family() {
    let rig = rig();
    for (alias, csr, taken) in [
        ("p256", "p256.csr", true),
        ("p256", "p384.csr", true),
        ("p256", "rsa2048.csr", true),
        ("p256", "sm2.csr", false),
        ("sm2", "sm2.csr", true),
        ("sm2", "p256.csr", false),
    ] {
        let mut one = form(&[&format!("{WANG}{csr}")]);
        one.alias = alias;
        let handed = HandedIn {
            schedule: &one.schedule,
            application: &one.application,
            kind: one.kind,
            alias,
            csrs: &rig.csrs,
            additional: false,
            clerk: "王受理",
            now: NOW,
        };
        let receipt = rig.db.drive(preview(rig.db.store(), &handed)).unwrap();
        assert_eq!(receipt.is_complete(), taken, "{alias} {csr}: {receipt:?}");
    }
}

#[test]
fn a_person_orders_a_second_certificate() {
    let mut more = form(&[WANG]);
    more.additional = true;
    assert!(matches!(
        rig().hand_in(&more),
        Err(SubmissionRefused::AdditionalPerson)
    ));
}

#[test]
fn the_clerk_is_her_own_approver_in_other_letters() {
    let named = |column: &str, name: &str| {
        form(&[WANG])
            .with("扫描件\n", &format!("扫描件,{column}\n"))
            .with("a.pdf\n", &format!("a.pdf,{name}\n"))
    };
    for (column, name, refused) in [
        ("审核人", "ada", Some("approver")),
        ("审核人", "Grace", None),
        ("受理人", "ADA", None),
        ("受理人", "Grace", Some("clerk")),
    ] {
        let rig = rig();
        let f = named(column, name);
        let handed = HandedIn {
            schedule: &f.schedule,
            application: &f.application,
            kind: f.kind,
            alias: f.alias,
            csrs: &rig.csrs,
            additional: false,
            clerk: "Ada",
            now: NOW,
        };
        let found = match rig.db.drive(preview(rig.db.store(), &handed)) {
            Ok(_) => None,
            Err(SubmissionRefused::Application(refusals)) => refusals[0].column,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found.map(|c| c.english), refused, "{column} {name}");
    }
}
