//! Trunks between two routers, whole ones, on wires that can break.

use std::time::Duration;

use amqp_codec::{DeliveryState, Role, Source, Str, Symbol, Target};
use amqp_proto::{Clear, LinkKey};

use super::world::{World, attach};
use crate::control::{Connect, Effect};
use crate::ids::{ConnKey, ConnectionId, ShardId, TrunkToken};
use crate::inspect::{Rows, Subject};
use crate::limits;
use crate::notice::{NetworkNotice, Notice};
use crate::route::{AddressRule, Treatment};
use crate::settings::{ConnectionRole, ConnectionSettings, NewConnection};

const SHARDS: u16 = 2;

/// Two routers: the first dials the second.
struct Pair {
    worlds: [World; 2],
    wires: Vec<Wire>,
}

/// A connection: its shard and key at either router.
type Wire = [(usize, ConnKey); 2];

fn settings(world: &World, connector: Option<&str>) -> ConnectionSettings {
    ConnectionSettings {
        connector: connector.map(Into::into),
        role: ConnectionRole::InterRouter,
        ..world.listener.clone()
    }
}

/// The shard for a connection, as a runtime would choose it.
fn shard_for(world: &World, new: &NewConnection) -> usize {
    let beside = world.control.shards_beside(new);
    let crowd = |shard: &u16| beside.iter().filter(|at| **at == ShardId(*shard)).count();
    usize::from((0..SHARDS).min_by_key(crowd).unwrap())
}

/// A message that is a number.
fn message(number: u32) -> Vec<u8> {
    let mut message = vec![0x00, 0x53, 0x75, 0xa0, 4];
    message.extend_from_slice(&number.to_be_bytes());
    message
}

impl Pair {
    /// Routers that have found each other.
    fn new(trunk_connections: [u16; 2]) -> Self {
        Self::of([
            World::interior("A", SHARDS, trunk_connections[0]),
            World::interior("B", SHARDS, trunk_connections[1]),
        ])
    }

    fn of(mut worlds: [World; 2]) -> Self {
        let connector = "connector/b:1";
        let connect = Connect {
            identity: connector.into(),
            host: "b".to_owned(),
            port: "1".to_owned(),
            settings: settings(&worlds[0], Some(connector)).into(),
        };
        assert!(worlds[0].control.connect(connect));
        let mut pair = Self {
            worlds,
            wires: Vec::new(),
        };
        pair.pass(10);
        pair.pass(2000);
        pair
    }

    /// A pair with two connections.
    fn trunk() -> Self {
        let mut pair = Self::new([8, 8]);
        pair.press();
        assert_eq!(pair.wires.len(), 2, "a second connection");
        pair
    }

    /// Sends so much that it counts, in a second in which both routers are busy.
    fn press(&mut self) {
        self.press_at(&[0, 1]);
    }

    /// Sends so much that it counts, in a second in which these routers are busy.
    fn press_at(&mut self, busy: &[usize]) {
        let [producer, consumer] = [0, 1].map(|at| self.worlds[at].connect(0));
        self.worlds[1].receiver(consumer, "load", "load", 1000);
        self.pass(1500);
        let sender = self.worlds[0].sender(producer, "load", "load");
        self.run();
        for number in 0..2 * limits::TRUNK_BUSY_FRAMES {
            self.send(producer, sender, number, true);
        }
        for &at in busy {
            for shard in &mut self.worlds[at].shards {
                shard.note_load(100);
            }
        }
        self.worlds[0].vanish(producer);
        self.worlds[1].vanish(consumer);
        self.pass(1500);
    }

    /// A consumer at the second router, of which the first one knows.
    fn consumer(&mut self) -> usize {
        let consumer = self.worlds[1].connect(0);
        self.worlds[1].receiver(consumer, "r", "q", 1000);
        self.pass(1500);
        consumer
    }

    /// A producer for it on a shard of the first router, and its link.
    fn producer(&mut self, shard: usize) -> (usize, LinkKey) {
        let producer = self.worlds[0].connect(shard);
        (producer, self.worlds[0].sender(producer, "s", "q"))
    }

    /// Sends a numbered message.
    fn send(&mut self, producer: usize, sender: LinkKey, number: u32, settled: bool) {
        for _ in 0..100 {
            if self.worlds[0].send(producer, sender, &message(number), settled) {
                self.run();
                return;
            }
            self.run();
        }
        panic!("no credit");
    }

