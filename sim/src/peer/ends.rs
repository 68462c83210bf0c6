//! One end of a routed link, at a device or at a hub: it sends or receives, and may leave.

use amqp_codec::{ReceiverSettleMode, SenderSettleMode};
use amqp_proto::{Connection, InTransfer, LinkKey, Payload, Time};

use super::hand::{Hand, earliest};
use super::inlet::Inlet;
use super::outlet::Outlet;
use super::words::reason;
use crate::books::Books;
use crate::plan::Work;
use crate::tunnels::{Leave, Side};

/// An end of a routed link.
#[derive(Debug)]
pub(super) struct End {
    pub(super) link: LinkKey,
    pub(super) tunnel: usize,
    pub(super) side: Side,
    pub(super) flow: Flow,
    /// It has detached, and waits for the answer.
    pub(super) detaching: bool,
    /// It detaches after so many deliveries; 0: never.
    detaches: u32,
}

/// What an end does.
#[derive(Debug)]
pub(super) enum Flow {
    Out(Outlet),
    In(Inlet),
}

impl Flow {
    pub(super) fn new(
        work: &Work,
        modes: (SenderSettleMode, ReceiverSettleMode),
        left: u32,
    ) -> Self {
        match work {
            Work::Send(plan) => Self::Out(Outlet::new(plan, modes, left)),
            Work::Receive(plan) => Self::In(Inlet::new(plan, modes.1)),
        }
    }
}

impl End {
    pub(super) fn new(
        (link, tunnel, side): (LinkKey, usize, Side),
        flow: Flow,
        detaches: u32,
    ) -> Self {
        Self {
            link,
            tunnel,
            side,
            flow,
            detaching: false,
            detaches,
        }
    }

    pub(super) fn act(&mut self, hand: &mut Hand<'_>) -> Option<Time> {
        if self.detaching {
            return None;
        }
        let at = (self.link, self.tunnel, self.side);
        let (next, done, pausing) = match &mut self.flow {
            Flow::Out(outlet) => (outlet.act(at, hand), outlet.sent, outlet.is_between()),
            Flow::In(inlet) => (inlet.act(at, hand), inlet.taken, inlet.is_between()),
        };
        if self.detaches > 0 && done >= self.detaches && (pausing || hand.random.one_in(4)) {
            self.leave(hand);
            return None;
        }
        earliest(next, None)
    }

    /// Detaches, for a reason or for none, to come back or not.
    fn leave(&mut self, hand: &mut Hand<'_>) {
        let closed = hand.random.one_in(2);
        let error = hand.random.one_in(2).then(|| reason("app:enough"));
        let book = hand.books.tunnels.all[self.tunnel].end_mut(self.side);
        book.left.get_or_insert(Leave::Detach {
            closed,
            error: error.clone(),
        });
        book.leaving.get_or_insert(hand.now);
        // What was said of deliveries is said before.
        hand.engine.flush_dispositions(hand.session, hand.output);
        hand.engine.detach(self.link, closed, error, hand.output);
        self.detaching = true;
    }

    pub(super) fn transferred(
        &mut self,
        hand: &mut Hand<'_>,
        delivery: &InTransfer,
        payload: &Payload,
    ) {
        match &mut self.flow {
            Flow::In(inlet) => inlet.transferred((self.link, self.tunnel), hand, delivery, payload),
            Flow::Out(_) => panic!("a delivery for a sender"),
        }
    }

    /// Its link is over.
    pub(super) fn lost(&mut self, hand: &mut Hand<'_>) {
        let book = hand.books.tunnels.all[self.tunnel].end_mut(self.side);
        book.over.get_or_insert(hand.now);
        self.vanished(hand.books);
    }

    /// Its wire is gone.
    pub(super) fn vanished(&self, books: &mut Books) {
        if let Flow::In(inlet) = &self.flow {
            inlet.vanished(self.tunnel, books);
        }
    }

    pub(super) fn unmet(&self, engine: &Connection, books: &Books) -> Option<String> {
        if self.detaching {
            return Some(format!(
                "the detach of tunnel {} has no answer",
                self.tunnel
            ));
        }
        let unmet = match &self.flow {
            Flow::Out(outlet) => outlet.unmet(self.tunnel, books),
            Flow::In(inlet) => inlet.unmet(self.link, engine),
        };
        let credit = engine.credit(self.link);
        let Self { tunnel, side, .. } = self;
        unmet.map(|unmet| format!("tunnel {tunnel}, {side:?}, {credit} credit: {unmet}"))
    }
}
