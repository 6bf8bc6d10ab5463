//! Reading a response, borrowed: enough to verify it and to look at what it says. Signatures are the caller's.

use crate::der::{Reader, Tlv, tag};
use crate::request::{CertIdRef, read_cert_id, read_extension};
use crate::status::RevocationReason;
use crate::time::{UnixSeconds, parse_time_with_fraction};
use crate::{DecodeError, Rule, oid};

/// `OCSPResponseStatus`, RFC 6960 §4.2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseStatus {
    /// There is a signed response inside.
    Successful,
    /// The request was not one.
    MalformedRequest,
    /// The responder is at fault.
    InternalError,
    /// Nothing to say now.
    TryLater,
    /// Only signed requests are answered.
    SigRequired,
    /// Not that responder's to say.
    Unauthorized,
}

/// Who signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponderId<'a> {
    /// The whole TLV of the responder's Name.
    ByName(&'a [u8]),
    /// SHA-1 of the responder's public key.
    ByKey(&'a [u8]),
}

/// What is said of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SingleStatus {
    /// Not revoked.
    Good,
    /// Revoked or on hold.
    Revoked {
        /// Since when.
        at: UnixSeconds,
        /// Why.
        reason: Option<RevocationReason>,
    },
    /// The responder does not know it.
    Unknown,
}

/// What is said of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleResponse<'a> {
    /// Which one.
    pub cert_id: CertIdRef<'a>,
    /// Its status.
    pub status: SingleStatus,
    /// `thisUpdate`.
    pub this_update: UnixSeconds,
    /// `nextUpdate`.
    pub next_update: Option<UnixSeconds>,
    /// The whole TLV of `singleExtensions`, without its explicit tag.
    pub extensions: Option<&'a [u8]>,
}

/// A response, borrowed. One that is not successful has nothing but its status.
#[derive(Clone, Copy, Debug)]
pub struct OcspResponse<'a> {
    /// The outer status.
    pub status: ResponseStatus,
    /// What a successful one says.
    pub basic: Option<BasicResponse<'a>>,
}

/// `BasicOCSPResponse`, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct BasicResponse<'a> {
    /// The whole TLV of `ResponseData`: what is signed.
    pub tbs: &'a [u8],
    /// Who signed.
    pub responder: ResponderId<'a>,
    /// `producedAt`.
    pub produced_at: UnixSeconds,
    /// The first certificate spoken of.
    pub first: SingleResponse<'a>,
    /// How many certificates are spoken of.
    pub count: usize,
    /// The whole TLV of `responseExtensions`, without its explicit tag.
    pub extensions: Option<&'a [u8]>,
    /// The whole TLV of the signature's `AlgorithmIdentifier`.
    pub algorithm: &'a [u8],
    /// The signature, without the count of unused bits.
    pub signature: &'a [u8],
    /// The content of the SEQUENCE OF embedded certificates, one TLV after another; empty if there are none.
    pub certs: &'a [u8],
    list: Reader<'a>,
}

impl<'a> OcspResponse<'a> {
    /// Reads a response through, every single response included.
    pub fn parse(octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(octets);
        let mut response = input.sequence()?;
        input.finish()?;
        let status = response.read(tag::ENUMERATED)?;
        let status = match status.content {
            [0] => ResponseStatus::Successful,
            [1] => ResponseStatus::MalformedRequest,
            [2] => ResponseStatus::InternalError,
            [3] => ResponseStatus::TryLater,
            [5] => ResponseStatus::SigRequired,
            [6] => ResponseStatus::Unauthorized,
            _ => return Err(status.error(Rule::ResponseStatus)),
        };
        let bytes = response.optional(tag::context_constructed(0))?;
        response.finish()?;
        let basic = match (status, bytes) {
            (ResponseStatus::Successful, Some(bytes)) => Some(basic(&bytes)?),
            (ResponseStatus::Successful, None) => return Err(response.error(Rule::Truncated)),
            (_, None) => None,
            (_, Some(bytes)) => return Err(bytes.error(Rule::TrailingOctets)),
        };
        Ok(Self { status, basic })
    }
}

impl<'a> BasicResponse<'a> {
    /// Every certificate spoken of, in order, the first included.
    pub fn singles(&self) -> SingleResponses<'a> {
        SingleResponses { list: self.list }
    }

    /// The nonce's `extnValue`, content only; none if there is none or the extensions cannot be read.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.extension(oid::NONCE)
    }

    /// Whether what is called revoked may never have been issued (RFC 6960 §4.4.8).
    pub fn has_extended_revoke(&self) -> bool {
        self.extension(oid::EXTENDED_REVOKE).is_some()
    }

    fn extension(&self, oid: &[u8]) -> Option<&'a [u8]> {
        let mut list = Reader::new(self.extensions?).sequence().ok()?;
        while !list.is_empty() {
            let extension = read_extension(&mut list).ok()?;
            if extension.oid == oid {
                return Some(extension.value.content);
            }
        }
        None
    }
}

/// The single responses of a response.
#[derive(Clone, Debug)]
pub struct SingleResponses<'a> {
    list: Reader<'a>,
}

impl<'a> Iterator for SingleResponses<'a> {
    type Item = SingleResponse<'a>;

    fn next(&mut self) -> Option<SingleResponse<'a>> {
        if self.list.is_empty() {
            return None;
        }
        // The list was read once by `parse`, so this cannot fail.
        single(&mut self.list).ok()
    }
}

