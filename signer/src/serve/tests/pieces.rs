//! Changes in pieces: after a long stop, between two of them, refused, cut short, and made by two threads.

use super::faults::refuse;
use super::*;
use crate::registry::{Rest, StatusRow};
use crate::settings::{Settings, SettingsConfig};
use std::cell::Cell;
use std::collections::BTreeSet;

/// An office that signs two changes at a time.
fn piecemeal(folder: &Path) -> Office<SqliteStore> {
    let mut office = issued(folder);
    office.settings = Settings::new(SettingsConfig {
        delta_records: 2,
        ..SettingsConfig::default()
    })
    .unwrap();
    office
}

/// Issues so many more, all in one go; their serials.
fn issue_more(office: &Office<SqliteStore>, alias: &str, count: usize) -> BTreeSet<Serial> {
    let before = serials(office, alias);
    let rows: Vec<_> = (0..count)
        .map(|number| {
            let number = before.len() + number;
            person(&format!("某{number}"), &format!("M{number}"))
        })
        .collect();
    let approved = approve(office, alias, &rows);
    let report = issue::issue(office, approved, By::signer(now()), |_| {}).unwrap();
    assert_eq!(report.issued, count as u64);
    &serials(office, alias) - &before
}

fn serials(office: &Office<SqliteStore>, alias: &str) -> BTreeSet<Serial> {
    let rows = certificates(office, alias).into_iter();
    rows.map(|row| row.serial).collect()
}

fn way() -> Way<'static> {
    Way {
        clock: &now,
        progress: &|_| {},
        stop: &|| false,
    }
}

/// One look at the changes: the batches it wrote, and whether there is more.
fn piece(shift: &Shift<'_, SqliteStore>, way: Way<'_>) -> (Vec<Written>, Rest) {
    let mut report = PassReport::default();
    let rest = shift.rounds.changes(way, &mut report).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    (report.batches, rest)
}

fn read(office: &Office<SqliteStore>, written: &Written) -> Batch {
    assert_eq!(written.kind, Kind::Delta);
    Batch::read(office, &written.issuer, written.number)
}

fn said(office: &Office<SqliteStore>, written: &[Written]) -> Vec<Serial> {
    let deltas = written.iter().filter(|written| written.kind == Kind::Delta);
    deltas.flat_map(|w| read(office, w).serials()).collect()
}

#[test]
fn a_revocation_waits_behind_all_that_was_issued_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let issued = issue_more(&office, "p256", 5);
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    let report = shift.pass(&now, &|_| {}).unwrap();
    let deltas: Vec<_> = report
        .batches
        .iter()
        .filter(|written| written.kind == Kind::Delta)
        .map(|written| read(&office, written))
        .collect();
    assert!(deltas[0].serials().contains(&revoked));
    assert!(deltas.iter().all(|delta| delta.serials().len() <= 2));
    assert!(deltas.is_sorted_by_key(|delta| delta.header.revision));
    let mut all = said(&office, &report.batches);
    let mut expected: Vec<_> = issued.into_iter().collect();
    expected.push(revoked);
    expected.sort_unstable();
    expected.dedup();
    all.sort_unstable();
    assert_eq!(all, expected, "each once");
    let last = report.batches.last().unwrap();
    assert_eq!(last.kind, Kind::Documents, "behind all of them");
    assert_eq!(pass(&mut shift, now()), []);
    drop(shift);
    assert_eq!(pass(&mut begin(&office), now()), []);
}

#[test]
fn a_revocation_between_two_pieces_waits_for_the_last_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let issued = issue_more(&office, "sm2", 7);
    let (first, rest) = piece(&shift, way());
    assert_eq!((first.len(), rest), (1, Rest::More));
    // Of those that were issued, the last ones: what says that they are good has not left yet.
    let store = office.registry.store();
    let id = office.issuer("sm2").unwrap().id();
    let statuses = office.registry.drive(store.statuses(id, None)).unwrap();
    let told = said(&office, &first);
    let untold = |row: &&StatusRow| issued.contains(&row.serial) && !told.contains(&row.serial);
    let chosen = statuses.rows.iter().rfind(untold).unwrap().serial;
    let found = office.registry.drive(store.certificate(id, &chosen));
    let revocation = Revocation {
        id: found.unwrap().unwrap().id,
        reason: RevocationReason::KeyCompromise,
        ground: "私钥泄露".to_owned(),
        at: now(),
        invalidity_date: None,
    };
    let by = By::person("officer", now());
    let revision = office
        .registry
        .drive(store.revoke(&revocation, by))
        .unwrap();
    let (second, _) = piece(&shift, way());
    let batch = read(&office, &second[0]);
    assert_eq!(batch.header.revision, revision);
    assert!(batch.serials().contains(&chosen));
    // And nobody says afterwards that it is good.
    let mut later = Vec::new();
    while let (more, Rest::More) = piece(&shift, way()) {
        later.extend(more);
    }
    assert!(!said(&office, &later).contains(&chosen));
    assert!(later.iter().all(|written| written.revision >= revision));
}

