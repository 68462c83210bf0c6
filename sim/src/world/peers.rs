//! What the world does with peers: they come, act, read what has come for them, and go.

use std::hash::Hasher as _;
use std::sync::Arc;
use std::time::Duration;

use router_core::settings::NewConnection;

use super::state::{Occurrence, World};
use crate::peer::Phase;
use crate::seal::{self, End};
use crate::wire::{Side, Wire};

/// How long a peer waits before it tries again to connect to a router that is not there.
const AGAIN: Duration = Duration::from_millis(100);

impl World {
    pub(super) fn join(&mut self, peer: usize) {
        let plan = &self.peers[peer].plan;
        let (node, shard) = (plan.node, plan.shard);
        if !self.nodes[node].alive {
            self.agenda.add(self.now + AGAIN, Occurrence::Join(peer));
            return;
        }
        let accepted = NewConnection::accepted(
            self.nodes[node].control.deal_connection(),
            Arc::clone(&self.listeners[plan.listener]),
            format!("192.0.2.1:{peer}"),
        );
        self.say(|| format!("peer {peer} comes"));
        let wire = (self.peers[peer].wire, Side::Listener);
        let transform = seal::transform(self.plan.tls, wire.0, End::Listener);
        self.nodes[node].accept(shard, wire, (accepted, transform), self.now);
        self.wake_member((node, shard), self.now);
        self.peers[peer].join();
        self.act(peer);
    }

    pub(super) fn act(&mut self, number: usize) {
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
        let wire = peer.wire;
        let was_full = peer.output.is_full();
        peer.seal();
        loop {
            let peer = &mut self.peers[number];
            let Wire { behaviour, up, .. } = &mut self.wires[wire];
            let room = up.room(behaviour);
            if peer.sealed().is_empty() || room == 0 {
                break;
            }
            let mut bytes = peer.sealed().to_bytes();
            bytes.truncate(room);
            peer.sealed().consume(bytes.len());
            peer.spoil(&mut bytes);
            match self.plan.tls {
                true => self.digest.write_usize(bytes.len()),
                false => self.digest.write(&bytes),
            }
            up.send(bytes, behaviour, &mut self.random, self.now);
            peer.seal();
        }
        if was_full && !self.peers[number].output.is_full() {
            self.wake_peer(number, self.now);
        }
        let Wire { up, .. } = &mut self.wires[wire];
        let peer = &mut self.peers[number];
        if peer.hangs_up && peer.has_said_all() {
            up.end();
            if peer.phase != Phase::Here || peer.is_hostile() {
                self.say(|| format!("peer {number} hangs up"));
                self.peers[number].vanish(self.now, &mut self.books);
                self.wires[wire].down.close();
                self.wake_ends(wire);
            }
        }
        self.wake_wire(wire);
    }

    /// A peer reads what has come for it.
    pub(super) fn listen_to(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        if !peer.listens() || matches!(peer.phase, Phase::Away | Phase::Gone) {
            return;
        }
        let number_of_wire = peer.wire;
        let wire = &mut self.wires[number_of_wire];
        if wire.down.ready() > 0 {
            let mut bytes = wire.down.read_all();
            match self.plan.tls {
                true => self.digest.write_usize(bytes.len()),
                false => self.digest.write(&bytes),
            }
            peer.take(&mut bytes, self.now, &mut self.books);
            self.wake_ends(number_of_wire);
            self.act(number);
        }
        if self.wires[number_of_wire].down.is_over() {
            self.over(number);
        }
    }

    /// A peer sees that the router has closed the wire.
    pub(super) fn over(&mut self, number: usize) {
        if self.peers[number].phase != Phase::Gone {
            self.say(|| format!("peer {number} sees the end"));
            self.peers[number].vanish(self.now, &mut self.books);
            self.wires[self.peers[number].wire].up.end();
        }
    }

    /// The wire of a peer is cut.
    pub(super) fn cut(&mut self, number: usize) {
        if matches!(self.peers[number].phase, Phase::Gone | Phase::Away) {
            self.peers[number].phase = Phase::Gone;
            return;
        }
        self.say(|| format!("the wire of peer {number} is cut"));
        self.peers[number].vanish(self.now, &mut self.books);
        let wire = self.peers[number].wire;
        self.wires[wire].cut();
        self.wake_ends(wire);
    }

    /// A peer closes its side, and does not read any more.
    pub(super) fn hang_up(&mut self, number: usize) {
        if self.peers[number].phase == Phase::Here {
            self.books.peer_ending(number, self.now);
            self.peers[number].phase = Phase::Closing;
            self.peers[number].hangs_up = true;
            self.pump(number);
        }
    }
}
