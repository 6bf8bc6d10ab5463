//! Several lists of another CA: a delta on top of its complete list, partitions; staged, repeated by a batch, proved.

mod indirect;
mod rekeyed;
mod retired;

use std::path::PathBuf;

use wire::batch::{Document, DocumentKind, Header, Source};
use wire::crl::{Crl, CrlHeader, CrlWriter, IssuingDistributionPoint};
use wire::status::{CertStatus, RevocationReason};

use super::Place;
use crate::import::crl::Judging;
use crate::import::file::{Company, CrlImport, Keeping, Report, import_crl};
use crate::import::trust::WeakPolicy;
use crate::staged::{self, identity};
use crate::verify::verify;
use crate::workshop::*;

use RevocationReason::{CertificateHold, KeyCompromise, RemoveFromCrl, Superseded};

const KEY: Option<RevocationReason> = Some(KeyCompromise);

/// A list to be signed: number, thisUpdate, nextUpdate, entries; a delta if it has a base, a partition if it has a point.
#[derive(Clone)]
struct List {
    number: u64,
    this_update: u64,
    next_update: u64,
    base: Option<u64>,
    point: Option<&'static str>,
    entries: Vec<Entry>,
}

fn full(number: u64, this_update: u64, entries: &[Entry]) -> List {
    List {
        number,
        this_update,
        next_update: NOW + 86_400,
        base: None,
        point: None,
        entries: entries.to_vec(),
    }
}

fn delta(base: u64, number: u64, this_update: u64, entries: &[Entry]) -> List {
    List {
        base: Some(base),
        ..full(number, this_update, entries)
    }
}

fn part(point: &'static str, number: u64, this_update: u64, entries: &[Entry]) -> List {
    List {
        point: Some(point),
        ..full(number, this_update, entries)
    }
}

impl List {
    fn sign(&self, authority: &Authority) -> Vec<u8> {
        let name = self.point.map(IssuingDistributionPoint::name_of_uri);
        let mut writer = CrlWriter::new();
        for (serial, at, reason) in &self.entries {
            writer.push(serial.content(), *at, *reason, None);
        }
        let tbs = writer.finish(&CrlHeader {
            algorithm: wire::algorithm::SignatureAlgorithm::EcdsaP256Sha256,
            issuer: &authority.certificate.subject,
            this_update: self.this_update,
            next_update: self.next_update,
            number: self.number,
            key_identifier: &authority.certificate.key_sha1,
            base_number: self.base,
            distribution_point: name.as_deref().map(|name| IssuingDistributionPoint {
                name: Some(name),
                ..IssuingDistributionPoint::default()
            }),
            freshest_uri: None,
        });
        authority.sign_crl(&tbs)
    }
}

#[derive(Clone, Copy, Default)]
struct How {
    keeping: Keeping,
    complete: bool,
    retired: &'static [String],
}

const ALONE: How = How {
    keeping: Keeping::Scope,
    complete: false,
    retired: &[],
};
const BESIDE: How = How {
    keeping: Keeping::Partitions,
    complete: false,
    retired: &[],
};

fn import(place: &Place, lists: &[List], how: How, now: u64) -> Result<Report, String> {
    let folder = place.data.path().join("files");
    std::fs::create_dir_all(&folder).unwrap();
    let issuer = folder.join("ca.der");
    std::fs::write(&issuer, &place.authority.certificate.der).unwrap();
    let paths: Vec<PathBuf> = (0..lists.len())
        .map(|number| folder.join(format!("{number}.crl")))
        .collect();
    for (path, list) in paths.iter().zip(lists) {
        std::fs::write(path, list.sign(&place.authority)).unwrap();
    }
    import_crl(&CrlImport {
        crl: &paths[0],
        issuer: &issuer,
        crl_issuer: None,
        data: place.data.path(),
        judging: Judging {
            now,
            as_of: None,
            weak: WeakPolicy::Refuse,
        },
        company: Company {
            others: &paths[1..],
            keeping: how.keeping,
            complete: how.complete,
            retired: how.retired,
        },
    })
    .map_err(|error| error.to_string())
}

/// A batch that repeats what is staged now.
fn repeat(place: &Place, number: u64, rows: &[Row]) {
    repeat_with(place, number, rows, &[]);
}

