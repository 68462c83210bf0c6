//! What a router tells a neighbour of its own kind of all the others.
//!
//! The protocol has every router ask every other for what it has missed, and the answers pass
//! through those in the middle: in a tree of five hundred routers that is half a million messages
//! by each link of the root. So a neighbour that is new is told at once what is known of all, and
//! passes on what is news to it. Each link then carries each link state about once, and the
//! questions are left for what got lost, and for routers of the other kind.
//!
//! Owns when that is told and what of it is believed. Decision: it is told to whoever is at the
//! other end of a link and to nobody else, so that routers of the other kind never see it; and
//! only what is newer is believed, because it may have lain somewhere for long.

use crate::mesh::lsdb::Node;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::state::State;
use crate::mesh::wire::{Body, Control, VERSION};
use crate::mesh::write::Speaker;

impl State {
    /// Tells new neighbours of all others, and all neighbours what is new of others.
    pub(super) fn tell_of_others(&mut self) {
        // Who has just come to be known may be within reach as soon as paths are found anew.
        let new = match self.marks.recompute {
            true => Vec::new(),
            false => std::mem::take(&mut self.marks.hand_over),
        };
        for link in new {
            if !self.is_kin(link) {
                continue;
            }
            // Those who are near come first: they name the others.
            let others = self.nodes.by_id().map(|(index, _)| index);
            let reach = |index: &u16| self.computed.tree.reach(*index);
            let mut others: Vec<u16> = others.filter(|index| reach(index).is_some()).collect();
            others.sort_by_key(|index| reach(index).map(|reach| reach.hops));
            for index in others {
                self.tell_of(index, &[link]);
            }
        }
        for (index, from) in std::mem::take(&mut self.marks.learnt) {
            let links = self.links.neighbors().map(|(_, link)| link);
            let links = links.filter(|link| *link != from && self.is_kin(*link));
            let links: Vec<_> = links.collect();
            self.tell_of(index, &links);
        }
    }

    /// Whether at the other end of a link is a router of our kind.
    pub(super) fn is_kin(&self, link: NeighborLink) -> bool {
        self.links.opener(link).is_some_and(|opener| opener.is_kin)
    }

    /// Tells neighbours what is known of a router, but not itself.
    fn tell_of(&mut self, index: u16, links: &[NeighborLink]) {
        let Some(node) = self.nodes.get(index).filter(|node| is_worth_telling(node)) else {
            return;
        };
        let Some(instance) = node.instance.filter(|_| index != RouterIndex::OWN.0) else {
            return;
        };
        let is_other = |link: &&NeighborLink| self.links.heard_on(**link) != Some(&node.id);
        let links: Vec<_> = links.iter().filter(is_other).copied().collect();
        if links.is_empty() {
            return;
        }
        let speaker = Speaker {
            id: &node.id,
            instance,
        };
        let peers = node.peers().iter();
        let peers = peers.filter_map(|(peer, cost)| Some((&*self.nodes.get(*peer)?.id, *cost)));
        let (sequence, addresses) = (node.sequence, node.addresses.known_of());
        // The link state is what is passed on: by then it is known how far the addresses have got.
        let messages = [
            self.writer.advertisement_of(&speaker, sequence, addresses),
            self.writer.link_state_of(&speaker, sequence, peers),
        ];
        for link in links {
            for message in &messages {
                self.send(link, message.clone());
            }
        }
    }

    /// Takes what a neighbour tells of another router, as far as that is newer than what is known.
    pub(super) fn told_of(
        &mut self,
        from: NeighborLink,
        control: &Control<'_>,
    ) -> Result<(), Misdeed> {
        let known = self.nodes.find(control.id);
        let known = known.and_then(|index| self.nodes.get(index));
        let (life, sequence, addresses) = known.map_or((None, 0, 0), |node| {
            (node.instance, node.sequence, node.addresses.known_of())
        });
        let is_new_life = life.is_none() || life < control.instance;
        if control.instance.is_none() || life > control.instance {
            return Ok(());
        }
        let (is_newer, is_news) = match control.body {
            Body::LinkState { sequence: told, .. } => {
                let is_newer = is_new_life || told > sequence;
                (is_newer, is_newer)
            }
            Body::Advertisement {
                link_sequence,
                mobile_sequence,
            } => {
                let is_behind = link_sequence < sequence || mobile_sequence < addresses;
                let is_told_alone = link_sequence == sequence && mobile_sequence > addresses;
                (is_new_life || !is_behind, !is_new_life && is_told_alone)
            }
            _ => (false, false),
        };
        if !is_newer {
            return Ok(());
        }
        match self.handle(from, control) {
            // Whoever is a neighbour says itself when it begins anew.
            Err(Misdeed::OtherLife { .. }) => return Ok(()),
            result => result?,
        }
        let index = self.nodes.find(control.id).filter(|_| is_news);
        self.marks.learnt.extend(index.map(|index| (index, from)));
        Ok(())
    }
}

/// Whether there is anything to tell of a router, whole and in words that all understand.
fn is_worth_telling(node: &Node) -> bool {
    node.sequence > 0 && !node.is_cut && node.version == Some(VERSION)
}
