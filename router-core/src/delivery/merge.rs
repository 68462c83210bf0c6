//! One outcome from many: what the producer of a multicast delivery is told.
//!
//! Owns the merge of the copies' states, at the shard that sends copies and again at the shard that
//! gathers the shards' answers. Decision: it counts and does not know the copies, each of which has
//! a record elsewhere that knows whether it has given its state.
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

#[cfg(test)]
mod tests {
    use amqp_codec::Encoded;
    use proptest::prelude::*;

    use super::*;

    fn modified() -> DeliveryState {
        DeliveryState::Modified(Box::default())
    }

    /// The merge of settled answers.
    fn merged(states: &[Option<DeliveryState>]) -> Option<DeliveryState> {
        let mut merge = Merge::new(states.len());
        let (last, first) = states.split_last().unwrap();
        for state in first {
            assert_eq!(merge.answer(state.as_ref(), true), None);
        }
        let Merged { state, settled } = merge.answer(last.as_ref(), true).unwrap();
        assert!(settled);
        state
    }

    #[test]
    fn the_most_telling_state_wins() {
        let ranking = [
            DeliveryState::Released,
            modified(),
            DeliveryState::Accepted,
            DeliveryState::Rejected(None),
        ];
        for (one, weak) in ranking.iter().enumerate() {
            for strong in &ranking[one..] {
                let told = merged(&[Some(weak.clone()), Some(strong.clone())]).unwrap();
                assert_eq!(told.is_terminal(), strong.is_terminal());
                assert_eq!(
                    std::mem::discriminant(&told),
                    std::mem::discriminant(strong)
                );
                assert_eq!(
                    merged(&[Some(strong.clone()), Some(weak.clone())]),
                    Some(told)
                );
            }
        }
    }

    #[test]
    fn a_copys_error_is_not_told_and_modified_counts_as_failed() {
        let error = amqp_codec::AmqpError {
            condition: "amqp:internal-error".into(),
            description: None,
            info: None,
        };
        let rejected = DeliveryState::Rejected(Some(Box::new(error)));
        assert_eq!(
            merged(&[Some(rejected)]),
            Some(DeliveryState::Rejected(None))
        );
        let Some(DeliveryState::Modified(told)) = merged(&[Some(modified())]) else {
            panic!("not modified")
        };
        assert!(told.delivery_failed && !told.undeliverable_here);
    }

    #[test]
    fn a_declared_transaction_counts_as_rejected() {
        let declared = DeliveryState::Declared(bytes::Bytes::from_static(b"txn"));
        assert_eq!(
            merged(&[Some(DeliveryState::Accepted), Some(declared)]),
            Some(DeliveryState::Rejected(None))
        );
    }

    #[test]
    fn states_that_are_not_the_end_are_not_told() {
        let mut merge = Merge::new(1);
        let received = DeliveryState::Received {
            section_number: 1,
            section_offset: 2,
        };
        assert_eq!(merge.answer(Some(&received), false), None);
        let other = DeliveryState::Other(Encoded::from_value(&amqp_codec::Value::Null));
        assert_eq!(merge.answer(Some(&other), false), None);
        let told = Merged {
            state: Some(DeliveryState::Accepted),
            settled: true,
        };
        assert_eq!(
            merge.answer(Some(&DeliveryState::Accepted), true),
            Some(told)
        );
    }

    #[test]
    fn the_outcome_comes_before_the_settlement_when_a_copy_is_slow_to_settle() {
        let mut merge = Merge::new(2);
        assert_eq!(merge.answer(Some(&DeliveryState::Accepted), false), None);
        let outcome = Merged {
            state: Some(DeliveryState::Accepted),
            settled: false,
        };
        assert_eq!(
            merge.answer(Some(&DeliveryState::Released), true),
            Some(outcome)
        );
        assert_eq!(
            merge.answer(None, true),
            Some(Merged {
                state: None,
                settled: true
            })
        );
    }

    #[test]
    fn copies_settled_without_a_state_do_not_hold_up_the_end() {
        assert_eq!(
            merged(&[None, Some(DeliveryState::Released)]),
            Some(DeliveryState::Released)
        );
        assert_eq!(merged(&[None, None]), None);
    }

    proptest! {
        #[test]
        fn the_outcome_and_the_settlement_are_told_once_each(
            copies in prop::collection::vec((0..4_usize, any::<bool>(), any::<u8>()), 1..12),
        ) {
            let states = [
                DeliveryState::Accepted,
                DeliveryState::Rejected(None),
                DeliveryState::Released,
                modified(),
            ];
            // Each copy answers in one step or two; the order of all steps is the third number.
            let mut steps = Vec::new();
            for &(state, at_once, order) in &copies {
                let state = Some(&states[state]);
                if at_once {
                    steps.push((order, state, true));
                } else {
                    steps.push((order / 2, state, false));
                    steps.push((order / 2 + 128, None, true));
                }
            }
            steps.sort_by_key(|step| step.0);
            let mut merge = Merge::new(copies.len());
            let told: Vec<Merged> =
                steps.iter().filter_map(|step| merge.answer(step.1, step.2)).collect();
            let outcomes = told.iter().filter(|told| told.state.is_some()).count();
            let settlements = told.iter().filter(|told| told.settled).count();
            prop_assert_eq!((outcomes, settlements), (1, 1));
            prop_assert!(told.last().unwrap().settled);
        }
    }
}
