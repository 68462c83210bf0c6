//! `causeway completions`: what a shell completes after `causeway`, or after another of its names.
//!
//! Owns the options; what is completed comes from the declaration of the command line.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::cli::failure::{self, Failure};
use crate::cli::screen;

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    causeway completions bash > /usr/share/bash-completion/completions/causeway\n  \
    causeway completions zsh > /usr/share/zsh/site-functions/_causeway\n  \
    causeway completions fish > ~/.config/fish/completions/causeway.fish\n  \
    causeway completions bash qdstat > /usr/share/bash-completion/completions/qdstat")]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
    /// The name by which the program is called: causeway, qdstat, qdmanage or qdrouterd.
    #[arg(default_value = "causeway")]
    pub program: String,
}

/// Prints the script.
#[must_use]
pub fn run(options: &CompletionsOptions, programs: &[Command]) -> ExitCode {
    failure::exit(completions(options, programs))
}

fn completions(options: &CompletionsOptions, programs: &[Command]) -> Result<ExitCode, Failure> {
    let name = &options.program;
    let mut programs = programs.iter();
    let Some(command) = programs.find(|program| program.get_name() == name) else {
        return Err(
            Failure::new(format!("this program is never called `{name}`"))
                .hint("it is causeway, qdstat, qdmanage or qdrouterd"),
        );
    };
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command.clone(), name, &mut script);
    screen::raw(&script, false)?;
    Ok(ExitCode::SUCCESS)
}
