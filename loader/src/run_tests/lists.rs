//! Lists of our own registry against the packs: deltas, partitions, what expired, and what is forgotten.

mod aside;
mod beside;
mod holders;
mod partitions;
mod rounds;

use wire::batch::{Document, DocumentKind, Header, Kind, ListNote};
use wire::crl::IssuingDistributionPoint;
use wire::serial::Serial;
use wire::status::{CertStatus, RevocationReason};

use super::{Place, good};
use crate::run::PassReport;
use crate::verify::{Proof, verify};
use crate::workshop::*;

const KEY: RevocationReason = RevocationReason::KeyCompromise;

/// A list of that revision. `point` makes it a partition's, `base` a delta.
struct List<'a> {
    name: &'a str,
    number: u64,
    revision: u64,
    base: Option<u64>,
    point: Option<&'a str>,
    entries: &'a [(u64, RevocationReason)],
    expired: &'a [u64],
}

const REMOVED: RevocationReason = RevocationReason::RemoveFromCrl;

fn delta(number: u64, entries: &[(u64, RevocationReason)]) -> List<'_> {
    List {
        name: "w.delta.crl",
        number,
        revision: 8,
        base: Some(1),
        entries,
        ..WHOLE
    }
}

const WHOLE: List<'static> = List {
    name: "w.crl",
    number: 1,
    revision: 5,
    base: None,
    point: None,
    entries: &[(2, KEY)],
    expired: &[],
};

impl List<'_> {
    fn document(&self, place: &Place) -> Document {
        let name = self.point.map(IssuingDistributionPoint::name_of_uri);
        let entries: Vec<_> = self
            .entries
            .iter()
            .map(|(number, reason)| (serial(*number), NOW - 50, Some(*reason)))
            .collect();
        let life = (NOW, NOW + 86_400);
        let octets = place
            .authority
            .crl_with(life, self.number, &entries, |header| {
                header.base_number = self.base;
            });
        let octets = match &name {
            None => octets,
            Some(name) => with_point(place, &octets, name),
        };
        let mut expired: Vec<Serial> = self.expired.iter().map(|n| serial(*n)).collect();
        expired.sort_unstable();
        Document {
            kind: DocumentKind::Crl,
            name: self.name.to_owned(),
            octets,
            list: Some(ListNote {
                revision: self.revision,
                expired,
            }),
        }
    }
}

/// The same list about one distribution point, signed anew.
fn with_point(place: &Place, octets: &[u8], name: &[u8]) -> Vec<u8> {
    let crl = wire::crl::Crl::parse(octets).unwrap();
    let mut writer = wire::crl::CrlWriter::new();
    for entry in crl.entries() {
        let entry = entry.unwrap();
        writer.push(entry.serial.content(), entry.revoked_at, entry.reason, None);
    }
    let value = |content: &[u8]| {
        content
            .iter()
            .fold(0, |sum, octet| sum << 8 | u64::from(*octet))
    };
    let header = wire::crl::CrlHeader {
        algorithm: wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256,
        issuer: crl.issuer,
        this_update: crl.this_update,
        next_update: crl.next_update.unwrap(),
        number: value(crl.extensions.number.unwrap()),
        key_identifier: crl.extensions.key_identifier.unwrap(),
        base_number: crl.extensions.base_number.map(value),
        distribution_point: Some(IssuingDistributionPoint {
            name: Some(name),
            ..IssuingDistributionPoint::default()
        }),
        freshest_uri: None,
    };
    place.authority.sign_crl(&writer.finish(&header))
}

fn dated(number: u64, at: u64, reason: RevocationReason) -> Row {
    (serial(number), revoked(at, reason), 0)
}

fn row(number: u64) -> Row {
    dated(number, NOW - 50, KEY)
}

