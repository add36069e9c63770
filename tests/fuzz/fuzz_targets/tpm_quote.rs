#![no_main]
//! See `strongroom_fuzz::targets::tpm_quote`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::TPM_QUOTE.run(input));
