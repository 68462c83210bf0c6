//! Which routers are connected: shapes of networks by their size.

use crate::random::Random;

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each with two neighbours.
    Ring,
    /// A ring with random chords, so that each has about four neighbours.
    Mesh,
    /// Each with all others.
    Full,
    /// Sites below sites, eight below each.
    Tree,
}

impl Shape {
    pub(crate) const ALL: [Self; 4] = [Self::Ring, Self::Mesh, Self::Full, Self::Tree];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Mesh => "degree 4",
            Self::Full => "full",
            Self::Tree => "tree of 8",
        }
    }

    /// Whether so many routers of this shape are worth a look.
    pub(crate) fn is_sensible(self, routers: usize) -> bool {
        self != Self::Full || routers <= 32
    }

    /// The pairs that are connected.
    pub(crate) fn edges(self, routers: usize, random: &mut Random) -> Vec<[usize; 2]> {
        let ring = |edges: &mut Vec<[usize; 2]>| {
            edges.extend((0..routers).map(|at| [at, (at + 1) % routers]));
        };
        let mut edges = Vec::new();
        match self {
            Self::Ring => ring(&mut edges),
            Self::Mesh => {
                ring(&mut edges);
                let mut degree = vec![2_usize; routers];
                // Some are left with fewer when nobody suitable is left over.
                for _ in 0..routers * 40 {
                    let [one, other] = [random.below(routers), random.below(routers)];
                    let joined = |edge: &[usize; 2]| *edge == [one, other] || *edge == [other, one];
                    let full = degree[one] >= 4 || degree[other] >= 4;
                    if one != other && !full && !edges.iter().any(joined) {
                        degree[one] += 1;
                        degree[other] += 1;
                        edges.push([one, other]);
                    }
                }
            }
            Self::Full => {
                let pairs = (0..routers).flat_map(|one| (0..one).map(move |other| [other, one]));
                edges.extend(pairs);
            }
            Self::Tree => edges.extend((1..routers).map(|at| [(at - 1) / 8, at])),
        }
        edges
    }
}
