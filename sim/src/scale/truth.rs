//! What every router should find out: the cheapest ways, and of equal ones that which all choose.
//!
//! Decision: it is written for ways of equal cost, level by level, and shares nothing with the
//! engine that it judges.

/// The neighbours of each router, in the order of their numbers; none of those that are gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph(pub(crate) Vec<Vec<usize>>);

/// The way from one router to another: how many hops, and the first router on it.
pub(crate) type Way = Option<(u32, usize)>;

impl Graph {
    /// The ways from a router to all.
    pub(crate) fn ways(&self, from: usize) -> Vec<Way> {
        let mut ways: Vec<Way> = vec![None; self.0.len()];
        ways[from] = Some((0, from));
        let mut level = vec![from];
        let mut hops = 0;
        while !level.is_empty() {
            hops += 1;
            let mut next = Vec::new();
            for &at in &level {
                for &peer in &self.0[at] {
                    if ways[peer].is_none() {
                        let first = if at == from {
                            peer
                        } else {
                            ways[at].map_or(peer, |w| w.1)
                        };
                        ways[peer] = Some((hops, first));
                        next.push(peer);
                    }
                }
            }
            // Who is nearer comes first, and of those who are as near, the lower id.
            next.sort_unstable();
            level = next;
        }
        ways
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_ways_the_lower_id_wins() {
        // A square: 0-1, 0-2, 1-3, 2-3.
        let graph = Graph(vec![vec![1, 2], vec![0, 3], vec![0, 3], vec![1, 2], vec![]]);
        let ways = graph.ways(0);
        assert_eq!(ways[3], Some((2, 1)));
        assert_eq!(ways[4], None);
        assert_eq!(graph.ways(3)[0], Some((2, 1)));
    }
}
