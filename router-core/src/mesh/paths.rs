//! What leads to each router, as an immutable snapshot.
//!
//! Owns nothing that changes. Decision: shards share one snapshot of all routers, so that a change
//! of the topology is one pointer for each shard and not one change for each address.

use std::sync::Arc;

use crate::mesh::names::{NeighborLink, RouterIndex};

/// What leads to each router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// By index; numbers that are free have none.
    pub(super) routers: Box<[Option<RouterPath>]>,
    /// In the order of ids.
    pub(super) by_id: Box<[(Arc<str>, RouterIndex)]>,
    pub(super) radius: u16,
}

/// What leads to one router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterPath {
    /// Its id.
    pub id: Arc<str>,
    /// What the way costs; 0 if there is none.
    pub cost: u32,
    /// Over how many connections it goes; 0 if there is none.
    pub hops: u16,
    /// The neighbour that comes first, unless it is the router itself.
    pub next_hop: Option<RouterIndex>,
    /// The connection to use; `None` if the router cannot be reached.
    pub link: Option<NeighborLink>,
    /// The connection to it, if it is a neighbour, whether or not the way goes over it.
    pub direct: Option<NeighborLink>,
    /// The other routers whose messages to this one pass here, in ascending order.
    pub valid_origins: Arc<[u16]>,
}

impl RouterPath {
    /// Whether messages that entered the network at a router pass here on their way to this one.
    #[must_use]
    pub fn is_valid_origin(&self, origin: RouterIndex) -> bool {
        origin == RouterIndex::OWN || self.valid_origins.binary_search(&origin.0).is_ok()
    }
}

impl Paths {
    /// What leads to a router; none for an index that belongs to nobody.
    #[must_use]
    pub fn router(&self, index: RouterIndex) -> Option<&RouterPath> {
        self.routers.get(index.index())?.as_ref()
    }

    /// All routers in the order of their indices; the first is this one.
    pub fn routers(&self) -> impl Iterator<Item = (RouterIndex, &RouterPath)> {
        let numbered = (0_u16..).map(RouterIndex).zip(&self.routers);
        numbered.filter_map(|(index, router)| router.as_ref().map(|router| (index, router)))
    }

    /// The index of the router with an id.
    #[must_use]
    pub fn index(&self, id: &str) -> Option<RouterIndex> {
        let found = self.by_id.binary_search_by(|(known, _)| (**known).cmp(id));
        found.ok().map(|at| self.by_id[at].1)
    }

    /// The most connections on the way to any router; a message that has passed more than one
    /// router beyond this many is going in circles.
    #[must_use]
    pub fn radius(&self) -> u16 {
        self.radius
    }
}
