//! Requests as clients send them, and one malformation each.

use std::vec;
use std::vec::Vec;

use super::fuzz::fuzz_request;
use super::*;
use crate::cert_id::{CertIdForm, cert_id, cert_id_prefix};
use crate::oid;

fn prefix() -> Vec<u8> {
    cert_id_prefix(CertIdForm::ALL[0], &[1; 20], &[2; 20]).unwrap()
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut whole = Vec::new();
    crate::der::push_tlv(&mut whole, tag, &parts.concat());
    whole
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(tag::SEQUENCE, parts)
}

/// A request of these parts of its `TBSRequest`, around one plain `Request`.
fn request(before: &[u8], single_extensions: &[u8], after: &[u8]) -> Vec<u8> {
    let single = sequence(&[&cert_id(&prefix(), &[5]), single_extensions]);
    let list = sequence(&[&single]);
    sequence(&[&sequence(&[before, &list, after])])
}

fn extension(oid: &[u8], critical: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[oid, critical, &tlv(tag::OCTET_STRING, &[value])])
}

fn extensions(number: u8, list: &[&[u8]]) -> Vec<u8> {
    tlv(tag::context_constructed(number), &[&sequence(list)])
}

const CRITICAL: &[u8] = &[tag::BOOLEAN, 1, 0xff];
const NOT_CRITICAL: &[u8] = &[tag::BOOLEAN, 1, 0];

#[track_caller]
fn refused(octets: &[u8], rule: Rule) {
    assert_eq!(
        OcspRequest::parse(octets).map(|_| ()).map_err(|e| e.rule),
        Err(rule)
    );
    fuzz_request(octets);
}

#[test]
fn the_cert_id_is_borrowed_octet_for_octet() {
    let octets = build_request(&prefix(), &[5, 6], None);
    let parsed = OcspRequest::parse(&octets).unwrap();
    assert_eq!(parsed.first.raw, cert_id(&prefix(), &[5, 6]));
    assert_eq!(parsed.first.prefix, prefix());
    assert_eq!(parsed.first.serial, [5, 6]);
    assert_eq!((parsed.count, parsed.nonce), (1, None));
    assert!(
        octets
            .as_ptr_range()
            .contains(&parsed.first.prefix.as_ptr())
    );
}

#[test]
fn every_form_of_cert_id_keeps_its_parameters() {
    for form in CertIdForm::ALL {
        let hash = vec![7; form.hash.octets()];
        let prefix = cert_id_prefix(form, &hash, &hash).unwrap();
        let octets = build_request(&prefix, &[5], None);
        assert_eq!(OcspRequest::parse(&octets).unwrap().first.prefix, prefix);
    }
}

#[test]
fn a_hash_of_another_length_makes_no_prefix() {
    let form = CertIdForm::ALL[0];
    assert_eq!(
        cert_id_prefix(form, &[1; 32], &[2; 20]),
        Err(Rule::HashLength)
    );
    assert_eq!(
        cert_id_prefix(form, &[1; 20], &[2; 19]),
        Err(Rule::HashLength)
    );
}

#[test]
fn several_certificates_keep_their_order() {
    let prefix = prefix();
    let serials: Vec<Vec<u8>> = (1..).take(MAX_CERT_IDS).map(|n| vec![n]).collect();
    let octets = build_request_for(serials.iter().map(|s| (&prefix[..8], &s[..])), None);
    // Too short a prefix makes a CertID without hashes.
    refused(&octets, Rule::Truncated);
    let certificates = || serials.iter().map(|serial| (&prefix[..], &serial[..]));
    let octets = build_request_for(certificates(), None);
    let parsed = OcspRequest::parse(&octets).unwrap();
    let asked: Vec<_> = parsed.cert_ids().map(|id| id.serial.to_vec()).collect();
    assert_eq!(asked, serials);
    let one_more = build_request_for(certificates().chain([(&prefix[..], &[9][..])]), None);
    refused(&one_more, Rule::TooManyCertIds);
}

