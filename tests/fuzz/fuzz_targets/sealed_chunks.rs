#![no_main]
//! See `strongroom_fuzz::targets::tdx_quote`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::SEALED_CHUNKS.run(input));
