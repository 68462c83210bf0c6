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
    rules: Arc<Rules>,
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
            rules,
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

    /// The same generation with boards that may have grown.
    #[must_use]
    pub fn with_boards(self, boards: Boards) -> Self {
        Self { boards, ..self }
    }

    /// Replaces or removes one route, copying its bucket if an older table has it, too.
    fn change(&mut self, key: &str, route: Option<Arc<Route>>) {
        let hasher = self.hasher.clone();
        let hash = hasher.hash_one(key);
        let bucket = Arc::make_mut(&mut self.buckets[bucket_of(hash)]);
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
