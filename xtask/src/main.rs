//! Build tasks of the workspace: `cargo xtask ci|test|tidy|fuzz|bench|instructions`.
//!
//! Owns the command line and the exit code. It never does a task's work; each is a module.
//! Decision: tasks are Rust without dependencies, so that a fresh clone needs a toolchain and
//! nothing else.

mod ci;
mod console;
mod count;
mod fuzz;
mod instructions;
mod process;
mod spread;
mod step;
mod table;
mod tasks;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use step::Step;

const USAGE: &str = "\
cargo xtask TASK

  ci                      everything a change must pass, step by step
  test [ARGUMENT…]        unit and integration tests, then documentation tests
  tidy                    the form of the code: cycles, arrows, sizes, words
  fuzz [SECONDS] [NAME…]  fuzz targets, all or those named, 60 s each by default
  bench [FILTER]          criterion benches, all or those that match
  instructions [--write]  compare instruction counts with the table, or write it anew";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default().to_vec();
    let one = |step| vec![vec![step]];
    let lanes = match arguments.first().map(String::as_str) {
        Some("ci") => ci::lanes().into(),
        Some("test") => one(Step::new("test", move |root| tasks::test(root, &rest))),
        Some("tidy") => one(Step::new("tidy", tasks::tidy)),
        Some("fuzz") => one(Step::new("fuzz", move |root| fuzz::earnest(root, &rest))),
        Some("bench") => one(Step::new("bench", move |root| tasks::bench(root, &rest))),
        Some("instructions") => {
            let write = rest.iter().any(|argument| argument == "--write");
            one(Step::new("instructions", move |root| {
                instructions::run(root, write)
            }))
        }
        _ => {
            console::line(USAGE);
            return ExitCode::from(2);
        }
    };
    if step::run_all(&root(), &lanes) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The workspace's folder: the parent of this package's, wherever the command is called from. Asked
/// for at run time: work trees that share a target folder share this binary, too.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = Path::new(&package);
    package.parent().unwrap_or(package).to_owned()
}
