//! The choice of paths, written as the protocol words it and as slowly as that.

use std::collections::{BTreeMap, BTreeSet};

/// What each router says of its neighbours.
pub(super) type Costs = BTreeMap<String, BTreeMap<String, u32>>;

/// The tree of one router: predecessor, cost and hops of each router that it reaches.
pub(super) type Found = BTreeMap<String, (String, u64, u16)>;

/// What one router makes of the way to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) cost: u64,
    pub(super) hops: u16,
    /// The first router on the way.
    pub(super) first: String,
    pub(super) origins: BTreeSet<String>,
}

/// The tree from `root`.
pub(super) fn tree(costs: &Costs, root: &str) -> Found {
    let mut open: BTreeMap<String, (String, u64, u16)> = BTreeMap::new();
    let mut found = Found::new();
    open.insert(root.to_owned(), (String::new(), 0, 0));
    while let Some(next) = open
        .iter()
        .map(|(id, (_, cost, _))| (*cost, id.clone()))
        .min()
    {
        let (cost, id) = next;
        let entry = open.remove(&id).unwrap();
        let hops = entry.2;
        found.insert(id.clone(), entry);
        for (peer, step) in costs.get(&id).into_iter().flatten() {
            let reached = cost + u64::from(*step);
            let known = costs.contains_key(peer) && !found.contains_key(peer);
            if known
                && open
                    .get(peer)
                    .is_none_or(|(_, before, _)| reached < *before)
            {
                open.insert(peer.clone(), (id.clone(), reached, hops + 1));
            }
        }
    }
    found
}

/// The routers on the way to `to`, the root not among them.
fn way(found: &Found, root: &str, to: &str) -> Vec<String> {
    let mut way = vec![to.to_owned()];
    loop {
        let (before, _, _) = &found[&way[0]];
        if before == root {
            return way;
        }
        way.insert(0, before.clone());
    }
}

/// What `own` makes of the ways to all routers that it reaches.
pub(super) fn verdicts(costs: &Costs, own: &str) -> BTreeMap<String, Verdict> {
    let mine = tree(costs, own);
    let trees: Vec<_> = costs.keys().map(|root| (root, tree(costs, root))).collect();
    let others = mine.iter().filter(|(id, _)| *id != own);
    let judged = others.map(|(id, (_, cost, hops))| {
        let passes = trees.iter().filter(|(root, found)| {
            let is_origin = *root != own && mine.contains_key(*root);
            let through = is_origin && *root != id && found.contains_key(id);
            through && way(found, root, id).iter().any(|on| on == own)
        });
        let verdict = Verdict {
            cost: *cost,
            hops: *hops,
            first: way(&mine, own, id)[0].clone(),
            origins: passes.map(|(root, _)| (*root).clone()).collect(),
        };
        (id.clone(), verdict)
    });
    judged.collect()
}

/// Costs from a list of edges, the same in both directions.
pub(super) fn symmetric(edges: &[(&str, &str, u32)]) -> Costs {
    let mut costs = Costs::new();
    for (a, b, cost) in edges {
        for (from, to) in [(a, b), (b, a)] {
            let peers = costs.entry((*from).to_owned()).or_default();
            peers.insert((*to).to_owned(), *cost);
        }
    }
    costs
}
