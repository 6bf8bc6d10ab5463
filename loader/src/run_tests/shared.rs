//! Two authorities below one root: each batch brings the root's files in the state they had when it was made.

use wire::batch::{Document, DocumentKind, Header, Kind};

use super::Place;
use crate::durable::FsDisk;
use crate::run::PassReport;
use crate::verify::verify;
use crate::workshop::*;

/// The root's certificate and its list of that number.
fn of_root(root: &Authority, number: u64) -> Vec<Document> {
    let at = NOW + number;
    vec![
        Document {
            kind: DocumentKind::OtherCertificate,
            name: "root.cer".to_owned(),
            octets: root.certificate.der.clone(),
            list: None,
        },
        Document {
            kind: DocumentKind::Crl,
            name: "root.crl".to_owned(),
            octets: root.crl((at, at + 86_400), number, &[]),
            list: None,
        },
    ]
}

fn put(place: &Place, authority: &Authority, number: u64, documents: Vec<Document>) -> PassReport {
    let header = Header {
        kind: Kind::Documents,
        documents,
        ..header(authority, &authority.ocsp_signer(), number)
    };
    let octets = batch(header, &[], &place.signer, &place.key);
    spool(place.data.path(), authority, number, &octets);
    place.pass(NOW + number)
}

/// The number of the list of that name.
fn published(place: &Place, name: &str) -> Vec<u8> {
    let line = place.line(&FsDisk);
    let entry = line.publisher().current().unwrap().objects.iter();
    let entry = entry.clone().find(|entry| entry.name == name).unwrap();
    let octets = std::fs::read(
        place
            .data
            .path()
            .join("store")
            .join("objects")
            .join(entry.blake3.to_string()),
    );
    let octets = octets.unwrap();
    wire::crl::Crl::parse(&octets)
        .unwrap()
        .extensions
        .number
        .unwrap()
        .to_vec()
}

#[test]
fn a_root_list_is_held_back_or_turned_back_by_the_other_issuers_batch() {
    let place = Place::new();
    let (one, other) = (Authority::found("One CA"), Authority::found("Other CA"));
    let root = Authority::found("Root");
    assert_eq!(put(&place, &one, 1, of_root(&root, 5)).taken.len(), 1);
    // A newer one through the other.
    assert_eq!(put(&place, &other, 1, of_root(&root, 6)).taken.len(), 1);
    assert_eq!(published(&place, "root.crl"), [6]);
    // An older one does not turn it back, and does not keep the batch out.
    assert_eq!(put(&place, &one, 2, of_root(&root, 4)).taken.len(), 1);
    assert_eq!(published(&place, "root.crl"), [6]);
    assert!(verify(place.data.path(), NOW).unwrap().holds());
}

#[test]
fn an_issuer_takes_the_name_of_anothers_own_list() {
    let place = Place::new();
    let (one, other) = (Authority::found("One CA"), Authority::found("Other CA"));
    let own = |authority: &Authority| Document {
        kind: DocumentKind::Crl,
        name: "own.crl".to_owned(),
        octets: authority.crl((NOW, NOW + 86_400), 1, &[]),
        list: None,
    };
    assert_eq!(put(&place, &one, 1, vec![own(&one)]).taken.len(), 1);
    let report = put(&place, &other, 1, vec![own(&other)]);
    assert_eq!(report.refused.len(), 1, "{report:?}");
    assert!(report.refused[0].reason.contains("another issuer"));
}
