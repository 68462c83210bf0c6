//! `causeway run`: a router in the foreground.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};
use management::counted;

use crate::config::{self, ConfigError};
use crate::daemon::{self, Ended};
use crate::log::Form;
use crate::router::{RunSettings, WORKERS_MAX};

/// The range of an option wants its ends so wide.
const MOST_WORKERS: i64 = WORKERS_MAX as i64;

/// What to run.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// Configuration file; without one, a standalone router on 127.0.0.1:5672.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Worker threads, whatever the configuration says; where both are silent, one for each core.
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=MOST_WORKERS))]
    pub workers: Option<u16>,
    /// How long an idle worker looks for work before it sleeps, in microseconds.
    #[arg(long, value_name = "MICROSECONDS", value_parser = value_parser!(u64).range(..=1000))]
    pub spin: Option<u64>,
    /// The form of the log: lines of text, or an object of JSON a line.
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub log_format: Form,
}

/// Runs the router until a signal ends it.
#[must_use]
pub fn run(options: RunOptions) -> ExitCode {
    let configuration = match &options.config {
        Some(path) => config::load(path),
        None => Ok(config::default_configuration()),
    };
    let settings = RunSettings {
        workers: options.workers,
        spin: options.spin.map(Duration::from_micros),
    };
    match configuration {
        Ok(mut configuration) => {
            configuration.log.form = options.log_format;
            match daemon::run(&configuration, settings, || {}) {
                Ok(ended) => exit(ended),
                Err(text) => complain(&[format!("causeway: {text}")]),
            }
        }
        Err(errors) => complain_of(&errors),
    }
}

/// Ends as the router did; by its signal, if one killed it.
pub(super) fn exit(ended: Ended) -> ExitCode {
    match ended {
        Ended::Status(status) => ExitCode::from(status),
        Ended::Signal(signal) => {
            match signal_hook::low_level::emulate_default_handler(signal) {
                // The default of such a signal is to end the process: nobody comes back here.
                Ok(()) | Err(_) => ExitCode::FAILURE,
            }
        }
    }
}

/// Tells all errors of a configuration.
pub(super) fn complain_of(errors: &[ConfigError]) -> ExitCode {
    let mut lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let count = counted(lines.len(), "error");
    lines.push(format!(
        "causeway: {count} in the configuration; not started"
    ));
    complain(&lines)
}

/// Writes lines to standard error; the status of a failure.
pub(super) fn complain(lines: &[String]) -> ExitCode {
    let mut stderr = io::stderr().lock();
    for line in lines {
        if writeln!(stderr, "{line}").is_err() {
            break;
        }
    }
    ExitCode::FAILURE
}