fn basic<'a>(bytes: &Tlv<'a>) -> Result<BasicResponse<'a>, DecodeError> {
    let mut inside = bytes.reader();
    let mut parts = inside.sequence()?;
    inside.finish()?;
    let kind = parts.read(tag::OID)?;
    if kind.raw != oid::OCSP_BASIC {
        return Err(kind.error(Rule::ResponseType));
    }
    let mut response = parts.read(tag::OCTET_STRING)?.reader();
    parts.finish()?;
    let mut basic = response.sequence()?;
    response.finish()?;
    let tbs = basic.read(tag::SEQUENCE)?;
    let algorithm = basic.read(tag::SEQUENCE)?.raw;
    let signature = basic.bit_string_octets()?.content;
    let certs = match basic.optional(tag::context_constructed(0))? {
        Some(explicit) => {
            let mut inside = explicit.reader();
            let list = inside.sequence()?;
            inside.finish()?;
            list.rest()
        }
        None => &[],
    };
    basic.finish()?;

    let mut data = tbs.reader();
    if let Some(version) = data.optional(tag::context_constructed(0))? {
        // X.690 §11.5 asks to leave v1 out; responders that write it sign it so.
        let mut inside = version.reader();
        let number = inside.integer(4)?;
        inside.finish()?;
        if number.content != [0] {
            return Err(number.error(Rule::VersionUnknown));
        }
    }
    let responder = responder_id(&mut data)?;
    let produced_at = time(&mut data)?;
    let list = data.sequence()?;
    let extensions = explicit_raw(&mut data, 1)?;
    data.finish()?;
    let (first, count) = check_list(list)?;
    Ok(BasicResponse {
        tbs: tbs.raw,
        responder,
        produced_at,
        first,
        count,
        extensions,
        algorithm,
        signature,
        certs,
        list,
    })
}

fn check_list(mut list: Reader<'_>) -> Result<(SingleResponse<'_>, usize), DecodeError> {
    if list.is_empty() {
        return Err(list.error(Rule::Empty));
    }
    let first = single(&mut list)?;
    let mut count = 1;
    while !list.is_empty() {
        single(&mut list)?;
        count += 1;
    }
    Ok((first, count))
}

fn responder_id<'a>(data: &mut Reader<'a>) -> Result<ResponderId<'a>, DecodeError> {
    if let Some(by_name) = data.optional(tag::context_constructed(1))? {
        let mut inside = by_name.reader();
        let name = inside.read(tag::SEQUENCE)?;
        inside.finish()?;
        return Ok(ResponderId::ByName(name.raw));
    }
    let by_key = data.read(tag::context_constructed(2))?;
    let mut inside = by_key.reader();
    let hash = inside.read(tag::OCTET_STRING)?;
    inside.finish()?;
    Ok(ResponderId::ByKey(hash.content))
}

fn single<'a>(list: &mut Reader<'a>) -> Result<SingleResponse<'a>, DecodeError> {
    let mut single = list.sequence()?;
    let cert_id = read_cert_id(&mut single)?;
    let status = single.any()?;
    let status = if status.tag == tag::context(0) || status.tag == tag::context(2) {
        if !status.content.is_empty() {
            return Err(status.error(Rule::NotEmpty));
        }
        if status.tag == tag::context(0) {
            SingleStatus::Good
        } else {
            SingleStatus::Unknown
        }
    } else if status.tag == tag::context_constructed(1) {
        revoked(&status)?
    } else {
        return Err(status.error(Rule::CertStatusUnknown));
    };
    let this_update = time(&mut single)?;
    let next_update = match single.optional(tag::context_constructed(0))? {
        Some(explicit) => {
            let mut inside = explicit.reader();
            let next_update = time(&mut inside)?;
            inside.finish()?;
            Some(next_update)
        }
        None => None,
    };
    let extensions = explicit_raw(&mut single, 1)?;
    single.finish()?;
    Ok(SingleResponse {
        cert_id,
        status,
        this_update,
        next_update,
        extensions,
    })
}

fn revoked(info: &Tlv<'_>) -> Result<SingleStatus, DecodeError> {
    let mut info = info.reader();
    let at = time(&mut info)?;
    let reason = match info.optional(tag::context_constructed(0))? {
        Some(explicit) => {
            let mut inside = explicit.reader();
            let code = inside.read(tag::ENUMERATED)?;
            inside.finish()?;
            let reason = match code.content {
                &[code] => RevocationReason::from_code(code),
                _ => None,
            };
            Some(reason.ok_or(code.error(Rule::ReasonUnknown))?)
        }
        None => None,
    };
    info.finish()?;
    Ok(SingleStatus::Revoked { at, reason })
}

/// A `GeneralizedTime`, the only one allowed here. RFC 6960 §4.2.2.1 wants it without fractions; real responders sign
/// fractions, and this reader is for looking at what others said.
fn time(reader: &mut Reader<'_>) -> Result<UnixSeconds, DecodeError> {
    let value = reader.read(tag::GENERALIZED_TIME)?;
    parse_time_with_fraction(value.content).map_err(|rule| value.error(rule))
}

/// The SEQUENCE inside `[number] EXPLICIT`, if that is there.
fn explicit_raw<'a>(reader: &mut Reader<'a>, number: u8) -> Result<Option<&'a [u8]>, DecodeError> {
    let Some(explicit) = reader.optional(tag::context_constructed(number))? else {
        return Ok(None);
    };
    let mut inside = explicit.reader();
    let sequence = inside.read(tag::SEQUENCE)?;
    inside.finish()?;
    Ok(Some(sequence.raw))
}
