//! What must not go in: one thing wrong a test.

use rcgen::IsCa;
use wire::batch::{Document, DocumentKind, Header, Kind};
use wire::status::{CertStatus, RevocationReason};

use super::{Place, good};
use crate::seal::SealKey;
use crate::workshop::*;

#[test]
fn a_torn_batch_goes_in() {
    let place = Place::new();
    let octets = batch(
        place.header(1),
        &[good(1), good(2)],
        &place.signer,
        &place.key,
    );
    for cut in [0, 7, 15, 100, octets.len() - 97, octets.len() - 1] {
        place.put_octets(1, &octets[..cut]);
        assert!(place.refused(NOW).contains("octets"), "cut at {cut}");
    }
    let longer = [octets.as_slice(), &[0]].concat();
    place.put_octets(1, &longer);
    assert!(place.refused(NOW).contains("octets, its header says"));
}

#[test]
fn a_flipped_bit_goes_in() {
    let place = Place::new();
    let octets = batch(
        place.header(1),
        &[good(1), good(2)],
        &place.signer,
        &place.key,
    );
    // Every sixteenth octet, whatever it means.
    for at in (0..octets.len()).step_by(16) {
        let mut flipped = octets.clone();
        flipped[at] ^= 0x10;
        place.put_octets(1, &flipped);
        let report = place.pass(NOW);
        assert_eq!(
            (report.taken.len(), report.refused.len()),
            (0, 1),
            "octet {at}: {report:?}"
        );
    }
    // None of these touched the number: the true one still goes in.
    place.put_octets(1, &octets);
    assert_eq!(place.pass(NOW).taken.len(), 1);
}

#[test]
fn a_batch_of_another_signer_goes_in() {
    let place = Place::new();
    let (other, _) = SealKey::generate().unwrap();
    let octets = batch(place.header(1), &[good(1)], &place.signer, &other);
    place.put_octets(1, &octets);
    assert!(
        place
            .refused(NOW)
            .contains("not signed by the pinned batch key")
    );
}

