//! The command line: one verb, one module. A verb's module has its options (`clap` arguments) and a
//! `run` that does the work and says how the process ends; nothing else of it is seen from here.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{Command, CommandFactory as _, Parser, Subcommand};

pub mod ask;
pub mod bench;
pub mod body;
pub mod check;
pub mod client;
pub mod completions;
pub mod compose;
mod detach;
pub mod drain;
pub mod failure;
mod incumbent;
pub mod intake;
pub mod json;
pub mod man;
pub mod manage;
pub mod manager;
pub mod mesh;
mod qdrouterd;
pub mod quantity;
pub mod recv;
pub mod reload;
pub mod reply;
pub mod run;
pub mod screen;
mod secret;
pub mod send;
pub mod show;
pub mod stat;
mod table;
mod terminal;
pub mod top;
pub mod trace;
pub mod user;

/// An AMQP 1.0 message router.
#[derive(Debug, Parser)]
#[command(name = "causeway", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a network of routers in one process, to look at and to break.
    Mesh(mesh::MeshOptions),
    /// Run a router in the foreground.
    Run(run::RunOptions),
    /// Check a configuration file and say what it leaves open.
    Check(check::CheckOptions),
    /// Send messages to an address and say what became of them.
    Send(send::SendOptions),
    /// Receive messages from an address and print them.
    Recv(recv::RecvOptions),
    /// Load a router and measure it; compare it with another.
    Bench(bench::BenchOptions),
    /// Have a router read its configuration file anew.
    Reload(reload::ReloadOptions),
    /// End a router in good order: what is in flight may settle.
    Drain(drain::DrainOptions),
    /// Show what a router says about itself.
    Stat(stat::StatOptions),
    /// Ask anything of a router's management node: query, create, update, delete, …
    Manage(manage::ManageOptions),
    /// Follow an address: who gets what is sent to it, or why nobody does.
    Trace(trace::TraceOptions),
    /// Show what is busy right now.
    Top(top::TopOptions),
    /// Say who may authenticate at a router.
    User(user::UserOptions),
    /// Print what a shell completes.
    Completions(completions::CompletionsOptions),
    /// Print or write manual pages.
    Man(man::ManOptions),
}

/// Runs the program with the arguments of the process, the first of which is its name: through a
/// link named `qdrouterd`, `qdmanage` or `qdstat` it is that program.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let name = arguments
        .first()
        .and_then(|path| Path::new(path).file_name());
    match name.and_then(OsStr::to_str) {
        Some("qdrouterd") => return qdrouterd::main(arguments),
        Some("qdmanage") => return incumbent::qdmanage::main(&arguments),
        Some("qdstat") => return incumbent::qdstat::main(&arguments),
        _ => {}
    }
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments {
            verb: Verb::Run(options),
        }) => run::run(options),
        Ok(Arguments {
            verb: Verb::Mesh(options),
        }) => mesh::run(options),
        Ok(Arguments {
            verb: Verb::Check(options),
        }) => check::run(options),
        Ok(Arguments {
            verb: Verb::Send(options),
        }) => send::run(options),
        Ok(Arguments {
            verb: Verb::Recv(options),
        }) => recv::run(options),
        Ok(Arguments {
            verb: Verb::Bench(options),
        }) => bench::run(options),
        Ok(Arguments {
            verb: Verb::Reload(options),
        }) => reload::run(options),
        Ok(Arguments {
            verb: Verb::Drain(options),
        }) => drain::run(options),
        Ok(Arguments {
            verb: Verb::Stat(options),
        }) => stat::run(options),
        Ok(Arguments {
            verb: Verb::Manage(options),
        }) => manage::run(options),
        Ok(Arguments {
            verb: Verb::Trace(options),
        }) => trace::run(options),
        Ok(Arguments {
            verb: Verb::Top(options),
        }) => top::run(options),
        Ok(Arguments {
            verb: Verb::User(options),
        }) => user::run(options),
        Ok(Arguments {
            verb: Verb::Completions(options),
        }) => completions::run(&options, &programs()),
        Ok(Arguments {
            verb: Verb::Man(options),
        }) => man::run(&options, programs()),
        Err(error) => {
            let code = if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
            match error.print() {
                Ok(()) => code,
                Err(_) => ExitCode::FAILURE,
            }
        }
    }
}

/// The command lines of this program, under its own name and those of the programs whose place it
/// takes.
fn programs() -> Vec<Command> {
    vec![
        Arguments::command(),
        qdrouterd::Options::command(),
        incumbent::qdstat::Options::command(),
        incumbent::qdmanage::Options::command(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(command: Command) -> Vec<Command> {
        let verbs: Vec<Command> = command.get_subcommands().cloned().collect();
        let verbs = verbs.into_iter().flat_map(all);
        std::iter::once(command.clone()).chain(verbs).collect()
    }

    #[test]
    fn every_verb_and_every_option_has_help() {
        let built = |mut program: Command| {
            program.build();
            program
        };
        for command in programs().into_iter().map(built).flat_map(all) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            let shown = command
                .get_arguments()
                .filter(|option| !option.is_hide_set());
            for option in shown {
                let id = option.get_id();
                assert!(option.get_help().is_some(), "{name}: {id}");
            }
        }
    }

    #[test]
    fn the_declaration_contradicts_itself_nowhere() {
        programs().into_iter().for_each(Command::debug_assert);
    }
}
