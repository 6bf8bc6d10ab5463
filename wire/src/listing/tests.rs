//! A line that is not exactly of its form is refused by column; what OpenSSL writes is taken.

use std::string::String;
use std::vec::Vec;

use super::*;

fn index(line: &str) -> Result<Listing, String> {
    read_index_line(line)
        .map(|listing| listing.expect("no comment"))
        .map_err(|fault| std::format!("{fault}"))
}

fn revoked(at: u64, reason: Option<RevocationReason>) -> CertStatus {
    CertStatus::Revoked { at, reason }
}

/// 2026-01-02T03:04:05Z.
const AT: u64 = 1_767_323_045;

#[test]
fn a_line_of_openssl_is_refused_or_read_otherwise() {
    use RevocationReason::{CaCompromise, CertificateHold, KeyCompromise, Superseded};
    let valid = index("V\t271231235959Z\t\t1000\tunknown\t/CN=a\tb").unwrap();
    assert_eq!(valid.status, CertStatus::Good);
    assert_eq!(std::format!("{}", valid.serial), "1000");
    assert_eq!(valid.not_after, Some(1_830_297_599));
    assert!(!valid.is_marked_expired);
    let expired = index("E\t19991231235959Z\t\t0F\tunknown\t/CN=old\r").unwrap();
    assert_eq!(
        (expired.status, expired.is_marked_expired),
        (CertStatus::Good, true)
    );
    for (revocation, reason) in [
        ("260102030405Z", None),
        ("20260102030405Z", None),
        ("260102030405Z,superseded", Some(Superseded)),
        ("260102030405Z,CACompromise", Some(CaCompromise)),
        ("260102030405Z,keycompromise", Some(KeyCompromise)),
        ("260102030405Z,certificateHold", Some(CertificateHold)),
        (
            "260102030405Z,holdInstruction,holdInstructionReject",
            Some(CertificateHold),
        ),
        (
            "260102030405Z,holdInstruction,1.2.840.10040.2.3",
            Some(CertificateHold),
        ),
        ("260102030405Z,keyTime,20251231000000Z", Some(KeyCompromise)),
        (
            "260102030405Z,CAkeyTime,20251231000000Z",
            Some(CaCompromise),
        ),
    ] {
        let line = std::format!("R\t271231235959Z\t{revocation}\t0A1b\tunknown\t/CN=a");
        assert_eq!(
            index(&line).unwrap().status,
            revoked(AT, reason),
            "{revocation}"
        );
    }
    assert_eq!(read_index_line("# a comment"), Ok(None));
}

#[test]
fn a_line_that_is_not_openssls_is_taken() {
    for (line, told) in [
        ("", "expiry “”: a line has six fields"),
        ("V", "expiry “”: a line has six fields"),
        ("V\t271231235959Z\t\t1000\tunknown", "subject"),
        (
            "X\t271231235959Z\t\t1000\tunknown\t/CN=a",
            "status “X”: a status is V",
        ),
        ("v\t271231235959Z\t\t1000\tunknown\t/CN=a", "status “v”"),
        (
            "V\t271331235959Z\t\t1000\tunknown\t/CN=a",
            "expiry “271331235959Z”: a field of the time",
        ),
        (
            "V\t2712312359Z\t\t1000\tunknown\t/CN=a",
            "expiry “2712312359Z”: a time must be",
        ),
        ("V\t\t\t1000\tunknown\t/CN=a", "expiry “”"),
        (
            "V\t271231235959Z\t260102030405Z\t1000\tunknown\t/CN=a",
            "revocation “260102030405Z”: a certificate that is valid",
        ),
        (
            "R\t271231235959Z\t\t1000\tunknown\t/CN=a",
            "revocation “”: a time must be",
        ),
        (
            "R\t271231235959Z\t260102030405Z,\t1000\tunknown\t/CN=a",
            "the reason is none",
        ),
        (
            "R\t271231235959Z\t260102030405Z,1\t1000\tunknown\t/CN=a",
            "the reason is none",
        ),
        (
            "R\t271231235959Z\t260102030405Z,tired\t1000\tunknown\t/CN=a",
            "the reason is none",
        ),
        (
            "R\t271231235959Z\t260102030405Z,superseded,more\t1000\tunknown\t/CN=a",
            "only holdInstruction",
        ),
        (
            "R\t271231235959Z\t260102030405Z,keyTime,soon\t1000\tunknown\t/CN=a",
            "behind keyTime",
        ),
        (
            "R\t271231235959Z\t260102030405Z,keyTime\t1000\tunknown\t/CN=a",
            "the reason is none",
        ),
        (
            "R\t271231235959Z\t260102030405Z,holdInstruction,call\t1000\tunknown\t/CN=a",
            "a hold instruction is",
        ),
        (
            "R\t271231235959Z\t260102030405Z,removeFromCRL\t1000\tunknown\t/CN=a",
            "removeFromCRL stands",
        ),
        (
            "V\t271231235959Z\t\t\tunknown\t/CN=a",
            "serial “”: a serial is missing",
        ),
        (
            "V\t271231235959Z\t\t10G0\tunknown\t/CN=a",
            "serial “10G0”: a serial is written in hexadecimal",
        ),
        ("V\t271231235959Z\t\t-10\tunknown\t/CN=a", "serial “-10”"),
    ] {
        let fault = index(line).unwrap_err();
        assert!(fault.contains(told), "{line}: {fault}");
    }
    let long = std::format!("V\t271231235959Z\t\t{}\tunknown\t/CN=a", "7".repeat(65));
    assert!(index(&long).unwrap_err().contains("at most 32 octets"));
}

