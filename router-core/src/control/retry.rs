//! How long a connector waits before it dials again: twice as long after each failure, up to a
//! bound, and never the same for two routers. It never gives up: waiting costs nothing, and a
//! router that must be told to connect again is one that somebody has to look after.

use std::time::Duration;

use crate::limits::{RETRY_LEAST, RETRY_MOST};

/// Numbers that differ from router to router, from one seed.
#[derive(Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Between half of a time and all of it.
    fn of(&mut self, whole: Duration) -> Duration {
        // SplitMix64: enough to keep routers apart that lost the same peer at once.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let part = (mixed ^ (mixed >> 31)) % 1024;
        let half = whole / 2;
        half + half * u32::try_from(part).expect("less than 1024") / 1023
    }
}

/// The failures of one connector.
#[derive(Debug, Default)]
pub(super) struct Retry {
    /// Rounds over all servers since there was a stable connection.
    rounds: u32,
}

impl Retry {
    /// A connection has lasted.
    pub(super) fn reset(&mut self) {
        self.rounds = 0;
    }

    /// The wait before the next server of a round.
    pub(super) fn within_round(jitter: &mut Jitter) -> Duration {
        jitter.of(RETRY_LEAST)
    }

    /// The wait before a new round.
    pub(super) fn after_round(&mut self, jitter: &mut Jitter) -> Duration {
        let factor = 1_u32.checked_shl(self.rounds).unwrap_or(u32::MAX);
        let wait = RETRY_LEAST.saturating_mul(factor).min(RETRY_MOST);
        self.rounds = (self.rounds + 1).min(u32::BITS - 1);
        jitter.of(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_stay_there() {
        let (mut retry, mut jitter) = (Retry::default(), Jitter::new(1));
        let mut wait = RETRY_LEAST;
        for _ in 0..100 {
            let drawn = retry.after_round(&mut jitter);
            assert!(drawn >= wait / 2 && drawn <= wait, "{drawn:?} of {wait:?}");
            wait = (wait * 2).min(RETRY_MOST);
        }
        assert_eq!(wait, RETRY_MOST);
        retry.reset();
        assert!(retry.after_round(&mut jitter) <= RETRY_LEAST);
    }

    #[test]
    fn routers_with_other_seeds_wait_otherwise() {
        let waits = |seed| {
            let (mut retry, mut jitter) = (Retry::default(), Jitter::new(seed));
            (0..6)
                .map(move |_| retry.after_round(&mut jitter))
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(1), waits(1));
        assert_ne!(waits(1), waits(2));
    }
}
