//! `causeway trace`: who gets what is sent to an address, by which way, and why nobody does.
//!
//! Owns the options and the exit status. It works from management queries alone, so it works from
//! any router of a network and changes nothing there.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

mod network;
mod outlook;
mod report;
mod verdict;

use crate::cli::client::ConnectOptions;
use crate::cli::failure::{self, Failure};
use crate::cli::manager::Manager;
use crate::cli::quantity;
use crate::cli::screen;
use crate::cli::trace::network::Network;
use crate::cli::trace::verdict::Flow;

/// The exit status if nothing flows.
const NOTHING_FLOWS: u8 = 3;

/// Which address to follow.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 it flows, 3 it does not, 1 that cannot be found out.\n\n\
    Examples:\n  causeway trace orders\n  causeway trace orders --json --url amqp://hub:5672"
)]
pub struct TraceOptions {
    /// The address.
    pub address: String,
    /// Print all that was found out as JSON.
    #[arg(long)]
    pub json: bool,
    /// How long an answer of each router may take.
    #[arg(short, long, value_name = "TIME", default_value = "5s",
          value_parser = quantity::parse_duration)]
    pub timeout: Duration,
    /// How to reach the router.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

/// Asks and shows.
#[must_use]
pub fn run(options: TraceOptions) -> ExitCode {
    failure::exit(trace(&options))
}

fn trace(options: &TraceOptions) -> Result<ExitCode, Failure> {
    let (connect, address) = options.connect.with_address(&options.address)?;
    let address = address.trim_start_matches("amqp:").trim_start_matches('/');
    let mut manager = Manager::connect(&connect, None, options.timeout)?;
    let network = Network::ask(&mut manager, address)?;
    manager.close();
    let verdict = verdict::judge(&network);
    let text = match options.json {
        true => report::json(&network, &verdict).to_string(),
        false => report::text(&network, &verdict),
    };
    screen::say(&text)?;
    Ok(match verdict.flow {
        Flow::Yes => ExitCode::SUCCESS,
        Flow::No => ExitCode::from(NOTHING_FLOWS),
        Flow::Unknown => ExitCode::FAILURE,
    })
}
