#![no_main]
//! See `strongroom_fuzz::weights`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::ONNX.run(input));
