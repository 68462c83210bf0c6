//! A step of a task: what it is called, what it does, how it ended.
//!
//! Owns the running of steps one after the other and the summary at the end. It never stops at a
//! failure: who waits half an hour for an answer wants all of it. Decision: a step that fails
//! without naming a test counts as one failed test, so the last line can be trusted by itself.

use std::path::Path;

use crate::console;
use crate::count::Counts;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// Not done, and why.
    Skipped(String),
    /// What is wrong, in one line.
    Failed(String),
}

/// The end of a step and the tests it ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) counts: Counts,
}

impl Outcome {
    /// Nothing to do here.
    pub(crate) fn skipped(why: &str) -> Self {
        Self {
            verdict: Verdict::Skipped(why.to_owned()),
            counts: Counts::default(),
        }
    }

    /// Failed before any test ran.
    pub(crate) fn failed(why: String) -> Self {
        Self {
            verdict: Verdict::Failed(why),
            counts: Counts::default(),
        }
    }

    /// Passed if `is_ok` and no test failed.
    pub(crate) fn of(is_ok: bool, counts: Counts) -> Self {
        let verdict = match (is_ok, counts.failed) {
            (true, 0) => Verdict::Passed,
            (_, 0) => Verdict::Failed("see above".to_owned()),
            (_, failed) => Verdict::Failed(format!("{failed} failed")),
        };
        Self { verdict, counts }
    }

    /// Both ends as one: the worse verdict, the sum of the counts.
    pub(crate) fn and(self, other: Self) -> Self {
        let mut counts = self.counts;
        counts += other.counts;
        let verdict = match (self.verdict, other.verdict) {
            (Verdict::Failed(one), Verdict::Failed(two)) if one != two => {
                Verdict::Failed(format!("{one}; {two}"))
            }
            (failed @ Verdict::Failed(_), _) | (_, failed @ Verdict::Failed(_)) => failed,
            (skipped @ Verdict::Skipped(_), Verdict::Skipped(_)) => skipped,
            _ => Verdict::Passed,
        };
        Self { verdict, counts }
    }
}

/// What a step does with the workspace's folder.
type Work = Box<dyn Fn(&Path) -> Outcome>;

/// One step.
pub(crate) struct Step {
    name: &'static str,
    work: Work,
}

impl Step {
    pub(crate) fn new(name: &'static str, work: impl Fn(&Path) -> Outcome + 'static) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }
}

/// Runs every step, prints the summary, and says whether all is well.
pub(crate) fn run_all(root: &Path, steps: &[Step]) -> bool {
    let mut total = Counts::default();
    let mut rows = Vec::new();
    for step in steps {
        console::line(&format!("\n== {} ==", step.name));
        let (outcome, took) = console::timed(|| (step.work)(root));
        let seconds = took.as_secs_f64();
        total += counted(&outcome);
        let row = row(step.name, &outcome, seconds);
        console::line(&row);
        rows.push(row);
    }
    if rows.len() > 1 {
        console::line("\n== summary ==");
        rows.iter().for_each(|row| console::line(row));
    }
    console::line(&format!(
        "\n{} passed, {} failed",
        total.passed, total.failed
    ));
    total.failed == 0
}

/// The tests of an outcome; a failure without a failed test is one.
fn counted(outcome: &Outcome) -> Counts {
    let mut counts = outcome.counts;
    if matches!(outcome.verdict, Verdict::Failed(_)) {
        counts.failed = counts.failed.max(1);
    }
    counts
}

fn row(name: &str, outcome: &Outcome, seconds: f64) -> String {
    let end = match &outcome.verdict {
        Verdict::Passed if outcome.counts.passed > 0 => format!("ok, {}", outcome.counts.passed),
        Verdict::Passed => "ok".to_owned(),
        Verdict::Skipped(why) => format!("skipped: {why}"),
        Verdict::Failed(why) => format!("FAILED: {why}"),
    };
    format!("{name:<14} {seconds:>7.1} s  {end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: Counts = Counts {
        passed: 3,
        failed: 0,
    };

    #[test]
    fn a_failing_step_does_not_keep_the_next_from_running() {
        let marker = std::rc::Rc::new(std::cell::Cell::new(0));
        let seen = std::rc::Rc::clone(&marker);
        let steps = [
            Step::new("first", |_| Outcome::failed("no".to_owned())),
            Step::new("second", move |_| {
                seen.set(seen.get() + 1);
                Outcome::of(true, THREE)
            }),
        ];
        assert!(!run_all(Path::new("."), &steps));
        assert_eq!(marker.get(), 1);
        assert!(run_all(Path::new("."), &steps[1..]));
    }

    #[test]
    fn a_failure_without_a_test_counts_as_one() {
        assert_eq!(counted(&Outcome::failed("no".to_owned())).failed, 1);
        let two = Counts {
            passed: 1,
            failed: 2,
        };
        assert_eq!(counted(&Outcome::of(false, two)), two);
        assert_eq!(counted(&Outcome::skipped("none")), Counts::default());
    }

    #[test]
    fn the_worse_end_wins_and_counts_add_up() {
        let passed = || Outcome::of(true, THREE);
        let joined = passed().and(Outcome::skipped("x"));
        assert_eq!(joined, passed());
        let joined = passed().and(Outcome::failed("a".to_owned())).and(passed());
        assert_eq!(joined.verdict, Verdict::Failed("a".to_owned()));
        assert_eq!(joined.counts.passed, 6);
    }
}
