//! How long deliveries take, from their arrival to their settlement: a histogram for each shard,
//! written by that shard alone.
//!
//! Decision: bounds are powers of two, so the place of a time costs a few instructions and nothing
//! has to be searched; times are those of turns, so nobody asks for the time more often.

use std::sync::atomic::{AtomicU64, Ordering};

/// The first bound, in microseconds, as a power of two: 64.
const FIRST: u32 = 6;

/// Bounds, each twice the one before: up to 16.8 seconds.
const BOUNDS: usize = 19;

/// One shard's histogram.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// Deliveries up to each bound and above the one before, and those beyond the last.
    cells: [AtomicU64; BOUNDS + 1],
    micros: AtomicU64,
}

impl Histogram {
    /// Counts a delivery; to be called by the one writer.
    #[inline]
    pub(crate) fn observe(&self, micros: u64) {
        let place = place(micros);
        if let Some(cell) = self.cells.get(place) {
            add(cell, 1);
        }
        add(&self.micros, micros);
    }
}

fn add(cell: &AtomicU64, n: u64) {
    let sum = cell.load(Ordering::Relaxed).wrapping_add(n);
    cell.store(sum, Ordering::Relaxed);
}

/// The first bound that is not below a time.
fn place(micros: u64) -> usize {
    let above = micros.saturating_sub(1) >> FIRST;
    let bits = (u64::BITS - above.leading_zeros()) as usize;
    bits.min(BOUNDS)
}

/// The sums of all shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Deliveries that took up to the bound, the last being without; not those of the places
    /// before.
    cells: [u64; BOUNDS + 1],
    micros: u64,
}

impl Latencies {
    pub(crate) fn add(&mut self, shard: &Histogram) {
        for (sum, cell) in self.cells.iter_mut().zip(&shard.cells) {
            *sum = sum.wrapping_add(cell.load(Ordering::Relaxed));
        }
        self.micros = self
            .micros
            .wrapping_add(shard.micros.load(Ordering::Relaxed));
    }

    /// The bounds in seconds, each with the deliveries that took no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut sum = 0;
        let cells = self.cells.iter().take(BOUNDS).enumerate();
        cells.map(move |(at, count)| {
            sum += count;
            ((1_u64 << FIRST << at) as f64 / 1e6, sum)
        })
    }

    /// All deliveries.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.cells.iter().sum()
    }

    /// What they took together.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.micros as f64 / 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_at_the_first_bound_that_it_does_not_exceed() {
        assert_eq!([0, 1, 64, 65, 128, 129].map(place), [0, 0, 0, 1, 1, 2]);
        assert_eq!(place(16_777_216), BOUNDS - 1);
        assert_eq!([16_777_217, u64::MAX].map(place), [BOUNDS; 2]);
    }

    #[test]
    fn sums_are_cumulative() {
        let (one, other) = (Histogram::default(), Histogram::default());
        for micros in [10, 100, 1000] {
            one.observe(micros);
        }
        other.observe(60_000_000);
        let mut all = Latencies::default();
        all.add(&one);
        all.add(&other);
        let counts: Vec<_> = all.cumulative().collect();
        assert_eq!(counts[..2], [(0.000_064, 1), (0.000_128, 2)]);
        assert_eq!(counts[4], (0.001_024, 3));
        assert_eq!(counts[BOUNDS - 1], (16.777_216, 3));
        assert_eq!(all.count(), 4);
        assert!((all.seconds() - 60.001_11).abs() < 1e-9);
    }
}
