//! A consumer's link: gives credit by its pattern, checks what comes, disposes of it at once or
//! later, in one step or two, and may detach and come back.

use amqp_codec::{AmqpError, Attach, DeliveryState, Modified, Role};
use amqp_proto::{Connection, InTransfer, LinkKey, Payload, Time};
use bytes::{Bytes, BytesMut};

use super::hand::{Hand, News, Tie, earliest};
use crate::books::Books;
use crate::message;
use crate::plan::ReceivePlan;

/// A consumer's link.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) tie: Tie,
    plan: ReceivePlan,
    name: String,
    role: Use,
    detaching: bool,
    /// What has come of the present message.
    partial: BytesMut,
    /// Deliveries to dispose of.
    pending: Vec<Pending>,
    taken: u32,
    times: u32,
    /// No credit, and no new link, before this.
    not_before: Time,
}

/// What the messages are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Plain,
    Requests,
    Answers,
}

#[derive(Debug)]
struct Pending {
    due: Time,
    id: u32,
    receipt: Option<usize>,
    /// What is still to be said, the last thing first.
    says: Vec<(Option<DeliveryState>, bool)>,
}

impl Receiver {
    pub(super) fn new(plan: &ReceivePlan, name: String) -> Self {
        Self {
            tie: Tie::default(),
            plan: plan.clone(),
            name,
            role: Use::Plain,
            detaching: false,
            partial: BytesMut::new(),
            pending: Vec::new(),
            taken: 0,
            times: 0,
            not_before: Time::ZERO,
        }
    }

    /// On a dynamic address, for answers.
    pub(super) fn dynamic(name: String) -> Self {
        Self {
            role: Use::Answers,
            ..Self::new(&ReceivePlan::steady(""), name)
        }
    }

    /// For requests.
    pub(super) fn service(plan: &ReceivePlan, name: String) -> Self {
        Self {
            role: Use::Requests,
            ..Self::new(plan, name)
        }
    }

    pub(super) fn attached(&mut self, hand: &mut Hand<'_>, attach: &Attach) -> Option<News> {
        self.tie.answered(hand);
        let source = attach
            .source
            .as_ref()
            .and_then(|source| source.address.clone());
        if let (Use::Answers, Some(book), Some(address)) = (self.role, self.tie.book, &source) {
            hand.books.links[book].address = address.as_str().into();
        }
        match self.role {
            Use::Answers => source.map(|address| News::Address(address.to_string())),
            _ => None,
        }
    }

    pub(super) fn act(&mut self, hand: &mut Hand<'_>) -> Option<Time> {
        let Some(link) = self.tie.link else {
            if self.not_before > hand.now {
                return Some(self.not_before);
            }
            self.attach(hand);
            return None;
        };
        if !self.tie.attached || self.detaching {
            return None;
        }
        let next = self.dispose(hand);
        if self.plan.detaches > 0
            && self.taken >= self.plan.detaches
            && self.times < 3
            && self.partial.is_empty()
        {
            self.tie.ending(hand);
            hand.engine.detach(link, true, None, hand.output);
            self.detaching = true;
            return None;
        }
        earliest(next, self.give_credit(link, hand))
    }

    fn attach(&mut self, hand: &mut Hand<'_>) {
        let address = (self.role != Use::Answers).then_some(self.plan.address);
        let name = match hand.random.one_in(2) {
            true => self.name.clone(),
            false => format!("{}.{}", self.name, self.times),
        };
        let settles = self.plan.settles;
        self.tie
            .attach(hand, name, Role::Receiver, address, settles);
    }

    fn give_credit(&mut self, link: LinkKey, hand: &mut Hand<'_>) -> Option<Time> {
        let (have, full) = (hand.engine.credit(link), self.plan.credit);
        if !self.plan.pattern.is_due(have, full) {
            return None;
        }
        if self.not_before > hand.now {
            return Some(self.not_before);
        }
        let (credit, drain) = self.plan.pattern.amount(full, hand.random);
        hand.engine.set_credit(link, credit, drain, hand.output);
        let (pause, wakes) = self.plan.pattern.pause(hand.random)?;
        self.not_before = hand.now + pause;
        wakes.then_some(self.not_before)
    }

    pub(super) fn transferred(
        &mut self,
        hand: &mut Hand<'_>,
        delivery: &InTransfer,
        payload: &Payload,
    ) -> Option<News> {
        if let Some(book) = self.tie.book {
            hand.books.took(book, hand.now);
        }
        for chunk in payload.chunks() {
            self.partial.extend_from_slice(chunk);
        }
        let id = delivery.delivery_id;
        if delivery.aborted {
            if let Some(book) = self.tie.book {
                hand.books.part(book, &self.partial);
            }
            self.partial.clear();
            return None;
        }
        if delivery.more {
            return None;
        }
        let bytes = std::mem::take(&mut self.partial).freeze();
        self.whole(hand, id, delivery.settled, &bytes)
    }