#[test]
fn a_request_about_nothing_is_refused() {
    refused(&sequence(&[&sequence(&[&sequence(&[])])]), Rule::Empty);
    refused(&[], Rule::Truncated);
    refused(&sequence(&[]), Rule::Truncated);
}

#[test]
fn more_than_4096_octets_are_not_even_looked_at() {
    let name = tlv(tag::context_constructed(1), &[&tlv(0x82, &[&[b'x'; 5000]])]);
    refused(&request(&name, &[], &[]), Rule::TooLong);
    refused(&[0xff; MAX_REQUEST_OCTETS + 1], Rule::TooLong);
}

#[test]
fn octets_after_the_request_or_any_part_of_it_are_refused() {
    let mut octets = request(&[], &[], &[]);
    octets.push(0);
    refused(&octets, Rule::TrailingOctets);
    refused(&request(&[], &[], &[5, 0]), Rule::TrailingOctets);
    refused(&request(&[], &[5, 0], &[]), Rule::TrailingOctets);
    let cert_id = sequence(&[&prefix(), &[2, 1, 5], &[5, 0]]);
    let octets = sequence(&[&sequence(&[&sequence(&[&sequence(&[&cert_id])])])]);
    refused(&octets, Rule::TrailingOctets);
}

#[test]
fn version_1_may_be_spoken_out_and_no_other() {
    let version = |content: &[u8]| {
        tlv(
            tag::context_constructed(0),
            &[&tlv(tag::INTEGER, &[content])],
        )
    };
    assert!(OcspRequest::parse(&request(&version(&[0]), &[], &[])).is_ok());
    refused(&request(&version(&[1]), &[], &[]), Rule::VersionUnknown);
    refused(&request(&version(&[0xff]), &[], &[]), Rule::VersionUnknown);
    refused(&request(&version(&[]), &[], &[]), Rule::IntegerEmpty);
}

// RFC 9919 §3.1.2: a requestorName in an unsigned request is treated as if it were not there.
#[test]
fn a_requestor_name_and_a_signature_are_passed_over() {
    let name = tlv(
        tag::context_constructed(1),
        &[&tlv(0x82, &[b"client.example"])],
    );
    let mut octets = request(&name, &[], &[]);
    let parsed = OcspRequest::parse(&octets).unwrap();
    assert!(parsed.has_requestor_name && !parsed.is_signed);
    octets.drain(..2);
    let signature = sequence(&[&sequence(&[oid::SHA256_WITH_RSA]), &[3, 2, 0, 9]]);
    let signed = sequence(&[&octets, &tlv(tag::context_constructed(0), &[&signature])]);
    let parsed = OcspRequest::parse(&signed).unwrap();
    assert!(parsed.has_requestor_name && parsed.is_signed);
    let broken = sequence(&[
        &octets,
        &tlv(tag::context_constructed(0), &[&sequence(&[])]),
    ]);
    refused(&broken, Rule::Truncated);
    let two_names = tlv(tag::context_constructed(1), &[&[0x82, 0], &[0x82, 0]]);
    refused(&request(&two_names, &[], &[]), Rule::TrailingOctets);
}

#[test]
fn serials_that_no_certificate_has_are_refused() {
    let with_serial = |serial: &[u8]| {
        let cert_id = sequence(&[&prefix(), &tlv(tag::INTEGER, &[serial])]);
        sequence(&[&sequence(&[&sequence(&[&sequence(&[&cert_id])])])])
    };
    refused(&with_serial(&[]), Rule::IntegerEmpty);
    refused(&with_serial(&[0, 5]), Rule::IntegerNotMinimal);
    refused(&with_serial(&[5; 33]), Rule::SerialTooLong);
    assert!(OcspRequest::parse(&with_serial(&[0xff])).is_ok());
    assert!(OcspRequest::parse(&with_serial(&[0])).is_ok());
}

