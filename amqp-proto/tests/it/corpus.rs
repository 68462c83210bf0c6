//! The committed fuzz corpora, replayed: what was once of interest stays harmless.

#[path = "../../../fuzz/replay.rs"]
mod replay;

use amqp_proto::fuzz;

#[test]
fn connection_bytes() {
    replay::corpus("connection_bytes", fuzz::fuzz_connection_bytes);
}

#[test]
fn connection_ops() {
    replay::corpus("connection_ops", fuzz::fuzz_connection_ops);
}
