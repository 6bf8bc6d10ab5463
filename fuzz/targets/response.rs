//! OCSP responses.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| wire::response::fuzz::fuzz_response(octets));
