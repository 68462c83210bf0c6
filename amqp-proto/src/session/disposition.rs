//! Outcomes waiting to be told, as state instead of frames.
//!
//! Owns the outcomes and states of one session that its peer has not heard; never writes a frame.
//!
//! Decision: settled outcomes of consecutive deliveries coalesce into ranges. Each delivery is
//! settled once, so their order does not matter and the runs are sorted first. What is said of a
//! delivery before it is settled is one entry, and a later state takes its place: a peer that does
//! not read pins no more than its deliveries, however often their state changes. Such states are
//! told first, because nothing follows a settlement.

use std::collections::BTreeMap;

use amqp_codec::{DeliveryState, Disposition, Role};

use crate::serial::distance;

/// Memory for at most this many runs is kept when all are told.
const RUNS_KEPT: usize = 4;

/// Runs that were told are kept in front of the others up to this number, or as many.
const TOLD_KEPT: usize = 1024;

/// Outcomes waiting to be told.
#[derive(Debug, Default)]
pub(crate) struct Dispositions {
    /// The latest state of deliveries that stay unsettled, by [`place`] and delivery-id.
    states: BTreeMap<(bool, u32), Option<DeliveryState>>,
    runs: Vec<Run>,
    /// Runs already told; the rest is in order.
    told: usize,
}

/// Equal settled outcomes of consecutive deliveries.
#[derive(Debug, Clone, PartialEq)]
struct Run {
    role: Role,
    first: u32,
    last: u32,
    state: Option<DeliveryState>,
}

/// Our deliveries before the peer's.
fn place(role: Role) -> bool {
    role == Role::Receiver
}

impl Run {
    #[inline]
    fn is_like(&self, role: Role, state: Option<&DeliveryState>) -> bool {
        let same_state = match (&self.state, state) {
            // By far the most common, and nothing to compare.
            (Some(DeliveryState::Accepted), Some(DeliveryState::Accepted)) => true,
            (ours, theirs) => ours.as_ref() == theirs,
        };
        same_state && self.role == role
    }
}

