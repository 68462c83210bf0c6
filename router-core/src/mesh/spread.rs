//! What a router tells neighbours of its own kind of all the others.
//!
//! The protocol has every router ask every other for what it has missed, and the answers pass
//! through those in the middle: in a tree of five hundred routers that is half a million messages
//! by each link of the root. So a neighbour that is new is told what is known of all, and what is
//! new here is passed on to the neighbours. Each link then carries what is new about once, and the
//! questions are left for what got lost, and for routers of the other kind.
//!
//! Owns who is still to be told of whom. It judges nothing: what is believed of it is decided where
//! it is heard. Decision: what is to be told is a set of routers for each neighbour, emptied at a
//! bounded rate, and what is told is how things are then: so a neighbour that many changes are to
//! be told to, whoever makes them, is told of each router once.

use amqp_proto::Time;

use crate::limits;
use crate::mesh::lsdb::Node;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::state::State;
use crate::mesh::untold::Telling;
use crate::mesh::wire::VERSION;
use crate::mesh::write::Speaker;

impl State {
    /// Tells new neighbours of all others, and all neighbours what is new of others.
    pub(super) fn tell_of_others(&mut self) {
        self.note_what_is_new();
        if self.untold.is_empty() || self.output.len() > limits::MESH_TOLD_AT_ONCE {
            // What is said already goes first.
            return;
        }
        let links: Vec<_> = self.untold.keys().copied().collect();
        let share = (limits::MESH_TOLD_AT_ONCE / links.len()).max(1);
        for link in links {
            self.tell_some(link, share);
        }
    }

    /// When there is more to be told of others.
    pub(super) fn next_telling(&self) -> Option<Time> {
        let opens = |link| self.links.get(link).map(|state| state.meter.told.opens());
        self.untold.keys().filter_map(|link| opens(*link)).min()
    }

    /// A neighbour is to be told of a router.
    pub(super) fn owe(&mut self, link: NeighborLink, index: u16) {
        self.note(link, [Telling::Links(index)]);
    }

    /// A neighbour is to be told of a router's addresses, unless whoever wants to know them has to
    /// ask itself; whether it is.
    pub(super) fn owe_addresses(&mut self, link: NeighborLink, index: u16) -> bool {
        let node = self.nodes.get(index).filter(|node| is_worth_telling(node));
        let may_be_told = node.is_some_and(|node| node.addresses.to_tell().is_some());
        if may_be_told {
            self.note(link, [Telling::Addresses(index)]);
        }
        may_be_told
    }

    fn note(&mut self, link: NeighborLink, tellings: impl IntoIterator<Item = Telling>) {
        self.untold.entry(link).or_default().extend(tellings);
    }

    /// Whether at the other end of a link is a router of our kind.
    pub(super) fn is_kin(&self, link: NeighborLink) -> bool {
        self.links.opener(link).is_some_and(|opener| opener.is_kin)
    }

    fn note_what_is_new(&mut self) {
        // Who has just come to be known may be within reach as soon as paths are found anew.
        let new = match self.marks.recompute {
            true => Vec::new(),
            false => std::mem::take(&mut self.marks.hand_over),
        };
        for link in new {
            if !self.is_kin(link) {
                continue;
            }
            let others = self.nodes.by_id().map(|(index, _)| index);
            let is_reached = |index: &u16| self.computed.tree.reach(*index).is_some();
            let mut others: Vec<_> = others.filter(is_reached).collect();
            // Numbers are given in the order in which routers come to be known: those who are near
            // come first, and name the others.
            others.sort_unstable();
            self.note(link, others.into_iter().map(Telling::Links));
        }
        for (index, from) in std::mem::take(&mut self.marks.learnt) {
            for link in self.kin_but(from) {
                self.owe(link, index);
            }
        }
        for (index, from) in std::mem::take(&mut self.marks.listed) {
            for link in self.kin_but(from) {
                if !self.owe_addresses(link, index) {
                    // It hears that they can be asked for.
                    self.owe(link, index);
                }
            }
        }
    }

    /// The links to neighbours of our kind, but for the neighbour on one.
    fn kin_but(&self, from: NeighborLink) -> Vec<NeighborLink> {
        let sender = self.links.heard_on(from);
        let links = self.links.neighbors();
        let links = links.filter(|(id, link)| sender != Some(id) && self.is_kin(*link));
        links.map(|(_, link)| link).collect()
    }

    /// Tells a neighbour of as many as it may be told of now, and no more than so many.
    fn tell_some(&mut self, link: NeighborLink, mut left: usize) {
        let now = self.times.now;
        let neighbor = self.links.heard_on(link);
        let neighbor = neighbor
            .filter(|id| self.links.to(id) == Some(link))
            .cloned();
        let Some(neighbor) = neighbor else {
            self.untold.remove(&link);
            return;
        };
        while left > 0
            && let Some(untold) = self.untold.get_mut(&link)
            && let Some(state) = self.links.get_mut(link)
            && state.meter.told.is_open(now)
        {
            let Some(telling) = untold.next() else {
                self.untold.remove(&link);
                return;
            };
            let index = telling.index();
            let is_other = |node: &&Node| node.id != neighbor && index != RouterIndex::OWN.0;
            if self.nodes.get(index).as_ref().is_some_and(is_other) {
                state.meter.told.take(1, now);
                left -= 1;
                match telling {
                    Telling::Addresses(_) => self.tell_addresses_of(index, link),
                    Telling::Links(_) => self.tell_of(index, link),
                }
            }
        }
    }

    /// Tells a neighbour what is known of a router.
    fn tell_of(&mut self, index: u16, link: NeighborLink) {
        let node = self.nodes.get(index).filter(|node| is_worth_telling(node));
        let Some((node, speaker)) = node.and_then(|node| Some((node, speaker(node)?))) else {
            return;
        };
        let peers = node.peers().iter();
        let peers = peers.filter_map(|(peer, cost)| Some((&*self.nodes.get(*peer)?.id, *cost)));
        // The link state comes first: who heard of it by the advertisement would ask for it. Of its
        // addresses they hear how far they are known here, where they may be asked for.
        let (sequence, addresses) = (node.sequence, node.addresses.sequence());
        let link_state = self.writer.link_state_of(&speaker, sequence, peers);
        let advertisement = self.writer.advertisement_of(&speaker, sequence, addresses);
        self.send(link, link_state);
        self.send(link, advertisement);
    }

    /// Tells a neighbour all addresses of a router.
    fn tell_addresses_of(&mut self, index: u16, link: NeighborLink) {
        let Some(node) = self.nodes.get(index).filter(|node| is_worth_telling(node)) else {
            return;
        };
        let Some((speaker, addresses)) = speaker(node).zip(node.addresses.to_tell()) else {
            return self.tell_of(index, link);
        };
        let sequence = node.addresses.sequence();
        let message = self.writer.addresses_of(&speaker, sequence, addresses);
        self.send(link, message);
    }
}

/// Whether there is anything to tell of a router: whole, in words that all understand, of a life
/// that can be named, and which it has not ended without saying so.
pub(super) fn is_worth_telling(node: &Node) -> bool {
    let is_whole = node.sequence > 0 && !node.is_cut;
    let is_named = node.version == Some(VERSION) && node.instance.is_some();
    is_whole && is_named && !node.is_behind()
}

/// Another router, as the one that is told of.
fn speaker(node: &Node) -> Option<Speaker<'_>> {
    Some(Speaker {
        id: &node.id,
        instance: node.instance?,
    })
}
