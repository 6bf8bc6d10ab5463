//! Signature algorithms of other authorities, recognised from their `AlgorithmIdentifier`.

use crate::der::{Reader, tag};
use crate::{DecodeError, Rule, oid};

/// A hash inside a signature algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// Broken; recognised so that a refusal can name it.
    Md5,
    /// Weak.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

/// What a foreign CRL or certificate is signed with. Curve and key size are the key's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ForeignAlgorithm {
    /// RSA PKCS #1 v1.5.
    RsaPkcs1(Hash),
    /// RSASSA-PSS with MGF1 over the same hash.
    RsaPss {
        /// Hash of the message and of MGF1.
        hash: Hash,
        /// Octets of salt.
        salt: u32,
    },
    /// ECDSA.
    Ecdsa(Hash),
    /// Ed25519.
    Ed25519,
    /// SM2 with SM3.
    Sm2Sm3,
}

impl ForeignAlgorithm {
    /// Recognises the whole TLV of an `AlgorithmIdentifier`; `Ok(None)` if it is sound and not known here.
    ///
    /// Parameters NULL and absent are both taken, for every algorithm but PSS: the standards say which, the world
    /// writes either, and nothing depends on it.
    pub fn recognise(identifier: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut outer = Reader::new(identifier);
        let mut inner = outer.sequence()?;
        outer.finish()?;
        let algorithm = inner.read(tag::OID)?;
        if algorithm.raw == oid::RSASSA_PSS {
            return pss(&mut inner);
        }
        let Some((_, known)) = KNOWN.iter().find(|(oid, _)| *oid == algorithm.raw) else {
            return Ok(None);
        };
        if let Some(null) = inner.optional(tag::NULL)?
            && !null.content.is_empty()
        {
            return Err(null.error(Rule::NotEmpty));
        }
        inner.finish()?;
        Ok(Some(*known))
    }

    /// True where the hash no longer holds: MD5 and SHA-1.
    pub const fn is_weak(self) -> bool {
        match self {
            Self::RsaPkcs1(hash) | Self::RsaPss { hash, .. } | Self::Ecdsa(hash) => {
                matches!(hash, Hash::Md5 | Hash::Sha1)
            }
            Self::Ed25519 | Self::Sm2Sm3 => false,
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RsaPkcs1(Hash::Md5) => "rsa-md5",
            Self::RsaPkcs1(Hash::Sha1) => "rsa-sha1",
            Self::RsaPkcs1(Hash::Sha224) => "rsa-sha224",
            Self::RsaPkcs1(Hash::Sha256) => "rsa-sha256",
            Self::RsaPkcs1(Hash::Sha384) => "rsa-sha384",
            Self::RsaPkcs1(Hash::Sha512) => "rsa-sha512",
            Self::RsaPss { hash, .. } => match hash {
                Hash::Md5 => "rsa-pss-md5",
                Hash::Sha1 => "rsa-pss-sha1",
                Hash::Sha224 => "rsa-pss-sha224",
                Hash::Sha256 => "rsa-pss-sha256",
                Hash::Sha384 => "rsa-pss-sha384",
                Hash::Sha512 => "rsa-pss-sha512",
            },
            Self::Ecdsa(hash) => match hash {
                Hash::Md5 => "ecdsa-md5",
                Hash::Sha1 => "ecdsa-sha1",
                Hash::Sha224 => "ecdsa-sha224",
                Hash::Sha256 => "ecdsa-sha256",
                Hash::Sha384 => "ecdsa-sha384",
                Hash::Sha512 => "ecdsa-sha512",
            },
            Self::Ed25519 => "ed25519",
            Self::Sm2Sm3 => "sm2-sm3",
        }
    }
}

