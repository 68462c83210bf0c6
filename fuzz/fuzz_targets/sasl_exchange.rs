//! Fuzz target of [`sasl::fuzz::fuzz_sasl_exchange`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sasl::fuzz::fuzz_sasl_exchange(data));
