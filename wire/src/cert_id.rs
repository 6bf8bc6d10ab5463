//! `CertID`: by which hashes a client names issuer and certificate, and the octets of it that are the same for all
//! certificates of an issuer.
//!
//! ```asn1
//! CertID ::= SEQUENCE {                       -- RFC 6960 §4.1.1
//!     hashAlgorithm   AlgorithmIdentifier,    -- ┐
//!     issuerNameHash  OCTET STRING,           -- │ the prefix
//!     issuerKeyHash   OCTET STRING,           -- ┘
//!     serialNumber    CertificateSerialNumber }
//! ```
//!
//! A response's `CertID` must be the request's octet for octet, and it lies inside what is signed. Parameters that are
//! NULL and parameters that are absent are therefore two forms, each signed for itself.

use alloc::vec::Vec;

use crate::der::{Reader, push_tlv, tag};
use crate::{Rule, oid};

/// The hash over issuer name and issuer key. Hashing itself is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertIdHash {
    /// What nearly every client asks with (RFC 5019 §2.1.1).
    Sha1,
    /// RFC 9919 §3.1.1: clients ask by SHA-256; those that still ask by SHA-1 are answered by it.
    Sha256,
    /// With SM2 issuers.
    Sm3,
}

impl CertIdHash {
    /// Octets of a hash.
    pub const fn octets(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 | Self::Sm3 => 32,
        }
    }
}

/// How the `AlgorithmIdentifier`'s parameters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parameters {
    /// `05 00`.
    Null,
    /// Nothing.
    Absent,
}

/// Hash and parameters: everything about a `CertID` that does not depend on issuer and serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CertIdForm {
    /// The hash.
    pub hash: CertIdHash,
    /// The form of its parameters.
    pub parameters: Parameters,
}

impl CertIdForm {
    /// Every form, in the order of their codes.
    pub const ALL: [Self; 6] = [
        Self::new(CertIdHash::Sha1, Parameters::Null),
        Self::new(CertIdHash::Sha1, Parameters::Absent),
        Self::new(CertIdHash::Sha256, Parameters::Null),
        Self::new(CertIdHash::Sha256, Parameters::Absent),
        Self::new(CertIdHash::Sm3, Parameters::Null),
        Self::new(CertIdHash::Sm3, Parameters::Absent),
    ];

    /// This hash with parameters of this form.
    pub const fn new(hash: CertIdHash, parameters: Parameters) -> Self {
        Self { hash, parameters }
    }

    /// The octet that stands for this form in batches and packs. Stored state: add, never change.
    pub const fn code(self) -> u8 {
        match (self.hash, self.parameters) {
            (CertIdHash::Sha1, Parameters::Null) => 1,
            (CertIdHash::Sha1, Parameters::Absent) => 2,
            (CertIdHash::Sha256, Parameters::Null) => 3,
            (CertIdHash::Sha256, Parameters::Absent) => 4,
            (CertIdHash::Sm3, Parameters::Null) => 5,
            (CertIdHash::Sm3, Parameters::Absent) => 6,
        }
    }

    /// The form of that code.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.code() == code)
    }

    /// For people: `sha1`, `sha1-no-parameters`, …
    pub const fn name(self) -> &'static str {
        match (self.hash, self.parameters) {
            (CertIdHash::Sha1, Parameters::Null) => "sha1",
            (CertIdHash::Sha1, Parameters::Absent) => "sha1-no-parameters",
            (CertIdHash::Sha256, Parameters::Null) => "sha256",
            (CertIdHash::Sha256, Parameters::Absent) => "sha256-no-parameters",
            (CertIdHash::Sm3, Parameters::Null) => "sm3",
            (CertIdHash::Sm3, Parameters::Absent) => "sm3-no-parameters",
        }
    }

    /// The form of a `CertID`, by its octets before the serial; none if it is not one of ours.
    pub fn of_prefix(prefix: &[u8]) -> Option<Self> {
        let identifier = Reader::new(prefix).read(tag::SEQUENCE).ok()?;
        let mut fields = identifier.reader();
        let hash = match fields.any().ok()?.raw {
            oid if oid == oid::SHA1 => CertIdHash::Sha1,
            oid if oid == oid::SHA256 => CertIdHash::Sha256,
            oid if oid == oid::SM3 => CertIdHash::Sm3,
            _ => return None,
        };
        let parameters = match fields.rest() {
            [] => Parameters::Absent,
            [tag::NULL, 0] => Parameters::Null,
            _ => return None,
        };
        Some(Self::new(hash, parameters))
    }

    /// The whole TLV of the `AlgorithmIdentifier`.
    pub fn algorithm_identifier(self) -> Vec<u8> {
        let mut content = Vec::from(match self.hash {
            CertIdHash::Sha1 => oid::SHA1,
            CertIdHash::Sha256 => oid::SHA256,
            CertIdHash::Sm3 => oid::SM3,
        });
        if self.parameters == Parameters::Null {
            content.extend_from_slice(&[tag::NULL, 0]);
        }
        let mut identifier = Vec::new();
        push_tlv(&mut identifier, tag::SEQUENCE, &content);
        identifier
    }
}

