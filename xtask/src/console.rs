//! What the tasks print.
//!
//! Owns standard output and the clock that measures steps. It never decides what to print.
//! Decision: the two things that other crates must not touch are touched here, in one place. What
//! runs beside something else begins each line with its name, and prints at once: what hangs has
//! shown how far it came.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static NAME: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// Does `work`, whose lines begin with `name` from then on in this thread.
pub(crate) fn named<T>(name: Option<&'static str>, work: impl FnOnce() -> T) -> T {
    let before = NAME.replace(name);
    let result = work();
    NAME.set(before);
    result
}

/// What lines of this thread begin with, for threads that work for it.
pub(crate) fn name() -> Option<&'static str> {
    NAME.get()
}

/// Prints one line.
#[expect(clippy::print_stdout, reason = "a task's output is what it is run for")]
pub(crate) fn line(text: &str) {
    println!("{}", labelled(text));
}

/// A text with the name of whose it is before each of its lines.
fn labelled(text: &str) -> String {
    match name() {
        Some(name) => {
            let lines = text.split('\n').map(|line| format!("{name:<12}| {line}"));
            lines.collect::<Vec<_>>().join("\n")
        }
        None => text.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_the_name_of_whose_they_are() {
        assert_eq!(labelled("a"), "a");
        named(Some("loom"), || {
            assert_eq!(labelled("a\nb"), "loom        | a\nloom        | b");
            named(None, || assert_eq!(labelled("a"), "a"));
            assert_eq!(name(), Some("loom"));
        });
        assert_eq!(name(), None);
    }
}
