//! SM2 with SM3 (GM/T 0003, GM/T 0009), on RustCrypto's arithmetic.
//!
//! The signer identifier is the default of GM/T 0009 §10. The nonce comes from RFC 6979's generator keyed by the private
//! key, the digest **and** 32 fresh random octets: a broken system generator then costs nothing, and equal messages do not
//! give equal signatures.

use super::{KeyError, Signer};
use sm2::SecretKey;
use sm2::dsa::SigningKey;
use sm2::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use wire::algorithm::SignatureAlgorithm;
use zeroize::Zeroizing;

/// The default signer identifier, GM/T 0009 §10.
pub const DEFAULT_ID: &str = "1234567812345678";

const ALGORITHM: SignatureAlgorithm = SignatureAlgorithm::Sm2Sm3;

/// Makes a key; the PKCS#8 comes back unencrypted, wiped when dropped.
pub(super) fn generate() -> Result<Zeroizing<Vec<u8>>, KeyError> {
    // A random 256-bit number is zero or above the group order once in 2^32 draws.
    for _ in 0..8 {
        let mut scalar = Zeroizing::new([0_u8; 32]);
        getrandom::fill(scalar.as_mut_slice()).map_err(|_| KeyError::Random)?;
        if let Ok(key) = SecretKey::from_slice(scalar.as_slice()) {
            let document = key
                .to_pkcs8_der()
                .map_err(|_| KeyError::Generate(ALGORITHM))?;
            return Ok(document.to_bytes());
        }
    }
    Err(KeyError::Random)
}

/// An SM2 private key.
pub struct Sm2Signer {
    key: SigningKey,
    public: Vec<u8>,
}

impl Sm2Signer {
    /// Reads an unencrypted PKCS#8.
    ///
    /// # Errors
    /// [`KeyError::Unusable`] if the octets are no SM2 key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let unusable = || KeyError::Unusable(ALGORITHM);
        let secret = SecretKey::from_pkcs8_der(pkcs8).map_err(|_| unusable())?;
        let public = secret
            .public_key()
            .to_public_key_der()
            .map_err(|_| unusable())?;
        let key = SigningKey::new(DEFAULT_ID, &secret).map_err(|_| unusable())?;
        Ok(Self {
            key,
            public: public.into_vec(),
        })
    }
}

impl Signer for Sm2Signer {
    fn algorithm(&self) -> SignatureAlgorithm {
        ALGORITHM
    }

    fn public_key_der(&self) -> &[u8] {
        &self.public
    }

    fn sign_into(&self, message: &[u8], signature: &mut [u8]) -> Result<(), KeyError> {
        let (needed, given) = (ALGORITHM.raw_octets(), signature.len());
        if needed != given {
            return Err(KeyError::Length {
                algorithm: ALGORITHM,
                needed,
                given,
            });
        }
        let signed = sm2::dsa::signature::Signer::try_sign(&self.key, message)
            .map_err(|_| KeyError::Sign(ALGORITHM))?;
        signature.copy_from_slice(&signed.to_bytes());
        Ok(())
    }
}
