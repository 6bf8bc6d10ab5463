//! Responses put together on the spot: several certificates, a nonce, other extensions. The signer's live lane writes them;
//! what is signed ahead goes the short way next door (`assemble`), with one certificate and no extension.
//!
//! ```asn1
//! ResponseData ::= SEQUENCE {                                     -- RFC 6960 §4.2.1
//!     responderID          [2] EXPLICIT KeyHash,                  -- always byKey
//!     producedAt           GeneralizedTime,
//!     responses            SEQUENCE OF SingleResponse,
//!     responseExtensions   [1] EXPLICIT Extensions OPTIONAL }
//! SingleResponse ::= SEQUENCE {
//!     certID               CertID,
//!     certStatus           CHOICE { good [0] NULL, revoked [1] RevokedInfo, unknown [2] NULL },
//!     thisUpdate           GeneralizedTime,
//!     nextUpdate           [0] EXPLICIT GeneralizedTime,
//!     singleExtensions     [1] EXPLICIT Extensions OPTIONAL }
//! ```

use alloc::vec::Vec;

use super::assemble::AssembleError;
use super::reader::SingleStatus;
use crate::algorithm::{MAX_ECDSA_DER_OCTETS, SignatureAlgorithm, ecdsa_der_from_raw};
use crate::der::{push_header, push_tlv, tag};
use crate::oid;
use crate::request::MAX_CERT_IDS;
use crate::time::{UnixSeconds, write_generalized};

/// What is said of one certificate.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// The `CertID` as it was asked, the whole TLV.
    pub cert_id: &'a [u8],
    /// Its status.
    pub status: SingleStatus,
    /// `thisUpdate`.
    pub this_update: UnixSeconds,
    /// `nextUpdate`.
    pub next_update: UnixSeconds,
    /// Back to when the status of expired certificates is kept, said of those that have expired.
    pub archive_cutoff: Option<UnixSeconds>,
    /// The list on which it was found, said of those that stand on another authority's.
    pub found_on: Option<CrlReference<'a>>,
}

/// A list, as far as is known. RFC 6960 §4.4.2: `CrlID ::= SEQUENCE { crlUrl [0] EXPLICIT IA5String OPTIONAL, crlNum [1]
/// EXPLICIT INTEGER OPTIONAL, crlTime [2] EXPLICIT GeneralizedTime OPTIONAL }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlReference<'a> {
    /// Where it can be had: ASCII.
    pub url: Option<&'a str>,
    /// Its `CRLNumber`: content octets of the INTEGER.
    pub number: Option<&'a [u8]>,
    /// Its `thisUpdate`.
    pub time: UnixSeconds,
}

/// Everything the signed part of such a response says.
#[derive(Clone, Copy, Debug)]
pub struct SeveralParts<'a> {
    /// SHA-1 of the responder's public key.
    pub key_hash: &'a [u8; 20],
    /// `producedAt`.
    pub produced_at: UnixSeconds,
    /// 1 to [`MAX_CERT_IDS`] certificates, in the order of the request.
    pub said: &'a [Said<'a>],
    /// The content of the `extnValue` that the request's nonce had.
    pub nonce: Option<&'a [u8]>,
    /// Whether a certificate is called revoked because it was never issued.
    pub extended_revoke: ExtendedRevoke,
}

/// Whether the response carries the extended-revoke extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedRevoke {
    /// All that is called revoked was issued.
    Absent,
    /// Something was never issued.
    Present,
}

/// Appends the signed part, `ResponseData`, to `out`; gives its octets.
pub fn write_several(parts: &SeveralParts<'_>, out: &mut Vec<u8>) -> Result<usize, AssembleError> {
    let found = parts.said.len();
    if !(1..=MAX_CERT_IDS).contains(&found) {
        return Err(AssembleError::Certificates { found });
    }
    let mut data = Vec::with_capacity(found * ABOUT_OCTETS_OF_ONE);
    // RFC 6960 §4.2.2.3: the responder names itself by its key.
    data.extend_from_slice(&[tag::context_constructed(2), 22, tag::OCTET_STRING, 20]);
    data.extend_from_slice(parts.key_hash);
    push_time(&mut data, parts.produced_at);
    let mut list = Vec::with_capacity(found * ABOUT_OCTETS_OF_ONE);
    // RFC 6960 §4.2.2.3: a SingleResponse for each certificate of the request, and for no other.
    for said in parts.said {
        push_tlv(&mut list, tag::SEQUENCE, &single(said));
    }
    push_tlv(&mut data, tag::SEQUENCE, &list);
    let extensions = response_extensions(parts);
    if !extensions.is_empty() {
        push_extensions(&mut data, &extensions);
    }
    let start = out.len();
    push_tlv(out, tag::SEQUENCE, &data);
    Ok(out.len() - start)
}

