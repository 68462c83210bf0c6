//! What a hop costs: lines of this router, senders at one end and receivers at the other.
//!
//! Owns the routers of the lines and how their figures stand beside those of one router alone; the
//! ratio of a line is that of its dearest router.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cli::bench::compare::Comparison;
use crate::cli::bench::load::Load;
use crate::cli::bench::measure::{Settings, Subject, measure};
use crate::cli::bench::report::{self, Printer};
use crate::cli::bench::rival::{Rival, Workshop, free_port, own_command};
use crate::cli::bench::rounds::{Rounds, Spread};
use crate::cli::client::endpoint::Endpoint;
use crate::cli::failure::Failure;
use crate::cli::quantity::three_digits;
use crate::cli::screen::Progress;

/// How long a message is tried, and how often, until a line has found itself.
const TRIAL: Duration = Duration::from_millis(500);
const TRIALS: u32 = 40;

/// Some routers in a row.
struct Line {
    routers: Vec<Rival>,
    subject: Subject,
}

impl Line {
    /// Starts as many routers as it says.
    fn start(workshop: &Workshop, length: u16, comparison: &Comparison) -> Result<Self, Failure> {
        let command = own_command(&comparison.run_options)?;
        let mut routers: Vec<Rival> = Vec::new();
        let mut before = None;
        for place in 1..=length {
            let name = format!("line-{length}-{place}");
            let (port, joint) = (free_port()?, free_port()?);
            let text = configuration(&name, port, joint, before, comparison.workers);
            routers.push(Rival::configured(workshop, &name, &command, port, &text)?);
            before = Some(joint);
        }
        let endpoint = |rival: &Rival| Endpoint::local(rival.port);
        let mut pids = routers.iter().map(Rival::pid);
        let (Some(first), Some(last)) = (routers.first(), routers.last()) else {
            return Err(Failure::new("a line has at least one router"));
        };
        let subject = Subject {
            endpoint: endpoint(first),
            exit: Some(endpoint(last)),
            listener: None,
            pid: pids.next(),
            further: pids.collect(),
        };
        Ok(Self { routers, subject })
    }

    /// Waits until messages pass.
    fn settle(&self, settings: &Settings, progress: &mut Progress) -> Result<(), Failure> {
        let trial = Load {
            pairs: 1,
            size: 1,
            credit: 10,
            settled: false,
            rate: None,
            burst: 1,
            connections: 1,
            crowd: None,
            warm_up: Duration::ZERO,
            duration: TRIAL,
        };
        for _ in 0..TRIALS {
            if measure(&self.subject, &trial, settings, progress)?
                .total
                .received
                > 0
            {
                return Ok(());
            }
        }
        Err(Failure::new(format!(
            "no message passes a line of {}",
            self.routers.len()
        )))
    }

    fn name(&self) -> String {
        match self.routers.len() {
            1 => "alone".to_owned(),
            length => format!("line of {length}"),
        }
    }
}

/// Measures loads through lines of one router to `longest`.
///
/// # Errors
/// If a router does not start, or loses a connection on the way.
pub(super) fn loads(
    longest: u16,
    comparison: &Comparison,
    loads: &[Load],
    settings: &Settings,
    progress: &mut Progress,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let workshop = Workshop::new()?;
    let mut lines = Vec::new();
    for length in 1..=longest {
        let line = Line::start(&workshop, length, comparison)?;
        line.settle(settings, progress)?;
        lines.push(line);
    }
    let subjects: Vec<_> = lines
        .iter()
        .map(|line| (line.name(), &line.subject))
        .collect();
    for load in loads {
        let rounds = Rounds::measure(comparison.rounds, &subjects, load, settings, progress)?;
        printer.print(&text(load, &rounds), json(load, &rounds))?;
    }
    Ok(())
}

/// The ratio of the dearest router of a line to one alone, round by round.
fn ratio(rounds: &Rounds, line: usize) -> Option<Spread> {
    rounds.spread(|round| {
        let alone = round[0].cost()?;
        let dearest = round[line].costs().into_iter().max_by(f64::total_cmp)?;
        (alone > 0.0).then_some(dearest / alone)
    })
}

/// The middle one of the costs of each router of a line.
fn costs(rounds: &Rounds, line: usize) -> Vec<f64> {
    (0..=line)
        .filter_map(|place| rounds.median(line, |one| one.costs().get(place).copied()))
        .collect()
}

fn text(load: &Load, rounds: &Rounds) -> String {
    rounds.text(load, |index, name| {
        let costs: Vec<String> = costs(rounds, index).into_iter().map(three_digits).collect();
        let rate = rounds.median(index, |one| Some(one.rate()));
        let mut line = format!(
            "  {name:<10} {:>11} msg/s  {} µs CPU a message and router",
            report::whole(rate.unwrap_or_default()),
            costs.join(", ")
        );
        if index > 0
            && let Some(ratio) = ratio(rounds, index)
        {
            line.push_str(&format!("  dearest/alone {}", ratio.text()));
        }
        line
    })
}

fn json(load: &Load, rounds: &Rounds) -> Json {
    let lines: Vec<Json> = (0..rounds.names.len())
        .map(|index| {
            let ratio = ratio(rounds, index).map(|ratio| ratio.json());
            json!({
                "routers": index + 1,
                "cpu_microseconds_per_message": costs(rounds, index),
                "dearest_to_alone": ratio,
            })
        })
        .collect();
    json!({ "load": report::load_json(load), "lines": lines })
}

/// An interior router of a line: clients on one port, the next router on another, the one before
/// it at a third.
fn configuration(name: &str, port: u16, joint: u16, before: Option<u16>, workers: usize) -> String {
    let listener = |role: &str, port: u16| {
        format!(
            "listener {{\n    host: 127.0.0.1\n    port: {port}\n    role: {role}\n    \
             authenticatePeer: no\n    saslMechanisms: ANONYMOUS\n}}\n\n"
        )
    };
    let connector = before.map(|port| {
        format!(
            "connector {{\n    host: 127.0.0.1\n    port: {port}\n    role: inter-router\n    \
             saslMechanisms: ANONYMOUS\n}}\n\n"
        )
    });
    format!(
        "router {{\n    mode: interior\n    id: {name}\n    workerThreads: {workers}\n}}\n\n{}{}{}\
         log {{\n    module: DEFAULT\n    enable: warning+\n}}\n",
        listener("normal", port),
        listener("inter-router", joint),
        connector.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_a_line_is_one() {
        let text = configuration("b", 5672, 5673, Some(5674), 2);
        for words in ["id: b", "port: 5672", "role: inter-router", "port: 5674"] {
            assert!(text.contains(words), "{words}");
        }
        let first = configuration("a", 5672, 5673, None, 2);
        assert!(!first.contains("connector"));
    }
}
