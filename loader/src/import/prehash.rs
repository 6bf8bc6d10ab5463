//! Signatures over messages that are too long to be held: hashed as they pass, verified by their hash.
//!
//! `ring` takes messages whole. What is short is held and judged by `ring`, like everything else here; of longer messages
//! only the hash is kept, and RustCrypto's `p256`, `p384`, `p521` and `sm2` judge it, or `rsa.rs`. Ed25519 hashes its
//! message behind a part of the signature, and PSS is rare: those messages are held whatever their length.

use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
use ring::digest;
use sm3::Digest as _;
use wire::algorithm::{ForeignAlgorithm, Hash};

use super::trust::{KeyKind, PublicKey, TrustError, WeakPolicy};

/// A message on its way.
pub struct Listener {
    heard: Heard,
}

enum Heard {
    Octets(Vec<u8>),
    Sha(digest::Context),
    Sm3(sm3::Sm3),
}

/// A message that has passed: its octets, or their hash.
pub struct Message {
    kept: Kept,
}

enum Kept {
    Octets(Vec<u8>),
    Digest(Vec<u8>),
}

impl Listener {
    /// For a message of `octets`, signed under `algorithm`, if that is known, by `key`. Messages of more than `held`
    /// octets are hashed where that is enough.
    pub fn new(
        key: &PublicKey,
        algorithm: Option<ForeignAlgorithm>,
        octets: usize,
        held: usize,
    ) -> Self {
        let hashed = algorithm.filter(|_| octets > held);
        let heard = match hashed {
            Some(ForeignAlgorithm::RsaPkcs1(hash) | ForeignAlgorithm::Ecdsa(hash)) => {
                // What nobody verifies here will be refused by name; its octets are of no use.
                Heard::Sha(digest::Context::new(sha(hash).unwrap_or(&digest::SHA256)))
            }
            Some(ForeignAlgorithm::Sm2Sm3) => Heard::Sm3(key.sm2_prefix()),
            // The length is the list's own word, and up to four gibioctets: room is made as octets come.
            Some(ForeignAlgorithm::Ed25519 | ForeignAlgorithm::RsaPss { .. }) => {
                Heard::Octets(Vec::with_capacity(octets.min(held)))
            }
            // Unknown algorithms are never believed; a short message costs nothing to hold.
            None if octets > held => Heard::Sha(digest::Context::new(&digest::SHA256)),
            None => Heard::Octets(Vec::with_capacity(octets.min(held))),
        };
        Self { heard }
    }

    /// Hears the next octets.
    pub fn update(&mut self, octets: &[u8]) {
        match &mut self.heard {
            Heard::Octets(all) => all.extend_from_slice(octets),
            Heard::Sha(context) => context.update(octets),
            Heard::Sm3(context) => context.update(octets),
        }
    }

    /// All was heard.
    pub fn finish(self) -> Message {
        let kept = match self.heard {
            Heard::Octets(octets) => Kept::Octets(octets),
            Heard::Sha(context) => Kept::Digest(context.finish().as_ref().to_vec()),
            Heard::Sm3(context) => Kept::Digest(context.finalize().to_vec()),
        };
        Message { kept }
    }
}

impl PublicKey {
    /// Judges a signature like [`verify`](Self::verify), over a message that a [`Listener`] of this key and `algorithm`
    /// has heard.
    pub fn verify_heard(
        &self,
        algorithm: ForeignAlgorithm,
        weak: WeakPolicy,
        message: &Message,
        signature: &[u8],
    ) -> Result<(), TrustError> {
        match &message.kept {
            Kept::Octets(octets) => self.verify(algorithm, weak, octets, signature),
            Kept::Digest(digest) => {
                self.admit(algorithm, weak)?;
                self.verify_digest(algorithm, digest, signature)
            }
        }
    }

    fn verify_digest(
        &self,
        algorithm: ForeignAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), TrustError> {
        let fits = match (self.kind(), algorithm) {
            (
                KeyKind::Rsa {
                    pss_only: false, ..
                },
                ForeignAlgorithm::RsaPkcs1(hash),
            ) => {
                self.supports(algorithm)?;
                super::rsa::verifies(self.octets(), hash, digest, signature)
            }
            (KeyKind::P256, ForeignAlgorithm::Ecdsa(_)) => {
                self.supports(algorithm)?;
                p256_verifies(self.octets(), digest, signature)
            }
            (KeyKind::P384, ForeignAlgorithm::Ecdsa(_)) => {
                self.supports(algorithm)?;
                p384_verifies(self.octets(), digest, signature)
            }
            (KeyKind::P521, ForeignAlgorithm::Ecdsa(hash)) => {
                return self.p521(hash, algorithm, digest, signature);
            }
            (KeyKind::Sm2, ForeignAlgorithm::Sm2Sm3) => {
                return self.sm2_digest(digest, signature);
            }
            _ => return Err(self.mismatch(algorithm)),
        };
        fits.then_some(()).ok_or(TrustError::BadSignature)
    }
}

fn p256_verifies(point: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point);
    let signature = p256::ecdsa::Signature::from_der(signature);
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(digest, &signature).is_ok())
}

fn p384_verifies(point: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point);
    let signature = p384::ecdsa::Signature::from_der(signature);
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(digest, &signature).is_ok())
}

/// ring's own, as far as any signature over it is verified here.
pub(super) fn sha(hash: Hash) -> Option<&'static digest::Algorithm> {
    Some(match hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
        Hash::Md5 | Hash::Sha224 => return None,
    })
}

/// Messages up to so many octets are held and judged by `ring`.
pub const HELD_OCTETS: usize = 4 << 20;
