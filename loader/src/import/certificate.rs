//! Certificates of others, as far as a verdict about their CRLs and answers needs them.
//!
//! Read with x509-parser, which is lenient where the world is. An issuer certificate is a trust anchor the operator
//! names: its own signature is not judged, its name, key, dates and usages are.

use ring::digest;
use wire::cert_id::IssuerId;
use wire::crl::{PemLabel, pem_or_der};
use wire::der::{Reader, tag};
pub use wire::name::{NameMatch, compare_names};
use wire::time::UnixSeconds;
use x509_parser::prelude::FromDer as _;
use x509_parser::prelude::X509Certificate;
use x509_parser::x509::{X509Name, X509Version};

use super::trust::{PublicKey, TrustError};
use crate::digest::encode_hex;

/// Why a certificate is of no use here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate, or octets follow it.
    #[error("it is not one whole DER or PEM certificate: {0}")]
    Unreadable(String),
    /// Its key cannot judge anything.
    #[error(transparent)]
    Key(#[from] TrustError),
}

/// What RFC 5280 lets a certificate say about signing CRLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrlSigning {
    /// keyUsage is present and names cRLSign.
    Named,
    /// No keyUsage: everything is allowed (§4.2.1.3), as in old roots.
    Unrestricted,
    /// keyUsage is present without cRLSign.
    Forbidden,
}

/// What basicConstraints says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authority {
    /// cA is true.
    Ca,
    /// The extension is missing, as in version 1 certificates.
    Unsaid,
    /// cA is false.
    EndEntity,
}

/// A certificate, parsed once.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The whole certificate.
    pub der: Vec<u8>,
    /// The subject Name, octet for octet.
    pub subject: Vec<u8>,
    /// The issuer Name, octet for octet.
    pub issuer: Vec<u8>,
    /// The subject for people.
    pub subject_text: String,
    /// The subjectPublicKeyInfo, octet for octet.
    pub spki: Vec<u8>,
    /// The key inside it.
    pub key: PublicKey,
    /// The octets of the public key's BIT STRING, which key hashes are over.
    pub key_bits: Vec<u8>,
    /// SHA-1 of these: what byKey holds.
    pub key_sha1: [u8; 20],
    /// First second of validity; unix seconds, 0 for anything before 1970.
    pub not_before: UnixSeconds,
    /// Last second of validity; unix seconds.
    pub not_after: UnixSeconds,
    /// X.509 version 1 or 2: no extensions could be there.
    pub before_version_3: bool,
    /// What keyUsage says about CRLs.
    pub crl_signing: CrlSigning,
    /// What basicConstraints says.
    pub authority: Authority,
    /// extendedKeyUsage holds id-kp-OCSPSigning (RFC 6960 §4.2.2.2).
    pub ocsp_signing: bool,
    /// subjectKeyIdentifier, when there is one.
    pub key_identifier: Option<Vec<u8>>,
    /// To-be-signed octets, signature AlgorithmIdentifier TLV and signature octets.
    signed: Signed,
}

