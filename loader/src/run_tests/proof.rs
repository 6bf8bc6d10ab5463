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
    // A revocation after the list was made is explained by it.
    let later = [good(1), row(2, RevocationReason::KeyCompromise), {
        (
            serial(3),
            revoked(NOW + 60, RevocationReason::KeyCompromise),
            0,
        )
    }];
    place.put(
        Header {
            number: 9,
            revision: 9,
            ..header
        },
        &later,
    );
    place.pass(NOW);
    let proof = verify(place.data.path(), NOW).unwrap();
    assert!(proof.holds(), "{proof:?}");
    assert_eq!(proof.issuers[0].explained, 1);
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
