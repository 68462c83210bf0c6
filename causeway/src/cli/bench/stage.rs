//! What the threads of one measurement share: the stage it is in, and what each has counted.
//!
//! Owns the atomics; it measures nothing. Threads count in batches and mostly in blocks of
//! counters of their own, so counting costs next to nothing.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// Where a measurement is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Phase {
    /// Running, but nothing counts yet.
    WarmUp,
    /// Latencies count.
    Measure,
    /// Senders stop and wait for the last outcomes.
    Drain,
    /// Receivers stop.
    Stop,
}

/// The phase, for all threads.
#[derive(Debug, Default)]
pub(super) struct Stage(AtomicU8);

impl Stage {
    /// The phase now.
    #[must_use]
    pub(super) fn phase(&self) -> Phase {
        match self.0.load(Ordering::Relaxed) {
            0 => Phase::WarmUp,
            1 => Phase::Measure,
            2 => Phase::Drain,
            _ => Phase::Stop,
        }
    }

    /// Goes to a phase.
    pub(super) fn enter(&self, phase: Phase) {
        let number = match phase {
            Phase::WarmUp => 0,
            Phase::Measure => 1,
            Phase::Drain => 2,
            Phase::Stop => 3,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}

/// What a thread, or a few of them, have counted so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Messages given to the connection.
    pub(super) sent: AtomicU64,
    /// Messages that arrived whole.
    pub(super) received: AtomicU64,
    /// Messages that arrived in another order than they were sent, or not once.
    pub(super) disordered: AtomicU64,
    /// Messages with outcome accepted.
    pub(super) accepted: AtomicU64,
    /// Messages with outcome rejected.
    pub(super) rejected: AtomicU64,
    /// Messages with outcome released.
    pub(super) released: AtomicU64,
    /// Messages with outcome modified, or none known.
    pub(super) modified: AtomicU64,
}

/// The sum of tallies at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Count {
    /// As in [`Tally`].
    pub(super) sent: u64,
    /// As in [`Tally`].
    pub(super) received: u64,
    /// As in [`Tally`].
    pub(super) disordered: u64,
    /// As in [`Tally`].
    pub(super) accepted: u64,
    /// As in [`Tally`].
    pub(super) rejected: u64,
    /// As in [`Tally`].
    pub(super) released: u64,
    /// As in [`Tally`].
    pub(super) modified: u64,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl Count {
    /// Adds what a thread has counted.
    pub(super) fn add(&mut self, tally: &Tally) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.sent += read(&tally.sent);
        self.received += read(&tally.received);
        self.disordered += read(&tally.disordered);
        self.accepted += read(&tally.accepted);
        self.rejected += read(&tally.rejected);
        self.released += read(&tally.released);
        self.modified += read(&tally.modified);
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
            disordered: self.disordered - earlier.disordered,
            accepted: self.accepted - earlier.accepted,
            rejected: self.rejected - earlier.rejected,
            released: self.released - earlier.released,
            modified: self.modified - earlier.modified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_threads() {
        let (one, two) = (Tally::default(), Tally::default());
        add(&one.accepted, 2);
        add(&two.released, 3);
        add(&two.sent, 5);
        let mut count = Count::default();
        count.add(&one);
        let earlier = count;
        count.add(&two);
        assert_eq!((count.sent, count.accepted, count.released), (5, 2, 3));
        let since = count.since(&earlier);
        assert_eq!((since.sent, since.accepted, since.released), (5, 0, 3));
    }

    #[test]
    fn phases_follow_each_other() {
        let stage = Stage::default();
        for phase in [Phase::WarmUp, Phase::Measure, Phase::Drain, Phase::Stop] {
            stage.enter(phase);
            assert_eq!(stage.phase(), phase);
        }
    }
}
