//! What goes in is served, and nothing of it is lost.

use wire::batch::{Document, DocumentKind, Header, Kind};
use wire::status::{CertStatus, RevocationReason};

use super::{Place, good};
use crate::durable::FsDisk;
use crate::manifest::Role;
use crate::verify::verify;
use crate::workshop::*;

#[test]
fn a_batch_is_not_served_or_not_acknowledged() {
    let place = Place::new();
    place.put(place.header(1), &[good(1), good(2), good(3)]);
    let report = place.pass(NOW);
    assert_eq!(report.generation, Some(1));
    assert_eq!(report.taken[0].verified, 2, "both variants of one record");
    assert_eq!(place.status(2), Some(CertStatus::Good));
    assert_eq!(place.status(4), None);
    assert!(place.ack(1).unwrap().ends_with(" 1\n"));
    assert!(verify(place.data.path(), NOW).unwrap().holds());
    // Nothing came: nothing is published, until the seal grows old.
    assert_eq!(place.pass(NOW + 1).generation, None);
    let report = place.pass(NOW + 1800);
    assert_eq!((report.generation, report.resealed), (Some(2), true));
}

#[test]
fn a_full_batch_of_several_shards_loses_records_or_empty_shards() {
    let place = Place::new();
    let header = Header {
        shards: 16,
        ..place.header(1)
    };
    let rows: Vec<Row> = (1..=20).map(good).collect();
    place.put(header, &rows);
    assert_eq!(place.pass(NOW).refused.len(), 0);
    for number in 1..=20 {
        assert_eq!(place.status(number), Some(CertStatus::Good), "{number}");
    }
    assert_eq!(verify(place.data.path(), NOW).unwrap().files, 16);
}

#[test]
fn a_delta_is_hidden_by_the_base_or_lost_when_joined() {
    let place = Place::new();
    let rows: Vec<Row> = (1..=50).map(good).collect();
    place.put(place.header(1), &rows);
    place.pass(NOW);
    for number in 2..=20 {
        let header = Header {
            kind: Kind::Delta,
            ..place.header(number)
        };
        let status = revoked(NOW - number, RevocationReason::Superseded);
        // One serial anew, and one that every delta says something else of.
        place.put(
            header,
            &[
                (serial(number), status, 0),
                (
                    serial(50),
                    revoked(NOW - number, RevocationReason::KeyCompromise),
                    0,
                ),
            ],
        );
        assert_eq!(place.pass(NOW + number).taken.len(), 1);
        assert_eq!(place.status(number), Some(status));
        assert_eq!(
            place.status(50),
            Some(revoked(NOW - number, RevocationReason::KeyCompromise))
        );
    }
    for number in 2..=20 {
        let status = revoked(NOW - number, RevocationReason::Superseded);
        assert_eq!(place.status(number), Some(status), "{number}");
    }
    let line = place.line(&FsDisk);
    let packs = line.publisher().current().unwrap().objects.len();
    assert_eq!(packs, 1 + crate::draft::MOST_DELTAS);
    drop(line);
    assert!(verify(place.data.path(), NOW).unwrap().holds());

    // A full batch older than the newest delta leaves that one, and takes the others' place.
    let header = Header {
        revision: 19,
        ..place.header(21)
    };
    let mut rows: Vec<Row> = vec![good(1), good(20), good(21)];
    rows.extend((2..=19).map(|number| {
        let status = revoked(NOW - number, RevocationReason::Superseded);
        (serial(number), status, 0)
    }));
    place.put(header, &rows);
    place.pass(NOW + 30);
    let line = place.line(&FsDisk);
    let deltas: Vec<u64> = line
        .publisher()
        .current()
        .unwrap()
        .objects
        .iter()
        .filter_map(|entry| match &entry.role {
            Role::Delta(note) => Some(note.records),
            _ => None,
        })
        .collect();
    assert_eq!(
        deltas,
        [2],
        "what the new base says too is gone from the delta"
    );
    drop(line);
    assert_eq!(place.status(21), Some(CertStatus::Good));
    assert_eq!(
        place.status(20),
        Some(revoked(NOW - 20, RevocationReason::Superseded))
    );
}

