//! Lists without a signature: index.txt and CSV.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| wire::listing::fuzz_octets(octets));
