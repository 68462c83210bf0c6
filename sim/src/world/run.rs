//! What happens in the order of time: turns, bytes that arrive, and who wakes whom.

use amqp_proto::Time;
use router_core::ids::Direction;
use router_core::notice::Notice;
use std::time::Duration;

use super::state::{Occurrence, World};
use crate::check;
use crate::wire::Station;

/// Occurrences after which a world is taken to run for ever.
const OCCURRENCES: u64 = 3_000_000;

/// Turns of a network's shards between two looks at their bounds.
const TURNS: u64 = 8;

impl World {
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
            self.happen(at, what);
        }
        self.now = end;
    }

    fn happen(&mut self, at: Time, what: Occurrence) {
        match what {
            Occurrence::Join(peer) => self.join(peer),
            Occurrence::Act(peer) => {
                if self.peers[peer].wake == Some(at) {
                    self.peers[peer].wake = None;
                    self.act(peer);
                }
            }
            Occurrence::Turn(node, who) => {
                if self.nodes[node].members[who].wake == Some(at) {
                    self.nodes[node].members[who].wake = None;
                    self.turn(node, who);
                }
            }
            Occurrence::Arrive(wire) => {
                if self.wires[wire].wake == Some(at) {
                    self.wires[wire].wake = None;
                    self.arrive(wire);
                }
            }
            Occurrence::Fail(fault) => self.fail(fault),
            Occurrence::Dial(number) => self.dial(number),
            Occurrence::Restart(node) => self.restart(node),
            Occurrence::Look => self.look(),
        }
    }

    /// All members of a router.
    pub(super) fn wake_node(&mut self, node: usize) {
        for who in 0..self.nodes[node].members.len() {
            self.wake_member((node, who), self.now);
        }
    }

    /// A shard or the control plane of a router.
    pub(super) fn wake_member(&mut self, (node, who): (usize, usize), at: Time) {
        if !self.nodes[node].alive {
            return;
        }
        let member = &mut self.nodes[node].members[who];
        let at = at.max(member.paused_until).max(self.now);
        let turn = Occurrence::Turn(node, who);
        self.agenda.wake(&mut member.wake, at, turn);
    }

    pub(super) fn wake_peer(&mut self, peer: usize, at: Time) {
        let at = at.max(self.now);
        let wake = &mut self.peers[peer].wake;
        self.agenda.wake(wake, at, Occurrence::Act(peer));
    }

    pub(super) fn wake_wire(&mut self, wire: usize) {
        let Some(at) = self.wires[wire].next_arrival() else {
            return;
        };
        let at = at.max(self.now);
        let wake = &mut self.wires[wire].wake;
        self.agenda.wake(wake, at, Occurrence::Arrive(wire));
    }

    /// The routers at the ends of a wire.
    pub(super) fn wake_ends(&mut self, wire: usize) {
        for station in [self.wires[wire].dialler, self.wires[wire].listener] {
            if let Station::Shard { node, shard } = station {
                self.wake_member((node, shard), self.now);
            }
        }
    }

    fn turn(&mut self, node: usize, who: usize) {
        if self.nodes[node].members[who].paused_until > self.now {
            let at = self.nodes[node].members[who].paused_until;
            self.wake_member((node, who), at);
            return;
        }
        let turned = self.nodes[node].turn(who, &mut self.wires, &mut self.random, self.now);
        if let Some(next) = turned.next {
            self.wake_member((node, who), next);
        }
        for (to, at) in turned.mailed {
            self.wake_member((node, to), at);
        }
        for wire in turned.closed {
            self.closed(node, wire);
        }
        for wire in turned.wires {
            self.wake_wire(wire);
        }
        for wire in turned.read {
            // There may be room again for what the other end has to write.
            match self.wires[wire].beyond(node) {
                Station::Peer(peer) if !self.peers[peer].sealed().is_empty() => {
                    self.wake_peer(peer, self.now);
                }
                Station::Shard { node, shard } if self.nodes[node].waits_for(shard, wire) => {
                    self.wake_member((node, shard), self.now);
                }
                _ => {}
            }
        }
        for effect in turned.effects {
            self.carry_out(node, effect);
        }
        self.read_notices(node);
        if let Some(shard) = self.nodes[node].shards.get(who)
            && (!self.plan.is_mesh() || self.occurrences.is_multiple_of(TURNS))
        {
            check::bounds(&shard.census());
            for held in shard.held() {
                check::held(&held, &self.nodes[node].settings[&held.connection]);
            }
        }
    }

    /// A router has dropped a connection.
    fn closed(&mut self, node: usize, wire: usize) {
        match self.wires[wire].beyond(node) {
            Station::Peer(peer) => {
                self.say(|| format!("the router is done with peer {peer}"));
                self.books.peer_ended(peer, self.now);
                self.wake_peer(peer, self.now);
                if self.wires[wire].down.is_over() {
                    self.over(peer);
                }
            }
            Station::Shard { node: other, shard } => {
                self.trouble("a connection has ended");
                self.lost_way([node, other], Some(wire));
                self.wake_member((other, shard), self.now);
            }
        }
    }

    /// A router has lost a connection with another one, unless further ones are left.
    fn lost_way(&mut self, routers: [usize; 2], wire: Option<usize>) {
        if wire.is_some_and(|wire| !self.wires[wire].further) {
            self.books.tunnels.cuts.push((self.now, routers));
        }
    }

    fn read_notices(&mut self, node: usize) {
        for notice in std::mem::take(&mut self.nodes[node].notices) {
            let id = self.plan.nodes[node].id;
            self.say(|| format!("{id}: {notice:?}"));
            match &notice {
                Notice::ConnectionFailed {
                    connection,
                    condition,
                    description,
                    ..
                } => {
                    assert_ne!(condition, "amqp:internal-error", "{description}");
                    let wire = self.nodes[node].wires.get(connection).copied();
                    match wire.map(|wire| self.wires[wire].beyond(node)) {
                        Some(Station::Peer(peer)) => {
                            self.books.peer_ending(peer, self.now);
                            self.losses = true;
                        }
                        Some(Station::Shard { node: other, .. }) => {
                            check::edge_failed(condition, description);
                            // What goes by it ends now, it itself when its neighbour has heard.
                            self.lost_way([node, other], wire);
                        }
                        None => {}
                    }
                }
                Notice::PeerMisbehaved { connection, .. } => {
                    let wire = self.nodes[node].wires[connection];
                    let beyond = self.wires[wire].beyond(node);
                    assert!(matches!(beyond, Station::Peer(_)), "{notice:?}");
                }
                Notice::Network(news) => self.network(node, news),
                Notice::LinkAttached {
                    direction: Direction::Out,
                    source,
                    ..
                } => self.consumer_came(source.address.as_deref().unwrap_or_default(), node),
                _ => {}
            }
        }
    }

    /// Bytes arrive at the ends of a wire.
    fn arrive(&mut self, number: usize) {
        let wire = &mut self.wires[number];
        wire.up.arrive(self.now);
        wire.down.arrive(self.now);
        let ends = [(wire.listener, &wire.up), (wire.dialler, &wire.down)];
        let news = |way: &crate::wire::Way| way.ready() > 0 || way.is_over();
        let ends = ends.map(|(station, way)| (station, news(way)));
        for (station, has_news) in ends {
            match station {
                Station::Shard { node, shard } if has_news => {
                    self.wake_member((node, shard), self.now);
                }
                Station::Peer(peer) => self.listen_to(peer),
                Station::Shard { .. } => {}
            }
        }
        self.wake_wire(number);
    }
}
