//! The committed fuzz corpus, replayed: what was once of interest stays harmless.

#[path = "../../../fuzz/replay.rs"]
mod replay;

use tls::fuzz;

#[test]
fn tls() {
    replay::corpus("tls", fuzz::fuzz_tls);
}
