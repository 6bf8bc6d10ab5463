//! Certificates: reserved, issued, revoked, expired, read back by the page.

use super::*;

#[test]
fn crash_between_reserve_and_issue_leaves_a_record_to_finish() {
    let rig = rig();
    let (number, items) = rig.submit(1, &["a", "b"]);
    rig.db
        .drive(rig.db.store().approve(number, rig.by("officer")))
        .unwrap();
    let lot = [
        reservation(rig.authority, 7, Some(items[0])),
        reservation(rig.authority, 8, Some(items[1])),
    ];
    let ids = rig
        .db
        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
        .unwrap();
    let Rig {
        folder,
        db,
        authority,
    } = rig;
    drop(db); // the process is gone without closing anything

    let db = open(folder.path());
    let left = db.drive(db.store().unfinished(authority)).unwrap();
    assert_eq!(left.iter().map(|r| r.id).collect::<Vec<_>>(), ids);
    assert_eq!(left[1].reservation, lot[1]);
    // Nothing was signed that counts: no status yet, no revision.
    assert_eq!(db.drive(db.store().revision()).unwrap(), 0);
    assert!(
        db.drive(db.store().statuses(authority, None))
            .unwrap()
            .rows
            .is_empty()
    );

    let signed: Vec<_> = ids
        .iter()
        .map(|&id| Issued {
            id,
            certificate: vec![0x30],
        })
        .collect();
    assert_eq!(
        db.drive(db.store().record_issued(&signed, By::signer(NOW)))
            .unwrap(),
        1
    );
    assert!(
        db.drive(db.store().unfinished(authority))
            .unwrap()
            .is_empty()
    );
    let done = db.drive(db.store().submission(number)).unwrap().unwrap();
    assert_eq!((done.state, done.issued), (ApplicationState::Delivered, 2));
}

#[test]
fn a_reservation_is_issued_twice() {
    let rig = rig();
    let (_, id) = rig.issue(1, "a", 7);
    let again = [Issued {
        id,
        certificate: vec![0x31],
    }];
    let error = rig
        .db
        .drive(rig.db.store().record_issued(&again, By::signer(NOW)))
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::WrongCertificateState { .. }),
        "{error}"
    );
    assert_eq!(rig.db.drive(rig.db.store().revision()).unwrap(), 1);
}

#[test]
fn one_bad_issued_row_does_not_let_the_rest_of_the_lot_in() {
    let rig = rig();
    let lot = [
        reservation(rig.authority, 1, None),
        reservation(rig.authority, 2, None),
    ];
    let ids = rig
        .db
        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
        .unwrap();
    let lot = [
        Issued {
            id: ids[0],
            certificate: vec![0x30],
        },
        Issued {
            id: CertificateId(999),
            certificate: vec![0x30],
        },
    ];
    rig.db
        .drive(rig.db.store().record_issued(&lot, By::signer(NOW)))
        .unwrap_err();
    assert_eq!(
        rig.db
            .drive(rig.db.store().unfinished(rig.authority))
            .unwrap()
            .len(),
        2
    );
    assert_eq!(rig.db.drive(rig.db.store().revision()).unwrap(), 0);
}

#[test]
fn a_serial_is_used_twice() {
    let rig = rig();
    let lot = [reservation(rig.authority, 1, None)];
    rig.db
        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
        .unwrap();
    let lot = [
        reservation(rig.authority, 2, None),
        reservation(rig.authority, 1, None),
    ];
    let error = rig
        .db
        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
        .unwrap_err();
    assert!(matches!(error, RegistryError::SerialUsed), "{error}");
    assert_eq!(
        rig.db
            .drive(rig.db.store().unfinished(rig.authority))
            .unwrap()
            .len(),
        1
    );
    // Another authority may use the number.
    let other = rig
        .db
        .drive(
            rig.db
                .store()
                .add_authority(&founded("sm2", 2), By::signer(NOW)),
        )
        .unwrap();
    rig.db
        .drive(
            rig.db
                .store()
                .reserve(&[reservation(other, 1, None)], By::signer(NOW)),
        )
        .unwrap();
}

#[test]
fn a_certificate_is_revoked_twice() {
    let rig = rig();
    let (_, id) = rig.issue(1, "a", 7);
    let order = rig.order(id);
    assert_eq!(
        rig.db
            .drive(rig.db.store().revoke(&order, rig.by("officer")))
            .unwrap(),
        2
    );
    let error = rig
        .db
        .drive(rig.db.store().revoke(&order, rig.by("officer")))
        .unwrap_err();
    let RegistryError::AlreadyRevoked { at, ground, serial } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (at, ground.as_str(), serial.as_str()),
        (order.at, "私钥泄露", "07")
    );
    assert_eq!(rig.db.drive(rig.db.store().revision()).unwrap(), 2);
    let row = rig
        .db
        .drive(rig.db.store().statuses(rig.authority, Some(1)))
        .unwrap()
        .rows[0];
    let reason = Some(RevocationReason::KeyCompromise);
    assert_eq!(
        row.status,
        CertStatus::Revoked {
            at: NOW + 60,
            reason
        }
    );
    assert_eq!((row.invalidity_date, row.revision), (Some(NOW + 30), 2));
}