#[test]
fn a_nonce_of_no_or_too_many_octets_is_refused() {
    // RFC 9654 §2.1: 1 to 128 octets.
    let with_nonce = |value: &[u8]| {
        request(
            &[],
            &[],
            &extensions(2, &[&extension(oid::NONCE, &[], value)]),
        )
    };
    let wrapped = |length| tlv(tag::OCTET_STRING, &[&vec![9; length]]);
    for length in [1, 16, 32, 127, 128] {
        let octets = with_nonce(&wrapped(length));
        let nonce = OcspRequest::parse(&octets).unwrap().nonce.unwrap();
        assert_eq!(nonce.value, vec![9; length]);
        assert_eq!(nonce.extn_value, wrapped(length));
    }
    refused(&with_nonce(&wrapped(0)), Rule::NonceLength);
    refused(&with_nonce(&wrapped(129)), Rule::NonceLength);
    refused(&with_nonce(&[]), Rule::NonceLength);
    refused(&with_nonce(&[9; 129]), Rule::NonceLength);
}

#[test]
fn a_bare_nonce_of_old_clients_is_taken_as_it_is() {
    let octets = request(
        &[],
        &[],
        &extensions(2, &[&extension(oid::NONCE, &[], &[0x04, 0x7f, 1])]),
    );
    let nonce = OcspRequest::parse(&octets).unwrap().nonce.unwrap();
    assert_eq!(nonce.value, [0x04, 0x7f, 1]);
    assert_eq!(nonce.extn_value, [0x04, 0x7f, 1]);
}

#[test]
fn two_nonces_are_refused() {
    let nonce = extension(oid::NONCE, &[], &[4, 1, 9]);
    refused(
        &request(&[], &[], &extensions(2, &[&nonce, &nonce])),
        Rule::ExtensionRepeated,
    );
}

// RFC 6960 §4.1.2: an extension that is not known is ignored, unless it is critical.
#[test]
fn an_unknown_extension_matters_only_if_critical() {
    let unknown = |critical| extension(oid::EXTENDED_REVOKE, critical, &[1, 2, 3]);
    for (number, place) in [(2, "request"), (0, "single")] {
        let ask = |list: &[u8]| {
            let list = extensions(number, &[list]);
            if number == 2 {
                request(&[], &[], &list)
            } else {
                request(&[], &list, &[])
            }
        };
        assert!(OcspRequest::parse(&ask(&unknown(&[]))).is_ok(), "{place}");
        assert!(
            OcspRequest::parse(&ask(&unknown(NOT_CRITICAL))).is_ok(),
            "{place}"
        );
        refused(&ask(&unknown(CRITICAL)), Rule::CriticalExtensionUnknown);
    }
}

// RFC 6960 §4.4.3: a client may say which types of response it understands; ours is the one that all must.
#[test]
fn what_we_always_do_may_be_asked_for_critically() {
    for known in [
        oid::ACCEPTABLE_RESPONSES,
        oid::PREFERRED_SIGNATURE_ALGORITHMS,
    ] {
        let list = extensions(2, &[&extension(known, CRITICAL, &[0x30, 0])]);
        assert!(OcspRequest::parse(&request(&[], &[], &list)).is_ok());
        let list = extensions(0, &[&extension(known, CRITICAL, &[0x30, 0])]);
        refused(&request(&[], &list, &[]), Rule::CriticalExtensionUnknown);
    }
    let nonce = extension(oid::NONCE, CRITICAL, &[4, 1, 9]);
    assert!(
        OcspRequest::parse(&request(&[], &[], &extensions(2, &[&nonce])))
            .unwrap()
            .nonce
            .is_some()
    );
}

#[test]
fn extensions_that_are_none_are_refused() {
    refused(
        &request(&[], &[], &tlv(0xa2, &[&[5, 0]])),
        Rule::UnexpectedTag,
    );
    refused(
        &request(&[], &[], &tlv(0xa2, &[&[0x30, 0], &[0x30, 0]])),
        Rule::TrailingOctets,
    );
    refused(
        &request(&[], &[], &extensions(2, &[&[5, 0]])),
        Rule::UnexpectedTag,
    );
    let no_value = sequence(&[oid::NONCE]);
    refused(
        &request(&[], &[], &extensions(2, &[&no_value])),
        Rule::Truncated,
    );
    let odd_critical = extension(oid::EXTENDED_REVOKE, &[1, 1, 1], &[]);
    refused(
        &request(&[], &[], &extensions(2, &[&odd_critical])),
        Rule::BooleanNotCanonical,
    );
}

