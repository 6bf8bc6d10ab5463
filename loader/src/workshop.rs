//! For tests only: a small CA, its OCSP signer, their CRLs and batches; what is wrong is made wrong on purpose.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use wire::algorithm::SignatureAlgorithm;
use wire::batch::{
    Document, Header, Kind, Responder, Source, Variant, Window, signed_octets, spool_name,
};
use wire::cert_id::{CertIdForm, CertIdHash, Parameters};
use wire::crl::{CrlHeader, CrlWriter, IssuingDistributionPoint, assemble_crl};
use wire::response::{TbsParts, write_tbs};
use wire::serial::{Serial, SerialHashKey};
use wire::status::{CertStatus, RevocationReason};

use crate::import::certificate::Certificate;
use crate::seal::SealKey;

/// 2027-01-15; the certificates below are valid from 2026 to 2030.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const HASH_KEY: SerialHashKey = SerialHashKey([9; 16]);

/// A CA with a P-256 key.
pub(crate) struct Authority {
    pub(crate) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
    key: EcdsaKeyPair,
}

/// An OCSP signer with a P-256 key, and perhaps a second one beside it.
pub(crate) struct OcspSigner {
    pub(crate) certificate: Certificate,
    key: EcdsaKeyPair,
    pub(crate) second: Option<SecondSigner>,
}

/// An OCSP signer with an Ed25519 key.
pub(crate) struct SecondSigner {
    pub(crate) certificate: Certificate,
    key: Ed25519KeyPair,
}

/// Row of a batch: serial, status, window.
pub(crate) type Row = (Serial, CertStatus, u16);

impl Authority {
    pub(crate) fn found(name: &str) -> Self {
        Self::with(name, |_| ())
    }

    /// A CA whose certificate is changed before it is signed.
    pub(crate) fn with(name: &str, change: impl Fn(&mut CertificateParams)) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        change(&mut params);
        let pair = KeyPair::generate().unwrap();
        let key = signing_key(&pair);
        let certificate = params.self_signed(&pair).unwrap();
        Self {
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            issuer: Issuer::new(params, pair),
            key,
        }
    }

    pub(crate) fn ocsp_signer(&self) -> OcspSigner {
        let mut params = named("OCSP");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        let pair = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&pair, &self.issuer).unwrap();
        OcspSigner {
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            key: signing_key(&pair),
            second: None,
        }
    }

    /// One with a second algorithm.
    pub(crate) fn two_signers(&self) -> OcspSigner {
        let mut params = named("OCSP, Ed25519");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        let pair = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = params.signed_by(&pair, &self.issuer).unwrap();
        let second = SecondSigner {
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            key: Ed25519KeyPair::from_pkcs8_maybe_unchecked(pair.serialized_der()).unwrap(),
        };
        OcspSigner {
            second: Some(second),
            ..self.ocsp_signer()
        }
    }

    /// A certificate of this serial that names a list.
    pub(crate) fn holder(&self, number: u64, list: &str) -> Vec<u8> {
        let mut params = named("holder");
        params.serial_number = Some(SerialNumber::from(number));
        params.crl_distribution_points = vec![CrlDistributionPoint {
            uris: vec![list.to_owned()],
        }];
        let pair = KeyPair::generate().unwrap();
        params
            .signed_by(&pair, &self.issuer)
            .unwrap()
            .der()
            .to_vec()
    }

    /// A complete list: thisUpdate, nextUpdate, number, entries.
    pub(crate) fn crl(&self, (this, next): (u64, u64), number: u64, entries: &[Entry]) -> Vec<u8> {
        self.crl_with((this, next), number, entries, |_| ())
    }

    pub(crate) fn crl_with<'a>(
        &'a self,
        (this_update, next_update): (u64, u64),
        number: u64,
        entries: &[Entry],
        change: impl Fn(&mut CrlHeader<'a>),
    ) -> Vec<u8> {
        let mut writer = CrlWriter::new();
        for (serial, at, reason) in entries {
            writer.push(serial.content(), *at, *reason, None);
        }
        let mut header = CrlHeader {
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            issuer: &self.certificate.subject,
            this_update,
            next_update,
            number,
            key_identifier: &self.certificate.key_sha1,
            base_number: None,
            distribution_point: None::<IssuingDistributionPoint<'a>>,
            freshest_uri: None,
        };
        change(&mut header);
        self.sign_crl(&writer.finish(&header))
    }

    /// Signs a `TBSCertList` whatever it says.
    pub(crate) fn sign_crl(&self, tbs: &[u8]) -> Vec<u8> {
        let signature = sign(&self.key, tbs);
        assemble_crl(tbs, SignatureAlgorithm::EcdsaP256Sha256, &signature).unwrap()
    }
}

/// Entry of a list: serial, date, reason.
pub(crate) type Entry = (Serial, u64, Option<RevocationReason>);

impl OcspSigner {
    /// A local responder, signed by itself.
    pub(crate) fn local() -> Self {
        let mut params = named("local responder");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
        let pair = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&pair).unwrap();
        Self {
            certificate: Certificate::from_der(certificate.der()).unwrap(),
            key: signing_key(&pair),
            second: None,
        }
    }

    /// The responderID of a slot.
    pub(crate) fn key_hash(&self, slot: u16) -> &[u8; 20] {
        match (&self.second, slot) {
            (Some(second), 1) => &second.certificate.key_sha1,
            _ => &self.certificate.key_sha1,
        }
    }

    fn sign(&self, slot: u16, message: &[u8]) -> Vec<u8> {
        match (&self.second, slot) {
            (Some(second), 1) => second.key.sign(message).as_ref().to_vec(),
            _ => sign(&self.key, message),
        }
    }
}

