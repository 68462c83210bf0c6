//! Measurements as text and as JSON.
//!
//! Owns the words and figures that are printed; it computes nothing that is not for show.

use management::counted;
use serde_json::{Value as Json, json};

use crate::cli::bench::load::Load;
use crate::cli::bench::measure::Measurement;
use crate::cli::bench::process::Usage;
use crate::cli::failure::Failure;
use crate::cli::quantity::{bytes, grouped, nanoseconds, three_digits};
use crate::cli::screen;

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("max", 1.0),
];

/// Prints results as they come: text at once, JSON as one document at the end.
#[derive(Debug)]
pub(super) struct Printer {
    as_json: bool,
    results: Vec<Json>,
}

impl Printer {
    /// A printer of JSON or text.
    #[must_use]
    pub(super) fn new(as_json: bool) -> Self {
        Self {
            as_json,
            results: Vec::new(),
        }
    }

    /// Prints a result.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(super) fn print(&mut self, text: &str, json: Json) -> Result<(), Failure> {
        if self.as_json {
            self.results.push(json);
            return Ok(());
        }
        Ok(screen::say(text)?)
    }

    /// Ends the output; one result stands alone, several in an array.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        if !self.as_json {
            return Ok(());
        }
        let document = match self.results.len() {
            1 => self.results.remove(0),
            _ => Json::Array(self.results),
        };
        Ok(screen::say(&document.to_string())?)
    }
}

/// One measurement as a few lines of text.
#[must_use]
pub(super) fn text(measurement: &Measurement) -> String {
    let mut lines = vec![measurement.load.name()];
    let (count, seconds) = (&measurement.count, measurement.elapsed.as_secs_f64());
    lines.push(format!(
        "  throughput   {} msg/s, {}/s ({} in {} s)",
        whole(measurement.rate()),
        bytes(whole_number(
            measurement.rate() * float(measurement.load.size as u64)
        )),
        counted(grouped(count.received), "message"),
        three_digits(seconds),
    ));
    if !measurement.latencies.is_empty() {
        let quantiles: Vec<String> = QUANTILES
            .iter()
            .map(|(name, quantile)| {
                let value = measurement.latencies.value_at_quantile(*quantile);
                format!("{name} {}", nanoseconds(value))
            })
            .collect();
        let from = if measurement.load.rate.is_some() {
            "from when due"
        } else {
            "under full load"
        };
        lines.push(format!("  latency      {} ({from})", quantiles.join("  ")));
    }
    if let (Some(cost), Some(usage)) = (measurement.cost(), &measurement.subject) {
        lines.push(format!(
            "  router CPU   {} µs a message; {}",
            three_digits(cost),
            usage_text(usage, measurement)
        ));
    }
    if let Some(usage) = &measurement.generator {
        lines.push(format!("  generator    {}", usage_text(usage, measurement)));
    }
    if let (Some(connections), Some(took)) = (measurement.load.crowd, measurement.crowd) {
        lines.push(format!(
            "  crowd        {} open in {} s",
            counted(connections, "connection"),
            three_digits(took.as_secs_f64())
        ));
    }
    lines.extend(
        complaints(measurement)
            .iter()
            .map(|text| format!("  {text}")),
    );
    lines.join("\n")
}

/// What is not as it should be.
#[must_use]
pub(super) fn complaints(measurement: &Measurement) -> Vec<String> {
    let mut complaints = Vec::new();
    let (count, total) = (&measurement.count, &measurement.total);
    let others = count.rejected + count.released + count.modified;
    if others > 0 {
        complaints.push(format!(
            "OUTCOMES: {} rejected, {} released, {} modified",
            grouped(count.rejected),
            grouped(count.released),
            grouped(count.modified)
        ));
    }
    if measurement.lost() > 0 {
        complaints.push(format!(
            "LOST: {} of {} did not arrive",
            grouped(measurement.lost()),
            counted(grouped(total.sent), "message")
        ));
    }
    if total.disordered > 0 {
        complaints.push(format!(
            "ORDER: {} came out of order, or others before them are missing",
            counted(grouped(total.disordered), "message")
        ));
    }
    if let Some(rate) = measurement.load.rate
        && measurement.rate() < rate * 0.98
    {
        complaints.push(format!("BEHIND: {} msg/s were asked for", whole(rate)));
    }
    if measurement
        .crowd
        .is_some_and(|took| took > measurement.elapsed)
    {
        let text = "CROWD: it took longer than was measured: a longer --duration shows all of it";
        complaints.push(text.to_owned());
    }
    if measurement
        .subject
        .is_some_and(|usage| usage.processor().is_zero())
        && count.received > 10_000
    {
        complaints.push("the process measured used no CPU: is --pid the router itself?".into());
    }
    complaints
}

