//! The receiving end of a routed link: gives credit by its pattern, checks what comes, and says
//! what it makes of it at once or later, in one step or in two.

use amqp_codec::{DeliveryState, DeliveryTag, ReceiverSettleMode, Role};
use amqp_proto::{Connection, InTransfer, LinkKey, Payload, Time};
use bytes::BytesMut;

use super::hand::{Hand, earliest};
use super::words::{TOKEN, verdict};
use crate::books::Books;
use crate::plan::ReceivePlan;
use crate::tunnels::Side;

#[derive(Debug)]
pub(super) struct Inlet {
    plan: ReceivePlan,
    /// It waits for the sender to settle before it does.
    second: bool,
    /// The delivery that is coming, and what has come of it.
    current: Option<Coming>,
    partial: BytesMut,
    pending: Vec<Pending>,
    pub(super) taken: u32,
    not_before: Time,
}

#[derive(Debug)]
struct Coming {
    label: (DeliveryTag, u32),
    number: usize,
    /// The sender has settled it meanwhile.
    settled: bool,
}

#[derive(Debug)]
struct Pending {
    due: Time,
    id: u32,
    number: usize,
    /// What is still to be said, the last thing first.
    says: Vec<(Option<DeliveryState>, bool)>,
}

impl Inlet {
    pub(super) fn new(plan: &ReceivePlan, mode: ReceiverSettleMode) -> Self {
        Self {
            plan: plan.clone(),
            second: mode == ReceiverSettleMode::Second,
            current: None,
            partial: BytesMut::new(),
            pending: Vec::new(),
            taken: 0,
            not_before: Time::ZERO,
        }
    }

    /// No delivery has come by half.
    pub(super) fn is_between(&self) -> bool {
        self.current.is_none()
    }

    pub(super) fn act(
        &mut self,
        (link, tunnel, side): (LinkKey, usize, Side),
        hand: &mut Hand<'_>,
    ) -> Option<Time> {
        let next = self.dispose(hand);
        let (have, full) = (hand.engine.credit(link), self.plan.credit);
        if !self.plan.pattern.is_due(have, full) {
            return next;
        }
        if self.not_before > hand.now {
            return earliest(next, Some(self.not_before));
        }
        let (credit, drain) = self.plan.pattern.amount(full, hand.random);
        let book = hand.books.tunnels.all[tunnel].end_mut(side);
        book.surplus = book.surplus.saturating_add(have).saturating_sub(credit);
        hand.engine.set_credit(link, credit, drain, hand.output);
        let Some((pause, wakes)) = self.plan.pattern.pause(hand.random) else {
            return next;
        };
        self.not_before = hand.now + pause;
        match wakes {
            true => earliest(next, Some(self.not_before)),
            false => next,
        }
    }

    pub(super) fn transferred(
        &mut self,
        (link, tunnel): (LinkKey, usize),
        hand: &mut Hand<'_>,
        delivery: &InTransfer,
        payload: &Payload,
    ) {
        self.take((link, tunnel), hand, delivery, payload);
        hand.books.tunnels.moved(tunnel, hand.now);
    }

    fn take(
        &mut self,
        (link, tunnel): (LinkKey, usize),
        hand: &mut Hand<'_>,
        delivery: &InTransfer,
        payload: &Payload,
    ) {
        if delivery.first {
            let number = hand.books.tunnels.coming(tunnel, delivery.tag);
            self.current = Some(Coming {
                label: (delivery.tag, delivery.message_format),
                number,
                settled: false,
            });
            if !delivery.settled {
                let token = TOKEN | number as u64;
                hand.engine.track(link, delivery.delivery_id, token);
            }
        }
        for chunk in payload.chunks() {
            self.partial.extend_from_slice(chunk);
        }
        if delivery.more && !delivery.aborted {
            return;
        }
        let bytes = std::mem::take(&mut self.partial).freeze();
        let Some(Coming { label, settled, .. }) = self.current.take() else {
            panic!("tunnel {tunnel}: the rest of nothing");
        };
        if delivery.aborted {
            hand.books.tunnels.cut(tunnel, label.0, &bytes);
            return;
        }
        self.taken += 1;
        let number = hand
            .books
            .tunnels
            .arrived(tunnel, label, &bytes, settled || delivery.settled);
        if settled || delivery.settled {
            return;
        }
        let id = delivery.delivery_id;
        let due = hand.now + hand.random.micros(self.plan.slow);
        let is_odd = self.plan.odd > 0 && hand.random.one_in(self.plan.odd);
        let state = verdict(is_odd, hand);
        let mut says = match self.second || self.plan.second {
            // The sender settles; then there is nothing more to say.
            true if self.second => vec![(Some(state), false)],
            true => vec![(None, true), (Some(state), false)],
            false => vec![(Some(state), true)],
        };
        if is_odd && hand.random.one_in(2) {
            let received = DeliveryState::Received {
                section_number: 1,
                section_offset: bytes.len() as u64,
            };
            says.push((Some(received), false));
        }
        self.pending.push(Pending {
            due,
            id,
            number,
            says,
        });
    }

    /// Says what is due; when the next thing is.
    fn dispose(&mut self, hand: &mut Hand<'_>) -> Option<Time> {
        let mut next = None;
        for pending in &mut self.pending {
            if pending.due > hand.now {
                next = earliest(next, Some(pending.due));
                continue;
            }
            let Some((state, settled)) = pending.says.pop() else {
                continue;
            };
            hand.books
                .tunnels
                .gave(pending.number, state.as_ref(), settled, hand.now);
            hand.engine
                .queue_disposition(hand.session, Role::Receiver, pending.id, settled, state);
            if !settled {
                pending.due = hand.now + hand.random.micros(self.plan.slow.max(10));
                next = earliest(next, Some(pending.due));
            }
        }
        let second = self.second;
        self.pending
            .retain(|pending| second || !pending.says.is_empty());
        next
    }

    /// The sender has settled a delivery.
    pub(super) fn withdrawn(&mut self, number: usize) {
        self.pending.retain(|pending| pending.number != number);
        if let Some(coming) = &mut self.current {
            coming.settled |= coming.number == number;
        }
    }

    /// What has come by half comes no more.
    pub(super) fn vanished(&self, tunnel: usize, books: &mut Books) {
        if let Some(coming) = &self.current {
            books.tunnels.cut(tunnel, coming.label.0, &self.partial);
        }
    }

    pub(super) fn unmet(&self, link: LinkKey, engine: &Connection) -> Option<String> {
        let unmet = match &self.current {
            Some(_) => "half a message",
            None if !self.pending.is_empty() => "not everything is settled",
            None if engine.is_draining(link) && engine.credit(link) > 0 => {
                "its drain has no answer"
            }
            None => return None,
        };
        Some(unmet.to_owned())
    }
}
