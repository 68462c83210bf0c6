//! Owns the bodies of the fuzz targets; the same functions run in tests over random input.
//! It never fails on bad input, only when the engine breaks a promise. Decision: bytes are checked
//! against themselves cut in other places, operations against a ledger kept by both peers.

mod bytes;
mod operations;
mod peer;

pub use bytes::fuzz_connection_bytes;
pub use operations::fuzz_connection_ops;
