//! Runs a router and its peers from a seed, and checks what must hold.
//!
//! While it runs: peers never see the protocol broken, no byte of a message changes. First phase:
//! consumers and producers vanish in the middle of everything. Second phase: one consumer stays on
//! each address, and all goals are met in bounded time. At rest: every unsettled message of a
//! producer that is still there has exactly one settled outcome; no consumer got a message twice,
//! and no two got it without one of them having lost or refused it; on one link messages come in
//! order; nothing is left in the shards.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::DeliveryState;
use amqp_proto::Time;
use bytes::Bytes;
use router_core::route::Treatment;
use router_core::settings::{
    ConnectionRole, ConnectionSettings, MeshTimers, RouterMode, RouterSettings, StripAnnotations,
};

use crate::node::Node;
use crate::peer::{Goal, Peer};
use crate::random::Random;

/// Addresses of a world.
const ADDRESSES: [&str; 2] = ["one", "two"];

/// Rounds after which a world that still moves is taken to run for ever.
const ROUNDS_MAX: u32 = 200_000;

/// What a run found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Messages that arrived.
    pub delivered: u64,
    /// A digest of everything that happened; the same seed gives the same.
    pub trace: u64,
}

/// A router, its peers and what chance has decided about them.
pub struct World {
    random: Random,
    node: Node,
    listener: Arc<ConnectionSettings>,
    peers: Vec<Peer>,
    treatment: Treatment,
    segment: usize,
    now: Time,
    trace: DefaultHasher,
}

/// Runs the world of a seed to its end. Panics if anything does not hold.
#[must_use]
pub fn run(seed: u64) -> Report {
    let mut world = World::new(seed);
    world.play();
    world.settle();
    world.check();
    world.leave();
    let delivered = world
        .peers
        .iter()
        .map(|peer| peer.received.len() as u64)
        .sum();
    Report {
        delivered,
        trace: world.trace.finish(),
    }
}