    /// The numbers of the messages that a consumer has got.
    fn received(&self, consumer: usize) -> Vec<u32> {
        self.received_at(1, consumer)
    }

    fn received_at(&self, at: usize, consumer: usize) -> Vec<u32> {
        let messages = self.worlds[at].peers[consumer].received().into_iter();
        messages
            .map(|message| {
                let end = message.len() - 4;
                u32::from_be_bytes(message[end..].try_into().unwrap())
            })
            .collect()
    }

    fn pass(&mut self, millis: u64) {
        for _ in 0..millis.div_ceil(500) {
            for world in &mut self.worlds {
                world.pass(millis.min(500));
            }
            self.run();
        }
    }

    /// Moves bytes between the routers, and dials, until nothing moves.
    fn run(&mut self) {
        for _ in 0..10_000 {
            for world in &mut self.worlds {
                world.run();
                world.control.drain_notices(&mut world.notices);
            }
            let mut moved = self.dial();
            for wire in self.wires.clone() {
                for (from, to) in [(0, 1), (1, 0)] {
                    let sent = self.worlds[from].wires.get_mut(&wire[from]);
                    let bytes = sent.map(std::mem::take).unwrap_or_default();
                    let world = &mut self.worlds[to];
                    let (shard, key) = wire[to];
                    moved |= !bytes.is_empty();
                    for chunk in bytes.chunks(8192) {
                        let now = world.now;
                        let shard = &mut world.shards[shard];
                        shard.window()[..chunk.len()].copy_from_slice(chunk);
                        shard.received(key, chunk.len(), now);
                    }
                }
            }
            moved = moved || self.end_closed();
            if !moved {
                return;
            }
        }
        panic!("the routers do not come to rest");
    }

    /// Ends what a router has closed, when all it had to say has been heard.
    fn end_closed(&mut self) -> bool {
        let is_closed = |wire: &Wire| (0..2).any(|at| self.worlds[at].closed.contains(&wire[at]));
        let Some(place) = self.wires.iter().position(is_closed) else {
            return false;
        };
        let wire = self.wires.remove(place);
        for (world, (shard, key)) in self.worlds.iter_mut().zip(wire) {
            world.wires.remove(&(shard, key));
            let now = world.now;
            world.shards[shard].end_of_input(key, None, now);
        }
        true
    }

    /// Connects what the first router dials.
    fn dial(&mut self) -> bool {
        let mut dialled = false;
        while let Some(effect) = self.worlds[0].control.poll_effect() {
            let Effect::Dial(dial) = effect else { continue };
            assert!(self.worlds[0].control.dialled(dial.connection));
            self.connect(dial.connected());
            dialled = true;
        }
        dialled
    }

    fn connect(&mut self, outgoing: NewConnection) -> Wire {
        let [a, b] = &mut self.worlds;
        let connection = b.control.deal_connection();
        let incoming = NewConnection::accepted(
            connection,
            settings(b, None).into(),
            format!("a:{}", 40_000 + connection.0),
        );
        let mut ends = Vec::new();
        for (world, new) in [(a, outgoing), (b, incoming)] {
            let shard = shard_for(world, &new);
            let key = world.shards[shard].accept(new, Box::new(Clear), world.now);
            world.wires.insert((shard, key), Vec::new());
            ends.push((shard, key));
        }
        let wire = [ends[0], ends[1]];
        self.wires.push(wire);
        wire
    }

    /// A wire breaks; what was on it is lost.
    fn cut(&mut self, at: usize) {
        let wire = self.wires.remove(at);
        for (world, (shard, key)) in self.worlds.iter_mut().zip(wire) {
            world.wires.remove(&(shard, key));
            let now = world.now;
            world.shards[shard].end_of_input(key, Some("cut".to_owned()), now);
        }
        self.run();
    }

    /// How many connections each router has to the other that carry messages, as its shards see it.
    fn members(&self) -> [usize; 2] {
        [0, 1].map(|at| {
            let mut shards = self.worlds[at].shards.iter();
            let members = |shard: &crate::shard::Shard| {
                let neighbors = shard.paths.neighbors();
                assert!(neighbors.len() < 2, "one neighbour");
                neighbors.first().map_or(0, |of| of.members.len())
            };
            let first = shards.next().map(members).unwrap();
            assert!(shards.all(|shard| members(shard) == first));
            first
        })
    }