fn repeat_with(place: &Place, number: u64, rows: &[Row], further: &[Document]) {
    let id = place.authority.certificate.id().to_string();
    let opened = staged::open(place.data.path(), &id).unwrap().unwrap();
    let mut documents = further.to_vec();
    let mut next_update = None;
    for (place, list) in opened.lists.iter().enumerate() {
        let octets = std::fs::read(&list.path).unwrap();
        let end = Crl::parse(&octets).unwrap().next_update;
        next_update = next_update.into_iter().chain(end).min();
        documents.push(Document {
            kind: DocumentKind::Crl,
            name: format!("foreign-{place}.crl"),
            octets,
            list: None,
        });
    }
    let local = OcspSigner::local();
    let header = Header {
        source: Source::ForeignCrl {
            blake3: opened.options.crl_blake3,
            next_update,
            as_of: None,
        },
        documents,
        ..header(&place.authority, &local, number)
    };
    place.put_octets(number, &batch(header, rows, &local, &place.key));
}

fn key(number: u64) -> Entry {
    (serial(number), NOW - 500, KEY)
}

fn row(number: u64) -> Row {
    (serial(number), revoked(NOW - 500, KeyCompromise), 0)
}

// RFC 5280 §5.2.4: the complete list and its delta together say what is revoked.
#[test]
fn a_delta_is_left_out_of_what_is_answered_or_clears_nothing() {
    let base = full(
        5,
        NOW - 300,
        &[
            key(1),
            (serial(2), NOW - 900, Some(CertificateHold)),
            key(3),
        ],
    );
    let change = delta(
        5,
        7,
        NOW - 100,
        &[
            (serial(2), NOW - 200, Some(RemoveFromCrl)),
            key(4),
            // Dated before what the complete list says: the delta's word counts all the same.
            (serial(3), NOW - 950, Some(Superseded)),
            // Taken off although it never stood there.
            (serial(8), NOW - 200, Some(RemoveFromCrl)),
        ],
    );
    let right = [
        row(1),
        (serial(3), revoked(NOW - 950, Superseded), 0),
        row(4),
    ];
    for at_once in [true, false] {
        let place = Place::new();
        let report = if at_once {
            import(&place, &[base.clone(), change.clone()], ALONE, NOW).unwrap()
        } else {
            import(&place, std::slice::from_ref(&base), ALONE, NOW).unwrap();
            import(&place, std::slice::from_ref(&change), ALONE, NOW).unwrap()
        };
        assert_eq!((report.revoked, report.lists.len()), (3, 2), "{report:?}");
        repeat(&place, 1, &right);
        let taken = place.pass(NOW);
        assert_eq!(taken.taken.len(), 1, "{taken:?}");
        let answers: Vec<_> = (1..=4).map(|number| place.status(number)).collect();
        assert_eq!(answers[1], None, "released");
        assert_eq!(answers[2], Some(right[1].1));
        assert!(matches!(answers[3], Some(CertStatus::Revoked { .. })));
        let proof = verify(place.data.path(), NOW).unwrap();
        assert!(proof.holds(), "{proof:?}");
        assert_eq!((proof.issuers[0].listed, proof.issuers[0].revoked), (3, 3));
        // The next import must not blind it to what is published.
        let newer = full(8, NOW - 50, &[key(1)]);
        import(&place, &[newer], ALONE, NOW).unwrap();
        let proof = verify(place.data.path(), NOW).unwrap();
        assert!(proof.holds() && proof.issuers[0].listed == 3, "{proof:?}");
    }
    let wrong = |change_rows: &dyn Fn(&mut Vec<Row>)| {
        let place = Place::new();
        import(&place, &[base.clone(), change.clone()], ALONE, NOW).unwrap();
        let mut rows = right.to_vec();
        change_rows(&mut rows);
        repeat(&place, 1, &rows);
        place.refused(NOW)
    };
    let held = (serial(2), revoked(NOW - 900, CertificateHold), 0);
    assert!(wrong(&|rows| rows.push(held)).contains("not revoked by the staged list"));
    assert!(wrong(&|rows| _ = rows.remove(2)).contains("missing from the batch"));
    assert!(wrong(&|rows| rows[1] = row(3)).contains("the batch says"));
}

#[test]
fn a_batch_of_the_complete_list_alone_is_taken_for_one_of_list_and_delta() {
    let place = Place::new();
    let base = full(5, NOW - 300, &[key(1)]);
    import(&place, &[base], ALONE, NOW).unwrap();
    repeat(&place, 1, &[row(1)]);
    import(&place, &[delta(5, 6, NOW - 100, &[key(2)])], ALONE, NOW).unwrap();
    let why = place.refused(NOW);
    assert!(why.contains("the one staged is another"), "{why}");
}

