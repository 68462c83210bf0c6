//! The committed fuzz corpus, replayed: what was once of interest stays harmless.

#[path = "../../../fuzz/replay.rs"]
mod replay;

use sasl::fuzz;

#[test]
fn sasl_exchange() {
    replay::corpus("sasl_exchange", fuzz::fuzz_sasl_exchange);
}
