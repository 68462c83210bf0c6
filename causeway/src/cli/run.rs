//! `causeway run`: a router in the foreground.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

/// What to run.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Configuration file; without one, a standalone router on 127.0.0.1:5672.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Worker threads; one for each core where silent.
    #[arg(long, value_name = "N")]
    pub workers: Option<u16>,
}

/// Runs the router until a signal ends it.
#[must_use]
pub fn run(_options: RunOptions) -> ExitCode {
    ExitCode::FAILURE
}
