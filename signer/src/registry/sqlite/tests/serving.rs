//! Authorities, OCSP signers, lists, batches, adoptions, the audit trail, two processes at once.

use super::*;

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
    let crl = |number| full_list(rig.authority, number, vec![0x30, 0x02]);
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
        shards: 4,
        variants: 3,
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

#[test]
fn threads_that_share_a_store_wait_for_ever() {
    let rig = rig();
    std::thread::scope(|scope| {
        for thread in 0..8_u32 {
            let rig = &rig;
            scope.spawn(move || {
                for n in 0..10 {
                    let lot = [reservation(rig.authority, thread * 100 + n + 1, None)];
                    let ids = rig
                        .db
                        .drive(rig.db.store().reserve(&lot, By::signer(NOW)))
                        .unwrap();
                    let lot = [Issued {
                        id: ids[0],
                        certificate: vec![0x30],
                    }];
                    rig.db
                        .drive(rig.db.store().record_issued(&lot, By::signer(NOW)))
                        .unwrap();
                    rig.db.wait(Store::revision).unwrap();
                }
            });
        }
    });
    assert_eq!(rig.db.wait(Store::revision).unwrap(), 80);
}

#[test]
fn every_list_ever_signed_stays_in_the_file() {
    let rig = rig();
    let other = founded("sm2", 2);
    let other = rig
        .db
        .drive(rig.db.store().add_authority(&other, By::signer(NOW)))
        .unwrap();
    for authority in [other, rig.authority] {
        for number in 1..=10 {
            let crl = full_list(authority, number, vec![0x30; 1000]);
            rig.db
                .drive(rig.db.store().record_crl(&crl, By::signer(NOW)))
                .unwrap();
            // The newest is always there, and its note says the same.
            let latest = rig.db.wait(|s| s.latest_crl(authority)).unwrap();
            assert_eq!(latest.as_ref(), Some(&crl));
            let note = rig.db.wait(|s| s.latest_crl_note(authority)).unwrap();
            assert_eq!(note, Some(crl.note));
        }
    }
    let kept: Vec<(i64, i64)> = rig.rows("SELECT authority, count(*) FROM list GROUP BY authority");
    assert_eq!(kept, [(rig.authority.0, 4), (other.0, 4)]);
}

fn full_list(authority: AuthorityId, number: u64, der: Vec<u8>) -> Crl {
    Crl {
        note: CrlNote {
            authority,
            scope: ListScope::Whole,
            form: ListForm::Full,
            number,
            revision: number,
            this_update: NOW + number,
            next_update: NOW + YEAR,
            cut: None,
            names_deltas: false,
        },
        expired: Vec::new(),
        der,
    }
}

#[test]
fn a_list_of_one_form_or_partition_pushes_out_those_of_another() {
    let rig = rig();
    let record = |scope, form, number| {
        let mut crl = full_list(rig.authority, number, vec![0x30]);
        (crl.note.scope, crl.note.form) = (scope, form);
        crl.expired = vec![Serial::from_content(&[7, 8]).unwrap()];
        rig.db
            .wait(|s| s.record_crl(&crl, By::signer(NOW)))
            .unwrap();
        let read = rig.db.wait(|s| s.crl(&crl.note)).unwrap();
        assert_eq!(read.as_ref(), Some(&crl));
    };
    record(ListScope::Whole, ListForm::Full, 1);
    record(ListScope::Partition(1), ListForm::Full, 2);
    for number in 3..20 {
        record(ListScope::Whole, ListForm::Delta { base: 1 }, number);
    }
    record(ListScope::Partition(1), ListForm::Delta { base: 2 }, 2);
    let kept = rig.db.wait(|s| s.crl_notes(rig.authority)).unwrap();
    let numbers: Vec<_> = kept.iter().map(|note| note.number).collect();
    assert_eq!(numbers, [1, 2, 2, 16, 17, 18, 19]);
    let newest = rig.db.wait(|s| s.latest_crl_note(rig.authority)).unwrap();
    assert_eq!(newest.map(|note| note.number), Some(1));
}
