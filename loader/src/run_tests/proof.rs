//! `verify` finds what is wrong with what is published.

use wire::batch::{Document, DocumentKind, Header};
use wire::status::RevocationReason;

use super::{Place, good};
use crate::verify::verify;
use crate::workshop::*;

#[test]
fn verify_overlooks_a_crl_that_says_otherwise() {
    let place = Place::new();
    let listed = [(serial(2), NOW - 50, Some(RevocationReason::KeyCompromise))];
    let document = Document {
        kind: DocumentKind::Crl,
        name: "workshop.crl".to_owned(),
        octets: place.authority.crl((NOW, NOW + 86_400), 1, &listed),
        list: None,
    };
    let header = Header {
        documents: vec![document],
        ..place.header(1)
    };
    let row = |number, reason| (serial(number), revoked(NOW - 50, reason), 0);
    place.put(
        header.clone(),
        &[good(1), row(2, RevocationReason::KeyCompromise)],
    );
    place.pass(NOW);
    assert!(verify(place.data.path(), NOW).unwrap().holds());
    let wrong = [
        vec![good(1), good(2)],
        vec![good(1)],
        vec![good(1), row(2, RevocationReason::Superseded)],
        vec![
            row(1, RevocationReason::Superseded),
            row(2, RevocationReason::KeyCompromise),
        ],
    ];
    for (number, rows) in (2..).zip(wrong) {
        let header = Header {
            number,
            revision: number,
            ..header.clone()
        };
        place.put(header, &rows);
        assert_eq!(place.pass(NOW).taken.len(), 1);
        let proof = verify(place.data.path(), NOW).unwrap();
        assert_eq!(proof.difference_count, 1, "{proof:?}");
    }
}

/// The rows after the list are in a base pack signed anew an hour later.
fn proved_later(listed: RevocationReason, rows: &[Row]) -> (usize, usize) {
    let place = Place::new();
    let listed = [(serial(2), NOW - 50, Some(listed))];
    let document = Document {
        kind: DocumentKind::Crl,
        name: "workshop.crl".to_owned(),
        octets: place.authority.crl((NOW, NOW + 86_400), 1, &listed),
        list: None,
    };
    let header = Header {
        documents: vec![document],
        created_at: NOW + 3600,
        ..place.header(1)
    };
    place.put(header, rows);
    assert_eq!(place.pass(NOW + 3600).taken.len(), 1);
    let proof = verify(place.data.path(), NOW + 3600).unwrap();
    (proof.difference_count, proof.issuers[0].explained)
}

#[test]
fn a_base_pack_signed_anew_explains_whatever_it_says() {
    use RevocationReason::{CertificateHold, KeyCompromise, Superseded};
    let row = |number, at, reason| (serial(number), revoked(at, reason), 0);
    let same = row(2, NOW - 50, KeyCompromise);
    let proved = |rows: &[Row]| proved_later(KeyCompromise, rows);
    assert_eq!(proved(&[good(1), same]), (0, 0));
    assert_eq!(proved(&[good(1), good(2)]), (1, 0), "good again");
    assert_eq!(proved(&[good(1)]), (1, 0), "gone");
    assert_eq!(proved(&[row(2, NOW - 50, Superseded)]), (1, 0), "reason");
    assert_eq!(proved(&[row(2, NOW - 51, KeyCompromise)]), (1, 0), "time");
    // Revoked since, with a date before the list.
    assert_eq!(proved(&[same, row(3, NOW - 60, KeyCompromise)]), (0, 1));
    // A hold may end either way.
    let proved = |rows: &[Row]| proved_later(CertificateHold, rows);
    assert_eq!(proved(&[good(2)]), (0, 1));
    assert_eq!(proved(&[row(2, NOW + 9, KeyCompromise)]), (0, 1));
    assert_eq!(proved(&[row(2, NOW - 51, CertificateHold)]), (1, 0));
}

#[test]
fn a_date_after_the_list_in_a_pack_made_before_it_counts_as_later() {
    let place = Place::new();
    let document = Document {
        kind: DocumentKind::Crl,
        name: "workshop.crl".to_owned(),
        octets: place.authority.crl((NOW, NOW + 86_400), 1, &[]),
        list: None,
    };
    let header = Header {
        documents: vec![document],
        ..place.header(1)
    };
    let ahead = revoked(NOW + 60, RevocationReason::KeyCompromise);
    place.put(header, &[good(1), (serial(3), ahead, 0)]);
    place.pass(NOW);
    let proof = verify(place.data.path(), NOW).unwrap();
    assert_eq!(proof.difference_count, 1, "{proof:?}");
}

#[test]
fn verify_overlooks_a_flipped_bit_in_a_published_file() {
    let place = Place::new();
    place.put(place.header(1), &[good(1), good(2)]);
    place.pass(NOW);
    let objects = place.data.path().join("store/objects");
    let object = std::fs::read_dir(objects)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut octets = std::fs::read(&object).unwrap();
    let at = octets.len() - 100;
    octets[at] ^= 1;
    std::fs::write(&object, octets).unwrap();
    let proof = verify(place.data.path(), NOW).unwrap();
    assert!(!proof.holds());
    assert!(proof.differences[0].contains("not those that were sealed"));
}
