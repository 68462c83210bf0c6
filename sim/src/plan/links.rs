//! What is done on a link that sends, and on one that receives.

use std::time::Duration;

use crate::random::Random;

#[derive(Clone, Debug)]
pub(crate) struct SendPlan {
    pub(crate) address: &'static str,
    /// Each message says where it goes.
    pub(crate) anonymous: bool,
    pub(crate) count: u32,
    /// One in so many messages is settled; 0: none.
    pub(crate) settled: usize,
    /// Bytes of body at most.
    pub(crate) size: usize,
    /// Written in so many pieces, with time between them.
    pub(crate) pieces: usize,
    /// One in so many is given up half-way; 0: none.
    pub(crate) aborts: usize,
    /// One in so many is settled by its producer before it is told; 0: none.
    pub(crate) early: usize,
    /// Microseconds between messages, at most.
    pub(crate) pause: u64,
    pub(crate) ornate: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ReceivePlan {
    pub(crate) address: &'static str,
    pub(crate) credit: u32,
    pub(crate) pattern: Pattern,
    /// One in so many messages gets another outcome than accepted; 0: none.
    pub(crate) odd: usize,
    /// State first, settlement later.
    pub(crate) second: bool,
    /// Asks for settled deliveries.
    pub(crate) settles: bool,
    /// Microseconds to an outcome, at most.
    pub(crate) slow: u64,
    /// Detaches after so many messages, and comes back; 0: never.
    pub(crate) detaches: u32,
    /// Disposes only when it is told to.
    pub(crate) manual: bool,
}

/// How a consumer gives credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Up to the full amount when half is used.
    TopUp,
    /// When all is used.
    Burst,
    /// When all is used or given back; with drain.
    Drain,
    /// More and less, at whim.
    Whim,
}

impl Pattern {
    /// Whether credit is to be given when so much is left.
    pub(crate) fn is_due(self, have: u32, full: u32) -> bool {
        match self {
            Self::TopUp => have * 2 <= full,
            Self::Burst | Self::Drain => have == 0,
            Self::Whim => true,
        }
    }

    /// How much is given, and whether with drain.
    pub(crate) fn amount(self, full: u32, random: &mut Random) -> (u32, bool) {
        match self {
            Self::TopUp | Self::Burst => (full, false),
            Self::Drain => (full, random.one_in(2)),
            Self::Whim => (random.below_u32(full + 1), random.one_in(8)),
        }
    }

    /// How long it is before more is given, and whether somebody has to wake up for that.
    pub(crate) fn pause(self, random: &mut Random) -> Option<(Duration, bool)> {
        match self {
            Self::TopUp => None,
            Self::Burst => Some((random.micros(20_000), false)),
            Self::Drain | Self::Whim => {
                Some((Duration::from_millis(1) + random.micros(300_000), true))
            }
        }
    }
}

impl ReceivePlan {
    /// A consumer that takes everything.
    pub(crate) fn steady(address: &'static str) -> Self {
        Self {
            address,
            credit: 20,
            pattern: Pattern::TopUp,
            odd: 0,
            second: false,
            settles: false,
            slow: 0,
            detaches: 0,
            manual: false,
        }
    }
}

impl SendPlan {
    /// A producer of a few small messages.
    pub(crate) fn steady(address: &'static str) -> Self {
        Self {
            address,
            anonymous: false,
            count: 3,
            settled: 0,
            size: 10,
            pieces: 1,
            aborts: 0,
            early: 0,
            pause: 0,
            ornate: false,
        }
    }
}
