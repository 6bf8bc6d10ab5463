//! Software keys of aws-lc-rs: ECDSA P-256 and P-384, RSA-2048/3072/4096, Ed25519.

use super::{KeyError, Signer};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use wire::algorithm::SignatureAlgorithm;
use zeroize::Zeroizing;

/// Makes a key; the PKCS#8 comes back unencrypted, wiped when dropped.
pub(super) fn generate(algorithm: SignatureAlgorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let refused = |_| KeyError::Generate(algorithm);
    // aws-lc-rs draws from its own generator and ignores the argument, kept for ring's interface.
    let random = SystemRandom::new();
    match kind(algorithm)? {
        Kind::Ecdsa(curve) => {
            let document = EcdsaKeyPair::generate_pkcs8(curve, &random).map_err(refused)?;
            Ok(Zeroizing::new(document.as_ref().to_vec()))
        }
        Kind::Rsa(size) => {
            let pair = RsaKeyPair::generate(size).map_err(refused)?;
            let der: Pkcs8V1Der<'_> = pair.as_der().map_err(refused)?;
            Ok(Zeroizing::new(der.as_ref().to_vec()))
        }
        Kind::Ed25519 => {
            // Version 1 (without the public key) is what every other tool reads.
            let document = Ed25519KeyPair::generate_pkcs8v1(&random).map_err(refused)?;
            Ok(Zeroizing::new(document.as_ref().to_vec()))
        }
    }
}

/// Opens an unencrypted PKCS#8.
pub(super) fn open(
    algorithm: SignatureAlgorithm,
    pkcs8: &[u8],
) -> Result<Box<dyn Signer>, KeyError> {
    let unusable = || KeyError::Unusable(algorithm);
    match kind(algorithm)? {
        Kind::Ecdsa(curve) => {
            let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8).map_err(|_| unusable())?;
            let public = public_der(pair.public_key()).ok_or_else(unusable)?;
            Ok(Box::new(EcdsaSigner {
                algorithm,
                pair,
                public,
            }))
        }
        Kind::Rsa(_) => {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| unusable())?;
            if pair.public_modulus_len() != algorithm.raw_octets() {
                return Err(unusable());
            }
            let public = public_der(pair.public_key()).ok_or_else(unusable)?;
            Ok(Box::new(RsaSigner {
                algorithm,
                pair,
                public,
            }))
        }
        Kind::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| unusable())?;
            let public = public_der(pair.public_key()).ok_or_else(unusable)?;
            Ok(Box::new(Ed25519Signer { pair, public }))
        }
    }
}

enum Kind {
    Ecdsa(&'static EcdsaSigningAlgorithm),
    Rsa(KeySize),
    Ed25519,
}

fn kind(algorithm: SignatureAlgorithm) -> Result<Kind, KeyError> {
    Ok(match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => Kind::Ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
        SignatureAlgorithm::EcdsaP384Sha384 => Kind::Ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
        SignatureAlgorithm::Rsa2048Sha256 => Kind::Rsa(KeySize::Rsa2048),
        SignatureAlgorithm::Rsa3072Sha256 => Kind::Rsa(KeySize::Rsa3072),
        SignatureAlgorithm::Rsa4096Sha256 => Kind::Rsa(KeySize::Rsa4096),
        SignatureAlgorithm::Ed25519 => Kind::Ed25519,
        // SM2 has its own backend.
        SignatureAlgorithm::Sm2Sm3 => return Err(KeyError::Unusable(algorithm)),
    })
}

fn public_der<K>(key: &K) -> Option<Vec<u8>>
where
    K: AsDer<PublicKeyX509Der<'static>>,
{
    Some(key.as_der().ok()?.as_ref().to_vec())
}

fn fits(algorithm: SignatureAlgorithm, signature: &[u8]) -> Result<(), KeyError> {
    let (needed, given) = (algorithm.raw_octets(), signature.len());
    if needed == given {
        Ok(())
    } else {
        Err(KeyError::Length {
            algorithm,
            needed,
            given,
        })
    }
}

struct EcdsaSigner {
    algorithm: SignatureAlgorithm,
    pair: EcdsaKeyPair,
    public: Vec<u8>,
}

impl Signer for EcdsaSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn public_key_der(&self) -> &[u8] {
        &self.public
    }

    fn sign_into(&self, message: &[u8], signature: &mut [u8]) -> Result<(), KeyError> {
        fits(self.algorithm, signature)?;
        let refused = |_| KeyError::Sign(self.algorithm);
        let signed = self
            .pair
            .sign(&SystemRandom::new(), message)
            .map_err(refused)?;
        signature.copy_from_slice(signed.as_ref());
        Ok(())
    }
}

struct RsaSigner {
    algorithm: SignatureAlgorithm,
    pair: RsaKeyPair,
    public: Vec<u8>,
}

impl Signer for RsaSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn public_key_der(&self) -> &[u8] {
        &self.public
    }

    fn sign_into(&self, message: &[u8], signature: &mut [u8]) -> Result<(), KeyError> {
        // aws-lc-rs copies into the whole slice and panics on another length.
        fits(self.algorithm, signature)?;
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, signature)
            .map_err(|_| KeyError::Sign(self.algorithm))
    }
}

struct Ed25519Signer {
    pair: Ed25519KeyPair,
    public: Vec<u8>,
}

impl Signer for Ed25519Signer {
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Ed25519
    }

    fn public_key_der(&self) -> &[u8] {
        &self.public
    }

    fn sign_into(&self, message: &[u8], signature: &mut [u8]) -> Result<(), KeyError> {
        fits(SignatureAlgorithm::Ed25519, signature)?;
        let refused = |_| KeyError::Sign(SignatureAlgorithm::Ed25519);
        signature.copy_from_slice(self.pair.try_sign(message).map_err(refused)?.as_ref());
        Ok(())
    }
}