#[test]
fn documents_are_served_unread() {
    let place = Place::new();
    let crl = place.authority.crl((NOW, NOW + 86_400), 1, &[]);
    let document = |octets: &[u8]| Document {
        kind: DocumentKind::Crl,
        name: "workshop.crl".to_owned(),
        octets: octets.to_vec(),
        list: None,
    };
    let header = Header {
        kind: Kind::Documents,
        documents: vec![document(&crl)],
        ..place.header(1)
    };
    place.put(header.clone(), &[]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    let mut flipped = crl.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let header = Header {
        number: 2,
        documents: vec![document(&flipped)],
        ..header
    };
    place.put(header, &[]);
    assert!(place.refused(NOW).contains("workshop.crl"));
}

#[test]
fn deltas_joined_twice_in_one_pass_are_lost() {
    let place = Place::new();
    place.put(place.header(1), &[good(1)]);
    let status = revoked(NOW, RevocationReason::Superseded);
    // The last two are joined first, and the one before them with what came of it.
    let sizes = [9, 9, 9, 9, 9, 9, 9, 3, 1, 1];
    let mut last = 100;
    for (number, size) in (2..).zip(sizes) {
        let header = Header {
            kind: Kind::Delta,
            ..place.header(number)
        };
        let rows: Vec<Row> = (0..size).map(|n| (serial(last + n), status, 0)).collect();
        last += size;
        place.put(header, &rows);
    }
    assert_eq!(place.pass(NOW).taken.len(), 11);
    for number in 100..last {
        assert_eq!(place.status(number), Some(status), "{number}");
    }
}

#[test]
fn a_root_that_two_issuers_share_stops_the_line() {
    let place = Place::new();
    let other = Authority::found("Other CA");
    let root = Document {
        kind: DocumentKind::OtherCertificate,
        name: "root.cer".to_owned(),
        octets: Authority::found("Root").certificate.der,
        list: None,
    };
    for authority in [&place.authority, &other] {
        let header = Header {
            kind: Kind::Documents,
            documents: vec![root.clone()],
            ..header(authority, &authority.ocsp_signer(), 1)
        };
        let octets = batch(header, &[], &place.signer, &place.key);
        spool(place.data.path(), authority, 1, &octets);
    }
    assert_eq!(place.pass(NOW).taken.len(), 2);
    assert_eq!(verify(place.data.path(), NOW).unwrap().files, 1);
}

#[test]
fn a_name_is_left_without_its_file_when_another_name_of_the_same_octets_changes() {
    let place = Place::new();
    let document = |name: &str, octets: &[u8]| Document {
        kind: DocumentKind::OtherCertificate,
        name: name.to_owned(),
        octets: octets.to_vec(),
        list: None,
    };
    let (one, other) = (Authority::found("One"), Authority::found("Other"));
    let (one, other) = (&one.certificate.der, &other.certificate.der);
    for (number, documents) in [
        (1, vec![document("a.cer", one), document("b.cer", one)]),
        (2, vec![document("a.cer", other)]),
    ] {
        let header = Header {
            kind: Kind::Documents,
            documents,
            ..place.header(number)
        };
        place.put(header, &[]);
    }
    assert_eq!(place.pass(NOW).taken.len(), 2);
    let proof = verify(place.data.path(), NOW).unwrap();
    assert!(proof.holds() && proof.files == 2, "{proof:?}");
}

#[test]
fn a_shard_signed_anew_keeps_the_other_shards_out() {
    let place = Place::new();
    let header = |number| Header {
        shards: 2,
        ..place.header(number)
    };
    let full = Header {
        revision: 5,
        ..header(1)
    };
    let in_shard = |wanted: u32| {
        let shard = |n: u64| wire::serial::shard(HASH_KEY.hash(serial(n).content()), 2).0;
        (1..).find(|n| shard(*n) == wanted).unwrap()
    };
    place.put(full, &[good(in_shard(0)), good(in_shard(1))]);
    for (number, shard, revision) in [(2, 0, 9), (3, 1, 7)] {
        let header = Header {
            kind: Kind::Shard,
            shard,
            revision,
            ..header(number)
        };
        place.put(header, &[good(in_shard(shard))]);
    }
    let report = place.pass(NOW);
    assert_eq!(report.taken.len(), 3, "{report:?}");
    // Its own goes no further back.
    let header = Header {
        kind: Kind::Shard,
        shard: 0,
        revision: 8,
        ..header(4)
    };
    place.put(header, &[good(in_shard(0))]);
    assert!(place.refused(NOW).contains("revision 8 is below 9"));
}

#[test]
fn a_new_sealing_key_shuts_the_loader_out_of_its_own_store() {
    let place = Place::new();
    place.put(place.header(1), &[good(1)]);
    place.pass(NOW);
    std::fs::remove_file(place.data.path().join("loader/seal.key")).unwrap();
    place.put(place.header(2), &[good(2)]);
    assert_eq!(place.pass(NOW + 1).generation, Some(2));
    // Whoever reads the pin file believes both.
    assert_eq!(place.status(2), Some(CertStatus::Good));
    let pins = crate::seal::read_pins(&place.data.path().join("loader/seal.pub")).unwrap();
    assert_eq!(pins.len(), 2);
    let line = place.line(&FsDisk);
    let previous = line.publisher().current().unwrap().previous;
    assert_eq!(previous.unwrap().number, 1);
}

#[test]
fn a_seal_runs_out_before_it_is_renewed() {
    use crate::run::{OpenLineError, Terms, open};
    let place = Place::new();
    let terms = |valid_for_secs, reseal_after_secs| Terms {
        valid_for_secs,
        reseal_after_secs,
    };
    for terms in [terms(1800, 1800), terms(0, 0), terms(60, u64::MAX)] {
        let refused = open(&FsDisk, place.data.path(), terms).err();
        assert!(matches!(refused, Some(OpenLineError::Terms(_))));
    }
    let mut line = open(&FsDisk, place.data.path(), terms(u64::MAX, u64::MAX - 1)).unwrap();
    place.put(place.header(1), &[good(1)]);
    for pass in 0..2 {
        line.pass(NOW + pass, &mut |_, _| ()).unwrap();
    }
}
