#![no_main]
//! See `strongroom_fuzz::targets::artefacts`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::ARTEFACTS.run(input));
