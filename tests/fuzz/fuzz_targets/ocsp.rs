#![no_main]
//! See `strongroom_fuzz::targets::ocsp`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::OCSP.run(input));
