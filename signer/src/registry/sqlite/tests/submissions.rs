//! Submissions: what the registry itself refuses.

use super::*;

#[test]
fn an_unapproved_item_gets_a_certificate() {
    let rig = rig();
    let (_, items) = rig.submit(1, &["a"]);
    let lot = [reservation(rig.authority, 1, Some(items[0]))];
    let error = rig
        .db
        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
        .unwrap_err();
    assert!(matches!(error, RegistryError::ItemTaken), "{error}");
}

#[test]
fn an_item_gets_two_certificates() {
    let rig = rig();
    let (number, items) = rig.submit(1, &["a"]);
    rig.db
        .drive(rig.db.store().approve(number, rig.by("officer")))
        .unwrap();
    let lot = [reservation(rig.authority, 1, Some(items[0]))];
    rig.db
        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
        .unwrap();
    let lot = [reservation(rig.authority, 2, Some(items[0]))];
    let error = rig
        .db
        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
        .unwrap_err();
    assert!(matches!(error, RegistryError::ItemTaken), "{error}");
}

#[test]
fn the_clerk_approves_his_own_submission() {
    let rig = rig();
    let (number, _) = rig.submit(1, &["a"]);
    let error = rig
        .db
        .drive(rig.db.store().approve(number, rig.by("clerk")))
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::SameOfficer { .. }),
        "{error}"
    );
    for same in ["clerk ", "\u{3000}clerk", "Clerk", "CLERK"] {
        let error = rig
            .db
            .drive(rig.db.store().approve(number, rig.by(same)))
            .unwrap_err();
        assert!(
            matches!(error, RegistryError::SameOfficer { .. }),
            "{same}: {error}"
        );
    }
    rig.db
        .drive(rig.db.store().approve(number, rig.by("officer")))
        .unwrap();
    let error = rig
        .db
        .drive(rig.db.store().approve(number, rig.by("officer")))
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::WrongState { .. }),
        "approved twice: {error}"
    );
}

#[test]
fn the_same_file_is_submitted_twice() {
    let rig = rig();
    let (first, _) = rig.submit(1, &["a"]);
    let again = form(1, vec![item(2, "z")]);
    let error = rig
        .db
        .drive(rig.db.store().submit(&again, rig.by("clerk")))
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::SameFile { first: f } if f == first),
        "{error}"
    );
    assert_eq!(rig.db.drive(rig.db.store().submissions()).unwrap().len(), 1);
    // One that came to nothing does not block its file.
    rig.db
        .drive(
            rig.db
                .store()
                .turn_away(first, TurnAway::Withdraw, "twice", rig.by("clerk")),
        )
        .unwrap();
    rig.db
        .drive(rig.db.store().submit(&again, rig.by("clerk")))
        .unwrap();
}

#[test]
fn a_person_gets_a_second_certificate() {
    let rig = rig();
    rig.issue(1, "a", 7);
    let second = form(2, vec![item(2, "a"), item(3, "b")]);
    let done = rig
        .db
        .drive(rig.db.store().submit(&second, rig.by("clerk")))
        .unwrap();
    assert_eq!(
        done.items[0],
        ItemOutcome::AlreadyHolds {
            alias: "p256".to_owned(),
            serial: "07".to_owned()
        }
    );
    let refusals = rig.db.drive(rig.db.store().refusals(done.number)).unwrap();
    assert_eq!(
        (refusals[0].line, refusals[0].column.as_str()),
        (2, "证件号码")
    );
    // While b waits, b cannot be submitted again either, even as an additional one.
    let mut third = form(3, vec![item(2, "b"), item(3, "c")]);
    third.additional = true;
    let done = rig
        .db
        .drive(rig.db.store().submit(&third, rig.by("clerk")))
        .unwrap();
    assert!(matches!(done.items[0], ItemOutcome::AlreadyWaits { number } if number.0 == 2));
    // After revocation the way is free.
    let id = rig
        .db
        .drive(rig.db.store().certificates(&CertificateFilter::default()))
        .unwrap()[0]
        .id;
    rig.db
        .drive(rig.db.store().revoke(&rig.order(id), rig.by("officer")))
        .unwrap();
    let (_, items) = rig.submit(4, &["a"]);
    assert_eq!(items.len(), 1);
}

