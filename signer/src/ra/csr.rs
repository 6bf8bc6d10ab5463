//! The key a row brings: a PKCS #10 request (RFC 2986), read strictly, its own signature verified, so that
//! whoever sends a key also holds it. Only the key is taken; names and attributes come from the form.
//!
//! Which keys an authority certifies: an SM2 authority SM2 keys only, any other authority everything but
//! SM2. A mixed chain would be refused by half of all verifiers, so it is refused here first.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};
use rustix::io::Errno;
use sm2::dsa::signature::Verifier;
use wire::algorithm::{ForeignAlgorithm, Hash, ecdsa_raw_from_der};
use wire::der::{Reader, tag};

/// Octets of the largest request.
pub const MAX_CSR_OCTETS: u64 = 64 << 10;
/// The ID that SM2 signatures are made with where no other is agreed (GM/T 0009 §10).
const SM2_ID: &str = "1234567812345678";

/// A public key whose possession was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey {
    /// Its kind.
    pub kind: KeyKind,
    /// `SubjectPublicKeyInfo`, DER, as it stood in the request.
    pub spki: Vec<u8>,
}

/// The kinds of keys that are certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// RSA of 2048 to 8192 bits.
    Rsa,
    /// SM2.
    Sm2,
}

impl KeyKind {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Rsa => "RSA",
            Self::Sm2 => "SM2",
        }
    }
}

/// Why a request's key was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrRefused {
    /// The name leaves the folder.
    #[error("the CSR's file name must stay inside the CSR folder (CSR文件名不合法)")]
    Outside,
    /// No such file, or it cannot be read.
    #[error("there is no such CSR file (找不到CSR文件)")]
    Unreadable,
    /// Too many octets.
    #[error("the CSR file is larger than 64 KiB (CSR文件过大)")]
    TooLarge,
    /// Not a PKCS #10 request.
    #[error("the CSR file is not a PKCS #10 request in DER or PEM (不是合法的CSR)")]
    NotCsr,
    /// A key of a kind or size that is not certified.
    #[error("the key must be P-256, P-384, RSA of 2048 bits or more, or SM2 (密钥类型或长度不符)")]
    Key,
    /// A signature algorithm that does not fit the key, or a weak one.
    #[error(
        "the CSR is signed by an algorithm that is weak or does not fit its key (签名算法不符)"
    )]
    Algorithm,
    /// The signature does not verify.
    #[error("the CSR's signature does not verify (CSR签名验证失败)")]
    Signature,
    /// The authority does not certify such keys.
    #[error("the {authority} authority does not certify {key} keys (密钥算法与所选CA不符)", key = key.name())]
    OtherFamily {
        /// Alias of the authority.
        authority: String,
        /// The key.
        key: KeyKind,
    },
}

/// Where CSR files come from; a folder, or memory in tests.
pub trait CsrSource: Sync {
    /// The octets of a file named in a form.
    fn read(&self, name: &str) -> Result<Vec<u8>, CsrRefused>;
}

/// A folder of CSR files. Names in forms are hostile: nothing outside the folder is opened.
#[derive(Debug)]
pub struct CsrFolder(OwnedFd);

impl CsrFolder {
    /// The folder, which must exist.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(open(folder, flags, Mode::empty())?))
    }
}

