//! Packs, opened, asked and verified. Each goes through a file, as a map needs one: `TMPDIR=/dev/shm` is fastest.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    let scratch = std::env::temp_dir().join(format!("hufu-fuzz-pack-{}", std::process::id()));
    hufu_loader::pack::fuzz::fuzz_pack(octets, &scratch);
    // The next one would write over it; the last one leaves nothing behind.
    let _ = std::fs::remove_file(scratch);
});
