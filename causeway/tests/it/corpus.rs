//! The committed fuzz corpora, replayed: what was once of interest stays harmless.

#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn config_text() {
    replay::corpus("config_text", causeway::fuzz::fuzz_config_text);
}
