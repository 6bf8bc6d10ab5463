//! Algorithm identifiers and the two forms of an ECDSA signature.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::{Rule, oid};

#[test]
fn what_we_sign_with_is_recognised_as_what_it_is() {
    for (ours, expected) in [
        (
            SignatureAlgorithm::EcdsaP256Sha256,
            ForeignAlgorithm::Ecdsa(Hash::Sha256),
        ),
        (
            SignatureAlgorithm::EcdsaP384Sha384,
            ForeignAlgorithm::Ecdsa(Hash::Sha384),
        ),
        (
            SignatureAlgorithm::Rsa2048Sha256,
            ForeignAlgorithm::RsaPkcs1(Hash::Sha256),
        ),
        (
            SignatureAlgorithm::Rsa4096Sha256,
            ForeignAlgorithm::RsaPkcs1(Hash::Sha256),
        ),
        (SignatureAlgorithm::Ed25519, ForeignAlgorithm::Ed25519),
        (SignatureAlgorithm::Sm2Sm3, ForeignAlgorithm::Sm2Sm3),
    ] {
        assert_eq!(
            ForeignAlgorithm::recognise(ours.identifier()),
            Ok(Some(expected))
        );
        assert!(!expected.is_weak());
    }
}

#[test]
fn codes_in_batches_and_packs_never_change() {
    let codes = SignatureAlgorithm::ALL.map(|algorithm| (algorithm.code(), algorithm.name()));
    assert_eq!(
        codes,
        [
            (1, "ecdsa-p256-sha256"),
            (2, "ecdsa-p384-sha384"),
            (3, "rsa-2048-sha256"),
            (4, "rsa-3072-sha256"),
            (5, "rsa-4096-sha256"),
            (6, "ed25519"),
            (7, "sm2-sm3"),
        ]
    );
}

#[test]
fn codes_and_names_come_back_and_no_two_are_the_same() {
    for algorithm in SignatureAlgorithm::ALL {
        assert_eq!(
            SignatureAlgorithm::from_code(algorithm.code()),
            Some(algorithm)
        );
        assert_eq!(
            SignatureAlgorithm::from_name(algorithm.name()),
            Some(algorithm)
        );
        assert!(algorithm.raw_octets() <= MAX_SIGNATURE_OCTETS);
    }
    assert_eq!(SignatureAlgorithm::from_code(0), None);
    assert_eq!(SignatureAlgorithm::from_code(8), None);
}

fn identifier(parts: &[&[u8]]) -> Vec<u8> {
    let mut whole = Vec::new();
    crate::der::push_tlv(&mut whole, 0x30, &parts.concat());
    whole
}

#[test]
fn sm2_is_recognised_with_null_and_with_absent_parameters() {
    for parameters in [&[][..], &[5, 0]] {
        let octets = identifier(&[oid::SM2_WITH_SM3, parameters]);
        assert_eq!(
            ForeignAlgorithm::recognise(&octets),
            Ok(Some(ForeignAlgorithm::Sm2Sm3))
        );
    }
}

#[test]
fn weak_hashes_are_called_weak() {
    for (name, weak) in [
        (oid::SHA1_WITH_RSA, true),
        (oid::SHA1_WITH_RSA_OIW, true),
        (oid::MD5_WITH_RSA, true),
        (oid::ECDSA_WITH_SHA1, true),
        (oid::SHA224_WITH_RSA, false),
        (oid::ECDSA_WITH_SHA512, false),
    ] {
        let algorithm = ForeignAlgorithm::recognise(&identifier(&[name, &[5, 0]])).unwrap();
        assert_eq!(algorithm.unwrap().is_weak(), weak, "{algorithm:?}");
    }
    // PSS with nothing said is PSS with SHA-1 (RFC 4055 §3.1).
    let algorithm = ForeignAlgorithm::recognise(&identifier(&[oid::RSASSA_PSS, &[0x30, 0]]));
    let expected = ForeignAlgorithm::RsaPss {
        hash: Hash::Sha1,
        salt: 20,
    };
    assert_eq!(algorithm, Ok(Some(expected)));
    assert!(expected.is_weak());
}

