//! Private keys: one trait, software backends, files at rest.
//!
//! [`Signer`] is all the rest of the crate sees of a key. `soft.rs` implements it with aws-lc-rs, `sm2.rs` with RustCrypto,
//! `keyring.rs` keeps keys in files (encrypted PKCS#8), `certify.rs` lends a key to the certificate builder, and
//! `verify.rs` checks signatures, ours and other authorities'.

pub mod certify;
pub mod error;
pub mod keyring;
pub mod sm2;
pub mod soft;
pub mod verify;

pub use error::KeyError;
pub use keyring::Keyring;
use wire::algorithm::SignatureAlgorithm;
use zeroize::Zeroizing;

/// A private key that signs.
///
/// Implementations are shared by all signing threads and hold no lock.
pub trait Signer: Send + Sync {
    /// What this key signs with; fixes the length of a signature.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// The public half: `SubjectPublicKeyInfo`, DER.
    fn public_key_der(&self) -> &[u8];

    /// Signs `message` (hashing included) into `signature`, in the form the wire crate stores:
    /// r‖s of fixed width for ECDSA and SM2, the plain octets for RSA and Ed25519.
    ///
    /// # Errors
    /// [`KeyError::Length`] unless `signature` is `algorithm().raw_octets()` long; [`KeyError::Sign`] if the backend refuses.
    fn sign_into(&self, message: &[u8], signature: &mut [u8]) -> Result<(), KeyError>;

    /// Signs several messages; `signatures` holds their raw signatures one after another. Backends that save work
    /// by it do so.
    ///
    /// # Errors
    /// As [`sign_into`](Self::sign_into).
    fn sign_each(&self, messages: &[&[u8]], signatures: &mut [u8]) -> Result<(), KeyError> {
        let octets = self.algorithm().raw_octets();
        let (needed, given) = (octets * messages.len(), signatures.len());
        if needed != given {
            return Err(KeyError::Length {
                algorithm: self.algorithm(),
                needed,
                given,
            });
        }
        for (message, signature) in messages.iter().zip(signatures.chunks_exact_mut(octets)) {
            self.sign_into(message, signature)?;
        }
        Ok(())
    }

    /// [`sign_into`](Self::sign_into) a fresh vector, for the places where a signature is rare.
    ///
    /// # Errors
    /// As [`sign_into`](Self::sign_into).
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.algorithm().raw_octets()];
        self.sign_into(message, &mut signature)?;
        Ok(signature)
    }
}

/// Makes a key for `algorithm`: its unencrypted PKCS#8, wiped when dropped.
///
/// # Errors
/// [`KeyError::Generate`] if the backend refuses.
pub fn generate(algorithm: SignatureAlgorithm) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    match algorithm {
        SignatureAlgorithm::Sm2Sm3 => sm2::generate(),
        _ => soft::generate(algorithm),
    }
}

/// Opens an unencrypted PKCS#8 as a signer for `algorithm`.
///
/// # Errors
/// [`KeyError::Unusable`] if the octets are not such a key.
pub fn open(algorithm: SignatureAlgorithm, pkcs8: &[u8]) -> Result<Box<dyn Signer>, KeyError> {
    match algorithm {
        SignatureAlgorithm::Sm2Sm3 => Ok(Box::new(sm2::Sm2Signer::from_pkcs8(pkcs8)?)),
        _ => soft::open(algorithm, pkcs8),
    }
}
