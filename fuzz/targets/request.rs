//! OCSP requests, as any client may send them.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| wire::request::fuzz::fuzz_request(octets));
