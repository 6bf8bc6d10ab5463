//! The example that RFC 9919 itself prints: its request and the signed part of its answer, from the values named there.

use wire::cert_id::{CertIdForm, CertIdHash, Parameters, cert_id_prefix};
use wire::request::{OcspRequest, build_request};
use wire::response::{TbsParts, write_tbs};
use wire::status::CertStatus;
use wire::time::UnixSeconds;

/// Octets of hexadecimal digits; what is no digit only makes them readable.
fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| u8::try_from(digit).unwrap())
        .collect();
    digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
}

fn prefix() -> Vec<u8> {
    let form = CertIdForm::new(CertIdHash::Sha256, Parameters::Null);
    cert_id_prefix(form, &octets(ISSUER_NAME_HASH), &octets(ISSUER_KEY_HASH)).unwrap()
}

// RFC 9919 §3.1.1: a conforming client asks about one certificate, by SHA-256; the request of appendix B.4 is read and made.
#[test]
fn request_of_the_standard_is_not_understood() {
    let printed = octets(
        &[
            REQUEST_HEAD,
            CERT_ID_HEAD,
            ISSUER_NAME_HASH,
            "0420",
            ISSUER_KEY_HASH,
            SERIAL,
        ]
        .concat(),
    );
    assert_eq!(printed.len(), 99);
    let read = OcspRequest::parse(&printed).unwrap();
    assert_eq!((read.count, read.nonce), (1, None));
    assert_eq!(read.first.prefix, prefix());
    assert_eq!(read.first.serial, SERIAL_CONTENT);
    assert_eq!(build_request(&prefix(), &SERIAL_CONTENT, None), printed);
}

// RFC 9919 §3.2.1: one SingleResponse and no responseExtensions; §3.2.2: byKey; as the answer of appendix B.5 has them.
#[test]
fn signed_part_of_the_standards_answer_is_written_otherwise() {
    let key_hash = octets(RESPONDER_KEY_HASH);
    let parts = TbsParts {
        key_hash: key_hash.as_slice().try_into().unwrap(),
        produced_at: PRODUCED_AT,
        cert_id_prefix: &prefix(),
        serial_content: &SERIAL_CONTENT,
        status: CertStatus::Good,
        this_update: PRODUCED_AT + DAY,
        next_update: PRODUCED_AT + 8 * DAY,
    };
    let mut written = Vec::new();
    assert_eq!(write_tbs(&parts, &mut written), Ok(179));
    let single = [
        CERT_ID_HEAD,
        ISSUER_NAME_HASH,
        "0420",
        ISSUER_KEY_HASH,
        SERIAL,
        "8000",
    ]
    .concat();
    let printed = octets(&[TBS_HEAD, RESPONDER_KEY_HASH, "180f"].concat());
    let printed = [
        &printed[..],
        b"20240402123747Z",
        &octets("308184 308181"),
        &octets(&single),
    ]
    .concat();
    let printed = [
        &printed[..],
        &octets("180f"),
        b"20240403123747Z",
        &octets("a011 180f"),
        b"20240410123747Z",
    ]
    .concat();
    assert_eq!(written, printed);
}

/// Up to the `CertID`.
const REQUEST_HEAD: &str = "3061 305f 305d 305b";
/// `CertID` with SHA-256 and NULL, up to the first hash.
const CERT_ID_HEAD: &str = "3059 300d 0609608648016503040201 0500 0420";
const ISSUER_NAME_HASH: &str = "3a994677568073a707bfde50186345e4cd6134db085ebaa1d10425f03b6f08ea";
const ISSUER_KEY_HASH: &str = "474a6ca301f23dc9f7f7078704e1c7f5fc96e71675f6ed882e7ab65c3f584543";
const SERIAL: &str = "0204 01aaf00d";
/// 27,979,789
const SERIAL_CONTENT: [u8; 4] = [0x01, 0xaa, 0xf0, 0x0d];
/// `ResponseData` up to the key's hash.
const TBS_HEAD: &str = "3081b0 a216 0414";
const RESPONDER_KEY_HASH: &str = "0ae3a0fe9dd4257698b5eb72ebca0ce7bf3df5f1";
/// 2024-04-02 12:37:47
const PRODUCED_AT: UnixSeconds = 1_712_061_467;
const DAY: UnixSeconds = 86_400;
