//! Checks signatures: our own before they leave, other authorities' before their lists are adopted.

use aws_lc_rs::rsa::PublicKey as RsaKey;
use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm as AwsAlgorithm};
use sm2::dsa::signature::Verifier;
use sm2::dsa::signature::hazmat::PrehashVerifier;
use sm2::elliptic_curve::sec1::ToSec1Point;
use sm3::{Digest, Sm3};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use wire::algorithm::{ForeignAlgorithm, Hash, SignatureAlgorithm, ecdsa_raw_from_der};

/// Why a signature is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The public key cannot be read.
    #[error("the public key cannot be read")]
    Key,
    /// The signature does not match message and key.
    #[error("the signature does not verify")]
    Mismatch,
    /// SHA-1, MD5 or a short RSA key, and nobody allowed it.
    #[error("the signature is weak (SHA-1, MD5 or an RSA key under 2048 bits)")]
    Weak,
    /// Signed with something this program does not verify.
    #[error("the signature algorithm is not supported")]
    Unsupported,
}

/// Checks a signature of ours: raw form, public key as SubjectPublicKeyInfo.
///
/// # Errors
/// [`VerifyError`], see there.
pub fn own(
    algorithm: SignatureAlgorithm,
    public_key_der: &[u8],
    message: &[u8],
    raw: &[u8],
) -> Result<(), VerifyError> {
    let backend: &'static dyn AwsAlgorithm = match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &aws::ECDSA_P256_SHA256_FIXED,
        SignatureAlgorithm::EcdsaP384Sha384 => &aws::ECDSA_P384_SHA384_FIXED,
        SignatureAlgorithm::Rsa2048Sha256
        | SignatureAlgorithm::Rsa3072Sha256
        | SignatureAlgorithm::Rsa4096Sha256 => &aws::RSA_PKCS1_2048_8192_SHA256,
        SignatureAlgorithm::Ed25519 => &aws::ED25519,
        SignatureAlgorithm::Sm2Sm3 => return sm2_raw(public_key_der, message, raw),
    };
    UnparsedPublicKey::new(backend, public_key_der)
        .verify(message, raw)
        .map_err(|_| VerifyError::Mismatch)
}

/// A long message of ours, half verified: what can be done before there is a signature is done. A list of a million entries
/// has 49 MB, which take SM3 an eighth of a second; it is hashed here while the signing key hashes it on its own.
pub struct Prepared<'a> {
    algorithm: SignatureAlgorithm,
    public_key_der: &'a [u8],
    message: &'a [u8],
    /// Of SM2; the other backends hash ten times as fast, and take the message whole.
    hashed: Option<sm3::digest::Output<Sm3>>,
}

impl<'a> Prepared<'a> {
    /// Hashes `message` if that is slow; public key as SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`VerifyError::Key`].
    pub fn new(
        algorithm: SignatureAlgorithm,
        public_key_der: &'a [u8],
        message: &'a [u8],
    ) -> Result<Self, VerifyError> {
        let hashed = match algorithm {
            SignatureAlgorithm::Sm2Sm3 => {
                let point = sm2_key(public_key_der)?.as_ref().to_sec1_point(false);
                let coordinates = point.as_bytes().get(1..).ok_or(VerifyError::Key)?;
                let hasher = Sm3::new_with_prefix(super::sm2::za(coordinates));
                Some(hasher.chain_update(message).finalize())
            }
            _ => None,
        };
        Ok(Self {
            algorithm,
            public_key_der,
            message,
            hashed,
        })
    }

    /// What was hashed.
    #[must_use]
    pub fn message(&self) -> &'a [u8] {
        self.message
    }

    /// As [`own`].
    ///
    /// # Errors
    /// [`VerifyError`], see there.
    pub fn own(&self, raw: &[u8]) -> Result<(), VerifyError> {
        let Some(hashed) = &self.hashed else {
            return own(self.algorithm, self.public_key_der, self.message, raw);
        };
        let signature = sm2::dsa::Signature::from_slice(raw).map_err(|_| VerifyError::Mismatch)?;
        sm2_key(self.public_key_der)?
            .verify_prehash(hashed, &signature)
            .map_err(|_| VerifyError::Mismatch)
    }
}

fn sm2_raw(public_key_der: &[u8], message: &[u8], raw: &[u8]) -> Result<(), VerifyError> {
    let signature = sm2::dsa::Signature::from_slice(raw).map_err(|_| VerifyError::Mismatch)?;
    sm2_key(public_key_der)?
        .verify(message, &signature)
        .map_err(|_| VerifyError::Mismatch)
}

fn sm2_key(public_key_der: &[u8]) -> Result<sm2::dsa::VerifyingKey, VerifyError> {
    let key = SubjectPublicKeyInfoRef::try_from(public_key_der).map_err(|_| VerifyError::Key)?;
    let point = key.subject_public_key.raw_bytes();
    sm2::dsa::VerifyingKey::from_sec1_bytes(super::sm2::DEFAULT_ID, point)
        .map_err(|_| VerifyError::Key)
}

/// What to do with SHA-1 and RSA keys under 2048 bits in others' history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weak {
    /// Refuse, the default.
    Refuse,
    /// Read, behind the operator's switch. MD5 is refused all the same: it is forged at will.
    Allow,
}

