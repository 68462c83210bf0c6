//! Shortest paths: the tree of one router, and through which trees this router lies.
//!
//! Owns the graph and the choice among paths of equal cost. It knows no sequence numbers, no links
//! and no time. Decision: vertices are numbered in the order of the routers' ids, so that the order
//! which all routers must share, cost first and id second, is one comparison of integers; a copy of
//! the graph for each change costs less than looking texts up in each of a thousand trees.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// No vertex, no router.
pub(super) const NONE: u16 = u16::MAX;

/// Routers and the costs from each to its neighbours, as those say themselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// The index of each vertex's router.
    routers: Vec<u16>,
    /// Where each vertex's edges begin, and the end.
    starts: Vec<u32>,
    /// Vertex and cost.
    edges: Vec<(u16, u32)>,
}

impl Graph {
    /// Makes a graph of routers, in the order of their ids, each with its neighbours' indices and
    /// costs. Neighbours that are not among the routers do not count.
    pub(super) fn new<'a>(
        routers: impl Iterator<Item = (u16, &'a [(u16, u32)])> + Clone,
        size: usize,
    ) -> Self {
        let mut vertex = vec![NONE; size];
        let mut graph = Self::default();
        for (at, (router, _)) in routers.clone().enumerate() {
            vertex[usize::from(router)] = u16::try_from(at).unwrap_or(NONE);
            graph.routers.push(router);
        }
        let offset = |edges: &Vec<_>| u32::try_from(edges.len()).unwrap_or(u32::MAX);
        for (_, peers) in routers {
            graph.starts.push(offset(&graph.edges));
            for &(peer, cost) in peers {
                if let Some(&vertex) = vertex.get(usize::from(peer))
                    && vertex != NONE
                {
                    graph.edges.push((vertex, cost));
                }
            }
        }
        graph.starts.push(offset(&graph.edges));
        graph
    }

    fn edges(&self, vertex: u16) -> &[(u16, u32)] {
        let vertex = usize::from(vertex);
        &self.edges[self.starts[vertex] as usize..self.starts[vertex + 1] as usize]
    }

    /// How many steps a tree takes at most.
    fn steps(&self) -> usize {
        self.routers.len() + self.edges.len()
    }

    fn vertex_of(&self, router: u16) -> Option<u16> {
        let at = self.routers.iter().position(|found| *found == router)?;
        u16::try_from(at).ok()
    }
}

/// How one router reaches another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// What the whole way costs.
    pub(super) cost: u64,
    /// Over how many connections it goes.
    pub(super) hops: u16,
    /// The first router on it.
    pub(super) first: u16,
}

/// The paths from one router, by the index of the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    reach: Vec<Option<Reach>>,
    /// The most hops to any router.
    pub(super) radius: u16,
}

impl Tree {
    /// How a router is reached.
    pub(super) fn reach(&self, router: u16) -> Option<Reach> {
        self.reach.get(usize::from(router)).copied().flatten()
    }

    /// Forgets the way to a router: its number may soon be another's.
    pub(super) fn forget(&mut self, router: u16) {
        if let Some(reach) = self.reach.get_mut(usize::from(router)) {
            *reach = None;
        }
    }
}

/// The memory of a search, used again for the next.
#[derive(Clone, Debug, Default)]
struct Search {
    heap: BinaryHeap<Reverse<(u64, u16)>>,
    cost: Vec<u64>,
    previous: Vec<u16>,
    done: Vec<bool>,
    /// Vertices in the order in which they were reached for good.
    order: Vec<u16>,
}