// RFC 5280 §5.2.4 (c), (d): base and delta by their numbers; a list never goes back.
#[test]
fn a_delta_is_put_on_a_list_it_does_not_change() {
    let base = || full(5, NOW - 300, &[key(1)]);
    let refused = |lists: &[List], how: How| {
        let place = Place::new();
        import(&place, &[base()], ALONE, NOW).unwrap();
        let why = import(&place, lists, how, NOW).unwrap_err();
        // What was staged stays.
        let id = place.authority.certificate.id().to_string();
        let opened = staged::open(place.data.path(), &id).unwrap().unwrap();
        assert_eq!(opened.lists.len(), 1);
        why
    };
    let of_a_later = refused(&[delta(6, 7, NOW - 100, &[])], ALONE);
    assert!(of_a_later.contains("older than the base"), "{of_a_later}");
    let behind = refused(&[delta(3, 4, NOW - 100, &[])], ALONE);
    assert!(behind.contains("newer than the delta"), "{behind}");
    let scope = List {
        point: Some("http://x/1.crl"),
        ..delta(5, 6, NOW - 100, &[])
    };
    let other = refused(std::slice::from_ref(&scope), ALONE);
    assert!(other.contains("another scope"), "{other}");
    let other = refused(&[scope], BESIDE);
    assert!(other.contains("side by side"), "{other}");
    let twice = refused(
        &[delta(5, 6, NOW - 100, &[]), delta(5, 7, NOW - 90, &[])],
        ALONE,
    );
    assert!(twice.contains("two lists of one scope"), "{twice}");
    let place = Place::new();
    let alone = import(&place, &[delta(5, 6, NOW - 100, &[])], ALONE, NOW).unwrap_err();
    assert!(alone.contains("says nothing without its base"), "{alone}");
}

#[test]
fn a_complete_list_takes_back_what_a_newer_delta_has_said() {
    let place = Place::new();
    let staged_lists = || {
        let id = place.authority.certificate.id().to_string();
        let opened = staged::open(place.data.path(), &id).unwrap().unwrap();
        opened.lists.len()
    };
    let base = full(5, NOW - 300, &[key(1)]);
    let newest = delta(5, 9, NOW - 100, &[key(2)]);
    import(&place, &[base, newest], ALONE, NOW).unwrap();
    // Older than the delta, and one it can be put on: it stays.
    let report = import(&place, &[full(7, NOW - 200, &[key(1)])], ALONE, NOW).unwrap();
    assert_eq!((report.revoked, staged_lists()), (2, 2));
    // An older delta, by number or by date.
    for older in [delta(5, 8, NOW - 50, &[]), delta(5, 10, NOW - 150, &[])] {
        let why = import(&place, &[older], ALONE, NOW).unwrap_err();
        assert!(why.contains("never goes backwards"), "{why}");
    }
    // Later by date, but numbered before the delta: it would take back what the delta says, or the delta what it says.
    let why = import(&place, &[full(8, NOW - 40, &[key(1)])], ALONE, NOW).unwrap_err();
    assert!(why.contains("not a delta of it"), "{why}");
    assert_eq!(staged_lists(), 2);
    // Past the delta: that goes.
    let report = import(&place, &[full(9, NOW - 30, &[key(1), key(2)])], ALONE, NOW).unwrap();
    assert_eq!((report.revoked, staged_lists()), (2, 1));
    assert!(
        report.odd.iter().any(|odd| odd.contains("goes")),
        "{report:?}"
    );
}

// RFC 5280 §5.2.3: of two lists of one scope the later one has the higher number.
// RFC 5280 §5.2.3: a delta of its complete list's own number says the same.
#[test]
fn a_delta_of_its_lists_own_number_or_of_an_earlier_day_has_the_last_word() {
    let held = (serial(2), NOW - 900, Some(CertificateHold));
    let released = |number| (serial(number), NOW - 200, Some(RemoveFromCrl));
    let judged = |change: List| {
        let base = full(5, NOW - 300, &[key(1), held]);
        import(&Place::new(), &[base, change], ALONE, NOW)
    };
    // What the list says, and off it what never stood there.
    let echo = delta(3, 5, NOW - 300, &[key(1), released(8)]);
    assert_eq!(judged(echo).unwrap().revoked, 2);
    for wrong in [released(2), key(3), (serial(1), NOW - 400, KEY)] {
        let why = judged(delta(3, 5, NOW - 300, &[wrong])).unwrap_err();
        assert!(why.contains("bear one number"), "{why}");
    }
    let earlier = judged(delta(5, 6, NOW - 301, &[key(3)])).unwrap_err();
    assert!(earlier.contains("dated before it"), "{earlier}");
}

