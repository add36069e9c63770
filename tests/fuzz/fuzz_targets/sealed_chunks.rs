#![no_main]
//! See `strongroom_fuzz::sealed`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::SEALED_CHUNKS.run(input));
