//! What goes wrong, done to the world.

use std::time::Duration;

use router_core::limits;

use super::state::{Occurrence, World};
use crate::node::Node;
use crate::peer::Phase;
use crate::plan::{EdgeFault, Fault, FaultKind};
use crate::tunnels::Stall;
use crate::wire::Station;

/// Longer than any world lives.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

impl World {
    pub(super) fn fail(&mut self, fault: Fault) {
        self.say(|| format!("{:?}", fault.kind));
        let now = self.now;
        match fault.kind {
            FaultKind::Pause(node, who, duration) => {
                self.nodes[node].members[who].paused_until = now + duration;
            }
            FaultKind::Slow(node, who, duration) => self.nodes[node].members[who].slow = duration,
            FaultKind::LateMail(node, who, duration) => {
                self.nodes[node].members[who].late = duration;
            }
            FaultKind::Jump(node, duration) => {
                // A router with links has something to do every five seconds: a turn that comes
                // later than that by more than so much is a sleep, of which it counts a second.
                let most = limits::STOOD_STILL + Duration::from_secs(5);
                self.books.ahead += match duration > most {
                    true => Duration::from_secs(1),
                    false => duration,
                };
                self.nodes[node].ahead += duration;
                self.wake_node(node);
            }
            FaultKind::Edge(edge, what) => self.fail_edge(edge, what),
            FaultKind::Partition(routers, what) => {
                let inside = |node: usize| routers >> node & 1 == 1;
                for edge in 0..self.edges.len() {
                    let [one, other] = self.plan.edges[edge].ends;
                    if inside(one.node) != inside(other.node) {
                        self.fail_edge(edge, what);
                    }
                }
            }
            FaultKind::Crash { node, silent, down } => {
                if self.nodes[node].alive {
                    self.crash(node, silent);
                    self.agenda.add(now + down, Occurrence::Restart(node));
                }
            }
            FaultKind::Reset(peer)
            | FaultKind::HalfClose(peer)
            | FaultKind::Close(peer)
            | FaultKind::EndSession(peer)
            | FaultKind::Stall(peer, _) => {
                if self.peers[peer].phase == Phase::Here {
                    self.fail_peer(peer, fault.kind);
                }
            }
        }
    }

    fn fail_peer(&mut self, peer: usize, kind: FaultKind) {
        let now = self.now;
        match kind {
            FaultKind::Reset(_) => self.cut(peer),
            FaultKind::HalfClose(_) => self.hang_up(peer),
            FaultKind::Close(_) => {
                self.peers[peer].close(now, &mut self.books);
                self.act(peer);
            }
            FaultKind::EndSession(_) => {
                self.peers[peer].end_session(now, &mut self.books);
                self.act(peer);
            }
            FaultKind::Stall(_, duration) => {
                let wire = self.peers[peer].wire;
                let until = now + duration.unwrap_or(FOR_EVER);
                self.wires[wire].stall(until);
                let from = now;
                self.books.tunnels.stalls.push(Stall { peer, from, until });
            }
            _ => {}
        }
    }

    fn fail_edge(&mut self, number: usize, what: EdgeFault) {
        self.trouble("a fault between routers");
        let now = self.now;
        let wires = self.edges[number].wires.clone();
        match what {
            EdgeFault::Reset => {}
            EdgeFault::HalfClose => {
                for wire in wires {
                    self.wires[wire].up.end();
                    self.wake_wire(wire);
                    self.wake_ends(wire);
                }
                return;
            }
            EdgeFault::Down(duration) => self.edges[number].refused_until = now + duration,
            EdgeFault::Freeze(duration) => {
                let until = now + duration.unwrap_or(FOR_EVER);
                self.edges[number].silent_until = until;
                for wire in wires {
                    self.wires[wire].stall(until);
                }
                return;
            }
            EdgeFault::Slow => {
                for wire in wires {
                    let behaviour = &mut self.wires[wire].behaviour;
                    behaviour.latency += Duration::from_millis(50);
                    behaviour.bandwidth = behaviour.bandwidth.min(300);
                }
                return;
            }
        }
        for wire in wires {
            self.cut_wire(wire);
        }
    }

    /// The wire of two routers is cut.
    pub(super) fn cut_wire(&mut self, wire: usize) {
        self.wires[wire].cut();
        self.wake_ends(wire);
    }

    /// A router dies, and its peers with it.
    fn crash(&mut self, node: usize, silent: bool) {
        self.trouble("a router has died");
        self.nodes[node].alive = false;
        for peer in 0..self.peers.len() {
            if self.peers[peer].plan.node == node && self.peers[peer].phase != Phase::Away {
                self.cut(peer);
                self.books.peer_ended(peer, self.now);
            }
        }
        for edge in 0..self.edges.len() {
            if self.plan.edges[edge]
                .ends
                .iter()
                .any(|end| end.node == node)
            {
                for wire in self.edges[edge].wires.clone() {
                    match silent {
                        true => self.wires[wire].stall(self.now + FOR_EVER),
                        false => self.cut_wire(wire),
                    }
                }
            }
        }
    }

    /// A router that has died begins a new life: those that still have connections to it learn that
    /// nobody knows them.
    pub(super) fn restart(&mut self, node: usize) {
        if self.nodes[node].alive {
            return;
        }
        let plan = self.plan.nodes[node];
        self.say(|| format!("{} begins a new life", plan.id));
        for wire in 0..self.wires.len() {
            let ends = [self.wires[wire].dialler, self.wires[wire].listener];
            let is_it =
                |end: &Station| matches!(end, Station::Shard { node: of, .. } if *of == node);
            let is_edge = ends.iter().all(|end| matches!(end, Station::Shard { .. }));
            if is_edge && ends.iter().any(is_it) {
                self.cut_wire(wire);
            }
        }
        let life = self.nodes[node].life + 1;
        self.nodes[node] = Node::new(&self.plan, node, life);
        self.wake_node(node);
    }
}
