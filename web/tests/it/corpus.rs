//! The committed fuzz corpora, replayed: what was once of interest stays harmless.

#[path = "../../../fuzz/replay.rs"]
mod replay;

use web::fuzz;

#[test]
fn http_request() {
    replay::corpus("http_request", fuzz::fuzz_http_request);
}

#[test]
fn websocket() {
    replay::corpus("websocket", fuzz::fuzz_websocket);
}
