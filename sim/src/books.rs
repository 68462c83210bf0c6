//! The books: every message that honest peers made, who got it, what was said of it and what its
//! producer heard. What can be judged at once is judged at once; the rest at rest, by `check.rs`.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use amqp_codec::DeliveryState;
use amqp_proto::Time;
use bytes::Bytes;

use crate::message;

/// How long the router may take to learn that a consumer has gone, while shards are paused.
pub(crate) const SLACK: Duration = Duration::from_millis(3000);

/// The books of a world.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) links: Vec<LinkBook>,
    pub(crate) messages: Vec<MessageBook>,
    pub(crate) receipts: Vec<Receipt>,
    /// The last message from a producer's link on a consumer's link, settled ones apart.
    last: BTreeMap<(usize, usize, bool), usize>,
    /// Messages that have arrived whole.
    pub(crate) delivered: u64,
}

/// A link of an honest peer.
#[derive(Clone, Debug)]
pub(crate) struct LinkBook {
    pub(crate) peer: usize,
    pub(crate) sends: bool,
    /// Empty for an anonymous producer.
    pub(crate) address: Rc<str>,
    /// The consumer asked for settled deliveries.
    pub(crate) settles: bool,
    /// Router annotations go out on it.
    pub(crate) annotated: bool,
    /// The router has answered the attach.
    pub(crate) up: Option<Time>,
    /// The peer has begun to end it, or has heard of its end.
    pub(crate) ending: Option<Time>,
    /// The router knows.
    pub(crate) ended: Option<Time>,
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct MessageBook {
    pub(crate) link: usize,
    pub(crate) address: Rc<str>,
    pub(crate) bytes: Bytes,
    pub(crate) settled: bool,
    /// Its first byte was written.
    pub(crate) begun: Time,
    pub(crate) whole: bool,
    pub(crate) aborted: bool,
    /// Long enough, or marked, to be forwarded before it is whole.
    pub(crate) stream: bool,
    /// Its producer settled it without having been told.
    pub(crate) early: bool,
    /// The last terminal state that its producer was told.
    pub(crate) told: Option<DeliveryState>,
    /// How often it was told a settlement.
    pub(crate) settlements: u32,
    pub(crate) told_at: Option<Time>,
    /// Whole copies.
    pub(crate) receipts: Vec<usize>,
    /// Copies that ended early.
    pub(crate) parts: Vec<usize>,
}

/// A message as one consumer got it.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) link: usize,
    pub(crate) settled: bool,
    /// The terminal state that the consumer gave.
    pub(crate) gave: Option<DeliveryState>,
    /// The consumer has settled it.
    pub(crate) concluded: bool,
    /// The producer has settled it.
    pub(crate) withdrawn: bool,
}

impl Books {
    /// A link is attached.
    pub(crate) fn add_link(&mut self, link: LinkBook) -> usize {
        self.links.push(link);
        self.links.len() - 1
    }

    /// A peer wants a link to end, or has heard that it has.
    pub(crate) fn link_ending(&mut self, link: usize, now: Time) {
        self.links[link].ending.get_or_insert(now);
    }

    /// The router knows that a link has ended.
    pub(crate) fn link_ended(&mut self, link: usize, now: Time) {
        self.link_ending(link, now);
        self.links[link].ended.get_or_insert(now);
    }

    /// All links of a peer end.
    pub(crate) fn peer_ending(&mut self, peer: usize, now: Time) {
        for link in self.links.iter_mut().filter(|link| link.peer == peer) {
            link.ending.get_or_insert(now);
        }
    }

    /// The router knows that a peer has gone.
    pub(crate) fn peer_ended(&mut self, peer: usize, now: Time) {
        self.peer_ending(peer, now);
        for link in self.links.iter_mut().filter(|link| link.peer == peer) {
            link.ended.get_or_insert(now);
        }
    }

    /// The number of the next message.
    pub(crate) fn next_number(&self) -> u64 {
        self.messages.len() as u64
    }

    /// A producer begins a message.
    pub(crate) fn begin(&mut self, message: MessageBook) {
        self.messages.push(message);
    }