/// PSS parameters: hash, hash of MGF1, octets of salt.
fn pss(hash: &[u8], mask: &[u8], salt: &[u8]) -> Vec<u8> {
    let explicit = |number: u8, content: &[u8]| {
        let mut whole = Vec::new();
        crate::der::push_tlv(&mut whole, 0xa0 | number, content);
        whole
    };
    let parameters = identifier(&[
        &explicit(0, &identifier(&[hash, &[5, 0]])),
        &explicit(1, &identifier(&[oid::MGF1, &identifier(&[mask, &[5, 0]])])),
        &explicit(2, salt),
    ]);
    identifier(&[oid::RSASSA_PSS, &parameters])
}

#[test]
fn pss_with_two_hashes_or_a_negative_salt_is_not_taken_for_usual_pss() {
    let usual = pss(oid::SHA256, oid::SHA256, &[2, 1, 32]);
    assert_eq!(
        ForeignAlgorithm::recognise(&usual),
        Ok(Some(ForeignAlgorithm::RsaPss {
            hash: Hash::Sha256,
            salt: 32
        }))
    );
    let mixed = pss(oid::SHA256, oid::SHA1, &[2, 1, 32]);
    assert_eq!(ForeignAlgorithm::recognise(&mixed), Ok(None));
    let negative = pss(oid::SHA256, oid::SHA256, &[2, 1, 0xff]);
    assert_eq!(
        ForeignAlgorithm::recognise(&negative).unwrap_err().rule,
        Rule::FieldRange
    );
}

#[test]
fn identifiers_that_are_none_are_refused_and_unknown_ones_are_not() {
    let rule = |octets: &[u8]| ForeignAlgorithm::recognise(octets).map_err(|error| error.rule);
    assert_eq!(rule(&identifier(&[oid::NONCE])), Ok(None));
    assert_eq!(rule(&identifier(&[oid::NONCE, &[4, 1, 0]])), Ok(None));
    assert_eq!(rule(&[]), Err(Rule::Truncated));
    assert_eq!(
        rule(&identifier(&[oid::ED25519, &[5, 1, 0]])),
        Err(Rule::NotEmpty)
    );
    assert_eq!(
        rule(&identifier(&[oid::ED25519, &[5, 0, 5, 0]])),
        Err(Rule::TrailingOctets)
    );
    assert_eq!(rule(&identifier(&[oid::RSASSA_PSS])), Err(Rule::Truncated));
}

#[test]
fn signatures_that_do_not_fit_their_halves_are_refused() {
    let rule = |octets: &[u8]| ecdsa_raw_from_der(octets, 2).map_err(|error| error.rule);
    assert_eq!(rule(&[0x30, 6, 2, 1, 1, 2, 1, 2]), Ok([0, 1, 0, 2].into()));
    assert_eq!(
        rule(&[0x30, 8, 2, 3, 1, 0, 0, 2, 1, 2]),
        Err(Rule::IntegerTooLong)
    );
    assert_eq!(rule(&[0x30, 6, 2, 1, 0x81, 2, 1, 2]), Err(Rule::FieldRange));
    assert_eq!(
        rule(&[0x30, 7, 2, 2, 0, 1, 2, 1, 2]),
        Err(Rule::IntegerNotMinimal)
    );
    assert_eq!(rule(&[0x30, 3, 2, 1, 1]), Err(Rule::Truncated));
    assert_eq!(
        rule(&[0x30, 9, 2, 1, 1, 2, 1, 2, 2, 1, 3]),
        Err(Rule::TrailingOctets)
    );
}

proptest! {
    #[test]
    fn r_and_s_survive_der(raw in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 1..=66)) {
        let raw = [&raw[..], &raw[..]].concat();
        let mut der = [0; MAX_ECDSA_DER_OCTETS];
        let used = ecdsa_der_from_raw(&raw, &mut der).unwrap();
        prop_assert_eq!(used, ecdsa_der_len(&raw));
        prop_assert_eq!(ecdsa_raw_from_der(&der[..used], raw.len() / 2), Ok(raw.clone()));
        prop_assert_eq!(ecdsa_der_from_raw(&raw, &mut der[..used - 1]), None);
    }

    #[test]
    fn any_octets_are_an_algorithm_or_an_error(octets: Vec<u8>) {
        let _ = ForeignAlgorithm::recognise(&octets);
        let _ = ecdsa_raw_from_der(&octets, 32);
    }
}