/// The whole response around a signed part that [`write_several`] wrote; `certs_tlv` as for
/// [`assemble`](super::assemble()).
pub fn assemble_several(
    tbs: &[u8],
    algorithm: SignatureAlgorithm,
    signature_raw: &[u8],
    certs_tlv: &[u8],
) -> Result<Vec<u8>, AssembleError> {
    let wrong = AssembleError::SignatureLength {
        found: signature_raw.len(),
        expected: algorithm.raw_octets(),
    };
    if signature_raw.len() != algorithm.raw_octets() {
        return Err(wrong);
    }
    let mut bits = Vec::from([0]);
    if algorithm.is_ecdsa_shaped() {
        let mut der = [0; MAX_ECDSA_DER_OCTETS];
        let used = ecdsa_der_from_raw(signature_raw, &mut der).ok_or(wrong)?;
        bits.extend_from_slice(der.get(..used).ok_or(wrong)?);
    } else {
        bits.extend_from_slice(signature_raw);
    }
    let mut basic = Vec::with_capacity(tbs.len() + certs_tlv.len() + bits.len() + 64);
    basic.extend_from_slice(tbs);
    basic.extend_from_slice(algorithm.identifier());
    push_tlv(&mut basic, tag::BIT_STRING, &bits);
    basic.extend_from_slice(certs_tlv);

    let mut bytes = Vec::from(oid::OCSP_BASIC);
    push_tlv(
        &mut bytes,
        tag::OCTET_STRING,
        &wrapped(tag::SEQUENCE, &basic),
    );
    let mut response = Vec::from([tag::ENUMERATED, 1, 0]);
    push_tlv(
        &mut response,
        tag::context_constructed(0),
        &wrapped(tag::SEQUENCE, &bytes),
    );
    Ok(wrapped(tag::SEQUENCE, &response))
}

/// The whole `[0]` TLV of embedded certificates: this one.
#[must_use]
pub fn certs_tlv(certificate: &[u8]) -> Vec<u8> {
    wrapped(
        tag::context_constructed(0),
        &wrapped(tag::SEQUENCE, certificate),
    )
}

/// The content of a `SingleResponse`.
fn single(said: &Said<'_>) -> Vec<u8> {
    let mut single = Vec::with_capacity(ABOUT_OCTETS_OF_ONE);
    // RFC 6960 §3.2: the certificate answered for is the one asked about: its CertID octet for octet, whatever the hash.
    single.extend_from_slice(said.cert_id);
    match said.status {
        SingleStatus::Good => push_tlv(&mut single, tag::context(0), &[]),
        SingleStatus::Unknown => push_tlv(&mut single, tag::context(2), &[]),
        SingleStatus::Revoked { at, reason } => {
            let mut info = Vec::new();
            push_time(&mut info, at);
            if let Some(reason) = reason {
                info.extend_from_slice(&[
                    tag::context_constructed(0),
                    3,
                    tag::ENUMERATED,
                    1,
                    reason.code(),
                ]);
            }
            push_tlv(&mut single, tag::context_constructed(1), &info);
        }
    }
    push_time(&mut single, said.this_update);
    // RFC 9919 §3.2.4: nextUpdate is always there.
    push_header(&mut single, tag::context_constructed(0), 17);
    push_time(&mut single, said.next_update);
    let extensions = single_extensions(said);
    if !extensions.is_empty() {
        push_extensions(&mut single, &extensions);
    }
    single
}

/// The extensions of a `SingleResponse`, none of them critical.
// CABF BR §7.3.2: no reasonCode stands among the single extensions; only archiveCutoff and the list's reference ever do.
fn single_extensions(said: &Said<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    if let Some(reference) = &said.found_on {
        // RFC 6960 §4.4.2: the CRL on which a revoked or held certificate was found: its address, its number, its time.
        push_extension(&mut list, oid::CRL_REFERENCE, &crl_id(reference));
    }
    if let Some(cutoff) = said.archive_cutoff {
        // RFC 6960 §4.4.4: archiveCutoff is a GeneralizedTime in singleExtensions, producedAt less the retention.
        let mut value = Vec::new();
        push_time(&mut value, cutoff);
        push_extension(&mut list, oid::ARCHIVE_CUTOFF, &value);
    }
    list
}

fn crl_id(reference: &CrlReference<'_>) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut push = |number, content: &[u8]| {
        push_tlv(&mut fields, tag::context_constructed(number), content);
    };
    if let Some(url) = reference.url {
        push(0, &wrapped(tag::IA5_STRING, url.as_bytes()));
    }
    if let Some(number) = reference.number {
        push(1, &wrapped(tag::INTEGER, number));
    }
    let mut time = Vec::new();
    push_time(&mut time, reference.time);
    push(2, &time);
    wrapped(tag::SEQUENCE, &fields)
}

/// The extensions of the whole response, none of them critical.
fn response_extensions(parts: &SeveralParts<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    if let Some(nonce) = parts.nonce {
        // RFC 9654 §2.1: the answer's nonce is the request's, octet for octet.
        push_extension(&mut list, oid::NONCE, nonce);
    }
    if parts.extended_revoke == ExtendedRevoke::Present {
        // RFC 6960 §4.4.8: who calls a certificate revoked that was never issued says so; not critical, its value NULL.
        push_extension(&mut list, oid::EXTENDED_REVOKE, &[tag::NULL, 0]);
    }
    list
}

fn push_extension(list: &mut Vec<u8>, oid: &[u8], value: &[u8]) {
    let mut extension = Vec::from(oid);
    push_tlv(&mut extension, tag::OCTET_STRING, value);
    push_tlv(list, tag::SEQUENCE, &extension);
}

/// `[1] EXPLICIT Extensions` of this list.
fn push_extensions(out: &mut Vec<u8>, list: &[u8]) {
    push_tlv(
        out,
        tag::context_constructed(1),
        &wrapped(tag::SEQUENCE, list),
    );
}

fn push_time(out: &mut Vec<u8>, time: UnixSeconds) {
    // RFC 6960 §4.2.1: a GeneralizedTime is written as RFC 5280 §4.1.2.5.2 has it: UTC, seconds, no fractions.
    push_tlv(out, tag::GENERALIZED_TIME, &write_generalized(time));
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(content.len() + 6);
    push_tlv(&mut whole, tag, content);
    whole
}

/// A `CertID` by SHA-512 and all that is said of it.
const ABOUT_OCTETS_OF_ONE: usize = 280;
