//! The tasks that are little more than a call of another program.
//!
//! Owns their arguments. It never parses output; `process` and `count` do. Decision: one function a
//! task, each usable alone and as a step of CI.

use std::fs;
use std::path::Path;

use crate::console;
use crate::count::Counts;
use crate::process::Program;
use crate::step::Outcome;
use crate::tidy;
use crate::tools;

/// The profile in which everything is built that is judged.
const PROFILE: &str = "checked";

/// Formatting, judged and not changed.
pub(crate) fn format(root: &Path) -> Outcome {
    let workspace = Program::cargo(root, &["fmt", "--all", "--check"]).outcome();
    if !root.join("fuzz/Cargo.toml").exists() {
        return workspace;
    }
    let fuzz = ["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"];
    workspace.and(Program::cargo(root, &fuzz).outcome())
}

/// The compiler's and clippy's lints.
pub(crate) fn lint(root: &Path) -> Outcome {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--profile",
        PROFILE,
        "--",
        "-D",
        "warnings",
    ];
    Program::cargo(root, &arguments).outcome()
}

/// Unit and integration tests by nextest where it is installed, then documentation tests.
pub(crate) fn test(root: &Path, arguments: &[String]) -> Outcome {
    let mut command: Vec<&str> = if tools::has(root, "cargo", &["nextest", "--version"]) {
        vec![
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--cargo-profile",
            PROFILE,
        ]
    } else {
        vec![
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
            "--profile",
            PROFILE,
        ]
    };
    command.extend(arguments.iter().map(String::as_str));
    let outcome = Program::cargo(root, &command).outcome();
    if !arguments.is_empty() {
        return outcome;
    }
    let documentation = [
        "test",
        "--workspace",
        "--doc",
        "--no-fail-fast",
        "--profile",
        PROFILE,
    ];
    outcome.and(Program::cargo(root, &documentation).outcome())
}

/// The documentation of everything, private items included.
pub(crate) fn docs(root: &Path) -> Outcome {
    let arguments = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--profile",
        PROFILE,
    ];
    Program::cargo(root, &arguments)
        .with("RUSTDOCFLAGS", "-D warnings")
        .outcome()
}

/// The form of the code.
pub(crate) fn tidy(root: &Path) -> Outcome {
    let report = match tidy::run(root) {
        Ok(report) => report,
        Err(error) => return Outcome::failed(format!("the workspace cannot be read: {error}")),
    };
    report
        .notes
        .iter()
        .for_each(|note| console::line(&format!("note: {note}")));
    report
        .problems
        .iter()
        .for_each(|problem| console::line(problem));
    match report.problems.len() {
        0 => Outcome::of(true, Counts::default()),
        count => Outcome::failed(format!("{count} problems")),
    }
}

/// The models of what threads share, every interleaving of them.
pub(crate) fn loom(root: &Path) -> Outcome {
    if !mentions(root, "router-core/src/mail", "cfg(loom)") {
        return Outcome::skipped("there are no models yet");
    }
    let arguments = [
        "test",
        "--release",
        "-p",
        "router-core",
        "--lib",
        "--target-dir",
        "target/loom",
        "loom",
    ];
    let ran = Program::cargo(root, &arguments)
        .with("RUSTFLAGS", "--cfg loom")
        // A few seconds of models are not worth minutes of optimising them.
        .with("CARGO_PROFILE_RELEASE_LTO", "off")
        .with("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .run();
    if ran.is_ok && ran.counts.passed == 0 {
        return Outcome::failed("no model ran".to_owned());
    }
    Outcome::of(ran.is_ok, ran.counts)
}

/// The simulator: a fixed list of seeds and a minute of fresh ones, which are those of the commit:
/// what one run of a commit has found, the next one finds again.
pub(crate) fn simulation(root: &Path) -> Outcome {
    if !root.join("sim/src/main.rs").exists() {
        return Outcome::skipped("the simulator has no program yet");
    }
    let mut arguments = vec!["run", "--profile", PROFILE, "-p", "sim", "--", "--ci"];
    let first = Program::new(root, "git", &["rev-parse", "HEAD"]).quiet();
    let first = seed_of(&first.run().output).map(|seed| seed.to_string());
    if let Some(first) = &first {
        arguments.extend(["--from", first]);
    }
    Program::cargo(root, &arguments).outcome_of_sum()
}

/// The number with which the name of a commit begins.
fn seed_of(commit: &str) -> Option<u64> {
    u64::from_str_radix(commit.trim().get(..12)?, 16).ok()
}

/// Every bench, shortly: that they run is the point, not what they say.
pub(crate) fn bench_quick(root: &Path) -> Outcome {
    if !root.join("benches/Cargo.toml").exists() {
        return Outcome::skipped("there are no benches yet");
    }
    let arguments = [
        "bench",
        "-p",
        "benches",
        "--benches",
        "--profile",
        PROFILE,
        "--",
    ];
    let quick = [
        "--quick",
        "--warm-up-time",
        "0.05",
        "--measurement-time",
        "0.1",
        "--noplot",
    ];
    Program::cargo(root, &[&arguments[..], &quick[..]].concat()).outcome()
}

/// The benches in earnest.
pub(crate) fn bench(root: &Path, filter: &[String]) -> Outcome {
    let mut arguments = vec!["bench", "-p", "benches", "--benches", "--"];
    arguments.extend(filter.iter().map(String::as_str));
    Program::cargo(root, &arguments).outcome()
}

/// Clients that others wrote, against the real program.
pub(crate) fn interop(root: &Path) -> Outcome {
    if !root.join("tests/interop/run.py").exists() {
        return Outcome::skipped("there are no interoperation suites yet");
    }
    let arguments = ["build", "--profile", PROFILE, "-p", "causeway"];
    let build = Program::cargo(root, &arguments).run();
    if !build.is_ok {
        return Outcome::failed("causeway does not build".to_owned());
    }
    let binary = root.join(tools::target()).join(PROFILE).join("causeway");
    let mut arguments = vec!["tests/interop/run.py", "python", "rust"];
    if tools::has(root, "npm", &["--version"]) {
        arguments.push("node");
    } else {
        console::line("there is no npm: the suite of rhea is left out");
    }
    Program::new(root, "python3", &arguments)
        .with("CAUSEWAY_BIN", &binary.to_string_lossy())
        .outcome_of_sum()
}

/// Whether a file right below `folder` contains `text`.
fn mentions(root: &Path, folder: &str, text: &str) -> bool {
    let entries = fs::read_dir(root.join(folder))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| fs::read_to_string(entry.path()).ok())
        .any(|file| file.contains(text))
}
