//! Public keys of others, and whether a signature is theirs.
//!
//! `ring` verifies RSA (PKCS #1 and PSS), P-256, P-384 and Ed25519; RustCrypto verifies SM2 (GM/T 0009, signer ID
//! 1234567812345678) and P-521, which ring cannot. Nothing here holds a private key. Weak means SHA-1 or an RSA modulus
//! under 2,048 bits: read only when the operator says so. MD5, MD2, DSA and explicit curve parameters are never read.
//!
//! Next door: `certificate.rs` takes the key out of a certificate, `crl.rs` and `batch.rs` ask for verdicts.

use ring::signature as ring_sig;
use sm2::dsa::signature::Verifier as _;
use wire::algorithm::{ForeignAlgorithm, Hash, SignatureAlgorithm, ecdsa_raw_from_der};
use wire::der::{Reader, tag};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::digest::encode_hex;

/// What to do with SHA-1 signatures and short RSA keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeakPolicy {
    /// Refuse them: the default.
    Refuse,
    /// Read them, because the operator asked for history (`--allow-weak`).
    Allow,
}

impl WeakPolicy {
    /// What a yes or no of the command line or of `options.toml` means.
    pub fn of(allow_weak: bool) -> Self {
        if allow_weak {
            Self::Allow
        } else {
            Self::Refuse
        }
    }
}

/// Why a key or a signature was not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The subjectPublicKeyInfo is not one we can read.
    #[error("the public key cannot be read: {0}")]
    KeyUnreadable(&'static str),
    /// A key type or curve nobody here verifies.
    #[error("keys of type {0} are not supported")]
    KeyUnsupported(String),
    /// The algorithm cannot have been made with this key.
    #[error("algorithm {algorithm} does not fit the issuer's {key} key")]
    KeyMismatch {
        /// What the signature claims.
        algorithm: String,
        /// What the key is.
        key: String,
    },
    /// SHA-1 or a short modulus, without `--allow-weak`.
    #[error("{0} is weak; add --allow-weak to read it all the same")]
    Weak(String),
    /// An algorithm that is never believed.
    #[error("signature algorithm {0} is not supported")]
    AlgorithmUnsupported(String),
    /// The arithmetic says no.
    #[error("the signature does not verify with the issuer's key")]
    BadSignature,
}

/// A public key, ready to judge signatures.
#[derive(Debug, Clone)]
pub struct PublicKey {
    kind: KeyKind,
    /// `RSAPublicKey` DER, or the point or key octets of the BIT STRING.
    octets: Vec<u8>,
    sm2: Option<Box<sm2::dsa::VerifyingKey>>,
}

/// The key types that can be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA; `pss_only` when the SPKI says id-RSASSA-PSS (RFC 4055 §1.2).
    Rsa {
        /// Bits of the modulus.
        bits: usize,
        /// The key may sign PSS only.
        pss_only: bool,
    },
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// SM2 (GM/T 0003).
    Sm2,
}

impl core::fmt::Display for KeyKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Rsa { bits, .. } => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Sm2 => f.write_str("SM2"),
        }
    }
}