#[test]
fn a_lower_number_or_revision_goes_in() {
    let place = Place::new();
    place.put(place.header(5), &[good(1)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    place.put(place.header(4), &[good(2)]);
    assert!(place.refused(NOW).contains("not above 5"));
    place.put(
        Header {
            revision: 4,
            ..place.header(6)
        },
        &[good(2)],
    );
    assert!(place.refused(NOW).contains("revision 4 is below 5"));
    assert_eq!(
        place.status(1),
        Some(CertStatus::Good),
        "the old generation serves on"
    );
}

#[test]
fn a_batch_under_another_hash_key_or_shard_count_stops_the_line() {
    let place = Place::new();
    place.put(place.header(1), &[good(1)]);
    place.pass(NOW);
    let header = Header {
        kind: Kind::Delta,
        hash_key: wire::serial::SerialHashKey([8; 16]),
        ..place.header(2)
    };
    place.put(header, &[good(2)]);
    assert!(place.refused(NOW).contains("hash key"));
    let header = Header {
        kind: Kind::Shard,
        shards: 2,
        ..place.header(3)
    };
    place.put(header, &[]);
    assert!(place.refused(NOW).contains("of 2 shards"));
    // A full batch may change both.
    let header = Header {
        hash_key: wire::serial::SerialHashKey([8; 16]),
        shards: 2,
        ..place.header(4)
    };
    place.put(header, &[good(2)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
    assert_eq!(place.status(2), Some(CertStatus::Good));
}

#[test]
fn one_refused_batch_stops_the_others() {
    let place = Place::new();
    let path = place.put(place.header(1), &[good(1)]);
    std::fs::write(&path, b"HUFUBTCH").unwrap();
    let other = Authority::found("Other CA");
    let signer = other.ocsp_signer();
    let octets = batch(header(&other, &signer, 1), &[good(9)], &signer, &place.key);
    spool(place.data.path(), &other, 1, &octets);
    let report = place.pass(NOW);
    assert_eq!(
        (report.taken.len(), report.refused.len()),
        (1, 1),
        "{report:?}"
    );
    let aside = path.parent().unwrap().join("refused");
    assert!(aside.join(path.file_name().unwrap()).exists());
    assert!(aside.join(format!("{:020}.reason", 1)).exists());
}

#[test]
fn a_record_out_of_order_or_twice_goes_in() {
    let place = Place::new();
    let header = Header {
        record_count: 2,
        ..place.header(1)
    };
    let mut records: Vec<Vec<u8>> = [good(1), good(2)]
        .iter()
        .map(|row| record(&header, row, &place.signer))
        .collect();
    records.sort_by_key(|record| HASH_KEY.hash(wire::serial::shortest(&record[..20])));
    place.put_octets(
        1,
        &seal(
            &header,
            &[records[1].clone(), records[0].clone()].concat(),
            &place.key,
        ),
    );
    assert!(place.refused(NOW).contains("before the record ahead of it"));
    place.put_octets(
        1,
        &seal(
            &header,
            &[records[0].clone(), records[0].clone()].concat(),
            &place.key,
        ),
    );
    assert!(place.refused(NOW).contains("twice"));
}

#[test]
fn a_record_with_a_bad_code_window_or_signature_goes_in() {
    let place = Place::new();
    let header = Header {
        record_count: 1,
        ..place.header(1)
    };
    let whole = record(&header, &good(1), &place.signer);
    let wrong = |at: usize, octet: u8| {
        let mut record = whole.clone();
        record[at] = octet;
        place.put_octets(1, &seal(&header, &record, &place.key));
        place.refused(NOW)
    };
    assert!(wrong(20, 7).contains("a code is not one known here"));
    assert!(wrong(20, 8).contains("removeFromCRL"));
    assert!(wrong(20, 0xfd).contains("only a delta"));
    assert!(wrong(21, 1).contains("reserved octets must be zero"));
    assert!(wrong(25, 1).contains("window 1 of 1"));
    assert!(wrong(30, 0).contains("variant 0"));
    assert!(wrong(27 + 64 + 5, 0).contains("variant 1 (sha256, ecdsa-p256-sha256) is no good"));
}

#[test]
fn a_responder_that_is_no_delegate_signs() {
    let place = Place::new();
    let stranger = OcspSigner::local();
    let octets = batch(
        header(&place.authority, &stranger, 1),
        &[good(1)],
        &stranger,
        &place.key,
    );
    place.put_octets(1, &octets);
    assert!(place.refused(NOW).contains("does not name the issuer"));
    // Another CA of the same name.
    let stranger = Authority::found("Workshop CA").ocsp_signer();
    let octets = batch(
        header(&place.authority, &stranger, 1),
        &[good(1)],
        &stranger,
        &place.key,
    );
    place.put_octets(1, &octets);
    assert!(place.refused(NOW).contains("not signed by the issuer"));
}

#[test]
fn a_window_outside_its_responders_validity_goes_in() {
    let place = Place::new();
    let mut header = place.header(1);
    header.windows[0].next_update = place.signer.certificate.not_after + 1;
    place.put(header, &[good(1)]);
    assert!(place.refused(NOW).contains("within the validity"));
}

#[test]
fn a_batch_of_which_no_pack_can_be_made_stops_the_line() {
    let place = Place::new();
    let header = Header {
        shards: 70_000,
        ..place.header(1)
    };
    place.put(header, &[good(1)]);
    assert_eq!(
        place.refused(NOW),
        "no pack can be made of it: the pack would not be sound: the header's counts contradict one another"
    );
    place.put(place.header(2), &[good(1)]);
    assert_eq!(place.pass(NOW).taken.len(), 1);
}

#[test]
fn a_batch_that_cannot_be_read_now_is_set_aside_or_overtaken() {
    let place = Place::new();
    place.put(place.header(1), &[good(1)]);
    place.pass(NOW);
    // A folder under a batch's name opens and cannot be read, like a file on a disk in trouble.
    let revocation = Header {
        kind: Kind::Delta,
        ..place.header(2)
    };
    let status = revoked(NOW, RevocationReason::KeyCompromise);
    let path = place.put(revocation.clone(), &[(serial(1), status, 0)]);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    place.put(place.header(3), &[good(1), good(2)]);
    let other = Authority::found("Other CA");
    let signer = other.ocsp_signer();
    let octets = batch(header(&other, &signer, 1), &[good(9)], &signer, &place.key);
    spool(place.data.path(), &other, 1, &octets);

    let report = place.pass(NOW);
    assert_eq!(report.put_off.len(), 1, "{report:?}");
    assert_eq!((report.put_off[0].number, report.refused.len()), (2, 0));
    assert_eq!(
        report.taken.len(),
        1,
        "the other issuer goes on: {report:?}"
    );
    std::fs::remove_dir(&path).unwrap();
    place.put(revocation, &[(serial(1), status, 0)]);
    let report = place.pass(NOW);
    let taken: Vec<u64> = report.taken.iter().map(|taken| taken.number).collect();
    assert_eq!(taken, [2, 3], "{report:?}");
}

#[test]
fn a_published_list_goes_backwards_or_comes_from_no_ca() {
    let place = Place::new();
    let put = |number: u64, octets: Vec<u8>, others: Vec<Document>| {
        let mut documents = vec![Document {
            kind: DocumentKind::Crl,
            name: "workshop.crl".to_owned(),
            octets,
            list: None,
        }];
        documents.extend(others);
        let header = Header {
            kind: Kind::Documents,
            documents,
            ..place.header(number)
        };
        place.put(header, &[]);
    };
    let crl = |this, number| place.authority.crl((this, NOW + 86_400), number, &[]);
    put(1, crl(NOW, 7), Vec::new());
    assert_eq!(place.pass(NOW).taken.len(), 1);
    put(2, crl(NOW - 1, 8), Vec::new());
    assert!(place.refused(NOW).contains("thisUpdate lies before"));
    put(3, crl(NOW, 6), Vec::new());
    assert!(place.refused(NOW).contains("number is below"));
    put(4, crl(NOW + 1, 8), Vec::new());
    assert_eq!(place.pass(NOW).taken.len(), 1);
    // A certificate that is no CA's came along, and its key signed a list.
    let no_ca = Authority::with("No CA", |params| params.is_ca = IsCa::ExplicitNoCa);
    let certificate = Document {
        kind: DocumentKind::OtherCertificate,
        name: "other.cer".to_owned(),
        octets: no_ca.certificate.der.clone(),
        list: None,
    };
    put(
        5,
        no_ca.crl((NOW + 2, NOW + 86_400), 9, &[]),
        vec![certificate],
    );
    assert!(place.refused(NOW).contains("may sign lists"));
}

#[test]
fn windows_are_not_held_against_the_clock() {
    let place = Place::new();
    let with = |number, change: &dyn Fn(&mut wire::batch::Window)| {
        let mut header = place.header(number);
        change(&mut header.windows[0]);
        place.put(header, &[good(1)])
    };
    with(1, &|window| window.next_update = NOW);
    assert!(place.refused(NOW).contains("ended at"));
    with(2, &|window| window.produced_at = NOW - 1);
    assert!(place.refused(NOW).contains("producedAt lies before"));
    // Ahead of our clock: it waits until the clock has caught up.
    with(3, &|window| window.produced_at = NOW + 301);
    let report = place.pass(NOW);
    assert_eq!((report.put_off.len(), report.refused.len()), (1, 0));
    assert!(report.put_off[0].reason.contains("check both clocks"));
    assert_eq!(place.pass(NOW + 1).taken.len(), 1);
    with(4, &|window| window.produced_at = NOW + 3700);
    assert!(place.refused(NOW + 1).contains("check both clocks"));
    // What is no longer answered is not answered "good".
    let mut header = Header {
        kind: Kind::Delta,
        ..place.header(5)
    };
    header.windows[0].next_update = NOW + 2;
    let status = revoked(NOW, RevocationReason::KeyCompromise);
    place.put(header, &[(serial(1), status, 0)]);
    assert_eq!(place.pass(NOW + 3).taken.len(), 1);
}
