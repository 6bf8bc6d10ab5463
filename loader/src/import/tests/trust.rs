//! Keys and algorithms that do not go together, or should not be believed.

use p521::ecdsa::signature::Signer as _;
use sm2::elliptic_curve::Generate as _;
use wire::algorithm::{ForeignAlgorithm, Hash, SignatureAlgorithm};
use wire::der::{push_tlv, tag};

use crate::import::certificate::{NameMatch, compare_names};
use crate::import::trust::{PublicKey, TrustError, WeakPolicy, oid_text, recognise};

const MESSAGE: &[u8] = b"what was signed";

/// `SubjectPublicKeyInfo` of an EC key on a curve named by the content octets of its OID.
fn ec_spki(curve: &[u8], point: &[u8]) -> Vec<u8> {
    let mut algorithm = Vec::new();
    push_tlv(
        &mut algorithm,
        tag::OID,
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
    );
    push_tlv(&mut algorithm, tag::OID, curve);
    let mut content = Vec::new();
    push_tlv(&mut content, tag::SEQUENCE, &algorithm);
    push_tlv(&mut content, tag::BIT_STRING, &[&[0], point].concat());
    let mut spki = Vec::new();
    push_tlv(&mut spki, tag::SEQUENCE, &content);
    spki
}

fn der_of(raw: &[u8]) -> Vec<u8> {
    let mut der = vec![0; 200];
    let octets = wire::algorithm::ecdsa_der_from_raw(raw, &mut der).unwrap();
    der.truncate(octets);
    der
}

#[test]
fn an_sm2_signature_is_refused_or_any_is_taken() {
    const ID: &str = "1234567812345678";
    let secret = sm2::SecretKey::generate();
    let point = secret.public_key().to_sec1_bytes();
    let key = PublicKey::from_spki(&ec_spki(
        &[0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d],
        &point,
    ))
    .unwrap();
    let signer = sm2::dsa::SigningKey::new(ID, &secret).unwrap();
    let signature: sm2::dsa::Signature = sm2::dsa::signature::Signer::sign(&signer, MESSAGE);
    let raw = signature.to_bytes();
    let verify = |message: &[u8], raw: &[u8]| {
        key.verify(
            ForeignAlgorithm::Sm2Sm3,
            WeakPolicy::Refuse,
            message,
            &der_of(raw),
        )
    };
    assert_eq!(verify(MESSAGE, &raw), Ok(()));
    assert_eq!(
        key.verify_raw(SignatureAlgorithm::Sm2Sm3, MESSAGE, &raw),
        Ok(())
    );
    assert_eq!(
        verify(b"something else", &raw),
        Err(TrustError::BadSignature)
    );
    // Another signer ID is another signature.
    let other = sm2::dsa::SigningKey::new("", &secret).unwrap();
    let foreign: sm2::dsa::Signature = sm2::dsa::signature::Signer::sign(&other, MESSAGE);
    assert_eq!(
        verify(MESSAGE, &foreign.to_bytes()),
        Err(TrustError::BadSignature)
    );
    assert!(matches!(
        key.verify(
            ForeignAlgorithm::Ecdsa(Hash::Sha256),
            WeakPolicy::Refuse,
            MESSAGE,
            &raw
        ),
        Err(TrustError::KeyMismatch { .. })
    ));
}

#[test]
fn a_p521_signature_is_refused_or_any_is_taken() {
    let secret = p521::ecdsa::SigningKey::generate();
    let point = secret.verifying_key().to_sec1_point(false);
    let key =
        PublicKey::from_spki(&ec_spki(&[0x2b, 0x81, 0x04, 0x00, 0x23], point.as_bytes())).unwrap();
    let signature: p521::ecdsa::Signature = secret.sign(MESSAGE);
    let der = der_of(&signature.to_bytes());
    let sha512 = ForeignAlgorithm::Ecdsa(Hash::Sha512);
    assert_eq!(
        key.verify(sha512, WeakPolicy::Refuse, MESSAGE, &der),
        Ok(())
    );
    assert_eq!(
        key.verify(sha512, WeakPolicy::Refuse, b"else", &der),
        Err(TrustError::BadSignature)
    );
    assert!(matches!(
        key.verify(
            ForeignAlgorithm::Ecdsa(Hash::Sha256),
            WeakPolicy::Refuse,
            MESSAGE,
            &der
        ),
        Err(TrustError::AlgorithmUnsupported(_))
    ));
}

