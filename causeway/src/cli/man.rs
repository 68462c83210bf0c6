//! `causeway man`: manual pages of all verbs.
//!
//! Owns the options and the names of the files; what the pages say comes from the declaration of
//! the command line.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::cli::failure::{self, Failure};
use crate::cli::screen;

/// Which page.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  causeway man stat | man -l -\n  \
    causeway man --out /usr/share/man/man1")]
pub struct ManOptions {
    /// The verb, or qdstat, qdmanage or qdrouterd; the program as a whole where silent.
    pub verb: Option<String>,
    /// Write all pages into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "verb")]
    pub out: Option<PathBuf>,
}

/// Prints or writes the pages.
#[must_use]
pub fn run(options: &ManOptions, programs: Vec<Command>) -> ExitCode {
    failure::exit(man(options, programs))
}

fn man(options: &ManOptions, programs: Vec<Command>) -> Result<ExitCode, Failure> {
    let pages = pages(programs)?;
    if let Some(folder) = &options.out {
        write(folder, &pages).map_err(|error| {
            let folder = folder.display();
            Failure::new(format!("cannot write pages to {folder}: {error}"))
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let is_meant = |name: &str| match &options.verb {
        Some(verb) => name == *verb || name.strip_prefix("causeway-") == Some(verb),
        None => name == "causeway",
    };
    let Some((_, page)) = pages.iter().find(|(name, _)| is_meant(name)) else {
        let verb = options.verb.as_deref().unwrap_or_default();
        return Err(
            Failure::new(format!("there is no verb `{verb}`")).hint("`causeway --help` names them")
        );
    };
    screen::raw(page, false)?;
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, pages: &[(String, Vec<u8>)]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut written = pages.iter();
    written.try_for_each(|(name, page)| fs::write(folder.join(format!("{name}.1")), page))
}

/// All pages with their names: those of the programs, and one for each verb, verbs of verbs
/// included.
fn pages(programs: Vec<Command>) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = Vec::new();
    let built = |program: Command| {
        let mut program = program.disable_help_subcommand(true);
        program.build();
        program
    };
    let mut waiting: Vec<Command> = programs.into_iter().map(built).collect();
    while let Some(command) = waiting.pop() {
        let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        waiting.extend(shown.cloned());
        let name = command
            .get_display_name()
            .unwrap_or_else(|| command.get_name());
        let name = name.to_owned();
        let mut page = Vec::new();
        Man::new(command).title(name.clone()).render(&mut page)?;
        pages.push((name, page));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction};

    use super::*;

    #[test]
    fn there_is_a_page_for_each_verb() {
        let flag = Arg::new("loud").long("loud").action(ArgAction::SetTrue);
        let inner = Command::new("add").about("Adds one.");
        let verb = Command::new("user")
            .about("Says who.")
            .arg(flag.help("Say more."));
        let program = Command::new("causeway").subcommand(verb.subcommand(inner));
        let pages = pages(vec![program]).unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["causeway", "causeway-user", "causeway-user-add"]);
        let text = String::from_utf8_lossy(&pages[1].1).into_owned();
        assert!(text.contains(".TH causeway-user 1"), "{text}");
        assert!(text.contains("Say more."), "{text}");
    }
}
