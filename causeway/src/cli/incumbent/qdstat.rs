//! `causeway stat` under the name of the incumbent's tool.
//!
//! Owns that tool's command line and the order in which it prints.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser};

use super::common::{Common, Complaint, ended, in_known_words, misused, say_version, unparsed};
use super::tables::{ALL, Print, date, header};
use crate::cli::client::interrupt::Interrupt;
use crate::cli::failure::Failure;
use crate::cli::manager::{Manager, Node, Trouble, plain};
use crate::cli::screen;
use crate::cli::stat::view::View;

const PROGRAM: &str = "qdstat";

/// Show what a router says about itself.
#[derive(Debug, Parser)]
#[command(
    name = "qdstat",
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true,
    override_usage = "qdstat [OPTIONS]"
)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    shown: Shown,
    /// Ask all routers of the network.
    #[arg(long, group = "target")]
    all_routers: bool,
    /// Show at most this many rows; 0 shows all.
    #[arg(long, value_name = "LIMIT", allow_negative_numbers = true)]
    limit: Option<i64>,
    /// Print tables as comma-separated values.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    common: Common,
}

/// What is shown: one of these.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Shown {
    /// The router as a whole.
    #[arg(short, long, help_heading = "Display")]
    general: bool,
    /// Connections.
    #[arg(short, long, help_heading = "Display")]
    connections: bool,
    /// Links.
    #[arg(short, long, help_heading = "Display")]
    links: bool,
    /// Routers of the network.
    #[arg(short, long, help_heading = "Display")]
    nodes: bool,
    /// Connections with edge routers.
    #[arg(short, long, help_heading = "Display")]
    edge: bool,
    /// Addresses.
    #[arg(short, long, help_heading = "Display")]
    address: bool,
    /// Memory.
    #[arg(short, long, help_heading = "Display")]
    memory: bool,
    /// Policy.
    #[arg(short, long, help_heading = "Display")]
    policy: bool,
    /// Auto-links.
    #[arg(long, help_heading = "Display")]
    autolinks: bool,
    /// Link routes.
    #[arg(long, help_heading = "Display")]
    linkroutes: bool,
    /// Virtual hosts.
    #[arg(long, help_heading = "Display")]
    vhosts: bool,
    /// Groups of users of virtual hosts.
    #[arg(long, help_heading = "Display")]
    vhostgroups: bool,
    /// Figures of virtual hosts.
    #[arg(long, help_heading = "Display")]
    vhoststats: bool,
    /// The latest lines of the log.
    #[arg(long, help_heading = "Display")]
    log: bool,
    /// All of these, but for a few.
    #[arg(long, help_heading = "Display")]
    all_entities: bool,
}

impl Shown {
    /// The view; none: all.
    fn view(&self) -> Option<View> {
        let flags = [
            (self.connections, View::Connections),
            (self.links, View::Links),
            (self.nodes, View::Nodes),
            (self.edge, View::Edge),
            (self.address, View::Addresses),
            (self.memory, View::Memory),
            (self.policy, View::Policy),
            (self.autolinks, View::AutoLinks),
            (self.linkroutes, View::LinkRoutes),
            (self.vhosts, View::Vhosts),
            (self.vhostgroups, View::VhostGroups),
            (self.vhoststats, View::VhostStats),
            (self.log, View::Log),
        ];
        let chosen = flags.iter().find(|(on, _)| *on).map(|(_, view)| *view);
        (!self.all_entities).then(|| chosen.unwrap_or(View::General))
    }
}

/// Runs the program with the arguments of the process.
pub(in crate::cli) fn main(arguments: &[OsString]) -> ExitCode {
    let mut command = Options::command();
    let options = match Options::try_parse_from(arguments) {
        Ok(options) => options,
        Err(error) => return unparsed(PROGRAM, &mut command, &error),
    };
    if options.common.version {
        return ended(say_version());
    }
    let is_both = options.common.router.is_some() && options.common.edge_router.is_some();
    if is_both {
        let text = "argument -d/--edge-router: not allowed with argument -r/--router";
        return misused(PROGRAM, &mut command, text);
    }
    ended(stat(&options))
}

fn stat(options: &Options) -> Result<(), Complaint> {
    let connect = options.common.connect_options()?;
    let node = options.common.node(&connect);
    let known = |trouble| in_known_words(trouble, &connect);
    let time_out = options.common.time_out();
    let interrupt = Interrupt::on_signals().map_err(|failure| known(failure.into()))?;
    let manager = Manager::connect_to(&connect, &node, time_out, interrupt);
    let mut manager = manager.map_err(|failure| known(failure.into()))?;
    let limit = options.limit.and_then(|limit| usize::try_from(limit).ok());
    let mut print = Print {
        is_verbose: options.common.verbose > 0,
        is_csv: options.csv,
        limit: limit.filter(|limit| *limit > 0),
        has_header: true,
    };
    let nodes = manager.call_node("GET-MGMT-NODES", []).map_err(known)?;
    let nodes: Vec<String> = nodes
        .as_list()
        .unwrap_or_default()
        .iter()
        .map(plain)
        .collect();
    if !options.all_routers || nodes.len() < 2 {
        show(options, print, &mut manager).map_err(known)?;
        manager.close();
        return Ok(());
    }
    print.has_header = false;
    screen::say(&date())?;
    for node in nodes {
        let address = node.strip_prefix("amqp:/").unwrap_or(&node);
        let id = address.split('/').nth(2).unwrap_or(address);
        screen::say(&format!("Router  {id}\n"))?;
        let turned = manager.turn_to(&Node::At(address.to_owned()));
        turned.map_err(|failure| known(failure.into()))?;
        show(options, print, &mut manager).map_err(known)?;
        screen::say("")?;
    }
    manager.close();
    Ok(())
}

/// Prints what is asked for.
fn show(options: &Options, mut print: Print, manager: &mut Manager) -> Result<(), Trouble> {
    if let Some(view) = options.shown.view() {
        return say(&print.view(view, manager)?);
    }
    if print.has_header {
        say(&header(manager)?)?;
    }
    print.has_header = false;
    for view in ALL {
        let mut lines = print.view(view, manager)?;
        lines.push(String::new());
        say(&lines)?;
    }
    Ok(())
}

fn say(lines: &[String]) -> Result<(), Trouble> {
    match lines {
        [] => Ok(()),
        lines => Ok(screen::say(&lines.join("\n")).map_err(Failure::from)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("qdstat").chain(arguments.iter().copied()))
    }

    #[test]
    fn one_view_is_shown() {
        let view = |arguments: &[&str]| parsed(arguments).unwrap().shown.view();
        assert_eq!(view(&[]), Some(View::General));
        assert_eq!(view(&["-c"]), Some(View::Connections));
        assert_eq!(view(&["--addr"]), Some(View::Addresses));
        assert_eq!(view(&["--all-entities"]), None);
        assert!(parsed(&["-c", "-l"]).is_err());
        assert!(parsed(&["--all-routers", "-r", "A"]).is_err());
        assert!(parsed(&["extra"]).is_err());
    }
}
