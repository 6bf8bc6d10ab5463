//! RSASSA-PKCS1-v1_5 (RFC 8017 §8.2.2) over a hash that is already there.
//!
//! `ring` hashes and verifies in one call and so wants the message whole; a list of a million entries is 49 MB. Only for
//! lists too long to be held is the public operation done here, with `crypto-bigint`'s arithmetic: one modular
//! exponentiation of public numbers, and a comparison with the one encoding that is right. Nothing is parsed out of the
//! signature, which is where forgeries have been made. `ring` judges the same octets in the tests, and all shorter lists.

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};
use wire::algorithm::Hash;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::RSAPublicKey;

/// Whether `signature` is that of `digest`, which `hash` made, under an `RSAPublicKey` in DER.
pub(super) fn verifies(rsa_public_key: &[u8], hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
    opened(rsa_public_key, signature)
        .zip(digest_info(hash))
        .is_some_and(|(opened, info)| is_encoding_of(&opened, info, digest))
}

/// The signature to the power of the public exponent, as long as the modulus. `None` for numbers `ring` refuses, too.
fn opened(rsa_public_key: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    let (rest, key) = RSAPublicKey::from_der(rsa_public_key).ok()?;
    let modulus = without_zeros(key.modulus);
    let exponent = without_zeros(key.exponent);
    let octets = modulus.len();
    if !rest.is_empty()
        || !(LEAST_MODULUS_OCTETS..=MOST_MODULUS_OCTETS).contains(&octets)
        || exponent.len() > MOST_EXPONENT_OCTETS
        || signature.len() != octets
    {
        return None;
    }
    let exponent = exponent
        .iter()
        .fold(0_u64, |sum, &octet| (sum << 8) | u64::from(octet));
    // RFC 8017 §3.1: odd, at least three. ring takes no more than 33 bits.
    if exponent < 3 || exponent.is_multiple_of(2) || exponent >= 1 << 33 {
        return None;
    }
    let bits = u32::try_from(octets.next_multiple_of(LIMB_OCTETS) * 8).ok()?;
    let number = |octets: &[u8]| BoxedUint::from_be_slice(octets, bits).ok();
    let (n, s) = (number(modulus)?, number(signature)?);
    // RFC 8017 §5.2.2 step 1: a representative out of range is no signature.
    if s >= n {
        return None;
    }
    let params = BoxedMontyParams::new_vartime(Odd::new(n).into_option()?);
    let power = BoxedMontyForm::new(s, &params)
        .pow_bounded_exp(&BoxedUint::from(exponent), u64::BITS)
        .retrieve()
        .to_be_bytes();
    let zeros = power.len().checked_sub(octets)?;
    power.get(zeros..).map(<[u8]>::to_vec)
}

/// RFC 8017 §9.2: 00 01 FF … FF 00 `DigestInfo`, at least eight FF, and nothing behind it.
fn is_encoding_of(opened: &[u8], info: &[u8], digest: &[u8]) -> bool {
    let Some(filling) = opened.len().checked_sub(info.len() + digest.len() + 3) else {
        return false;
    };
    let mut right = Vec::with_capacity(opened.len());
    right.extend_from_slice(&[0, 1]);
    right.resize(2 + filling, 0xff);
    right.push(0);
    right.extend_from_slice(info);
    right.extend_from_slice(digest);
    filling >= 8 && opened == right && info.last().copied() == u8::try_from(digest.len()).ok()
}

/// RFC 8017 §9.2 note 1: the `DigestInfo` up to the hash itself, parameters NULL.
fn digest_info(hash: Hash) -> Option<&'static [u8]> {
    Some(match hash {
        Hash::Sha1 => &[
            0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 20,
        ],
        Hash::Sha256 => &[
            0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x01, 0x05, 0x00, 0x04, 32,
        ],
        Hash::Sha384 => &[
            0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x02, 0x05, 0x00, 0x04, 48,
        ],
        Hash::Sha512 => &[
            0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
            0x03, 0x05, 0x00, 0x04, 64,
        ],
        Hash::Md5 | Hash::Sha224 => return None,
    })
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&octet| octet == 0).count();
    &number[zeros..]
}

const LIMB_OCTETS: usize = 8;
/// 1,024 bits, behind `--allow-weak`.
const LEAST_MODULUS_OCTETS: usize = 128;
/// 8,192 bits: more only costs time.
const MOST_MODULUS_OCTETS: usize = 1024;
const MOST_EXPONENT_OCTETS: usize = 5;