/// One measurement as JSON.
#[must_use]
pub(super) fn json(measurement: &Measurement) -> Json {
    let count = &measurement.count;
    let mut object = json!({
        "load": load_json(&measurement.load),
        "seconds": measurement.elapsed.as_secs_f64(),
        "messages_per_second": measurement.rate(),
        "sent": count.sent,
        "received": count.received,
        "accepted": count.accepted,
        "rejected": count.rejected,
        "released": count.released,
        "modified": count.modified,
        "lost": measurement.lost(),
        "disordered": measurement.total.disordered,
    });
    if !measurement.latencies.is_empty() {
        let quantiles = QUANTILES.iter().map(|(name, quantile)| {
            let value = measurement.latencies.value_at_quantile(*quantile);
            (name.replace('.', "_"), Json::from(value))
        });
        object["latency_nanoseconds"] = Json::Object(quantiles.collect());
        object["latency_nanoseconds"]["mean"] = measurement.latencies.mean().into();
    }
    if let Some(usage) = &measurement.subject {
        object["router"] = usage_json(usage);
        object["router"]["microseconds_per_message"] = measurement.cost().into();
    }
    if let Some(usage) = &measurement.generator {
        object["generator"] = usage_json(usage);
    }
    if let Some(took) = measurement.crowd {
        object["crowd_seconds"] = took.as_secs_f64().into();
    }
    object
}

/// A load as JSON.
#[must_use]
pub(super) fn load_json(load: &Load) -> Json {
    json!({
        "name": load.name(),
        "pairs": load.pairs,
        "size": load.size,
        "credit": load.credit,
        "settled": load.settled,
        "rate": load.rate,
        "burst": load.burst,
        "connections": load.connections,
        "crowd": load.crowd,
    })
}

fn usage_text(usage: &Usage, measurement: &Measurement) -> String {
    let seconds = measurement.elapsed.as_secs_f64();
    let share = 100.0 * usage.processor().as_secs_f64() / seconds;
    let messages = float(measurement.count.received.max(1));
    format!(
        "{} % of a core ({} % in the kernel), {}, {} switches a message, {} resident",
        three_digits(share),
        three_digits(100.0 * usage.system.as_secs_f64() / seconds),
        counted(usage.threads, "thread"),
        three_digits(float(usage.switches) / messages),
        bytes(usage.resident_bytes),
    )
}

fn usage_json(usage: &Usage) -> Json {
    json!({
        "user_seconds": usage.user.as_secs_f64(),
        "system_seconds": usage.system.as_secs_f64(),
        "threads": usage.threads,
        "context_switches": usage.switches,
        "resident_bytes": usage.resident_bytes,
    })
}

/// A rate without fractions.
#[must_use]
pub(super) fn whole(rate: f64) -> String {
    grouped(whole_number(rate))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is not negative, and is shown to the message"
)]
fn whole_number(rate: f64) -> u64 {
    rate.round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::bench::receiver::latencies;
    use crate::cli::bench::stage::Count;

    fn measurement() -> Measurement {
        let load = Load {
            pairs: 1,
            size: 100,
            credit: 100,
            settled: false,
            rate: None,
            burst: 1,
            connections: 1,
            crowd: None,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(2),
        };
        let count = Count {
            sent: 20_000,
            received: 20_000,
            accepted: 20_000,
            ..Count::default()
        };
        let usage = Usage {
            user: Duration::from_millis(100),
            threads: 3,
            ..Usage::default()
        };
        let mut latencies = latencies();
        latencies.record(1_000_000).unwrap();
        Measurement {
            load,
            elapsed: Duration::from_secs(2),
            count,
            total: count,
            latencies,
            subject: Some(usage),
            further: Vec::new(),
            generator: None,
            crowd: None,
        }
    }

    #[test]
    fn figures_are_for_one_message_and_one_second() {
        let text = text(&measurement());
        assert!(
            text.contains("10 000 msg/s, 1 MB/s (20 000 messages in 2 s)"),
            "{text}"
        );
        assert!(
            text.contains("router CPU   5 µs a message; 5 % of a core"),
            "{text}"
        );
        assert!(text.contains("p99 1 ms"), "{text}");
        assert_eq!(complaints(&measurement()), Vec::<String>::new());
    }

    #[test]
    fn json_has_the_same_figures() {
        let json = json(&measurement());
        assert_eq!(json["messages_per_second"], 10_000.0);
        assert_eq!(json["router"]["microseconds_per_message"], 5.0);
        assert_eq!(json["load"]["name"], "100 B unsettled, 1 pair");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mut wrong = measurement();
        wrong.total.sent += 7;
        wrong.count.released = 2;
        wrong.total.disordered = 1;
        wrong.load.rate = Some(50_000.0);
        wrong.crowd = Some(Duration::from_secs(3));
        wrong.subject = Some(Usage::default());
        let complaints = complaints(&wrong);
        for (complaint, start) in complaints.iter().zip([
            "OUTCOMES: 0 rejected, 2",
            "LOST: 7 of",
            "ORDER: 1",
            "BEHIND: 50 000",
            "CROWD: it took longer",
        ]) {
            assert!(complaint.starts_with(start), "{complaint}");
        }
        assert_eq!(complaints.len(), 6);
    }
}
