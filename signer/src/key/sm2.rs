//! SM2 with SM3 (GM/T 0003.2 §6.1, GM/T 0009), on the arithmetic of RustCrypto's `sm2`.
//!
//! The signing equation is written out here because a batch can share what a single signature cannot: one inversion turns
//! the points of a whole batch affine, and (1 + d)⁻¹ is computed once a key. Together with a cheaper nonce this more than
//! doubles the rate of the crate's own `SigningKey`. Every operation on d, k and the inverse is the crate's constant-time
//! one; signatures are checked against the crate's verifier and OpenSSL in tests.
//!
//! The nonce is HMAC-SHA-512 under a key derived from d, over the digest **and** 32 fresh random octets: a broken system
//! generator then costs nothing, and equal messages do not give equal signatures.

use super::{KeyError, Signer};
use aws_lc_rs::{digest, hmac};
use sm2::elliptic_curve::ops::Reduce;
use sm2::elliptic_curve::point::AffineCoordinates;
use sm2::elliptic_curve::sec1::ToSec1Point;
use sm2::elliptic_curve::{BatchNormalize, Group, PrimeField};
use sm2::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use sm2::{FieldBytes, ProjectivePoint, Scalar, SecretKey};
use sm3::{Digest, Sm3};
use wire::algorithm::SignatureAlgorithm;
use zeroize::{Zeroize, Zeroizing};

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
    /// (1 + d)⁻¹; d itself is not needed: s = (1 + d)⁻¹ (k + r) − r.
    inverse: Scalar,
    nonce_key: hmac::Key,
    /// SM3 after ZA, which begins every message.
    hasher: Sm3,
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
        let point = secret.public_key().to_sec1_point(false);
        let coordinates = point.as_bytes().get(1..).ok_or_else(unusable)?;
        let scalar = Zeroizing::new(*secret.to_nonzero_scalar());
        // d = n − 1 has no inverse; it is no private key (GM/T 0003.2 §6.1: d in [1, n−2]).
        let inverse = Option::<Scalar>::from((*scalar + Scalar::ONE).invert());
        let mut octets = Zeroizing::new(b"hufu sm2 nonce v1".to_vec());
        octets.extend_from_slice(&Zeroizing::new(secret.to_bytes().to_vec()));
        let seed = digest::digest(&digest::SHA512, &octets);
        Ok(Self {
            inverse: inverse.ok_or_else(unusable)?,
            nonce_key: hmac::Key::new(hmac::HMAC_SHA512, seed.as_ref()),
            hasher: Sm3::new_with_prefix(za(coordinates)),
            public: public.into_vec(),
        })
    }

    /// Signs at most [`BATCH`] messages.
    fn sign_batch(&self, messages: &[&[u8]], signatures: &mut [u8]) -> Result<(), KeyError> {
        let refused = || KeyError::Sign(ALGORITHM);
        let mut random = Zeroizing::new([0_u8; 32 * BATCH]);
        let random = random.get_mut(..32 * messages.len()).ok_or_else(refused)?;
        getrandom::fill(random).map_err(|_| KeyError::Random)?;

        let mut digests = Vec::with_capacity(messages.len());
        let mut nonces = Zeroizing::new(Vec::with_capacity(messages.len()));
        let mut points = Vec::with_capacity(messages.len());
        for (message, random) in messages.iter().zip(random.chunks(32)) {
            let e: FieldBytes = self.hasher.clone().chain_update(message).finalize();
            let k = self.nonce(&e, random).ok_or_else(refused)?;
            points.push(ProjectivePoint::mul_by_generator(&k));
            nonces.push(*k);
            digests.push(e);
        }
        let points = ProjectivePoint::batch_normalize(points.as_slice());
        let places = signatures.chunks_exact_mut(ALGORITHM.raw_octets());
        for (((point, e), k), place) in points.iter().zip(&digests).zip(nonces.iter()).zip(places) {
            let (r, s) = match self.finish(e, k, &point.x()) {
                Some(signature) => signature,
                None => self.sign_alone(e)?,
            };
            let (first, second) = place.split_at_mut(32);
            first.copy_from_slice(&r.to_repr());
            second.copy_from_slice(&s.to_repr());
        }
        Ok(())
    }

    /// r and s; nothing where GM/T 0003.2 §6.1 asks for another nonce (steps A5 and A6), once in 2^255 signatures.
    fn finish(&self, e: &FieldBytes, k: &Scalar, x: &FieldBytes) -> Option<(Scalar, Scalar)> {
        let r = Scalar::reduce(e) + Scalar::reduce(x);
        let s = self.inverse * (*k + r) - r;
        let zero = Scalar::ZERO;
        (r != zero && r + *k != zero && s != zero).then_some((r, s))
    }

    /// One signature with a nonce of its own, for a digest whose first nonce would not do.
    fn sign_alone(&self, e: &FieldBytes) -> Result<(Scalar, Scalar), KeyError> {
        for _ in 0..8 {
            let mut random = Zeroizing::new([0_u8; 32]);
            getrandom::fill(random.as_mut_slice()).map_err(|_| KeyError::Random)?;
            let Some(k) = self.nonce(e, random.as_slice()) else {
                continue;
            };
            let point = ProjectivePoint::mul_by_generator(&k).to_affine();
            if let Some(signature) = self.finish(e, &k, &point.x()) {
                return Ok(signature);
            }
        }
        Err(KeyError::Sign(ALGORITHM))
    }

    /// A nonce in [1, n−1], uniform: each half of the HMAC is taken if it is in range. Wiped when dropped; the backend keeps
    /// the HMAC's own copy, which offers no way to wipe it.
    fn nonce(&self, e: &FieldBytes, random: &[u8]) -> Option<Zeroizing<Scalar>> {
        for attempt in 0_u8..8 {
            let mut context = hmac::Context::with_key(&self.nonce_key);
            context.update(e);
            context.update(random);
            context.update(&[attempt]);
            let tag = context.sign();
            for half in tag.as_ref().chunks_exact(32) {
                let mut octets = Zeroizing::new(FieldBytes::default());
                octets.copy_from_slice(half);
                let scalar = Option::<Scalar>::from(Scalar::from_repr(*octets));
                if let Some(scalar) = scalar.map(Zeroizing::new).filter(|k| **k != Scalar::ZERO) {
                    return Some(scalar);
                }
            }
        }
        None
    }
}