#[derive(Debug, Clone)]
struct Signed {
    tbs: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl Certificate {
    /// Reads one DER certificate and nothing after it.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let unreadable = |why: String| CertificateError::Unreadable(why);
        let (rest, parsed) =
            X509Certificate::from_der(der).map_err(|e| unreadable(e.to_string()))?;
        if !rest.is_empty() {
            return Err(unreadable(format!("{} octets follow it", rest.len())));
        }
        let spki = parsed.public_key();
        let crl_signing = match parsed.key_usage().map_err(|e| unreadable(e.to_string()))? {
            None => CrlSigning::Unrestricted,
            Some(usage) if usage.value.crl_sign() => CrlSigning::Named,
            Some(_) => CrlSigning::Forbidden,
        };
        let authority = match parsed
            .basic_constraints()
            .map_err(|e| unreadable(e.to_string()))?
        {
            None => Authority::Unsaid,
            Some(constraints) if constraints.value.ca => Authority::Ca,
            Some(_) => Authority::EndEntity,
        };
        let ocsp_signing =
            matches!(parsed.extended_key_usage(), Ok(Some(usage)) if usage.value.ocsp_signing);
        let key_identifier =
            parsed
                .iter_extensions()
                .find_map(|extension| match extension.parsed_extension() {
                    x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => {
                        Some(id.0.to_vec())
                    }
                    _ => None,
                });
        Ok(Self {
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            subject_text: parsed.subject().to_string(),
            spki: spki.raw.to_vec(),
            key: PublicKey::from_spki(spki.raw)?,
            key_bits: spki.subject_public_key.data.to_vec(),
            key_sha1: sha1(&spki.subject_public_key.data),
            not_before: unix(parsed.validity().not_before.timestamp()),
            not_after: unix(parsed.validity().not_after.timestamp()),
            before_version_3: parsed.version() != X509Version::V3,
            crl_signing,
            authority,
            ocsp_signing,
            key_identifier,
            signed: Signed {
                tbs: parsed.tbs_certificate.as_ref().to_vec(),
                algorithm: signature_algorithm_tlv(der),
                signature: parsed.signature_value.data.to_vec(),
            },
            der: der.to_vec(),
        })
    }

    /// Reads one certificate, DER or PEM.
    pub fn from_pem_or_der(octets: &[u8]) -> Result<Self, CertificateError> {
        let der = pem_or_der(octets, PemLabel::Certificate)
            .map_err(|e| CertificateError::Unreadable(e.to_string()))?;
        Self::from_der(&der)
    }

    /// Name and key in sixteen octets: what folders are named by and batches address.
    pub fn id(&self) -> IssuerId {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.subject);
        context.update(&self.spki);
        let hash = context.finish();
        IssuerId(
            hash.as_ref()[..16]
                .try_into()
                .expect("SHA-256 has 32 octets"),
        )
    }

    /// SHA-256 over the whole certificate, lower-case hexadecimal: what people compare.
    pub fn fingerprint(&self) -> String {
        encode_hex(digest::digest(&digest::SHA256, &self.der).as_ref())
    }

    /// Whether `now` lies within notBefore and notAfter, both included (RFC 5280 §4.1.2.5).
    pub fn is_valid_at(&self, now: UnixSeconds) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

impl Certificate {
    /// The signature of whoever issued this certificate: to-be-signed octets, AlgorithmIdentifier TLV, signature.
    pub fn signed_parts(&self) -> (&[u8], &[u8], &[u8]) {
        (
            &self.signed.tbs,
            &self.signed.algorithm,
            &self.signed.signature,
        )
    }

    /// How one Name stands to this certificate's subject.
    pub fn subject_is(&self, name: &[u8]) -> NameMatch {
        compare_names(&self.subject, name)
    }
}

/// A Name for people; its hexadecimal octets if it is not one.
pub fn name_text(name: &[u8]) -> String {
    X509Name::from_der(name).map_or_else(|_| encode_hex(name), |(_, name)| format!("“{name}”"))
}

/// The outer signatureAlgorithm of a certificate, as a TLV; empty when the framing is not strict DER, which no
/// algorithm matches later.
fn signature_algorithm_tlv(der: &[u8]) -> Vec<u8> {
    let outer = Reader::new(der).sequence().and_then(|mut reader| {
        reader.read(tag::SEQUENCE)?;
        reader.read(tag::SEQUENCE)
    });
    outer.map(|value| value.raw.to_vec()).unwrap_or_default()
}

/// Dates before 1970 count as 1970: old roots have them, and nothing here is judged before then.
fn unix(timestamp: i64) -> UnixSeconds {
    UnixSeconds::try_from(timestamp).unwrap_or(0)
}

fn sha1(octets: &[u8]) -> [u8; 20] {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
    digest.as_ref().try_into().expect("SHA-1 has 20 octets")
}
