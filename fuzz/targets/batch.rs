//! The front of a signer's batch.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| wire::batch::fuzz::fuzz_batch(octets));
