//! Writing a list: entries as they come, then the header in front of them.

use alloc::vec;
use alloc::vec::Vec;

use super::distribution::IssuingDistributionPoint;
use super::names::names_of;
use crate::algorithm::{SignatureAlgorithm, ecdsa_der_len, put_ecdsa};
use crate::der::{Cursor, push_header, push_tlv, tag, tlv_len};
use crate::status::RevocationReason;
use crate::time::{GENERALIZED_FROM, UnixSeconds, write_generalized};
use crate::{Rule, oid};

/// Everything about a list but its entries.
#[derive(Clone, Copy, Debug)]
pub struct CrlHeader<'a> {
    /// What it will be signed with.
    pub algorithm: SignatureAlgorithm,
    /// The whole TLV of the issuer's Name.
    pub issuer: &'a [u8],
    /// `thisUpdate`.
    pub this_update: UnixSeconds,
    /// `nextUpdate`.
    pub next_update: UnixSeconds,
    /// The number of this list; only ever rises (RFC 5280 §5.2.3).
    pub number: u64,
    /// `keyIdentifier` of the issuer's key.
    pub key_identifier: &'a [u8],
    /// For a delta: the number of the list it changes.
    pub base_number: Option<u64>,
    /// What the list is about, if not everything.
    pub distribution_point: Option<IssuingDistributionPoint<'a>>,
    /// Where the delta to this list is.
    pub freshest_uri: Option<&'a str>,
}

/// Takes entries one by one and keeps only their octets.
#[derive(Clone, Debug, Default)]
pub struct CrlWriter {
    entries: Vec<u8>,
    count: usize,
}

