//! A producer's link: numbered messages, whole or in pieces, settled or not, some of them given up
//! half-way, some settled before their outcome is known.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use amqp_codec::{DeliveryState, DeliveryTag, Role};
use amqp_proto::{Connection, LinkKey, Time};
use router_core::route::DEFAULT_PRIORITY;

use super::hand::{Hand, News, Tie, earliest};
use super::pieces::{Label, Pieces, Step};
use crate::books::{Books, MessageBook};
use crate::message::{self, Head};
use crate::plan::{SERVICE, SendPlan};

/// Messages in one act.
const BURST: usize = 20;

/// How long an answer is waited for, once the request was accepted.
const ANSWER: Duration = Duration::from_secs(5);

/// Bytes from which a message of several frames is forwarded before it is whole.
const STREAM: usize = router_core::limits::STREAM_THRESHOLD;

/// A producer's link.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) tie: Tie,
    plan: SendPlan,
    name: String,
    supply: Supply,
    /// The message that is being sent.
    current: Option<Current>,
    not_before: Time,
    /// To settle early: when, delivery-id, message.
    early: Vec<(Time, u32, usize)>,
}

/// What there is to send.
#[derive(Debug)]
enum Supply {
    /// So many more messages.
    Count(u32),
    /// So many more requests, one after the other.
    Requests {
        left: u32,
        reply_to: Option<String>,
        /// The one under way, and when it is given up.
        waiting: Option<(usize, Option<Time>)>,
    },
    /// Answers: where to, and to what.
    Answers(VecDeque<(String, u64)>),
}

#[derive(Debug)]
struct Current {
    number: u64,
    pieces: Pieces,
}

impl Supply {
    /// Takes one message off; what it is to say goes into its head.
    fn take(&mut self, head: &mut Head) -> bool {
        match self {
            Self::Count(0) => return false,
            Self::Count(left) => *left -= 1,
            Self::Requests {
                left,
                reply_to: Some(reply_to),
                waiting: waiting @ None,
            } if *left > 0 => {
                *left -= 1;
                *waiting = Some((usize::MAX, None));
                head.reply_to = Some(reply_to.clone());
            }
            Self::Requests { .. } => return false,
            Self::Answers(queue) => {
                let Some((to, request)) = queue.pop_front() else {
                    return false;
                };
                head.to = Some(to);
                head.answers = Some(request);
            }
        }
        true
    }
}

impl Sender {
    pub(super) fn new(plan: &SendPlan, name: String) -> Self {
        Self {
            tie: Tie::default(),
            supply: Supply::Count(plan.count),
            plan: plan.clone(),
            name,
            current: None,
            not_before: Time::ZERO,
            early: Vec::new(),
        }
    }

    /// One that asks the service.
    pub(super) fn requests(count: u32, name: String) -> Self {
        let supply = Supply::Requests {
            left: count,
            reply_to: None,
            waiting: None,
        };
        Self {
            supply,
            ..Self::new(&SendPlan::steady(SERVICE), name)
        }
    }

    /// One that answers.
    pub(super) fn answers(name: String) -> Self {
        let plan = SendPlan {
            anonymous: true,
            ..SendPlan::steady(SERVICE)
        };
        Self {
            supply: Supply::Answers(VecDeque::new()),
            ..Self::new(&plan, name)
        }
    }

    /// One more message is to be sent.
    pub(super) fn order(&mut self) {
        if let Supply::Count(left) = &mut self.supply {
            *left += 1;
        }
    }

    pub(super) fn hear(&mut self, news: News) {
        match (&mut self.supply, news) {
            (Supply::Requests { reply_to, .. }, News::Address(address)) => {
                *reply_to = Some(address);
            }
            (Supply::Requests { waiting, .. }, News::Answer(request))
                if waiting.is_some_and(|(number, _)| number as u64 == request) =>
            {
                *waiting = None;
            }
            (Supply::Answers(queue), News::Request(to, request)) => queue.push_back((to, request)),
            _ => {}
        }
    }

    pub(super) fn act(&mut self, hand: &mut Hand<'_>) -> Option<Time> {
        let Some(link) = self.tie.link else {
            let address = (!self.plan.anonymous).then_some(self.plan.address);
            let name = self.name.clone();
            self.tie.attach(hand, name, Role::Sender, address, false);
            return None;
        };
        if !self.tie.attached {
            return None;
        }
        let mut next = self.settle_early(hand);
        for _ in 0..BURST {
            if self.current.is_none() {
                if self.not_before > hand.now {
                    return earliest(next, Some(self.not_before));
                }
                if hand.engine.credit(link) == 0 {
                    return next;
                }
                if !self.compose(hand) {
                    if hand.engine.drain_requested(link) {
                        hand.engine.drained(link, hand.output);
                    }
                    return earliest(next, self.gives_up(hand.now));
                }
            }
            match self.send(link, hand) {
                Some(Step::Blocked) => return next,
                Some(Step::Later(at)) => return earliest(next, Some(at)),
                Some(Step::Done { .. }) | None => next = earliest(next, self.settle_early(hand)),
            }
        }
        earliest(next, Some(hand.now + Duration::from_micros(50)))
    }

