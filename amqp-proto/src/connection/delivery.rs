//! Deliveries and their settlement, coming in.
//!
//! Owns the checks of transfers, flows and dispositions; never sends.
//!
//! Decision: windows and delivery-ids are booked before anything else is looked at, so that a
//! frame for a link we have just detached keeps the session's arithmetic right.

use amqp_codec::{Disposition, Flow, Role, Transfer};
use bytes::Bytes;

use crate::connection::input::{Fault, Outcome, unattached};
use crate::connection::state::Connection;
use crate::error::{LinkError, SessionError, Violation};
use crate::event::{Event, InTransfer};
use crate::key::{LinkKey, SessionKey};
use crate::link::state::{Link, LinkState, Progress};
use crate::payload::Payload;
use crate::serial::before;
use crate::session::state::Session;
use crate::session::unsettled::Entry;

/// What a frame says of its delivery, as the owner of the connection hears it.
fn in_transfer(progress: &Progress, first: bool, transfer: Transfer) -> InTransfer {
    InTransfer {
        delivery_id: progress.delivery_id,
        first,
        tag: transfer.delivery_tag.filter(|_| first).unwrap_or_default(),
        message_format: transfer.message_format.filter(|_| first).unwrap_or(0),
        settled: progress.settled,
        more: progress.open,
        aborted: transfer.aborted,
        state: transfer.state,
        resume: transfer.resume,
    }
}

impl Connection {
    pub(super) fn on_transfer(
        &mut self,
        channel: u16,
        transfer: Transfer,
        payload: Bytes,
    ) -> Outcome {
        let slot = self.session_slot(channel)?;
        let session = self.sessions.slot(slot).1;
        if session.is_over() {
            return Ok(None);
        }
        if !session.window.receive() {
            let text = "incoming session window exceeded";
            return Err(session_fault(slot, Violation::WindowExceeded, text));
        }
        let Some(link_slot) = session.handles_in.get(transfer.handle) else {
            return Err(unattached(transfer.handle));
        };
        let (generation, link) = self.links.slot(link_slot);
        if link.role == Role::Sender && link.state != LinkState::DetachSent {
            // Not booked on the link, whose progress is that of our own deliveries.
            session.next_delivery_in = transfer.delivery_id.map(|id| id.wrapping_add(1));
            let text = "transfer towards the sender of the link";
            return Err(link_fault(link_slot, Violation::TransferToSender, text));
        }
        let first = !link.progress.open;
        let concludes = book_frame(session, link, &transfer);
        let concludes = concludes.map_err(|error| Fault::Session(slot, error))?;
        if link.state == LinkState::DetachSent {
            return Ok(None);
        }
        let limits = &self.config.limits;
        if first {
            if !link.credit.receive() {
                let text = "link credit exceeded";
                return Err(link_fault(link_slot, Violation::CreditExceeded, text));
            }
            if transfer.delivery_tag.is_none() {
                let text = "delivery-tag required on initial transfer";
                return Err(link_fault(link_slot, Violation::DeliveryTagMissing, text));
            }
            if !link.progress.settled
                && session.incoming.len() >= limits.unsettled_per_session as usize
            {
                let text = "too many unsettled deliveries";
                return Err(session_fault(slot, Violation::TooManyUnsettled, text));
            }
        } else if link.progress.transfers > limits.transfers_per_delivery {
            let text = "too many transfers in one delivery";
            return Err(link_fault(link_slot, Violation::TooManyTransfers, text));
        }
        if concludes {
            // Nobody will dispose of it any more. Whoever is not told of the frame gets it back
            // with the link.
            let booked = session.incoming.remove(link.progress.delivery_id);
            link.unsettled = link.unsettled.saturating_sub(u32::from(booked.is_some()));
        }
        let aborted = transfer.aborted;
        let delivery = in_transfer(&link.progress, first, transfer);
        if payload.is_empty() && delivery.more {
            self.pay_for_nothing()?;
        }
        // What comes with an aborted delivery has no meaning (amqp-1.0 §2.7.5).
        let payload = if aborted {
            Payload::new()
        } else {
            Payload::from(payload)
        };
        let link = LinkKey {
            index: link_slot,
            generation,
        };
        Ok(Some(Event::Transfer {
            link,
            delivery,
            payload,
        }))
    }

    pub(super) fn on_flow(&mut self, channel: u16, flow: &Flow) -> Outcome {
        let slot = self.session_slot(channel)?;
        let (generation, session) = self.sessions.slot(slot);
        if session.is_over() {
            return Ok(None);
        }
        session
            .window
            .flowed(flow.next_incoming_id, flow.incoming_window);
        let mut link_key = None;
        if let Some(handle) = flow.handle {
            let Some(link_slot) = session.handles_in.get(handle) else {
                return Err(unattached(handle));
            };
            let (generation, link) = self.links.slot(link_slot);
            if link.state != LinkState::DetachSent {
                book_flow(link, flow);
                link_key = Some(LinkKey {
                    index: link_slot,
                    generation,
                });
            }
        }
        let echo = flow.echo && self.echoes.take(self.config.limits.echoes, self.now);
        let session = SessionKey {
            index: slot,
            generation,
        };
        Ok(Some(Event::Flow {
            session,
            link: link_key,
            echo,
        }))
    }

