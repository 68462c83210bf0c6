//! Fuzz target of [`management::fuzz::fuzz_management_request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| management::fuzz::fuzz_management_request(data));
