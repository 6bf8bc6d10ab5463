//! Putting a response together from stored parts: lengths by arithmetic first, then each octet once, forward.
//!
//! The signer writes the signed part with [`write_tbs`], the responder the whole with [`assemble`]; both go through the
//! same lines, so what was signed is what is served.

use alloc::vec::Vec;
use core::fmt;

use crate::algorithm::SignatureAlgorithm;
use crate::algorithm::{ecdsa_der_len, put_ecdsa};
use crate::der::{Cursor, header_len, tag, tlv_len};
use crate::oid;
use crate::status::CertStatus;
use crate::time::{UnixSeconds, write_generalized};

/// Everything the signed part of a response says.
#[derive(Clone, Copy, Debug)]
pub struct TbsParts<'a> {
    /// SHA-1 of the responder's public key: `responderID` by key (RFC 6960 §4.2.2.2).
    pub key_hash: &'a [u8; 20],
    /// `producedAt`.
    pub produced_at: UnixSeconds,
    /// See [`cert_id_prefix`](crate::cert_id::cert_id_prefix).
    pub cert_id_prefix: &'a [u8],
    /// Content octets of the serial's INTEGER.
    pub serial_content: &'a [u8],
    /// The status; [`CertStatus::Absent`] has no response.
    pub status: CertStatus,
    /// `thisUpdate`.
    pub this_update: UnixSeconds,
    /// `nextUpdate`.
    pub next_update: UnixSeconds,
}

/// Why a response could not be put together. The caller is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssembleError {
    /// The buffer needs this many octets.
    TooSmall {
        /// Octets of the whole response.
        needed: usize,
    },
    /// An absent record is answered `unauthorized`, not by a response.
    Absent,
    /// A response is about 1 to [`MAX_CERT_IDS`](crate::request::MAX_CERT_IDS) certificates.
    Certificates {
        /// How many it should be about.
        found: usize,
    },
    /// The signature has another length than its algorithm's.
    SignatureLength {
        /// Octets it has.
        found: usize,
        /// Octets it should have.
        expected: usize,
    },
}

impl fmt::Display for AssembleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall { needed } => {
                write!(f, "the response has {needed} octets and does not fit")
            }
            Self::Absent => f.write_str("an absent certificate has no response"),
            Self::Certificates { found } => {
                write!(f, "a response cannot be about {found} certificates")
            }
            Self::SignatureLength { found, expected } => {
                write!(f, "the signature has {found} octets instead of {expected}")
            }
        }
    }
}

impl core::error::Error for AssembleError {}

/// Octets of the signed part.
pub fn tbs_len(parts: &TbsParts<'_>) -> Result<usize, AssembleError> {
    Lengths::of(parts).map(|lengths| tlv_len(lengths.data))
}

/// Appends the signed part, `ResponseData`, to `out`; gives its octets.
pub fn write_tbs(parts: &TbsParts<'_>, out: &mut Vec<u8>) -> Result<usize, AssembleError> {
    let lengths = Lengths::of(parts)?;
    let needed = tlv_len(lengths.data);
    let start = out.len();
    out.resize(start + needed, 0);
    let mut cursor = Cursor::new(out.get_mut(start..).unwrap_or_default());
    put_tbs(&mut cursor, parts, &lengths);
    if cursor.filled() {
        Ok(needed)
    } else {
        Err(AssembleError::TooSmall { needed })
    }
}

/// Octets of the whole response.
pub fn assembled_len(
    parts: &TbsParts<'_>,
    algorithm: SignatureAlgorithm,
    signature_raw: &[u8],
    certs_tlv: &[u8],
) -> Result<usize, AssembleError> {
    let lengths = Lengths::of(parts)?;
    Ok(Envelope::of(&lengths, algorithm, signature_raw, certs_tlv).total())
}

/// Writes the whole response into the front of `out`; gives its octets. Allocates nothing.
///
/// `signature_raw` is what a record stores; `certs_tlv` is the whole `[0]` TLV of embedded certificates, or empty.
#[inline]
pub fn assemble(
    parts: &TbsParts<'_>,
    algorithm: SignatureAlgorithm,
    signature_raw: &[u8],
    certs_tlv: &[u8],
    out: &mut [u8],
) -> Result<usize, AssembleError> {
    if signature_raw.len() != algorithm.raw_octets() {
        return Err(AssembleError::SignatureLength {
            found: signature_raw.len(),
            expected: algorithm.raw_octets(),
        });
    }
    let lengths = Lengths::of(parts)?;
    let envelope = Envelope::of(&lengths, algorithm, signature_raw, certs_tlv);
    let needed = envelope.total();
    let too_small = AssembleError::TooSmall { needed };
    let mut cursor = Cursor::new(out.get_mut(..needed).ok_or(too_small)?);

    cursor.header(tag::SEQUENCE, envelope.response);
    // responseStatus successful.
    cursor.put(&[tag::ENUMERATED, 1, 0]);
    cursor.header(tag::context_constructed(0), tlv_len(envelope.bytes));
    cursor.header(tag::SEQUENCE, envelope.bytes);
    // RFC 6960 §4.2.1: a responder can answer with a basic response, whose value is the DER of BasicOCSPResponse.
    // RFC 9919 §3.2.1: a response is a BasicOCSPResponse, and named so.
    cursor.put(oid::OCSP_BASIC);
    cursor.header(tag::OCTET_STRING, tlv_len(envelope.basic));
    cursor.header(tag::SEQUENCE, envelope.basic);
    put_tbs(&mut cursor, parts, &lengths);
    cursor.put(algorithm.identifier());
    cursor.header(tag::BIT_STRING, 1 + envelope.signature);
    cursor.put(&[0]);
    if algorithm.is_ecdsa_shaped() {
        put_ecdsa(&mut cursor, signature_raw);
    } else {
        cursor.put(signature_raw);
    }
    // RFC 6960 §4.2.1: without certificates the field is absent.
    cursor.put(certs_tlv);
    if cursor.filled() {
        Ok(needed)
    } else {
        Err(too_small)
    }
}

