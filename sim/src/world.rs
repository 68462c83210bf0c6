//! Runs a router and its peers by a plan.
//!
//! Two phases: first, peers come and work while faults happen; then the world is healed, a steady
//! consumer joins each address, and all goals must be met within bounded virtual time. Then fresh
//! producers send a little, which must arrive exactly as it should, and everybody leaves: nothing
//! may be left. What must hold all the time is checked on the way, the rest at rest.

use std::hash::{DefaultHasher, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use bytes::Bytes;
use router_core::notice::Notice;
use router_core::route::AddressRule;
use router_core::settings::{ConnectionSettings, MeshTimers, RouterMode, RouterSettings};

use crate::agenda::Agenda;
use crate::books::Books;
use crate::check::{self, Scene};
use crate::node::Node;
use crate::peer::{Peer, Phase};
use crate::plan::{
    ADDRESSES, FAULTS_END, Fault, FaultKind, LinkPlan, Listener, PeerPlan, Plan, ReceivePlan,
    SERVICE, SendPlan,
};
use crate::random::Random;
use crate::wire::Wire;

/// Virtual time within which a healed world must come to rest.
const REST: Duration = Duration::from_secs(300);

/// Occurrences after which a world is taken to run for ever.
const OCCURRENCES: u64 = 3_000_000;

/// What a run found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Messages that arrived.
    pub delivered: u64,
    /// Things that happened.
    pub occurrences: u64,
    /// A digest of everything that was written on wires; the same seed gives the same.
    pub digest: u64,
}

/// Something that is going to happen.
#[derive(Clone, Copy, Debug)]
enum Occurrence {
    /// A peer comes.
    Join(usize),
    /// A peer acts.
    Act(usize),
    /// A shard or the control plane takes its turn.
    Turn(usize),
    /// Bytes arrive at an end of a wire.
    Arrive(usize),
    /// A fault of the plan happens.
    Fail(Fault),
}

/// Who hears what happens, in words.
pub type Listen = Box<dyn FnMut(&str)>;

/// A router, its peers and their wires.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: Time,
    random: Random,
    agenda: Agenda<Occurrence>,
    pub(crate) node: Node,
    pub(crate) peers: Vec<Peer>,
    wires: Vec<Wire>,
    pub(crate) books: Books,
    listeners: Vec<Arc<ConnectionSettings>>,
    occurrences: u64,
    digest: DefaultHasher,
    listen: Option<Listen>,
    /// Something has ended that had not been told to: the router's idle time-out, a cut wire.
    pub(crate) losses: bool,
}

impl World {
    /// The world of a plan, with a router that knows its addresses.
    pub(crate) fn new(plan: Plan, listen: Option<Listen>) -> Self {
        let settings = Arc::new(RouterSettings {
            id: Arc::from("SIM"),
            default_treatment: router_core::route::Treatment::AnycastBalanced,
            version: "0",
            mode: RouterMode::Standalone,
            timers: MeshTimers::default(),
        });
        let mut node = Node::new(plan.shards, &settings, plan.seed);
        for (address, treatment) in ADDRESSES.into_iter().zip(plan.treatments) {
            let rule = AddressRule {
                name: None,
                identity: 0,
                prefix: Some(address.to_owned()),
                pattern: None,
                treatment,
                waypoint: false,
                ingress_phase: None,
                egress_phase: None,
                priority: None,
                fallback: false,
            };
            assert!(node.control.add_address(rule).is_ok());
        }
        let listeners = plan.listeners.iter().map(Listener::settings).collect();
        let mut world = Self {
            now: Time::from_millis(1),
            random: Random::new(plan.seed.rotate_left(32) ^ 1),
            agenda: Agenda::new(),
            node,
            peers: Vec::new(),
            wires: Vec::new(),
            books: Books::default(),
            listeners,
            occurrences: 0,
            digest: DefaultHasher::new(),
            listen,
            losses: false,
            plan,
        };
        for who in 0..world.node.members.len() {
            world.wake_member(who, world.now);
        }
        world.run_for(Duration::from_millis(1));
        world
    }

    /// Plays the plan to its end. Panics if anything does not hold.
    pub(crate) fn play(mut self) -> Report {
        for peer in self.plan.peers.clone() {
            self.add_peer(peer);
        }
        for fault in self.plan.faults.clone() {
            self.agenda
                .add(self.now + fault.at, Occurrence::Fail(fault));
        }
        self.run_for(FAULTS_END);
        self.heal();
        self.rest("after healing");
        check::at_rest(&self.scene());
        let fresh = self.books.messages.len();
        for (place, address) in ADDRESSES.into_iter().enumerate() {
            let send = LinkPlan::Send(SendPlan::steady(address));
            self.add_steady(place, vec![send]);
        }
        self.rest("with fresh producers");
        check::at_rest(&self.scene());
        check::fresh(&self.scene(), fresh);
        check::counters(&self.scene());
        self.leave();
        Report {
            delivered: self.books.delivered,
            occurrences: self.occurrences,
            digest: self.digest.finish(),
        }
    }

