//! The committed fuzz corpora, replayed: what was once of interest stays harmless.

#[path = "../../../fuzz/replay.rs"]
mod replay;

use router_core::fuzz;

#[test]
fn address_pattern() {
    replay::corpus("address_pattern", fuzz::fuzz_address_pattern);
}

#[test]
fn mesh_wire() {
    replay::corpus("mesh_wire", fuzz::fuzz_mesh_wire);
}

#[test]
fn shard_bytes() {
    replay::corpus("shard_bytes", fuzz::fuzz_shard_bytes);
}