/// Checks another authority's signature: as it stands in the BIT STRING, public key as SubjectPublicKeyInfo.
///
/// # Errors
/// [`VerifyError`], see there.
pub fn foreign(
    algorithm: ForeignAlgorithm,
    weak: Weak,
    public_key_der: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    if weak == Weak::Refuse && algorithm.is_weak() {
        return Err(VerifyError::Weak);
    }
    match algorithm {
        ForeignAlgorithm::RsaPkcs1(_) | ForeignAlgorithm::RsaPss { .. } => {
            rsa(algorithm, weak, public_key_der, message, signature)
        }
        ForeignAlgorithm::Ecdsa(hash) => {
            let backend = ecdsa(public_key_der, hash)?;
            check(backend, public_key_der, message, signature)
        }
        ForeignAlgorithm::Ed25519 => check(&aws::ED25519, public_key_der, message, signature),
        ForeignAlgorithm::Sm2Sm3 => {
            let raw = ecdsa_raw_from_der(signature, 32).map_err(|_| VerifyError::Mismatch)?;
            sm2_raw(public_key_der, message, &raw)
        }
    }
}

fn rsa(
    algorithm: ForeignAlgorithm,
    weak: Weak,
    public_key_der: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    let key = SubjectPublicKeyInfoRef::try_from(public_key_der).map_err(|_| VerifyError::Key)?;
    // The bare RSAPublicKey: so a key marked id-RSASSA-PSS is read too.
    let key = key.subject_public_key.raw_bytes();
    let short = RsaKey::from_der(key)
        .map_err(|_| VerifyError::Key)?
        .modulus_len()
        < 256;
    if short && weak == Weak::Refuse {
        return Err(VerifyError::Weak);
    }
    let backend: &'static dyn AwsAlgorithm = match (algorithm, short) {
        (ForeignAlgorithm::RsaPkcs1(Hash::Sha1), _) => {
            &aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        (ForeignAlgorithm::RsaPkcs1(Hash::Sha256), true) => {
            &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        (ForeignAlgorithm::RsaPkcs1(Hash::Sha512), true) => {
            &aws::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        (ForeignAlgorithm::RsaPkcs1(Hash::Sha256), false) => &aws::RSA_PKCS1_2048_8192_SHA256,
        (ForeignAlgorithm::RsaPkcs1(Hash::Sha384), false) => &aws::RSA_PKCS1_2048_8192_SHA384,
        (ForeignAlgorithm::RsaPkcs1(Hash::Sha512), false) => &aws::RSA_PKCS1_2048_8192_SHA512,
        (
            ForeignAlgorithm::RsaPss {
                hash: Hash::Sha256,
                salt: 32,
            },
            false,
        ) => &aws::RSA_PSS_2048_8192_SHA256,
        (
            ForeignAlgorithm::RsaPss {
                hash: Hash::Sha384,
                salt: 48,
            },
            false,
        ) => &aws::RSA_PSS_2048_8192_SHA384,
        (
            ForeignAlgorithm::RsaPss {
                hash: Hash::Sha512,
                salt: 64,
            },
            false,
        ) => &aws::RSA_PSS_2048_8192_SHA512,
        _ => return Err(VerifyError::Unsupported),
    };
    check(backend, key, message, signature)
}

fn ecdsa(public_key_der: &[u8], hash: Hash) -> Result<&'static dyn AwsAlgorithm, VerifyError> {
    let key = SubjectPublicKeyInfoRef::try_from(public_key_der).map_err(|_| VerifyError::Key)?;
    let curve = key
        .algorithm
        .parameters_oid()
        .map_err(|_| VerifyError::Key)?;
    Ok(match (curve, hash) {
        (P256, Hash::Sha1) => &aws::ECDSA_P256_SHA1_ASN1,
        (P256, Hash::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
        (P256, Hash::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
        (P384, Hash::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
        (P384, Hash::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
        (P384, Hash::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
        (P521, Hash::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
        (P521, Hash::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
        (P521, Hash::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
        _ => return Err(VerifyError::Unsupported),
    })
}

fn check(
    backend: &'static dyn AwsAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), VerifyError> {
    UnparsedPublicKey::new(backend, key)
        .verify(message, signature)
        .map_err(|_| VerifyError::Mismatch)
}

const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{generate, open};

    #[test]
    fn a_long_message_hashed_ahead_is_accepted_for_nothing_but_its_own_signature() {
        for algorithm in [
            SignatureAlgorithm::Sm2Sm3,
            SignatureAlgorithm::EcdsaP256Sha256,
        ] {
            let key = open(algorithm, &generate(algorithm).unwrap()).unwrap();
            let message = vec![0x5A; 100_000];
            let prepared = Prepared::new(algorithm, key.public_key_der(), &message).unwrap();
            let signature = key.sign(&message).unwrap();
            assert_eq!(prepared.own(&signature), Ok(()), "{algorithm:?}");
            let of_another = key.sign(&message[1..]).unwrap();
            assert_eq!(prepared.own(&of_another), Err(VerifyError::Mismatch));
            let mut flipped = signature;
            flipped[40] ^= 1;
            assert_eq!(prepared.own(&flipped), Err(VerifyError::Mismatch));
        }
    }
}
