//! What is measured: one load, and the standard set of them.
//!
//! Owns the figures that describe a load; it drives nothing.

use std::time::Duration;

use management::counted;

use crate::cli::quantity;

/// Bytes of a body that hold the time it was meant to be sent and its number; a shorter body
/// carries neither, and then there are no latencies.
pub(super) const STAMP_LENGTH: usize = 16;

/// One load.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// Senders, each with one receiver and an address of its own.
    pub(super) pairs: usize,
    /// Bytes of a message's body.
    pub(super) size: usize,
    /// Messages a receiver lets come ahead of its settlement.
    pub(super) credit: u32,
    /// Messages are sent settled: nobody says what became of them.
    pub(super) settled: bool,
    /// Messages a second over all pairs; `None` is as fast as credit allows.
    pub(super) rate: Option<f64>,
    /// Messages of one pair that are due at the same moment, if the load has a rate.
    pub(super) burst: u32,
    /// Connections for all senders, and as many for all receivers.
    pub(super) connections: usize,
    /// Further connections that come at once when measuring begins.
    pub(super) crowd: Option<usize>,
    /// How long it runs before anything counts.
    pub(super) warm_up: Duration,
    /// How long it is measured.
    pub(super) duration: Duration,
}

impl Load {
    /// A name for tables: `100 B unsettled, 4 pairs`.
    #[must_use]
    pub(super) fn name(&self) -> String {
        let settled = if self.settled { "settled" } else { "unsettled" };
        let size = quantity::bytes(self.size as u64);
        let pairs = counted(self.pairs, "pair");
        let mut name = format!("{size} {settled}, {pairs}");
        if self.connections != self.pairs {
            name.push_str(&format!(
                " on {} + {} connections",
                self.connections, self.connections
            ));
        }
        if let Some(rate) = self.rate {
            name.push_str(&format!(" at {}/s", quantity::three_digits(rate)));
            if self.burst > 1 {
                name.push_str(&format!(" in bursts of {}", self.burst));
            }
        }
        if let Some(crowd) = self.crowd {
            name.push_str(&format!(", a crowd of {crowd}"));
        }
        name
    }

    /// The time between two bursts of one pair, if the load has a rate.
    #[must_use]
    pub(super) fn interval(&self) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "nobody runs 2^52 pairs")]
        let pairs = self.pairs as f64;
        let burst = f64::from(self.burst);
        self.rate
            .map(|rate| Duration::from_secs_f64(pairs * burst / rate))
    }

    /// The standard set: what the performance document's table has, with the times and the credit
    /// of this load.
    #[must_use]
    pub(super) fn suite(&self) -> Vec<Self> {
        let load = |size, pairs, rate| Self {
            pairs,
            size,
            rate,
            burst: 1,
            connections: pairs,
            crowd: None,
            settled: false,
            ..self.clone()
        };
        vec![
            load(100, 1, None),
            load(100, 4, None),
            load(10_000, 1, None),
            load(1_000_000, 1, None),
            load(100, 4, Some(20_000.0)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load {
            pairs: 4,
            size: 10_000,
            credit: 100,
            settled: true,
            rate: None,
            burst: 1,
            connections: 4,
            crowd: None,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_name_tells_loads_apart() {
        assert_eq!(load().name(), "10 kB settled, 4 pairs");
        let other = Load {
            connections: 1,
            rate: Some(500.0),
            burst: 5,
            crowd: Some(2000),
            settled: false,
            ..load()
        };
        assert_eq!(
            other.name(),
            "10 kB unsettled, 4 pairs on 1 + 1 connections at 500/s in bursts of 5, a crowd of 2000"
        );
    }

    #[test]
    fn the_suite_has_a_name_for_each_row() {
        let mut names: Vec<String> = load().suite().iter().map(Load::name).collect();
        assert_eq!(names.len(), 5);
        names.dedup();
        assert_eq!(names.len(), 5);
        assert!(
            load()
                .suite()
                .iter()
                .all(|row| row.credit == 100 && !row.settled)
        );
    }
}
