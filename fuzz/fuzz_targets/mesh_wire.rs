//! Fuzz target of [`router_core::fuzz::fuzz_mesh_wire`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| router_core::fuzz::fuzz_mesh_wire(data));