    /// Connections that carry messages from the first router's producers, in the order of wires.
    fn carried(&self) -> Vec<u32> {
        let wires = self.wires.iter();
        let carried = wires.map(|[(shard, key), _]| {
            let conn = self.worlds[0].shards[*shard].conns.get(*key);
            conn.map_or(0, |conn| conn.carried.0)
        });
        carried.collect()
    }

    fn lost_neighbours(&self) -> usize {
        let notices = self.worlds.iter().flat_map(|world| &world.notices);
        let lost = |notice: &&Notice| {
            matches!(notice, Notice::Network(NetworkNotice::NeighborLost { .. }))
        };
        notices.filter(lost).count()
    }

    fn failures(&self, at: usize) -> Vec<&str> {
        let notices = self.worlds[at].notices.iter();
        let failures = notices.filter_map(|notice| match notice {
            Notice::ConnectionFailed { description, .. } => Some(&**description),
            _ => None,
        });
        failures.collect()
    }
}

#[test]
fn a_quiet_trunk_has_one_connection_and_a_busy_one_gets_more() {
    let mut pair = Pair::new([8, 8]);
    assert_eq!((pair.wires.len(), pair.members()), (1, [1, 1]));
    for shard in &mut pair.worlds[0].shards {
        shard.note_load(100);
    }
    pair.pass(2000);
    assert_eq!(pair.wires.len(), 1, "it was not busy for its neighbour");
    pair.press();
    assert_eq!(pair.members(), [2, 2]);
    let shards = |at: usize| pair.wires.iter().map(move |wire| wire[at].0);
    assert!(
        shards(0).eq([0, 1]) && shards(1).eq([0, 1]),
        "of each shard"
    );
    pair.press();
    assert_eq!(pair.wires.len(), 2, "no more than there are shards");
}

#[test]
fn it_is_enough_that_one_of_the_routers_is_busy() {
    for busy in [0, 1] {
        let mut pair = Pair::new([8, 8]);
        pair.press_at(&[]);
        assert_eq!(pair.members(), [1, 1]);
        pair.press_at(&[busy]);
        assert_eq!(pair.members(), [2, 2]);
    }
}

/// Longer than a connection stays that nobody uses.
const LONG: u64 = 60_000;

#[test]
fn a_trunk_that_falls_silent_has_one_connection_again() {
    let mut pair = Pair::trunk();
    pair.pass(LONG);
    assert_eq!((pair.wires.len(), pair.members()), (1, [1, 1]));
    assert_eq!(pair.lost_neighbours(), 0);
    assert_eq!(pair.failures(0).len() + pair.failures(1).len(), 0);
    pair.pass(LONG);
    assert_eq!(pair.wires.len(), 1, "the last one stays");
    pair.press();
    assert_eq!(pair.members(), [2, 2]);
}

#[test]
fn a_connection_that_carries_something_stays() {
    let mut pair = Pair::trunk();
    let consumer = pair.consumer();
    let (producer, sender) = pair.producer(1);
    pair.run();
    pair.send(producer, sender, 0, false);
    pair.pass(2 * LONG);
    assert_eq!(pair.members(), [2, 2], "a delivery is not settled");
    pair.worlds[1].dispose(consumer, 0, DeliveryState::Accepted, true);
    pair.run();
    for number in 1..=10 {
        pair.send(producer, sender, number, true);
        pair.pass(10_000);
    }
    assert_eq!(pair.members(), [2, 2], "now and then a delivery comes");
    pair.pass(LONG);
    assert_eq!(pair.members(), [1, 1]);
    pair.send(producer, sender, 11, false);
    assert_eq!(pair.received(consumer).len(), 12);
}

#[test]
fn what_comes_while_a_connection_leaves_keeps_it_or_takes_another_way() {
    // Sent by either router, in each second of the leave-taking.
    for second in 0..20 {
        let mut pair = Pair::trunk();
        let ends = [[0, 1], [1, 0]].map(|[from, to]| {
            let consumer = pair.worlds[to].connect(0);
            pair.worlds[to].receiver(consumer, "r", &format!("q{to}"), 1000);
            pair.pass(1500);
            let producer = pair.worlds[from].connect(1);
            let sender = pair.worlds[from].sender(producer, "s", &format!("q{to}"));
            pair.run();
            (from, producer, sender, consumer)
        });
        pair.pass(27_000 + second * 1000);
        for number in 0..10 {
            for (from, producer, sender, _) in ends {
                let world = &mut pair.worlds[from];
                assert!(world.send(producer, sender, &message(number), false));
            }
            pair.pass(500);
        }
        pair.pass(1000);
        for (from, producer, _, consumer) in ends {
            let received = pair.received_at(1 - from, consumer);
            assert!(received.iter().copied().eq(0..10), "{second}: {received:?}");
            for id in 0..10 {
                let world = &mut pair.worlds[1 - from];
                world.dispose(consumer, id, DeliveryState::Accepted, true);
            }
            pair.run();
            for id in 0..10 {
                let outcome = pair.worlds[from].peers[producer].outcome(id);
                assert_eq!(outcome, Some((Some(DeliveryState::Accepted), true)));
            }
        }
        pair.pass(LONG);
        assert_eq!(pair.members(), [1, 1]);
    }
}

