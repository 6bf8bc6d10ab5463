//! Forms of a `CertID` and names of issuers: stored state, so each value is pinned.

use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::*;

#[test]
fn codes_in_batches_and_packs_never_change() {
    let codes: Vec<(u8, &str)> = CertIdForm::ALL
        .iter()
        .map(|form| (form.code(), form.name()))
        .collect();
    assert_eq!(
        codes,
        [
            (1, "sha1"),
            (2, "sha1-no-parameters"),
            (3, "sha256"),
            (4, "sha256-no-parameters"),
            (5, "sm3"),
            (6, "sm3-no-parameters"),
        ]
    );
    for form in CertIdForm::ALL {
        assert_eq!(CertIdForm::from_code(form.code()), Some(form));
    }
    assert_eq!(CertIdForm::from_code(0), None);
    assert_eq!(CertIdForm::from_code(7), None);
}

#[test]
fn null_and_absent_parameters_are_two_prefixes() {
    let sha1 = |parameters| CertIdForm::new(CertIdHash::Sha1, parameters).algorithm_identifier();
    // What OpenSSL sends.
    assert_eq!(
        sha1(Parameters::Null),
        [
            0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00
        ]
    );
    // What Go sends.
    assert_eq!(
        sha1(Parameters::Absent),
        [0x30, 0x07, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a]
    );
}

#[test]
fn prefix_and_serial_make_the_whole() {
    let form = CertIdForm::new(CertIdHash::Sm3, Parameters::Absent);
    let prefix = cert_id_prefix(form, &[1; 32], &[2; 32]).unwrap();
    let mut expected = vec![0x30, 0x57];
    expected.extend([
        0x30, 0x0a, 0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x11,
    ]);
    expected.extend([0x04, 0x20]);
    expected.extend([1; 32]);
    expected.extend([0x04, 0x20]);
    expected.extend([2; 32]);
    expected.extend([0x02, 0x05, 0, 0x99, 1, 2, 3]);
    assert_eq!(cert_id(&prefix, &[0, 0x99, 1, 2, 3]), expected);
}

#[test]
fn form_of_a_prefix_is_another_than_it_was_made_with() {
    for form in CertIdForm::ALL {
        let octets = form.hash.octets();
        let prefix = cert_id_prefix(form, &vec![1; octets], &vec![2; octets]).unwrap();
        assert_eq!(CertIdForm::of_prefix(&prefix), Some(form));
        assert_eq!(CertIdForm::of_prefix(&prefix[..5]), None);
    }
    // SHA-1 with parameters that are neither NULL nor absent.
    let odd = [0x30, 0x0a, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 2, 1, 0];
    assert_eq!(CertIdForm::of_prefix(&odd), None);
    assert_eq!(CertIdForm::of_prefix(&[]), None);
}

#[test]
fn only_32_lower_case_digits_name_an_issuer() {
    let id = IssuerId(core::array::from_fn(|place| {
        u8::try_from(place * 17).unwrap()
    }));
    assert_eq!(id.to_string(), "00112233445566778899aabbccddeeff");
    assert_eq!(IssuerId::from_hex(&id.to_string()), Some(id));
    for text in [
        "",
        "00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeeff0",
        "00112233445566778899AABBCCDDEEFF",
        "+0112233445566778899aabbccddeeff",
        "../../../../../../../../etc/pass",
        "0011223344556677889éaabbccddeeff",
    ] {
        assert_eq!(IssuerId::from_hex(text), None, "{text}");
    }
}

#[test]
fn asked_forms_miss_one_that_is_signed_ahead() {
    let hashed = |hash: AskedHash, octets: &[u8]| {
        let length = match hash {
            AskedHash::Sha1 => 20,
            AskedHash::Sha256 | AskedHash::Sm3 => 32,
            AskedHash::Sha384 => 48,
            AskedHash::Sha512 => 64,
        };
        vec![octets[0]; length]
    };
    let asked = asked_prefixes(&[1], &[2], hashed);
    assert_eq!(asked.len(), 10);
    for form in CertIdForm::ALL {
        let octets = form.hash.octets();
        let ahead = cert_id_prefix(form, &vec![1; octets], &vec![2; octets]).unwrap();
        assert!(asked.contains(&ahead), "{}", form.name());
    }
}