impl PublicKey {
    /// Reads a subjectPublicKeyInfo (RFC 5280 §4.1.2.7), whole, nothing after it.
    pub fn from_spki(der: &[u8]) -> Result<Self, TrustError> {
        let (rest, spki) = SubjectPublicKeyInfo::from_der(der)
            .map_err(|_| TrustError::KeyUnreadable("not a subjectPublicKeyInfo"))?;
        if !rest.is_empty() {
            return Err(TrustError::KeyUnreadable(
                "octets after the subjectPublicKeyInfo",
            ));
        }
        let octets = spki.subject_public_key.data.to_vec();
        let kind = kind_of(&spki, &octets)?;
        let sm2 = match kind {
            KeyKind::Sm2 => Some(Box::new(
                sm2::dsa::VerifyingKey::from_sec1_bytes(SM2_SIGNER_ID, &octets)
                    .map_err(|_| TrustError::KeyUnreadable("not a point of the SM2 curve"))?,
            )),
            _ => None,
        };
        Ok(Self { kind, octets, sm2 })
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Judges a signature as found in a certificate or a CRL (the octets of its BIT STRING).
    pub fn verify(
        &self,
        algorithm: ForeignAlgorithm,
        weak: WeakPolicy,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TrustError> {
        self.admit(algorithm, weak)?;
        match (self.kind, algorithm) {
            (
                KeyKind::Rsa {
                    bits,
                    pss_only: false,
                },
                ForeignAlgorithm::RsaPkcs1(hash),
            ) => {
                let parameters =
                    rsa_pkcs1(hash, bits).ok_or_else(|| self.unsupported(algorithm))?;
                self.ring(parameters, message, signature)
            }
            (KeyKind::Rsa { .. }, ForeignAlgorithm::RsaPss { hash, salt }) => {
                let parameters = rsa_pss(hash, salt).ok_or_else(|| self.unsupported(algorithm))?;
                self.ring(parameters, message, signature)
            }
            (KeyKind::P256 | KeyKind::P384, ForeignAlgorithm::Ecdsa(hash)) => {
                let parameters =
                    ecdsa_asn1(self.kind, hash).ok_or_else(|| self.unsupported(algorithm))?;
                self.ring(parameters, message, signature)
            }
            (KeyKind::P521, ForeignAlgorithm::Ecdsa(hash)) => {
                let digest = super::prehash::sha(hash)
                    .ok_or_else(|| self.unsupported(algorithm))
                    .map(|hash| ring::digest::digest(hash, message))?;
                self.p521(hash, algorithm, digest.as_ref(), signature)
            }
            (KeyKind::Ed25519, ForeignAlgorithm::Ed25519) => {
                self.ring(&ring_sig::ED25519, message, signature)
            }
            (KeyKind::Sm2, ForeignAlgorithm::Sm2Sm3) => {
                let raw =
                    ecdsa_raw_from_der(signature, 32).map_err(|_| TrustError::BadSignature)?;
                self.sm2_raw(message, &raw)
            }
            _ => Err(self.mismatch(algorithm)),
        }
    }

    /// What is refused before any arithmetic.
    pub(super) fn admit(
        &self,
        algorithm: ForeignAlgorithm,
        weak: WeakPolicy,
    ) -> Result<(), TrustError> {
        // MD5 is forged at will since 2008: --allow-weak does not reach that far.
        if let ForeignAlgorithm::RsaPkcs1(Hash::Md5) = algorithm {
            return Err(self.unsupported(algorithm));
        }
        match weak {
            WeakPolicy::Refuse => self.refuse_weak(algorithm),
            WeakPolicy::Allow => Ok(()),
        }
    }

    /// Whether ring verifies `algorithm` with this key, so that what is judged by its hash is judged no more leniently.
    pub(super) fn supports(&self, algorithm: ForeignAlgorithm) -> Result<(), TrustError> {
        let parameters = match (self.kind, algorithm) {
            (KeyKind::Rsa { bits, .. }, ForeignAlgorithm::RsaPkcs1(hash)) => rsa_pkcs1(hash, bits),
            (kind, ForeignAlgorithm::Ecdsa(hash)) => ecdsa_asn1(kind, hash),
            _ => None,
        };
        parameters
            .map(|_| ())
            .ok_or_else(|| self.unsupported(algorithm))
    }

    /// `RSAPublicKey` DER, or the point or key octets of the BIT STRING.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Judges a signature of ours, stored raw as a record holds it.
    pub fn verify_raw(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        raw: &[u8],
    ) -> Result<(), TrustError> {
        use SignatureAlgorithm as A;
        let parameters: &dyn ring_sig::VerificationAlgorithm = match (algorithm, self.kind) {
            (A::EcdsaP256Sha256, KeyKind::P256) => &ring_sig::ECDSA_P256_SHA256_FIXED,
            (A::EcdsaP384Sha384, KeyKind::P384) => &ring_sig::ECDSA_P384_SHA384_FIXED,
            (A::Rsa2048Sha256, KeyKind::Rsa { bits: 2048, .. })
            | (A::Rsa3072Sha256, KeyKind::Rsa { bits: 3072, .. })
            | (A::Rsa4096Sha256, KeyKind::Rsa { bits: 4096, .. }) => {
                &ring_sig::RSA_PKCS1_2048_8192_SHA256
            }
            (A::Ed25519, KeyKind::Ed25519) => &ring_sig::ED25519,
            (A::Sm2Sm3, KeyKind::Sm2) => return self.sm2_raw(message, raw),
            _ => {
                return Err(TrustError::KeyMismatch {
                    algorithm: algorithm.name().to_owned(),
                    key: self.kind.to_string(),
                });
            }
        };
        self.ring(parameters, message, raw)
    }

    /// Whether a signature of this key under `algorithm` is weak: SHA-1, or a short RSA modulus.
    pub fn is_weak_with(&self, algorithm: ForeignAlgorithm) -> bool {
        self.refuse_weak(algorithm).is_err()
    }

    fn refuse_weak(&self, algorithm: ForeignAlgorithm) -> Result<(), TrustError> {
        if algorithm.is_weak() {
            return Err(TrustError::Weak(algorithm.name().to_owned()));
        }
        match self.kind {
            KeyKind::Rsa { bits, .. } if bits < 2048 => {
                Err(TrustError::Weak(format!("an RSA key of {bits} bits")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn mismatch(&self, algorithm: ForeignAlgorithm) -> TrustError {
        TrustError::KeyMismatch {
            algorithm: algorithm.name().to_owned(),
            key: self.kind.to_string(),
        }
    }

    /// The family fits the key, this member of it is not verified here.
    fn unsupported(&self, algorithm: ForeignAlgorithm) -> TrustError {
        let name = algorithm.name();
        TrustError::AlgorithmUnsupported(match algorithm {
            ForeignAlgorithm::RsaPss { salt, .. } => format!("{name} with {salt} octets of salt"),
            _ => format!("{name} with a {} key", self.kind),
        })
    }

    fn ring(
        &self,
        parameters: &'static dyn ring_sig::VerificationAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TrustError> {
        ring_sig::UnparsedPublicKey::new(parameters, &self.octets)
            .verify(message, signature)
            .map_err(|_| TrustError::BadSignature)
    }

    pub(super) fn p521(
        &self,
        hash: Hash,
        algorithm: ForeignAlgorithm,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), TrustError> {
        use p521::ecdsa::signature::hazmat::PrehashVerifier as _;
        // SHA-1 and SHA-2 under 33 octets are shorter than half of the field: the crate refuses them, so do we.
        if !matches!(hash, Hash::Sha384 | Hash::Sha512) {
            return Err(self.unsupported(algorithm));
        }
        let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&self.octets)
            .map_err(|_| TrustError::KeyUnreadable("not a point of P-521"))?;
        let signature =
            p521::ecdsa::Signature::from_der(signature).map_err(|_| TrustError::BadSignature)?;
        key.verify_prehash(digest, &signature)
            .map_err(|_| TrustError::BadSignature)
    }

    /// SM3 that has heard what GM/T 0003.2 §5.5 puts before every message: Z, the hash of signer ID, curve and key.
    pub(super) fn sm2_prefix(&self) -> sm3::Sm3 {
        use sm3::Digest as _;
        let mut z = sm3::Sm3::new();
        let id_bits = u16::try_from(SM2_SIGNER_ID.len() * 8).expect("sixteen octets");
        z.update(id_bits.to_be_bytes());
        z.update(SM2_SIGNER_ID);
        z.update(SM2_CURVE);
        if let Some(key) = &self.sm2 {
            let point = key.to_sec1_bytes();
            // Without the octet that says how it is written: a key is kept uncompressed.
            z.update(point.get(1..).unwrap_or_default());
        }
        let mut hash = sm3::Sm3::new();
        hash.update(z.finalize());
        hash
    }

    pub(super) fn sm2_digest(&self, digest: &[u8], signature: &[u8]) -> Result<(), TrustError> {
        use sm2::dsa::signature::hazmat::PrehashVerifier as _;
        let raw = ecdsa_raw_from_der(signature, 32).map_err(|_| TrustError::BadSignature)?;
        let key = self
            .sm2
            .as_deref()
            .expect("an SM2 key is parsed in from_spki");
        sm2::dsa::Signature::try_from(raw.as_slice())
            .and_then(|signature| key.verify_prehash(digest, &signature))
            .map_err(|_| TrustError::BadSignature)
    }

    fn sm2_raw(&self, message: &[u8], raw: &[u8]) -> Result<(), TrustError> {
        let key = self
            .sm2
            .as_deref()
            .expect("an SM2 key is parsed in from_spki");
        let signature = sm2::dsa::Signature::try_from(raw).map_err(|_| TrustError::BadSignature)?;
        key.verify(message, &signature)
            .map_err(|_| TrustError::BadSignature)
    }
}

/// The algorithm an AlgorithmIdentifier TLV names, if it is one that can be believed.
pub fn recognise(identifier: &[u8]) -> Result<ForeignAlgorithm, TrustError> {
    match ForeignAlgorithm::recognise(identifier) {
        Ok(Some(algorithm)) => Ok(algorithm),
        Ok(None) => {
            let oid = Reader::new(identifier)
                .sequence()
                .and_then(|mut inside| inside.read(tag::OID));
            Err(TrustError::AlgorithmUnsupported(oid.map_or_else(
                |_| "(none)".to_owned(),
                |oid| oid_text(oid.raw),
            )))
        }
        Err(error) => Err(TrustError::AlgorithmUnsupported(format!(
            "whose identifier is broken ({error})"
        ))),
    }
}

/// An OID's TLV as people write it, dotted.
pub fn oid_text(tlv: &[u8]) -> String {
    match Reader::new(tlv).read(tag::OID) {
        Ok(oid) => x509_parser::asn1_rs::Oid::new(oid.content.into()).to_id_string(),
        Err(_) => encode_hex(tlv),
    }
}

fn kind_of(spki: &SubjectPublicKeyInfo<'_>, octets: &[u8]) -> Result<KeyKind, TrustError> {
    let oid = spki.algorithm.algorithm.to_id_string();
    match oid.as_str() {
        "1.2.840.113549.1.1.1" | "1.2.840.113549.1.1.10" => Ok(KeyKind::Rsa {
            bits: modulus_bits(octets)?,
            pss_only: oid.ends_with(".10"),
        }),
        "1.3.101.112" => Ok(KeyKind::Ed25519),
        "1.2.840.10045.2.1" => {
            let curve = spki
                .algorithm
                .parameters
                .as_ref()
                .and_then(|any| any.as_oid().ok())
                .ok_or(TrustError::KeyUnreadable(
                    "the curve is not named (RFC 5480 §2.1.1 wants namedCurve)",
                ))?
                .to_id_string();
            match curve.as_str() {
                "1.2.840.10045.3.1.7" => Ok(KeyKind::P256),
                "1.3.132.0.34" => Ok(KeyKind::P384),
                "1.3.132.0.35" => Ok(KeyKind::P521),
                "1.2.156.10197.1.301" => Ok(KeyKind::Sm2),
                _ => Err(TrustError::KeyUnsupported(format!("EC on curve {curve}"))),
            }
        }
        _ => Err(TrustError::KeyUnsupported(oid)),
    }
}

fn modulus_bits(rsa_public_key: &[u8]) -> Result<usize, TrustError> {
    let (_, key) = x509_parser::public_key::RSAPublicKey::from_der(rsa_public_key)
        .map_err(|_| TrustError::KeyUnreadable("not an RSAPublicKey"))?;
    let first = key.modulus.iter().position(|&octet| octet != 0);
    let first = first.ok_or(TrustError::KeyUnreadable("the modulus is zero"))?;
    Ok((key.modulus.len() - first) * 8 - key.modulus[first].leading_zeros() as usize)
}

fn rsa_pkcs1(hash: Hash, bits: usize) -> Option<&'static dyn ring_sig::VerificationAlgorithm> {
    Some(match hash {
        Hash::Sha1 => &ring_sig::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 if bits < 2048 => &ring_sig::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        Hash::Sha512 if bits < 2048 => &ring_sig::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        Hash::Sha384 if bits < 2048 => return None,
        Hash::Sha256 => &ring_sig::RSA_PKCS1_2048_8192_SHA256,
        Hash::Sha384 => &ring_sig::RSA_PKCS1_2048_8192_SHA384,
        Hash::Sha512 => &ring_sig::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    })
}

/// ring verifies PSS only with a salt as long as the hash, the choice of RFC 8446 and of nearly every CA.
fn rsa_pss(hash: Hash, salt_octets: u32) -> Option<&'static dyn ring_sig::VerificationAlgorithm> {
    Some(match (hash, salt_octets) {
        (Hash::Sha256, 32) => &ring_sig::RSA_PSS_2048_8192_SHA256,
        (Hash::Sha384, 48) => &ring_sig::RSA_PSS_2048_8192_SHA384,
        (Hash::Sha512, 64) => &ring_sig::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn ecdsa_asn1(kind: KeyKind, hash: Hash) -> Option<&'static dyn ring_sig::VerificationAlgorithm> {
    Some(match (kind, hash) {
        (KeyKind::P256, Hash::Sha256) => &ring_sig::ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, Hash::Sha384) => &ring_sig::ECDSA_P256_SHA384_ASN1,
        (KeyKind::P384, Hash::Sha256) => &ring_sig::ECDSA_P384_SHA256_ASN1,
        (KeyKind::P384, Hash::Sha384) => &ring_sig::ECDSA_P384_SHA384_ASN1,
        _ => return None,
    })
}

/// GM/T 0009 §10: the signer ID everyone uses unless agreed otherwise.
const SM2_SIGNER_ID: &str = "1234567812345678";
/// GM/T 0003.5: a, b and the generator of the curve, as they stand in Z.
const SM2_CURVE: [u8; 128] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc,
    0x28, 0xe9, 0xfa, 0x9e, 0x9d, 0x9f, 0x5e, 0x34, 0x4d, 0x5a, 0x9e, 0x4b, 0xcf, 0x65, 0x09, 0xa7,
    0xf3, 0x97, 0x89, 0xf5, 0x15, 0xab, 0x8f, 0x92, 0xdd, 0xbc, 0xbd, 0x41, 0x4d, 0x94, 0x0e, 0x93,
    0x32, 0xc4, 0xae, 0x2c, 0x1f, 0x19, 0x81, 0x19, 0x5f, 0x99, 0x04, 0x46, 0x6a, 0x39, 0xc9, 0x94,
    0x8f, 0xe3, 0x0b, 0xbf, 0xf2, 0x66, 0x0b, 0xe1, 0x71, 0x5a, 0x45, 0x89, 0x33, 0x4c, 0x74, 0xc7,
    0xbc, 0x37, 0x36, 0xa2, 0xf4, 0xf6, 0x77, 0x9c, 0x59, 0xbd, 0xce, 0xe3, 0x6b, 0x69, 0x21, 0x53,
    0xd0, 0xa9, 0x87, 0x7c, 0xc6, 0x2a, 0x47, 0x40, 0x02, 0xdf, 0x32, 0xe5, 0x21, 0x39, 0xf0, 0xa0,
];