#[test]
fn a_weak_signature_is_taken_without_being_asked_for() {
    let key = rsa_key(1024);
    for algorithm in [Hash::Sha1, Hash::Sha256].map(ForeignAlgorithm::RsaPkcs1) {
        assert!(key.is_weak_with(algorithm));
        assert!(matches!(
            key.verify(algorithm, WeakPolicy::Refuse, MESSAGE, &[0; 128]),
            Err(TrustError::Weak(_))
        ));
        // Allowed, it is judged like any other.
        assert_eq!(
            key.verify(algorithm, WeakPolicy::Allow, MESSAGE, &[0; 128]),
            Err(TrustError::BadSignature)
        );
    }
    assert!(matches!(
        key.verify(
            ForeignAlgorithm::RsaPkcs1(Hash::Md5),
            WeakPolicy::Allow,
            MESSAGE,
            &[0; 128]
        ),
        Err(TrustError::AlgorithmUnsupported(_))
    ));
    assert!(!rsa_key(2048).is_weak_with(ForeignAlgorithm::RsaPkcs1(Hash::Sha256)));
}

/// An RSA key of this many bits whose modulus is of no use for anything.
fn rsa_key(bits: usize) -> PublicKey {
    let modulus = [vec![0], vec![0xc1; bits / 8]].concat();
    let mut numbers = Vec::new();
    push_tlv(&mut numbers, tag::INTEGER, &modulus);
    push_tlv(&mut numbers, tag::INTEGER, &[1, 0, 1]);
    let mut key = vec![0];
    push_tlv(&mut key, tag::SEQUENCE, &numbers);
    let mut algorithm = Vec::new();
    push_tlv(
        &mut algorithm,
        tag::OID,
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
    );
    algorithm.extend_from_slice(&[tag::NULL, 0]);
    let mut content = Vec::new();
    push_tlv(&mut content, tag::SEQUENCE, &algorithm);
    push_tlv(&mut content, tag::BIT_STRING, &key);
    let mut spki = Vec::new();
    push_tlv(&mut spki, tag::SEQUENCE, &content);
    PublicKey::from_spki(&spki).unwrap()
}

#[test]
fn a_key_that_cannot_be_read_panics() {
    for spki in [&[] as &[u8], &[0x30, 0x00], &[0x30, 0x80], b"-----BEGIN"] {
        assert!(matches!(
            PublicKey::from_spki(spki),
            Err(TrustError::KeyUnreadable(_))
        ));
    }
    let brainpool = ec_spki(
        &[0x2b, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07],
        &[4; 65],
    );
    assert!(matches!(
        PublicKey::from_spki(&brainpool),
        Err(TrustError::KeyUnsupported(_))
    ));
    let nowhere = ec_spki(&[0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d], &[4; 65]);
    assert!(matches!(
        PublicKey::from_spki(&nowhere),
        Err(TrustError::KeyUnreadable(_))
    ));
}

#[test]
fn a_refusal_does_not_name_the_algorithm() {
    let dsa = [
        0x30, 0x09, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03,
    ];
    let error = recognise(&dsa).unwrap_err();
    assert_eq!(
        error.to_string(),
        "signature algorithm 1.2.840.10040.4.3 is not supported"
    );
    assert!(recognise(&dsa[..5]).is_err());
    assert_eq!(oid_text(&[0x55]), "55");
}

/// A Name of one common name, as a string of this tag.
fn name(string_tag: u8, text: &[u8]) -> Vec<u8> {
    let mut attribute = Vec::new();
    push_tlv(&mut attribute, tag::OID, &[0x55, 0x04, 0x03]);
    push_tlv(&mut attribute, string_tag, text);
    let wrap = |content: &[u8], tag| {
        let mut out = Vec::new();
        push_tlv(&mut out, tag, content);
        out
    };
    wrap(
        &wrap(&wrap(&attribute, tag::SEQUENCE), tag::SET),
        tag::SEQUENCE,
    )
}

#[test]
fn two_names_are_one_or_one_is_two() {
    let (utf8, printable, bmp) = (0x0c, 0x13, 0x1e);
    let one = name(printable, b"Root  CA");
    assert_eq!(compare_names(&one, &one), NameMatch::Identical);
    assert_eq!(
        compare_names(&one, &name(utf8, b"root ca ")),
        NameMatch::Equivalent
    );
    let wide: Vec<u8> = "Root CA"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    assert_eq!(
        compare_names(&one, &name(bmp, &wide)),
        NameMatch::Equivalent
    );
    assert_eq!(
        compare_names(&one, &name(utf8, b"Root CA 2")),
        NameMatch::Different
    );
    assert_eq!(compare_names(&one, &[0x30, 0x00]), NameMatch::Different);
    assert_eq!(
        compare_names(&one, &one[..one.len() - 1]),
        NameMatch::Unknown
    );
}
