//! The credit ledger of one link, seen from either end (amqp-1.0 §2.6.7).
//!
//! Owns delivery-count and limit; never writes a frame.
//!
//! Decision: both ends keep *absolute* limits (delivery-count + credit) in serial arithmetic, so a
//! repeated or late flow changes nothing. A receiver that lowers its credit still honours what the
//! sender may have used before it heard of it: `ceiling` only rises.

use crate::serial::{ahead, before};

/// Serial arithmetic cannot tell larger credit from none.
const CREDIT_MAX: u32 = i32::MAX as u32;

/// Delivery-count and limit of one link.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credit {
    delivery_count: u32,
    /// The delivery-count at which credit is used up.
    limit: u32,
    /// Receiver only: the highest limit ever granted.
    ceiling: u32,
    /// The receiver wants unused credit back.
    pub(crate) drain: bool,
}

impl Credit {
    /// A ledger that starts at this delivery-count, without credit.
    pub(crate) const fn starting_at(delivery_count: u32) -> Self {
        Self {
            delivery_count,
            limit: delivery_count,
            ceiling: delivery_count,
            drain: false,
        }
    }

    pub(crate) const fn delivery_count(&self) -> u32 {
        self.delivery_count
    }

    /// Deliveries that may still be sent.
    pub(crate) const fn remaining(&self) -> u32 {
        ahead(self.delivery_count, self.limit)
    }

    /// Receiver: the sender said where it starts; what was granted before counts from there.
    pub(crate) const fn rebase(&mut self, delivery_count: u32) {
        let credit = self.remaining();
        let reach = ahead(self.delivery_count, self.ceiling);
        self.delivery_count = delivery_count;
        self.limit = delivery_count.wrapping_add(credit);
        self.ceiling = delivery_count.wrapping_add(reach);
    }

    /// Receiver: from now on the sender may send `credit` more deliveries.
    pub(crate) fn grant(&mut self, credit: u32, drain: bool) {
        self.limit = self.delivery_count.wrapping_add(credit.min(CREDIT_MAX));
        self.drain = drain;
        if before(self.ceiling, self.limit) {
            self.ceiling = self.limit;
        }
    }

    /// Receiver: a delivery has begun; `false` if the sender never had credit for it.
    pub(crate) const fn receive(&mut self) -> bool {
        if !before(self.delivery_count, self.ceiling) {
            return false;
        }
        self.delivery_count = self.delivery_count.wrapping_add(1);
        true
    }

    /// Receiver: the sender says it has advanced its delivery-count, giving credit back.
    pub(crate) const fn returned(&mut self, delivery_count: u32) {
        if before(self.delivery_count, delivery_count) && !before(self.ceiling, delivery_count) {
            self.delivery_count = delivery_count;
        }
    }

    /// Sender: the receiver grants `credit` counted from the delivery-count it has seen.
    pub(crate) fn granted(&mut self, seen: u32, credit: u32, drain: bool) {
        let in_flight = ahead(seen, self.delivery_count);
        let credit = credit.saturating_sub(in_flight).min(CREDIT_MAX);
        self.limit = self.delivery_count.wrapping_add(credit);
        self.drain = drain;
    }

    /// Sender: takes one credit for a new delivery.
    pub(crate) const fn take(&mut self) -> bool {
        if self.remaining() == 0 {
            return false;
        }
        self.delivery_count = self.delivery_count.wrapping_add(1);
        true
    }

    /// Sender: uses up all credit without deliveries.
    pub(crate) const fn exhaust(&mut self) {
        if self.remaining() > 0 {
            self.delivery_count = self.limit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credit_of_the_maximum_is_a_lot_not_nothing() {
        let mut sender = Credit::starting_at(0);
        sender.granted(0, u32::MAX, false);
        assert_eq!(sender.remaining(), CREDIT_MAX);
        let mut receiver = Credit::starting_at(u32::MAX);
        receiver.grant(u32::MAX, false);
        assert!(receiver.receive());
    }

    #[test]
    fn lowered_credit_leaves_what_was_in_flight_valid() {
        let mut receiver = Credit::starting_at(0);
        receiver.grant(2, false);
        receiver.grant(0, false);
        assert_eq!(receiver.remaining(), 0);
        assert!(receiver.receive() && receiver.receive());
        assert!(!receiver.receive());
    }

    #[test]
    fn credit_lowered_before_the_sender_has_attached_may_have_been_used() {
        let mut receiver = Credit::starting_at(0);
        receiver.grant(2, false);
        receiver.grant(1, false);
        receiver.rebase(u32::MAX);
        assert_eq!(receiver.remaining(), 1);
        assert!(receiver.receive() && receiver.receive());
        assert!(!receiver.receive());
    }

    #[test]
    fn a_delivery_count_beyond_what_was_granted_is_not_believed() {
        let mut receiver = Credit::starting_at(0);
        receiver.grant(5, true);
        receiver.returned(6);
        assert_eq!(receiver.remaining(), 5);
        receiver.returned(5);
        assert_eq!(receiver.remaining(), 0);
        receiver.returned(3);
        assert_eq!(receiver.delivery_count(), 5);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Grant(u32),
        Deliver,
        Drain,
        ToSender,
        ToReceiver,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0u32..20).prop_map(Op::Grant),
            Just(Op::Deliver),
            Just(Op::Drain),
            Just(Op::ToSender),
            Just(Op::ToReceiver),
        ]
    }

    /// What travels from sender to receiver.
    enum Up {
        Transfer,
        Flow(u32),
    }

    proptest! {
        /// Whatever the delays, an honest sender never overruns the receiver's ledger, and when
        /// everything has arrived both ends agree.
        #[test]
        fn both_ends_agree(start in any::<u32>(), ops in prop::collection::vec(op(), 0..200)) {
            let mut sender = Credit::starting_at(start);
            let mut receiver = Credit::starting_at(start);
            let mut down = std::collections::VecDeque::new();
            let mut up = std::collections::VecDeque::new();
            let arrive = |up: Option<Up>, receiver: &mut Credit| match up {
                Some(Up::Transfer) => assert!(receiver.receive()),
                Some(Up::Flow(count)) => receiver.returned(count),
                None => {}
            };
            for op in ops {
                match op {
                    Op::Grant(credit) => {
                        receiver.grant(credit, false);
                        down.push_back((receiver.delivery_count(), credit));
                    }
                    Op::Deliver => if sender.take() { up.push_back(Up::Transfer) },
                    Op::Drain => {
                        sender.exhaust();
                        up.push_back(Up::Flow(sender.delivery_count()));
                    }
                    Op::ToSender => if let Some((seen, credit)) = down.pop_front() {
                        sender.granted(seen, credit, false);
                    },
                    Op::ToReceiver => arrive(up.pop_front(), &mut receiver),
                }
            }
            for (seen, credit) in down {
                sender.granted(seen, credit, false);
            }
            for message in up {
                arrive(Some(message), &mut receiver);
            }
            prop_assert_eq!(sender.delivery_count(), receiver.delivery_count());
            prop_assert!(sender.remaining() >= receiver.remaining());
        }
    }
}
