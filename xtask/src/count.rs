//! How many tests passed and failed, read from what test runners print.
//!
//! Owns the three summary lines we meet: nextest's, the standard harness's, and our own
//! `N passed, M failed`, with or without `, K skipped`. It never counts single test lines.
//! Decision: summaries are read instead of machine formats, because the same output is what people
//! look at.

use std::ops::AddAssign;

/// A number of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Counts {
    /// The counts of a summary line, or nothing for any other line.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let line = without_colours(line);
        let line = line.trim();
        if let Some((before, after)) = line.split_once("run: ") {
            let is_summary = before.starts_with("Summary") && before.contains(" test");
            return is_summary.then(|| Self::of_parts(after.split(',')));
        }
        if let Some(after) = line.strip_prefix("test result: ") {
            let after = after.split_once(". ").map_or(after, |(_, counts)| counts);
            return Some(Self::of_parts(after.split(';')));
        }
        let (passed, failed) = line.split_once(" passed, ")?;
        let (failed, rest) = failed.split_once(" failed")?;
        if !(rest.is_empty() || rest.starts_with(", ") && rest.ends_with(" skipped")) {
            return None;
        }
        Some(Self {
            passed: passed.parse().ok()?,
            failed: failed.parse().ok()?,
        })
    }

    fn of_parts<'a>(parts: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = Self::default();
        for part in parts {
            let mut words = part.split_whitespace();
            let Some(Ok(number)) = words.next().map(str::parse::<u64>) else {
                continue;
            };
            let what: Vec<_> = words.collect();
            match what.as_slice() {
                ["passed", ..] => counts.passed += number,
                ["failed", ..] | ["timed", "out", ..] | ["exec", "failed", ..] => {
                    counts.failed += number;
                }
                _ => {}
            }
        }
        counts
    }
}

/// A line without terminal colour sequences.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(line: &str) -> Option<(u64, u64)> {
        Counts::of_line(line).map(|counts| (counts.passed, counts.failed))
    }

    #[test]
    fn each_summary_is_understood() {
        let nextest = "     Summary [   1.250s] 12 tests run: 9 passed (1 slow), 1 failed, \
                       1 timed out, 1 exec failed, 3 skipped";
        assert_eq!(counts(nextest), Some((9, 3)));
        assert_eq!(
            counts("Summary [ 0.1s] 1 test run: 1 passed, 0 skipped"),
            Some((1, 0))
        );
        let libtest = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 4 filtered";
        assert_eq!(counts(libtest), Some((3, 2)));
        assert_eq!(counts("41 passed, 1 failed"), Some((41, 1)));
        assert_eq!(counts("41 passed, 1 failed, 7 skipped"), Some((41, 1)));
        assert_eq!(
            counts("\u{1b}[32m7 passed\u{1b}[0m, 0 failed"),
            Some((7, 0))
        );
    }

    #[test]
    fn other_lines_are_not_summaries() {
        for line in [
            "test a ... ok",
            "3 passed, some failed",
            "1 passed, 2 failed early",
            "run: 3 passed",
            "",
            "x passed",
        ] {
            assert_eq!(counts(line), None, "{line}");
        }
    }
}
