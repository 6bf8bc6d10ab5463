//! An OCSP request, borrowed: which certificates, which nonce.
//!
//! ```asn1
//! OCSPRequest ::= SEQUENCE {                                   -- RFC 6960 §4.1.1
//!     tbsRequest         TBSRequest,
//!     optionalSignature  [0] EXPLICIT Signature OPTIONAL }     -- not checked: anyone may ask
//! TBSRequest ::= SEQUENCE {
//!     version            [0] EXPLICIT Version DEFAULT v1,
//!     requestorName      [1] EXPLICIT GeneralName OPTIONAL,    -- ignored
//!     requestList        SEQUENCE OF Request,
//!     requestExtensions  [2] EXPLICIT Extensions OPTIONAL }
//! Request ::= SEQUENCE {
//!     reqCert            CertID,
//!     singleRequestExtensions [0] EXPLICIT Extensions OPTIONAL }
//! ```

mod build;
mod extensions;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod preferred;
#[cfg(test)]
mod tests;

pub(crate) use extensions::read_extension;

pub use build::{build_request, build_request_for, build_request_preferring};
pub use extensions::{MAX_NONCE_OCTETS, Nonce};
pub use preferred::PreferredAlgorithms;

use crate::der::{Reader, Tlv, tag};
use crate::serial::MAX_SERIAL_OCTETS;
use crate::{DecodeError, Rule};

/// Octets of the longest request taken.
pub const MAX_REQUEST_OCTETS: usize = 4096;

/// Certificates one request may ask about.
pub const MAX_CERT_IDS: usize = 32;

/// A checked request. Everything is borrowed from the octets it was parsed from.
#[derive(Clone, Copy, Debug)]
pub struct OcspRequest<'a> {
    /// The first certificate asked about.
    pub first: CertIdRef<'a>,
    /// How many are asked about: 1 to [`MAX_CERT_IDS`].
    pub count: usize,
    /// The nonce, if one is sent.
    pub nonce: Option<Nonce<'a>>,
    /// Which signatures the client would rather have, if it says so.
    pub preferred: Option<PreferredAlgorithms<'a>>,
    /// True if the requestor gives a name. It is not read.
    pub has_requestor_name: bool,
    /// True if the request is signed. The signature is not checked.
    pub is_signed: bool,
    list: Reader<'a>,
}

/// One `CertID`, borrowed octet for octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CertIdRef<'a> {
    /// The whole TLV.
    pub raw: &'a [u8],
    /// The octets between its header and the serial's header: hash algorithm and both hashes. By these the issuer and
    /// the variant are found.
    pub prefix: &'a [u8],
    /// The content octets of the serial, in their shortest form, 1 to [`MAX_SERIAL_OCTETS`].
    pub serial: &'a [u8],
}

impl<'a> OcspRequest<'a> {
    /// Reads a request. Nothing is allocated; the work is bounded by [`MAX_REQUEST_OCTETS`].
    pub fn parse(octets: &'a [u8]) -> Result<Self, DecodeError> {
        if octets.len() > MAX_REQUEST_OCTETS {
            return Err(Rule::TooLong.at(MAX_REQUEST_OCTETS));
        }
        let mut input = Reader::new(octets);
        let mut request = input.sequence()?;
        input.finish()?;
        let mut tbs = request.sequence()?;
        let signature = request.optional(tag::context_constructed(0))?;
        if let Some(signature) = signature {
            check_signature(&signature)?;
        }
        request.finish()?;

        if let Some(version) = tbs.optional(tag::context_constructed(0))? {
            // X.690 §11.5 asks to leave v1 out. It is taken when written: old Java and hand-made clients write it, and
            // nothing is signed or compared over it.
            let mut version = version.reader();
            let number = version.integer(4)?;
            version.finish()?;
            if number.content != [0] {
                return Err(number.error(Rule::VersionUnknown));
            }
        }
        // RFC 9919 §3.1.2: a requestorName in an unsigned request is treated as if it were not there.
        let requestor = tbs.optional(tag::context_constructed(1))?;
        if let Some(requestor) = requestor {
            let mut name = requestor.reader();
            name.any()?;
            name.finish()?;
        }
        let list = tbs.sequence()?;
        let asked = match tbs.optional(tag::context_constructed(2))? {
            Some(explicit) => extensions::read(&explicit, extensions::Place::Request)?,
            None => extensions::Asked::default(),
        };
        tbs.finish()?;

        let (first, count) = check_list(list)?;
        Ok(Self {
            first,
            count,
            nonce: asked.nonce,
            preferred: asked.preferred,
            has_requestor_name: requestor.is_some(),
            is_signed: signature.is_some(),
            list,
        })
    }

