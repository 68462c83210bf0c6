//! `causeway completions`: what a shell completes after `causeway`.
//!
//! Owns the options; what is completed comes from the declaration of the command line.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::cli::failure;
use crate::cli::screen;

/// For which shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    causeway completions bash > /usr/share/bash-completion/completions/causeway\n  \
    causeway completions zsh > /usr/share/zsh/site-functions/_causeway\n  \
    causeway completions fish > ~/.config/fish/completions/causeway.fish")]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
#[must_use]
pub fn run(options: &CompletionsOptions, mut command: Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut command, "causeway", &mut script);
    let said = screen::raw(&script, false);
    failure::exit(said.map(|()| ExitCode::SUCCESS).map_err(Into::into))
}