impl CsrSource for CsrFolder {
    fn read(&self, name: &str) -> Result<Vec<u8>, CsrRefused> {
        let inside = Path::new(name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !inside || name.contains(['\\', '\0']) {
            return Err(CsrRefused::Outside);
        }
        // Opened in one step by the kernel, which follows no link out of the folder; judged once it is open,
        // so that nobody can put another file there in between. A pipe would block for ever.
        let file = openat2(
            &self.0,
            name,
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        );
        let file = fs::File::from(file.map_err(|error| match error {
            Errno::XDEV => CsrRefused::Outside,
            _ => CsrRefused::Unreadable,
        })?);
        if !file.metadata().is_ok_and(|found| found.is_file()) {
            return Err(CsrRefused::Unreadable);
        }
        let mut octets = Vec::new();
        file.take(MAX_CSR_OCTETS + 1)
            .read_to_end(&mut octets)
            .map_err(|_| CsrRefused::Unreadable)?;
        if octets.len() as u64 > MAX_CSR_OCTETS {
            return Err(CsrRefused::TooLarge);
        }
        Ok(octets)
    }
}

/// ```text
/// CertificationRequest ::= SEQUENCE { info SEQUENCE { version INTEGER (0), subject Name,
///   key SubjectPublicKeyInfo, attributes [0] }, algorithm AlgorithmIdentifier, signature BIT STRING }
/// ```
struct Request<'a> {
    info: &'a [u8],
    spki: &'a [u8],
    key_algorithm: &'a [u8],
    key: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

/// Reads a request, DER or PEM, and proves possession of its key.
pub fn verify(octets: &[u8]) -> Result<ProvenKey, CsrRefused> {
    let der = der(octets).ok_or(CsrRefused::NotCsr)?;
    let request = parse(&der).map_err(|_| CsrRefused::NotCsr)?;
    let kind = key_kind(&request)?;
    let algorithm = ForeignAlgorithm::recognise(request.algorithm);
    let algorithm = algorithm.ok().flatten().ok_or(CsrRefused::Algorithm)?;
    let verified = match verification(kind, algorithm).ok_or(CsrRefused::Algorithm)? {
        Verification::Aws(with) => UnparsedPublicKey::new(with, request.key)
            .verify(request.info, request.signature)
            .is_ok(),
        Verification::Sm2 => verify_sm2(&request).is_some(),
    };
    if !verified {
        return Err(CsrRefused::Signature);
    }
    Ok(ProvenKey {
        kind,
        spki: request.spki.to_vec(),
    })
}

fn parse(der: &[u8]) -> Result<Request<'_>, wire::DecodeError> {
    let mut outer = Reader::new(der);
    let mut request = outer.sequence()?;
    outer.finish()?;
    let info = request.read(tag::SEQUENCE)?;
    let algorithm = request.read(tag::SEQUENCE)?.raw;
    let signature = request.bit_string_octets()?.content;
    request.finish()?;

    let mut fields = info.reader();
    let version = fields.integer(1)?;
    if version.content != [0] {
        return Err(version.error(wire::Rule::FieldRange));
    }
    fields.read(tag::SEQUENCE)?;
    let spki = fields.read(tag::SEQUENCE)?;
    // The attributes are not optional in the ASN.1, but some tools leave them out.
    fields.optional(0xa0)?;
    fields.finish()?;

    let mut key_fields = spki.reader();
    let key_algorithm = key_fields.read(tag::SEQUENCE)?.raw;
    let key = key_fields.bit_string_octets()?.content;
    key_fields.finish()?;
    Ok(Request {
        info: info.raw,
        spki: spki.raw,
        key_algorithm,
        key,
        algorithm,
        signature,
    })
}

fn key_kind(request: &Request<'_>) -> Result<KeyKind, CsrRefused> {
    let kind = KEY_ALGORITHMS
        .iter()
        .find(|(identifier, ..)| *identifier == request.key_algorithm);
    match kind {
        Some((_, KeyKind::Rsa, _)) => {
            // RSA smaller than 2048 bits is a weak key, not a wrong signature: its modulus tells.
            let mut outer = Reader::new(request.key);
            let modulus = outer
                .sequence()
                .and_then(|mut fields| fields.integer(1 << 12));
            let content = modulus.map_err(|_| CsrRefused::Key)?.content;
            let magnitude = content.strip_prefix(&[0]).unwrap_or(content);
            let bits = magnitude.first().map_or(0, |first| {
                magnitude.len() * 8 - first.leading_zeros() as usize
            });
            if (2048..=8192).contains(&bits) {
                Ok(KeyKind::Rsa)
            } else {
                Err(CsrRefused::Key)
            }
        }
        Some((_, kind, octets))
            if request.key.len() == *octets && request.key.first() == Some(&4) =>
        {
            Ok(*kind)
        }
        _ => Err(CsrRefused::Key),
    }
}