    /// Every certificate asked about, in order, the first included.
    pub fn cert_ids(&self) -> CertIds<'a> {
        CertIds { list: self.list }
    }
}

/// The certificates of a request.
#[derive(Clone, Debug)]
pub struct CertIds<'a> {
    list: Reader<'a>,
}

impl<'a> Iterator for CertIds<'a> {
    type Item = CertIdRef<'a>;

    fn next(&mut self) -> Option<CertIdRef<'a>> {
        if self.list.is_empty() {
            return None;
        }
        // The list was read once by `parse`, so this cannot fail.
        single_request(&mut self.list).ok()
    }
}

/// Reads the list through. Gives the first and the count.
fn check_list(mut list: Reader<'_>) -> Result<(CertIdRef<'_>, usize), DecodeError> {
    if list.is_empty() {
        return Err(list.error(Rule::Empty));
    }
    let first = single_request(&mut list)?;
    let mut count = 1;
    while !list.is_empty() {
        if count == MAX_CERT_IDS {
            return Err(list.error(Rule::TooManyCertIds));
        }
        single_request(&mut list)?;
        count += 1;
    }
    Ok((first, count))
}

#[inline]
fn single_request<'a>(list: &mut Reader<'a>) -> Result<CertIdRef<'a>, DecodeError> {
    let mut request = list.sequence()?;
    let cert_id = read_cert_id(&mut request)?;
    if let Some(explicit) = request.optional(tag::context_constructed(0))? {
        extensions::read(&explicit, extensions::Place::Single)?;
    }
    request.finish()?;
    Ok(cert_id)
}

/// Reads a `CertID`.
#[inline]
pub(crate) fn read_cert_id<'a>(reader: &mut Reader<'a>) -> Result<CertIdRef<'a>, DecodeError> {
    let whole = reader.read(tag::SEQUENCE)?;
    let mut parts = whole.reader();
    let mut algorithm = parts.sequence()?;
    algorithm.read(tag::OID)?;
    if !algorithm.is_empty() {
        algorithm.any()?;
    }
    algorithm.finish()?;
    parts.read(tag::OCTET_STRING)?;
    parts.read(tag::OCTET_STRING)?;
    let prefix_len = whole.content.len() - parts.rest().len();
    let serial = parts.integer(MAX_SERIAL_OCTETS).map_err(serial_error)?;
    parts.finish()?;
    Ok(CertIdRef {
        raw: whole.raw,
        prefix: whole.content.get(..prefix_len).unwrap_or_default(),
        serial: serial.content,
    })
}

/// Checks the form of the optional signature, which is otherwise ignored.
///
/// ```asn1
/// Signature ::= SEQUENCE {
///     signatureAlgorithm  AlgorithmIdentifier,
///     signature           BIT STRING,
///     certs               [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
/// ```
fn check_signature(explicit: &Tlv<'_>) -> Result<(), DecodeError> {
    let mut inside = explicit.reader();
    let mut signature = inside.sequence()?;
    inside.finish()?;
    signature.read(tag::SEQUENCE)?;
    signature.read(tag::BIT_STRING)?;
    if let Some(certs) = signature.optional(tag::context_constructed(0))? {
        let mut inside = certs.reader();
        inside.read(tag::SEQUENCE)?;
        inside.finish()?;
    }
    signature.finish()
}

pub(crate) fn serial_error(error: DecodeError) -> DecodeError {
    match error.rule {
        Rule::IntegerTooLong => Rule::SerialTooLong.at(error.offset),
        _ => error,
    }
}
