//! The JDK's own path validator, with one source at a time and no way out: it finds a good certificate valid, a revoked one
//! revoked, when and why, by OCSP and by the list that the certificate names, and nothing at all when nobody answers.

use std::net::TcpStream;

use hufu_tests::holders::{Holder, enrol};
use hufu_tests::judge::jdk_pkix;
use hufu_tests::office::Office;
use hufu_tests::pki::Status;
use hufu_tests::process::free_address;

use crate::relying_parties::place::Place;

fn judged(source: &str, issuer: &std::path::Path, holders: &[&Holder]) -> Vec<String> {
    let certificates = holders.iter().map(|holder| holder.certificate.as_os_str());
    let words = [source.as_ref(), issuer.as_os_str()];
    let ran = jdk_pkix(
        issuer.parent().unwrap(),
        words.into_iter().chain(certificates),
    )
    .ok();
    let lines: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| line.split_once(": ").unwrap().1.to_owned())
        .collect();
    assert_eq!(lines.len(), holders.len(), "{ran:?}");
    lines
}

// RFC 6960 §3.2: a relying party's own validator knows by the answer what is revoked, as it does by the list.
#[test]
fn the_jdk_finds_a_revoked_certificate_valid_by_ocsp_or_by_list() {
    let place = Place::shared();
    let (own, web) = (place.holder("jdk"), place.holder("web"));
    for source in ["ocsp", "crl"] {
        let said = judged(source, &place.issuer, &[own, web, place.holder("lost")]);
        assert_eq!(said[..2], ["valid", "valid"], "{source}");
        assert!(said[2].starts_with("revoked KEY_COMPROMISE "), "{said:?}");
    }
    let Status::Revoked(at, Some(1)) = place.loses(own) else {
        panic!("not revoked for keyCompromise");
    };
    for source in ["ocsp", "crl"] {
        let said = judged(source, &place.issuer, &[own, web]);
        let expected = format!("revoked KEY_COMPROMISE {at}");
        assert_eq!(said, [&*expected, "valid"], "{source}");
    }
}

/// The judge itself: it forgives nothing.
#[test]
fn the_jdk_finds_a_certificate_valid_when_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = free_address();
    let office = Office::found_for(&folder.path().join("data"), &format!("http://{nobody}"));
    let holders = enrol(&office, &folder.path().join("holders"), &["alone"]);
    assert!(TcpStream::connect(nobody).is_err());
    let issuer = office.data.join("p256-issuer.pem");
    for source in ["ocsp", "crl"] {
        let said = judged(source, &issuer, &[&holders[0]]);
        assert!(said[0].starts_with("undetermined "), "{source}: {said:?}");
    }
    // Nothing else was wrong with it.
    let edge = folder.path().join("edge");
    office.publish();
    let _ = office.follow(&office.store(), &edge).ok();
    let _responder = office.responder_at(&edge, nobody, free_address());
    for source in ["ocsp", "crl"] {
        assert_eq!(
            judged(source, &issuer, &[&holders[0]]),
            ["valid"],
            "{source}"
        );
    }
}
