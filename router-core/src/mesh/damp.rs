//! Not too often, not too soon: what holds back reactions to a network that will not come to rest.
//!
//! Owns the arithmetic of time. Decision: the first of a row is never held back, so that a network
//! at rest reacts at once, and each further one twice as long as the one before.

use std::time::Duration;

use amqp_proto::Time;

use crate::limits;

/// Lets the first of a row of acts through at once and spaces out the rest.
#[derive(Clone, Debug)]
pub(super) struct Damper {
    first: Duration,
    longest: Duration,
    hold: Duration,
    last: Option<Time>,
}

impl Damper {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            hold: Duration::ZERO,
            last: None,
        }
    }

    /// When the next act may be.
    pub(super) fn ready(&self) -> Time {
        self.last.map_or(Time::ZERO, |last| last + self.hold)
    }

    /// Takes note of an act. A row ends when nothing was done for twice the time to wait.
    pub(super) fn acted(&mut self, now: Time) {
        let quiet = self
            .last
            .is_none_or(|last| now > last + (self.hold + self.first) * 2);
        self.hold = if quiet {
            self.first
        } else {
            (self.hold * 2).min(self.longest)
        };
        self.last = Some(now);
    }
}

/// A question to another router that is repeated until it is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Ask {
    wanted: bool,
    tries: u32,
    not_before: Time,
}

impl Ask {
    /// The answer is needed.
    pub(super) fn want(&mut self) {
        self.wanted = true;
    }

    /// When to ask; `None` if the answer is not needed.
    pub(super) fn due(&self) -> Option<Time> {
        self.wanted.then_some(self.not_before)
    }

    /// Whether it was asked and not answered.
    pub(super) fn is_asked(&self) -> bool {
        self.wanted && self.tries > 0
    }

    /// The question was sent.
    pub(super) fn asked(&mut self, now: Time) {
        let wait = limits::MESH_ASK_TIME_OUT * (1 << self.tries.min(8));
        self.not_before = now + wait.min(limits::MESH_ASK_TIME_OUT_MAX);
        self.tries += 1;
    }

    /// The answer came, or is not needed any more.
    pub(super) fn answered(&mut self, now: Time) {
        *self = Self {
            wanted: false,
            tries: 0,
            not_before: now + limits::MESH_ASK_INTERVAL,
        };
    }

    /// Not before this time.
    pub(super) fn postpone(&mut self, until: Time) {
        self.not_before = until;
    }

    /// The way on which it was asked is gone: ask again as soon as there is another.
    pub(super) fn retry(&mut self) {
        self.tries = 0;
        self.not_before = Time::ZERO;
    }
}

/// So much a second, and what was not used lately besides.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    per_second: u64,
    /// When it will have been full again if nothing more is taken.
    full_at: Time,
}

impl Bucket {
    pub(super) const fn new(per_second: u64) -> Self {
        Self {
            per_second,
            full_at: Time::ZERO,
        }
    }

    /// Whether there is anything in it.
    pub(super) fn is_open(&self, now: Time) -> bool {
        self.full_at <= now + Duration::from_secs(1)
    }

    /// When there will be.
    pub(super) fn opens(&self) -> Time {
        let wait = self
            .full_at
            .saturating_sub(Time::ZERO + Duration::from_secs(1));
        Time::ZERO + wait
    }

    /// Takes out so much, even if that is more than there is.
    pub(super) fn take(&mut self, amount: u64, now: Time) {
        let nanos = u128::from(amount) * 1_000_000_000 / u128::from(self.per_second.max(1));
        let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.full_at = self.full_at.max(now) + time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn the_first_act_is_at_once_and_a_row_of_them_slows_down() {
        let mut damper = Damper::new(Duration::from_millis(100), Duration::from_millis(500));
        let mut now = at(1000);
        let mut waits = Vec::new();
        for _ in 0..6 {
            let next = damper.ready().max(now);
            waits.push(next.saturating_sub(now).as_millis());
            now = next;
            damper.acted(now);
        }
        assert_eq!(waits, [0, 100, 200, 400, 500, 500]);
        let later = now + Duration::from_secs(2);
        assert!(damper.ready() <= later);
        damper.acted(later);
        assert_eq!(
            damper.ready(),
            later + Duration::from_millis(100),
            "a new row"
        );
    }

    #[test]
    fn a_question_is_repeated_ever_more_seldom_until_it_is_answered() {
        let mut ask = Ask::default();
        assert_eq!(ask.due(), None);
        ask.want();
        assert_eq!(ask.due(), Some(Time::ZERO));
        ask.asked(at(0));
        assert_eq!(ask.due(), Some(at(1000)));
        ask.asked(at(1000));
        assert_eq!(ask.due(), Some(at(3000)));
        for _ in 0..10 {
            ask.asked(at(3000));
        }
        assert_eq!(ask.due(), Some(at(33_000)));
        ask.answered(at(4000));
        assert_eq!(ask.due(), None);
        ask.want();
        assert_eq!(ask.due(), Some(at(4200)));
    }

    #[test]
    fn a_bucket_gives_its_rate_and_a_second_in_advance() {
        let mut bucket = Bucket::new(10);
        let mut taken = 0;
        for millis in 0..10_000 {
            if bucket.is_open(at(millis)) {
                bucket.take(1, at(millis));
                taken += 1;
            }
        }
        assert!((109..=112).contains(&taken), "{taken}");
        bucket.take(100, at(10_000));
        assert!(!bucket.is_open(at(10_001)));
        assert!(bucket.is_open(bucket.opens()));
    }
}
