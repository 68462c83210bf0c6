//! Fuzz target of [`tls::fuzz::fuzz_tls`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tls::fuzz::fuzz_tls(data));
