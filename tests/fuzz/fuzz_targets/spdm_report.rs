#![no_main]
//! See `strongroom_fuzz::targets::spdm_report`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::SPDM_REPORT.run(input));
