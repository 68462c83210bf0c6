//! Token buckets for what a peer may ask for without paying.
//!
//! Owns `Budget`; never reads a clock.
//!
//! Decision: frames that cost the peer nothing (empty frames, empty transfers, echo requests) are
//! paid from a bucket that refills with time, so that reflection and churn have a rate.

use crate::time::Time;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Tokens that refill at a steady rate up to one second's worth.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In nanoseconds of refill, so that slow rates lose nothing to rounding.
    full_since: Time,
}

impl Budget {
    /// A full bucket.
    pub(crate) const fn new() -> Self {
        Self {
            full_since: Time::ZERO,
        }
    }

    /// Takes one token of `rate` a second; `false` if the bucket is empty.
    pub(crate) fn take(&mut self, rate: u32, now: Time) -> bool {
        self.take_many(rate, 1, now)
    }

    /// Takes `count` tokens of `rate` a second; `false`, and takes none, if there are less.
    pub(crate) fn take_many(&mut self, rate: u32, count: u32, now: Time) -> bool {
        let Some(cost) = NANOS_PER_SECOND.checked_div(u64::from(rate)) else {
            return false;
        };
        // The bucket is full at `full_since`; each token moves that moment into the future, at
        // most one second ahead of now.
        let cost = cost.saturating_mul(u64::from(count));
        let next = self.full_since.max(now).as_nanos().saturating_add(cost);
        if next > now.as_nanos().saturating_add(NANOS_PER_SECOND) {
            return false;
        }
        self.full_since = Time::from_nanos(next);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_tokens_then_the_rate() {
        let mut budget = Budget::new();
        let taken = (0..20).filter(|_| budget.take(10, Time::ZERO)).count();
        assert_eq!(taken, 10);
        assert!(!budget.take(10, Time::from_millis(99)));
        assert!(budget.take(10, Time::from_millis(100)));
        assert!(!budget.take(10, Time::from_millis(100)));
    }

    #[test]
    fn many_tokens_are_taken_together_or_not_at_all() {
        let mut budget = Budget::new();
        assert!(budget.take_many(10, 7, Time::ZERO));
        assert!(!budget.take_many(10, 4, Time::ZERO));
        assert!(budget.take_many(10, 3, Time::ZERO));
        assert!(budget.take_many(10, 10, Time::from_millis(1000)));
    }

    #[test]
    fn a_rate_of_zero_gives_nothing() {
        assert!(!Budget::new().take(0, Time::from_millis(5000)));
    }
}
