#![no_main]
//! See `strongroom_fuzz::encoder`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::ENCODER.run(input));
