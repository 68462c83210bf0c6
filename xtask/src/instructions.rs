//! Instruction counts: what a unit of each workload costs, whatever else the machine does.
//!
//! Owns the runs under callgrind. It never knows what a workload does; the `instructions` binary
//! of `benches` lists and runs them. Decision: each workload runs twice, once with twice the units,
//! and the difference counts, so that start-up and set-up cancel and no symbol need be named.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::console;
use crate::count::Counts;
use crate::process::Program;
use crate::spread::spread;
use crate::step::{Outcome, Verdict};
use crate::table::{self, Table};
use crate::tools;

/// Counts all workloads; with `write` they become the table, else they are compared with it.
pub(crate) fn run(root: &Path, write: bool) -> Outcome {
    if !root.join("benches/src/bin/instructions.rs").exists() {
        return Outcome::skipped("there are no workloads yet");
    }
    let build = [
        "build",
        "--release",
        "-p",
        "benches",
        "--bin",
        "instructions",
        "--no-default-features",
    ];
    if !Program::cargo(root, &build).run().is_ok {
        return Outcome::failed("the workloads do not build".to_owned());
    }
    if !tools::valgrind(root) {
        return Outcome::skipped("no valgrind, and it cannot be installed");
    }
    let binary = binary(root);
    let names = Program::new(root, &binary, &[""; 0]).quiet().run();
    if !names.is_ok {
        return Outcome::failed("the workloads cannot be listed".to_owned());
    }
    let lines: Vec<_> = names.output.lines().collect();
    let counted = spread(&lines, |line| per_unit(root, &binary, line));
    let mut measured = BTreeMap::new();
    for (line, per_unit) in lines.into_iter().zip(counted) {
        let Some(per_unit) = per_unit else {
            return Outcome::failed(format!("`{line}` cannot be counted"));
        };
        measured.insert(line.split(' ').next().unwrap_or(line).to_owned(), per_unit);
    }
    let compiler = tools::compiler(root, "release").unwrap_or_default();
    if write {
        return save(
            root,
            &Table {
                compiler,
                counts: measured,
            },
        );
    }
    judge(root, &compiler, &measured)
}

fn binary(root: &Path) -> String {
    let path = root.join(tools::target()).join("release/instructions");
    path.to_string_lossy().into_owned()
}

/// Instructions for one unit of a workload, given as the binary lists it: name and units.
fn per_unit(root: &Path, binary: &str, line: &str) -> Option<u64> {
    let (name, units) = line.split_once(' ')?;
    let units: u64 = units.parse().ok()?;
    let short = count(root, binary, name, units)?;
    let long = count(root, binary, name, 2 * units)?;
    Some(long.saturating_sub(short) / units)
}

/// Instructions of one whole run.
fn count(root: &Path, binary: &str, name: &str, units: u64) -> Option<u64> {
    let units = units.to_string();
    let arguments = [
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        binary,
        name,
        units.as_str(),
    ];
    let ran = Program::new(root, "valgrind", &arguments).quiet().run();
    let collected = ran
        .output
        .lines()
        .find_map(|line| line.split_once("Collected : "))?;
    collected.1.trim().parse().ok().filter(|_| ran.is_ok)
}

fn save(root: &Path, table: &Table) -> Outcome {
    console::line(&table.text());
    match fs::write(root.join(table::PATH), table.text()) {
        Ok(()) => Outcome::of(true, Counts::default()),
        Err(error) => Outcome::failed(format!("{}: {error}", table::PATH)),
    }
}

fn judge(root: &Path, compiler: &str, measured: &BTreeMap<String, u64>) -> Outcome {
    let table = Table::parse(&fs::read_to_string(root.join(table::PATH)).unwrap_or_default());
    let mut counts = Counts::default();
    for (row, agrees) in table.compare(measured) {
        console::line(&format!("{row}{}", if agrees { "" } else { "  <--" }));
        if agrees {
            counts.passed += 1;
        } else {
            counts.failed += 1;
        }
    }
    if counts.failed > 0 && table.compiler != compiler {
        let why = format!(
            "the table was counted with {}, this is {compiler}",
            table.compiler
        );
        return Outcome {
            verdict: Verdict::Skipped(why),
            counts: Counts::default(),
        };
    }
    if counts.failed > 0 {
        console::line("meant? then `cargo xtask instructions --write`, and say why in the commit");
    }
    Outcome::of(true, counts)
}
