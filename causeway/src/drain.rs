//! The end of a router in good order: how long it waits for what is in flight, and what it says.

use std::time::Duration;

use amqp_proto::Time;
use management::counted;

use crate::log::{Level, Log, Module};

/// How often it is looked whether everything has settled.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// How long nothing must be under way before the end, so that no letter between two workers can
/// have been missed.
const QUIET: Duration = Duration::from_millis(30);

/// The same where there are neighbours: what they sent before they heard is still on its way.
const QUIET_IN_NETWORK: Duration = Duration::from_millis(250);

/// The wait for what is in flight.
#[derive(Debug)]
pub(crate) struct Drain {
    began: Time,
    until: Time,
    quiet: Duration,
    quiet_since: Option<Time>,
}

impl Drain {
    /// Begins to wait, `bound` at most.
    pub(crate) fn begin(bound: Duration, is_in_network: bool, now: Time) -> Self {
        Self {
            began: now,
            until: now + bound,
            quiet: if is_in_network {
                QUIET_IN_NETWORK.min(bound)
            } else {
                QUIET
            },
            quiet_since: None,
        }
    }

    /// Waits for nothing.
    pub(crate) fn none() -> Self {
        Self::begin(Duration::ZERO, false, Time::ZERO)
    }

    /// Whoever waits is in a hurry: waits no longer.
    pub(crate) fn hurry(&mut self) {
        self.until = Time::ZERO;
    }

    /// Whoever waits is asked to end again, and may wait for so long from now, never longer than
    /// before.
    pub(crate) fn shorten(&mut self, bound: Duration, now: Time, log: &Log) {
        self.until = self.until.min(now + bound);
        let left = self.until.saturating_sub(now).as_secs_f64();
        let text = format!("Asked to end again: what is in flight may take {left} s to settle");
        log.line(Module::Server, Level::Notice, text);
    }

    /// Whether the wait is over, with so many deliveries in flight.
    pub(crate) fn is_over(&mut self, in_flight: usize, now: Time) -> bool {
        if in_flight > 0 {
            self.quiet_since = None;
            return now >= self.until;
        }
        let since = *self.quiet_since.get_or_insert(now);
        now.saturating_sub(since) >= self.quiet || now >= self.until
    }

    /// Says what is waited for.
    pub(crate) fn tell_begin(&self, in_flight: usize, log: &Log) {
        let bound = self.until.saturating_sub(self.began);
        let text = format!(
            "Draining: nobody new is let in; {} in flight may take {} s to settle",
            counted(in_flight, "delivery"),
            bound.as_secs_f64()
        );
        log.line(Module::Server, Level::Notice, text);
    }

    /// Says what was left.
    pub(crate) fn tell_end(&self, in_flight: usize, now: Time, log: &Log) {
        let took = now.saturating_sub(self.began).as_millis();
        let (level, text) = if in_flight == 0 {
            (
                Level::Notice,
                format!("Drained in {took} ms: nothing is in flight"),
            )
        } else {
            let left = counted(in_flight, "delivery");
            let text = format!("Not drained after {took} ms: {left} in flight left unsettled");
            (Level::Warning, text)
        };
        log.line(Module::Server, level, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn it_ends_when_nothing_has_been_under_way_for_a_moment() {
        let mut drain = Drain::begin(Duration::from_secs(2), false, at(0));
        assert!(!drain.is_over(1, at(1000)));
        assert!(!drain.is_over(0, at(1010)));
        assert!(
            !drain.is_over(1, at(1020)),
            "a letter was between two workers"
        );
        assert!(!drain.is_over(0, at(1030)));
        assert!(drain.is_over(0, at(1060)));
    }

    #[test]
    fn it_ends_when_the_time_is_up_or_when_asked_again() {
        let mut drain = Drain::begin(Duration::from_secs(2), true, at(0));
        assert!(!drain.is_over(3, at(1999)));
        assert!(drain.is_over(3, at(2000)));
        let mut drain = Drain::begin(Duration::from_secs(2), true, at(0));
        drain.hurry();
        assert!(drain.is_over(3, at(1)));
        assert!(Drain::none().is_over(3, at(0)));
    }

    #[test]
    fn in_a_network_it_waits_for_what_neighbours_sent_before_they_heard() {
        let mut drain = Drain::begin(Duration::from_secs(2), true, at(0));
        assert!(!drain.is_over(0, at(0)));
        assert!(!drain.is_over(0, at(249)));
        assert!(drain.is_over(0, at(250)));
    }
}