#[test]
fn a_limit_of_one_is_for_both_and_says_nothing() {
    for limits in [[1, 8], [8, 1]] {
        let mut pair = Pair::new(limits);
        pair.press();
        assert_eq!((pair.wires.len(), pair.members()), (1, [1, 1]));
    }
}

#[test]
fn an_address_counts_what_goes_to_another_router_and_is_forgotten_with_it() {
    let mut pair = Pair::new([1, 1]);
    let consumer = pair.consumer();
    let (producer, sender) = pair.producer(1);
    for number in 0..3 {
        pair.send(producer, sender, number, number == 0);
    }
    let world = &mut pair.worlds[0];
    world.control.ask(Subject::Addresses);
    world.run();
    let gathered = world.control.poll_gathered().expect("the shards answer");
    let Rows::Addresses(rows) = gathered.rows else {
        panic!("asked for addresses")
    };
    let transit: u64 = rows.iter().map(|(_, counters)| counters.transit).sum();
    assert_eq!(transit, 3);
    pair.send(producer, sender, 3, true);
    pair.worlds[0].vanish(producer);
    pair.worlds[1].vanish(consumer);
    pair.pass(3000);
    for world in &pair.worlds {
        let mut census = world.shards.iter().map(crate::shard::Shard::census);
        assert!(census.all(|census| census.strays == 0));
    }
}

#[test]
fn what_waits_when_its_sender_leaves_goes_the_senders_way() {
    let mut worlds = [World::interior("A", 1, 1), World::interior("B", 1, 1)];
    // Two may wait for the neighbour, the others where they came in.
    let capacity = std::mem::replace(&mut worlds[0].listener.link_capacity, 2);
    let mut pair = Pair::of(worlds);
    let consumer = pair.consumer();
    pair.worlds[0].listener.link_capacity = capacity;
    let (producer, sender) = pair.producer(0);
    let large = |number| {
        [vec![0x00, 0x53, 0x75, 0xb0, 0, 3, 0, 4], vec![7; 0x3_0000]]
            .into_iter()
            .chain([message(number)[5..].to_vec()])
            .collect::<Vec<_>>()
            .concat()
    };
    for number in 0..30 {
        assert!(pair.worlds[0].send(producer, sender, &large(number), false));
    }
    assert!(pair.worlds[0].shards[0].census().waiting > 10);
    pair.worlds[0].detach(producer, sender);
    pair.run();
    assert_eq!(pair.received(consumer), (0..30).collect::<Vec<_>>());
    let links = pair.worlds[1].shards[0].in_links.iter();
    let came = links.map(|(_, link)| link.counters.deliveries);
    let came: Vec<_> = came.filter(|came| *came > 0).collect();
    assert_eq!(came, [30], "by one link");
}

#[test]
fn senders_of_each_shard_use_its_connection() {
    let mut pair = Pair::trunk();
    let consumer = pair.consumer();
    for shard in [0, 1] {
        let before = pair.carried();
        let (producer, sender) = pair.producer(shard);
        for number in 0..10 {
            pair.send(producer, sender, number, false);
        }
        let after = pair.carried();
        assert_eq!(after[shard], before[shard] + 10);
        assert_eq!(after[1 - shard], before[1 - shard]);
    }
    assert_eq!(pair.received(consumer).len(), 20);
}