impl CrlWriter {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty list with room for about this many entries.
    pub fn with_capacity(entries: usize) -> Self {
        Self {
            entries: Vec::with_capacity(entries.saturating_mul(TYPICAL_ENTRY_OCTETS)),
            count: 0,
        }
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds an entry. `serial_content` is the content of the serial's INTEGER. The reason unspecified is left out, as
    /// RFC 5280 §5.3.1 asks.
    pub fn push(
        &mut self,
        serial_content: &[u8],
        revoked_at: UnixSeconds,
        reason: Option<RevocationReason>,
        invalid_since: Option<UnixSeconds>,
    ) {
        self.push_entry(serial_content, revoked_at, reason, invalid_since, &[]);
    }

    /// Adds an entry of an indirect list that is about a certificate of `certificate_issuer`, the whole TLV of a Name. So
    /// are all entries after it, until another names its own (RFC 5280 §5.3.3).
    pub fn push_of(
        &mut self,
        certificate_issuer: &[u8],
        serial_content: &[u8],
        revoked_at: UnixSeconds,
        reason: Option<RevocationReason>,
    ) {
        // RFC 5280 §5.3.3: the extension is critical, and holds the name from the certificate's issuer field.
        let mut issuer = Vec::new();
        push_extension(
            &mut issuer,
            oid::CERTIFICATE_ISSUER,
            true,
            &names_of(certificate_issuer),
        );
        self.push_entry(serial_content, revoked_at, reason, None, &issuer);
    }

    /// `issuer` is the whole extension certificateIssuer, or nothing.
    fn push_entry(
        &mut self,
        serial_content: &[u8],
        revoked_at: UnixSeconds,
        reason: Option<RevocationReason>,
        invalid_since: Option<UnixSeconds>,
        issuer: &[u8],
    ) {
        let reason = reason.filter(|&reason| reason != RevocationReason::Unspecified);
        let mut extensions = issuer.len();
        if reason.is_some() {
            extensions += REASON_OCTETS;
        }
        if invalid_since.is_some() {
            extensions += INVALIDITY_OCTETS;
        }
        let length = tlv_len(serial_content.len())
            + time_len(revoked_at)
            + if extensions == 0 {
                0
            } else {
                tlv_len(extensions)
            };
        let out = &mut self.entries;
        push_header(out, tag::SEQUENCE, length);
        push_tlv(out, tag::INTEGER, serial_content);
        push_time(out, revoked_at);
        if extensions != 0 {
            push_header(out, tag::SEQUENCE, extensions);
        }
        if let Some(reason) = reason {
            push_header(out, tag::SEQUENCE, REASON_OCTETS - 2);
            out.extend_from_slice(oid::REASON_CODE);
            out.extend_from_slice(&[tag::OCTET_STRING, 3, tag::ENUMERATED, 1, reason.code()]);
        }
        if let Some(since) = invalid_since {
            push_header(out, tag::SEQUENCE, INVALIDITY_OCTETS - 2);
            out.extend_from_slice(oid::INVALIDITY_DATE);
            // RFC 5280 §5.3.2: always GeneralizedTime.
            out.extend_from_slice(&[tag::OCTET_STRING, 17, tag::GENERALIZED_TIME, 15]);
            out.extend_from_slice(&write_generalized(since));
        }
        out.extend_from_slice(issuer);
        self.count += 1;
    }

    /// The whole `TBSCertList`: what is signed.
    pub fn finish(self, header: &CrlHeader<'_>) -> Vec<u8> {
        let mut front = vec![tag::INTEGER, 1, 1];
        front.extend_from_slice(header.algorithm.identifier());
        front.extend_from_slice(header.issuer);
        push_time(&mut front, header.this_update);
        push_time(&mut front, header.next_update);
        let extensions = extensions(header);
        // RFC 5280 §5.1.2.6: without entries the list itself is absent.
        if !self.entries.is_empty() {
            push_header(&mut front, tag::SEQUENCE, self.entries.len());
        }
        let length = front.len() + self.entries.len() + extensions.len();
        let mut tbs = Vec::with_capacity(tlv_len(length));
        push_header(&mut tbs, tag::SEQUENCE, length);
        tbs.extend_from_slice(&front);
        tbs.extend_from_slice(&self.entries);
        tbs.extend_from_slice(&extensions);
        tbs
    }
}

/// The whole `CertificateList` of a signed part and its signature as records store signatures.
pub fn assemble_crl(
    tbs: &[u8],
    algorithm: SignatureAlgorithm,
    signature_raw: &[u8],
) -> Result<Vec<u8>, Rule> {
    if signature_raw.len() != algorithm.raw_octets() {
        return Err(Rule::FieldRange);
    }
    let signature = if algorithm.is_ecdsa_shaped() {
        ecdsa_der_len(signature_raw)
    } else {
        signature_raw.len()
    };
    let length = tbs.len() + algorithm.identifier().len() + tlv_len(1 + signature);
    let mut list = vec![0; tlv_len(length)];
    let mut cursor = Cursor::new(&mut list);
    cursor.header(tag::SEQUENCE, length);
    cursor.put(tbs);
    cursor.put(algorithm.identifier());
    cursor.header(tag::BIT_STRING, 1 + signature);
    cursor.put(&[0]);
    if algorithm.is_ecdsa_shaped() {
        put_ecdsa(&mut cursor, signature_raw);
    } else {
        cursor.put(signature_raw);
    }
    Ok(list)
}

/// Octets of an entry with a 16-octet serial and a reason.
const TYPICAL_ENTRY_OCTETS: usize = 49;
/// Octets of the extension that holds a reason.
const REASON_OCTETS: usize = 2 + 5 + 5;
/// Octets of the extension that holds an invalidity date.
const INVALIDITY_OCTETS: usize = 2 + 5 + 2 + 17;

/// The extensions with their explicit tag.
fn extensions(header: &CrlHeader<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    let mut key = Vec::new();
    push_tlv(&mut key, tag::context(0), header.key_identifier);
    push_extension(
        &mut list,
        oid::AUTHORITY_KEY_IDENTIFIER,
        false,
        &wrapped(tag::SEQUENCE, &key),
    );
    push_extension(&mut list, oid::CRL_NUMBER, false, &integer(header.number));
    if let Some(base) = header.base_number {
        push_extension(&mut list, oid::DELTA_CRL_INDICATOR, true, &integer(base));
    }
    if let Some(point) = &header.distribution_point {
        push_extension(
            &mut list,
            oid::ISSUING_DISTRIBUTION_POINT,
            true,
            &point.encode(),
        );
    }
    if let Some(uri) = header.freshest_uri {
        let point = wrapped(tag::SEQUENCE, &IssuingDistributionPoint::name_of_uri(uri));
        push_extension(
            &mut list,
            oid::FRESHEST_CRL,
            false,
            &wrapped(tag::SEQUENCE, &point),
        );
    }
    wrapped(tag::context_constructed(0), &wrapped(tag::SEQUENCE, &list))
}

fn push_extension(list: &mut Vec<u8>, oid: &[u8], is_critical: bool, value: &[u8]) {
    let mut extension = Vec::from(oid);
    if is_critical {
        push_tlv(&mut extension, tag::BOOLEAN, &[0xff]);
    }
    push_tlv(&mut extension, tag::OCTET_STRING, value);
    push_tlv(list, tag::SEQUENCE, &extension);
}

/// A number as an INTEGER's whole TLV.
fn integer(number: u64) -> Vec<u8> {
    let mut octets = [0; 9];
    for (place, octet) in octets.iter_mut().skip(1).zip(number.to_be_bytes()) {
        *place = octet;
    }
    wrapped(tag::INTEGER, crate::serial::shortest(&octets))
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(tlv_len(content.len()));
    push_tlv(&mut whole, tag, content);
    whole
}

/// RFC 5280 §5.1.2.4: `UTCTime` through 2049, `GeneralizedTime` from 2050.
fn push_time(out: &mut Vec<u8>, time: UnixSeconds) {
    let generalized = write_generalized(time);
    if time < GENERALIZED_FROM {
        push_tlv(out, tag::UTC_TIME, generalized.get(2..).unwrap_or_default());
    } else {
        push_tlv(out, tag::GENERALIZED_TIME, &generalized);
    }
}

fn time_len(time: UnixSeconds) -> usize {
    tlv_len(if time < GENERALIZED_FROM { 13 } else { 15 })
}