/// A header of both algorithms of a signer that has two: four variants, two slots.
pub(crate) fn header_of_two(authority: &Authority, signer: &OcspSigner, number: u64) -> Header {
    let mut header = header(authority, signer, number);
    let second = signer.second.as_ref().unwrap();
    let with_second = |variant: &Variant| Variant {
        algorithm: SignatureAlgorithm::Ed25519,
        slot: 1,
        ..variant.clone()
    };
    let further: Vec<Variant> = header.variants.iter().map(with_second).collect();
    header.variants.extend(further);
    header.responders.push(Responder {
        algorithm: SignatureAlgorithm::Ed25519,
        key_hash: second.certificate.key_sha1,
        not_before: second.certificate.not_before,
        not_after: second.certificate.not_after,
        certificate: second.certificate.der.clone(),
    });
    header.slots = 2;
    header
}

/// A header that passes: two variants (SHA-1, SHA-256), one responder, one window of a day, one shard.
pub(crate) fn header(authority: &Authority, signer: &OcspSigner, number: u64) -> Header {
    let variant = |hash| {
        let (name_hash, key_hash) = authority.certificate.hashes(hash);
        Variant {
            form: CertIdForm::new(hash, Parameters::Null),
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            slot: 0,
            name_hash,
            key_hash,
        }
    };
    Header {
        kind: Kind::Full,
        issuer_id: authority.certificate.id(),
        number,
        revision: number,
        created_at: NOW,
        hash_key: HASH_KEY,
        shards: 1,
        shard: 0,
        source: Source::Registry,
        serial_octets: 20,
        record_count: 0,
        issuer_certificate: authority.certificate.der.clone(),
        variants: vec![variant(CertIdHash::Sha1), variant(CertIdHash::Sha256)],
        slots: 1,
        responders: vec![Responder {
            algorithm: SignatureAlgorithm::EcdsaP256Sha256,
            key_hash: signer.certificate.key_sha1,
            not_before: signer.certificate.not_before,
            not_after: signer.certificate.not_after,
            certificate: signer.certificate.der.clone(),
        }],
        windows: vec![Window {
            this_update: NOW,
            next_update: NOW + 86_400,
            produced_at: NOW,
            group: 0,
        }],
        documents: Vec::<Document>::new(),
    }
}

/// The octets of a batch: rows sorted as they must be, each signed.
pub(crate) fn batch(
    mut header: Header,
    rows: &[Row],
    signer: &OcspSigner,
    batch_key: &SealKey,
) -> Vec<u8> {
    header.record_count = rows.len() as u64;
    let mut rows = rows.to_vec();
    rows.sort_by_key(|(serial, ..)| (header.hash_key.hash(serial.content()), *serial));
    let records: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| record(&header, row, signer))
        .collect();
    seal(&header, &records.concat(), batch_key)
}

/// One record, signed for every variant.
pub(crate) fn record(
    header: &Header,
    (serial, status, window): &Row,
    signer: &OcspSigner,
) -> Vec<u8> {
    let layout = header.layout().unwrap();
    let mut octets = vec![0; layout.record_octets()];
    layout.write(&mut octets, serial, *status, *window).unwrap();
    let times = header.windows[usize::from(*window)];
    for (number, variant) in header.variants.iter().enumerate() {
        let prefix =
            wire::cert_id::cert_id_prefix(variant.form, &variant.name_hash, &variant.key_hash)
                .unwrap();
        let mut tbs = Vec::new();
        let parts = TbsParts {
            key_hash: signer.key_hash(variant.slot),
            produced_at: times.produced_at,
            cert_id_prefix: &prefix,
            serial_content: serial.content(),
            status: *status,
            this_update: times.this_update,
            next_update: times.next_update,
        };
        if write_tbs(&parts, &mut tbs).is_ok() {
            let signature = signer.sign(variant.slot, &tbs);
            layout
                .signature_mut(&mut octets, number)
                .unwrap()
                .copy_from_slice(&signature);
        }
    }
    octets
}

/// Header and records with a trailer that fits.
pub(crate) fn seal(header: &Header, records: &[u8], batch_key: &SealKey) -> Vec<u8> {
    let mut octets = header.encode().unwrap();
    octets.extend_from_slice(records);
    let blake3 = *blake3::hash(&octets).as_bytes();
    octets.extend_from_slice(&blake3);
    octets.extend_from_slice(&batch_key.sign(&signed_octets(&blake3)));
    octets
}

/// Puts a batch where the signer would.
pub(crate) fn spool(data: &Path, authority: &Authority, number: u64, octets: &[u8]) -> PathBuf {
    let folder = data
        .join("spool")
        .join(authority.certificate.id().to_string());
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(spool_name(number));
    std::fs::write(&path, octets).unwrap();
    path
}

pub(crate) fn serial(number: u64) -> Serial {
    Serial::from_unsigned(&number.to_be_bytes()).unwrap()
}

pub(crate) fn revoked(at: u64, reason: RevocationReason) -> CertStatus {
    CertStatus::Revoked {
        at,
        reason: Some(reason),
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    params
}

fn signing_key(pair: &KeyPair) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        pair.serialized_der(),
        &SystemRandom::new(),
    )
    .unwrap()
}

fn sign(key: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    key.sign(&SystemRandom::new(), message)
        .unwrap()
        .as_ref()
        .to_vec()
}