#[test]
fn a_sender_changes_its_connection_when_nothing_of_its_is_in_flight() {
    let mut pair = Pair::new([8, 8]);
    let consumer = pair.consumer();
    let (producer, sender) = pair.producer(1);
    for number in 0..3 {
        pair.send(producer, sender, number, false);
    }
    pair.press();
    assert_eq!(pair.members(), [2, 2]);
    let before = pair.carried();
    pair.send(producer, sender, 3, false);
    assert_eq!(pair.carried(), before, "it waits for those in flight");
    for id in 0..3 {
        pair.worlds[1].dispose(consumer, id, DeliveryState::Accepted, true);
    }
    pair.run();
    let after = pair.carried();
    assert_eq!((after[0], after[1]), (before[0], before[1] + 1));
    assert_eq!(pair.received(consumer), [0, 1, 2, 3]);
}

#[test]
fn a_sender_keeps_to_its_connection_where_nobody_knows_what_is_on_its_way_and_the_router_slept() {
    let mut pair = Pair::new([8, 8]);
    let consumer = pair.consumer();
    let (producer, sender) = pair.producer(1);
    pair.send(producer, sender, 0, true);
    pair.press();
    assert_eq!(pair.members(), [2, 2]);
    let before = pair.carried();
    for world in &mut pair.worlds {
        world.pass(60_000);
    }
    pair.run();
    pair.send(producer, sender, 1, true);
    let after = pair.carried();
    assert_eq!(
        (after[0], after[1]),
        (before[0] + 1, before[1]),
        "it could overtake"
    );
    assert_eq!(pair.received(consumer), [0, 1]);
}

#[test]
fn a_sender_waits_a_moment_only_for_what_is_in_flight() {
    let mut pair = Pair::new([8, 8]);
    let consumer = pair.consumer();
    let (producer, sender) = pair.producer(1);
    pair.send(producer, sender, 0, false);
    pair.press();
    pair.send(producer, sender, 1, false);
    assert_eq!(pair.received(consumer), [0]);
    let before = pair.carried();
    pair.pass(4000);
    assert_eq!(pair.received(consumer), [0, 1]);
    pair.send(producer, sender, 2, false);
    assert_eq!(pair.received(consumer), [0, 1, 2]);
    let after = pair.carried();
    assert_eq!(
        (after[0], after[1]),
        (before[0] + 2, before[1]),
        "as before"
    );
}

#[test]
fn a_trunk_outlives_the_loss_of_any_connection_but_the_last() {
    for first in [0, 1] {
        let mut pair = Pair::trunk();
        let consumer = pair.consumer();
        pair.cut(first);
        assert_eq!(pair.members(), [1, 1]);
        for shard in [0, 1] {
            let (producer, sender) = pair.producer(shard);
            pair.run();
            pair.send(producer, sender, 7, false);
        }
        assert_eq!(pair.received(consumer), [7, 7]);
        pair.pass(10_000);
        assert_eq!(pair.lost_neighbours(), 0, "hello goes on");
        assert_eq!(pair.wires.len(), 1, "nothing is dialled without need");
        pair.press();
        assert_eq!((pair.wires.len(), pair.members()), (2, [2, 2]));
        pair.cut(0);
        pair.cut(0);
        assert_eq!(pair.lost_neighbours(), 2, "each has lost the other");
        pair.pass(10_000);
        assert_eq!(pair.members(), [1, 1], "it was dialled anew");
    }
}

#[test]
fn what_a_lost_connection_has_not_sent_goes_by_another_in_its_order() {
    let mut pair = Pair::trunk();
    let consumer = pair.consumer();
    let producers = [0, 1].map(|_| pair.producer(1));
    pair.run();
    // The second router reads nothing any more: its session's window shuts, and the rest waits.
    let held = std::mem::take(&mut pair.wires);
    for number in 0..200_u32 {
        for (place, (producer, sender)) in (0..).zip(producers) {
            let message = message(place * 1000 + number);
            assert!(pair.worlds[0].send(producer, sender, &message, false));
        }
    }
    pair.wires = held;
    for wire in &pair.wires {
        let sent = pair.worlds[0].wires.get_mut(&wire[0]);
        sent.unwrap().clear();
    }
    pair.cut(1);
    let mut failed = 0;
    for (producer, _) in producers {
        let producer = &pair.worlds[0].peers[producer];
        let outcomes = (0..200).filter_map(|id| producer.outcome(id));
        failed += outcomes
            .filter(|(state, settled)| {
                matches!(state, Some(DeliveryState::Modified(_))) && *settled
            })
            .count();
    }
    let arrived = pair.received(consumer);
    let window = limits::SESSION_WINDOW_FRAMES as usize;
    assert_eq!((arrived.len(), failed), (400 - window, window));
    for place in [0, 1] {
        let of = arrived.iter().filter(|number| **number / 1000 == place);
        assert!(of.is_sorted(), "{arrived:?}");
    }
}

