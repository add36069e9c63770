#![no_main]
//! See `strongroom_fuzz::provenance`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::MODEL_STATEMENT.run(input));
