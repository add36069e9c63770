#![no_main]
//! See `strongroom_fuzz::targets::policy`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::POLICY.run(input));
