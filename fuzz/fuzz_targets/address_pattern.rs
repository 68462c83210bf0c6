//! Fuzz target of [`router_core::fuzz::fuzz_address_pattern`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| router_core::fuzz::fuzz_address_pattern(data));
