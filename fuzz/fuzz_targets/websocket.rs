//! Fuzz target of [`web::fuzz::fuzz_websocket`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| web::fuzz::fuzz_websocket(data));
