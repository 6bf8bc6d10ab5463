//! What goes wrong beside the straight way: refused batches, lost keys, two processes, clocks.

use super::*;
use crate::registry::{CertificateFilter, CertificateState};
use std::cell::Cell;

fn folder_of(office: &Office<SqliteStore>, alias: &str) -> PathBuf {
    office
        .home
        .spool(&office.issuer(alias).unwrap().issuer_id())
}

/// What the loader does with a batch it will not take.
pub(super) fn refuse(office: &Office<SqliteStore>, alias: &str, number: u64) {
    let folder = folder_of(office, alias);
    std::fs::create_dir_all(folder.join("refused")).unwrap();
    let aside = folder.join("refused").join(spool_name(number));
    std::fs::rename(folder.join(spool_name(number)), aside).unwrap();
    let reason = folder.join(format!("refused/{number:020}.reason"));
    std::fs::write(reason, "its octets\n").unwrap();
}

#[test]
fn a_revocation_in_a_batch_the_loader_refused_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let revoked = revoke(&office, "sm2", RevocationReason::KeyCompromise);
    assert_eq!(pass(&mut shift, now()).len(), 2);
    refuse(&office, "sm2", 3);
    assert_eq!(
        pass(&mut shift, now()),
        [("sm2".to_owned(), Kind::Delta, 1)],
        "what was refused, and nothing else"
    );
    assert_eq!(newest(&office, "sm2", Kind::Delta).serials(), [revoked]);
    assert_eq!(pass(&mut shift, now()), [], "once a refusal");
    refuse(&office, "sm2", 4);
    assert_eq!(
        pass(&mut shift, now()),
        [("sm2".to_owned(), Kind::Documents, 0)]
    );
    refuse(&office, "sm2", 2);
    assert_eq!(pass(&mut shift, now()), [("sm2".to_owned(), Kind::Full, 4)]);
    // A process that begins anew sees that it was made up for.
    drop(shift);
    let mut shift = begin(&office);
    assert_eq!(pass(&mut shift, now()), []);
    // By hand.
    shift.forget_all().unwrap();
    let kinds: Vec<_> = pass(&mut shift, now()).into_iter().map(|w| w.1).collect();
    let (papers, full) = (Kind::Documents, Kind::Full);
    assert_eq!(kinds, [papers, papers, full, full]);
    assert_eq!(pass(&mut shift, now()), []);
}

#[test]
fn what_was_revoked_is_lost_with_a_batch_that_was_refused_after_the_next_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let first = revoke(&office, "sm2", RevocationReason::KeyCompromise);
    let _ = pass(&mut shift, now());
    let second = revoke(&office, "sm2", RevocationReason::Superseded);
    let _ = pass(&mut shift, now());
    assert_eq!(Batch::read(&office, "sm2", 5).serials(), [second]);
    // The loader takes number 5 all the same, and never hears of the first again.
    refuse(&office, "sm2", 3);
    refuse(&office, "sm2", 4);
    // Killed before it could do anything about it.
    drop(shift);
    let mut shift = begin(&office);
    assert_eq!(
        pass(&mut shift, now()),
        [
            ("sm2".to_owned(), Kind::Delta, 2),
            ("sm2".to_owned(), Kind::Documents, 0)
        ]
    );
    let mut said = newest(&office, "sm2", Kind::Delta).serials();
    said.sort_unstable();
    let mut both = [first, second];
    both.sort_unstable();
    assert_eq!(said, both);
    let files = newest(&office, "sm2", Kind::Documents).header.documents;
    assert!(
        files.iter().any(|file| file.name == "sm2-root.crl"),
        "all of them"
    );
    assert_eq!(pass(&mut shift, now()), [], "once a refusal");
    drop(shift);
    assert_eq!(pass(&mut begin(&office), now()), []);
}

#[test]
fn a_revocation_waits_until_a_refused_base_is_signed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    revoke(&office, "sm2", RevocationReason::KeyCompromise);
    let _ = pass(&mut shift, now());
    refuse(&office, "sm2", 2);
    let revoked = revoke(&office, "sm2", RevocationReason::Superseded);
    let written = pass(&mut shift, now());
    let kinds: Vec<_> = written.iter().map(|w| w.1).collect();
    assert_eq!(kinds, [Kind::Delta, Kind::Documents, Kind::Full]);
    assert_eq!(newest(&office, "sm2", Kind::Delta).serials(), [revoked]);
}