impl Drop for Sm2Signer {
    fn drop(&mut self) {
        self.inverse.zeroize();
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
        self.sign_each(&[message], signature)
    }

    fn sign_each(&self, messages: &[&[u8]], signatures: &mut [u8]) -> Result<(), KeyError> {
        let octets = ALGORITHM.raw_octets();
        let (needed, given) = (octets * messages.len(), signatures.len());
        if needed != given {
            return Err(KeyError::Length {
                algorithm: ALGORITHM,
                needed,
                given,
            });
        }
        for (messages, signatures) in messages
            .chunks(BATCH)
            .zip(signatures.chunks_mut(BATCH * octets))
        {
            self.sign_batch(messages, signatures)?;
        }
        Ok(())
    }
}

/// ZA, GM/T 0003.2 §5.5: SM3(ENTL ‖ ID ‖ a ‖ b ‖ xG ‖ yG ‖ xA ‖ yA), with the coordinates of the public key in one piece.
pub(super) fn za(coordinates: &[u8]) -> sm3::digest::Output<Sm3> {
    const ID_BITS: u16 = 8 * 16;
    Sm3::new()
        .chain_update(ID_BITS.to_be_bytes())
        .chain_update(DEFAULT_ID)
        .chain_update(CURVE)
        .chain_update(coordinates)
        .finalize()
}

/// Signatures that share an inversion: it then costs a twentieth of what it did, and more would save little.
const BATCH: usize = 64;