    pub(super) fn on_disposition(&mut self, channel: u16, disposition: Disposition) -> Outcome {
        let slot = self.session_slot(channel)?;
        let (generation, session) = self.sessions.slot(slot);
        if session.is_over() {
            return Ok(None);
        }
        if disposition
            .last
            .is_some_and(|last| before(last, disposition.first))
        {
            let text = "the range of a disposition runs backwards";
            return Err(session_fault(slot, Violation::DispositionRange, text));
        }
        // A settlement is told once of each delivery; a state may be told as often as one likes.
        if !disposition.settled {
            let cost = session.concerned(&disposition);
            if !self
                .states
                .take_many(self.config.limits.states, cost, self.now)
            {
                let text = "too many states of unsettled deliveries";
                return Err(session_fault(slot, Violation::TooManyStates, text));
            }
        }
        let session = SessionKey {
            index: slot,
            generation,
        };
        Ok(Some(Event::Disposition {
            session,
            disposition,
        }))
    }

    /// Remembers an unsettled incoming delivery, so that [`disposed`](Self::disposed) and
    /// [`forget_link`](Self::forget_link) can give its token.
    #[inline]
    pub fn track(&mut self, link: LinkKey, delivery_id: u32, token: u64) {
        let index = link.index;
        let Some(link) = self.links.get_mut(index, link.generation) else {
            return;
        };
        link.unsettled += 1;
        let session = self.sessions.slot(link.session).1;
        let entry = Entry { token, link: index };
        if let Some(replaced) = session.incoming.insert(delivery_id, entry) {
            self.links.slot(replaced.link).1.unsettled -= 1;
        }
    }

    /// How many deliveries of a link are remembered as unsettled.
    #[must_use]
    pub fn unsettled_on(&self, link: LinkKey) -> u32 {
        let link = self.links.get(link.index, link.generation);
        link.map_or(0, |link| link.unsettled)
    }

    /// How many incoming deliveries of a session are remembered as unsettled.
    pub fn unsettled_in(&self, session: SessionKey) -> usize {
        let session = self.sessions.get(session.index, session.generation);
        session.map_or(0, |session| session.incoming.len())
    }

    /// Appends the tokens of the unsettled deliveries that a disposition of the peer is about to
    /// `tokens`: outgoing ones if the peer speaks as receiver, else incoming ones. Settled ones
    /// are forgotten. Costs what is unsettled, not what the range spans.
    pub fn disposed(
        &mut self,
        session: SessionKey,
        disposition: &Disposition,
        tokens: &mut Vec<u64>,
    ) {
        let Some(session) = self.sessions.get_mut(session.index, session.generation) else {
            return;
        };
        let unsettled = match disposition.role {
            Role::Receiver => &mut session.outgoing,
            Role::Sender => &mut session.incoming,
        };
        let last = disposition.last.unwrap_or(disposition.first);
        let links = &mut self.links;
        unsettled.visit(disposition.first, last, disposition.settled, |entry| {
            tokens.push(entry.token);
            if disposition.settled {
                links.slot(entry.link).1.unsettled -= 1;
            }
        });
    }
}

/// Books a frame of a delivery: which delivery it belongs to and what it says so far. Whether it
/// settles or aborts one that was unsettled before.
#[inline]
fn book_frame(
    session: &mut Session,
    link: &mut Link,
    transfer: &Transfer,
) -> Result<bool, SessionError> {
    let out_of_sequence =
        |text: String| SessionError::local(Violation::DeliveryIdOutOfSequence, text);
    if !link.progress.open {
        let Some(id) = transfer.delivery_id else {
            return Err(out_of_sequence(
                "delivery-id required on initial transfer".into(),
            ));
        };
        if let Some(expected) = session.next_delivery_in
            && expected != id
        {
            let text = format!("sequencing error, expected delivery-id {expected}, got {id}");
            return Err(out_of_sequence(text));
        }
        session.next_delivery_in = Some(id.wrapping_add(1));
        link.progress = Progress {
            open: true,
            settled: false,
            delivery_id: id,
            transfers: 0,
        };
    } else if let Some(id) = transfer.delivery_id
        && id != link.progress.delivery_id
    {
        let expected = link.progress.delivery_id;
        let text = format!("invalid delivery-id for a continuation: {id}, expected {expected}");
        return Err(out_of_sequence(text));
    }
    let progress = &mut link.progress;
    progress.transfers = progress.transfers.saturating_add(1);
    // An abort settles, too (amqp-1.0 §2.7.5).
    let settles = transfer.settled == Some(true);
    let concludes = (settles || transfer.aborted) && !progress.settled && progress.transfers > 1;
    progress.settled |= settles;
    progress.open = transfer.more && !transfer.aborted;
    Ok(concludes)
}

fn book_flow(link: &mut Link, flow: &Flow) {
    match (link.role, flow.link_credit, flow.delivery_count) {
        (Role::Sender, Some(credit), seen) => {
            let seen = seen.unwrap_or(link.initial_delivery_count);
            link.credit.granted(seen, credit, flow.drain);
        }
        (Role::Receiver, _, Some(delivery_count)) => link.credit.returned(delivery_count),
        (Role::Sender, None, _) | (Role::Receiver, _, None) => {}
    }
}

fn session_fault(slot: u32, violation: Violation, text: &'static str) -> Fault {
    Fault::Session(slot, SessionError::local(violation, text))
}

fn link_fault(slot: u32, violation: Violation, text: &'static str) -> Fault {
    Fault::Link(slot, LinkError::local(violation, text))
}
