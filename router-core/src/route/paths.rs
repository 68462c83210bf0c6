//! What leads to the other routers of the network, as an immutable snapshot: cost, next hop and
//! valid origins of each router, and the links to each neighbour.
//!
//! Routes name routers, this says how to get to them; so a change of topology replaces this one
//! snapshot and not every route. Decision: sets of routers are sorted lists of indices, because a
//! mask of bits would bound the size of the network.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::places::Places;
use crate::ids::{ConnectionId, LinkId, OutLinkKey, ShardId, mix};

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

/// A router to which this one has a connection, or several: a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Its index.
    pub router: u16,
    /// The connections to it, oldest first; at least one.
    pub members: Vec<Member>,
    /// Unsettled deliveries that each shard may have on their way to one of the links, and those of
    /// one address from which the neighbour no longer counts as eligible for balanced ones.
    pub capacity: u32,
}

/// One connection to a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The connection.
    pub connection: ConnectionId,
    /// The links that carry messages, by priority; missing ones are served by the next lower.
    pub links: [Option<OutLinkKey>; PRIORITIES],
    /// It is about to be closed: nobody begins to use it.
    pub leaving: bool,
}

impl Member {
    /// The link for a priority.
    #[must_use]
    pub fn link(&self, priority: u8) -> Option<OutLinkKey> {
        let top = usize::from(priority).min(PRIORITIES - 1);
        self.links[..=top].iter().rev().find_map(|link| *link)
    }

    /// Whether a link is one of its.
    #[must_use]
    pub fn has(&self, link: OutLinkKey) -> bool {
        self.links.contains(&Some(link))
    }

    /// The shard that has the connection.
    fn shard(&self) -> Option<ShardId> {
        let mut links = self.links.iter().flatten();
        links.next().map(|link| link.shard)
    }
}

impl Neighbor {
    /// The connection that a link would use if it had used none before: one of its own shard, which
    /// spares a message the way to another; else any, each link its own, so that all are used.
    /// Those with an excluded link are passed over.
    #[must_use]
    pub fn preferred(
        &self,
        shard: ShardId,
        link: LinkId,
        excluded: Option<OutLinkKey>,
    ) -> Option<&Member> {
        let admitted = |member: &&Member| excluded.is_none_or(|link| !member.has(link));
        let rank = |member: &Member| (!member.leaving, member.shard() == Some(shard));
        let lot = |member: &Member| mix(link.0 ^ mix(member.connection.0));
        let better = |best, member| {
            // Lots are drawn only between equals, since this is asked for each delivery.
            match rank(member).cmp(&rank(best)) {
                Ordering::Less => best,
                Ordering::Equal if lot(member) < lot(best) => best,
                Ordering::Equal | Ordering::Greater => member,
            }
        };
        self.members.iter().filter(admitted).reduce(better)
    }

