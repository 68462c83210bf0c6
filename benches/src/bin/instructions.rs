//! Runs one workload a given number of times, for a program that counts instructions.
//!
//! `instructions` lists the workloads with the units that are enough, `instructions NAME UNITS`
//! runs one. It never reads a clock. Decision: a program of its own, since criterion's statistics
//! are instructions too.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(Ok(units))) = (
        arguments.next(),
        arguments.next().map(|units| units.parse::<u64>()),
    ) else {
        list();
        return ExitCode::SUCCESS;
    };
    let Some(workload) = benches::workloads()
        .into_iter()
        .find(|workload| workload.name == name)
    else {
        return ExitCode::FAILURE;
    };
    let mut unit = workload.prepare();
    for _ in 0..units {
        black_box(unit());
    }
    ExitCode::SUCCESS
}

#[expect(
    clippy::print_stdout,
    reason = "the list is what the program is called for"
)]
fn list() {
    for workload in benches::workloads() {
        println!("{} {}", workload.name, workload.units);
    }
}