#[test]
fn an_additional_certificate_that_is_paid_for_is_refused() {
    let rig = rig();
    rig.issue(1, "a", 7);
    let mut second = form(2, vec![item(2, "a")]);
    second.additional = true;
    let done = rig
        .db
        .drive(rig.db.store().submit(&second, rig.by("clerk")))
        .unwrap();
    assert!(matches!(done.items[0], ItemOutcome::Accepted(_)));
}

#[test]
fn a_submission_without_a_good_row_blocks_its_file() {
    let rig = rig();
    let done = rig
        .db
        .drive(rig.db.store().submit(&form(1, Vec::new()), rig.by("clerk")))
        .unwrap();
    let stored = rig
        .db
        .drive(rig.db.store().submission(done.number))
        .unwrap()
        .unwrap();
    assert_eq!(stored.state, ApplicationState::Refused);
    let (number, _) = rig.submit(1, &["a"]);
    assert_eq!(number.0, 2);
}

#[test]
fn a_step_of_life_is_skipped() {
    let rig = rig();
    let (number, _) = rig.submit(1, &["a"]);
    for to in [
        ApplicationState::Approved,
        ApplicationState::Delivered,
        ApplicationState::Archived,
    ] {
        let error = rig
            .db
            .drive(rig.db.store().advance(number, to, rig.by("officer")))
            .unwrap_err();
        assert!(matches!(error, RegistryError::WrongState { .. }), "{error}");
    }
}

