//! `causeway mesh`: a network of routers in one process, to look at and to break.
//!
//! Owns the options and the loop: look, show, do what is typed. On a terminal the state is drawn in
//! place; elsewhere each change of it is a line, and commands come as lines of standard input.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::cli::client::interrupt::Interrupt;
use crate::cli::failure::{self, Failure};
use crate::cli::screen;
use crate::cli::terminal::{self, Line, Terminal};
use crate::clock::Clock;
use crate::cluster::{Cluster, ClusterError, ClusterSettings, Topology, Wires};
use crate::daemon::raise_open_files;

mod command;
mod view;

use command::{Command, HELP};
use view::View;

/// How often the state is shown.
const REFRESH: Duration = Duration::from_secs(1);

/// How long a wait lasts before Ctrl-C is looked at again.
const LOOK: Duration = Duration::from_millis(100);

/// What to run.
#[derive(Debug, Args)]
#[command(
    after_help = "While it runs, type: kill B, start B, cut A-B, heal A-B, freeze A-B, \
    delay A-B 50ms, add D A B, quit\n\nExamples:\n  causeway mesh\n  \
    causeway mesh --routers 5 --topology line\n  \
    causeway mesh --routers 4 --topology A-B:5,B-D,A-C,C-D --port 31000"
)]
pub struct MeshOptions {
    /// How many routers; they are named A, B, C and so on.
    #[arg(short, long, value_name = "N", default_value_t = 3)]
    pub routers: usize,
    /// Which of them are linked: line, ring, star, full, or links such as A-B,B-C:5 with a cost.
    #[arg(short, long, default_value = "ring")]
    pub topology: Topology,
    /// The port for clients of the first router; the others' follow.
    #[arg(short, long, value_name = "PORT", default_value_t = 5672,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Link the routers by pipes within the process instead of sockets; clients need sockets still.
    #[arg(long)]
    pub pipes: bool,
    /// Worker threads of each router.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// A folder to write logs to: A.log, B.log and so on.
    #[arg(long, value_name = "FOLDER")]
    pub logs: Option<PathBuf>,
}

/// Runs a mesh until somebody ends it.
#[must_use]
pub fn run(options: MeshOptions) -> ExitCode {
    failure::exit(mesh(options))
}

fn mesh(options: MeshOptions) -> Result<ExitCode, Failure> {
    let interrupt = match io::stdin().is_terminal() && io::stdout().is_terminal() {
        true => terminal::interrupt()?,
        false => Interrupt::on_signals()?,
    };
    if let Err(text) = raise_open_files() {
        screen::complain(&format!("warning: {text}"));
    }
    let headline = headline(&options);
    let wires = if options.pipes {
        Wires::Pipes
    } else {
        Wires::Sockets
    };
    let cluster = Cluster::start(ClusterSettings {
        routers: options.routers,
        topology: options.topology,
        wires,
        first_port: Some(options.port),
        workers: options.workers,
        logs: options.logs,
        ..ClusterSettings::default()
    });
    let cluster = cluster.map_err(|error| explained(&error))?;
    let mut mesh = Mesh {
        cluster,
        headline,
        clock: Clock::start(),
        interrupt,
        last: None,
        said: String::new(),
    };
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        mesh.run_on_terminal()?;
    } else {
        mesh.run_in_lines()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// An error of the cluster with what can be done about it.
fn explained(error: &ClusterError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        ClusterError::PortTaken { .. } => {
            failure.hint("is another router running? --port chooses other ports")
        }
        _ => failure,
    }
}

fn headline(options: &MeshOptions) -> String {
    let MeshOptions {
        routers, topology, ..
    } = options;
    match routers {
        1 => "One router".to_owned(),
        count => format!("{count} routers, {topology}"),
    }
}

struct Mesh {
    cluster: Cluster,
    headline: String,
    clock: Clock,
    interrupt: Interrupt,
    last: Option<View>,
    /// What was done last, or why it was not.
    said: String,
}

impl Mesh {
    /// Draws the state in place.
    fn run_on_terminal(&mut self) -> Result<(), Failure> {
        let mut terminal = Terminal::take()?;
        let input = terminal::read_input()?;
        let mut lines = Vec::new();
        let mut due = self.clock.now();
        loop {
            if self.clock.now() >= due {
                terminal.measure()?;
                lines = self.state();
                due = self.clock.now() + REFRESH;
            }
            terminal.draw(&self.page(&lines))?;
            let typed = match input.recv_timeout(LOOK) {
                Ok(bytes) => terminal.typed(&bytes),
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => vec![Line::End],
            };
            for line in typed {
                let Line::Text(line) = line else {
                    return Ok(());
                };
                if !self.obey(&line) {
                    return Ok(());
                }
                due = self.clock.now();
            }
            if self.interrupt.raised() {
                return Ok(());
            }
        }
    }

