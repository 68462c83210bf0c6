//! Fuzz target of [`router_core::fuzz::fuzz_shard_bytes`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| router_core::fuzz::fuzz_shard_bytes(data));
