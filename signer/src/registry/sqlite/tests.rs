//! The registry against a real file, each test named by what would go wrong.

use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

use super::SqliteStore;
use crate::registry::{
    Adoption, ApplicationState, AuthorityId, BatchKind, BatchRecord, Blocking, Business, By,
    CertificateFilter, CertificateId, CertificateKind, CertificateState, Crl, Issued, ItemId,
    ItemOutcome, NewAuthority, NewItem, NewSubmission, RegistryError, Reservation, Revocation,
    Store, SubjectKind, SubmissionNumber,
};

const NOW: u64 = 1_790_000_000;
const YEAR: u64 = 365 * 86_400;

struct Rig {
    folder: tempfile::TempDir,
    db: Blocking<SqliteStore>,
    authority: AuthorityId,
}

fn open(folder: &std::path::Path) -> Blocking<SqliteStore> {
    let file = folder.join("registry.sqlite");
    Blocking::open(|| async move { SqliteStore::open(&file).await }).unwrap()
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let authority = db.drive(
        db.store()
            .add_authority(&founded("p256", 1), By::signer(NOW)),
    );
    let authority = authority.unwrap();
    Rig {
        folder,
        db,
        authority,
    }
}

fn founded(alias: &str, seed: u8) -> NewAuthority {
    NewAuthority {
        alias: alias.to_owned(),
        parent: None,
        algorithm: 1,
        certificate: vec![0x30, seed],
        key_file: format!("{alias}.pk8"),
        issuer_id: [seed; 16],
        hash_key: [seed; 16],
        shards: 4,
        public_url: "http://127.0.0.1:2560".to_owned(),
    }
}

fn item(line: u64, key: &str) -> NewItem {
    NewItem {
        line,
        subject_key: key.to_owned(),
        name: format!("name of {key}"),
        number: key.to_owned(),
        fields: "{}".to_owned(),
        spki: None,
    }
}

fn form(file: u8, items: Vec<NewItem>) -> NewSubmission {
    NewSubmission {
        file_blake3: [file; 32],
        application_blake3: [file; 32],
        kind: SubjectKind::Person,
        business: Business::Issue,
        alias: "p256".to_owned(),
        unit_name: "测试单位".to_owned(),
        unit_code: "91350100M000100Y43".to_owned(),
        application: "{}".to_owned(),
        additional: false,
        items,
        refused: Vec::new(),
    }
}

fn reservation(authority: AuthorityId, serial: u32, item: Option<ItemId>) -> Reservation {
    Reservation {
        authority,
        serial: Serial::from_unsigned(&serial.to_be_bytes()).unwrap(),
        item,
        kind: CertificateKind::Subject,
        tbs: serial.to_be_bytes().to_vec(),
        not_before: NOW,
        not_after: NOW + YEAR,
        key_file: None,
    }
}