fn row(header: &str, row: &str) -> Result<Listing, String> {
    let told = |fault: ListingFault| std::format!("{fault}");
    let columns = Columns::of(header.split(',')).map_err(told)?;
    let fields: Vec<&str> = row.split(',').collect();
    columns
        .read(|place| fields.get(place).copied())
        .map_err(told)
}

#[test]
fn a_row_is_read_otherwise_than_its_header_says() {
    use RevocationReason::{KeyCompromise, PrivilegeWithdrawn};
    let header = "\u{feff}subject,serial,status,revoked_at,reason,not_after";
    let good = row(header, "CN=a,0x0A:1B,good,,,2027-12-31T23:59:59Z").unwrap();
    assert_eq!(
        (good.status, good.not_after),
        (CertStatus::Good, Some(1_830_297_599))
    );
    assert_eq!(std::format!("{}", good.serial), "0a1b");
    for (fields, reason) in [
        ("2026-01-02T03:04:05Z,keyCompromise", Some(KeyCompromise)),
        ("2026-01-02 03:04:05Z,1", Some(KeyCompromise)),
        (
            "20260102030405Z,privilegewithdrawn",
            Some(PrivilegeWithdrawn),
        ),
        ("@1767323045,", None),
    ] {
        let line = std::format!("CN=a,ff,Revoked,{fields},");
        assert_eq!(
            row(header, &line).unwrap().status,
            revoked(AT, reason),
            "{line}"
        );
    }
    assert!(row(header, "CN=a,ff,expired,,,").unwrap().is_marked_expired);
    // The same digits are two numbers.
    let (ten, sixteen) = (
        row("serial_decimal,status", "10,good"),
        row("serial,status", "10,good"),
    );
    assert_eq!(std::format!("{}", ten.unwrap().serial), "0a");
    assert_eq!(std::format!("{}", sixteen.unwrap().serial), "10");
    let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let most = row("serial_decimal,status", &std::format!("{most},good"));
    assert!(most.unwrap_err().contains("at most 32 octets"));
}

#[test]
fn a_row_that_says_two_things_is_taken() {
    let header = "serial,status,revoked_at,reason,not_after";
    for (line, told) in [
        (",good,,,", "serial “”: a serial is missing"),
        ("12,bad,,,", "status “bad”: a status is good"),
        ("12,,,,", "status “”"),
        (
            "12,good,2026-01-02T03:04:05Z,,",
            "revoked_at “2026-01-02T03:04:05Z”: a certificate that is good",
        ),
        (
            "12,good,,superseded,",
            "reason “superseded”: a certificate that is good",
        ),
        ("12,revoked,,,", "revoked_at “”: a time is written"),
        (
            "12,revoked,2026-01-02T03:04:05+08:00,,",
            "a time is written",
        ),
        ("12,revoked,2026-02-30T03:04:05Z,,", "a field of the time"),
        ("12,revoked,@-5,,", "a time is written"),
        ("12,revoked,@253402300800,,", "the time does not fit"),
        ("12,good,,,@18446744073709551615", "the time does not fit"),
        (
            "12,revoked,@1767323045,7,",
            "reason “7”: the reason is none",
        ),
        ("12,revoked,@1767323045,8,", "removeFromCRL stands"),
        ("12,good,,,soon", "not_after “soon”"),
        ("1 2,good,,,", "serial “1 2”"),
    ] {
        let fault = row(header, line).unwrap_err();
        assert!(fault.contains(told), "{line}: {fault}");
    }
    for (header, told) in [
        ("status", "header “serial”: this column is missing"),
        ("serial", "header “status”: this column is missing"),
        ("serial,status,status", "a column stands twice"),
        ("serial,serial_decimal,status", "side by side"),
        (
            "serial,status,revoked_on",
            "header “revoked_on”: columns are",
        ),
        ("", "header “”"),
    ] {
        let fault = row(header, "12,good").unwrap_err();
        assert!(fault.contains(told), "{header}: {fault}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_a_listing_or_a_fault(text in "[VRE#\t,0-9A-Zserialtu_\n\r\u{feff}]{0,200}") {
        fuzz_listing(&text);
        fuzz_listing(&std::format!("serial,status\n{text}"));
    }
}

#[test]
fn the_corpus_panics_nowhere() {
    crate::corpus::replay("listing", fuzz_octets);
}
