//! The books: every message that honest peers made, who got it, what was said of it and what its
//! producer heard. What can be judged at once is judged at once; the rest at rest, by `check.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use amqp_codec::DeliveryState;
use amqp_proto::Time;
use bytes::Bytes;
use router_core::route::DEFAULT_PRIORITY;

use crate::heard::{Heard, SLACK};
use crate::message::{self, Trace};
use crate::plan::Hubs;
use crate::rests::Rests;
use crate::tunnels::Tunnels;

/// The books of a world.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) links: Vec<LinkBook>,
    pub(crate) messages: Vec<MessageBook>,
    pub(crate) receipts: Vec<Receipt>,
    /// The last message of a row in which order is kept.
    last: BTreeMap<Row, usize>,
    /// Messages that have arrived whole.
    pub(crate) delivered: u64,
    pub(crate) map: Map,
    /// When the network was not at rest: something happened to it, and not all routers have found
    /// their paths again. In the order of time.
    pub(crate) troubles: Vec<Trouble>,
    /// When a router had got its first consumer of an address and not all others had heard of it,
    /// by address, in the order of time.
    news: BTreeMap<Rc<str>, Vec<Trouble>>,
    /// Routed links.
    pub(crate) tunnels: Tunnels,
    /// What the plan says of them: how hubs name their addresses.
    pub(crate) outward: Option<Hubs>,
    /// How far at most clocks of routers have jumped without its having been a sleep to them: by so
    /// much less than their patience something may have waited that they give up.
    pub(crate) ahead: Duration,
}

/// From a producer's link to a consumer's; settled messages apart, and between routers those of
/// each priority.
type Row = (usize, usize, bool, Option<u8>);

/// A time in which the network was not at rest, or not all routers knew who has an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    pub(crate) from: Time,
    /// `None`: it lasts.
    pub(crate) until: Option<Time>,
}

impl Trouble {
    /// Whether some of it lies between two times.
    fn meets(&self, from: Time, until: Time) -> bool {
        self.from <= until && self.until.is_none_or(|to| to >= from)
    }
}

/// The routers and which of them are joined.
#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) ids: Vec<&'static str>,
    pub(crate) joined: BTreeSet<(usize, usize)>,
}

/// A link of an honest peer.
#[derive(Clone, Debug)]
pub(crate) struct LinkBook {
    pub(crate) peer: usize,
    /// The router that it is attached to.
    pub(crate) node: usize,
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
    /// When nothing came to it, if it is a consumer's.
    pub(crate) rests: Rests,
}

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct MessageBook {
    pub(crate) link: usize,
    pub(crate) address: Rc<str>,
    pub(crate) bytes: Bytes,
    pub(crate) settled: bool,
    pub(crate) priority: u8,
    /// Its first byte was written.
    pub(crate) begun: Time,
    /// Its last byte was.
    pub(crate) whole: Option<Time>,
    pub(crate) aborted: bool,
    /// Long enough, or marked, to be forwarded before it is whole.
    pub(crate) stream: bool,
    /// Its producer settled it without having been told.
    pub(crate) early: bool,
    /// What its producer was told.
    pub(crate) heard: Heard,
    /// Whole copies.
    pub(crate) receipts: Vec<usize>,
    /// Copies that ended early.
    pub(crate) parts: Vec<usize>,
}