enum Verification {
    Aws(&'static dyn VerificationAlgorithm),
    Sm2,
}

fn verification(kind: KeyKind, algorithm: ForeignAlgorithm) -> Option<Verification> {
    use ForeignAlgorithm as A;
    let with: &'static dyn VerificationAlgorithm = match (kind, algorithm) {
        (KeyKind::Sm2, A::Sm2Sm3) => return Some(Verification::Sm2),
        (KeyKind::P256, A::Ecdsa(Hash::Sha256)) => &aws::ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, A::Ecdsa(Hash::Sha384)) => &aws::ECDSA_P256_SHA384_ASN1,
        (KeyKind::P256, A::Ecdsa(Hash::Sha512)) => &aws::ECDSA_P256_SHA512_ASN1,
        (KeyKind::P384, A::Ecdsa(Hash::Sha256)) => &aws::ECDSA_P384_SHA256_ASN1,
        (KeyKind::P384, A::Ecdsa(Hash::Sha384)) => &aws::ECDSA_P384_SHA384_ASN1,
        (KeyKind::P384, A::Ecdsa(Hash::Sha512)) => &aws::ECDSA_P384_SHA512_ASN1,
        (KeyKind::Rsa, A::RsaPkcs1(Hash::Sha256)) => &aws::RSA_PKCS1_2048_8192_SHA256,
        (KeyKind::Rsa, A::RsaPkcs1(Hash::Sha384)) => &aws::RSA_PKCS1_2048_8192_SHA384,
        (KeyKind::Rsa, A::RsaPkcs1(Hash::Sha512)) => &aws::RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    };
    Some(Verification::Aws(with))
}

fn verify_sm2(request: &Request<'_>) -> Option<()> {
    let key = sm2::dsa::VerifyingKey::from_sec1_bytes(SM2_ID, request.key).ok()?;
    let raw = ecdsa_raw_from_der(request.signature, 32).ok()?;
    let signature = sm2::dsa::Signature::from_slice(&raw).ok()?;
    key.verify(request.info, &signature).ok()
}

/// The DER inside: as it is, or out of the first PEM block of a request.
fn der(octets: &[u8]) -> Option<Vec<u8>> {
    if octets.first() == Some(&tag::SEQUENCE) {
        return Some(octets.to_vec());
    }
    let text = std::str::from_utf8(octets).ok()?;
    let body = ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"]
        .iter()
        .find_map(|label| {
            let (_, after) = text.split_once(&format!("-----BEGIN {label}-----"))?;
            after
                .split_once(&format!("-----END {label}-----"))
                .map(|(body, _)| body)
        })?;
    let compact: String = body.split_ascii_whitespace().collect();
    base64::engine::general_purpose::STANDARD
        .decode(compact)
        .ok()
}

/// `AlgorithmIdentifier` of a `SubjectPublicKeyInfo`, whole; the kind; octets of an uncompressed point.
const KEY_ALGORITHMS: [(&[u8], KeyKind, usize); 4] = [
    (
        &[
            0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
        ],
        KeyKind::P256,
        65,
    ),
    (
        &[
            0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
            0x81, 0x04, 0x00, 0x22,
        ],
        KeyKind::P384,
        97,
    ),
    (
        &[
            0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05,
            0x00,
        ],
        KeyKind::Rsa,
        0,
    ),
    (
        &[
            0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d,
        ],
        KeyKind::Sm2,
        65,
    ),
];

#[cfg(test)]
#[path = "csr_tests.rs"]
mod tests;