#[test]
fn a_reserved_certificate_is_revoked() {
    let rig = rig();
    let lot = [reservation(rig.authority, 1, None)];
    let id = rig
        .db
        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
        .unwrap()[0];
    let error = rig
        .db
        .drive(rig.db.store().revoke(&rig.order(id), rig.by("officer")))
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::WrongCertificateState { .. }),
        "{error}"
    );
}

#[test]
fn expiry_forgets_a_revocation() {
    let rig = rig();
    let (_, a) = rig.issue(1, "a", 7);
    rig.issue(2, "b", 8);
    rig.db
        .drive(rig.db.store().revoke(&rig.order(a), rig.by("officer")))
        .unwrap();
    let before = rig.db.drive(rig.db.store().revision()).unwrap();
    let later = By::signer(NOW + YEAR + 1);
    assert_eq!(rig.db.drive(rig.db.store().expire(later)).unwrap(), 2);
    assert_eq!(rig.db.drive(rig.db.store().expire(later)).unwrap(), 0);
    // The status on the wire is what it was, so no revision is taken and no delta follows.
    assert_eq!(rig.db.drive(rig.db.store().revision()).unwrap(), before);
    let mut rows = rig
        .db
        .drive(rig.db.store().statuses(rig.authority, None))
        .unwrap()
        .rows;
    rows.sort_by_key(|row| row.serial);
    assert!(rows.iter().all(|r| r.state == CertificateState::Expired));
    assert!(matches!(rows[0].status, CertStatus::Revoked { .. }));
    assert_eq!(rows[1].status, CertStatus::Good);
}

#[test]
fn changes_since_a_revision_miss_or_repeat_one() {
    let rig = rig();
    // More than a page, over two revisions, so that page borders fall inside a revision.
    let count = 5000;
    for (first, last) in [(0, count), (count, 2 * count)] {
        let lot: Vec<_> = (first..last)
            .map(|n| reservation(rig.authority, n + 1, None))
            .collect();
        let ids = rig
            .db
            .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
            .unwrap();
        let signed: Vec<_> = ids
            .iter()
            .map(|&id| Issued {
                id,
                certificate: vec![0x30],
            })
            .collect();
        rig.db
            .drive(rig.db.store().record_issued(&signed, By::signer(NOW)))
            .unwrap();
    }
    let all = rig
        .db
        .drive(rig.db.store().statuses(rig.authority, None))
        .unwrap();
    assert_eq!((all.revision, all.rows.len()), (2, 10_000));
    for (since, wanted) in [(0, 10_000), (1, 5000), (2, 0), (3, 0)] {
        let changed = rig
            .db
            .drive(rig.db.store().statuses(rig.authority, Some(since)))
            .unwrap();
        let mut serials: Vec<_> = changed.rows.iter().map(|r| r.serial).collect();
        serials.sort_unstable();
        serials.dedup();
        assert_eq!(serials.len(), wanted, "since {since}");
        assert_eq!(changed.rows.len(), wanted, "since {since}");
        assert!(changed.rows.iter().all(|r| r.revision > since));
    }
}

#[test]
fn a_certificate_is_made_that_nobody_approved() {
    let rig = rig();
    let (number, items) = rig.submit(1, &["a"]);
    let store = rig.db.store();
    rig.db
        .drive(store.approve(number, rig.by("officer")))
        .unwrap();
    let mut free = reservation(rig.authority, 1, None);
    free.kind = CertificateKind::Subject;
    let mut tied = reservation(rig.authority, 2, Some(items[0]));
    tied.kind = CertificateKind::OcspSigner;
    for new in [free, tied] {
        let error = rig
            .db
            .drive(store.reserve(&[new], By::signer(NOW)))
            .unwrap_err();
        assert!(matches!(error, RegistryError::NoItem), "{error}");
    }
    // Nor by another authority than the one it was approved for.
    let other = rig
        .db
        .drive(store.add_authority(&founded("sm2", 2), By::signer(NOW)))
        .unwrap();
    let lot = [reservation(other, 3, Some(items[0]))];
    let error = rig
        .db
        .drive(store.reserve(&lot, By::signer(NOW)))
        .unwrap_err();
    assert!(
        matches!(&error, RegistryError::OtherAuthority { approved, reserved }
            if approved == "p256" && reserved == "sm2"),
        "{error}"
    );
    // Nothing of the refused lots stays.
    let lot = [reservation(rig.authority, 3, Some(items[0]))];
    rig.db.drive(store.reserve(&lot, By::signer(NOW))).unwrap();
}

#[test]
fn a_key_went_bad_before_its_certificate_or_in_the_future() {
    let rig = rig();
    let (_, id) = rig.issue(1, "a", 7);
    let store = rig.db.store();
    let mut order = rig.order(id);
    for wrong in [0, NOW - 1, order.at + 1, 1 << 40] {
        order.invalidity_date = Some(wrong);
        let error = rig
            .db
            .drive(store.revoke(&order, rig.by("officer")))
            .unwrap_err();
        assert!(
            matches!(error, RegistryError::InvalidityDate { .. }),
            "{wrong}: {error}"
        );
    }
    order.invalidity_date = Some(NOW);
    rig.db
        .drive(store.revoke(&order, rig.by("officer")))
        .unwrap();
}
