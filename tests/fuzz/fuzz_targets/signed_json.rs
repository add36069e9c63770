#![no_main]
//! See `strongroom_fuzz::targets::signed_json`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::SIGNED_JSON.run(input));