    /// A copy has arrived whole; the number of its receipt.
    pub(crate) fn receive(
        &mut self,
        link: usize,
        bytes: &Bytes,
        settled: bool,
        now: Time,
    ) -> usize {
        let number = message::number_of(bytes)
            .and_then(|number| usize::try_from(number).ok())
            .filter(|&number| number < self.messages.len());
        let Some(number) = number else {
            panic!("a consumer got {} bytes that nobody sent", bytes.len());
        };
        let sent = &self.messages[number];
        let LinkBook { annotated, up, .. } = self.links[link];
        let late = up.is_none_or(|up| up + SLACK > sent.begun);
        message::check(&sent.bytes, bytes, annotated, late);
        assert_eq!(
            sent.address, self.links[link].address,
            "message {number} went to another address"
        );
        assert!(sent.whole, "message {number} is whole before it was sent");
        for &receipt in &sent.receipts {
            assert_ne!(
                self.receipts[receipt].link, link,
                "message {number} came twice on one link"
            );
        }
        self.check_order(number, link, now);
        self.delivered += 1;
        self.receipts.push(Receipt {
            link,
            settled,
            gave: None,
            concluded: settled,
            withdrawn: false,
        });
        let receipt = self.receipts.len() - 1;
        self.messages[number].receipts.push(receipt);
        receipt
    }

    /// A copy has ended before it was whole.
    pub(crate) fn part(&mut self, link: usize, bytes: &[u8]) {
        let number = message::number_of(bytes).and_then(|number| usize::try_from(number).ok());
        if let Some(message) = number.and_then(|number| self.messages.get_mut(number)) {
            message.parts.push(link);
        }
    }

    /// Order within (ingress link, target). What came home from a consumer that had gone may follow
    /// later ones.
    fn check_order(&mut self, number: usize, link: usize, now: Time) {
        let sent = &self.messages[number];
        let key = (sent.link, link, sent.settled);
        let last = self.last.get(&key).copied();
        self.last.insert(key, last.unwrap_or(number).max(number));
        let Some(last) = last.filter(|&last| last > number) else {
            return;
        };
        let (address, begun) = (Rc::clone(&sent.address), sent.begun);
        assert!(
            self.somebody_left(&address, begun, now),
            "message {number} came after message {last} of the same link"
        );
    }

    /// Whether the end of a consumer may have had to do with a message of that time.
    pub(crate) fn somebody_left(&self, address: &str, begun: Time, until: Time) -> bool {
        self.links.iter().any(|link| {
            !link.sends
                && *link.address == *address
                && link.ending.is_some_and(|from| from <= until)
                && link.ended.is_none_or(|to| to + SLACK >= begun)
        })
    }

    /// A consumer gives a state.
    pub(crate) fn gave(&mut self, receipt: usize, state: Option<&DeliveryState>, settled: bool) {
        let receipt = &mut self.receipts[receipt];
        if receipt.gave.is_none() {
            receipt.gave = state.filter(|state| state.is_terminal()).cloned();
        }
        receipt.concluded |= settled;
    }

    /// A producer hears a state.
    pub(crate) fn told(
        &mut self,
        number: usize,
        state: Option<&DeliveryState>,
        settled: bool,
        now: Time,
    ) {
        let Some(message) = self.messages.get_mut(number) else {
            panic!("told of a message that was not sent");
        };
        if let Some(state) = state.filter(|state| state.is_terminal()) {
            if let Some(before) = &message.told {
                assert_eq!(before, state, "message {number} has got another outcome");
            }
            message.told = Some(state.clone());
            message.told_at.get_or_insert(now);
        }
        message.settlements += u32::from(settled);
        assert!(
            message.settlements <= 1,
            "message {number} was settled twice"
        );
        assert!(!message.settled, "message {number} was settled when sent");
    }

    /// Whether every message of a link has its outcome.
    pub(crate) fn is_settled(&self, link: usize) -> bool {
        self.messages
            .iter()
            .filter(|message| message.link == link)
            .all(|message| {
                message.settled || message.early || message.aborted || message.settlements > 0
            })
    }
}
