//! The entries of a list, one by one.

use super::reader::read_time;
use crate::der::{Reader, Tlv, check_integer, tag};
use crate::request::{read_extension, serial_error};
use crate::serial::{MAX_SERIAL_OCTETS, Serial};
use crate::status::RevocationReason;
use crate::time::{UnixSeconds, parse_time};
use crate::{DecodeError, Rule, oid};

/// One revoked certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrlEntry<'a> {
    /// Its serial.
    pub serial: Serial,
    /// `revocationDate`.
    pub revoked_at: UnixSeconds,
    /// The reason, if one is given.
    pub reason: Option<RevocationReason>,
    /// `invalidityDate`: since when it was probably bad.
    pub invalid_since: Option<UnixSeconds>,
    /// The whole TLV of the `GeneralNames` in `certificateIssuer`. It holds for this entry and all after it until
    /// another comes (RFC 5280 §5.3.3); carrying it on is the caller's.
    pub certificate_issuer: Option<&'a [u8]>,
    /// The whole TLV of the identifier of the first critical extension not known here. RFC 5280 §5.3: such a list must
    /// not be used to decide a status.
    pub unknown_critical: Option<&'a [u8]>,
    /// Where the entry starts in the list.
    pub offset: usize,
}

/// The entries of a list. Ends after the first error.
#[derive(Clone, Debug)]
pub struct CrlEntries<'a> {
    rest: Reader<'a>,
    is_v2: bool,
    failed: bool,
}

impl<'a> CrlEntries<'a> {
    pub(super) fn new(rest: Reader<'a>, is_v2: bool) -> Self {
        Self {
            rest,
            is_v2,
            failed: false,
        }
    }
}

impl<'a> Iterator for CrlEntries<'a> {
    type Item = Result<CrlEntry<'a>, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rest.is_empty() {
            return None;
        }
        let entry = read_entry(&mut self.rest, self.is_v2);
        self.failed = entry.is_err();
        Some(entry)
    }
}

/// An entry with nothing unusual: a serial, a `UTCTime` and at most a reason, all lengths in one octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainEntry<'a> {
    /// The content octets of its serial's INTEGER.
    pub serial: &'a [u8],
    /// `revocationDate`.
    pub revoked_at: UnixSeconds,
    /// The reason, if one is given.
    pub reason: Option<RevocationReason>,
    /// Octets of the whole entry.
    pub length: usize,
}

/// Reads the first entry of `octets` if it is a plain one, as nearly all are. Whatever is not, be it unusual, cut off or
/// wrong, is `None`: [`next_entry`](super::next_entry) tells which. The two never read one entry differently.
#[inline]
pub fn plain_entry(octets: &[u8], is_v2: bool) -> Option<PlainEntry<'_>> {
    let (&[tag::SEQUENCE, length], rest) = octets.split_first_chunk()? else {
        return None;
    };
    if length >= 0x80 {
        return None;
    }
    let entry = rest.get(..usize::from(length))?;
    let (&[tag::INTEGER, serial_octets], rest) = entry.split_first_chunk()? else {
        return None;
    };
    let (serial, rest) = rest.split_at_checked(usize::from(serial_octets))?;
    check_integer(serial, MAX_SERIAL_OCTETS).ok()?;
    let (time, rest) = rest.split_first_chunk::<UTC_TIME_OCTETS>()?;
    let (&[tag::UTC_TIME, 13], time) = time.split_first_chunk()? else {
        return None;
    };
    let reason = match rest.split_first_chunk() {
        None if rest.is_empty() => None,
        Some((&REASON, &[code])) if is_v2 => Some(RevocationReason::from_code(code)?),
        _ => return None,
    };
    Some(PlainEntry {
        serial,
        revoked_at: parse_time(tag::UTC_TIME, time).ok()?,
        reason,
        length: 2 + usize::from(length),
    })
}

/// Tag, length and thirteen octets.
const UTC_TIME_OCTETS: usize = 15;
/// `crlEntryExtensions` with a `reasonCode` that is not critical, up to the code.
const REASON: [u8; 13] = [
    0x30, 0x0c, 0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01,
];

#[inline]
pub(super) fn read_entry<'a>(
    list: &mut Reader<'a>,
    is_v2: bool,
) -> Result<CrlEntry<'a>, DecodeError> {
    let offset = list.offset();
    let mut fields = list.sequence()?;
    let serial = fields.integer(MAX_SERIAL_OCTETS).map_err(serial_error)?;
    let mut entry = CrlEntry {
        serial: Serial::from_content(serial.content).map_err(|rule| serial.error(rule))?,
        revoked_at: read_time(&mut fields)?,
        reason: None,
        invalid_since: None,
        certificate_issuer: None,
        unknown_critical: None,
        offset,
    };
    if let Some(extensions) = fields.optional(tag::SEQUENCE)? {
        if !is_v2 {
            return Err(extensions.error(Rule::ExtensionsInV1));
        }
        read_extensions(&mut entry, &extensions)?;
    }
    fields.finish()?;
    Ok(entry)
}

fn read_extensions<'a>(entry: &mut CrlEntry<'a>, extensions: &Tlv<'a>) -> Result<(), DecodeError> {
    let mut list = extensions.reader();
    while !list.is_empty() {
        let start = list.offset();
        let extension = read_extension(&mut list)?;
        let mut value = extension.value.reader();
        let repeated = match extension.oid {
            known if known == oid::REASON_CODE => {
                entry.reason.replace(read_reason(&mut value)?).is_some()
            }
            known if known == oid::INVALIDITY_DATE => entry
                .invalid_since
                .replace(read_time(&mut value)?)
                .is_some(),
            known if known == oid::CERTIFICATE_ISSUER => entry
                .certificate_issuer
                .replace(value.read(tag::SEQUENCE)?.raw)
                .is_some(),
            other => {
                value = Reader::new(&[]);
                if extension.is_critical
                    && other != oid::HOLD_INSTRUCTION_CODE
                    && entry.unknown_critical.is_none()
                {
                    entry.unknown_critical = Some(other);
                }
                false
            }
        };
        value.finish()?;
        if repeated {
            return Err(Rule::ExtensionRepeated.at(start));
        }
    }
    Ok(())
}

fn read_reason(value: &mut Reader<'_>) -> Result<RevocationReason, DecodeError> {
    let code = value.read(tag::ENUMERATED)?;
    match code.content {
        &[number] => RevocationReason::from_code(number),
        _ => None,
    }
    .ok_or(code.error(Rule::ReasonUnknown))
}
