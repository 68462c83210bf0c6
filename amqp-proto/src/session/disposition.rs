//! Outcomes waiting to be told, as state instead of frames.
//!
//! Owns the runs of equal outcomes of one session; never writes a frame.
//!
//! Decision: outcomes of consecutive deliveries coalesce into ranges. When every waiting outcome
//! is settled each delivery occurs once, so the order does not matter and the runs are sorted
//! first; an unsettled outcome may be followed by another for the same delivery, then the order is
//! kept.

use amqp_codec::{DeliveryState, Disposition, Role};

use crate::serial::distance;

/// Memory for at most this many runs is kept when all are told.
const RUNS_KEPT: usize = 4;

/// Outcomes waiting to be told.
#[derive(Debug, Default)]
pub(crate) struct Dispositions {
    runs: Vec<Run>,
    /// Runs already told; the rest is in order.
    told: usize,
}

/// Equal outcomes of consecutive deliveries.
#[derive(Debug, Clone, PartialEq)]
struct Run {
    role: Role,
    settled: bool,
    first: u32,
    last: u32,
    state: Option<DeliveryState>,
}

impl Run {
    fn is_like(&self, other: &Self) -> bool {
        self.role == other.role && self.settled == other.settled && self.state == other.state
    }
}

impl Dispositions {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Adds an outcome; `role` is ours.
    pub(crate) fn queue(
        &mut self,
        role: Role,
        delivery_id: u32,
        settled: bool,
        state: Option<DeliveryState>,
    ) {
        let run = Run {
            role,
            settled,
            first: delivery_id,
            last: delivery_id,
            state,
        };
        if let Some(last) = self.runs[self.told..].last_mut()
            && last.is_like(&run)
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
        self.runs.push(run);
    }

    /// Merges what can be merged, before telling.
    pub(crate) fn coalesce(&mut self) {
        if self.told > 0 || self.runs.len() < 2 || !self.runs.iter().all(|run| run.settled) {
            return;
        }
        let origin = self.runs[0].first;
        let place = |run: &Run| (run.role == Role::Receiver, distance(origin, run.first));
        self.runs.sort_by_key(place);
        self.runs.dedup_by(|next, run| {
            let adjacent = run.last.wrapping_add(1) == next.first && run.is_like(next);
            if adjacent {
                run.last = next.last;
            }
            adjacent
        });
    }

    /// The next outcome to be told.
    pub(crate) fn next(&mut self) -> Option<Disposition> {
        let Some(run) = self.runs.get_mut(self.told) else {
            self.runs.clear();
            self.runs.shrink_to(RUNS_KEPT);
            self.told = 0;
            return None;
        };
        self.told += 1;
        Some(Disposition {
            role: run.role,
            first: run.first,
            last: (run.first != run.last).then_some(run.last),
            settled: run.settled,
            state: run.state.take(),
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
    fn order_is_kept_while_a_delivery_may_occur_twice() {
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
    fn a_run_that_was_told_does_not_grow() {
        let mut dispositions = Dispositions::default();
        dispositions.queue(Role::Receiver, 1, true, None);
        assert_eq!(dispositions.next().map(|told| told.first), Some(1));
        dispositions.queue(Role::Receiver, 2, true, None);
        assert_eq!(told(&mut dispositions), [(2, None, true)]);
    }
}