/// The octets between a `CertID`'s header and its serial: the same for every certificate of an issuer, and by which the
/// responder finds issuer and variant.
pub fn cert_id_prefix(
    form: CertIdForm,
    name_hash: &[u8],
    key_hash: &[u8],
) -> Result<Vec<u8>, Rule> {
    if name_hash.len() != form.hash.octets() || key_hash.len() != form.hash.octets() {
        return Err(Rule::HashLength);
    }
    let mut prefix = form.algorithm_identifier();
    push_tlv(&mut prefix, tag::OCTET_STRING, name_hash);
    push_tlv(&mut prefix, tag::OCTET_STRING, key_hash);
    Ok(prefix)
}

/// A whole `CertID` of a prefix and the content octets of a serial.
pub fn cert_id(prefix: &[u8], serial_content: &[u8]) -> Vec<u8> {
    let mut content = Vec::from(prefix);
    push_tlv(&mut content, tag::INTEGER, serial_content);
    let mut whole = Vec::new();
    push_tlv(&mut whole, tag::SEQUENCE, &content);
    whole
}

/// The hashes a `CertID` may be asked by: those that answers are signed ahead for, and two more that are answered live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedHash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384: some .NET and Java clients can be told to.
    Sha384,
    /// SHA-512, likewise.
    Sha512,
    /// SM3.
    Sm3,
}

impl AskedHash {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sm3,
    ];

    /// The whole TLV of its identifier.
    #[must_use]
    pub const fn oid(self) -> &'static [u8] {
        match self {
            Self::Sha1 => oid::SHA1,
            Self::Sha256 => oid::SHA256,
            Self::Sha384 => oid::SHA384,
            Self::Sha512 => oid::SHA512,
            Self::Sm3 => oid::SM3,
        }
    }
}

/// Every prefix by which an issuer's certificates may be asked about: each hash, with parameters NULL and absent.
/// `hash` hashes; `name_der` is the issuer's Name, `key_bits` the content of its public key's BIT STRING.
pub fn asked_prefixes(
    name_der: &[u8],
    key_bits: &[u8],
    hash: impl Fn(AskedHash, &[u8]) -> Vec<u8>,
) -> Vec<Vec<u8>> {
    let mut prefixes = Vec::with_capacity(2 * AskedHash::ALL.len());
    for asked in AskedHash::ALL {
        // RFC 6960 §4.1.1: the hash of the issuer's DN, and of its key without tag, length and unused bits.
        let (name, key) = (hash(asked, name_der), hash(asked, key_bits));
        for parameters in [&[tag::NULL, 0][..], &[]] {
            let mut prefix = Vec::new();
            push_tlv(
                &mut prefix,
                tag::SEQUENCE,
                &[asked.oid(), parameters].concat(),
            );
            push_tlv(&mut prefix, tag::OCTET_STRING, &name);
            push_tlv(&mut prefix, tag::OCTET_STRING, &key);
            prefixes.push(prefix);
        }
    }
    prefixes
}

/// Which authority: the first 16 octets of SHA-256 over the issuer's Name and its `SubjectPublicKeyInfo`, both as DER. A
/// name alone is not enough, authorities re-key under one name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerId(pub [u8; 16]);

impl IssuerId {
    /// From its 32 hexadecimal digits, lower case, as folders are named.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut id = [0; 16];
        if text.len() != 32 || !text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (octet, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            *octet = u8::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

impl core::fmt::Display for IssuerId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl core::fmt::Debug for IssuerId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "IssuerId({self})")
    }
}

#[cfg(test)]
mod tests;