/// Octets of a `GeneralizedTime`.
const TIME: usize = tlv_len(15);
/// Octets of an explicitly tagged reason.
const REASON: usize = 5;
/// Octets of an explicitly tagged key hash.
const RESPONDER_ID: usize = tlv_len(tlv_len(20));

/// Content lengths inside the signed part, from the inside out.
struct Lengths {
    cert_id: usize,
    /// Content of `RevokedInfo`; zero for good.
    revoked: usize,
    single: usize,
    data: usize,
}

impl Lengths {
    #[inline]
    fn of(parts: &TbsParts<'_>) -> Result<Self, AssembleError> {
        let cert_id = parts.cert_id_prefix.len() + tlv_len(parts.serial_content.len());
        let revoked = match parts.status {
            CertStatus::Good => 0,
            CertStatus::Revoked { reason: None, .. } => TIME,
            CertStatus::Revoked { .. } => TIME + REASON,
            CertStatus::Absent => return Err(AssembleError::Absent),
        };
        // RFC 9919 §3.2.1: one SingleResponse, and no responseExtensions.
        let single = tlv_len(cert_id) + tlv_len(revoked) + TIME + tlv_len(TIME);
        let data = RESPONDER_ID + TIME + tlv_len(tlv_len(single));
        Ok(Self {
            cert_id,
            revoked,
            single,
            data,
        })
    }
}

/// Content lengths around the signed part.
struct Envelope {
    signature: usize,
    basic: usize,
    bytes: usize,
    response: usize,
}

impl Envelope {
    #[inline]
    fn of(
        lengths: &Lengths,
        algorithm: SignatureAlgorithm,
        signature_raw: &[u8],
        certs_tlv: &[u8],
    ) -> Self {
        let signature = if algorithm.is_ecdsa_shaped() {
            ecdsa_der_len(signature_raw)
        } else {
            signature_raw.len()
        };
        let basic = tlv_len(lengths.data)
            + algorithm.identifier().len()
            + tlv_len(1 + signature)
            + certs_tlv.len();
        let bytes = oid::OCSP_BASIC.len() + tlv_len(tlv_len(basic));
        let response = 3 + tlv_len(tlv_len(bytes));
        Self {
            signature,
            basic,
            bytes,
            response,
        }
    }

    fn total(&self) -> usize {
        header_len(self.response) + self.response
    }
}

#[inline]
fn put_tbs(cursor: &mut Cursor<'_>, parts: &TbsParts<'_>, lengths: &Lengths) {
    cursor.header(tag::SEQUENCE, lengths.data);
    cursor.put(&[tag::context_constructed(2), 22, tag::OCTET_STRING, 20]);
    // RFC 9919 §3.2.2: the responder names itself by its key.
    cursor.put(parts.key_hash);
    // RFC 9919 §3.2.4: producedAt is when it was signed.
    put_time(cursor, parts.produced_at);
    cursor.header(tag::SEQUENCE, tlv_len(lengths.single));
    cursor.header(tag::SEQUENCE, lengths.single);
    cursor.header(tag::SEQUENCE, lengths.cert_id);
    cursor.put(parts.cert_id_prefix);
    cursor.header(tag::INTEGER, parts.serial_content.len());
    cursor.put(parts.serial_content);
    match parts.status {
        CertStatus::Revoked { at, reason } => {
            cursor.header(tag::context_constructed(1), lengths.revoked);
            put_time(cursor, at);
            if let Some(reason) = reason {
                cursor.put(&[
                    tag::context_constructed(0),
                    3,
                    tag::ENUMERATED,
                    1,
                    reason.code(),
                ]);
            }
        }
        // Absent was refused when the lengths were computed.
        CertStatus::Good | CertStatus::Absent => cursor.put(&[tag::context(0), 0]),
    }
    // RFC 9919 §3.2.4: thisUpdate and nextUpdate both stand in every answer.
    put_time(cursor, parts.this_update);
    cursor.put(&[tag::context_constructed(0), 17]);
    put_time(cursor, parts.next_update);
}

#[inline]
fn put_time(cursor: &mut Cursor<'_>, time: UnixSeconds) {
    cursor.put(&[tag::GENERALIZED_TIME, 15]);
    cursor.put(&write_generalized(time));
}
