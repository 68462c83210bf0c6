//! Who leaves the table of routers when it is full.
//!
//! Owns the order of leaving. Decision: a name costs nothing, so whoever has never spoken goes
//! first, then whoever is not seen by those that it says it sees; one of which both are true stays.
//! A neighbour is somebody, and always gets a place.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits;
use crate::mesh::lsdb::Standing;
use crate::mesh::names::NeighborLink;
use crate::mesh::state::State;

impl State {
    /// Makes room for a router that is not known. Looking for who may leave takes long, so only
    /// neighbours, who are few, have it done at any time.
    pub(super) fn make_room(&mut self, from: NeighborLink, standing: Standing) {
        let now = self.times.now;
        let is_neighbor = standing == Standing::Neighbor;
        let may_look = is_neighbor || now >= self.times.evict;
        if standing == Standing::Named || !may_look || self.nodes.has_room(from, standing) {
            return;
        }
        self.times.evict = now + limits::MESH_EVICT_INTERVAL;
        let share_is_full = self.nodes.introduced(from) >= limits::MESH_ROUTERS_PER_LINK;
        let only = (share_is_full && !is_neighbor).then_some(from);
        let heard: BTreeSet<Arc<str>> = self.links.heard().cloned().collect();
        let mut leaving = Vec::new();
        let mut dearest = None;
        for (index, node) in self
            .nodes
            .by_id()
            .filter(|(_, node)| !heard.contains(&node.id))
        {
            let Some(by) = node.introduced_by() else {
                continue;
            };
            let standing = (node.version.is_some(), self.nodes.is_confirmed(index));
            if only.is_none_or(|only| only == by) && standing != (true, true) {
                leaving.push((standing, Reverse(index)));
            }
            let reach = self.computed.tree.reach(index);
            let cost = reach.map_or(u64::MAX, |reach| reach.cost);
            dearest = dearest.max(Some((self.nodes.introduced(by), cost, index)));
        }
        leaving.sort_unstable();
        leaving.truncate(limits::MESH_EVICTED);
        let mut leaving: Vec<u16> = leaving.into_iter().map(|(_, of)| of.0).collect();
        if leaving.is_empty() && is_neighbor {
            leaving.extend(dearest.map(|(_, _, index)| index));
        }
        if leaving.is_empty() {
            return;
        }
        self.marks.recompute = true;
        self.marks.publish = true;
        for (index, node) in self.nodes.evict(leaving) {
            self.mourn(index, node);
        }
    }
}