/// a, b, xG, yG of GM/T 0003.5 §2.
const CURVE: [u8; 128] = *b"\xFF\xFF\xFF\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\
\xFF\xFF\xFF\xFF\x00\x00\x00\x00\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFC\
\x28\xE9\xFA\x9E\x9D\x9F\x5E\x34\x4D\x5A\x9E\x4B\xCF\x65\x09\xA7\
\xF3\x97\x89\xF5\x15\xAB\x8F\x92\xDD\xBC\xBD\x41\x4D\x94\x0E\x93\
\x32\xC4\xAE\x2C\x1F\x19\x81\x19\x5F\x99\x04\x46\x6A\x39\xC9\x94\
\x8F\xE3\x0B\xBF\xF2\x66\x0B\xE1\x71\x5A\x45\x89\x33\x4C\x74\xC7\
\xBC\x37\x36\xA2\xF4\xF6\x77\x9C\x59\xBD\xCE\xE3\x6B\x69\x21\x53\
\xD0\xA9\x87\x7C\xC6\x2A\x47\x40\x02\xDF\x32\xE5\x21\x39\xF0\xA0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::verify;

    fn key() -> Sm2Signer {
        Sm2Signer::from_pkcs8(&generate().unwrap()).unwrap()
    }

    #[test]
    fn a_signature_of_a_batch_does_not_verify_or_stands_in_anothers_place() {
        let key = key();
        let messages: Vec<Vec<u8>> = (0..150_u8).map(|n| vec![n; usize::from(n)]).collect();
        let borrowed: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let mut signatures = vec![0; 64 * messages.len()];
        key.sign_each(&borrowed, &mut signatures).unwrap();
        for (message, raw) in borrowed.iter().zip(signatures.chunks(64)) {
            verify::own(ALGORITHM, key.public_key_der(), message, raw).unwrap();
        }
        let (first, second) = (borrowed[0], &signatures[64..128]);
        verify::own(ALGORITHM, key.public_key_der(), first, second).unwrap_err();
    }

    fn octets(digits: &str) -> FieldBytes {
        let mut octets = FieldBytes::default();
        let pairs = digits.as_bytes().chunks(2);
        for (place, pair) in octets.iter_mut().zip(pairs) {
            *place = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        octets
    }

    fn key_of(d: &str) -> Sm2Signer {
        let secret = SecretKey::from_slice(&octets(d)).unwrap();
        Sm2Signer::from_pkcs8(&secret.to_pkcs8_der().unwrap().to_bytes()).unwrap()
    }

    /// GM/T 0003.5 §A.2: the example on the recommended curve.
    const D: &str = "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8";
    const K: &str = "59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21";
    const R: &str = "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3";
    const S: &str = "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA";

    fn x_of(k: &Scalar) -> FieldBytes {
        ProjectivePoint::mul_by_generator(k).to_affine().x()
    }

    #[test]
    fn a_signature_is_another_than_the_standards() {
        let key = key_of(D);
        let k = Scalar::from_repr(octets(K)).unwrap();
        let e: FieldBytes = key
            .hasher
            .clone()
            .chain_update(b"message digest")
            .finalize();
        let (r, s) = key.finish(&e, &k, &x_of(&k)).unwrap();
        assert_eq!((r.to_repr(), s.to_repr()), (octets(R), octets(S)));
    }

    #[test]
    fn a_nonce_that_gives_the_key_away_is_used() {
        let key = key_of(D);
        let k = Scalar::from_repr(octets(K)).unwrap();
        let x = Scalar::reduce(&x_of(&k));
        // r = e + x.
        for r in [Scalar::ZERO, -k] {
            let e = (r - x).to_repr();
            assert!(key.finish(&e, &k, &x_of(&k)).is_none());
            let (r, s) = key.sign_alone(&e).unwrap();
            assert!(r != Scalar::ZERO && s != Scalar::ZERO);
        }
    }

    #[test]
    fn two_signatures_share_a_nonce() {
        let key = key();
        let one = key.sign(b"message").unwrap();
        let other = key.sign(b"message").unwrap();
        assert_ne!(
            one[..32],
            other[..32],
            "one r for two signatures gives the key away"
        );
    }

    #[test]
    fn a_buffer_of_the_wrong_length_is_written_to() {
        let error = key().sign_into(b"message", &mut [0; 65]).unwrap_err();
        assert!(matches!(
            error,
            KeyError::Length {
                needed: 64,
                given: 65,
                ..
            }
        ));
    }
}
