//! `causeway check`: reads a configuration file as a router would, and says what it leaves open.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use management::counted;

use crate::config::{self, ConfigError, Configuration, open_doors};

/// What to check.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Prints the file with every old name replaced by that of today, comments kept
    #[arg(long)]
    pub upgrade: bool,
}

/// Checks the file; fails if it has errors.
#[must_use]
pub fn run(options: CheckOptions) -> ExitCode {
    let mut out = io::stdout().lock();
    let done = if options.upgrade {
        match config::upgrade(&options.file) {
            Ok(text) => out.write_all(text.as_bytes()).map(|()| ExitCode::SUCCESS),
            // Where the text goes into a file, errors must not.
            Err(errors) => refuse(&errors, &mut io::stderr()),
        }
    } else {
        match config::load(&options.file) {
            Ok(configuration) => {
                report(&options, &configuration, &mut out).map(|()| ExitCode::SUCCESS)
            }
            Err(errors) => refuse(&errors, &mut out),
        }
    };
    done.unwrap_or(ExitCode::FAILURE)
}

fn refuse(errors: &[ConfigError], out: &mut impl Write) -> io::Result<ExitCode> {
    for error in errors {
        writeln!(out, "{error}")?;
    }
    writeln!(out, "{}", count(errors.len(), "error"))?;
    Ok(ExitCode::FAILURE)
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
        _ => counted(number, noun),
    }
}