impl World {
    /// The world of a seed: the configuration, too, is drawn.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let treatments = [
            Treatment::AnycastBalanced,
            Treatment::AnycastClosest,
            Treatment::Multicast,
        ];
        let treatment = random.pick(&treatments);
        let settings = Arc::new(RouterSettings {
            id: Arc::from("SIM"),
            default_treatment: treatment,
            version: "0",
            mode: RouterMode::Standalone,
            timers: MeshTimers::default(),
        });
        let listener = ConnectionSettings {
            name: "sim".to_owned(),
            connector: None,
            role: ConnectionRole::Normal,
            cost: 1,
            max_frame_size: random.pick(&[512, 4096, 16_384]),
            max_sessions: 100,
            max_session_frames: random.pick(&[None, Some(2), Some(16)]),
            idle_time_out: None,
            handshake_time_out: None,
            link_capacity: random.pick(&[1, 2, 10, 250]),
            strip_annotations: StripAnnotations {
                inbound: true,
                outbound: true,
            },
            authenticate_peer: false,
            sasl_mechanisms: vec!["ANONYMOUS".to_owned()],
            open_properties: Vec::new(),
        };
        let shards = random.pick(&[1, 2, 3, 4]);
        Self {
            node: Node::new(shards, &settings, seed),
            listener: Arc::new(listener),
            peers: Vec::new(),
            treatment,
            segment: random.pick(&[7, 100, 4096, 16_384]),
            now: Time::from_millis(1),
            trace: DefaultHasher::new(),
            random,
        }
    }

    /// Peers come, work and vanish.
    fn play(&mut self) {
        for _ in 0..2 + self.random.below(4) {
            self.join_consumer();
        }
        for _ in 0..1 + self.random.below(4) {
            self.join_producer();
        }
        for _ in 0..200 + self.random.below(400) {
            self.round();
            if self.random.one_in(60) {
                let peer = self.random.below(self.peers.len());
                self.vanish(peer);
            }
            if self.random.one_in(80) {
                self.join_consumer();
            }
        }
    }

    /// One consumer stays on each address; all goals are met.
    fn settle(&mut self) {
        for address in ADDRESSES {
            let goal = Goal::Receive {
                credit: 20,
                odd: 0,
                second: false,
            };
            self.join(goal, address);
        }
        let mut quiet = 0;
        for round in 0.. {
            assert!(round < ROUNDS_MAX, "the world does not come to rest");
            // Seconds pass: credit that was not news enough is given when one is over.
            let moved = self.round();
            quiet = if moved { 0 } else { quiet + 1 };
            if quiet > 400 {
                break;
            }
        }
        for peer in self.peers.iter().filter(|peer| !peer.gone) {
            if let Goal::Send { left, .. } = peer.goal {
                let credit = peer.link.map(|link| peer.engine.credit(link));
                let unsettled = peer
                    .outcomes
                    .iter()
                    .filter(|(times, _)| *times == 0)
                    .count();
                assert_eq!(
                    left, 0,
                    "producer {} of {} is stuck: {credit:?} credit, {unsettled} unsettled, {:?}",
                    peer.number, peer.address, peer.goal,
                );
            }
        }
    }

    /// What must hold at rest.
    fn check(&self) {
        let mut accepted: BTreeSet<(u32, u64)> = BTreeSet::new();
        let mut copies: BTreeMap<(u32, u64), u32> = BTreeMap::new();
        for peer in &self.peers {
            let mut seen = BTreeSet::new();
            let mut last: BTreeMap<u32, u64> = BTreeMap::new();
            for &(producer, number, taken) in &peer.received {
                assert!(
                    seen.insert((producer, number)),
                    "a consumer got a message twice"
                );
                if let Some(&before) = last.get(&producer)
                    && !self.may_return()
                {
                    assert!(before < number, "messages of one link out of order");
                }
                last.insert(producer, number);
                if taken && !peer.gone {
                    *copies.entry((producer, number)).or_default() += 1;
                    accepted.insert((producer, number));
                }
            }
        }
        if !self.treatment.is_multicast() {
            for (message, count) in copies {
                assert_eq!(count, 1, "{message:?} was accepted by several consumers");
            }
        }
        for peer in self.peers.iter().filter(|peer| !peer.gone) {
            let Goal::Send { settled: false, .. } = peer.goal else {
                continue;
            };
            for (number, (times, state)) in (0u64..).zip(&peer.outcomes) {
                assert_eq!(
                    *times, 1,
                    "message {number} of {} has no one outcome",
                    peer.number
                );
                let told = matches!(state, Some(DeliveryState::Accepted));
                let taken = accepted.contains(&(peer.number, number));
                assert!(
                    !taken || told || self.treatment.is_multicast(),
                    "accepted by a consumer, {state:?} told"
                );
            }
        }
    }

    /// Whether a consumer may have vanished: what waited for it follows later messages.
    fn may_return(&self) -> bool {
        self.peers
            .iter()
            .any(|peer| peer.gone && matches!(peer.goal, Goal::Receive { .. }))
    }

    /// All peers go; nothing is left of them.
    fn leave(&mut self) {
        for peer in 0..self.peers.len() {
            self.vanish(peer);
        }
        let mut quiet = 0;
        while quiet < 100 {
            quiet = if self.round() { 0 } else { quiet + 1 };
        }
        for shard in &self.node.shards {
            assert_eq!(shard.connection_count(), 0, "a connection is left");
            assert_eq!(shard.deliveries_in_flight(), 0, "a delivery is left");
        }
        assert!(!self.node.has_mail());
        assert_eq!(
            self.node.address_count(),
            3,
            "only the router's own addresses are left"
        );
    }

    fn join_consumer(&mut self) {
        let goal = Goal::Receive {
            credit: self.random.pick(&[1, 5, 100]),
            odd: self.random.pick(&[0, 0, 5]),
            second: self.random.one_in(4),
        };
        let address = self.random.pick(&ADDRESSES);
        self.join(goal, address);
    }

    fn join_producer(&mut self) {
        let goal = Goal::Send {
            left: u32::try_from(self.random.below(60)).unwrap_or(0),
            settled: self.random.one_in(4),
            // A trickling wire would carry a large message for ever.
            size: self
                .random
                .pick(&[0, 100, 3000, 300_000])
                .min(self.segment * 50),
        };
        let address = self.random.pick(&ADDRESSES);
        self.join(goal, address);
    }

    fn join(&mut self, goal: Goal, address: &str) {
        let number = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        let frame = self.random.pick(&[512, 16_384, 1_000_000]);
        let mut peer = Peer::new(number, goal, address, frame, self.now);
        peer.shard = self.random.below(self.node.shards.len());
        peer.key = self.node.accept(peer.shard, &self.listener, self.now);
        self.peers.push(peer);
    }

    fn vanish(&mut self, peer: usize) {
        let peer = &mut self.peers[peer];
        if !peer.gone {
            peer.gone = true;
            self.node.shards[peer.shard].end_of_input(peer.key, None, self.now);
        }
    }

    /// Somebody does something; true if anything moved.
    fn round(&mut self) -> bool {
        self.now = self.now + Duration::from_millis(self.random.below(20) as u64);
        let who = self.random.below(self.node.shards.len() + 1);
        let mut moved = self.node.turn(who, &mut self.random, self.now);
        if who < self.node.shards.len() {
            moved |= self.write(who);
        }
        let peer = self.random.below(self.peers.len());
        moved |= self.peers[peer].act(&mut self.random);
        moved |= self.feed(peer);
        moved || self.node.has_mail()
    }

    /// Some of a peer's bytes reach its shard, cut anywhere.
    fn feed(&mut self, peer: usize) -> bool {
        let Peer {
            shard,
            key,
            output,
            gone,
            ..
        } = &mut self.peers[peer];
        if *gone || output.is_empty() {
            return false;
        }
        let bytes = output.to_bytes();
        let count = bytes.len().min(1 + self.random.below(4 * self.segment));
        output.consume(count);
        let shard = &mut self.node.shards[*shard];
        for segment in bytes[..count].chunks(self.segment) {
            shard.window()[..segment.len()].copy_from_slice(segment);
            shard.received(*key, segment.len(), self.now);
        }
        true
    }

    /// What a shard has for its peers reaches them, sometimes only in part.
    fn write(&mut self, shard: usize) -> bool {
        let mut moved = false;
        let mut keys = Vec::new();
        while let Some(key) = self.node.shards[shard].poll_output() {
            keys.push(key);
        }
        for key in keys {
            while let Some(queue) = self.node.shards[shard].output(key) {
                let bytes = queue.to_bytes();
                let count = bytes.len().min(1 + self.random.below(8 * self.segment));
                queue.consume(count);
                self.node.shards[shard].wrote(key);
                moved = true;
                self.trace.write(&bytes[..count]);
                let peers = &mut self.peers;
                let peer = peers
                    .iter_mut()
                    .find(|peer| peer.shard == shard && peer.key == key);
                if let Some(peer) = peer.filter(|peer| !peer.gone) {
                    let bytes = Bytes::copy_from_slice(&bytes[..count]);
                    peer.take(bytes, &mut self.random, self.now);
                }
            }
        }
        while self.node.shards[shard].poll_closed().is_some() {
            moved = true;
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn a_seed_gives_the_same_run_each_time() {
        for seed in 0..5 {
            assert_eq!(run(seed), run(seed));
        }
    }

    #[test]
    fn the_first_seeds_find_nothing_and_deliver_something() {
        let delivered: u64 = (0..150).map(|seed| run(seed).delivered).sum();
        assert!(delivered > 1000, "{delivered}");
    }
}