#[test]
fn a_piece_claims_what_a_later_one_tells() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let _ = issue_more(&office, "p256", 6);
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let newest = || office.registry.wait(|store| store.revision()).unwrap();
    let revoked = || revoke(&office, "p256", RevocationReason::KeyCompromise);
    let next = || {
        let (written, rest) = piece(&shift, way());
        let delta = read(&office, &written[0]);
        (delta.header.revision, delta.serials(), rest)
    };
    // The first since the start may begin far behind what the loader holds, which takes none that goes back.
    let mut told: Vec<_> = (0..3).map(|_| revoked()).collect();
    let (borne, first, _) = next();
    assert_eq!(borne, newest());
    let (borne, second, rest) = next();
    assert_eq!((borne, rest), (newest(), Rest::Nothing));
    let mut said = [first, second].concat();
    // From then on none claims the revision of what comes behind it.
    told.extend((0..2).map(|_| revoked()));
    let before = newest();
    told.push(revoked());
    let (borne, third, rest) = next();
    assert_eq!((borne, third.len(), rest), (before, 2, Rest::More));
    let (borne, fourth, rest) = next();
    assert_eq!((borne, fourth.len(), rest), (newest(), 1, Rest::Nothing));
    said.extend(third.into_iter().chain(fourth));
    told.sort_unstable();
    said.sort_unstable();
    assert_eq!(said, told);
}

#[test]
fn a_piece_that_was_refused_leaves_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    let mut expected = issue_more(&office, "p256", 6);
    expected.insert(revoked);
    let (first, _) = piece(&shift, way());
    let (second, rest) = piece(&shift, way());
    assert_eq!((second.len(), rest), (1, Rest::More));
    refuse(&office, "p256", first[0].number);
    let report = shift.pass(&now, &|_| {}).unwrap();
    let again: BTreeSet<_> = said(&office, &report.batches).into_iter().collect();
    assert_eq!(again, expected, "all of it, and the revocation first");
    let mut batches = report.batches.iter();
    let makes_up = batches.find(|w| w.kind == Kind::Delta).unwrap();
    assert!(read(&office, makes_up).serials().contains(&revoked));
    assert_eq!(pass(&mut shift, now()), []);
}

#[test]
fn a_signer_killed_between_two_pieces_forgets_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let issued = issue_more(&office, "p256", 5);
    let (_, rest) = piece(&shift, way());
    assert_eq!(rest, Rest::More);
    drop(shift);
    let mut shift = begin(&office);
    let report = shift.pass(&now, &|_| {}).unwrap();
    let again: BTreeSet<_> = said(&office, &report.batches).into_iter().collect();
    assert_eq!(again, issued);
    assert_eq!(pass(&mut shift, now()), []);
}

#[test]
fn a_change_begun_before_the_one_ahead_of_it_was_refused_counts() {
    let folder = tempfile::tempdir().unwrap();
    let office = issued(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let first = revoke(&office, "p256", RevocationReason::KeyCompromise);
    let written = shift.pass(&now, &|_| {}).unwrap().batches;
    let second = revoke(&office, "p256", RevocationReason::Superseded);
    refuse(&office, "p256", written[0].number);
    // The clock is asked when it is known what the batch begins behind, and not yet what is in it.
    let looked = Cell::new(false);
    let clock = || {
        if !looked.replace(true) {
            let mut report = PassReport::default();
            shift.rounds.refused_first(way(), &mut report).unwrap();
            assert!(report.faults.is_empty());
        }
        now()
    };
    let in_between = Way {
        clock: &clock,
        ..way()
    };
    let (none, rest) = piece(&shift, in_between);
    assert!(looked.get());
    assert_eq!(
        (none, rest),
        (vec![], Rest::More),
        "it would not know of the first"
    );
    let (makes_up, _) = piece(&shift, way());
    let both: BTreeSet<_> = said(&office, &makes_up).into_iter().collect();
    assert_eq!(both, BTreeSet::from([first, second]));
}

#[test]
fn a_list_reaches_the_loader_before_what_it_revokes() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    issue_more(&office, "sm2", 5);
    let revoked = revoke(&office, "sm2", RevocationReason::KeyCompromise);
    // Another thread's round, before that of the changes has begun.
    let mut report = PassReport::default();
    shift.rounds.papers(way(), &mut report).unwrap();
    let kinds: Vec<_> = report.batches.iter().map(|w| w.kind).collect();
    assert_eq!(kinds, [Kind::Delta, Kind::Documents]);
    assert!(report.batches.is_sorted_by_key(|written| written.number));
    assert!(said(&office, &report.batches).contains(&revoked));
    let lists = newest(&office, "sm2", Kind::Documents).header;
    assert!(lists.revision <= report.batches[0].revision);
    // The rest of what was issued is on no list, and comes by itself.
    let (_, rest) = piece(&shift, way());
    assert_eq!(rest, Rest::More);
}

