#![no_main]
//! See `strongroom_fuzz::targets::snp_report`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::SNP_REPORT.run(input));