    /// Says each change of the state in a line.
    fn run_in_lines(&mut self) -> Result<(), Failure> {
        screen::say(&format!(
            "{}.\n\n{}\n",
            self.headline,
            self.what_to_try().join("\n")
        ))?;
        let input = terminal::read_input()?;
        let mut known = BTreeMap::new();
        let mut typed = String::new();
        let mut converged = false;
        loop {
            let view = View::take(&mut self.cluster, self.clock.now());
            let facts = view.facts(self.last.as_ref());
            for (of, fact) in &facts {
                if known.get(of) != Some(fact) {
                    screen::say(&format!("{of}: {fact}"))?;
                }
            }
            if view.is_converged() && !converged {
                screen::say("every router knows all that it can reach")?;
            }
            converged = view.is_converged();
            known = facts;
            self.last = Some(view);
            let due = self.clock.now() + REFRESH;
            while self.clock.now() < due {
                if self.interrupt.raised() {
                    return Ok(());
                }
                match input.recv_timeout(LOOK) {
                    Ok(bytes) => typed.push_str(&String::from_utf8_lossy(&bytes)),
                    Err(RecvTimeoutError::Timeout) => {}
                    // Started in the background, with nobody to type: it runs on.
                    Err(RecvTimeoutError::Disconnected) => thread::sleep(LOOK),
                }
                while let Some((line, rest)) = typed.split_once('\n') {
                    let (line, rest) = (line.to_owned(), rest.to_owned());
                    typed = rest;
                    if !self.obey(&line) {
                        return Ok(());
                    }
                    screen::say(&self.said)?;
                    converged = false;
                }
            }
        }
    }

    /// Does what was typed; false if that is to end.
    fn obey(&mut self, line: &str) -> bool {
        let command = Command::read(line, &self.cluster.names());
        if command == Ok(Command::Quit) {
            return false;
        }
        let done = command.and_then(|command| command.run(&mut self.cluster));
        self.said = done.unwrap_or_else(|error| format!("error: {error}"));
        true
    }

    /// Looks again; the lines that show what there is.
    fn state(&mut self) -> Vec<String> {
        let view = View::take(&mut self.cluster, self.clock.now());
        let lines = view.lines(self.last.as_ref());
        self.last = Some(view);
        lines
    }

    fn page(&self, state: &[String]) -> Vec<String> {
        let mut lines = vec![format!("{}.", self.headline), String::new()];
        lines.extend_from_slice(state);
        lines.push(String::new());
        lines.extend(self.what_to_try());
        lines.extend([
            String::new(),
            format!("Commands: {HELP}"),
            self.said.clone(),
        ]);
        lines
    }

    /// Commands that show what a mesh is for.
    fn what_to_try(&self) -> Vec<String> {
        let names = self.cluster.names();
        let program = std::env::args().next();
        let program = program.unwrap_or_else(|| "causeway".to_owned());
        let url = |name: &String| self.cluster.url(name).unwrap_or_default();
        let near = &names[0];
        let far = self.far(near);
        let mut lines = vec![
            "Try this, each in a terminal of its own:".to_owned(),
            format!("  {program} recv --url {} greetings", url(&far)),
            format!("  {program} send --url {} greetings hello", url(near)),
        ];
        if let Some([harm, cure]) = self.way_to_break(near, &far) {
            lines.push(format!(
                "then `{harm}` here, and send again; `{cure}` mends it"
            ));
        }
        lines
    }

    /// The router most links away.
    fn far(&self, from: &str) -> String {
        let mut known = vec![from.to_owned()];
        let mut at = 0;
        while at < known.len() {
            for (edge, _) in self.cluster.links() {
                let beyond = edge.other_end(&known[at]).map(str::to_owned);
                known.extend(beyond.filter(|name| !known.contains(name)));
            }
            at += 1;
        }
        known.pop().expect("the first is always there")
    }

    /// What to do to the way between two routers, and what mends that.
    fn way_to_break(&self, near: &str, far: &str) -> Option<[String; 2]> {
        let mut edges = self.cluster.links().map(|(edge, _)| edge);
        if edges.any(|edge| edge.joins(near, far)) {
            return Some(["cut", "heal"].map(|verb| format!("{verb} {near}-{far}")));
        }
        let names = self.cluster.names();
        let between = names.iter().find(|name| {
            let mut edges = self.cluster.links().map(|(edge, _)| edge);
            edges.any(|edge| edge.joins(near, name))
        });
        between.map(|name| ["kill", "start"].map(|verb| format!("{verb} {name}")))
    }
}
