//! Deliveries, going out.
//!
//! Owns [`Connection::send_transfer`]; never decides what is sent.
//!
//! Decision: credit, window, frame size and the send queue's high mark are looked at here and
//! nowhere else; the owner offers bytes and learns how many were taken.

use amqp_codec::{Role, Transfer};

use crate::connection::phase::Phase;
use crate::connection::state::Connection;
use crate::event::{OutTransfer, Sent};
use crate::key::LinkKey;
use crate::link::state::{Link, Progress};
use crate::payload::Payload;
use crate::send::SendQueue;
use crate::session::state::Session;
use crate::session::unsettled::Entry;
use crate::writer::{Parts, Writer};

impl Connection {
    /// Sends a delivery, or a further part of one: `head` (rewritten leading sections), then
    /// `body` (the untouched rest). The first part takes one credit and the next delivery-id. The
    /// bytes are split by the peer's max-frame-size; sending stops when `out` is full or the
    /// session's window is shut. What was not taken is to be offered again.
    ///
    /// An unsettled delivery is remembered with its token until it is settled by either side. An
    /// abort ends a delivery that has begun and does nothing to one that has not.
    pub fn send_transfer(
        &mut self,
        link: LinkKey,
        transfer: &OutTransfer<'_>,
        head: &[u8],
        body: &Payload,
        out: &mut SendQueue,
    ) -> Sent {
        let max_unsettled = self.config.limits.unsettled_per_session as usize;
        if self.phase != Phase::Opened {
            return Sent::Blocked;
        }
        let slot = link.index;
        let Some(link) = self.links.get_mut(slot, link.generation) else {
            return Sent::Blocked;
        };
        let session = self.sessions.slot(link.session).1;
        if !link.is_attached() || !session.is_mapped() || link.role != Role::Sender {
            return Sent::Blocked;
        }
        let total = if transfer.aborted {
            0
        } else {
            head.len() + body.len()
        };
        let nothing_to_say = if link.progress.open {
            total == 0 && transfer.more && !transfer.aborted
        } else {
            transfer.aborted
        };
        if nothing_to_say {
            return Sent::Whole;
        }
        if out.is_full() || session.window.outgoing() == 0 {
            return Sent::Blocked;
        }
        let first = !link.progress.open;
        if first {
            let crowded = !transfer.settled && session.outgoing.len() >= max_unsettled;
            if crowded || !link.credit.take() {
                return Sent::Blocked;
            }
            begin_delivery(session, link, slot, transfer);
        } else {
            update_delivery(session, link, transfer);
        }
        let mut sending = Sending {
            transfer,
            head,
            body,
            taken: 0,
            total,
        };
        loop {
            let begins = first && sending.taken == 0;
            let taken = sending.frame(&mut self.writer, session, link, begins, out);
            sending.taken += taken;
            session.window.send();
            link.progress.transfers = link.progress.transfers.saturating_add(1);
            if sending.taken == total {
                break;
            }
            if out.is_full() || session.window.outgoing() == 0 {
                return Sent::Part(sending.taken);
            }
        }
        link.progress.open = transfer.more && !transfer.aborted;
        Sent::Whole
    }

    /// The delivery-id of the delivery that was last begun on a link, in either direction.
    #[inline]
    pub fn last_delivery_id(&self, link: LinkKey) -> u32 {
        self.link(link).map_or(0, |link| link.progress.delivery_id)
    }

    /// Whether a delivery on the link has begun and not ended.
    pub fn is_delivering(&self, link: LinkKey) -> bool {
        self.link(link).is_some_and(|link| link.progress.open)
    }
}

#[inline]
fn begin_delivery(session: &mut Session, link: &mut Link, slot: u32, transfer: &OutTransfer<'_>) {
    let delivery_id = session.next_delivery_out;
    session.next_delivery_out = delivery_id.wrapping_add(1);
    let settled = transfer.settled;
    link.progress = Progress {
        open: true,
        settled,
        delivery_id,
        transfers: 0,
    };
    if !settled {
        link.unsettled += 1;
        let entry = Entry {
            token: transfer.token,
            link: slot,
        };
        let replaced = session.outgoing.insert(delivery_id, entry);
        debug_assert!(
            replaced.is_none(),
            "four billion deliveries and one still unsettled"
        );
    }
}

/// A later part may settle the delivery; an abort always does.
fn update_delivery(session: &mut Session, link: &mut Link, transfer: &OutTransfer<'_>) {
    let settles = transfer.settled || transfer.aborted;
    if settles && !link.progress.settled {
        link.progress.settled = true;
        if session.outgoing.remove(link.progress.delivery_id).is_some() {
            link.unsettled -= 1;
        }
    }
}

/// One call of `send_transfer`.
struct Sending<'a> {
    transfer: &'a OutTransfer<'a>,
    head: &'a [u8],
    body: &'a Payload,
    taken: usize,
    total: usize,
}

impl Sending<'_> {
    /// Writes one frame and says how many bytes it took.
    #[inline]
    fn frame(
        &self,
        writer: &mut Writer,
        session: &Session,
        link: &Link,
        begins: bool,
        out: &mut SendQueue,
    ) -> usize {
        let transfer = self.transfer;
        let mut performative = Transfer {
            handle: link.local_handle,
            delivery_id: begins.then_some(link.progress.delivery_id),
            delivery_tag: begins.then_some(transfer.tag),
            message_format: begins.then_some(transfer.message_format),
            settled: link.progress.settled.then_some(true),
            more: false,
            rcv_settle_mode: None,
            state: if self.taken == 0 {
                transfer.state.cloned()
            } else {
                None
            },
            resume: false,
            aborted: transfer.aborted,
            batchable: transfer.batchable,
        };
        let parts = Parts {
            head: self.head,
            body: self.body,
            skip: self.taken,
            count: self.total - self.taken,
        };
        let channel = session.local_channel;
        let more_later = transfer.more && !transfer.aborted;
        if let Ok(taken) = writer.frame_with(out, channel, &parts, |buffer, more| {
            performative.more = more || more_later;
            performative.encode(buffer);
        }) {
            return taken;
        }
        // Only a state can make a transfer too large for the smallest frame.
        performative.state = None;
        let taken = writer.frame_with(out, channel, &parts, |buffer, more| {
            performative.more = more || more_later;
            performative.encode(buffer);
        });
        taken.unwrap_or(0)
    }
}
