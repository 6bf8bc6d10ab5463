//! A throw-away issuing CA and its delegated OCSP responder, both P-256.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PublicKeyData,
};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use wire::batch::{Responder, Variant};
use wire::cert_id::{CertIdForm, CertIdHash, IssuerId, Parameters, cert_id_prefix};

use crate::population::ALGORITHM;

/// An issuer and what answers for it.
pub struct Issuer {
    /// First half of SHA-256(name, key).
    pub id: IssuerId,
    /// The CA certificate, DER.
    pub certificate: Vec<u8>,
    /// The one enabled variant: SHA-1 with NULL.
    pub variant: Variant,
    /// The octets of a `CertID` before the serial.
    pub cert_id_prefix: Vec<u8>,
    /// The delegated responder.
    pub responder: Responder,
    /// Its key.
    pub responder_key: EcdsaKeyPair,
}

impl Issuer {
    /// Makes both, valid from yesterday for thirty days.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate(now: u64) -> Result<Self, Box<dyn std::error::Error>> {
        let ca_key = KeyPair::generate()?;
        let mut ca = params("Hufu synthetic issuing CA", now)?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = ca.self_signed(&ca_key)?.der().to_vec();

        let key = KeyPair::generate()?;
        let mut delegate = params("Hufu synthetic OCSP responder", now)?;
        delegate.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        // id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2.1), an ASN.1 NULL.
        delegate.custom_extensions = vec![CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 5, 5, 7, 48, 1, 5],
            vec![5, 0],
        )];
        let delegate = delegate.signed_by(&key, &rcgen::Issuer::new(ca, &ca_key))?;

        let (_, read) = x509_parser::parse_x509_certificate(&certificate)?;
        let name = read.subject().as_raw();
        let form = CertIdForm::new(CertIdHash::Sha1, Parameters::Null);
        let name_hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, name).as_ref().to_vec();
        let key_hash = digest(
            &SHA1_FOR_LEGACY_USE_ONLY,
            &read.public_key().subject_public_key.data,
        )
        .as_ref()
        .to_vec();
        let both = [name, read.public_key().raw].concat();
        Ok(Self {
            id: IssuerId(
                *digest(&SHA256, &both)
                    .as_ref()
                    .first_chunk()
                    .expect("32 octets"),
            ),
            cert_id_prefix: cert_id_prefix(form, &name_hash, &key_hash)?,
            variant: Variant {
                form,
                algorithm: ALGORITHM,
                slot: 0,
                name_hash,
                key_hash,
            },
            responder: Responder {
                algorithm: ALGORITHM,
                key_hash: digest(&SHA1_FOR_LEGACY_USE_ONLY, key.der_bytes())
                    .as_ref()
                    .try_into()?,
                not_before: now - DAY_SECS,
                not_after: now + 30 * DAY_SECS,
                certificate: delegate.der().to_vec(),
            },
            responder_key: EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                &key.serialize_der(),
                &SystemRandom::new(),
            )
            .map_err(|rejected| rejected.to_string())?,
            certificate,
        })
    }
}

const DAY_SECS: u64 = 86_400;

fn params(name: &str, now: u64) -> Result<CertificateParams, Box<dyn std::error::Error>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = i64::try_from(now)?;
    params.not_before = time::OffsetDateTime::from_unix_timestamp(now - 86_400)?;
    params.not_after = time::OffsetDateTime::from_unix_timestamp(now + 30 * 86_400)?;
    Ok(params)
}
