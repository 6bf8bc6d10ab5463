//! The entries of a list, one by one.

use super::reader::read_time;
use crate::der::{Reader, Tlv, tag};
use crate::request::{read_extension, serial_error};
use crate::serial::{MAX_SERIAL_OCTETS, Serial};
use crate::status::RevocationReason;
use crate::time::UnixSeconds;
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
