//! Fuzz target of [`amqp_proto::fuzz::fuzz_connection_ops`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp_proto::fuzz::fuzz_connection_ops(data));
