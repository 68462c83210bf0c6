//! Runs routers and their peers by a plan.
//!
//! Two phases: first, peers come and work while faults happen; then the world is healed, a steady
//! consumer joins each address, routers find all their paths, and all goals must be met within
//! bounded virtual time. Then fresh producers send a little, which must arrive exactly as it
//! should, and everybody leaves, routers from each other, too: nothing may be left. What must hold
//! all the time is checked on the way, the rest at rest.

mod faults;
mod mesh;
mod peers;
mod run;
mod state;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::time::Duration;

use amqp_proto::Time;

use self::state::{Edge, LOOK, Occurrence};
use crate::agenda::Agenda;
use crate::books::{Books, Map};
use crate::check;
use crate::node::Node;
use crate::peer::{Peer, Phase};
use crate::plan::{ADDRESSES, HubPlan, LinkPlan, Listener, PeerPlan, Plan, ReceivePlan};
use crate::plan::{SERVICE, SendPlan};
use crate::random::Random;
use crate::seal::{self, End};
use crate::wire::{Station, Wire};

pub(crate) use self::state::World;
pub use self::state::{Listen, Report};

/// Virtual time within which a healed world must come to rest.
const REST: Duration = Duration::from_secs(300);

impl World {
    /// The world of a plan, with routers that know its addresses.
    pub(crate) fn new(plan: Plan, listen: Option<Listen>) -> Self {
        let now = Time::from_millis(1);
        let nodes = (0..plan.nodes.len()).map(|node| Node::new(&plan, node, 0));
        let pair = |nodes: [usize; 2]| (nodes[0].min(nodes[1]), nodes[0].max(nodes[1]));
        let map = Map {
            ids: plan.nodes.iter().map(|node| node.id).collect(),
            joined: plan
                .edges
                .iter()
                .map(|edge| pair(edge.ends.map(|end| end.node)))
                .collect(),
        };
        let mut world = Self {
            now,
            random: Random::new(plan.seed.rotate_left(32) ^ 1),
            agenda: Agenda::new(),
            nodes: nodes.collect(),
            peers: Vec::new(),
            wires: Vec::new(),
            edges: plan.edges.iter().map(Edge::new).collect(),
            dials: BTreeMap::new(),
            last_dial: 0,
            books: Books::new(map),
            listeners: plan.listeners.iter().map(Listener::settings).collect(),
            occurrences: 0,
            digest: DefaultHasher::new(),
            listen,
            losses: false,
            parting: false,
            watches: false,
            plan,
        };
        world.books.outward = world.plan.hubs.clone();
        let hubs = world.plan.peers.iter().filter(|peer| peer.hub.is_some());
        world.books.tunnels.expected = hubs.map(|hub| (hub.number, hub.node)).collect();
        if world.plan.is_mesh() {
            world.trouble("it begins");
        }
        for node in 0..world.nodes.len() {
            world.wake_node(node);
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
        self.run_for(self.plan.faults_end);
        self.heal();
        self.converge();
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
            delivered: self.books.delivered + self.books.tunnels.delivered,
            stalled: self.books.tunnels.stalled,
            crossed: check::crossings(&self.scene()),
            occurrences: self.occurrences,
            digest: self.digest.finish(),
        }
    }

    /// A peer that will come; its number.
    pub(crate) fn add_peer(&mut self, plan: PeerPlan) -> usize {
        let place = self.peers.len();
        let annotated = !self.listeners[plan.listener].strip_annotations.outbound;
        if !plan.absent {
            self.agenda
                .add(self.now + plan.joins, Occurrence::Join(place));
        }
        debug_assert_eq!(plan.number, place);
        let router = Station::Shard {
            node: plan.node,
            shard: plan.shard,
        };
        let wire = Wire::new(plan.wire, Station::Peer(place), router);
        // Those that speak no AMQP speak no TLS either.
        let is_tls = self.plan.tls && !plan.speaks_garbage();
        let transform = seal::transform(is_tls, self.wires.len(), End::Dialler);
        self.peers
            .push(Peer::new(plan, self.wires.len(), annotated, transform));
        self.wires.push(wire);
        place
    }

