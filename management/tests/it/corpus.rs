//! The committed fuzz corpus, replayed: what was once of interest stays harmless.

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[test]
fn management_request() {
    replay::corpus(
        "management_request",
        management::fuzz::fuzz_management_request,
    );
}
