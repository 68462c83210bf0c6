//! One outcome from many: what the producer of a multicast delivery is told.
//!
//! Owns the merge of the copies' states, at the shard that sends copies and again at the shard that
//! gathers the shards' answers. Decision: it counts and does not know the copies, each of which has a
//! record elsewhere that knows whether it has given its state.
//!
//! ```text
//!   open ── all copies have a state ──▶ decided ── all copies are settled ──▶ settled
//!     └──────── both at once ────────────────────────────────────────────────▲
//! ```

use amqp_codec::{DeliveryState, Modified};

/// What is to be told upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The outcome; `None` if it has been told before, or all copies were settled without any.
    pub state: Option<DeliveryState>,
    /// Whether all copies are settled.
    pub settled: bool,
}

/// The outcomes of a multicast delivery, from least to most telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    None,
    Released,
    Modified,
    Accepted,
    Rejected,
}

impl Rank {
    /// The rank of a copy's state; none if it is not the end.
    fn of(state: &DeliveryState) -> Option<Self> {
        match state {
            DeliveryState::Accepted => Some(Self::Accepted),
            // A transaction cannot span copies: whoever declares one has not taken the message.
            DeliveryState::Rejected(_) | DeliveryState::Declared(_) => Some(Self::Rejected),
            DeliveryState::Released => Some(Self::Released),
            DeliveryState::Modified(_) => Some(Self::Modified),
            DeliveryState::Received { .. }
            | DeliveryState::Transactional(_)
            | DeliveryState::Other(_) => None,
        }
    }

    /// The state for the producer, without any copy's error or annotations.
    fn state(self) -> Option<DeliveryState> {
        match self {
            Self::None => None,
            Self::Released => Some(DeliveryState::Released),
            Self::Modified => {
                let modified = Modified {
                    delivery_failed: true,
                    ..Modified::default()
                };
                Some(DeliveryState::Modified(Box::new(modified)))
            }
            Self::Accepted => Some(DeliveryState::Accepted),
            Self::Rejected => Some(DeliveryState::Rejected(None)),
        }
    }
}

/// The merge of one delivery's copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merge {
    /// Copies without a terminal state.
    open: usize,
    /// Copies that are not settled.
    unsettled: usize,
    rank: Rank,
}

impl Merge {
    /// The merge of so many copies, at least one.
    #[must_use]
    pub fn new(copies: usize) -> Self {
        debug_assert!(
            copies > 0,
            "a delivery without copies has no outcome to wait for"
        );
        Self {
            open: copies,
            unsettled: copies,
            rank: Rank::None,
        }
    }

    /// A copy answers with a state, its settlement or both. Each copy is settled once and gives one
    /// terminal state, with its settlement or before it. Tells what to answer upstream: the outcome
    /// as soon as all copies have a state, and the settlement as soon as all are settled.
    pub fn answer(&mut self, state: Option<&DeliveryState>, settled: bool) -> Option<Merged> {
        let was_open = self.open > 0;
        if let Some(rank) = state.and_then(Rank::of) {
            self.rank = self.rank.max(rank);
            self.open = self.open.saturating_sub(1);
        }
        if settled {
            self.unsettled = self.unsettled.saturating_sub(1);
        }
        let ends = settled && self.unsettled == 0;
        if ends {
            // Copies that were settled without a state will never give one.
            self.open = 0;
        }
        let decides = was_open && self.open == 0;
        (decides || ends).then(|| Merged {
            state: if decides { self.rank.state() } else { None },
            settled: self.unsettled == 0,
        })
    }
}
