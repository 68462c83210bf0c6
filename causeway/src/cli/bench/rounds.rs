//! Several subjects under one load, in turn.
//!
//! Owns the order – round by round, one after the other within a round – and what is taken from
//! it. A machine drifts (clock frequency, neighbours): figures minutes apart do not compare,
//! neighbours in time do. So each round gives a ratio of its own, and the median of these is the
//! result.

use serde_json::{Value as Json, json};

use crate::cli::bench::load::Load;
use crate::cli::bench::measure::{Measurement, Settings, Subject, measure};
use crate::cli::bench::report;
use crate::cli::failure::Failure;
use crate::cli::quantity::three_digits;
use crate::cli::screen::Progress;

/// What was measured under one load.
pub(super) struct Rounds {
    /// The subjects in their order.
    pub(super) names: Vec<String>,
    /// The measurements of each round, in the same order.
    pub(super) measured: Vec<Vec<Measurement>>,
}

impl Rounds {
    /// Measures each subject `count` times.
    ///
    /// # Errors
    /// If a subject loses a connection.
    pub(super) fn measure(
        count: u32,
        subjects: &[(String, &Subject)],
        load: &Load,
        settings: &Settings,
        progress: &mut Progress,
    ) -> Result<Self, Failure> {
        let mut measured = Vec::new();
        for round in 1..=count {
            let mut measurements = Vec::new();
            for (name, subject) in subjects {
                progress.show(&format!("{}: round {round}, {name}", load.name()));
                let failed = |failure: Failure| {
                    Failure::new(format!("{name} under {}: {failure}", load.name()))
                };
                measurements.push(measure(subject, load, settings, progress).map_err(failed)?);
            }
            measured.push(measurements);
        }
        progress.clear();
        let names = subjects.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { names, measured })
    }

    /// A figure of each round; none if a round has none.
    pub(super) fn spread(&self, figure: impl Fn(&[Measurement]) -> Option<f64>) -> Option<Spread> {
        let figures = self.measured.iter().map(|round| figure(round));
        Spread::of(figures.collect::<Option<_>>()?)
    }

    /// The middle one of a subject's figures.
    pub(super) fn median(
        &self,
        subject: usize,
        figure: impl Fn(&Measurement) -> Option<f64>,
    ) -> Option<f64> {
        let spread = self.spread(|round| figure(&round[subject]));
        spread.map(|spread| spread.median)
    }

    /// As text: a line for each subject, then what is wrong with it.
    pub(super) fn text(&self, load: &Load, line: impl Fn(usize, &str) -> String) -> String {
        let mut lines = vec![load.name()];
        for (index, name) in self.names.iter().enumerate() {
            lines.push(line(index, name));
            let rounds = self.measured.iter();
            let complaints = rounds.flat_map(|round| report::complaints(&round[index]));
            lines.extend(complaints.map(|text| format!("    {text}")));
        }
        lines.join("\n")
    }
}

/// How far the figures of some rounds are apart.
pub(super) struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let median = *figures.get(figures.len() / 2)?;
        Some(Self {
            min: *figures.first()?,
            median,
            max: *figures.last()?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_rounds() {
        let ratio = Spread::of(vec![0.3, 0.1, 0.2]).unwrap();
        assert_eq!(ratio.text(), "0.2 (0.1 to 0.3)");
        assert!(Spread::of(Vec::new()).is_none());
    }
}