#[test]
fn an_algorithm_without_identifier_is_refused() {
    let cert_id = sequence(&[&sequence(&[]), &[4, 0], &[4, 0], &[2, 1, 1]]);
    let octets = sequence(&[&sequence(&[&sequence(&[&sequence(&[&cert_id])])])]);
    refused(&octets, Rule::Truncated);
}

#[test]
fn no_octet_of_a_request_can_be_cut_or_flipped_into_a_panic() {
    let nonce = [9; 32];
    let octets = build_request(&prefix(), &[5, 6, 7], Some(&nonce));
    for cut in 0..octets.len() {
        assert!(OcspRequest::parse(&octets[..cut]).is_err());
        fuzz_request(&octets[..cut]);
    }
    for place in 0..octets.len() {
        for flip in 0..=u8::MAX {
            let mut flipped = octets.clone();
            flipped[place] = flip;
            fuzz_request(&flipped);
        }
    }
}

#[test]
fn the_corpus_panics_nowhere() {
    crate::corpus::replay("request", fuzz_request);
}

/// A request whose client would rather have these signatures.
fn preferring(identifiers: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = identifiers
        .iter()
        .flat_map(|identifier| sequence(&[identifier]))
        .collect();
    let value = sequence(&[&list]);
    let extension = extension(oid::PREFERRED_SIGNATURE_ALGORITHMS, &[], &value);
    request(&[], &[], &extensions(2, &[&extension]))
}

#[test]
fn the_first_algorithm_of_ours_is_chosen_instead_of_the_clients_first() {
    use crate::algorithm::SignatureAlgorithm::{EcdsaP256Sha256, Ed25519, Rsa2048Sha256};
    let octets = preferring(&[
        &sequence(&[oid::ECDSA_WITH_SHA512]),
        Rsa2048Sha256.identifier(),
        EcdsaP256Sha256.identifier(),
    ]);
    let preferred = OcspRequest::parse(&octets).unwrap().preferred.unwrap();
    // RFC 6960 §4.4.7.1: the order of the list is the client's order of preference.
    let choose = |available: &[_]| preferred.choose(available);
    assert_eq!(choose(&[EcdsaP256Sha256, Rsa2048Sha256]), Some(1));
    assert_eq!(choose(&[EcdsaP256Sha256]), Some(0));
    assert_eq!(choose(&[Ed25519]), None);
    assert_eq!(choose(&[]), None);
}

#[test]
fn a_wish_that_cannot_be_read_makes_the_request_malformed() {
    use crate::algorithm::SignatureAlgorithm::Ed25519;
    for value in [&[][..], &[0x30], &[0x30, 2, 0x30, 9], &[4, 0]] {
        let extension = extension(oid::PREFERRED_SIGNATURE_ALGORITHMS, CRITICAL, value);
        let octets = request(&[], &[], &extensions(2, &[&extension]));
        let preferred = OcspRequest::parse(&octets).unwrap().preferred.unwrap();
        assert_eq!(preferred.choose(&[Ed25519]), None);
    }
}

// RFC 6960 §4.4.6: a service locator asks for forwarding, which is not done here.
#[test]
fn a_service_locator_makes_the_request_malformed() {
    // id-pkix-ocsp-service-locator, 1.3.6.1.5.5.7.48.1.7.
    let locator = [
        tag::OID,
        9,
        0x2b,
        0x06,
        0x01,
        0x05,
        0x05,
        0x07,
        0x30,
        0x01,
        0x07,
    ];
    let list = extensions(0, &[&extension(&locator, &[], &[0x30, 0])]);
    assert!(OcspRequest::parse(&request(&[], &list, &[])).is_ok());
}
