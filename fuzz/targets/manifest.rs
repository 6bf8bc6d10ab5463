//! Manifests, by a stranger and by a publisher gone mad.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| hufu_loader::manifest::fuzz::fuzz_manifest(octets));
