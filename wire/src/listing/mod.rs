//! Lists of certificates that bear no signature: OpenSSL's `index.txt`, and CSV as other systems export it.
//!
//! One line or row at a time, out of text that somebody else reads. What a list says is believed for the operator's word
//! alone, so nothing is guessed: what is not exactly of the form is refused, with the column, its text and the rule.

mod columns;
mod index;
#[cfg(test)]
mod tests;

use alloc::string::String;
use core::fmt;

use crate::serial::Serial;
use crate::status::{CertStatus, RevocationReason};
#[cfg(any(test, feature = "fuzz"))]
use crate::time::LATEST;
use crate::time::UnixSeconds;

pub use columns::Columns;
pub use index::read_index_line;

/// What a list says of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its serial.
    pub serial: Serial,
    /// Good or revoked; of an expired certificate the last status, which is good.
    pub status: CertStatus,
    /// The list says, or its date shows at some moment, that it has expired.
    pub is_marked_expired: bool,
    /// When it expires, if the list says so.
    pub not_after: Option<UnixSeconds>,
}

/// Why a line or row is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListingFault {
    /// The column, by the name people know it under.
    pub column: &'static str,
    /// What stands there, cut to [`SHOWN_CHARACTERS`].
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl ListingFault {
    pub(crate) fn new(column: &'static str, text: &str, rule: &'static str) -> Self {
        Self {
            column,
            text: text.chars().take(SHOWN_CHARACTERS).collect(),
            rule,
        }
    }
}

impl fmt::Display for ListingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} “{}”: {}", self.column, self.text, self.rule)
    }
}

impl core::error::Error for ListingFault {}

/// A serial in hexadecimal, as OpenSSL writes it.
fn hexadecimal(column: &'static str, text: &str) -> Result<Serial, ListingFault> {
    let fault = |rule| ListingFault::new(column, text, rule);
    let digits = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .unwrap_or(text);
    if digits.is_empty() {
        return Err(fault("a serial is missing"));
    }
    digits.parse().map_err(|rule| match rule {
        crate::Rule::SerialTooLong => fault("a serial has at most 32 octets"),
        _ => fault("a serial is written in hexadecimal digits"),
    })
}

/// A reason by the name OpenSSL, RFC 5280 or an operator writes, in any case, or by its number.
fn reason(text: &str) -> Option<RevocationReason> {
    let named = (0..=10)
        .filter_map(RevocationReason::from_code)
        .find(|reason| reason.name().eq_ignore_ascii_case(text));
    let numbered = || {
        let number = text.parse().ok()?;
        RevocationReason::from_code(number)
    };
    named.or_else(numbered)
}

/// Characters of a faulty text that are told.
pub const SHOWN_CHARACTERS: usize = 60;

/// The fuzz body of octets that somebody calls text: what is none is refused by whoever reads the file.
#[cfg(any(test, feature = "fuzz"))]
pub fn fuzz_octets(octets: &[u8]) {
    if let Ok(text) = core::str::from_utf8(octets) {
        fuzz_listing(text);
    }
}

/// The fuzz body of both readers: no text makes them panic, no fault is told at length, and what is read can be kept.
#[cfg(any(test, feature = "fuzz"))]
fn fuzz_listing(text: &str) {
    let told = |fault: ListingFault| assert!(fault.text.chars().count() <= SHOWN_CHARACTERS);
    let read = |listing: Listing| {
        // Times are added to elsewhere: none may lie where a sum would not fit.
        let times = [listing.not_after, revoked_at(listing.status)];
        assert!(times.into_iter().flatten().all(|time| time <= LATEST));
    };
    for line in text.lines() {
        match read_index_line(line) {
            Ok(listing) => listing.into_iter().for_each(read),
            Err(fault) => told(fault),
        }
    }
    let mut rows = text.lines().map(|line| line.split(','));
    let Some(header) = rows.next() else { return };
    match Columns::of(header) {
        Ok(columns) => {
            for row in rows {
                let fields: alloc::vec::Vec<&str> = row.collect();
                match columns.read(|column| fields.get(column).copied()) {
                    Ok(listing) => read(listing),
                    Err(fault) => told(fault),
                }
            }
        }
        Err(fault) => told(fault),
    }
}

#[cfg(any(test, feature = "fuzz"))]
fn revoked_at(status: CertStatus) -> Option<UnixSeconds> {
    match status {
        CertStatus::Revoked { at, .. } => Some(at),
        CertStatus::Good | CertStatus::Absent => None,
    }
}