#[test]
fn nobody_joins_a_trunk_by_guessing_or_by_another_name() {
    let mut pair = Pair::trunk();
    let join = |token| crate::settings::Join {
        trunk: ConnectionId(1),
        token,
        container: "B".to_owned(),
    };
    let connection = pair.worlds[0].control.deal_connection();
    let stranger = NewConnection {
        connection,
        settings: settings(&pair.worlds[0], Some("connector/b:1")).into(),
        peer: "b:1".to_owned(),
        hostname: None,
        traced: false,
        join: Some(join(TrunkToken(7))),
    };
    pair.connect(stranger);
    pair.pass(1000);
    assert_eq!(pair.members(), [2, 2]);
    assert_eq!(pair.failures(1), ["there is no such trunk"]);
    assert_eq!(pair.lost_neighbours(), 0);
}

#[test]
fn the_token_of_a_trunk_is_not_shown() {
    let pair = Pair::trunk();
    for world in &pair.worlds {
        for notice in &world.notices {
            let Notice::ConnectionOpened(opened) = notice else {
                continue;
            };
            let Some(properties) = &opened.properties else {
                continue;
            };
            let shown = format!("{:?}", properties.value().unwrap());
            assert!(!shown.contains("trunk-token"), "{shown}");
        }
    }
}

#[test]
fn a_connection_that_cannot_be_made_is_tried_again_later() {
    let mut pair = Pair::new([8, 8]);
    let load = |pair: &mut Pair| {
        let number = pair.wires.len();
        pair.press();
        pair.wires.len() - number
    };
    assert_eq!(load(&mut pair), 1);
    pair.cut(1);
    assert_eq!(pair.members(), [1, 1]);
    pair.pass(Duration::from_secs(1).as_millis().try_into().unwrap());
    assert_eq!(load(&mut pair), 1);
    assert_eq!(pair.members(), [2, 2]);
}

#[test]
fn a_router_that_dials_is_kept_from_the_shards_of_a_trunk_only_if_it_may_be_a_part_of_it() {
    let beside = |world: &World, from: &str| {
        let (of, from) = (settings(world, None).into(), format!("{from}:41000"));
        let new = NewConnection::accepted(ConnectionId(99), of, from);
        world.control.shards_beside(&new)
    };
    let mut pair = Pair::new([8, 8]);
    let [a, b] = &pair.worlds;
    assert_eq!(
        beside(b, "a"),
        [ShardId(0)],
        "A has one and may dial another"
    );
    assert_eq!(beside(b, "c"), [], "from elsewhere");
    assert_eq!(beside(a, "b"), [], "what A has dialled is A's to add to");
    pair.press();
    assert_eq!(pair.wires.len(), 2, "a second connection");
    assert_eq!(beside(&pair.worlds[1], "a"), [], "A has all it may have");
}

#[test]
fn a_copy_for_a_receiver_that_has_just_gone_does_not_go_to_the_fallback() {
    for treatment in [Treatment::Multicast, Treatment::AnycastBalanced] {
        let mut pair = Pair::new([1, 1]);
        for world in &mut pair.worlds {
            let rule = AddressRule {
                fallback: true,
                ..AddressRule::for_prefix("q", treatment)
            };
            world.control.add_address(rule).unwrap();
        }
        let [here, there, spare] = [0, 1, 1].map(|at| pair.worlds[at].connect(0));
        let is_copied = treatment == Treatment::Multicast;
        if is_copied {
            pair.worlds[0].receiver(here, "r", "q", 10);
        }
        let receiver = pair.worlds[1].receiver(there, "r", "q", 10);
        let source = Source {
            address: Some(Str::from("q")),
            capabilities: vec![Symbol::from("qd.fallback")],
            ..Source::default()
        };
        let attach = attach("f", Role::Receiver, Some(source), Some(Target::default()));
        let fallback = pair.worlds[1].attach(spare, attach);
        pair.worlds[1].credit(spare, fallback, 10, false);
        pair.pass(1500);
        let (producer, sender) = pair.producer(0);
        // The first router has yet to hear of it.
        pair.worlds[1].detach(there, receiver);
        pair.send(producer, sender, 1, false);
        assert_eq!(pair.received_at(0, here).len(), usize::from(is_copied));
        assert_eq!(pair.received_at(1, spare).len(), usize::from(!is_copied));
    }
}