impl Dispositions {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.states.is_empty()
    }

    /// Adds an outcome; `role` is ours.
    pub(crate) fn queue(
        &mut self,
        role: Role,
        delivery_id: u32,
        settled: bool,
        state: Option<DeliveryState>,
    ) {
        if !settled {
            self.states.insert((place(role), delivery_id), state);
            return;
        }
        if let Some(last) = self.runs[self.told..].last_mut()
            && last.is_like(role, state.as_ref())
        {
            if last.last.wrapping_add(1) == delivery_id {
                last.last = delivery_id;
                return;
            }
            if last.first == delivery_id.wrapping_add(1) {
                last.first = delivery_id;
                return;
            }
        }
        self.runs.push(Run {
            role,
            first: delivery_id,
            last: delivery_id,
            state,
        });
    }

    /// Merges what can be merged, before telling.
    pub(crate) fn coalesce(&mut self) {
        if self.told > 0 || self.runs.len() < 2 {
            return;
        }
        let origin = self.runs[0].first;
        self.runs
            .sort_by_key(|run| (place(run.role), distance(origin, run.first)));
        self.runs.dedup_by(|next, run| {
            let adjacent = run.last.wrapping_add(1) == next.first
                && run.is_like(next.role, next.state.as_ref());
            if adjacent {
                run.last = next.last;
            }
            adjacent
        });
    }

    /// The next outcome to be told.
    pub(crate) fn next(&mut self) -> Option<Disposition> {
        if !self.states.is_empty() {
            return self.next_state();
        }
        let Some(run) = self.runs.get_mut(self.told) else {
            self.runs.clear();
            self.runs.shrink_to(RUNS_KEPT);
            self.told = 0;
            return None;
        };
        self.told += 1;
        let told = Disposition {
            role: run.role,
            first: run.first,
            last: (run.first != run.last).then_some(run.last),
            settled: true,
            state: run.state.take(),
            batchable: false,
        };
        if self.told >= TOLD_KEPT && self.told * 2 >= self.runs.len() {
            self.runs.drain(..self.told);
            self.told = 0;
        }
        Some(told)
    }

    /// The next state of deliveries that stay unsettled.
    fn next_state(&mut self) -> Option<Disposition> {
        let ((incoming, first), state) = self.states.pop_first()?;
        let mut last = first;
        while let Some(next) = self.states.first_entry()
            && last.checked_add(1) == Some(next.key().1)
            && next.key().0 == incoming
            && *next.get() == state
        {
            last = next.remove_entry().0.1;
        }
        Some(Disposition {
            role: match incoming {
                true => Role::Receiver,
                false => Role::Sender,
            },
            first,
            last: (first != last).then_some(last),
            settled: false,
            state,
            batchable: false,
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(dispositions: &mut Dispositions) -> Vec<(u32, Option<u32>, bool)> {
        dispositions.coalesce();
        let all = std::iter::from_fn(|| dispositions.next());
        all.map(|told| (told.first, told.last, told.settled))
            .collect()
    }

    #[test]
    fn settled_outcomes_in_any_order_become_ranges() {
        let mut dispositions = Dispositions::default();
        for id in [3, 5, 4, 9, u32::MAX, 1, 0, 2, 7] {
            dispositions.queue(Role::Receiver, id, true, Some(DeliveryState::Accepted));
        }
        dispositions.queue(Role::Receiver, 8, true, Some(DeliveryState::Released));
        let expected = [
            (u32::MAX, Some(5), true),
            (7, None, true),
            (8, None, true),
            (9, None, true),
        ];
        assert_eq!(told(&mut dispositions), expected);
        assert!(dispositions.is_empty() && dispositions.runs.capacity() <= RUNS_KEPT);
    }

    #[test]
    fn roles_are_not_mixed() {
        let mut dispositions = Dispositions::default();
        dispositions.queue(Role::Receiver, 1, true, None);
        dispositions.queue(Role::Sender, 2, true, None);
        assert_eq!(told(&mut dispositions), [(2, None, true), (1, None, true)]);
    }

    #[test]
    fn what_is_not_settled_is_told_before_what_is() {
        let mut dispositions = Dispositions::default();
        dispositions.queue(Role::Receiver, 7, false, Some(DeliveryState::Accepted));
        dispositions.queue(Role::Receiver, 6, true, Some(DeliveryState::Accepted));
        dispositions.queue(Role::Receiver, 7, true, Some(DeliveryState::Accepted));
        assert_eq!(
            told(&mut dispositions),
            [(7, None, false), (6, Some(7), true)]
        );
    }

    #[test]
    fn states_that_nobody_reads_take_each_others_place() {
        let mut dispositions = Dispositions::default();
        for round in 0..1000 {
            for id in 0..10 {
                let state = DeliveryState::Received {
                    section_number: round,
                    section_offset: u64::from(id % 2),
                };
                dispositions.queue(Role::Receiver, id, false, Some(state));
            }
        }
        assert_eq!(dispositions.states.len(), 10);
        let all: Vec<_> = std::iter::from_fn(|| dispositions.next()).collect();
        assert_eq!(all.len(), 10);
        assert!(all.iter().all(|told| matches!(
            told.state,
            Some(DeliveryState::Received {
                section_number: 999,
                ..
            })
        )));
        assert!(dispositions.is_empty());
    }

    #[test]
    fn equal_states_of_consecutive_deliveries_are_one_range() {
        let mut dispositions = Dispositions::default();
        for id in [2, u32::MAX, 0, 1] {
            dispositions.queue(Role::Receiver, id, false, Some(DeliveryState::Accepted));
        }
        dispositions.queue(Role::Sender, 3, false, Some(DeliveryState::Accepted));
        let expected = [
            (3, None, false),
            (0, Some(2), false),
            (u32::MAX, None, false),
        ];
        assert_eq!(told(&mut dispositions), expected);
    }

    #[test]
    fn a_queue_that_is_never_told_to_its_end_does_not_keep_what_was() {
        let mut dispositions = Dispositions::default();
        for id in 0..100_000_u32 {
            dispositions.queue(Role::Receiver, id * 2, true, None);
            dispositions.queue(Role::Receiver, id * 2 + 100, true, None);
            if id > 10 {
                assert!(dispositions.next().is_some() && dispositions.next().is_some());
            }
        }
        assert!(dispositions.runs.len() <= 2 * TOLD_KEPT + 100);
    }

    #[test]
    fn a_run_that_was_told_does_not_grow() {
        let mut dispositions = Dispositions::default();
        dispositions.queue(Role::Receiver, 1, true, None);
        assert_eq!(dispositions.next().map(|told| told.first), Some(1));
        dispositions.queue(Role::Receiver, 2, true, None);
        assert_eq!(told(&mut dispositions), [(2, None, true)]);
    }
}