    /// Every link that carries messages to it.
    pub fn links(&self) -> impl Iterator<Item = OutLinkKey> {
        let links = self.members.iter().flat_map(|member| &member.links);
        links.flatten().copied()
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
    /// The links to neighbours.
    places: Places,
    /// Some neighbour has several connections.
    has_trunks: bool,
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
        let places = Places::new(&links(&neighbors));
        let has_trunks = neighbors.iter().any(|neighbor| neighbor.members.len() > 1);
        Self {
            paths,
            neighbors,
            known,
            radius,
            places,
            has_trunks,
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
        let (neighbor, _) = self.places.of(link)?;
        self.neighbor(neighbor)
    }

    /// Whether there are several connections to some neighbour.
    #[must_use]
    pub fn has_trunks(&self) -> bool {
        self.has_trunks
    }

    /// The neighbour with several connections to which a link leads, and the connection it is on.
    #[must_use]
    pub fn trunk_of(&self, link: OutLinkKey) -> Option<(&Neighbor, &Member)> {
        let (neighbor, member) = self.places.of(link)?;
        let neighbor = self.neighbor(neighbor)?;
        if neighbor.members.len() < 2 {
            return None;
        }
        Some((neighbor, neighbor.members.get(usize::from(member))?))
    }

    /// The neighbours with several connections.
    pub fn trunks(&self) -> impl Iterator<Item = &Neighbor> {
        let neighbors = self.neighbors.iter();
        neighbors.filter(|neighbor| neighbor.members.len() > 1)
    }

    /// The index of a router that is known.
    #[must_use]
    pub fn index(&self, id: &str) -> Option<u16> {
        self.known.get(id).copied()
    }

    /// The indices, in their order, that have ceased to be those of their routers since some paths.
    #[must_use]
    pub fn left_since(&self, before: &Self) -> Vec<u16> {
        let left = before.known.iter();
        let left = left.filter(|&(id, index)| self.known.get(id) != Some(index));
        let mut left: Vec<u16> = left.map(|(_, &index)| index).collect();
        left.sort_unstable();
        left
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

/// The links to neighbours, with the places of the neighbour and of the connection.
fn links(neighbors: &[Neighbor]) -> Vec<(OutLinkKey, u16, u16)> {
    let mut found = Vec::new();
    for (neighbor, place) in neighbors.iter().zip(0..) {
        for (member, at) in neighbor.members.iter().zip(0..) {
            let links = member.links.iter().flatten();
            found.extend(links.map(|link| (*link, place, at)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Key;

    fn link(shard: u16, index: u32) -> OutLinkKey {
        OutLinkKey {
            shard: ShardId(shard),
            link: Key {
                index,
                generation: 0,
            },
        }
    }

    fn member(connection: u64, shard: u16) -> Member {
        let index = u32::try_from(connection).unwrap();
        Member {
            connection: ConnectionId(connection),
            links: [Some(link(shard, index)); PRIORITIES],
            leaving: false,
        }
    }

    fn neighbor(router: u16, members: Vec<Member>) -> Neighbor {
        Neighbor {
            router,
            members,
            capacity: 250,
        }
    }

    #[test]
    fn a_missing_priority_is_served_by_the_next_lower() {
        let mut links = [None; PRIORITIES];
        links[0] = Some(link(0, 0));
        links[5] = Some(link(0, 5));
        let member = Member {
            links,
            ..member(1, 0)
        };
        assert_eq!(member.link(4), Some(link(0, 0)));
        assert_eq!(member.link(5), Some(link(0, 5)));
        assert_eq!(member.link(200), Some(link(0, 5)));
    }

    #[test]
    fn a_link_prefers_the_connection_of_its_shard_and_never_one_that_leaves() {
        let mut trunk = neighbor(1, (0..4).map(|n| member(u64::from(n) + 1, n)).collect());
        let preferred = |trunk: &Neighbor, shard, link| {
            let member = trunk.preferred(ShardId(shard), LinkId(link), None);
            member.unwrap().connection.0
        };
        for link in 0..100 {
            assert_eq!(preferred(&trunk, 2, link), 3);
        }
        trunk.members[2].leaving = true;
        for link in 0..100 {
            assert_ne!(preferred(&trunk, 2, link), 3);
        }
    }

    #[test]
    fn links_of_shards_without_a_connection_use_all_of_them() {
        let trunk = neighbor(1, (0..4).map(|n| member(u64::from(n) + 1, n)).collect());
        let mut used = [0; 5];
        for link in 0..400 {
            let member = trunk.preferred(ShardId(9), LinkId(link), None).unwrap();
            used[usize::try_from(member.connection.0).unwrap()] += 1;
        }
        assert!(used[1..].iter().all(|&count| count > 50), "{used:?}");
    }

    #[test]
    fn only_links_of_several_connections_are_those_of_a_trunk() {
        let single = neighbor(1, vec![member(1, 0)]);
        let trunk = neighbor(2, vec![member(2, 0), member(3, 1)]);
        let paths = Paths::new(Vec::new(), vec![single, trunk], BTreeMap::new(), 1);
        assert!(paths.has_trunks());
        assert_eq!(paths.trunk_of(link(0, 1)), None);
        let (neighbor, member) = paths.trunk_of(link(1, 3)).unwrap();
        assert_eq!((neighbor.router, member.connection.0), (2, 3));
        assert_eq!(paths.behind(link(0, 1)).map(|of| of.router), Some(1));
    }
}
