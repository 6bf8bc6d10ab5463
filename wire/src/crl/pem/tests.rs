//! PEM armour: one malformation each.

use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::crl::fuzz::fuzz_pem;

#[test]
fn pem_is_read_and_broken_pem_is_not() {
    let der = pem_or_der(
        b"text\n-----BEGIN X509 CRL-----\r\nMAMC\r\nAQU=\r\n-----END X509 CRL-----\r\n",
        PemLabel::Crl,
    );
    assert_eq!(der.unwrap(), &[0x30, 3, 2, 1, 5][..]);
    for (octets, label) in [
        (&b""[..], PemLabel::Crl),
        (b"-----BEGIN X509 CRL-----\nMAMCAQU=\n", PemLabel::Crl),
        (
            b"-----BEGIN X509 CRL-----\nMAMCAQU\n-----END X509 CRL-----\n",
            PemLabel::Crl,
        ),
        (
            b"-----BEGIN X509 CRL-----\nMAMCAQU=A\n-----END X509 CRL-----\n",
            PemLabel::Crl,
        ),
        (
            b"-----BEGIN X509 CRL-----\nMAMC*QU=\n-----END X509 CRL-----\n",
            PemLabel::Crl,
        ),
        (
            b"-----BEGIN X509 CRL-----\nMAMC====\n-----END X509 CRL-----\n",
            PemLabel::Crl,
        ),
        (
            b"-----BEGIN X509 CRL-----\nMAMC\n-----END CERTIFICATE-----\n",
            PemLabel::Crl,
        ),
        (
            b"-----BEGIN X509 CRL-----\nMAMC\n-----BEGIN X509 CRL-----\n",
            PemLabel::Crl,
        ),
        (
            b"-----BEGIN X509 CRL-----\nMAMCAQU=\n-----END X509 CRL-----\n",
            PemLabel::Certificate,
        ),
    ] {
        assert_eq!(pem_or_der(octets, label), Err(Rule::PemForm), "{octets:?}");
    }
    let der = [0x30, 0];
    assert_eq!(pem_or_der(&der, PemLabel::Crl).unwrap(), &der[..]);
}

proptest! {
    #[test]
    fn any_octets_are_pem_or_an_error(octets in prop_oneof![
        any::<Vec<u8>>(),
        "-----BEGIN X509 CRL-----\n[A-Za-z0-9+/=\n]{0,80}\n-----END X509 CRL-----".prop_map(String::into_bytes),
    ]) {
        fuzz_pem(&octets);
    }
}
