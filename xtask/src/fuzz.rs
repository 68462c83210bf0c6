//! Fuzz targets: built, then run for a while each.
//!
//! Owns the flags that make a target guided by coverage. It never keeps what a run finds among the
//! committed corpora. Decision: the flags are given to the compiler at hand instead of leaving it
//! to cargo-fuzz, because they are stable ones; only the address sanitizer would need nightly, and
//! code without `unsafe` has little to tell it. The package is one of cargo-fuzz all the same.

use std::fs;
use std::path::Path;

use crate::console;
use crate::count::Counts;
use crate::process::Program;
use crate::spread::spread;
use crate::step::Outcome;
use crate::tools;

/// How long each target runs by default.
const EARNEST_SECONDS: u64 = 60;
/// How long each target runs in CI.
const SMOKE_SECONDS: u64 = 5;
/// More memory than this is a finding.
const MEMORY_MIB_MAX: u64 = 1024;
/// One input that takes longer than this is a finding.
const INPUT_SECONDS_MAX: u64 = 20;

/// What cargo-fuzz passes, less the sanitizer.
const FLAGS: &str = "--cfg fuzzing -Cdebug-assertions \
    -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Every target for a few seconds.
pub(crate) fn smoke(root: &Path) -> Outcome {
    run(root, SMOKE_SECONDS, &[])
}

/// The targets named, or all, for the seconds given first, or a minute.
pub(crate) fn earnest(root: &Path, arguments: &[String]) -> Outcome {
    let seconds = arguments.first().and_then(|first| first.parse().ok());
    let names = arguments
        .get(usize::from(seconds.is_some())..)
        .unwrap_or_default();
    run(root, seconds.unwrap_or(EARNEST_SECONDS), names)
}

fn run(root: &Path, seconds: u64, wanted: &[String]) -> Outcome {
    let names = targets(root);
    if names.is_empty() {
        return Outcome::skipped("there are no targets yet");
    }
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(name)) {
        return Outcome::failed(format!("there is no target `{unknown}`"));
    }
    if !["c++", "g++", "clang++"]
        .iter()
        .any(|name| tools::has(root, name, &["--version"]))
    {
        return Outcome::skipped("no C++ compiler for libFuzzer; the corpora are replayed by test");
    }
    let Some(host) = tools::compiler(root, "host") else {
        return Outcome::failed("the compiler does not tell its host".to_owned());
    };
    let build = [
        "build",
        "--release",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--target",
        host.as_str(),
    ];
    if !Program::cargo(root, &build)
        .with("RUSTFLAGS", FLAGS)
        .run()
        .is_ok
    {
        return Outcome::failed("the targets do not build".to_owned());
    }
    let named: Vec<_> = names
        .iter()
        .filter(|name| wanted.is_empty() || wanted.contains(name))
        .collect();
    let ends = spread(&named, |name| run_one(root, &host, name, seconds));
    let mut counts = Counts::default();
    for is_ok in ends {
        if is_ok {
            counts.passed += 1;
        } else {
            counts.failed += 1;
        }
    }
    Outcome::of(true, counts)
}

/// Runs one target; what it finds stays in `fuzz/artifacts`, what it learns in `fuzz/target`.
fn run_one(root: &Path, host: &str, name: &str, seconds: u64) -> bool {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "fuzz/target".to_owned());
    let binary = root.join(&target).join(host).join("release").join(name);
    let learned = format!("{target}/corpus/{name}");
    let artifacts = format!("fuzz/artifacts/{name}/");
    let folders = [&learned, &artifacts].map(|folder| fs::create_dir_all(root.join(folder)));
    if folders.iter().any(Result::is_err) {
        console::line(&format!("{name}: cannot make {learned} or {artifacts}"));
        return false;
    }
    let arguments = [
        format!("-max_total_time={seconds}"),
        format!("-rss_limit_mb={MEMORY_MIB_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        format!("-artifact_prefix={artifacts}"),
        "-print_final_stats=1".to_owned(),
        learned,
        format!("fuzz/corpus/{name}"),
    ];
    let ran = Program::new(root, &binary.to_string_lossy(), &arguments)
        .quiet()
        .run();
    let runs = ran
        .output
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let runs = runs.map_or("no count of", str::trim);
    console::line(&format!("{name:<24} {runs:>10} runs in {seconds} s"));
    ran.is_ok
}

/// The names of all targets, sorted.
fn targets(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join("fuzz/fuzz_targets"))
        .into_iter()
        .flatten()
        .flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    names
}
