//! Lines of the log that others could make come without end.

use std::time::Duration;

use amqp_proto::Time;

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// How often something has happened, and when that was said.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    last: Option<Time>,
    unsaid: u64,
}

impl Seldom {
    /// It has happened; how often since it was said last, if it may be said now.
    pub(super) fn note(&mut self, now: Time) -> Option<u64> {
        self.unsaid += 1;
        if self
            .last
            .is_some_and(|last| now.saturating_sub(last) < PAUSE)
        {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_often_is_said_at_times_with_its_number() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.note(Time::ZERO), Some(1));
        assert_eq!(seldom.note(Time::ZERO), None);
        assert_eq!(seldom.note(Time::ZERO + PAUSE), Some(2));
    }
}