impl MessageBook {
    /// A message without distinction, whose first byte was just written.
    pub(crate) fn new(link: usize, address: Rc<str>, bytes: Bytes, begun: Time) -> Self {
        Self {
            link,
            address,
            bytes,
            settled: false,
            priority: DEFAULT_PRIORITY,
            begun,
            whole: None,
            aborted: false,
            stream: false,
            early: false,
            heard: Heard::default(),
            receipts: Vec::new(),
            parts: Vec::new(),
        }
    }
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
    pub(crate) fn new(map: Map) -> Self {
        Self {
            map,
            ..Self::default()
        }
    }

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
        self.tunnels.peer_ending(peer, now);
        for link in self.links.iter_mut().filter(|link| link.peer == peer) {
            link.ending.get_or_insert(now);
        }
    }

    /// The router knows that a peer has gone.
    pub(crate) fn peer_ended(&mut self, peer: usize, now: Time) {
        self.peer_ending(peer, now);
        self.tunnels.peer_known_over(peer, now);
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
        if let Some(trace) = message::check(&sent.bytes, bytes, annotated, late) {
            self.check_trace(number, link, &trace, now);
        }
        let sent = &self.messages[number];
        assert_eq!(
            sent.address, self.links[link].address,
            "message {number} went to another address"
        );
        assert!(
            sent.whole.is_some(),
            "message {number} is whole before it was sent"
        );
        // Routers that see different trees of one multicast may both pass it on.
        let again = |&receipt: &usize| self.receipts[receipt].link == link;
        assert!(
            !sent.receipts.iter().any(again) || self.was_troubled(sent.begun, now),
            "message {number} came twice on one link"
        );
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

    /// A message has come by routers that are joined, from where it entered to where it left, and
    /// by none twice.
    fn check_trace(&self, number: usize, link: usize, trace: &Trace, now: Time) {
        let sent = &self.messages[number];
        let place = |text: &String| {
            let id = text.strip_prefix("0/");
            self.map.ids.iter().position(|known| id == Some(*known))
        };
        let way: Option<Vec<usize>> = trace.routers.iter().map(place).collect();
        let way = way.unwrap_or_default();
        let ends = [self.links[sent.link].node, self.links[link].node];
        let joined = |pair: &[usize]| match *pair {
            [one, other] => self.map.joined.contains(&(one.min(other), one.max(other))),
            _ => false,
        };
        assert!(
            way.first() == Some(&ends[0]) && way.last() == Some(&ends[1]),
            "message {number} went from {} to {} by {trace:?}",
            self.map.ids[ends[0]],
            self.map.ids[ends[1]]
        );
        assert!(
            way.windows(2).all(joined) && way.len() <= self.map.ids.len() + 1,
            "message {number} came by {trace:?}"
        );
        assert_eq!(
            trace.ingress.as_ref().and_then(place),
            Some(ends[0]),
            "message {number} entered elsewhere"
        );
        // A router may hear of a consumer, or of its end, before one that has passed a message on.
        let excused = self.was_troubled(sent.begun, now)
            || self.somebody_came(&sent.address, sent.begun, now)
            || self.somebody_left(&sent.address, sent.begun, now);
        let once: BTreeSet<_> = way.iter().collect();
        assert!(
            once.len() == way.len() || excused,
            "message {number} went in circles: {trace:?}"
        );
    }

    /// Order within (ingress link, target). What came home from a consumer that had gone may follow
    /// later ones. Between routers a message that is forwarded before it is whole has a link of its
    /// own, and one that its producer settles on the way waits for nobody any more.
    fn check_order(&mut self, number: usize, link: usize, now: Time) {
        let sent = &self.messages[number];
        let remote = self.links[sent.link].node != self.links[link].node;
        if remote && (sent.stream || sent.early) {
            return;
        }
        let key = (
            sent.link,
            link,
            sent.settled,
            remote.then_some(sent.priority),
        );
        let last = self.last.get(&key).copied();
        self.last.insert(key, last.unwrap_or(number).max(number));
        let Some(last) = last.filter(|&last| last > number) else {
            return;
        };
        let (address, begun) = (Rc::clone(&sent.address), sent.begun);
        assert!(
            self.somebody_left(&address, begun, now)
                || self.was_troubled(begun, now)
                || (remote && self.somebody_came(&address, begun, now)),
            "message {number} came after message {last} of the same link"
        );
    }

    /// Whether at some time between two not all routers had heard of another one that it has
    /// consumers of an address. Each router chooses anew, by what it knows: what one sends on to a
    /// newcomer may be released by the next, or go back and follow later ones.
    pub(crate) fn somebody_came(&self, address: &str, from: Time, until: Time) -> bool {
        let times = self.news.get(address).into_iter().flatten();
        times.rev().any(|time| time.meets(from, until))
    }

    /// A consumer has come to a router.
    pub(crate) fn came(&mut self, address: &str, node: usize, now: Time) {
        let is_there = |link: &LinkBook| {
            let stays = link.up.is_some() && link.ending.is_none();
            !link.sends && *link.address == *address && link.node == node && stays
        };
        if self.links.iter().any(is_there) {
            return;
        }
        let times = self.news.entry(address.into()).or_default();
        if times.last().is_none_or(|last| last.until.is_some()) {
            times.push(Trouble {
                from: now,
                until: None,
            });
        }
    }

    /// Addresses of which not all routers may have heard who has consumers.
    pub(crate) fn news(&self) -> Vec<Rc<str>> {
        let news = self.news.iter();
        let news = news.filter(|(_, times)| times.last().is_some_and(|last| last.until.is_none()));
        news.map(|(address, _)| Rc::clone(address)).collect()
    }

    /// Whether a consumer of an address has not yet heard that its router has taken it.
    pub(crate) fn is_awaited(&self, address: &str) -> bool {
        self.links.iter().any(|link| {
            !link.sends && *link.address == *address && link.up.is_none() && link.ending.is_none()
        })
    }

    /// All routers know who has consumers of an address.
    pub(crate) fn heard(&mut self, address: &str, now: Time) {
        if let Some(last) = self
            .news
            .get_mut(address)
            .and_then(|times| times.last_mut())
        {
            last.until.get_or_insert(now);
        }
    }

    /// Whether the network was not at rest at some time between two.
    pub(crate) fn was_troubled(&self, from: Time, until: Time) -> bool {
        let mut troubles = self.troubles.iter().rev();
        troubles.any(|trouble| trouble.meets(from, until))
    }

    /// Whether the network is not at rest.
    pub(crate) fn is_troubled(&self) -> bool {
        let last = self.troubles.last();
        last.is_some_and(|trouble| trouble.until.is_none())
    }

    /// Something has happened to the network.
    pub(crate) fn trouble(&mut self, now: Time) {
        if !self.is_troubled() {
            self.troubles.push(Trouble {
                from: now,
                until: None,
            });
        }
    }

    /// The network is at rest again.
    pub(crate) fn rest(&mut self, now: Time) {
        if let Some(trouble) = self.troubles.last_mut() {
            trouble.until.get_or_insert(now);
        }
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
        let what = format_args!("message {number}");
        message.heard.hear(what, state, settled, now);
        assert!(!message.settled, "message {number} was settled when sent");
    }

    /// Whether every message of a link has its outcome.
    pub(crate) fn is_settled(&self, link: usize) -> bool {
        self.messages
            .iter()
            .filter(|message| message.link == link)
            .all(|message| {
                message.settled || message.early || message.aborted || message.heard.settlements > 0
            })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::message::{Head, make};
    use crate::random::Random;

    fn link(node: usize, sends: bool) -> LinkBook {
        let mut rests = Rests::default();
        rests.begin(Time::ZERO);
        LinkBook {
            peer: 0,
            node,
            sends,
            address: "one".into(),
            settles: false,
            annotated: false,
            up: Some(Time::ZERO),
            ending: None,
            ended: None,
            rests,
        }
    }

    /// Three routers in a line, a producer at the first, consumers at the first and at the last.
    pub(crate) fn line() -> Books {
        let mut books = Books {
            map: Map {
                ids: vec!["A", "B", "C"],
                joined: BTreeSet::from([(0, 1), (1, 2)]),
            },
            ..Books::default()
        };
        books.links = vec![link(0, true), link(0, false), link(2, false)];
        books
    }

    /// The producer sends a message.
    pub(crate) fn send(books: &mut Books, at: Time) -> Bytes {
        let number = books.next_number();
        let bytes = make(number, 10, &Head::default(), &mut Random::new(1));
        books.begin(MessageBook {
            whole: Some(at),
            ..MessageBook::new(0, "one".into(), bytes.clone(), at)
        });
        bytes
    }

    const NOW: Time = Time::from_millis(5000);

    #[test]
    fn messages_in_order_are_fine() {
        let mut books = line();
        for _ in 0..3 {
            let bytes = send(&mut books, NOW);
            books.receive(2, &bytes, false, NOW);
        }
        assert_eq!(books.delivered, 3);
    }

    #[test]
    #[should_panic(expected = "message 0 came after message 1")]
    fn an_overtaken_message_is_seen() {
        let mut books = line();
        let (first, second) = (send(&mut books, NOW), send(&mut books, NOW));
        books.receive(2, &second, false, NOW);
        books.receive(2, &first, false, NOW);
    }

    #[test]
    fn in_a_time_of_trouble_messages_may_overtake_each_other_and_come_twice() {
        let mut books = line();
        books.trouble(Time::from_millis(4000));
        let (first, second) = (send(&mut books, NOW), send(&mut books, NOW));
        for bytes in [&second, &first, &first] {
            books.receive(2, bytes, false, NOW);
        }
        books.rest(NOW);
        assert!(books.was_troubled(Time::ZERO, Time::from_millis(4500)));
        assert!(!books.was_troubled(Time::from_millis(5001), Time::from_millis(9000)));
    }

    #[test]
    fn a_newcomer_matters_until_all_routers_have_heard_of_it() {
        let mut books = line();
        let came = |books: &Books, from, until| {
            let [from, until] = [from, until].map(Time::from_millis);
            books.somebody_came("one", from, until)
        };
        // There are consumers at A and C.
        books.came("one", 2, NOW);
        assert!(books.news().is_empty());
        books.came("one", 1, NOW);
        assert_eq!(books.news(), ["one".into()]);
        assert!(came(&books, 4000, 5000) && came(&books, 6000, 7000));
        books.heard("one", Time::from_millis(5500));
        assert!(books.news().is_empty());
        assert!(came(&books, 5500, 6000));
        assert!(!came(&books, 4000, 4999) && !came(&books, 5501, 6000));
    }

    #[test]
    #[should_panic(expected = "message 0 came twice on one link")]
    fn a_copy_too_many_is_seen() {
        let mut books = line();
        let bytes = send(&mut books, NOW);
        books.receive(2, &bytes, false, NOW);
        books.receive(2, &bytes, false, NOW);
    }

    fn trace(routers: &[&str]) -> Trace {
        Trace {
            ingress: Some("0/A".to_owned()),
            routers: routers.iter().map(|id| format!("0/{id}")).collect(),
        }
    }

    #[test]
    fn a_straight_way_is_fine() {
        let mut books = line();
        send(&mut books, NOW);
        books.check_trace(0, 2, &trace(&["A", "B", "C"]), NOW);
        books.check_trace(0, 1, &trace(&["A"]), NOW);
    }

    #[test]
    #[should_panic(expected = "came by")]
    fn a_jump_between_routers_that_are_not_joined_is_seen() {
        let mut books = line();
        send(&mut books, NOW);
        books.check_trace(0, 2, &trace(&["A", "C"]), NOW);
    }

    #[test]
    #[should_panic(expected = "went from A to C by")]
    fn a_router_that_does_not_sign_is_seen() {
        let mut books = line();
        send(&mut books, NOW);
        books.check_trace(0, 2, &trace(&["A", "B"]), NOW);
    }

    #[test]
    #[should_panic(expected = "went in circles")]
    fn a_circle_is_seen() {
        let mut books = line();
        send(&mut books, NOW);
        books.check_trace(0, 1, &trace(&["A", "B", "A"]), NOW);
    }
}
