//! `causeway drain`: a running router ends in good order.

use std::process::ExitCode;
use std::time::Duration;

use amqp_codec::Value;
use clap::Args;

use crate::cli::ask::AskOptions;
use crate::cli::failure::{self, Failure};
use crate::cli::manager::Node;
use crate::cli::screen;

/// What closing takes behind the time that was given.
const CLOSING: Duration = Duration::from_secs(10);

/// What to drain.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  causeway drain\n  causeway drain --seconds 30 --router B")]
pub struct DrainOptions {
    /// The longest time that what is in flight may take to settle, in seconds; where silent, what
    /// the router's `drainSeconds` says.
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<u32>,
    /// Whom to ask.
    #[command(flatten)]
    pub ask: AskOptions,
}

/// Asks, and waits until the router has closed the connection.
#[must_use]
pub fn run(options: DrainOptions) -> ExitCode {
    failure::exit(drain(&options))
}

fn drain(options: &DrainOptions) -> Result<ExitCode, Failure> {
    let mut manager = options.ask.manager()?;
    let seconds = options
        .seconds
        .map(|seconds| ("seconds", Value::Uint(seconds)));
    let answer = manager.operate("DRAIN", seconds.into_iter().collect())?;
    if !answer.is_success() {
        return Err(Failure::new(answer.description));
    }
    let granted = answer.body.as_map().and_then(|map| map.get("seconds"));
    let granted = granted.and_then(Value::as_i64).unwrap_or_default();
    screen::say(&format!("draining, for at most {granted} s"))?;
    if options.ask.node() != Node::Own {
        manager.close();
        return Ok(ExitCode::SUCCESS);
    }
    let time = Duration::from_secs(granted.unsigned_abs()) + CLOSING;
    if !manager.is_left_within(time)? {
        return Err(Failure::new("the router has not closed the connection")
            .hint("ask again with fewer --seconds, or send SIGTERM to its process"));
    }
    screen::say("the router has ended")?;
    Ok(ExitCode::SUCCESS)
}