/// A base pack of that revision, then the lists in a batch of their own.
fn published(place: &Place, rows: &[Row], revision: u64, lists: &[List<'_>]) -> PassReport {
    let base = Header {
        revision,
        ..place.header(1)
    };
    place.put(base, rows);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    lists_come(place, 2, lists)
}

fn lists_come(place: &Place, number: u64, lists: &[List<'_>]) -> PassReport {
    let documents = Header {
        kind: Kind::Documents,
        documents: lists.iter().map(|list| list.document(place)).collect(),
        ..place.header(number)
    };
    place.put(documents, &[]);
    place.pass(NOW)
}

fn proof(rows: &[Row], revision: u64, lists: &[List<'_>]) -> Proof {
    let place = Place::new();
    let report = published(&place, rows, revision, lists);
    assert_eq!(report.refused.len(), 0, "{report:?}");
    verify(place.data.path(), NOW).unwrap()
}

/// The publisher does not even take them.
fn refused(rows: &[Row], revision: u64, lists: &[List<'_>]) {
    let place = Place::new();
    let report = published(&place, rows, revision, lists);
    assert_eq!(report.refused.len(), 1, "{report:?}");
    let why = &report.refused[0].reason;
    assert!(why.contains("contradict"), "{why}");
}

/// A change goes out whatever the lists say; how many differences that makes.
fn differences_after(place: &Place, number: u64, revision: u64, rows: &[Row]) -> usize {
    let delta = Header {
        kind: Kind::Delta,
        revision,
        ..place.header(number)
    };
    place.put(delta, rows);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    verify(place.data.path(), NOW).unwrap().difference_count
}

#[test]
fn a_base_signed_later_excuses_a_revocation_that_the_list_forgot() {
    // Dated before the list by more than clocks differ: the list should have it.
    let forgotten = proof(&[good(1), row(2), dated(3, NOW - 1_000, KEY)], 9, &[WHOLE]);
    assert_eq!(forgotten.difference_count, 1, "{forgotten:?}");
    let later = proof(&[good(1), row(2), dated(3, NOW + 5, KEY)], 9, &[WHOLE]);
    assert!(
        later.holds() && later.issuers[0].explained == 1,
        "{later:?}"
    );
    // The list shows a later revision than the base: nothing may be missing, whatever its date.
    let place = Place::new();
    let report = published(
        &place,
        &[good(1), row(2)],
        5,
        &[List {
            revision: 9,
            ..WHOLE
        }],
    );
    assert_eq!(report.taken.len(), 1);
    let delta = Header {
        kind: Kind::Delta,
        revision: 8,
        ..place.header(3)
    };
    place.put(delta, &[dated(3, NOW + 5, KEY)]);
    assert_eq!(
        place.pass(NOW).taken.len(),
        1,
        "a revocation goes out all the same"
    );
    assert_eq!(verify(place.data.path(), NOW).unwrap().difference_count, 1);
}

#[test]
fn what_expired_is_taken_for_forgotten_or_what_is_forgotten_for_expired() {
    let rows = [good(1), row(2), dated(3, NOW - 5_000, KEY)];
    let left = List {
        expired: &[3],
        ..WHOLE
    };
    let proved = proof(&rows, 5, &[left]);
    assert!(
        proved.holds() && proved.issuers[0].expired == 1,
        "{proved:?}"
    );
    // The names are gone: nothing is believed to have expired.
    let place = Place::new();
    let left = List {
        expired: &[3],
        ..WHOLE
    };
    let _ = published(&place, &rows, 5, &[left]);
    let folder = place.data.path().join("loader/expired");
    let names = std::fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let octets = std::fs::read(&names).unwrap();
    std::fs::write(&names, [&octets[..], &[1, 9]].concat()).unwrap();
    assert_eq!(verify(place.data.path(), NOW).unwrap().difference_count, 2);
    std::fs::remove_file(&names).unwrap();
    assert_eq!(verify(place.data.path(), NOW).unwrap().difference_count, 2);
}

#[test]
fn a_list_that_contradicts_the_packs_is_published() {
    let rows = [good(1), row(2), row(3)];
    for entries in [
        // One is forgotten, one is too many, one has another reason.
        &[(2, KEY)][..],
        &[(2, KEY), (3, KEY), (4, KEY)],
        &[(1, KEY), (2, KEY), (3, KEY)],
        &[(2, KEY), (3, RevocationReason::Superseded)],
    ] {
        let place = Place::new();
        let right = List {
            entries: &[(2, KEY), (3, KEY)],
            ..WHOLE
        };
        assert_eq!(published(&place, &rows, 5, &[right]).taken.len(), 1);
        let wrong = List {
            number: 2,
            revision: 6,
            entries,
            ..WHOLE
        };
        let report = lists_come(&place, 3, &[wrong]);
        assert_eq!(report.refused.len(), 1, "{entries:?}");
        assert!(
            report.refused[0].reason.contains("contradict"),
            "{report:?}"
        );
        assert!(
            serde_json::to_string(&report)
                .unwrap()
                .contains("contradict")
        );
        // The list before is served on, and nothing is left behind.
        assert!(verify(place.data.path(), NOW).unwrap().holds());
        let left = std::fs::read_dir(place.data.path().join("store/tmp")).unwrap();
        assert_eq!(left.count(), 0);
    }
}

#[test]
fn a_base_that_forgets_a_revocation_its_list_has_is_published() {
    let place = Place::new();
    assert_eq!(
        published(&place, &[good(1), row(2)], 5, &[WHOLE])
            .taken
            .len(),
        1
    );
    // The second revokes what the list does not have, the third says good of what it has.
    for (number, rows) in [
        (3, [good(1), row(2)]),
        (4, [row(1), row(2)]),
        (5, [good(1), good(2)]),
    ] {
        let base = Header {
            revision: 5,
            ..place.header(number)
        };
        place.put(base, &rows);
        let report = place.pass(NOW);
        assert_eq!(report.refused.len(), usize::from(number > 3), "{report:?}");
    }
    assert_eq!(place.status(1), Some(CertStatus::Good));
    assert!(matches!(place.status(2), Some(CertStatus::Revoked { .. })));
}

#[test]
fn a_delta_beside_its_full_list_is_not_held_against_the_packs() {
    let rows = [good(1), good(2), row(3)];
    let hold = || List {
        entries: &[(2, RevocationReason::CertificateHold)],
        ..WHOLE
    };
    let together = proof(&rows, 8, &[hold(), delta(2, &[(2, REMOVED), (3, KEY)])]);
    assert!(together.holds(), "{together:?}");
    assert_eq!(
        together.issuers[0].lists[0].delta.as_deref(),
        Some("w.delta.crl")
    );
    assert_eq!(
        (together.issuers[0].listed, together.issuers[0].explained),
        (1, 0)
    );
    // It says still on hold what was released.
    refused(&rows, 8, &[hold(), delta(2, &[(3, KEY)])]);
    let forgets = proof(&rows, 8, &[hold(), delta(2, &[(2, REMOVED)])]);
    assert_eq!(forgets.difference_count, 1, "{forgets:?}");
    // One number, two stories.
    refused(&[good(1), row(2)], 8, &[WHOLE, delta(1, &[(2, REMOVED)])]);
    // It changes a list that is not this one, or not there at all.
    let stranger = || List {
        base: Some(7),
        ..delta(9, &[])
    };
    refused(&[good(1), row(2)], 8, &[WHOLE, stranger()]);
    refused(&[good(1), row(2)], 8, &[stranger()]);

    let place = Place::new();
    let right = [hold(), delta(2, &[(2, REMOVED), (3, KEY)])];
    assert_eq!(published(&place, &rows, 8, &right).taken.len(), 1);
    let told = [
        dated(2, NOW - 50, RevocationReason::CertificateHold),
        good(3),
    ];
    assert_eq!(differences_after(&place, 3, 8, &told), 2);
}

#[test]
fn a_delta_list_that_ended_is_served_for_ever_or_one_that_has_not_is_dropped() {
    let place = Place::new();
    let right = [WHOLE, delta(2, &[(3, KEY)])];
    let rows = [good(1), row(2), row(3)];
    assert_eq!(published(&place, &rows, 8, &right).taken.len(), 1);
    let names = |now: u64| {
        // Sealed anew if nothing comes.
        let _ = place.pass(now);
        let store = crate::store::Store::at(place.data.path().join("store"));
        let pins = crate::seal::read_pins(&place.data.path().join("loader/seal.pub")).unwrap();
        let current = store.read_current(&pins).unwrap().unwrap();
        let mut names: Vec<String> = current
            .manifest()
            .objects
            .iter()
            .map(|entry| entry.name.clone())
            .filter(|name| name.ends_with(".crl"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(NOW + 86_399), ["w.crl", "w.delta.crl"]);
    assert_eq!(names(NOW + 90_000), ["w.crl"], "that one must be missed");
}

#[test]
fn partitions_overlap_or_do_not_make_up_the_whole() {
    let part = |point: &'static str, name: &'static str, entries| List {
        name,
        point: Some(point),
        entries,
        ..WHOLE
    };
    let one = |entries| part("http://x/crl/w.1.crl", "w.1.crl", entries);
    let other = |entries| part("http://x/crl/w.2.crl", "w.2.crl", entries);
    let rows = [good(1), row(2), row(3), row(4)];
    let whole = || List {
        entries: &[(2, KEY), (3, KEY), (4, KEY)],
        ..WHOLE
    };
    let right = proof(&rows, 5, &[whole(), one(&[(2, KEY)]), other(&[(3, KEY)])]);
    assert!(
        right.holds() && right.issuers[0].on_no_partition == 1,
        "{right:?}"
    );
    let twice = [whole(), one(&[(2, KEY), (3, KEY)]), other(&[(3, KEY)])];
    assert_eq!(proof(&rows, 5, &twice).difference_count, 1);
    // Without a list of all every revocation is on a partition's.
    let alone = proof(&rows, 5, &[one(&[(2, KEY), (4, KEY)]), other(&[(3, KEY)])]);
    assert!(alone.holds(), "{alone:?}");
    let missing = proof(&rows, 5, &[one(&[(2, KEY)]), other(&[(3, KEY)])]);
    assert_eq!(missing.difference_count, 1, "{missing:?}");
}

#[test]
fn a_partition_or_a_base_that_leaves_out_a_revocation_is_published() {
    let part = |point: &'static str, name: &'static str, entries| List {
        name,
        point: Some(point),
        entries,
        ..WHOLE
    };
    let one = |entries| part("http://x/crl/w.1.crl", "w.1.crl", entries);
    let other = |entries| part("http://x/crl/w.2.crl", "w.2.crl", entries);
    let rows = [good(1), row(2), row(3), row(4)];
    let place = Place::new();
    let lists = [one(&[(2, KEY), (4, KEY)]), other(&[(3, KEY)])];
    assert_eq!(published(&place, &rows, 5, &lists).taken.len(), 1);
    // A base that says good of what a partition has, or revokes what none has.
    for (number, wrong) in [
        (3, [good(1), row(2), good(3), row(4)]),
        (4, [row(1), row(2), row(3), row(4)]),
    ] {
        let base = Header {
            revision: 5,
            ..place.header(number)
        };
        place.put(base, &wrong);
        assert_eq!(place.pass(NOW).refused.len(), 1, "{number}");
    }
    // One of two partitions is older than the base: what it revokes may yet come there.
    let newer = List {
        number: 2,
        revision: 7,
        ..one(&[(2, KEY), (4, KEY)])
    };
    assert_eq!(lists_come(&place, 5, &[newer]).taken.len(), 1);
    let base = Header {
        revision: 6,
        ..place.header(6)
    };
    place.put(base, &[row(1), row(2), row(3), row(4)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    // A partition that forgets one it had.
    let forgetful = List {
        number: 3,
        revision: 8,
        ..one(&[(2, KEY)])
    };
    assert_eq!(lists_come(&place, 7, &[forgetful]).refused.len(), 1);
    assert_eq!(
        differences_after(&place, 8, 7, &[dated(9, NOW - 1_000, KEY)]),
        2
    );
}