impl Search {
    /// Finds the shortest paths from `root`: vertices are settled in the order of cost and number,
    /// and a way to a vertex is replaced only by one that costs less.
    fn run(&mut self, graph: &Graph, root: u16) {
        let count = graph.routers.len();
        self.heap.clear();
        self.order.clear();
        self.cost.clear();
        self.cost.resize(count, u64::MAX);
        self.previous.clear();
        self.previous.resize(count, NONE);
        self.done.clear();
        self.done.resize(count, false);
        self.cost[usize::from(root)] = 0;
        self.heap.push(Reverse((0, root)));
        while let Some(Reverse((cost, vertex))) = self.heap.pop() {
            if std::mem::replace(&mut self.done[usize::from(vertex)], true) {
                continue;
            }
            self.order.push(vertex);
            for &(next, step) in graph.edges(vertex) {
                let at = usize::from(next);
                let cost = cost + u64::from(step);
                if !self.done[at] && cost < self.cost[at] {
                    self.cost[at] = cost;
                    self.previous[at] = vertex;
                    self.heap.push(Reverse((cost, next)));
                }
            }
        }
    }
}

/// The paths from this router.
pub(super) fn own_tree(graph: &Graph, own: u16, size: usize) -> Tree {
    let mut tree = Tree {
        reach: vec![None; size],
        radius: 0,
    };
    let Some(root) = graph.vertex_of(own) else {
        return tree;
    };
    let mut search = Search::default();
    search.run(graph, root);
    for &vertex in &search.order[1..] {
        let at = usize::from(vertex);
        let previous = search.previous[at];
        let router = graph.routers[at];
        let before = tree.reach(graph.routers[usize::from(previous)]);
        let (hops, first) = before.map_or((1, router), |before| (before.hops + 1, before.first));
        tree.reach[usize::from(router)] = Some(Reach {
            cost: search.cost[at],
            hops,
            first,
        });
        tree.radius = tree.radius.max(hops);
    }
    tree
}

/// Works out, tree by tree, from which origins the way to each router leads through this one.
#[derive(Clone, Debug)]
pub(super) struct Round {
    graph: Graph,
    own: u16,
    is_origin: Vec<bool>,
    /// The vertex whose tree is next.
    next: u16,
    search: Search,
    /// For each vertex, whether the way to it leads through this router.
    through: Vec<bool>,
    /// For each vertex, the origins found, as indices of routers.
    origins: Vec<Vec<u16>>,
}

impl Round {
    /// Begins with the trees of a graph; only routers that are reached count as origins.
    pub(super) fn new(graph: Graph, own: u16, tree: &Tree) -> Self {
        let count = graph.routers.len();
        let own = graph.vertex_of(own).unwrap_or(NONE);
        let is_origin = |router: &u16| tree.reach(*router).is_some();
        let is_origin = graph.routers.iter().map(is_origin).collect();
        Self {
            graph,
            own,
            is_origin,
            next: 0,
            search: Search::default(),
            through: vec![false; count],
            origins: vec![Vec::new(); count],
        }
    }

    /// Takes about so many steps, one tree at least; whether it is finished, and how many steps are
    /// left.
    pub(super) fn work(&mut self, budget: usize) -> (bool, usize) {
        let mut left = budget;
        while usize::from(self.next) < self.graph.routers.len() {
            if left == 0 {
                return (false, 0);
            }
            let root = self.next;
            self.next += 1;
            if self.is_origin[usize::from(root)] && !self.graph.edges(root).is_empty() {
                self.tree(root);
                left = left.saturating_sub(self.graph.steps());
            }
        }
        (true, left)
    }

    /// Walks one origin's tree outwards: what lies behind this router lies behind it for good.
    fn tree(&mut self, root: u16) {
        self.search.run(&self.graph, root);
        let origin = self.graph.routers[usize::from(root)];
        self.through[usize::from(root)] = false;
        for &vertex in &self.search.order[1..] {
            let at = usize::from(vertex);
            let previous = self.search.previous[at];
            self.through[at] = previous == self.own || self.through[usize::from(previous)];
            if self.through[at] {
                self.origins[at].push(origin);
            }
        }
    }

    /// For each router by its index, the origins of whose messages to it this router is on the
    /// way, in ascending order.
    pub(super) fn finish(self) -> impl Iterator<Item = (u16, Vec<u16>)> {
        let lists = self.graph.routers.into_iter().zip(self.origins);
        lists.map(|(router, mut origins)| {
            origins.sort_unstable();
            (router, origins)
        })
    }
}