    /// A message is complete: it is what its producer made, and gets its outcome.
    fn whole(
        &mut self,
        hand: &mut Hand<'_>,
        id: u32,
        settled: bool,
        bytes: &Bytes,
    ) -> Option<News> {
        self.taken += 1;
        let receipt = self
            .tie
            .book
            .map(|book| hand.books.receive(book, bytes, settled, hand.now));
        if !settled {
            let token = receipt.map_or(u64::MAX, |receipt| receipt as u64);
            if let Some(link) = self.tie.link {
                hand.engine.track(link, id, token);
            }
            let due = match self.plan.manual {
                true => Time::from_nanos(u64::MAX),
                false => hand.now + hand.random.micros(self.plan.slow),
            };
            let says = self.says(hand);
            self.pending.push(Pending {
                due,
                id,
                receipt,
                says,
            });
        }
        if self.role == Use::Plain || hand.evil {
            return None;
        }
        let reading = message::read(bytes);
        match self.role {
            Use::Requests => Some(News::Request(reading.reply_to?, message::number_of(bytes)?)),
            _ => Some(News::Answer(reading.answers?)),
        }
    }

    /// What is to be said of a delivery, the last thing first.
    fn says(&self, hand: &mut Hand<'_>) -> Vec<(Option<DeliveryState>, bool)> {
        let odd = self.plan.odd > 0 && hand.random.one_in(self.plan.odd);
        let state = match hand.random.below(3) {
            _ if !odd => DeliveryState::Accepted,
            0 => DeliveryState::Released,
            1 => DeliveryState::Rejected(Some(Box::new(AmqpError::new("app:no", "not today")))),
            _ => DeliveryState::Modified(Box::new(Modified {
                delivery_failed: true,
                undeliverable_here: hand.random.one_in(2),
                message_annotations: None,
            })),
        };
        let mut says = match self.plan.second {
            true => vec![(None, true), (Some(state), false)],
            false => vec![(Some(state), true)],
        };
        if odd && hand.random.one_in(2) {
            let received = DeliveryState::Received {
                section_number: 0,
                section_offset: 0,
            };
            says.push((Some(received), false));
        }
        says
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
            if let Some(receipt) = pending.receipt {
                hand.books.gave(receipt, state.as_ref(), settled);
            }
            hand.engine
                .queue_disposition(hand.session, Role::Receiver, pending.id, settled, state);
            if !settled {
                pending.due = hand.now + hand.random.micros(self.plan.slow.max(10));
                next = earliest(next, Some(pending.due));
            }
        }
        self.pending.retain(|pending| !pending.says.is_empty());
        next
    }

    /// The oldest delivery is to be disposed of now.
    pub(super) fn settle_oldest(&mut self) {
        if let Some(pending) = self.pending.first_mut() {
            pending.due = Time::ZERO;
        }
    }

    /// The producer has settled what this link has received.
    pub(super) fn withdrawn(&mut self, receipt: usize) {
        self.pending
            .retain(|pending| pending.receipt != Some(receipt));
    }

    pub(super) fn lost(&mut self, hand: &mut Hand<'_>) {
        self.tie.lost(hand);
        if let Some(book) = self.tie.book {
            hand.books.part(book, &self.partial);
        }
        self.partial.clear();
        self.pending.clear();
        self.detaching = false;
        self.taken = 0;
        self.times += 1;
        self.not_before = hand.now + hand.random.micros(50_000);
    }

    /// The wire is gone.
    pub(super) fn vanished(&self, books: &mut Books) {
        if let Some(book) = self.tie.book {
            books.part(book, &self.partial);
        }
    }

    pub(super) fn unmet(&self, engine: &Connection) -> Option<String> {
        let unmet = match self.tie.link {
            None => Some("no link"),
            Some(_) if !self.tie.attached => Some("its attach has no answer"),
            Some(_) if self.detaching => Some("its detach has no answer"),
            Some(_) if !self.pending.is_empty() => Some("not everything is settled"),
            Some(_) if !self.partial.is_empty() => Some("half a message"),
            Some(link) if engine.is_draining(link) && engine.credit(link) > 0 => {
                Some("its drain has no answer")
            }
            Some(_) => None,
        };
        unmet.map(|unmet| format!("{} of {}: {unmet}", self.name, self.plan.address))
    }
}
