//! Time as an argument, and the deadlines of one connection.
//!
//! Owns [`Time`] and `TimerTable`; never reads a clock.
//!
//! Decision: deadlines that move with every frame are derived from "last heard" when asked for,
//! not stored per frame, so the data path never touches a timer.

use std::ops::Add;
use std::time::Duration;

/// Nanoseconds since the owner's start. Only differences mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The start itself.
    pub const ZERO: Self = Self(0);

    /// A time this many nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A time this many milliseconds after the start; saturates after 584 years.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time that passed since `earlier`; zero if `earlier` is later.
    pub const fn saturating_sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

/// The deadlines one connection can have at once.
#[derive(Debug, Default)]
pub(crate) struct TimerTable {
    /// The peer's Open must have arrived by then.
    pub(crate) handshake: Option<Time>,
    /// Nothing heard for this long ends the connection.
    pub(crate) idle_in: Option<Duration>,
    /// When to look whether an empty frame is due.
    pub(crate) idle_out: Option<Time>,
    /// The peer's Close must have arrived by then.
    pub(crate) linger: Option<Time>,
    /// When something last arrived.
    pub(crate) last_heard: Time,
}

impl TimerTable {
    /// The earliest deadline, or `None` if nothing is awaited.
    pub(crate) fn earliest(&self) -> Option<Time> {
        let idle_in = self.idle_in.map(|after| self.last_heard + after);
        [self.handshake, idle_in, self.idle_out, self.linger]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(
            Time::ZERO.saturating_sub(Time::from_millis(1)),
            Duration::ZERO
        );
        assert_eq!(
            Time::from_millis(u64::MAX) + Duration::MAX,
            Time::from_nanos(u64::MAX)
        );
        assert_eq!(
            (Time::from_millis(2) + Duration::from_millis(3)).as_nanos(),
            5_000_000
        );
    }

    #[test]
    fn the_earliest_deadline_follows_what_was_heard() {
        let mut timers = TimerTable::default();
        assert_eq!(timers.earliest(), None);
        timers.idle_in = Some(Duration::from_millis(10));
        timers.handshake = Some(Time::from_millis(12));
        assert_eq!(timers.earliest(), Some(Time::from_millis(10)));
        timers.last_heard = Time::from_millis(5);
        assert_eq!(timers.earliest(), Some(Time::from_millis(12)));
    }
}