// RFC 5280 §5.2.5: partitions are told apart by their distribution points.
#[test]
fn a_partition_replaces_another_or_is_taken_for_the_whole() {
    const ONE: &str = "http://x/1.crl";
    const TWO: &str = "http://x/2.crl";
    let place = Place::new();
    let one = part(ONE, 3, NOW - 300, &[key(1)]);
    let two = part(TWO, 1, NOW - 200, &[key(2), key(3)]);
    import(&place, std::slice::from_ref(&one), ALONE, NOW).unwrap();
    let other = import(&place, std::slice::from_ref(&two), ALONE, NOW).unwrap_err();
    assert!(other.contains("--partition"), "{other}");
    let report = import(&place, &[two], BESIDE, NOW).unwrap();
    assert_eq!((report.revoked, report.complete), (3, false));
    repeat(&place, 1, &[row(1), row(2), row(3)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    assert!(verify(place.data.path(), NOW).unwrap().holds());

    // The word that they are all is part of what a batch must name.
    let newer = part(TWO, 2, NOW - 100, &[key(2)]);
    let said = How {
        complete: true,
        ..BESIDE
    };
    let report = import(&place, std::slice::from_ref(&newer), said, NOW).unwrap();
    assert!(report.complete);
    assert_ne!(report.crl_blake3, hex_of(&place, false));
    assert_eq!(report.crl_blake3, hex_of(&place, true));
    repeat(&place, 2, &[row(1), row(2)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    assert_eq!(place.status(3), None);
    assert!(verify(place.data.path(), NOW).unwrap().holds());
    // One of them anew, with its delta: still all. One more: not any longer.
    let change = List {
        point: Some(TWO),
        ..delta(2, 3, NOW - 80, &[key(4)])
    };
    let report = import(&place, &[change], BESIDE, NOW).unwrap();
    assert_eq!(
        (report.revoked, report.complete, report.lists.len()),
        (3, true, 3)
    );
    let third = part("http://x/3.crl", 1, NOW - 70, &[]);
    assert!(!import(&place, &[third], BESIDE, NOW).unwrap().complete);

    // Two that contradict each other.
    let place = Place::new();
    let twisted = part(TWO, 1, NOW - 200, &[(serial(1), NOW - 400, KEY)]);
    let why = import(&place, &[one.clone(), twisted], ALONE, NOW).unwrap_err();
    assert!(why.contains("two partitions"), "{why}");
    let same = part(TWO, 1, NOW - 200, &[key(1)]);
    assert_eq!(import(&place, &[one, same], ALONE, NOW).unwrap().revoked, 1);
}

fn hex_of(place: &Place, complete: bool) -> String {
    let id = place.authority.certificate.id().to_string();
    let opened = staged::open(place.data.path(), &id).unwrap().unwrap();
    let hashes: Vec<_> = opened.lists.iter().map(|list| list.blake3).collect();
    crate::digest::encode_hex(&identity(&hashes, complete))
}

#[test]
fn partitions_that_come_one_by_one_keep_each_other_out() {
    let place = Place::new();
    let short = List {
        next_update: NOW + 100,
        ..part("http://x/1.crl", 1, NOW - 300, &[key(1)])
    };
    let long = part("http://x/2.crl", 1, NOW - 300, &[key(2)]);
    import(&place, &[short, long], ALONE, NOW).unwrap();
    // Signed while both were good; then one ends, and so would every answer.
    repeat(&place, 1, &[row(1), row(2)]);
    let why = place.refused(NOW);
    assert!(why.contains("a window ends after the nextUpdate"), "{why}");
    let newer = part("http://x/2.crl", 2, NOW, &[key(2)]);
    let report = import(&place, &[newer], BESIDE, NOW + 200).unwrap();
    let stale = "past its nextUpdate";
    assert!(
        report.odd.iter().any(|odd| odd.contains(stale)),
        "{report:?}"
    );
    repeat(&place, 2, &[row(1), row(2)]);
    let why = place.refused(NOW + 200);
    assert!(why.contains("has passed"), "{why}");
}