impl Rig {
    fn by(&self, who: &'static str) -> By<'static> {
        By::person(who, NOW)
    }

    fn submit(&self, file: u8, keys: &[&str]) -> (SubmissionNumber, Vec<ItemId>) {
        let items = (2..).zip(keys).map(|(line, key)| item(line, key)).collect();
        let done = self
            .db
            .drive(self.db.store().submit(&form(file, items), self.by("clerk")))
            .unwrap();
        let ids = done.items.into_iter().map(|outcome| match outcome {
            ItemOutcome::Accepted(id) => id,
            other => panic!("{other:?}"),
        });
        (done.number, ids.collect())
    }

    /// Submitted, approved, reserved and issued.
    fn issue(&self, file: u8, key: &str, serial: u32) -> (SubmissionNumber, CertificateId) {
        let (number, items) = self.submit(file, &[key]);
        self.db
            .drive(self.db.store().approve(number, self.by("officer")))
            .unwrap();
        let lot = [reservation(self.authority, serial, Some(items[0]))];
        let id = self
            .db
            .drive(self.db.store().reserve(&lot, By::signer(NOW)))
            .unwrap()[0];
        let lot = [Issued {
            id,
            certificate: vec![0x30, 0x00],
        }];
        self.db
            .drive(self.db.store().record_issued(&lot, By::signer(NOW)))
            .unwrap();
        (number, id)
    }

    fn order(&self, id: CertificateId) -> Revocation {
        Revocation {
            id,
            reason: RevocationReason::KeyCompromise,
            ground: "私钥泄露".to_owned(),
            at: NOW + 60,
            invalidity_date: Some(NOW + 30),
        }
    }

    fn acts(&self) -> Vec<String> {
        let entries = self.db.drive(self.db.store().audit(0, 1000)).unwrap();
        entries.into_iter().map(|e| e.act).collect()
    }
}

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
                .advance(first, ApplicationState::Withdrawn, rig.by("clerk")),
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
    let rows = rig
        .db
        .drive(rig.db.store().statuses(rig.authority, None))
        .unwrap()
        .rows;
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
fn an_ocsp_signer_causes_a_delta() {
    let rig = rig();
    let mut new = reservation(rig.authority, 1, None);
    new.kind = CertificateKind::OcspSigner;
    new.key_file = Some("ocsp-1.pk8".to_owned());
    let id = rig
        .db
        .drive(rig.db.store().reserve(&[new], By::signer(NOW)))
        .unwrap()[0];
    let lot = [Issued {
        id,
        certificate: vec![0x30, 1],
    }];
    assert_eq!(
        rig.db
            .drive(rig.db.store().record_issued(&lot, By::signer(NOW)))
            .unwrap(),
        0
    );
    let signers = rig
        .db
        .drive(rig.db.store().ocsp_signers(rig.authority, NOW))
        .unwrap();
    assert_eq!(
        (signers[0].key_file.as_str(), signers.len()),
        ("ocsp-1.pk8", 1)
    );
    assert!(
        rig.db
            .drive(rig.db.store().ocsp_signers(rig.authority, NOW + YEAR))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_crl_or_batch_number_is_given_twice() {
    let rig = rig();
    let crl_numbers: Vec<_> = (0..3)
        .map(|_| {
            rig.db
                .drive(rig.db.store().next_crl_number(rig.authority))
                .unwrap()
        })
        .collect();
    assert_eq!(crl_numbers, [1, 2, 3]);
    for (issuer, wanted) in [([1; 16], 1), ([1; 16], 2), ([2; 16], 1), ([1; 16], 3)] {
        assert_eq!(
            rig.db
                .drive(rig.db.store().next_batch_number(&issuer))
                .unwrap(),
            wanted
        );
    }
    let crl = |number| Crl {
        authority: rig.authority,
        number,
        revision: 0,
        this_update: NOW,
        next_update: NOW + 86_400,
        der: vec![0x30, 0x02],
    };
    rig.db
        .drive(rig.db.store().record_crl(&crl(9), rig.by("signer")))
        .unwrap();
    rig.db
        .drive(rig.db.store().record_crl(&crl(8), rig.by("signer")))
        .unwrap();
    assert_eq!(
        rig.db
            .drive(rig.db.store().latest_crl(rig.authority))
            .unwrap(),
        Some(crl(9))
    );
    let batch = |number, kind, shard| BatchRecord {
        issuer: [1; 16],
        number,
        kind,
        shard,
        revision: 5,
        created_at: NOW,
        next_update: NOW + 86_400,
        renew_at: NOW + 43_200,
        records: 3,
    };
    for record in [batch(1, BatchKind::Full, 0), batch(2, BatchKind::Shard, 1)] {
        rig.db.drive(rig.db.store().record_batch(&record)).unwrap();
    }
    let latest = rig
        .db
        .drive(rig.db.store().latest_batch(&[1; 16], BatchKind::Full, 0))
        .unwrap();
    assert_eq!(latest, Some(batch(1, BatchKind::Full, 0)));
    assert_eq!(
        rig.db
            .drive(rig.db.store().latest_batch(&[1; 16], BatchKind::Shard, 0))
            .unwrap(),
        None
    );
}

#[test]
fn adopting_again_changes_the_hash_key() {
    let rig = rig();
    let adoption = |crl: u8, hash_key: u8| Adoption {
        issuer: [9; 16],
        certificate: vec![0x30],
        hash_key: [hash_key; 16],
        crl_blake3: [crl; 32],
        crl_number: Some(vec![1, 2]),
        this_update: NOW,
        next_update: None,
        as_of: Some(NOW),
        allow_weak: true,
        records: 5,
    };
    assert_eq!(
        rig.db
            .drive(rig.db.store().adopt(&adoption(1, 1), rig.by("officer")))
            .unwrap(),
        1
    );
    assert_eq!(
        rig.db
            .drive(rig.db.store().adopt(&adoption(2, 2), rig.by("officer")))
            .unwrap(),
        2
    );
    let foreign = rig.db.drive(rig.db.store().foreign()).unwrap();
    assert_eq!(foreign.len(), 1);
    assert_eq!(
        (foreign[0].revision, &foreign[0].adoption),
        (2, &adoption(2, 1))
    );
}

#[test]
fn a_change_leaves_no_audit_entry() {
    let rig = rig();
    let (number, id) = rig.issue(1, "a", 7);
    rig.db
        .drive(rig.db.store().revoke(&rig.order(id), rig.by("officer")))
        .unwrap();
    rig.db
        .drive(
            rig.db
                .store()
                .advance(number, ApplicationState::OnRecord, rig.by("clerk")),
        )
        .unwrap();
    rig.db
        .drive(
            rig.db
                .store()
                .set_setting("public_url", "x", rig.by("clerk")),
        )
        .unwrap();
    rig.db
        .drive(rig.db.store().expire(By::signer(NOW + 2 * YEAR)))
        .unwrap();
    let wanted = [
        "found", "submit", "approve", "reserve", "issue", "revoke", "advance", "set", "expire",
    ];
    assert_eq!(rig.acts(), wanted);
    let entries = rig.db.drive(rig.db.store().audit(5, 1)).unwrap();
    assert_eq!(entries[0].object, "certificate p256/07");
    assert_eq!(
        (entries[0].who.as_str(), entries[0].revision),
        ("officer", Some(2))
    );
    // A refused change leaves none.
    rig.db
        .drive(rig.db.store().revoke(&rig.order(id), rig.by("officer")))
        .unwrap_err();
    assert_eq!(rig.acts().len(), wanted.len());
}

#[test]
fn an_audit_entry_is_rewritten() {
    let rig = rig();
    for statement in ["UPDATE audit SET who = 'nobody'", "DELETE FROM audit"] {
        let done = rig
            .db
            .drive(sqlx::query(statement).execute(&rig.db.store().writer));
        assert!(done.is_err(), "{statement}");
    }
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
fn the_same_authority_is_founded_twice() {
    let rig = rig();
    for new in [founded("p256", 5), founded("other", 1)] {
        let error = rig
            .db
            .drive(rig.db.store().add_authority(&new, By::signer(NOW)))
            .unwrap_err();
        assert!(
            matches!(error, RegistryError::AuthorityExists(_)),
            "{error}"
        );
    }
}

#[test]
fn two_processes_write_at_once_and_one_is_lost() {
    let rig = rig();
    let other = open(rig.folder.path());
    std::thread::scope(|scope| {
        for (start, db) in [(0, &rig.db), (1000, &other)] {
            scope.spawn(move || {
                for n in 0..20 {
                    let lot = [reservation(AuthorityId(1), start + n + 1, None)];
                    db.drive(db.store().reserve(&lot, By::signer(NOW))).unwrap();
                }
            });
        }
    });
    assert_eq!(
        rig.db
            .drive(rig.db.store().unfinished(rig.authority))
            .unwrap()
            .len(),
        40
    );
}
