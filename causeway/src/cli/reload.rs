//! `causeway reload`: a running router reads its configuration file anew.

use std::process::ExitCode;
use std::time::Duration;

use amqp_codec::Value;
use clap::Args;
use management::client::Response;
use management::counted;

use crate::cli::ask::AskOptions;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::failure::{self, Failure};
use crate::cli::manager::plain;
use crate::cli::screen;

/// How long the answer may take where nothing is said: files and names are looked up for it.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// What to reload.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  causeway reload --check\n  causeway reload")]
pub struct ReloadOptions {
    /// Only say what would change, and whether it could.
    #[arg(long)]
    pub check: bool,
    /// Whom to ask.
    #[command(flatten)]
    pub ask: AskOptions,
}

/// Asks, and shows what has changed or why nothing has.
#[must_use]
pub fn run(options: ReloadOptions) -> ExitCode {
    failure::exit(reload(&options))
}

fn reload(options: &ReloadOptions) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::on_signals()?;
    let mut manager = options.ask.manager_with(ANSWER_TIME, interrupt)?;
    let check = vec![("check", Value::Bool(options.check))];
    let answer = manager.operate("RELOAD", check)?;
    manager.close();
    show(&answer, options.check)
}

fn show(answer: &Response, is_check: bool) -> Result<ExitCode, Failure> {
    if !answer.is_success() {
        let errors = lines(&answer.body, "errors");
        if errors.is_empty() {
            return Err(Failure::new(answer.description.clone()));
        }
        errors.iter().for_each(|error| screen::complain(error));
        screen::complain(match flag(&answer.body, "applied") {
            true => "error: not all of the file is in force; restart the router",
            false => "error: nothing was changed",
        });
        return Ok(ExitCode::FAILURE);
    }
    let warnings = lines(&answer.body, "warnings").into_iter();
    let mut told: Vec<String> = warnings.map(|line| format!("warning: {line}")).collect();
    let changes = lines(&answer.body, "changes");
    let count = changes.len();
    told.extend(changes);
    let told_count = counted(count, "change");
    told.push(match (count, is_check) {
        (0, _) => "no changes".to_owned(),
        (_, true) => format!("{told_count} would be in force"),
        (_, false) => format!("{told_count} in force"),
    });
    screen::say(&told.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn flag(body: &Value, name: &str) -> bool {
    let flag = body.as_map().and_then(|map| map.get(name));
    flag == Some(&Value::Bool(true))
}

/// The lines of a list in an answer.
fn lines(body: &Value, name: &str) -> Vec<String> {
    let list = body.as_map().and_then(|map| map.get(name));
    match list {
        Some(Value::List(lines)) => lines.iter().map(plain).collect(),
        _ => Vec::new(),
    }
}