#[test]
fn a_list_waits_because_another_authority_took_the_revision() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    revoke(&office, "sm2", RevocationReason::KeyCompromise);
    let _ = pass(&mut shift, now());
    let issuer = office.issuer("p256").unwrap();
    let lists = crl::write(&office, &[issuer], crl::Urgency::Now, By::signer(now())).unwrap();
    assert_eq!(
        pass(&mut shift, now()),
        [("p256".to_owned(), Kind::Documents, 0)]
    );
    let header = newest(&office, "p256", Kind::Documents).header;
    assert_eq!(header.revision, lists[0].revision);
    assert_eq!(header.documents[0].octets, lists[0].der);
}

#[test]
fn one_authority_without_its_keys_stops_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    for name in office.keyring.names_beginning("p256").unwrap() {
        office.keyring.remove(&name).unwrap();
    }
    for alias in ["p256", "sm2"] {
        revoke(&office, alias, RevocationReason::KeyCompromise);
    }
    let spool = folder_of(&office, "sm2");
    acknowledge(&spool, 1, &trailing_hash(&spool, 1));
    let report = shift.pass(&now, &|_| {}).unwrap();
    let kinds: Vec<_> = report
        .batches
        .iter()
        .map(|w| (&*w.issuer, w.kind))
        .collect();
    assert_eq!(kinds, [("sm2", Kind::Delta), ("sm2", Kind::Documents)]);
    assert!(!report.faults.is_empty());
    assert!(report.faults.iter().all(|fault| fault.issuer == "p256"));
    assert!(!spool.join(spool_name(1)).exists(), "swept all the same");
    assert!(
        !shift.changed(),
        "a fault is not tried again ten times a second"
    );
    revoke(&office, "sm2", RevocationReason::KeyCompromise);
    assert!(shift.changed(), "and hides no revocation");
}

#[test]
fn a_batch_is_dated_before_the_revocation_it_reports() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now() - 100);
    revoke(&office, "p256", RevocationReason::KeyCompromise);
    // Time goes on while a batch is prepared: what was asked first lies before the revocation.
    let asked = Cell::new(0);
    let clock = || {
        asked.set(asked.get() + 1);
        now() - 30 + 10 * asked.get().min(3)
    };
    let way = Way {
        clock: &clock,
        progress: &|_| {},
        stop: &|| false,
    };
    let mut report = PassReport::default();
    let rest = shift.rounds.changes(way, &mut report).unwrap();
    assert_eq!((report.batches.len(), rest), (1, Rest::Nothing));
    let delta = newest(&office, "p256", Kind::Delta);
    let layout = delta.header.layout().unwrap();
    let record = layout.record(&delta.records).unwrap();
    let CertStatus::Revoked { at, .. } = record.status().unwrap() else {
        panic!("revoked")
    };
    assert!(delta.header.windows[0].this_update >= at);
}

#[test]
fn a_revocation_waits_behind_a_full_batch() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now() - 20 * 3_600);
    revoke(&office, "sm2", RevocationReason::KeyCompromise);
    let written = pass(&mut shift, now());
    assert_eq!(written[0], ("sm2".to_owned(), Kind::Delta, 1));
    assert_eq!(written.iter().filter(|w| w.1 == Kind::Full).count(), 2);
}

#[test]
fn a_certificate_is_signed_twice_because_two_processes_finish_it() {
    let folder = tempfile::tempdir().unwrap();
    let office = founded(folder.path());
    let issuer = office.issuer("p256").unwrap();
    let mut shift = begin(&office);
    let approved = approve(&office, "p256", &[person("张三", "E1")]);
    let state = || {
        let filter = CertificateFilter {
            submission: Some(crate::registry::SubmissionNumber(1)),
            ..CertificateFilter::default()
        };
        let rows = office
            .registry
            .drive(office.registry.store().certificates(&filter));
        rows.unwrap()[0].state
    };
    let another = issue::Issuing::wait(&office.home).unwrap();
    issue::reserve_only(&office, &issuer, &approved.into_items(), By::signer(now()));
    let _ = pass(&mut shift, now());
    assert_eq!(
        state(),
        CertificateState::Reserved,
        "its process still lives"
    );
    drop(another);
    let _ = pass(&mut shift, now());
    assert_eq!(state(), CertificateState::Issued);
}

