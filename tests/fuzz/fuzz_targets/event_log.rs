#![no_main]
//! See `strongroom_fuzz::targets::event_log`.

libfuzzer_sys::fuzz_target!(|input: &[u8]| strongroom_fuzz::EVENT_LOG.run(input));
