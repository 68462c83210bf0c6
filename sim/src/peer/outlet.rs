//! The sending end of a routed link: deliveries with tags and formats of their own, whole or in
//! pieces, in each settle mode, some of them given up, some settled before their outcome is known.

use std::collections::BTreeMap;
use std::time::Duration;

use amqp_codec::{DeliveryState, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode};
use amqp_proto::{LinkKey, Time};

use super::hand::{Hand, earliest};
use super::pieces::{Label, Pieces, Step};
use super::words::TOKEN;
use crate::books::Books;
use crate::message::{self, Head};
use crate::plan::SendPlan;
use crate::tunnels::{FIRST, Parcel, Side};

/// Deliveries in one act.
const BURST: usize = 20;

#[derive(Debug)]
pub(super) struct Outlet {
    plan: SendPlan,
    settles: SenderSettleMode,
    /// It settles when it hears a state that is not settled.
    answers: bool,
    /// Deliveries to send.
    pub(super) left: u32,
    pub(super) sent: u32,
    current: Option<Current>,
    not_before: Time,
    /// To settle: when, and what.
    early: Vec<(Time, usize)>,
    /// Delivery-ids of what has no outcome.
    ids: BTreeMap<usize, u32>,
}

#[derive(Debug)]
struct Current {
    number: usize,
    pieces: Pieces,
}

impl Outlet {
    pub(super) fn new(
        plan: &SendPlan,
        (settles, receiver): (SenderSettleMode, ReceiverSettleMode),
        left: u32,
    ) -> Self {
        Self {
            plan: plan.clone(),
            settles,
            answers: receiver == ReceiverSettleMode::Second,
            left,
            sent: 0,
            current: None,
            not_before: Time::ZERO,
            early: Vec::new(),
            ids: BTreeMap::new(),
        }
    }

    /// No delivery is half sent.
    pub(super) fn is_between(&self) -> bool {
        self.current.is_none()
    }

    pub(super) fn act(
        &mut self,
        (link, tunnel, _): (LinkKey, usize, Side),
        hand: &mut Hand<'_>,
    ) -> Option<Time> {
        let mut next = self.settle(hand);
        for _ in 0..BURST {
            if self.current.is_none() {
                if self.left > 0 && self.not_before > hand.now {
                    return earliest(next, Some(self.not_before));
                }
                if hand.engine.credit(link) == 0 {
                    return next;
                }
                if self.left == 0 {
                    if hand.engine.drain_requested(link) {
                        hand.engine.drained(link, hand.output);
                    }
                    return next;
                }
                self.compose(tunnel, hand);
            }
            match self.send(link, hand) {
                Some(Step::Blocked) => return next,
                Some(Step::Later(at)) => return earliest(next, Some(at)),
                Some(Step::Done { .. }) | None => next = earliest(next, self.settle(hand)),
            }
        }
        earliest(next, Some(hand.now + Duration::from_micros(50)))
    }

    /// Makes the next delivery.
    fn compose(&mut self, tunnel: usize, hand: &mut Hand<'_>) {
        self.left -= 1;
        let plan = &self.plan;
        let random = &mut *hand.random;
        let head = Head {
            ornate: plan.ornate,
            priority: u8::try_from(random.below(10)).unwrap_or(4),
            ..Head::default()
        };
        let size = random.below(plan.size + 1);
        let settled = match self.settles {
            SenderSettleMode::Settled => true,
            SenderSettleMode::Unsettled => false,
            SenderSettleMode::Mixed => plan.settled > 0 && random.one_in(plan.settled),
        };
        let number = hand.books.tunnels.next_parcel();
        let bytes = message::make(FIRST + number as u64, size, &head, random);
        // From the shortest that says which it is to the longest that may be.
        let mut tag = [0; 32];
        tag[..8].copy_from_slice(&(number as u64).to_be_bytes());
        let length = random.pick(&[8, 9, 16, 31, 32]);
        let Some(tag) = DeliveryTag::new(&tag[..length]) else {
            panic!("a tag of {length} bytes");
        };
        let format = random.pick(&[0, 0, 1, 0x8001_3700]);
        let aborts = plan.aborts > 0 && plan.pieces > 1 && random.one_in(plan.aborts);
        let aborts_at = aborts.then(|| 1 + random.below(bytes.len()));
        let label = Label {
            token: TOKEN | number as u64,
            tag,
            format,
            settled,
        };
        self.current = Some(Current {
            number,
            pieces: Pieces::new(label, bytes.clone(), plan.pieces, aborts_at),
        });
        let parcel = Parcel::new(tunnel, bytes, (tag, format), settled, hand.now);
        hand.books.tunnels.begin(parcel);
    }

    /// Sends a piece of the present delivery, as far as it goes.
    fn send(&mut self, link: LinkKey, hand: &mut Hand<'_>) -> Option<Step> {
        let current = self.current.as_mut()?;
        let number = current.number;
        let whole = |books: &mut Books| books.tunnels.parcels[number].whole = true;
        let step = current.pieces.send(link, self.plan.pause, hand, whole);
        if let Step::Done { id, aborted } = step {
            hand.books.tunnels.ended(number, aborted, hand.now);
            self.is_sent(id, aborted, hand);
        }
        Some(step)
    }

    /// A delivery has been sent to its end.
    fn is_sent(&mut self, id: u32, aborted: bool, hand: &mut Hand<'_>) {
        self.sent += 1;
        if self.plan.pause > 0 {
            self.not_before = hand.now + hand.random.micros(self.plan.pause);
        }
        let Some(Current { number, pieces }) = self.current.take() else {
            return;
        };
        if pieces.label.settled || aborted {
            return;
        }
        self.ids.insert(number, id);
        if self.plan.early > 0 && hand.random.one_in(self.plan.early) {
            let at = hand.now + hand.random.micros(20_000);
            self.early.push((at, number));
        }
    }

    /// Settles what is due: what it wants to forget, and what the receiver is to settle second.
    fn settle(&mut self, hand: &mut Hand<'_>) -> Option<Time> {
        let now = hand.now;
        let due: Vec<_> = self.early.extract_if(.., |(at, _)| *at <= now).collect();
        for (_, number) in due {
            let Some(id) = self.ids.remove(&number) else {
                continue;
            };
            hand.books.tunnels.settled_early(number, now);
            let state = hand.books.tunnels.parcels[number].heard.state.clone();
            hand.engine
                .queue_disposition(hand.session, Role::Sender, id, true, state);
        }
        self.early.iter().map(|&(at, ..)| at).min()
    }

    /// The receiver has said something.
    pub(super) fn told(
        &mut self,
        number: usize,
        state: Option<&DeliveryState>,
        settled: bool,
        now: Time,
    ) {
        if settled {
            self.ids.remove(&number);
        } else if self.answers && state.is_some_and(DeliveryState::is_terminal) {
            self.early.push((now, number));
        }
    }

    pub(super) fn unmet(&self, tunnel: usize, books: &Books) -> Option<String> {
        if self.left > 0 {
            return Some(format!("{} deliveries left", self.left));
        }
        if let Some(current) = &self.current {
            return Some(format!("parcel {} is half sent", current.number));
        }
        let waits = !books.tunnels.is_settled(tunnel);
        waits.then(|| "no outcome yet".to_owned())
    }
}
