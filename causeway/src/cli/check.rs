//! `causeway check`: reads a configuration file as a router would, and says what it leaves open.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

/// What to check.
#[derive(Debug, Args)]
pub struct CheckOptions {
    /// The configuration file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Checks the file; fails if it has errors.
#[must_use]
pub fn run(_options: CheckOptions) -> ExitCode {
    ExitCode::FAILURE
}
