//! Two or three programs under the same loads, in turn.
//!
//! Owns the order – load by load, round by round, one after the other within a round – and the
//! ratios. A machine drifts (clock frequency, neighbours): figures minutes apart do not compare,
//! neighbours in time do. So each round gives a ratio of its own, and the median of these is the
//! result.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value as Json, json};

use crate::cli::bench::idle;
use crate::cli::bench::load::Load;
use crate::cli::bench::measure::{Measurement, Settings, Subject, measure};
use crate::cli::bench::report::{self, Printer};
use crate::cli::bench::rival::{Rival, Workshop, own_command};
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

/// Ratios of this router to another program, one a round.
pub(super) struct Ratio {
    min: f64,
    pub(super) median: f64,
    max: f64,
}

impl Ratio {
    /// The ratios of some rounds; none if a round has no figure.
    pub(super) fn of(mut ratios: Vec<f64>) -> Option<Self> {
        ratios.sort_by(f64::total_cmp);
        let median = *ratios.get(ratios.len() / 2)?;
        Some(Self {
            min: *ratios.first()?,
            median,
            max: *ratios.last()?,
        })
    }

    pub(super) fn text(&self) -> String {
        let [min, median, max] = [self.min, self.median, self.max].map(three_digits);
        format!("{median} ({min} to {max})")
    }

    pub(super) fn json(&self) -> Json {
        json!({ "min": self.min, "median": self.median, "max": self.max })
    }
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
    let subjects = start(&workshop, comparison)?;
    for load in loads {
        let mut rounds = Vec::new();
        for round in 1..=comparison.rounds {
            let mut measurements = Vec::new();
            for (rival, subject) in &subjects {
                progress.show(&format!("{}: round {round}, {}", load.name(), rival.name));
                let failed = |failure: Failure| {
                    let text = format!("{} under {}: {failure}", rival.name, load.name());
                    Failure::new(text)
                };
                measurements.push(measure(subject, load, settings, progress).map_err(failed)?);
            }
            rounds.push(measurements);
        }
        let names: Vec<&str> = subjects.iter().map(|(rival, _)| &*rival.name).collect();
        progress.clear();
        printer.print(&text(load, &names, &rounds), json(load, &names, &rounds))?;
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
    let host = Ipv4Addr::LOCALHOST.to_string();
    let endpoint = Endpoint {
        host,
        port: rival.port,
        address: None,
    };
    Subject {
        endpoint,
        exit: None,
        listener,
        pid: Some(rival.pid()),
        further: Vec::new(),
    }
}

/// The ratios of this router's figures to another program's.
fn ratio(
    rounds: &[Vec<Measurement>],
    rival: usize,
    figure: impl Fn(&Measurement) -> Option<f64>,
) -> Option<Ratio> {
    let ratios = rounds.iter().map(|round| {
        let (own, other) = (figure(&round[0])?, figure(&round[rival])?);
        (other > 0.0).then_some(own / other)
    });
    Ratio::of(ratios.collect::<Option<_>>()?)
}

/// The middle one of a program's figures.
fn median(
    rounds: &[Vec<Measurement>],
    rival: usize,
    figure: impl Fn(&Measurement) -> Option<f64>,
) -> Option<f64> {
    let figures = rounds.iter().map(|round| figure(&round[rival]));
    Ratio::of(figures.collect::<Option<_>>()?).map(|figures| figures.median)
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn p99(measurement: &Measurement) -> Option<f64> {
    let latencies = &measurement.latencies;
    (!latencies.is_empty()).then(|| latencies.value_at_quantile(0.99) as f64)
}

/// One load as text: a line for each program, then what is wrong.
fn text(load: &Load, names: &[&str], rounds: &[Vec<Measurement>]) -> String {
    let mut lines = vec![load.name()];
    for (index, name) in names.iter().enumerate() {
        let cost = median(rounds, index, Measurement::cost)
            .map_or("–".into(), |cost| format!("{} µs", three_digits(cost)));
        let rate = median(rounds, index, |one| Some(one.rate())).unwrap_or_default();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a latency is a whole number of nanoseconds"
        )]
        let latency = median(rounds, index, p99).map_or("–".into(), |ns| nanoseconds(ns as u64));
        let mut line = format!(
            "  {name:<9} {cost:>9} CPU a message  {:>11} msg/s  p99 {latency:>8}",
            report::whole(rate)
        );
        if index > 0
            && let Some(ratio) = ratio(rounds, index, Measurement::cost)
        {
            line.push_str(&format!("  causeway/{name} CPU {}", ratio.text()));
        }
        lines.push(line);
        let complaints = rounds
            .iter()
            .flat_map(|round| report::complaints(&round[index]));
        lines.extend(complaints.map(|text| format!("    {text}")));
    }
    lines.join("\n")
}

/// One load as JSON: all rounds, and the ratios.
fn json(load: &Load, names: &[&str], rounds: &[Vec<Measurement>]) -> Json {
    let all: Vec<Json> = rounds
        .iter()
        .map(|round| {
            let named = names.iter().zip(round);
            named
                .map(|(name, one)| ((*name).to_owned(), report::json(one)))
                .collect()
        })
        .map(Json::Object)
        .collect();
    let mut ratios = serde_json::Map::new();
    for (index, name) in names.iter().enumerate().skip(1) {
        let figures: [(&str, Option<Ratio>); 3] = [
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
        ratios.insert((*name).to_owned(), Json::Object(known));
    }
    json!({ "load": report::load_json(load), "rounds": all, "ratios": ratios })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_rounds() {
        let ratio = Ratio::of(vec![0.3, 0.1, 0.2]).unwrap();
        assert_eq!(ratio.text(), "0.2 (0.1 to 0.3)");
        assert!(Ratio::of(Vec::new()).is_none());
    }
}
