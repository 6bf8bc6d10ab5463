//! CSV: a header that names columns, in any order, and a row a certificate.
//!
//! | column | is |
//! |---|---|
//! | `serial` | hexadecimal, with or without `0x` or colons |
//! | `serial_decimal` | the same in decimal; one of both must be there |
//! | `status` | `good`, `revoked` or `expired`; also `valid`, `V`, `R`, `E` |
//! | `revoked_at` | RFC 3339 in UTC (`2026-01-02T03:04:05Z`), or YYYYMMDDHHMMSSZ, or `@` and Unix seconds; of revoked ones only |
//! | `reason` | RFC 5280's name or number; of revoked ones only, may be empty |
//! | `not_after` | a time in the same forms; may be empty or absent |
//! | `subject`, `note` | for people; not read |

use super::{Listing, ListingFault, hexadecimal, reason};
use crate::der::tag;
use crate::serial::{MAX_SERIAL_OCTETS, Serial};
use crate::status::{CertStatus, RevocationReason};
use crate::time::{LATEST, UnixSeconds, parse_time};

/// Which column stands where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    serial: Option<usize>,
    serial_decimal: Option<usize>,
    status: Option<usize>,
    revoked_at: Option<usize>,
    reason: Option<usize>,
    not_after: Option<usize>,
}

impl Columns {
    /// From the header. A name that is not known is refused: it may be a misspelt one that matters.
    pub fn of<'a>(header: impl Iterator<Item = &'a str>) -> Result<Self, ListingFault> {
        let mut columns = Self::default();
        for (place, name) in header.enumerate() {
            // What spreadsheets put before the first name.
            let name = name.trim_start_matches('\u{feff}').trim();
            let column = match name {
                "serial" => &mut columns.serial,
                "serial_decimal" => &mut columns.serial_decimal,
                "status" => &mut columns.status,
                "revoked_at" => &mut columns.revoked_at,
                "reason" => &mut columns.reason,
                "not_after" => &mut columns.not_after,
                "subject" | "note" => continue,
                _ => {
                    return Err(ListingFault::new(
                        "header",
                        name,
                        "columns are serial or serial_decimal, status, revoked_at, reason, not_after, subject, note",
                    ));
                }
            };
            if column.replace(place).is_some() {
                return Err(ListingFault::new("header", name, "a column stands twice"));
            }
        }
        let missing = |name| Err(ListingFault::new("header", name, "this column is missing"));
        match (columns.serial, columns.serial_decimal, columns.status) {
            (None, None, _) => missing("serial"),
            (Some(_), Some(_), _) => Err(ListingFault::new(
                "header",
                "serial_decimal",
                "serial and serial_decimal may not stand side by side",
            )),
            (_, _, None) => missing("status"),
            _ => Ok(columns),
        }
    }

    /// Whether serials are written in hexadecimal, where digits alone could be meant as decimal.
    pub fn is_hexadecimal(&self) -> bool {
        self.serial.is_some()
    }

    /// The text of a row's serial, for people.
    pub fn serial_text<'a>(&self, field: impl Fn(usize) -> Option<&'a str>) -> &'a str {
        let place = self.serial.or(self.serial_decimal);
        place.and_then(field).unwrap_or_default()
    }

    /// Reads a row, whose fields `field` gives by place.
    pub fn read<'a>(
        &self,
        field: impl Fn(usize) -> Option<&'a str>,
    ) -> Result<Listing, ListingFault> {
        let text = |place: Option<usize>| place.and_then(&field).unwrap_or_default().trim();
        let serial = match self.serial {
            Some(_) => hexadecimal("serial", text(self.serial))?,
            None => decimal(text(self.serial_decimal))?,
        };
        let (revoked_at, reason) = (text(self.revoked_at), text(self.reason));
        let said = text(self.status);
        let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(said));
        let status = if is(&["revoked", "R"]) {
            revoked(revoked_at, reason)?
        } else if is(&["good", "valid", "V", "expired", "E"]) {
            for (column, text) in [("revoked_at", revoked_at), ("reason", reason)] {
                if !text.is_empty() {
                    let rule = "a certificate that is good or expired was not revoked";
                    return Err(ListingFault::new(column, text, rule));
                }
            }
            CertStatus::Good
        } else {
            let rule = "a status is good, revoked or expired";
            return Err(ListingFault::new("status", said, rule));
        };
        let not_after = match text(self.not_after) {
            "" => None,
            text => Some(time("not_after", text)?),
        };
        Ok(Listing {
            serial,
            status,
            is_marked_expired: is(&["expired", "E"]),
            not_after,
        })
    }
}