impl core::fmt::Display for ForeignAlgorithm {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// RFC 4055 §3.1. Everything has a default, and the defaults are all SHA-1.
///
/// ```asn1
/// RSASSA-PSS-params ::= SEQUENCE {
///     hashAlgorithm     [0] HashAlgorithm    DEFAULT sha1,
///     maskGenAlgorithm  [1] MaskGenAlgorithm DEFAULT mgf1SHA1,
///     saltLength        [2] INTEGER          DEFAULT 20,
///     trailerField      [3] TrailerField     DEFAULT 1 }
/// ```
fn pss(after_oid: &mut Reader<'_>) -> Result<Option<ForeignAlgorithm>, DecodeError> {
    let mut parameters = after_oid.sequence()?;
    after_oid.finish()?;
    let hash = match parameters.optional(tag::context_constructed(0))? {
        Some(explicit) => hash_identifier(&mut explicit.reader())?,
        None => Some(Hash::Sha1),
    };
    let mask_hash = match parameters.optional(tag::context_constructed(1))? {
        Some(explicit) => {
            let mut reader = explicit.reader();
            let mut mask = reader.sequence()?;
            reader.finish()?;
            if mask.read(tag::OID)?.raw == oid::MGF1 {
                hash_identifier(&mut mask)?
            } else {
                None
            }
        }
        None => Some(Hash::Sha1),
    };
    let salt = match parameters.optional(tag::context_constructed(2))? {
        Some(explicit) => small_integer(&mut explicit.reader())?,
        None => 20,
    };
    let trailer = match parameters.optional(tag::context_constructed(3))? {
        Some(explicit) => small_integer(&mut explicit.reader())?,
        None => 1,
    };
    parameters.finish()?;
    Ok(match hash {
        Some(hash) if mask_hash == Some(hash) && trailer == 1 => {
            Some(ForeignAlgorithm::RsaPss { hash, salt })
        }
        _ => None,
    })
}

/// An `AlgorithmIdentifier` of a hash, to the end of its reader.
fn hash_identifier(reader: &mut Reader<'_>) -> Result<Option<Hash>, DecodeError> {
    let mut inner = reader.sequence()?;
    reader.finish()?;
    let algorithm = inner.read(tag::OID)?;
    if inner.peek() == Some(tag::NULL) {
        inner.any()?;
    }
    inner.finish()?;
    Ok(match algorithm.raw {
        oid if oid == oid::SHA1 => Some(Hash::Sha1),
        oid if oid == oid::SHA224 => Some(Hash::Sha224),
        oid if oid == oid::SHA256 => Some(Hash::Sha256),
        oid if oid == oid::SHA384 => Some(Hash::Sha384),
        oid if oid == oid::SHA512 => Some(Hash::Sha512),
        _ => None,
    })
}

/// A non-negative INTEGER below 2³¹, to the end of its reader.
fn small_integer(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let value = reader.integer(4)?;
    reader.finish()?;
    if value.content.first().is_some_and(|&first| first >= 0x80) {
        return Err(value.error(Rule::FieldRange));
    }
    Ok(value
        .content
        .iter()
        .fold(0, |sum, &octet| (sum << 8) | u32::from(octet)))
}

const KNOWN: &[(&[u8], ForeignAlgorithm)] = &[
    (
        oid::SHA256_WITH_RSA,
        ForeignAlgorithm::RsaPkcs1(Hash::Sha256),
    ),
    (
        oid::SHA384_WITH_RSA,
        ForeignAlgorithm::RsaPkcs1(Hash::Sha384),
    ),
    (
        oid::SHA512_WITH_RSA,
        ForeignAlgorithm::RsaPkcs1(Hash::Sha512),
    ),
    (
        oid::SHA224_WITH_RSA,
        ForeignAlgorithm::RsaPkcs1(Hash::Sha224),
    ),
    (oid::SHA1_WITH_RSA, ForeignAlgorithm::RsaPkcs1(Hash::Sha1)),
    (
        oid::SHA1_WITH_RSA_OIW,
        ForeignAlgorithm::RsaPkcs1(Hash::Sha1),
    ),
    (oid::MD5_WITH_RSA, ForeignAlgorithm::RsaPkcs1(Hash::Md5)),
    (
        oid::ECDSA_WITH_SHA256,
        ForeignAlgorithm::Ecdsa(Hash::Sha256),
    ),
    (
        oid::ECDSA_WITH_SHA384,
        ForeignAlgorithm::Ecdsa(Hash::Sha384),
    ),
    (
        oid::ECDSA_WITH_SHA512,
        ForeignAlgorithm::Ecdsa(Hash::Sha512),
    ),
    (
        oid::ECDSA_WITH_SHA224,
        ForeignAlgorithm::Ecdsa(Hash::Sha224),
    ),
    (oid::ECDSA_WITH_SHA1, ForeignAlgorithm::Ecdsa(Hash::Sha1)),
    (oid::ED25519, ForeignAlgorithm::Ed25519),
    (oid::SM2_WITH_SM3, ForeignAlgorithm::Sm2Sm3),
];
