//! A step of a task: what it is called, what it does, how it ended.
//!
//! Owns the running of steps, those of a lane one after the other and lanes beside each other, and
//! the summary at the end. It never stops at a failure: who waits half an hour for an answer wants
//! all of it. Decision: a step that fails without naming a test counts as one failed test, so the
//! last line can be trusted by itself. With several lanes each line of a step begins with its name.

use std::path::Path;

use crate::console;
use crate::count::Counts;
use crate::spread::spread;

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
type Work = Box<dyn Fn(&Path) -> Outcome + Send + Sync>;

/// One step.
pub(crate) struct Step {
    name: &'static str,
    work: Work,
}

impl Step {
    pub(crate) fn new(
        name: &'static str,
        work: impl Fn(&Path) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            work: Box::new(work),
        }
    }
}

/// Runs every step of all lanes, prints the summary, and says whether all is well.
pub(crate) fn run_all(root: &Path, lanes: &[Vec<Step>]) -> bool {
    let beside = lanes.len() > 1;
    let ends: Vec<_> = spread(lanes, |lane| run_lane(root, lane, beside));
    let ends: Vec<_> = ends.into_iter().flatten().collect();
    let mut total = Counts::default();
    ends.iter().for_each(|(_, counts)| total += *counts);
    if ends.len() > 1 {
        console::line("\n== summary ==");
        ends.iter().for_each(|(row, _)| console::line(row));
    }
    console::line(&format!(
        "\n{} passed, {} failed",
        total.passed, total.failed
    ));
    total.failed == 0
}

/// Runs the steps of a lane; the summary's row of each, and its tests.
fn run_lane(root: &Path, steps: &[Step], beside: bool) -> Vec<(String, Counts)> {
    let run = |step: &Step| {
        console::line(&format!("\n== {} ==", step.name));
        let (outcome, took) = console::timed(|| (step.work)(root));
        let row = row(step.name, &outcome, took.as_secs_f64());
        console::line(&row);
        (row, counted(&outcome))
    };
    let name = |step: &Step| beside.then_some(step.name);
    let named = |step| console::named(name(step), || run(step));
    steps.iter().map(named).collect()
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const THREE: Counts = Counts {
        passed: 3,
        failed: 0,
    };

    #[test]
    fn a_failing_step_does_not_keep_the_next_from_running() {
        let ran = Arc::new(AtomicU32::new(0));
        let passes = |ran: &Arc<AtomicU32>| {
            let ran = Arc::clone(ran);
            Step::new("passes", move |_| {
                ran.fetch_add(1, Ordering::Relaxed);
                Outcome::of(true, THREE)
            })
        };
        let fails = || Step::new("fails", |_| Outcome::failed("no".to_owned()));
        let root = Path::new(".");
        assert!(!run_all(root, &[vec![fails(), passes(&ran)]]));
        assert_eq!(ran.load(Ordering::Relaxed), 1);
        assert!(run_all(root, &[vec![passes(&ran)]]));
        assert!(!run_all(
            root,
            &[vec![passes(&ran)], vec![fails(), passes(&ran)]]
        ));
        assert_eq!(ran.load(Ordering::Relaxed), 4);
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