#[test]
fn papers_of_others_wait_for_all_the_pieces_of_one_whose_key_is_slow() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    issue_more(&office, "sm2", 3);
    for _ in 0..6 {
        revoke(&office, "sm2", RevocationReason::KeyCompromise);
    }
    let asked = Cell::new(0);
    let slow = Way {
        clock: &|| {
            asked.set(asked.get() + 1);
            now() + asked.get()
        },
        ..way()
    };
    let mut report = PassReport::default();
    shift.rounds.papers(slow, &mut report).unwrap();
    let kinds: Vec<_> = report.batches.iter().map(|w| w.kind).collect();
    assert_eq!(kinds, [Kind::Delta], "two of six");
    // The list comes behind the last of them, a piece a round at least.
    for _ in 0..3 {
        shift.rounds.papers(way(), &mut report).unwrap();
    }
    let kinds: Vec<_> = report.batches.iter().map(|w| w.kind).collect();
    assert_eq!(&kinds[..3], [Kind::Delta; 3]);
    assert_eq!(kinds.last(), Some(&Kind::Documents));
}

#[test]
fn two_threads_say_the_same_change() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    issue_more(&office, "p256", 10);
    let _ = pass(&mut shift, now());
    let revoked: BTreeSet<_> = (0..8)
        .map(|_| revoke(&office, "p256", RevocationReason::KeyCompromise))
        .collect();
    let rounds = &shift.rounds;
    let changes = || {
        let mut report = PassReport::default();
        while rounds.changes(way(), &mut report).unwrap() == Rest::More {}
        report.batches
    };
    let both = std::thread::scope(|scope| {
        let one = scope.spawn(changes);
        let mut both = changes();
        both.extend(one.join().unwrap());
        both
    });
    let mut all = said(&office, &both);
    all.sort_unstable();
    assert_eq!(all, Vec::from_iter(revoked), "each once");
}

#[test]
fn pieces_that_begin_again_are_below_what_the_loader_holds() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    issue_more(&office, "p256", 8);
    let mut held = 0;
    let mut takes = |report: &PassReport| {
        let deltas = report.batches.iter().filter(|w| w.kind == Kind::Delta);
        for delta in deltas {
            let header = read(&office, delta).header;
            assert!(header.revision >= held, "{} < {held}", header.revision);
            held = header.revision;
        }
    };
    let mut last = 0;
    let mut revoked = BTreeSet::new();
    for _ in 0..5 {
        revoked.insert(revoke(&office, "p256", RevocationReason::KeyCompromise));
        let report = shift.pass(&now, &|_| {}).unwrap();
        takes(&report);
        last = report.batches[0].number;
    }
    // All but the last are out; what makes up for it begins before the first.
    refuse(&office, "p256", last);
    let report = shift.pass(&now, &|_| {}).unwrap();
    takes(&report);
    let again: BTreeSet<_> = said(&office, &report.batches).into_iter().collect();
    assert!(again.is_superset(&revoked));
    // And after a kill between two pieces.
    for _ in 0..3 {
        revoked.insert(revoke(&office, "p256", RevocationReason::KeyCompromise));
    }
    let mut report = PassReport::default();
    assert_eq!(
        shift.rounds.changes(way(), &mut report).unwrap(),
        Rest::More
    );
    takes(&report);
    drop(shift);
    let mut shift = begin(&office);
    let report = shift.pass(&now, &|_| {}).unwrap();
    takes(&report);
    assert_eq!(pass(&mut shift, now()), []);
}

#[test]
fn revocations_are_lost_with_bases_that_an_operator_wanted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut office = issued(folder.path());
    office.settings = Settings::new(SettingsConfig {
        shards: 4,
        shard_records: 1,
        ..SettingsConfig::default()
    })
    .unwrap();
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now());
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    shift.forget_all().unwrap();
    let mut report = PassReport::default();
    shift.rounds.refused_first(way(), &mut report).unwrap();
    // Before any of the bases is signed again, and killed then.
    let (first, _) = piece(&shift, way());
    assert_eq!(said(&office, &first), [revoked]);
}

#[test]
fn a_base_that_came_since_ends_what_a_refused_change_said() {
    let folder = tempfile::tempdir().unwrap();
    let office = piecemeal(folder.path());
    let mut shift = begin(&office);
    let _ = pass(&mut shift, now() - 20 * 3_600);
    let revoked = revoke(&office, "p256", RevocationReason::KeyCompromise);
    let (lost, _) = piece(&shift, way());
    // The base is due. It says so too, but may be refused, or hidden behind what was joined.
    let bases = pass(&mut shift, now());
    assert!(
        bases
            .iter()
            .any(|(alias, kind, _)| alias == "p256" && *kind == Kind::Full)
    );
    refuse(&office, "p256", lost[0].number);
    let mut report = PassReport::default();
    shift.rounds.refused_first(way(), &mut report).unwrap();
    let (again, _) = piece(&shift, way());
    assert_eq!(said(&office, &again), [revoked]);
    let (nothing, _) = piece(&shift, way());
    assert_eq!(nothing, [], "once a refusal");
}