#[test]
fn an_unknown_authority_is_chosen() {
    let rig = rig();
    let mut unknown = form(1, vec![item(2, "a")]);
    unknown.alias = "rsa".to_owned();
    let error = rig
        .db
        .drive(rig.db.store().submit(&unknown, rig.by("clerk")))
        .unwrap_err();
    assert!(matches!(error, RegistryError::NoAuthority(_)), "{error}");
    assert!(
        rig.db
            .drive(rig.db.store().submissions())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_subject_keeps_its_first_name_for_ever() {
    let rig = rig();
    let (_, id) = rig.issue(1, "a", 7);
    rig.db
        .drive(rig.db.store().revoke(&rig.order(id), rig.by("officer")))
        .unwrap();
    let mut renamed = item(2, "a");
    renamed.name = "new name".to_owned();
    renamed.number = "new number".to_owned();
    let done = rig
        .db
        .drive(
            rig.db
                .store()
                .submit(&form(2, vec![renamed]), rig.by("clerk")),
        )
        .unwrap();
    let found = |name: &str| {
        let filter = CertificateFilter {
            name: Some(name.to_owned()),
            ..CertificateFilter::default()
        };
        let found = rig.db.wait(|s| {
            let filter = filter.clone();
            async move { s.certificates(&filter).await }
        });
        found.unwrap()
    };
    // A form that nobody approved renames nobody.
    assert_eq!(found("name of a").len(), 1);
    let items = rig.db.wait(|s| s.items(done.number)).unwrap();
    assert_eq!(items[0].name, "new name");

    rig.db
        .drive(rig.db.store().approve(done.number, rig.by("officer")))
        .unwrap();
    assert_eq!(found("name of a").len(), 0);
    let found = found("new name");
    // The certificate says what it said.
    assert_eq!(found[0].name, "name of a");
    assert_eq!(rig.acts().last().unwrap(), "rename");
}

#[test]
fn a_unit_is_not_found_by_its_other_code() {
    let rig = rig();
    rig.issue(1, "unit:M000100Y4", 7);
    for (number, key, fits) in [
        ("unit:M000100Y4", None, 1),
        ("91350100M000100Y43", None, 0),
        ("91350100M000100Y43", Some("unit:M000100Y4"), 1),
        ("91350100M000100Y43", Some("unit:other"), 0),
    ] {
        let filter = CertificateFilter {
            number: Some(number.to_owned()),
            subject_key: key.map(str::to_owned),
            ..CertificateFilter::default()
        };
        let found = rig.db.drive(rig.db.store().certificates(&filter)).unwrap();
        assert_eq!(found.len(), fits, "{number} {key:?}");
    }
}

#[test]
fn an_item_that_cannot_be_issued_keeps_its_subject_waiting_for_ever() {
    let rig = rig();
    let (number, items) = rig.submit(1, &["a", "b", "c"]);
    let store = rig.db.store();
    rig.db
        .drive(store.approve(number, rig.by("officer")))
        .unwrap();
    let lot = [reservation(rig.authority, 7, Some(items[0]))];
    let id = rig.db.drive(store.reserve(&lot, By::signer(NOW))).unwrap()[0];
    let by = rig.by("officer");
    // One is on its way, two are dropped; the submission is delivered with the one.
    let done = rig
        .db
        .drive(store.turn_away(number, TurnAway::Refuse, "name too long", by))
        .unwrap();
    assert_eq!((done.state, done.dropped), (ApplicationState::Producing, 2));
    let lot = [Issued {
        id,
        certificate: vec![0x30],
    }];
    rig.db
        .drive(store.record_issued(&lot, By::signer(NOW)))
        .unwrap();
    let stored = rig.db.wait(|s| s.submission(number)).unwrap().unwrap();
    assert_eq!(
        (stored.state, stored.accepted, stored.issued),
        (ApplicationState::Delivered, 1, 1)
    );
    // Their subjects are free.
    rig.submit(2, &["b", "c"]);
    // What has its certificate is revoked, never refused.
    let error = rig
        .db
        .drive(store.turn_away(number, TurnAway::Withdraw, "", by))
        .unwrap_err();
    assert!(matches!(error, RegistryError::WrongState { .. }), "{error}");
    assert_eq!(rig.acts().iter().filter(|act| *act == "refuse").count(), 1);
}

#[test]
fn a_withdrawn_submission_is_issued() {
    for how in [TurnAway::Refuse, TurnAway::Return, TurnAway::Withdraw] {
        let rig = rig();
        let (number, items) = rig.submit(1, &["a"]);
        let store = rig.db.store();
        rig.db
            .drive(store.approve(number, rig.by("officer")))
            .unwrap();
        let done = rig
            .db
            .drive(store.turn_away(number, how, "a mistake", rig.by("officer")))
            .unwrap();
        assert_eq!((done.state, done.dropped), (how.state(), 1));
        let lot = [reservation(rig.authority, 7, Some(items[0]))];
        let error = rig
            .db
            .drive(store.reserve(&lot, By::signer(NOW)))
            .unwrap_err();
        assert!(matches!(error, RegistryError::ItemTaken), "{error}");
        // The same file may come again.
        rig.submit(1, &["a"]);
    }
}

/// Submits one item with a key.
fn with_key(rig: &Rig, file: u8, subject: &str, key: u8) -> ItemOutcome {
    let mut item = item(2, subject);
    item.spki = Some(vec![0x30, key]);
    let form = form(file, vec![item]);
    let store = rig.db.store();
    let done = rig.db.drive(store.submit(&form, rig.by("clerk"))).unwrap();
    done.items[0].clone()
}

#[test]
fn one_key_gets_certificates_of_two_subjects() {
    let rig = rig();
    let ItemOutcome::Accepted(_) = with_key(&rig, 1, "a", 1) else {
        panic!("refused")
    };
    let first = SubmissionNumber(1);
    assert_eq!(
        with_key(&rig, 2, "b", 1),
        ItemOutcome::KeyOfAnother { number: first }
    );
    // Within one submission as well, whoever handed it to the registry.
    let (mut c, mut d) = (item(2, "c"), item(3, "d"));
    (c.spki, d.spki) = (Some(vec![0x30, 2]), Some(vec![0x30, 2]));
    let store = rig.db.store();
    let done = rig
        .db
        .drive(store.submit(&form(3, vec![c, d, item(4, "c")]), rig.by("clerk")))
        .unwrap();
    let number = done.number;
    assert!(matches!(done.items[0], ItemOutcome::Accepted(_)));
    assert_eq!(done.items[1], ItemOutcome::KeyOfAnother { number });
    assert_eq!(done.items[2], ItemOutcome::AlreadyWaits { number });
    let refused = rig.db.wait(|s| s.refusals(number)).unwrap();
    let refused: Vec<_> = refused
        .iter()
        .map(|row| (row.line, row.column_english.as_str()))
        .collect();
    assert_eq!(refused, [(3, "csr"), (4, "id_no")]);
    // A key that came to nothing is free.
    let by = rig.by("clerk");
    rig.db
        .drive(store.turn_away(first, TurnAway::Withdraw, "w", by))
        .unwrap();
    assert!(matches!(
        with_key(&rig, 4, "b", 1),
        ItemOutcome::Accepted(_)
    ));
}

#[test]
fn a_compromised_key_is_certified_again() {
    for (reason, again) in [
        (RevocationReason::KeyCompromise, false),
        (RevocationReason::AffiliationChanged, true),
    ] {
        let rig = rig();
        let ItemOutcome::Accepted(item) = with_key(&rig, 1, "a", 1) else {
            panic!("refused")
        };
        let id = rig.issue_item(SubmissionNumber(1), item, 7);
        let mut order = rig.order(id);
        order.reason = reason;
        rig.db
            .drive(rig.db.store().revoke(&order, rig.by("officer")))
            .unwrap();
        let number = SubmissionNumber(1);
        match with_key(&rig, 2, "a", 1) {
            ItemOutcome::Accepted(_) => assert!(again, "{reason:?}"),
            outcome => {
                assert_eq!(outcome, ItemOutcome::KeyCompromised { number });
                assert!(!again, "{reason:?}");
            }
        }
    }
}

#[test]
fn a_large_submission_loses_or_mixes_rows() {
    let rig = rig();
    let count = 1203;
    let keys: Vec<_> = (0..count).map(|n| format!("s{n}")).collect();
    let rows = |offset: u64| {
        let rows = (2..).zip(&keys).map(|(line, key)| {
            let mut item = item(line + offset, key);
            item.spki = Some(key.clone().into_bytes());
            item
        });
        rows.collect::<Vec<_>>()
    };
    let store = rig.db.store();
    let done = rig
        .db
        .drive(store.submit(&form(1, rows(0)), rig.by("clerk")))
        .unwrap();
    let items = rig.db.wait(|s| s.items(done.number)).unwrap();
    assert_eq!(items.len(), keys.len());
    for ((outcome, item), key) in done.items.iter().zip(&items).zip(&keys) {
        assert_eq!(outcome, &ItemOutcome::Accepted(item.id));
        assert_eq!(item.spki.as_deref(), Some(key.as_bytes()));
    }
    // The same again: each row is refused, and kept as refused.
    let again = rig
        .db
        .drive(store.submit(&form(2, rows(1)), rig.by("clerk")))
        .unwrap();
    let number = done.number;
    let waits = ItemOutcome::AlreadyWaits { number };
    assert!(again.items.iter().all(|outcome| *outcome == waits));
    let refused = rig.db.wait(|s| s.refusals(again.number)).unwrap();
    let lines: Vec<_> = refused.iter().map(|row| row.line).collect();
    assert_eq!(lines, (3..3 + count).collect::<Vec<u64>>());
}
