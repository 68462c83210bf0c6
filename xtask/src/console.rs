//! What the tasks print.
//!
//! Owns standard output and the clock that measures steps. It never decides what to print.
//! Decision: the two things that other crates must not touch are touched here, in one place.

use std::time::Duration;

/// Prints one line.
#[expect(clippy::print_stdout, reason = "a task's output is what it is run for")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// Runs `work` and says how long it took.
#[expect(
    clippy::disallowed_methods,
    reason = "durations of build steps are told to people"
)]
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let result = work();
    (result, start.elapsed())
}
