//! Two or three programs under the same loads, in turn.
//!
//! Owns which programs these are and what is told of them; the first is this router, and ratios
//! are its figures to another program's.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value as Json, json};

use crate::cli::bench::idle;
use crate::cli::bench::load::Load;
use crate::cli::bench::measure::{Measurement, Settings, Subject};
use crate::cli::bench::report::{self, Printer};
use crate::cli::bench::rival::{Rival, Workshop, own_command};
use crate::cli::bench::rounds::{Rounds, Spread};
use crate::cli::client::endpoint::Endpoint;
use crate::cli::failure::Failure;
use crate::cli::quantity::{nanoseconds, three_digits};
use crate::cli::screen::Progress;

/// What to compare this router with.
#[derive(Clone, Debug)]
pub(super) struct Comparison {
    /// The command of another router.
    pub(super) other: Option<String>,
    /// The command of a TCP proxy.
    pub(super) proxy: Option<String>,
    /// Further options for this router's `run`, as in a shell.
    pub(super) run_options: String,
    /// How often each is measured.
    pub(super) rounds: u32,
    /// Worker threads of the routers.
    pub(super) workers: usize,
}

/// Measures idle connections.
///
/// # Errors
/// If a program does not start or a connection fails.
pub(super) fn idle(
    comparison: &Comparison,
    count: usize,
    settings: &Settings,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let workshop = Workshop::new()?;
    for (rival, subject) in start(&workshop, comparison)? {
        let cost = idle::measure(&subject.endpoint, rival.pid(), count, settings)?;
        let text = format!("{}: {}", rival.name, cost.text());
        printer.print(&text, json!({ "name": rival.name, "cost": cost.json() }))?;
    }
    Ok(())
}

/// Measures loads.
///
/// # Errors
/// If a program does not start, or loses a connection on the way.
pub(super) fn loads(
    comparison: &Comparison,
    loads: &[Load],
    settings: &Settings,
    progress: &mut Progress,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let workshop = Workshop::new()?;
    let started = start(&workshop, comparison)?;
    let subjects: Vec<_> = started
        .iter()
        .map(|(rival, subject)| (rival.name.clone(), subject))
        .collect();
    for load in loads {
        let rounds = Rounds::measure(comparison.rounds, &subjects, load, settings, progress)?;
        printer.print(&text(load, &rounds), json(load, &rounds))?;
    }
    Ok(())
}

/// Starts this router and its rivals.
fn start(workshop: &Workshop, comparison: &Comparison) -> Result<Vec<(Rival, Subject)>, Failure> {
    let router = |name: &str, command: &str| {
        let rival = Rival::router(workshop, name, command, comparison.workers)?;
        let subject = subject(&rival, None);
        Ok::<_, Failure>((rival, subject))
    };
    let mut subjects = vec![router("causeway", &own_command(&comparison.run_options)?)?];
    if let Some(command) = &comparison.other {
        subjects.push(router("other", command)?);
    }
    if let Some(command) = &comparison.proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(|error| Failure::new(format!("no port is free: {error}")))?;
        let port = listener
            .local_addr()
            .map_err(|error| Failure::new(format!("the port is unknown: {error}")))?
            .port();
        let rival = Rival::proxy(workshop, "proxy", command, port)?;
        let subject = subject(&rival, Some(listener));
        subjects.push((rival, subject));
    }
    Ok(subjects)
}

fn subject(rival: &Rival, listener: Option<TcpListener>) -> Subject {
    Subject {
        endpoint: Endpoint::local(rival.port),
        exit: None,
        listener,
        pid: Some(rival.pid()),
        further: Vec::new(),
    }
}

/// The ratios of this router's figures to another program's.
fn ratio(
    rounds: &Rounds,
    rival: usize,
    figure: impl Fn(&Measurement) -> Option<f64>,
) -> Option<Spread> {
    rounds.spread(|round| {
        let (own, other) = (figure(&round[0])?, figure(&round[rival])?);
        (other > 0.0).then_some(own / other)
    })
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn p99(measurement: &Measurement) -> Option<f64> {
    let latencies = &measurement.latencies;
    (!latencies.is_empty()).then(|| latencies.value_at_quantile(0.99) as f64)
}

/// One load as text.
fn text(load: &Load, rounds: &Rounds) -> String {
    rounds.text(load, |index, name| {
        let cost = rounds
            .median(index, Measurement::cost)
            .map_or("–".into(), |cost| format!("{} µs", three_digits(cost)));
        let rate = rounds.median(index, |one| Some(one.rate()));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a latency is a whole number of nanoseconds"
        )]
        let latency = rounds
            .median(index, p99)
            .map_or("–".into(), |ns| nanoseconds(ns as u64));
        let mut line = format!(
            "  {name:<9} {cost:>9} CPU a message  {:>11} msg/s  p99 {latency:>8}",
            report::whole(rate.unwrap_or_default())
        );
        if index > 0
            && let Some(ratio) = ratio(rounds, index, Measurement::cost)
        {
            line.push_str(&format!("  causeway/{name} CPU {}", ratio.text()));
        }
        line
    })
}

/// One load as JSON: all rounds, and the ratios.
fn json(load: &Load, rounds: &Rounds) -> Json {
    let all: Vec<Json> = rounds
        .measured
        .iter()
        .map(|round| {
            let named = rounds.names.iter().zip(round);
            named
                .map(|(name, one)| (name.clone(), report::json(one)))
                .collect()
        })
        .map(Json::Object)
        .collect();
    let mut ratios = serde_json::Map::new();
    for (index, name) in rounds.names.iter().enumerate().skip(1) {
        let figures: [(&str, Option<Spread>); 3] = [
            ("cpu_per_message", ratio(rounds, index, Measurement::cost)),
            ("throughput", ratio(rounds, index, |one| Some(one.rate()))),
            ("latency_p99", ratio(rounds, index, p99)),
        ];
        let known = figures
            .iter()
            .filter_map(|(name, ratio)| Some((*name, ratio.as_ref()?.json())));
        let known = known
            .map(|(name, ratio)| (name.to_owned(), ratio))
            .collect();
        ratios.insert(name.clone(), Json::Object(known));
    }
    json!({ "load": report::load_json(load), "rounds": all, "ratios": ratios })
}
