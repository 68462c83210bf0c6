//! The windows of one session (amqp-1.0 §2.5.6).
//!
//! Owns transfer-ids and both windows; never writes a frame.
//!
//! Decision: the incoming window is advertised as `session_window` frames and given back when half
//! is used. What the owner withholds is not given back; what was given is never taken away.

use crate::serial::ahead;

/// The outgoing window we advertise: we promise nothing.
pub(crate) const OUTGOING_WINDOW: u32 = i32::MAX as u32;

/// The first transfer-id we use.
pub(crate) const FIRST_TRANSFER_ID: u32 = 0;

/// Windows in both directions, in frames.
#[derive(Debug)]
pub(crate) struct Window {
    /// The transfer-id of the next transfer from the peer; unknown until its Begin.
    pub(crate) next_incoming_id: Option<u32>,
    /// The transfer-id of our next transfer.
    pub(crate) next_outgoing_id: u32,
    /// Transfers the peer may still send.
    incoming: u32,
    incoming_max: u32,
    withheld: u32,
    /// Transfers we may still send.
    outgoing: u32,
}

impl Window {
    /// Windows of a new session.
    pub(crate) const fn new(incoming_max: u32) -> Self {
        Self {
            next_incoming_id: None,
            next_outgoing_id: FIRST_TRANSFER_ID,
            incoming: incoming_max,
            incoming_max,
            withheld: 0,
            outgoing: 0,
        }
    }

    /// The peer's Begin.
    pub(crate) const fn begun(&mut self, next_outgoing_id: u32, incoming_window: u32) {
        self.next_incoming_id = Some(next_outgoing_id);
        self.outgoing = incoming_window;
    }

    /// Transfers the peer may still send.
    pub(crate) const fn incoming(&self) -> u32 {
        self.incoming
    }

    /// Transfers we may still send.
    pub(crate) const fn outgoing(&self) -> u32 {
        self.outgoing
    }

    /// A transfer has arrived; `false` if the window did not allow it.
    pub(crate) fn receive(&mut self) -> bool {
        let Some(left) = self.incoming.checked_sub(1) else {
            return false;
        };
        self.incoming = left;
        self.next_incoming_id = self.next_incoming_id.map(|id| id.wrapping_add(1));
        true
    }

    /// Transfers that the peer may send when nothing is kept back.
    pub(crate) const fn incoming_max(&self) -> u32 {
        self.incoming_max
    }

    /// How many frames the owner keeps back when the window is renewed.
    pub(crate) const fn withhold(&mut self, frames: u32) {
        self.withheld = frames;
    }

    /// Whether half of what may be given has been used.
    pub(crate) const fn is_due(&self) -> bool {
        let target = self.incoming_max.saturating_sub(self.withheld);
        self.incoming < target && self.incoming <= target / 2
    }

    /// The incoming window for the flow that is about to be written.
    pub(crate) fn renew(&mut self) -> u32 {
        self.incoming = self
            .incoming
            .max(self.incoming_max.saturating_sub(self.withheld));
        self.incoming
    }

    /// The peer's flow: what it has seen, and how much it takes from there.
    pub(crate) const fn flowed(&mut self, next_incoming_id: Option<u32>, incoming_window: u32) {
        let seen = match next_incoming_id {
            Some(id) => id,
            None => FIRST_TRANSFER_ID,
        };
        self.outgoing = incoming_window.saturating_sub(ahead(seen, self.next_outgoing_id));
    }

    /// We send a transfer; the window was looked at before.
    pub(crate) const fn send(&mut self) {
        self.outgoing = self.outgoing.saturating_sub(1);
        self.next_outgoing_id = self.next_outgoing_id.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[test]
    fn half_used_is_due_and_withheld_frames_are_not_given_back() {
        let mut window = Window::new(8);
        for _ in 0..4 {
            assert!(!window.is_due());
            assert!(window.receive());
        }
        assert!(window.is_due());
        window.withhold(6);
        assert!(!window.is_due());
        assert_eq!(window.renew(), 4);
        for _ in 0..3 {
            assert!(window.receive());
        }
        assert!(window.is_due());
        assert_eq!(window.renew(), 2);
        window.withhold(9);
        assert!(window.receive() && window.receive());
        assert!(!window.is_due() && !window.receive());
        window.withhold(0);
        assert_eq!(window.renew(), 8);
    }

    #[test]
    fn an_unlimited_window_stays_unlimited() {
        let mut window = Window::new(1);
        window.begun(0, u32::MAX);
        window.send();
        window.flowed(Some(0), u32::MAX);
        assert_eq!(window.outgoing(), u32::MAX - 1);
        window.flowed(None, 0);
        assert_eq!(window.outgoing(), 0);
    }

    proptest! {
        /// Whatever the delays, an honest sender never overruns the window.
        #[test]
        fn no_overrun(
            max in 1u32..20,
            start in any::<u32>(),
            ops in prop::collection::vec(0u8..5, 0..300),
        ) {
            let (mut tx, mut rx) = (Window::new(1), Window::new(max));
            tx.next_outgoing_id = start;
            rx.begun(start, 0);
            tx.outgoing = max;
            let (mut transfers, mut flows) = (0u32, VecDeque::new());
            for op in ops {
                match op {
                    0 | 1 if tx.outgoing() > 0 => {
                        tx.send();
                        transfers += 1;
                    }
                    2 if transfers > 0 => {
                        transfers -= 1;
                        prop_assert!(rx.receive());
                    }
                    3 if rx.is_due() => {
                        let window = rx.renew();
                        flows.push_back((rx.next_incoming_id, window));
                    }
                    4 => if let Some((seen, window)) = flows.pop_front() {
                        tx.flowed(seen, window);
                    },
                    _ => {}
                }
                prop_assert!(rx.incoming() <= max);
            }
        }
    }
}
