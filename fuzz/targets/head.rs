//! HTTP requests as the express lane reads them.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| hufu_responder::fuzz_head(octets));