    fn scene(&self) -> Scene<'_> {
        Scene {
            plan: &self.plan,
            now: self.now,
            node: &self.node,
            peers: &self.peers,
            books: &self.books,
            losses: self.losses,
        }
    }

    /// Tells who listens.
    fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(listen) = &mut self.listen {
            let micros = self.now.as_nanos() / 1000;
            listen(&format!("{micros:>12} µs  {}", text()));
        }
    }

    /// A peer that will come; the number of its wire.
    pub(crate) fn add_peer(&mut self, plan: PeerPlan) -> usize {
        let place = self.peers.len();
        let annotated = !self.listeners[plan.listener].strip_annotations.outbound;
        if !plan.absent {
            self.agenda
                .add(self.now + plan.joins, Occurrence::Join(place));
        }
        self.wires.push(Wire::new(plan.wire));
        debug_assert_eq!(plan.number, place);
        self.peers.push(Peer::new(plan, annotated));
        place
    }

    pub(crate) fn add_steady(&mut self, shard: usize, links: Vec<LinkPlan>) -> usize {
        let shard = shard % self.node.shards.len();
        let plan = PeerPlan::steady(self.peers.len(), shard, links);
        self.add_peer(plan)
    }

    /// A peer of producers sends one more message, one of consumers settles one.
    pub(crate) fn order(&mut self, peer: usize) {
        self.peers[peer].order();
        self.act(peer);
    }

    /// All faults are over; somebody steady consumes each address, and serves.
    fn heal(&mut self) {
        self.say(|| "the world is healed".to_owned());
        self.node.heal();
        for wire in 0..self.wires.len() {
            self.wires[wire].heal();
            self.wake_wire(wire);
        }
        for who in 0..self.node.members.len() {
            self.wake_member(who, self.now);
        }
        for peer in 0..self.peers.len() {
            if self.peers[peer].is_hostile() {
                self.cut(peer);
            }
        }
        for (place, address) in ADDRESSES.into_iter().chain([SERVICE]).enumerate() {
            let link = match address {
                SERVICE => LinkPlan::Respond,
                _ => LinkPlan::Receive(ReceivePlan::steady(address)),
            };
            self.add_steady(place + 1, vec![link]);
        }
    }

    /// Goes on until nobody wants anything and nothing is under way.
    pub(crate) fn rest(&mut self, when: &str) {
        let end = self.now + REST;
        loop {
            self.run_for(Duration::from_millis(100));
            let Some(reason) = self.unrest() else { return };
            assert!(self.now < end, "no rest {when}: {reason}");
        }
    }

    /// Why the world is not at rest.
    fn unrest(&self) -> Option<String> {
        let books = &self.books;
        let unmet = self.peers.iter().find_map(|peer| peer.unmet(books));
        let away = |peer: &&Peer| peer.phase == Phase::Away || peer.phase == Phase::Closing;
        let flight = || {
            let shards = self.node.shards.iter().enumerate();
            let mut census = shards.map(|(number, shard)| (number, shard.census()));
            census
                .find(|(_, census)| census.has_deliveries())
                .map(|(number, census)| format!("shard {number} has {census:?}"))
        };
        unmet
            .or_else(|| {
                let peer = self.peers.iter().find(away)?;
                Some(format!("peer {} is {:?}", peer.plan.number, peer.phase))
            })
            .or_else(|| self.node.has_mail().then(|| "mail".to_owned()))
            .or_else(|| {
                let wires = self.wires.iter().zip(&self.peers);
                let mut live = wires.filter(|(_, peer)| peer.phase == Phase::Here);
                live.any(|(wire, _)| !wire.up.is_empty() || !wire.down.is_empty())
                    .then(|| "bytes on the wire".to_owned())
            })
            .or_else(flight)
    }

    /// Everybody goes, one way or another; nothing is left of them.
    fn leave(&mut self) {
        for peer in 0..self.peers.len() {
            match self.random.below(3) {
                0 => self.cut(peer),
                1 => self.hang_up(peer),
                _ => {
                    self.peers[peer].close(self.now, &mut self.books);
                    self.act(peer);
                }
            }
        }
        let end = self.now + REST;
        while self.peers.iter().any(|peer| peer.phase != Phase::Gone)
            || self.node.has_mail()
            || self
                .node
                .shards
                .iter()
                .any(|shard| !shard.census().is_empty())
        {
            self.run_for(Duration::from_millis(100));
            let left = || {
                let shards = self.node.shards.iter();
                shards
                    .map(router_core::shard::Shard::census)
                    .collect::<Vec<_>>()
            };
            assert!(self.now < end, "left when all have gone: {:?}", left());
        }
        check::empty(&self.scene());
    }

    /// Lets virtual time pass.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some((at, what)) = self.agenda.next_until(end) {
            self.now = self.now.max(at);
            self.occurrences += 1;
            assert!(
                self.occurrences < OCCURRENCES,
                "no end of occurrences: {:?}",
                self.unrest()
            );
            match what {
                Occurrence::Join(peer) => self.join(peer),
                Occurrence::Act(peer) => {
                    if self.peers[peer].wake == Some(at) {
                        self.peers[peer].wake = None;
                        self.act(peer);
                    }
                }
                Occurrence::Turn(who) => {
                    if self.node.members[who].wake == Some(at) {
                        self.node.members[who].wake = None;
                        self.turn(who);
                    }
                }
                Occurrence::Arrive(wire) => {
                    if self.wires[wire].wake == Some(at) {
                        self.wires[wire].wake = None;
                        self.arrive(wire);
                    }
                }
                Occurrence::Fail(fault) => self.fail(fault),
            }
        }
        self.now = end;
    }

    fn join(&mut self, peer: usize) {
        self.say(|| format!("peer {peer} comes"));
        let plan = &self.peers[peer].plan;
        let (shard, listener) = (plan.shard, &self.listeners[plan.listener]);
        self.node.accept(shard, peer, listener, self.now);
        self.wake_member(shard, self.now);
        self.peers[peer].join();
        self.act(peer);
    }

    fn wake_member(&mut self, who: usize, at: Time) {
        let member = &mut self.node.members[who];
        let at = at.max(member.paused_until).max(self.now);
        if member.wake.is_none_or(|wake| at < wake) {
            member.wake = Some(at);
            self.agenda.add(at, Occurrence::Turn(who));
        }
    }

    fn wake_peer(&mut self, peer: usize, at: Time) {
        let at = at.max(self.now);
        let entry = &mut self.peers[peer];
        if entry.wake.is_none_or(|wake| at < wake) {
            entry.wake = Some(at);
            self.agenda.add(at, Occurrence::Act(peer));
        }
    }

    fn wake_wire(&mut self, wire: usize) {
        let Some(at) = self.wires[wire].next_arrival() else {
            return;
        };
        let at = at.max(self.now);
        let entry = &mut self.wires[wire];
        if entry.wake.is_none_or(|wake| at < wake) {
            entry.wake = Some(at);
            self.agenda.add(at, Occurrence::Arrive(wire));
        }
    }

    fn act(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        let next = peer.act(self.now, &mut self.books);
        self.pump(number);
        if let Some(next) = next {
            self.wake_peer(number, next);
        }
    }

    /// Puts on the wire what a peer has written, as far as there is room.
    fn pump(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        if matches!(peer.phase, Phase::Away | Phase::Gone) {
            return;
        }
        let Wire { behaviour, up, .. } = &mut self.wires[number];
        let room = up.room(behaviour);
        if !peer.output.is_empty() && room > 0 {
            let was_full = peer.output.is_full();
            let mut bytes = peer.output.to_bytes();
            bytes.truncate(room);
            peer.output.consume(bytes.len());
            peer.spoil(&mut bytes);
            self.digest.write(&bytes);
            up.send(bytes, behaviour, &mut self.random, self.now);
            if was_full && !peer.output.is_full() {
                self.wake_peer(number, self.now);
            }
        }
        let Wire { up, .. } = &mut self.wires[number];
        let peer = &mut self.peers[number];
        if peer.hangs_up && peer.output.is_empty() {
            up.end();
            if peer.phase != Phase::Here || peer.is_hostile() {
                self.say(|| format!("peer {number} hangs up"));
                let shard = self.peers[number].plan.shard;
                self.peers[number].vanish(self.now, &mut self.books);
                self.wires[number].down.close();
                self.wake_member(shard, self.now);
            }
        }
        self.wake_wire(number);
    }

    fn turn(&mut self, who: usize) {
        if self.node.members[who].paused_until > self.now {
            let at = self.node.members[who].paused_until;
            self.wake_member(who, at);
            return;
        }
        let turned = self
            .node
            .turn(who, &mut self.wires, &mut self.random, self.now);
        if let Some(next) = turned.next {
            self.wake_member(who, next);
        }
        for (to, at) in turned.mailed {
            self.wake_member(to, at);
        }
        for wire in turned.closed {
            self.say(|| format!("the router is done with peer {wire}"));
            self.books.peer_ended(wire, self.now);
            self.wires[wire].down.end();
            self.wake_peer(wire, self.now);
            if self.wires[wire].down.is_over() {
                self.over(wire);
            }
        }
        for wire in turned.wires {
            self.wake_wire(wire);
            // There may be room again for what the peer has written.
            if !self.peers[wire].output.is_empty() {
                self.wake_peer(wire, self.now);
            }
        }
        self.read_notices();
        if let Some(shard) = self.node.shards.get(who) {
            check::bounds(&shard.census());
        }
    }

    fn read_notices(&mut self) {
        for notice in std::mem::take(&mut self.node.notices) {
            if let Notice::ConnectionFailed {
                connection,
                condition,
                description,
                ..
            } = &notice
            {
                if let Some(&peer) = self.node.wires.get(connection) {
                    self.books.peer_ending(peer, self.now);
                }
                assert_ne!(condition, "amqp:internal-error", "{description}");
                self.losses = true;
            }
            self.say(|| format!("{notice:?}"));
        }
    }

    /// Bytes arrive at the ends of a wire.
    fn arrive(&mut self, number: usize) {
        let wire = &mut self.wires[number];
        wire.up.arrive(self.now);
        wire.down.arrive(self.now);
        let shard = self.peers[number].plan.shard;
        if wire.up.ready() > 0 || wire.up.is_over() {
            self.wake_member(shard, self.now);
        }
        self.listen_to(number);
        self.wake_wire(number);
    }

    /// A peer reads what has come for it.
    fn listen_to(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        if !peer.listens() || matches!(peer.phase, Phase::Away | Phase::Gone) {
            return;
        }
        let wire = &mut self.wires[number];
        if wire.down.ready() > 0 {
            let bytes = Bytes::from(wire.down.read_all());
            self.digest.write(&bytes);
            peer.take(bytes, self.now, &mut self.books);
            let shard = peer.plan.shard;
            self.wake_member(shard, self.now);
            self.act(number);
        }
        if self.wires[number].down.is_over() {
            self.over(number);
        }
    }

    /// A peer sees that the router has closed the wire.
    fn over(&mut self, number: usize) {
        if self.peers[number].phase != Phase::Gone {
            self.say(|| format!("peer {number} sees the end"));
            self.peers[number].vanish(self.now, &mut self.books);
            self.wires[number].up.end();
        }
    }

    /// The wire of a peer is cut.
    fn cut(&mut self, number: usize) {
        if matches!(self.peers[number].phase, Phase::Gone | Phase::Away) {
            self.peers[number].phase = Phase::Gone;
            return;
        }
        self.say(|| format!("the wire of peer {number} is cut"));
        self.peers[number].vanish(self.now, &mut self.books);
        self.wires[number].cut();
        let shard = self.peers[number].plan.shard;
        self.wake_member(shard, self.now);
    }

    /// A peer closes its side, and does not read any more.
    fn hang_up(&mut self, number: usize) {
        if self.peers[number].phase == Phase::Here {
            self.books.peer_ending(number, self.now);
            self.peers[number].phase = Phase::Closing;
            self.peers[number].hangs_up = true;
            self.pump(number);
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.say(|| format!("{:?}", fault.kind));
        let now = self.now;
        let here = |number: usize| (self.peers[number].phase == Phase::Here).then_some(number);
        match fault.kind {
            FaultKind::Reset(peer) => {
                if let Some(peer) = here(peer) {
                    self.cut(peer);
                }
            }
            FaultKind::HalfClose(peer) => {
                if let Some(peer) = here(peer) {
                    self.hang_up(peer);
                }
            }
            FaultKind::Close(peer) => {
                if let Some(peer) = here(peer) {
                    self.peers[peer].close(now, &mut self.books);
                    self.act(peer);
                }
            }
            FaultKind::EndSession(peer) => {
                if let Some(peer) = here(peer) {
                    self.peers[peer].end_session(now, &mut self.books);
                    self.act(peer);
                }
            }
            FaultKind::Stall(peer, duration) => {
                if let Some(peer) = here(peer) {
                    let long = Duration::from_secs(1_000_000);
                    self.wires[peer].stall(now + duration.unwrap_or(long));
                }
            }
            FaultKind::Pause(who, duration) => {
                self.node.members[who].paused_until = now + duration;
            }
            FaultKind::Slow(who, duration) => self.node.members[who].slow = duration,
            FaultKind::LateMail(who, duration) => self.node.members[who].late = duration,
            FaultKind::Jump(duration) => {
                self.node.ahead += duration;
                for who in 0..self.node.members.len() {
                    self.wake_member(who, now);
                }
            }
        }
    }
}
