//! What joins routers: they dial each other, and what becomes of that; and whether the network has
//! come to rest, which is when every router knows the way to every other, and who has what.

use std::time::Duration;

use router_core::control::{Dial, Effect};
use router_core::notice::NetworkNotice;
use router_core::settings::NewConnection;

use super::state::{Edge, LOOK, Occurrence, Pending, World};
use crate::check;
use crate::plan::{ADDRESSES, SERVICE};
use crate::seal::{self, End};
use crate::wire::{Behaviour, Side, Station, Wire};

/// Virtual time within which routers must have found each other once the world is healed.
const CONVERGENCE: Duration = Duration::from_secs(60);

/// How long a router that does not answer is waited for before it is asked again.
const SILENCE: Duration = Duration::from_millis(500);

impl World {
    /// What the control plane of a router wants done.
    pub(super) fn carry_out(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Dial(dial) => {
                let Ok(edge) = dial.port.parse::<usize>() else {
                    panic!("{dial:?}: nobody is there");
                };
                self.last_dial += 1;
                let Behaviour {
                    latency,
                    jitter_micros,
                    ..
                } = self.edges[edge].behaviour;
                let at = self.now + latency * 2 + self.random.micros(jitter_micros);
                self.agenda.add(at, Occurrence::Dial(self.last_dial));
                let pending = Pending {
                    node,
                    life: self.nodes[node].life,
                    edge,
                    dial,
                };
                self.dials.insert(self.last_dial, pending);
            }
            Effect::HangUp { connection } => self
                .dials
                .retain(|_, pending| pending.node != node || pending.dial.connection != connection),
            Effect::Listen(_) | Effect::Unlisten { .. } => {}
        }
    }

    /// A router that was dialled answers, or does not.
    pub(super) fn dial(&mut self, number: u64) {
        let Some(pending) = self.dials.remove(&number) else {
            return;
        };
        let caller = &self.nodes[pending.node];
        if !caller.alive || caller.life != pending.life {
            return;
        }
        let edge = &self.edges[pending.edge];
        let listener = self.plan.edges[pending.edge].listener();
        if edge.silent_until > self.now {
            let at = edge.silent_until.min(self.now + SILENCE);
            self.agenda.add(at, Occurrence::Dial(number));
            self.dials.insert(number, pending);
            return;
        }
        let refused = edge.refused_until > self.now || !self.nodes[listener].alive || self.parting;
        let Pending {
            node, edge, dial, ..
        } = pending;
        let caller = &mut self.nodes[node];
        let time = caller.time(self.now);
        let control = caller.shards.len();
        if refused {
            let text = "Connection refused".to_owned();
            caller.control.dial_failed(dial.connection, text, time);
        } else if caller.control.dialled(dial.connection) {
            self.open(edge, node, dial);
        }
        self.wake_member((node, control), self.now);
    }

    /// Two routers have a connection.
    fn open(&mut self, edge: usize, caller: usize, dial: Dial) {
        let plan = self.plan.edges[edge];
        let wire = self.wires.len();
        let [dialler, listener] = [caller, plan.listener()].map(|node| Station::Shard {
            node,
            shard: self.random.below(self.nodes[node].shards.len()),
        });
        let mut new = Wire::new(self.edges[edge].behaviour, dialler, listener);
        new.further = dial.join.is_some();
        self.wires.push(new);
        self.edges[edge].wires.push(wire);
        let part = match dial.join {
            Some(_) => ", of a trunk",
            None => "",
        };
        self.say(|| format!("wire {wire}: {dialler:?} to {listener:?}{part}"));
        let called = &mut self.nodes[plan.listener()].control;
        let accepted = NewConnection::accepted(
            called.deal_connection(),
            plan.settings(Side::Listener),
            format!("192.0.2.2:{wire}"),
        );
        let dialled = dial.connected();
        let ends = [
            (dialler, Side::Dialler, dialled, End::Dialler),
            (listener, Side::Listener, accepted, End::Listener),
        ];
        for (station, side, connection, end) in ends {
            if let Station::Shard { node, shard } = station {
                let transform = seal::transform(self.plan.tls, wire, end);
                let connection = (connection, transform);
                self.nodes[node].accept(shard, (wire, side), connection, self.now);
                self.wake_member((node, shard), self.now);
            }
        }
    }

    /// A router has found out something about the network.
    pub(super) fn network(&mut self, node: usize, news: &NetworkNotice) {
        match news {
            NetworkNotice::NeighborFound { .. }
            | NetworkNotice::NeighborLost { .. }
            | NetworkNotice::NeighborHeld { .. }
            | NetworkNotice::RouterFound { .. }
            | NetworkNotice::RouterForgotten { .. }
            | NetworkNotice::RouterRestarted { .. } => {
                self.trouble(&format!("{} says {news:?}", self.plan.nodes[node].id));
            }
            NetworkNotice::AnnotationsVersion { .. }
            | NetworkNotice::AddressesLearnt { .. }
            | NetworkNotice::HelloExpired { .. }
            | NetworkNotice::Computed(_)
            | NetworkNotice::Flux { .. } => {}
            // What a former life has said may be late.
            NetworkNotice::RouterMisbehaved { .. }
                if self.nodes.iter().any(|node| node.life > 0) => {}
            NetworkNotice::DuplicateRouter { .. }
            | NetworkNotice::AddressUntold { .. }
            | NetworkNotice::VersionMismatch { .. }
            | NetworkNotice::RouterMisbehaved { .. } => {
                panic!("{} says {news:?}", self.plan.nodes[node].id);
            }
        }
    }

    /// Something has happened to the network: until it is at rest again, messages may be lost.
    pub(super) fn trouble(&mut self, why: &str) {
        if self.books.is_troubled() || self.parting {
            return;
        }
        let first = self.books.troubles.is_empty();
        // Further connections of a trunk come when shards are busy and go when they are idle.
        let trunks = self.plan.nodes.iter().any(|node| node.busy);
        assert!(
            first || trunks || !self.plan.is_quiet(),
            "trouble in a network where nothing happens: {why}"
        );
        self.say(|| format!("trouble: {why}"));
        self.books.trouble(self.now);
        self.watch();
    }

    /// A consumer has come to a router: others do not know of it at once.
    pub(super) fn consumer_came(&mut self, address: &str, node: usize) {
        if self.plan.is_mesh() && (ADDRESSES.contains(&address) || address == SERVICE) {
            self.books.came(address, node, self.now);
            self.watch();
        }
    }

    fn watch(&mut self) {
        if !self.watches {
            self.watches = true;
            self.agenda.add(self.now + LOOK, Occurrence::Look);
        }
    }

    /// Looks whether the network has come to rest, and who knows of whose consumers.
    pub(super) fn look(&mut self) {
        self.watches = false;
        // What has just happened may not have been noticed by anybody.
        let last = self.books.troubles.last();
        let is_new = last.is_some_and(|last| last.from + LOOK > self.now);
        if self.books.is_troubled() && !is_new && self.trouble_left().is_none() {
            self.say(|| "the network is at rest".to_owned());
            self.books.rest(self.now);
        }
        for address in self.books.news() {
            let is_awaited = self.books.is_awaited(&address) || self.has_mail();
            if !is_awaited && check::address(&self.scene(), &address).is_ok() {
                self.say(|| format!("all know who has {address}"));
                self.books.heard(&address, self.now);
            }
        }
        if self.books.is_troubled() || !self.books.news().is_empty() {
            self.watch();
        }
    }

    /// Why the network is not at rest.
    fn trouble_left(&self) -> Option<String> {
        let now = self.now;
        if self.nodes.iter().any(|node| !node.alive) {
            return Some("a router is dead".to_owned());
        }
        let cut = |edge: &Edge| edge.silent_until > now || edge.refused_until > now;
        if self.edges.iter().any(cut) {
            return Some("routers are apart".to_owned());
        }
        if self.has_mail() {
            return Some("mail".to_owned());
        }
        let scene = self.scene();
        let known = check::routes(&scene).and_then(|()| check::addresses(&scene, false));
        known.err()
    }

    /// Goes on until the network is at rest.
    pub(super) fn converge(&mut self) {
        let end = self.now + CONVERGENCE;
        while self.books.is_troubled() {
            assert!(self.now < end, "no paths: {:?}", self.trouble_left());
            self.run_for(LOOK);
        }
    }

    /// Routers take their leave of each other, some of them as they should.
    pub(super) fn part(&mut self) {
        self.parting = true;
        for edge in 0..self.edges.len() {
            let node = self.plan.edges[edge].dialler();
            if self.random.one_in(2) {
                let connector = self.plan.edges[edge].connector();
                assert!(self.nodes[node].control.disconnect(&connector));
                let control = self.nodes[node].shards.len();
                self.wake_member((node, control), self.now);
            } else {
                for wire in self.edges[edge].wires.clone() {
                    self.cut_wire(wire);
                }
            }
        }
    }
}
