//! The routing table as a snapshot: immutable, shared by all shards, replaced by mail.
//!
//! Owns the routes by key text and what is published with them: address rules and tally boards.
//! Decision: 256 buckets copied on write instead of one map with a lock: readers pay nothing, and
//! a change among 100 000 addresses copies one bucket of about 400 entries.

use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::ids::AddressKey;

use super::links::LinkPatterns;
use super::record::Route;
use super::rules::Rules;
use super::tally::Boards;

/// Buckets of a table: one byte of a key's hash chooses.
const BUCKETS: usize = 256;

/// Routes whose keys share a byte of their hash.
type Bucket = HashTable<Arc<Route>>;

/// One generation of the routing table.
#[derive(Clone)]
pub struct RouteTable {
    generation: u64,
    hasher: FixedState,
    buckets: [Arc<Bucket>; BUCKETS],
    /// What stands for every bucket without routes.
    empty: Arc<Bucket>,
    rules: Arc<Rules>,
    links: Arc<LinkPatterns>,
    boards: Boards,
}

impl RouteTable {
    /// Generation 0: no routes. The seed keys the hash, so that clients cannot aim at one bucket.
    #[must_use]
    pub fn new(seed: u64, rules: Arc<Rules>, boards: Boards) -> Self {
        let empty = Arc::new(Bucket::new());
        Self {
            generation: 0,
            hasher: FixedState::with_seed(seed),
            buckets: std::array::from_fn(|_| Arc::clone(&empty)),
            empty,
            rules,
            links: Arc::default(),
            boards,
        }
    }

    /// How many tables came before this.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The address rules of this generation.
    #[must_use]
    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// The link routes of this generation.
    #[must_use]
    pub fn links(&self) -> &Arc<LinkPatterns> {
        &self.links
    }

    /// The tally boards of this generation: they have a cell for every slot in its routes.
    #[must_use]
    pub fn boards(&self) -> &Boards {
        &self.boards
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.len()).sum()
    }

    /// Whether there is no route.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.iter().all(|bucket| bucket.is_empty())
    }

    /// The route with a key text such as `M0queue`.
    #[must_use]
    pub fn lookup(&self, key: &str) -> Option<&Arc<Route>> {
        let hash = self.hasher.hash_one(key);
        self.buckets[bucket_of(hash)].find(hash, |route| *route.key == *key)
    }

    /// All routes, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.buckets.iter().flat_map(|bucket| bucket.iter())
    }

    /// The next generation, with the routes of some keys replaced (`Some`) or gone (`None`).
    #[must_use]
    pub fn with_changes(
        &self,
        changes: impl IntoIterator<Item = (AddressKey, Option<Arc<Route>>)>,
    ) -> Self {
        let mut next = self.clone();
        next.generation += 1;
        for (key, route) in changes {
            debug_assert!(
                route.as_ref().is_none_or(|route| route.key == key),
                "one key, one route"
            );
            next.change(&key, route);
        }
        next
    }

    /// The same generation with other rules.
    #[must_use]
    pub fn with_rules(self, rules: Arc<Rules>) -> Self {
        Self { rules, ..self }
    }

    /// The same generation with other link routes.
    #[must_use]
    pub fn with_links(self, links: Arc<LinkPatterns>) -> Self {
        Self { links, ..self }
    }

    /// The same generation with boards that may have grown.
    #[must_use]
    pub fn with_boards(self, boards: Boards) -> Self {
        Self { boards, ..self }
    }

    /// Replaces or removes one route, copying its bucket if an older table has it, too.
    fn change(&mut self, key: &str, route: Option<Arc<Route>>) {
        let hasher = self.hasher.clone();
        let hash = hasher.hash_one(key);
        let place = &mut self.buckets[bucket_of(hash)];
        let bucket = Arc::make_mut(place);
        match (bucket.find_entry(hash, |route| *route.key == *key), route) {
            (Ok(mut entry), Some(route)) => *entry.get_mut() = route,
            (Ok(entry), None) => {
                entry.remove();
                bucket.shrink_to(bucket.len() * 2, |route| hasher.hash_one(&*route.key));
            }
            (Err(_), Some(route)) => {
                bucket.insert_unique(hash, route, |route| hasher.hash_one(&*route.key));
            }
            (Err(_), None) => {}
        }
        if bucket.is_empty() {
            *place = Arc::clone(&self.empty);
        }
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut record = formatter.debug_struct("RouteTable");
        record
            .field("generation", &self.generation)
            .field("routes", &self.len());
        record.finish_non_exhaustive()
    }
}

