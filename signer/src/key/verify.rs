//! Checks signatures: our own before they leave, other authorities' before their lists are adopted.

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm as AwsAlgorithm};
use sm2::dsa::signature::Verifier;
use spki::SubjectPublicKeyInfoRef;
use wire::algorithm::SignatureAlgorithm;

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

fn sm2_raw(public_key_der: &[u8], message: &[u8], raw: &[u8]) -> Result<(), VerifyError> {
    let key = SubjectPublicKeyInfoRef::try_from(public_key_der).map_err(|_| VerifyError::Key)?;
    let key = sm2::dsa::VerifyingKey::from_sec1_bytes(
        super::sm2::DEFAULT_ID,
        key.subject_public_key.raw_bytes(),
    )
    .map_err(|_| VerifyError::Key)?;
    let signature = sm2::dsa::Signature::from_slice(raw).map_err(|_| VerifyError::Mismatch)?;
    key.verify(message, &signature)
        .map_err(|_| VerifyError::Mismatch)
}
