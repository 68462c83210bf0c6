//! Fuzz target of [`causeway::fuzz::fuzz_config_text`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| causeway::fuzz::fuzz_config_text(data));