    /// A peer without wishes of its own: in a network, at any router.
    pub(crate) fn add_steady(&mut self, shard: usize, links: Vec<LinkPlan>) -> usize {
        let node = match self.plan.is_mesh() {
            true => self.random.below(self.nodes.len()),
            false => 0,
        };
        let shard = shard % self.nodes[node].shards.len();
        let plan = PeerPlan::steady(self.peers.len(), (node, shard), links);
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
        self.books.tunnels.healed(self.now);
        for wire in 0..self.wires.len() {
            self.wires[wire].heal();
            // An end that was held up with everything before it already read is news, too.
            self.wires[wire].wake = Some(self.now);
            self.agenda.add(self.now, Occurrence::Arrive(wire));
            self.wake_ends(wire);
        }
        for edge in &mut self.edges {
            edge.heal();
        }
        for node in 0..self.nodes.len() {
            self.restart(node);
            self.nodes[node].heal();
            self.wake_node(node);
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
        if let Some(hubs) = &self.plan.hubs {
            let hub = PeerPlan {
                listener: hubs.listener,
                hub: Some(HubPlan::steady()),
                ..PeerPlan::steady(self.peers.len(), (hubs.home, 0), Vec::new())
            };
            self.add_peer(hub);
        }
    }

    /// Goes on until nobody wants anything and nothing is under way.
    pub(crate) fn rest(&mut self, when: &str) {
        let end = self.now + REST;
        loop {
            self.run_for(LOOK);
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
            let mut census = self.census();
            census
                .find(|(_, census)| census.has_deliveries())
                .map(|(place, census)| format!("{place} has {census:?}"))
        };
        unmet
            .or_else(|| {
                let peer = self.peers.iter().find(away)?;
                Some(format!("peer {} is {:?}", peer.plan.number, peer.phase))
            })
            .or_else(|| self.has_mail().then(|| "mail".to_owned()))
            .or_else(|| {
                let mut live = self.peers.iter().filter(|peer| peer.phase == Phase::Here);
                let wire = |peer: &Peer| &self.wires[peer.wire];
                live.any(|peer| !wire(peer).up.is_empty() || !wire(peer).down.is_empty())
                    .then(|| "bytes on the wire".to_owned())
            })
            .or_else(flight)
            .or_else(|| {
                let mut census = self.census();
                let (place, census) = census.find(|(_, census)| census.strays > 0)?;
                Some(format!(
                    "{place} keeps {} entries of what is gone",
                    census.strays
                ))
            })
            .or_else(|| self.credit_left())
            .or_else(|| check::credit_of_tunnels(&self.scene()).err())
            .or_else(|| {
                let scene = self.scene();
                let known = self.plan.is_mesh().then(|| check::addresses(&scene, true));
                known.and_then(Result::err)
            })
    }

    /// Credit that has not come back.
    fn credit_left(&self) -> Option<String> {
        let missing = self
            .census()
            .find(|(_, census)| census.credit_missing > 0)
            .map(|(place, census)| format!("{place} owes {} credit", census.credit_missing));
        let given: u64 = self.census().map(|(_, census)| census.credit_given).sum();
        let held: u64 = self.census().map(|(_, census)| census.credit_held).sum();
        let differ = || format!("neighbours gave {given} credit, {held} is known");
        missing.or_else(|| (given != held).then(differ))
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
        while self.peers.iter().any(|peer| peer.phase != Phase::Gone) {
            self.run_for(LOOK);
            assert!(self.now < end, "peers do not come to an end");
        }
        self.part();
        let is_left = |world: &Self| {
            let known = |node: &Node| node.control.nodes().len() > 1;
            world.has_mail()
                || world.census().any(|(_, census)| !census.is_empty())
                || world.nodes.iter().any(known)
        };
        while is_left(self) {
            self.run_for(LOOK);
            let left: Vec<_> = self.census().collect();
            assert!(self.now < end, "left when all have gone: {left:?}");
        }
        check::empty(&self.scene());
    }
}
