//! OpenSSL's `index.txt`, the database of `openssl ca`: one line a certificate, six fields between tabs.
//!
//! ```text
//! V ⇥ 271231235959Z ⇥                                  ⇥ 1000 ⇥ unknown ⇥ /CN=valid
//! R ⇥ 271231235959Z ⇥ 260102030405Z,keyCompromise       ⇥ 1001 ⇥ unknown ⇥ /CN=revoked
//! R ⇥ 271231235959Z ⇥ 260102030405Z,holdInstruction,OID ⇥ 1002 ⇥ unknown ⇥ /CN=held
//! R ⇥ 271231235959Z ⇥ 260102030405Z,keyTime,TIME        ⇥ 1003 ⇥ unknown ⇥ /CN=compromised since TIME
//! E ⇥ 251231235959Z ⇥                                  ⇥ 0FFF ⇥ unknown ⇥ /CN=expired
//! ```
//!
//! Dates are the content octets of a `UTCTime` or a `GeneralizedTime`. The three forms of a revocation with something more
//! behind the reason are OpenSSL's own: holdInstruction is certificateHold, keyTime keyCompromise and `CAkeyTime`
//! cACompromise; what follows them belongs in entries of a CRL and is read to see that it is sound.

use super::{Listing, ListingFault, hexadecimal, reason};
use crate::der::tag;
use crate::status::{CertStatus, RevocationReason};
use crate::time::{UnixSeconds, parse_time};

/// Reads one line, without its end. `None` for a comment.
pub fn read_index_line(line: &str) -> Result<Option<Listing>, ListingFault> {
    if line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut fields = line.splitn(FIELDS, '\t');
    let mut field = |name| {
        fields.next().ok_or(ListingFault::new(
            name,
            "",
            "a line has six fields between tabs: status, expiry, revocation, serial, file, subject",
        ))
    };
    let status = field("status")?;
    let expiry = field("expiry")?;
    let revocation = field("revocation")?;
    let serial = field("serial")?;
    field("file")?;
    field("subject")?;

    let not_after = time("expiry", expiry)?;
    let is_marked_expired = status == "E";
    let status = match status {
        "R" => revoked(revocation)?,
        "V" | "E" if revocation.is_empty() => CertStatus::Good,
        "V" | "E" => {
            return Err(ListingFault::new(
                "revocation",
                revocation,
                "a certificate that is valid or expired was not revoked",
            ));
        }
        _ => {
            return Err(ListingFault::new(
                "status",
                status,
                "a status is V (valid), R (revoked) or E (expired)",
            ));
        }
    };
    Ok(Some(Listing {
        serial: hexadecimal("serial", serial)?,
        status,
        is_marked_expired,
        not_after: Some(not_after),
    }))
}

/// Date, reason and what OpenSSL puts behind some reasons.
fn revoked(revocation: &str) -> Result<CertStatus, ListingFault> {
    let fault = |rule| ListingFault::new("revocation", revocation, rule);
    let mut parts = revocation.splitn(3, ',');
    let at = time("revocation", parts.next().unwrap_or_default())?;
    let (name, more) = (parts.next(), parts.next());
    let given = match (name, more) {
        (None, _) => None,
        (Some(name), Some(oid)) if name.eq_ignore_ascii_case("holdInstruction") => {
            if !is_hold_instruction(oid) {
                return Err(fault("a hold instruction is a name or a dotted OID"));
            }
            Some(RevocationReason::CertificateHold)
        }
        (Some(name), Some(since)) if name.eq_ignore_ascii_case("keyTime") => {
            compromised_since(since).ok_or(fault(SINCE))?;
            Some(RevocationReason::KeyCompromise)
        }
        (Some(name), Some(since)) if name.eq_ignore_ascii_case("CAkeyTime") => {
            compromised_since(since).ok_or(fault(SINCE))?;
            Some(RevocationReason::CaCompromise)
        }
        (Some(_), Some(_)) => {
            return Err(fault(
                "only holdInstruction, keyTime and CAkeyTime have something behind them",
            ));
        }
        (Some(name), None) => {
            let known =
                reason(name).filter(|_| name.starts_with(|c: char| c.is_ascii_alphabetic()));
            Some(known.ok_or(fault("the reason is none of RFC 5280's, nor OpenSSL's"))?)
        }
    };
    if given == Some(RevocationReason::RemoveFromCrl) {
        return Err(fault(
            "removeFromCRL stands in delta lists, of what is no longer revoked",
        ));
    }
    Ok(CertStatus::Revoked { at, reason: given })
}

/// Names as OpenSSL has them, or digits between dots.
fn is_hold_instruction(text: &str) -> bool {
    let dotted = || {
        text.split('.').count() > 2
            && text
                .split('.')
                .all(|arc| !arc.is_empty() && arc.bytes().all(|digit| digit.is_ascii_digit()))
    };
    text.starts_with("holdInstruction") || dotted()
}

fn compromised_since(text: &str) -> Option<UnixSeconds> {
    parse_time(tag::GENERALIZED_TIME, text.as_bytes()).ok()
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(column: &'static str, text: &str) -> Result<UnixSeconds, ListingFault> {
    let tag = match text.len() {
        13 => tag::UTC_TIME,
        _ => tag::GENERALIZED_TIME,
    };
    parse_time(tag, text.as_bytes())
        .map_err(|rule| ListingFault::new(column, text, rule.sentence()))
}

const FIELDS: usize = 6;
const SINCE: &str = "behind keyTime and CAkeyTime stands a time, YYYYMMDDHHMMSSZ";
