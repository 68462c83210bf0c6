//! `causeway drain`: a running router ends in good order.

use std::process::ExitCode;
use std::time::Duration;

use amqp_codec::Value;
use clap::Args;

use crate::cli::client::ConnectOptions;
use crate::cli::failure::{self, Failure};
use crate::cli::manager::Manager;
use crate::cli::{quantity, screen};

/// The first status of an answer that is none of success.
const REFUSED: i32 = 300;

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
    /// End another router of the network, through the one that is connected to.
    #[arg(short, long, value_name = "ID")]
    pub router: Option<String>,
    /// How long the answer may take.
    #[arg(short, long, value_name = "TIME", default_value = "5s",
          value_parser = quantity::parse_duration)]
    pub timeout: Duration,
    /// How to reach the router.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

/// Asks, and waits until the router has closed the connection.
#[must_use]
pub fn run(options: DrainOptions) -> ExitCode {
    failure::exit(drain(&options))
}

fn drain(options: &DrainOptions) -> Result<ExitCode, Failure> {
    let router = options.router.as_deref();
    let mut manager = Manager::connect(&options.connect, router, options.timeout)?;
    let seconds = options
        .seconds
        .map(|seconds| ("seconds", Value::Uint(seconds)));
    let answer = manager.operate("DRAIN", seconds.into_iter().collect())?;
    if answer.status >= REFUSED {
        return Err(Failure::new(answer.description));
    }
    let granted = answer.body.as_map().and_then(|map| map.get("seconds"));
    let granted = granted.and_then(Value::as_i64).unwrap_or_default();
    screen::say(&format!("draining, for at most {granted} s"))?;
    if options.router.is_some() {
        manager.close();
        return Ok(ExitCode::SUCCESS);
    }
    let time = Duration::from_secs(granted.unsigned_abs()) + CLOSING;
    if !manager.is_left_within(time) {
        return Err(Failure::new("the router has not closed the connection")
            .hint("ask again, and it waits for nothing"));
    }
    screen::say("the router has ended")?;
    Ok(ExitCode::SUCCESS)
}
