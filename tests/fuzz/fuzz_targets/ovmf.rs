#![no_main]
//! See `strongroom_fuzz::targets::ovmf`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::OVMF.run(input));