/// The bucket of a hash: bits that the tables inside the buckets do not use.
fn bucket_of(hash: u64) -> usize {
    usize::from((hash >> 32).to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::record::{NO_SLOT, Treatment};
    use super::*;
    use crate::ids::AddressId;

    fn route(id: u64, key: &str) -> Arc<Route> {
        Arc::new(Route {
            id: AddressId(id),
            key: key.into(),
            treatment: Treatment::AnycastBalanced,
            priority: None,
            control_only: false,
            annotated: false,
            in_process: Vec::new(),
            consumers: Vec::new(),
            routers: Vec::new(),
            shards: Vec::new(),
            turn_slot: NO_SLOT,
        })
    }

    fn empty() -> RouteTable {
        let rules = Arc::new(Rules::new(Treatment::AnycastBalanced));
        RouteTable::new(7, rules, Boards::new(1))
    }

    fn with(table: &RouteTable, routes: impl IntoIterator<Item = Arc<Route>>) -> RouteTable {
        table.with_changes(
            routes
                .into_iter()
                .map(|route| (Arc::clone(&route.key), Some(route))),
        )
    }

    #[test]
    fn an_older_table_does_not_see_later_changes() {
        let old = with(&empty(), [route(1, "M0a"), route(2, "M0b")]);
        let new = old.with_changes([
            ("M0a".into(), None),
            ("M0b".into(), Some(route(3, "M0b"))),
            ("M0c".into(), Some(route(4, "M0c"))),
            ("M0d".into(), None),
        ]);
        let id = |table: &RouteTable, key| table.lookup(key).map(|route| route.id.0);
        assert_eq!((old.generation(), new.generation()), (1, 2));
        assert_eq!((id(&old, "M0a"), id(&new, "M0a")), (Some(1), None));
        assert_eq!((id(&old, "M0b"), id(&new, "M0b")), (Some(2), Some(3)));
        assert_eq!((id(&old, "M0c"), id(&new, "M0c")), (None, Some(4)));
        assert_eq!((old.len(), new.len()), (2, 2));
        assert!(empty().is_empty() && !new.is_empty());
    }

    #[test]
    fn a_change_copies_one_bucket() {
        let old = with(
            &empty(),
            (0..5000).map(|id| route(id, &format!("M0address/{id}"))),
        );
        let new = with(&old, [route(9999, "M0address/17")]);
        let same = |(one, other): (&Arc<Bucket>, &Arc<Bucket>)| Arc::ptr_eq(one, other);
        let kept = old
            .buckets
            .iter()
            .zip(&new.buckets)
            .filter(|pair| same(*pair))
            .count();
        assert_eq!(kept, BUCKETS - 1);
        let longest = old.buckets.iter().map(|bucket| bucket.len()).max();
        assert!(
            longest < Some(100),
            "5000 keys spread over 256 buckets: {longest:?}"
        );
    }

    #[test]
    fn rules_and_boards_come_with_the_routes() {
        let rules = Arc::new(Rules::new(Treatment::Unavailable));
        let table = empty()
            .with_rules(rules)
            .with_boards(Boards::new(1).grown(5));
        assert_eq!(table.rules().default_treatment(), Treatment::Unavailable);
        assert!(table.boards().slots() >= 5);
        assert_eq!(table.generation(), 0);
    }

    proptest! {
        #[test]
        fn behaves_as_a_map(
            generations in prop::collection::vec(
                prop::collection::vec((0..300_u32, any::<bool>()), 0..60), 1..20,
            ),
        ) {
            let mut table = empty();
            let mut model: BTreeMap<String, u64> = BTreeMap::new();
            let mut id = 0;
            for changes in generations {
                let changes: Vec<_> = changes.into_iter().map(|(number, there)| {
                    let key = format!("M0{number}");
                    id += 1;
                    if there {
                        model.insert(key.clone(), id);
                    } else {
                        model.remove(&key);
                    }
                    let route = there.then(|| route(id, &key));
                    (AddressKey::from(key), route)
                }).collect();
                table = table.with_changes(changes);
                let mut seen: Vec<_> =
                    table.iter().map(|route| (route.key.to_string(), route.id.0)).collect();
                seen.sort_unstable();
                prop_assert_eq!(&seen, &model.clone().into_iter().collect::<Vec<_>>());
                prop_assert_eq!(table.len(), model.len());
                for (key, id) in &model {
                    prop_assert_eq!(table.lookup(key).map(|route| route.id.0), Some(*id));
                }
            }
        }
    }
}
