//! `causeway reload`: a running router reads its configuration file anew.

use std::process::ExitCode;
use std::time::Duration;

use amqp_codec::Value;
use clap::Args;
use management::client::Response;

use crate::cli::client::ConnectOptions;
use crate::cli::failure::{self, Failure};
use crate::cli::manager::{Manager, plain};
use crate::cli::{quantity, screen};

/// The first status of an answer that is none of success.
const REFUSED: i32 = 300;

/// What to reload.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  causeway reload --check\n  causeway reload")]
pub struct ReloadOptions {
    /// Only say what would change, and whether it could.
    #[arg(long)]
    pub check: bool,
    /// Ask another router of the network, through the one that is connected to.
    #[arg(short, long, value_name = "ID")]
    pub router: Option<String>,
    /// How long the answer may take.
    #[arg(short, long, value_name = "TIME", default_value = "60s",
          value_parser = quantity::parse_duration)]
    pub timeout: Duration,
    /// How to reach the router.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

/// Asks, and shows what has changed or why nothing has.
#[must_use]
pub fn run(options: ReloadOptions) -> ExitCode {
    failure::exit(reload(&options))
}

fn reload(options: &ReloadOptions) -> Result<ExitCode, Failure> {
    let router = options.router.as_deref();
    let mut manager = Manager::connect(&options.connect, router, options.timeout)?;
    let check = vec![("check", Value::Bool(options.check))];
    let answer = manager.operate("RELOAD", check)?;
    manager.close();
    show(&answer, options.check)
}

fn show(answer: &Response, is_check: bool) -> Result<ExitCode, Failure> {
    if answer.status >= REFUSED {
        let errors = lines(&answer.body, "errors");
        if errors.is_empty() {
            return Err(Failure::new(answer.description.clone()));
        }
        errors.iter().for_each(|error| screen::complain(error));
        screen::complain("error: nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    let warnings = lines(&answer.body, "warnings").into_iter();
    let mut told: Vec<String> = warnings.map(|line| format!("warning: {line}")).collect();
    let changes = lines(&answer.body, "changes");
    let count = changes.len();
    told.extend(changes);
    let noun = if count == 1 { "change" } else { "changes" };
    told.push(match (count, is_check) {
        (0, _) => "no changes".to_owned(),
        (_, true) => format!("{count} {noun} would be in force"),
        (_, false) => format!("{count} {noun} in force"),
    });
    screen::say(&told.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The lines of a list in an answer.
fn lines(body: &Value, name: &str) -> Vec<String> {
    let list = body.as_map().and_then(|map| map.get(name));
    match list {
        Some(Value::List(lines)) => lines.iter().map(plain).collect(),
        _ => Vec::new(),
    }
}