#[test]
fn answers_of_a_revoked_signer_stay() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let first = newest(&office, "sm2", Kind::Full).header;
    let filter = CertificateFilter {
        alias: Some("sm2".to_owned()),
        kind: Some(crate::registry::CertificateKind::OcspSigner),
        ..CertificateFilter::default()
    };
    let store = office.registry.store();
    let signer = office.registry.drive(store.certificates(&filter)).unwrap();
    let revocation = Revocation {
        id: signer[0].id,
        reason: RevocationReason::KeyCompromise,
        ground: "私钥泄露".to_owned(),
        at: now(),
        invalidity_date: None,
    };
    let by = By::person("officer", now());
    office
        .registry
        .drive(store.revoke(&revocation, by))
        .unwrap();
    let written = pass(&mut shift, now());
    assert!(
        written.contains(&("sm2".to_owned(), Kind::Full, 5)),
        "{written:?}"
    );
    let again = newest(&office, "sm2", Kind::Full).header;
    assert_ne!(first.responders, again.responders);
    assert_eq!(pass(&mut shift, now()), [], "once");
}

#[test]
fn an_authority_that_is_revoked_issues() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let filter = CertificateFilter {
        alias: Some("p256-root".to_owned()),
        ..CertificateFilter::default()
    };
    let store = office.registry.store();
    let own = office.registry.drive(store.certificates(&filter)).unwrap();
    let revocation = Revocation {
        id: own[0].id,
        reason: RevocationReason::CessationOfOperation,
        ground: "合并重组".to_owned(),
        at: now(),
        invalidity_date: None,
    };
    let by = By::person("officer", now());
    office
        .registry
        .drive(store.revoke(&revocation, by))
        .unwrap();
    let approved = approve(&office, "p256", &[person("赵六", "E9")]);
    let refused = issue::issue(&office, approved, By::signer(now()), |_| {});
    assert!(matches!(refused, Err(CaError::Revoked(_))));
    // Who was certified before is answered for as ever.
    let _ = pass(&mut begin(&office), now());
    assert!(newest(&office, "p256", Kind::Full).serials().len() > 3);
}

#[test]
fn near_the_authoritys_end_every_batch_gets_a_new_signer() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let end = office.issuer("p256").unwrap().not_after - 86_400;
    let signers = || office.keyring.names_beginning("p256-ocsp-").unwrap().len();
    let mut shift = begin(&office);
    let _ = pass(&mut shift, end);
    let before = signers();
    let _ = pass(&mut shift, end + 50_000);
    assert_eq!(signers(), before);
}

#[test]
fn keys_of_ended_signers_and_of_none_stay_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let keys = || office.keyring.names_beginning("p256-ocsp-").unwrap();
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let first = keys();
    // Made, and then the disk was full.
    let algorithm = wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256;
    office.keyring.make("p256-ocsp-00", algorithm).unwrap();
    let _ = pass(&mut shift, now() + 30 * 86_400);
    assert_eq!(keys().len(), 1);
    assert_ne!(keys(), first);
    assert!(
        office.keyring.holds("p256"),
        "the authority's own key is no signer's"
    );
}

#[test]
fn a_clock_that_was_ahead_leaves_certificates_expired_and_signers_without_keys() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    let _ = pass(&mut shift, now());
    let states = || {
        let rows = certificates(&office, "p256");
        let states = rows
            .into_iter()
            .map(|row| (row.serial == revoked, row.state));
        states.collect::<std::collections::BTreeMap<_, _>>()
    };
    let before = states();
    let _ = pass(&mut shift, now() + 400 * 86_400);
    assert_eq!(states()[&false], CertificateState::Expired);
    let again = pass(&mut shift, now());
    let full = again.iter().filter(|w| w.1 == Kind::Full).count();
    assert_eq!(full, 2, "signed by our clock again");
    assert_eq!(states(), before);
    revoke(&office, "p256", RevocationReason::KeyCompromise);
    assert!(!pass(&mut shift, now()).is_empty());
}
