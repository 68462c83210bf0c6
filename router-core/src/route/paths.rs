//! What leads to the other routers of the network, as an immutable snapshot: cost, next hop and
//! valid origins of each router, and the links to each neighbour.
//!
//! Routes name routers, this says how to get to them; so a change of topology replaces this one
//! snapshot and not every route. Decision: sets of routers are sorted lists of indices, because a
//! mask of bits would bound the size of the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::OutLinkKey;

/// Data links to a neighbour: one for each priority (inter-router protocol, ten pairs).
pub const PRIORITIES: usize = 10;

/// The priority of a message without one (amqp-1.0 §3.2.1).
pub const DEFAULT_PRIORITY: u8 = 4;

/// Where a message entered the network, as its annotations say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// At this router.
    Here,
    /// At another one that is known.
    Router(u16),
    /// At a router that nobody here knows.
    Unknown,
}

/// The way to one router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Its id.
    pub id: Arc<str>,
    /// The neighbour that leads there: its place in the list of neighbours.
    pub neighbor: u16,
    /// The sum of the costs on the way.
    pub cost: u32,
    /// The routers whose shortest path there leads through this one, ascending.
    pub valid_origins: Arc<[u16]>,
}

/// A router to which this one has a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Its index.
    pub router: u16,
    /// The links that carry its messages, by priority; missing ones are served by the next lower.
    pub links: [Option<OutLinkKey>; PRIORITIES],
    /// Unsettled deliveries that each shard may have on their way to one of the links, and those of
    /// one address from which the neighbour no longer counts as eligible for balanced ones.
    pub capacity: u32,
}

impl Neighbor {
    /// The link for a priority.
    #[must_use]
    pub fn link(&self, priority: u8) -> Option<OutLinkKey> {
        let top = usize::from(priority).min(PRIORITIES - 1);
        self.links[..=top].iter().rev().find_map(|link| *link)
    }
}

/// All paths of one generation.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// By index of the router.
    paths: Vec<Option<Path>>,
    neighbors: Vec<Neighbor>,
    /// Indices of all known routers, reachable or not, by id.
    known: BTreeMap<Arc<str>, u16>,
    radius: u32,
}

impl Paths {
    /// Paths by index of the router; `known` has all routers, also those without a path.
    #[must_use]
    pub fn new(
        paths: Vec<Option<Path>>,
        neighbors: Vec<Neighbor>,
        known: BTreeMap<Arc<str>, u16>,
        radius: u32,
    ) -> Self {
        Self {
            paths,
            neighbors,
            known,
            radius,
        }
    }

    /// The way to a router, if there is one.
    #[must_use]
    pub fn to(&self, router: u16) -> Option<&Path> {
        self.paths.get(usize::from(router))?.as_ref()
    }

    /// A neighbour, by the place that a [`Path`] names.
    #[must_use]
    pub fn neighbor(&self, place: u16) -> Option<&Neighbor> {
        self.neighbors.get(usize::from(place))
    }

    /// All neighbours.
    #[must_use]
    pub fn neighbors(&self) -> &[Neighbor] {
        &self.neighbors
    }

    /// The neighbour to which a link leads.
    #[must_use]
    pub fn behind(&self, link: OutLinkKey) -> Option<&Neighbor> {
        self.neighbors
            .iter()
            .find(|neighbor| neighbor.links.contains(&Some(link)))
    }

    /// The link on which a message of a priority leaves for a router.
    #[must_use]
    pub fn link(&self, router: u16, priority: u8) -> Option<OutLinkKey> {
        self.neighbor(self.to(router)?.neighbor)?.link(priority)
    }

    /// The index of a router that is known.
    #[must_use]
    pub fn index(&self, id: &str) -> Option<u16> {
        self.known.get(id).copied()
    }

    /// Hops to the farthest router that can be reached.
    #[must_use]
    pub fn radius(&self) -> u32 {
        self.radius
    }

    /// Whether a message that entered somewhere may go on to a router from here: this router is on
    /// the shortest path between the two.
    #[must_use]
    pub fn is_valid(path: &Path, entry: Entry) -> bool {
        match entry {
            Entry::Here | Entry::Unknown => true,
            Entry::Router(router) => path.valid_origins.binary_search(&router).is_ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Key, ShardId};

    #[test]
    fn a_missing_priority_is_served_by_the_next_lower() {
        let link = |index| OutLinkKey {
            shard: ShardId(0),
            link: Key {
                index,
                generation: 0,
            },
        };
        let mut links = [None; PRIORITIES];
        links[0] = Some(link(0));
        links[5] = Some(link(5));
        let neighbor = Neighbor {
            router: 1,
            links,
            capacity: 250,
        };
        assert_eq!(neighbor.link(4), Some(link(0)));
        assert_eq!(neighbor.link(5), Some(link(5)));
        assert_eq!(neighbor.link(200), Some(link(5)));
    }
}
