#![no_main]
//! See `strongroom_fuzz::targets::hcl_report`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::HCL_REPORT.run(input));
