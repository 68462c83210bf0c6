//! Credit, windows and outcomes, going out.
//!
//! Owns flow and disposition frames; never moves messages.
//!
//! Decision: flows and outcomes are state that is encoded when there is room, not frames that
//! queue: a peer that does not read costs nothing more.

use amqp_codec::{DeliveryState, Disposition, Flow, Modified, Role};

use crate::connection::phase::Phase;
use crate::connection::state::Connection;
use crate::key::{LinkKey, SessionKey};
use crate::link::state::LinkState;
use crate::send::SendQueue;
use crate::session::window::OUTGOING_WINDOW;

impl Connection {
    /// Receiver: from now on the sender may send `credit` further deliveries; written at once.
    /// With `drain` it is asked to use them or give them back (amqp-1.0 §2.6.7).
    pub fn set_credit(&mut self, link: LinkKey, credit: u32, drain: bool, out: &mut SendQueue) {
        let Some((_, state)) = self.writable_link(link) else {
            return;
        };
        if state.role == Role::Receiver {
            state.credit.grant(credit, drain);
            self.write_flow(self.session_of_slot(link.index), Some(link.index), out);
        }
    }

    /// Deliveries the sender of a link, whoever that is, may still send.
    #[inline]
    pub fn credit(&self, link: LinkKey) -> u32 {
        self.link(link).map_or(0, |link| link.credit.remaining())
    }

    /// The delivery-count of a link.
    pub fn delivery_count(&self, link: LinkKey) -> u32 {
        self.link(link)
            .map_or(0, |link| link.credit.delivery_count())
    }

    /// Sender: whether the receiver waits for unused credit to be given back.
    #[inline]
    pub fn drain_requested(&self, link: LinkKey) -> bool {
        self.is_draining(link) && self.credit(link) > 0
    }

    /// Whether the last flow of the receiver, whoever that is, said drain.
    pub fn is_draining(&self, link: LinkKey) -> bool {
        self.link(link).is_some_and(|link| link.credit.drain)
    }

    /// Sender: gives unused credit back and says so. Without unused credit nothing is written.
    pub fn drained(&mut self, link: LinkKey, out: &mut SendQueue) {
        let Some((_, state)) = self.writable_link(link) else {
            return;
        };
        if state.role == Role::Sender && state.credit.remaining() > 0 {
            state.credit.exhaust();
            self.write_flow(self.session_of_slot(link.index), Some(link.index), out);
        }
    }

    /// Writes a flow with the state of a session, and of one of its links: the answer to an echo.
    pub fn send_flow(&mut self, session: SessionKey, link: Option<LinkKey>, out: &mut SendQueue) {
        if self.writable_session(session).is_none() {
            return;
        }
        let link = link.filter(|&link| self.writable_link(link).is_some());
        self.write_flow(session.index, link.map(|link| link.index), out);
    }

    /// Transfers the session's window still allows us to send.
    pub fn session_window(&self, session: SessionKey) -> u32 {
        match self.sessions.get(session.index, session.generation) {
            Some(session) if session.is_mapped() => session.window.outgoing(),
            _ => 0,
        }
    }

    /// Frames of a session's incoming window when nothing of it is withheld.
    #[must_use]
    pub fn full_window(&self, session: SessionKey) -> u32 {
        let session = self.sessions.get(session.index, session.generation);
        session.map_or(0, |session| session.window.incoming_max())
    }

    /// How many frames of the incoming window are not to be given back when they are used.
    pub fn set_withheld(&mut self, session: SessionKey, frames: u32) {
        if let Some(session) = self.sessions.get_mut(session.index, session.generation) {
            session.window.withhold(frames);
        }
    }

    /// Renews the incoming window if half of it has been used. To be called once a turn.
    pub fn flush_session(&mut self, session: SessionKey, out: &mut SendQueue) {
        if self
            .writable_session(session)
            .is_some_and(|session| session.window.is_due())
        {
            self.write_flow(session.index, None, out);
        }
    }

    /// Queues what is to be told about a delivery; `role` is ours: receiver for an incoming one.
    /// A settled delivery is forgotten at once.
    pub fn queue_disposition(
        &mut self,
        session: SessionKey,
        role: Role,
        delivery_id: u32,
        settled: bool,
        state: Option<DeliveryState>,
    ) {
        let Some(session) = self.sessions.get_mut(session.index, session.generation) else {
            return;
        };
        if settled {
            let unsettled = match role {
                Role::Receiver => &mut session.incoming,
                Role::Sender => &mut session.outgoing,
            };
            if let Some(entry) = unsettled.remove(delivery_id) {
                self.links.slot(entry.link).1.unsettled -= 1;
            }
        }
        if !session.is_over() {
            session
                .dispositions
                .queue(role, delivery_id, settled, state);
        }
    }

    /// Tells what is queued while `out` has room; `true` if more remains.
    pub fn flush_dispositions(&mut self, session: SessionKey, out: &mut SendQueue) -> bool {
        let Some(state) = self.writable_session(session) else {
            return false;
        };
        if state.dispositions.is_empty() {
            return false;
        }
        if out.is_full() {
            return true;
        }
        state.dispositions.coalesce();
        while !out.is_full() {
            if !self.flush_one_disposition(session, out) {
                return false;
            }
        }
        true
    }

    /// Tells the first thing that is queued; false if there is none.
    fn flush_one_disposition(&mut self, session: SessionKey, out: &mut SendQueue) -> bool {
        let state = self.sessions.slot(session.index).1;
        let channel = state.local_channel;
        let Some(mut told) = state.dispositions.next() else {
            return false;
        };
        if self
            .writer
            .frame(out, channel, |buffer| told.encode(buffer))
            .is_err()
        {
            reduce(&mut told);
            self.writer
                .frame_unbounded(out, channel, |buffer| told.encode(buffer));
        }
        true
    }

    fn session_of_slot(&self, link: u32) -> u32 {
        self.links.peek(link).1.session
    }

    /// Writes a flow; it always renews the incoming window.
    fn write_flow(&mut self, session: u32, link: Option<u32>, out: &mut SendQueue) {
        debug_assert_eq!(self.phase, Phase::Opened);
        let session = self.sessions.slot(session).1;
        let link = link.map(|slot| &*self.links.slot(slot).1);
        // A receiver does not know the count before the sender has attached (amqp-1.0 §2.7.4).
        let count_known = |link: &crate::link::state::Link| {
            link.role == Role::Sender || link.state != LinkState::AttachSent
        };
        let flow = Flow {
            next_incoming_id: session.window.next_incoming_id,
            incoming_window: session.window.renew(),
            next_outgoing_id: session.window.next_outgoing_id,
            outgoing_window: OUTGOING_WINDOW,
            handle: link.map(|link| link.local_handle),
            delivery_count: link
                .filter(|link| count_known(link))
                .map(|link| link.credit.delivery_count()),
            link_credit: link.map(|link| link.credit.remaining()),
            available: None,
            drain: link.is_some_and(|link| link.credit.drain),
            echo: false,
            properties: None,
        };
        let channel = session.local_channel;
        self.writer
            .frame_unbounded(out, channel, |buffer| flow.encode(buffer));
    }
}

/// Leaves out what made a state too large for the peer's frames.
fn reduce(disposition: &mut Disposition) {
    disposition.state = match disposition.state.take() {
        Some(DeliveryState::Rejected(_)) => Some(DeliveryState::Rejected(None)),
        Some(DeliveryState::Modified(modified)) => {
            let reduced = Modified {
                message_annotations: None,
                ..*modified
            };
            Some(DeliveryState::Modified(Box::new(reduced)))
        }
        _ => None,
    };
}