    /// Makes the next message, if there is one to send.
    fn compose(&mut self, hand: &mut Hand<'_>) -> bool {
        let plan = &self.plan;
        let mut head = Head {
            to: plan.anonymous.then(|| plan.address.to_owned()),
            ornate: plan.ornate,
            priority: u8::try_from(hand.random.below(10)).unwrap_or(4),
            stream: plan.ornate && plan.pieces > 1 && hand.random.one_in(2),
            ..Head::default()
        };
        if !self.supply.take(&mut head) {
            return false;
        }
        let size = hand.random.below(plan.size + 1);
        let settled = plan.settled > 0 && hand.random.one_in(plan.settled);
        let number = if hand.evil {
            u64::MAX
        } else {
            hand.books.next_number()
        };
        let bytes = message::make(number, size, &head, hand.random);
        let length = bytes.len();
        let aborts = plan.aborts > 0 && plan.pieces > 1 && hand.random.one_in(plan.aborts);
        let aborts_at = aborts.then(|| 1 + hand.random.below(length));
        let Some(tag) = DeliveryTag::new(&number.to_be_bytes()) else {
            panic!("a tag of 8 bytes");
        };
        let label = Label {
            token: number,
            tag,
            format: 0,
            settled,
        };
        self.current = Some(Current {
            number,
            pieces: Pieces::new(label, bytes.clone(), plan.pieces, aborts_at),
        });
        if let Supply::Requests {
            waiting: Some((waiting, _)),
            ..
        } = &mut self.supply
        {
            *waiting = usize::try_from(number).unwrap_or(usize::MAX);
        }
        if let Some(link) = self.tie.book {
            let address: Rc<str> = head.to.as_deref().unwrap_or(plan.address).into();
            hand.books.begin(MessageBook {
                stream: head.stream || bytes.len() >= STREAM,
                settled,
                priority: match head.ornate {
                    true => head.priority,
                    false => DEFAULT_PRIORITY,
                },
                ..MessageBook::new(link, address, bytes, hand.now)
            });
        }
        true
    }

    /// Sends a piece of the present message, as far as it goes.
    fn send(&mut self, link: LinkKey, hand: &mut Hand<'_>) -> Option<Step> {
        let current = self.current.as_mut()?;
        let number = usize::try_from(current.number).unwrap_or(usize::MAX);
        let (now, is_booked) = (hand.now, self.tie.book.is_some());
        let whole = |books: &mut Books| {
            if is_booked {
                books.messages[number].whole = Some(now);
            }
        };
        let step = current.pieces.send(link, self.plan.pause, hand, whole);
        if let Step::Done { id, aborted } = step {
            if aborted && is_booked {
                hand.books.messages[number].aborted = true;
            }
            self.sent(number, id, aborted, hand);
        }
        Some(step)
    }

    /// A message has been sent to its end.
    fn sent(&mut self, number: usize, id: u32, aborted: bool, hand: &mut Hand<'_>) {
        let current = self.current.take();
        let settled = current.is_none_or(|current| current.pieces.label.settled);
        if self.plan.pause > 0 {
            self.not_before = hand.now + hand.random.micros(self.plan.pause);
        }
        if self.plan.early > 0 && !settled && !aborted && hand.random.one_in(self.plan.early) {
            let at = hand.now + hand.random.micros(20_000);
            self.early.push((at, id, number));
        }
    }

    /// Settles what it wants to forget before it is told.
    fn settle_early(&mut self, hand: &mut Hand<'_>) -> Option<Time> {
        let now = hand.now;
        let due: Vec<_> = self.early.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, id, number) in due {
            if self.tie.book.is_some() {
                let message = &mut hand.books.messages[number];
                if message.heard.settlements > 0 {
                    continue;
                }
                message.early = true;
            }
            let state = hand.random.one_in(2).then_some(DeliveryState::Accepted);
            hand.engine
                .queue_disposition(hand.session, Role::Sender, id, true, state);
        }
        self.early.iter().map(|&(at, ..)| at).min()
    }

    /// A request whose answer does not come is over; when that is.
    fn gives_up(&mut self, now: Time) -> Option<Time> {
        let Supply::Requests { waiting, .. } = &mut self.supply else {
            return None;
        };
        let (_, deadline) = (*waiting)?;
        if deadline.is_some_and(|deadline| deadline <= now) {
            *waiting = None;
            return Some(now + Duration::from_micros(10));
        }
        deadline
    }

    pub(super) fn told(
        &mut self,
        number: usize,
        state: Option<&DeliveryState>,
        settled: bool,
        now: Time,
    ) {
        if let Supply::Requests {
            waiting: waiting @ Some(_),
            ..
        } = &mut self.supply
            && settled
            && waiting.is_some_and(|(of, _)| of == number)
        {
            *waiting = match state {
                Some(DeliveryState::Accepted) => Some((number, Some(now + ANSWER))),
                _ => None,
            };
        }
    }

    pub(super) fn unmet(&self, engine: &Connection, books: &Books) -> Option<String> {
        let credit = self.tie.link.map_or(0, |link| engine.credit(link));
        let left = match &self.supply {
            Supply::Count(0) => None,
            Supply::Count(left) => Some(format!("{left} messages left")),
            Supply::Requests {
                left: 0, waiting, ..
            } => waiting.map(|(number, _)| format!("request {number} waits")),
            Supply::Requests { left, waiting, .. } => {
                Some(format!("{left} requests left, waiting for {waiting:?}"))
            }
            Supply::Answers(queue) if queue.is_empty() => None,
            Supply::Answers(queue) => Some(format!("{} answers left", queue.len())),
        };
        let left = left.or_else(|| {
            let current = self.current.as_ref()?;
            Some(format!("message {} is half sent", current.number))
        });
        let left = left.or_else(|| {
            let waits = !books.is_settled(self.tie.book?);
            waits.then(|| "no outcome yet".to_owned())
        });
        left.map(|left| {
            let to = &self.plan.address;
            format!("{} to {to}, {credit} credit: {left}", self.name)
        })
    }
}
