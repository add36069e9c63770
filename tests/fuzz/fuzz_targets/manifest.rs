#![no_main]
//! See `strongroom_fuzz::targets::manifest`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::MANIFEST.run(input));
