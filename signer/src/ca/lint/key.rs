//! The subject's public key.

use super::{Case, LintError, Purpose, Rule, broken, must};
use crate::ca::profile::KeyFamily;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey};
use spki::SubjectPublicKeyInfoRef;
use spki::der::asn1::ObjectIdentifier;
use wire::algorithm::SignatureAlgorithm;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

pub(super) const RULES: &[Rule] = &[sound, matching_family];

/// What a key can do, or `None` if this program does not certify such keys.
#[must_use]
pub fn family(public_key_der: &[u8]) -> Option<(KeyFamily, Curve)> {
    let key = SubjectPublicKeyInfoRef::try_from(public_key_der).ok()?;
    if key.algorithm.oid == RSA {
        return Some((KeyFamily::Rsa, Curve::Western));
    }
    if key.algorithm.oid == ED25519 {
        return Some((KeyFamily::Edwards, Curve::Western));
    }
    if key.algorithm.oid != EC_PUBLIC_KEY {
        return None;
    }
    match key.algorithm.parameters_oid().ok()? {
        P256 | P384 | P521 => Some((KeyFamily::EllipticCurve, Curve::Western)),
        SM2 => Some((KeyFamily::EllipticCurve, Curve::Sm2)),
        _ => None,
    }
}

/// What a key of ours signs with, or `None` if none of ours is like that.
#[must_use]
pub fn signs_with(public_key_der: &[u8]) -> Option<SignatureAlgorithm> {
    let key = SubjectPublicKeyInfoRef::try_from(public_key_der).ok()?;
    match family(public_key_der)? {
        (KeyFamily::Edwards, _) => Some(SignatureAlgorithm::Ed25519),
        (_, Curve::Sm2) => Some(SignatureAlgorithm::Sm2Sm3),
        (KeyFamily::EllipticCurve, _) => match key.algorithm.parameters_oid().ok()? {
            P256 => Some(SignatureAlgorithm::EcdsaP256Sha256),
            P384 => Some(SignatureAlgorithm::EcdsaP384Sha384),
            _ => None,
        },
        (KeyFamily::Rsa, _) => {
            let (_, key) = SubjectPublicKeyInfo::from_der(public_key_der).ok()?;
            match rsa_bits(&key) {
                2_048 => Some(SignatureAlgorithm::Rsa2048Sha256),
                3_072 => Some(SignatureAlgorithm::Rsa3072Sha256),
                4_096 => Some(SignatureAlgorithm::Rsa4096Sha256),
                _ => None,
            }
        }
    }
}

/// Bits of the modulus; none of another key.
fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> usize {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => rsa.key_size(),
        _ => 0,
    }
}

/// Which country's algorithms a key belongs to: an SM2 chain holds SM2 keys only, and the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// The SM2 curve.
    Sm2,
    /// Everything else.
    Western,
}

/// The key can be read, lies on its curve, and is long enough.
fn sound(case: &Case<'_>) -> Result<(), LintError> {
    let der = case.certificate.public_key().raw;
    let clause = "RFC 5480, RFC 8017, GB/T 32918.5";
    let unsound = || broken("the public key must be one we certify, and sound", clause);
    let key = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| unsound())?;
    let (family, curve) = family(der).ok_or_else(unsound)?;
    let sound = match (family, curve) {
        (_, Curve::Sm2) => {
            let point = key.subject_public_key.as_bytes().ok_or_else(unsound)?;
            sm2::PublicKey::from_sec1_bytes(point).is_ok()
        }
        (KeyFamily::Rsa, _) => ParsedPublicKey::new(&aws::RSA_PKCS1_2048_8192_SHA256, der).is_ok(),
        (KeyFamily::Edwards, _) => ParsedPublicKey::new(&aws::ED25519, der).is_ok(),
        (KeyFamily::EllipticCurve, _) => {
            let curve = key.algorithm.parameters_oid().map_err(|_| unsound())?;
            let parsed = match curve {
                P256 => ParsedPublicKey::new(&aws::ECDSA_P256_SHA256_ASN1, der),
                P384 => ParsedPublicKey::new(&aws::ECDSA_P384_SHA384_ASN1, der),
                _ => ParsedPublicKey::new(&aws::ECDSA_P521_SHA512_ASN1, der),
            };
            parsed.is_ok()
        }
    };
    if !sound {
        return Err(unsound());
    }
    if family == KeyFamily::Rsa {
        must(
            rsa_bits(case.certificate.public_key()) >= 2_048,
            "an RSA key must have at least 2048 bits",
            "CA/B BR §6.1.5",
        )?;
    }
    Ok(())
}

fn matching_family(case: &Case<'_>) -> Result<(), LintError> {
    let sm2_key =
        family(case.certificate.public_key().raw).is_some_and(|(_, curve)| curve == Curve::Sm2);
    let sm2_issuer = case.signatory.algorithm == SignatureAlgorithm::Sm2Sm3;
    must(
        case.purpose == Purpose::Root || sm2_key == sm2_issuer,
        "an SM2 authority certifies SM2 keys, and no other does",
        "GB/T 20518 §5",
    )
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const SM2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301");
