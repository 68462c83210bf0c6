//! The committed fuzz corpora, replayed: what was once of interest stays harmless.

#[path = "../../../fuzz/replay.rs"]
mod replay;

use amqp_codec::fuzz;

#[test]
fn frame() {
    replay::corpus("frame", fuzz::fuzz_frame);
}

#[test]
fn performative() {
    replay::corpus("performative", fuzz::fuzz_performative);
}

#[test]
fn message_scan() {
    replay::corpus("message_scan", fuzz::fuzz_message_scan);
}

#[test]
fn value() {
    replay::corpus("value", fuzz::fuzz_value);
}

#[test]
fn sasl() {
    replay::corpus("sasl", fuzz::fuzz_sasl);
}
