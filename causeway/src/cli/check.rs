//! `causeway check`: reads a configuration file as a router would, and says what it leaves open.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::{self, Configuration, open_doors};

/// What to check.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Checks the file; fails if it has errors.
#[must_use]
pub fn run(options: CheckOptions) -> ExitCode {
    let mut out = io::stdout().lock();
    let result = match config::load(&options.file) {
        Ok(configuration) => report(&options, &configuration, &mut out).map(|()| ExitCode::SUCCESS),
        Err(errors) => errors
            .iter()
            .try_for_each(|error| writeln!(out, "{error}"))
            .and_then(|()| writeln!(out, "{}", count(errors.len(), "error")))
            .map(|()| ExitCode::FAILURE),
    };
    result.unwrap_or(ExitCode::FAILURE)
}

fn report(
    options: &CheckOptions,
    configuration: &Configuration,
    out: &mut impl Write,
) -> io::Result<()> {
    for warning in &configuration.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    let doors = open_doors(&configuration.entities, &configuration.policy);
    for door in &doors {
        writeln!(out, "left open: {door}")?;
    }
    let file = options.file.display();
    let sections = count(configuration.entities.len(), "section");
    let warnings = count(configuration.warnings.len(), "warning");
    let doors = count(doors.len(), "door");
    writeln!(
        out,
        "{file}: good; {sections} besides the router's, {warnings}, {doors} left open"
    )
}

fn count(number: usize, noun: &str) -> String {
    match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
