//! Other authorities' CRLs, DER and PEM.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    wire::crl::fuzz::fuzz_crl(octets);
    wire::crl::fuzz::fuzz_pem(octets);
});
