//! Fuzz target of [`amqp_codec::fuzz::fuzz_value`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_codec::fuzz::fuzz_value(data));
