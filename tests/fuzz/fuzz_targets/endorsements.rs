#![no_main]
//! See `strongroom_fuzz::targets::endorsements`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::ENDORSEMENTS.run(input));