fn revoked(at: &str, why: &str) -> Result<CertStatus, ListingFault> {
    let at = time("revoked_at", at)?;
    let reason = match why {
        "" => None,
        name => Some(reason(name).ok_or(ListingFault::new(
            "reason",
            name,
            "the reason is none of RFC 5280's, by name or number",
        ))?),
    };
    if reason == Some(RevocationReason::RemoveFromCrl) {
        return Err(ListingFault::new(
            "reason",
            why,
            "removeFromCRL stands in delta lists, of what is no longer revoked",
        ));
    }
    Ok(CertStatus::Revoked { at, reason })
}

/// A serial in decimal: digit by digit into big-endian octets.
fn decimal(text: &str) -> Result<Serial, ListingFault> {
    let fault = |rule| ListingFault::new("serial_decimal", text, rule);
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(fault("a serial here is written in decimal digits"));
    }
    let mut octets = [0_u8; MAX_SERIAL_OCTETS];
    for digit in text.bytes() {
        let mut carry = u16::from(digit - b'0');
        for octet in octets.iter_mut().rev() {
            let value = u16::from(*octet) * 10 + carry;
            let [high, low] = value.to_be_bytes();
            *octet = low;
            carry = u16::from(high);
        }
        if carry != 0 {
            return Err(fault("a serial has at most 32 octets"));
        }
    }
    Serial::from_unsigned(&octets).map_err(|_| fault("a serial has at most 32 octets"))
}

/// RFC 3339 in UTC without a fraction, the content of an ASN.1 time, or `@` and Unix seconds.
fn time(column: &'static str, text: &str) -> Result<UnixSeconds, ListingFault> {
    let fault = |rule| ListingFault::new(column, text, rule);
    if let Some(seconds) = text.strip_prefix('@') {
        let seconds: UnixSeconds = seconds.parse().map_err(|_| fault(TIME_FORMS))?;
        // What lies beyond is no time, and adding to it would not end well.
        return Some(seconds)
            .filter(|seconds| *seconds <= LATEST)
            .ok_or_else(|| fault(crate::Rule::TimeTooLate.sentence()));
    }
    let octets = text.as_bytes();
    let parsed = match octets {
        &[
            y0,
            y1,
            y2,
            y3,
            b'-',
            m0,
            m1,
            b'-',
            d0,
            d1,
            b'T' | b't' | b' ',
            h0,
            h1,
            b':',
            n0,
            n1,
            b':',
            s0,
            s1,
            b'Z' | b'z',
        ] => parse_time(
            tag::GENERALIZED_TIME,
            &[y0, y1, y2, y3, m0, m1, d0, d1, h0, h1, n0, n1, s0, s1, b'Z'],
        ),
        _ if octets.len() == 13 => parse_time(tag::UTC_TIME, octets),
        _ if octets.len() == 15 => parse_time(tag::GENERALIZED_TIME, octets),
        _ => return Err(fault(TIME_FORMS)),
    };
    parsed.map_err(|rule| match rule {
        crate::Rule::TimeForm => fault(TIME_FORMS),
        other => fault(other.sentence()),
    })
}

const TIME_FORMS: &str =
    "a time is written 2026-01-02T03:04:05Z, 20260102030405Z or @ and Unix seconds";
