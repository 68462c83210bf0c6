//! Which routers of a cluster are linked: by a word, or link by link.

use std::fmt;
use std::str::FromStr;

use super::error::ClusterError;

/// Letters to name routers with.
const LETTERS: usize = 26;

/// A link between two routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The names of the routers.
    pub ends: [String; 2],
    /// The cost of the link, from 1.
    pub cost: u32,
}

impl Edge {
    /// A link of cost 1.
    #[must_use]
    pub fn new(one: impl Into<String>, other: impl Into<String>) -> Self {
        Self {
            ends: [one.into(), other.into()],
            cost: 1,
        }
    }

    /// The same link at another cost.
    #[must_use]
    pub fn cost(self, cost: u32) -> Self {
        Self { cost, ..self }
    }

    /// Whether it links these two.
    #[must_use]
    pub fn joins(&self, one: &str, other: &str) -> bool {
        let [first, second] = &self.ends;
        (first == one && second == other) || (first == other && second == one)
    }

    /// The router at the other end, if it is one of this router's.
    pub(crate) fn other_end(&self, of: &str) -> Option<&str> {
        match &self.ends {
            [one, other] if one == of => Some(other),
            [one, other] if other == of => Some(one),
            _ => None,
        }
    }
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ends[0], self.ends[1])
    }
}

impl FromStr for Edge {
    type Err = ClusterError;

    /// Reads `A-B`, or `A-B:5` with a cost.
    fn from_str(text: &str) -> Result<Self, ClusterError> {
        let bad = || ClusterError::BadLink(format!("`{text}` is no link: write A-B, or A-B:COST"));
        let (ends, cost) = match text.split_once(':') {
            Some((ends, cost)) => (ends, cost.parse().map_err(|_| bad())?),
            None => (text, 1),
        };
        let (one, other) = ends.split_once('-').ok_or_else(bad)?;
        Ok(Self::new(one.trim(), other.trim()).cost(cost))
    }
}

/// The shape of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// Each router is linked to the next one.
    Line,
    /// A line whose ends are linked, too: every router can be reached two ways.
    #[default]
    Ring,
    /// All routers are linked to the first one.
    Star,
    /// Every router is linked to every other.
    Full,
    /// These links.
    Edges(Vec<Edge>),
}

impl Topology {
    /// The links between routers of these names.
    ///
    /// # Errors
    ///
    /// A link that cannot be.
    pub(super) fn edges(&self, names: &[String]) -> Result<Vec<Edge>, ClusterError> {
        let edge = |one: usize, other: usize| Edge::new(&names[one], &names[other]);
        let count = names.len();
        let edges = match self {
            Self::Line => (1..count).map(|at| edge(at - 1, at)).collect(),
            Self::Ring => {
                let closing = (count > 2).then(|| edge(0, count - 1));
                let line = (1..count).map(|at| edge(at - 1, at));
                line.chain(closing).collect()
            }
            Self::Star => (1..count).map(|at| edge(0, at)).collect(),
            Self::Full => (0..count)
                .flat_map(|one| (one + 1..count).map(move |other| edge(one, other)))
                .collect(),
            Self::Edges(edges) => edges.clone(),
        };
        for (index, edge) in edges.iter().enumerate() {
            check(edge, names, &edges[..index])?;
        }
        Ok(edges)
    }
}

/// Whether a link can be, between routers of these names and beside these links.
pub(super) fn check(edge: &Edge, names: &[String], others: &[Edge]) -> Result<(), ClusterError> {
    let [one, other] = &edge.ends;
    for end in [one, other] {
        if !names.contains(end) {
            return Err(ClusterError::UnknownRouter(end.clone(), names.to_vec()));
        }
    }
    let why = if one == other {
        "a router needs no link to itself"
    } else if edge.cost == 0 {
        "a link costs at least 1"
    } else if others.iter().any(|before| before.joins(one, other)) {
        "there is such a link already"
    } else {
        return Ok(());
    };
    Err(ClusterError::BadLink(format!("{edge} cannot be: {why}")))
}

/// The name of a router by its place: `A` to `Z`, then `AA` and so on.
pub(super) fn name(at: usize) -> String {
    let letter = |at: usize| {
        let place = u8::try_from(at % LETTERS).expect("less than 26");
        char::from(b'A' + place)
    };
    match at.checked_sub(LETTERS) {
        None => letter(at).to_string(),
        Some(beyond) => format!("{}{}", letter(beyond / LETTERS), letter(beyond)),
    }
}

/// Whether a router can be called so.
pub(super) fn check_name(name: &str) -> Result<(), ClusterError> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if name.is_empty() || !name.chars().all(good) {
        return Err(ClusterError::BadName(name.to_owned()));
    }
    Ok(())
}

impl FromStr for Topology {
    type Err = ClusterError;

    /// Reads `line`, `ring`, `star`, `full`, or links: `A-B,B-C:5`.
    fn from_str(text: &str) -> Result<Self, ClusterError> {
        match text {
            "line" => Ok(Self::Line),
            "ring" => Ok(Self::Ring),
            "star" => Ok(Self::Star),
            "full" => Ok(Self::Full),
            _ if text.contains('-') => {
                let edges: Result<_, _> = text.split(',').map(str::parse).collect();
                Ok(Self::Edges(edges?))
            }
            _ => Err(ClusterError::UnknownTopology(text.to_owned())),
        }
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "in a line",
            Self::Ring => "in a ring",
            Self::Star => "in a star",
            Self::Full => "each linked to all others",
            Self::Edges(_) => "linked as told",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::ROUTERS_MAX;
    use super::*;

    fn links(topology: &str, routers: usize) -> String {
        let names: Vec<String> = (0..routers).map(name).collect();
        let edges = topology.parse::<Topology>().unwrap().edges(&names);
        let texts: Vec<String> = edges.unwrap().iter().map(ToString::to_string).collect();
        texts.join(" ")
    }

    fn refused(topology: &str) -> String {
        let names: Vec<String> = (0..3).map(name).collect();
        let edges = topology
            .parse::<Topology>()
            .and_then(|topology| topology.edges(&names));
        edges.unwrap_err().to_string()
    }

    #[test]
    fn a_word_makes_the_links() {
        assert_eq!(links("line", 3), "A-B B-C");
        assert_eq!(links("ring", 4), "A-B B-C C-D A-D");
        assert_eq!(links("ring", 2), "A-B");
        assert_eq!(links("star", 4), "A-B A-C A-D");
        assert_eq!(links("full", 4), "A-B A-C A-D B-C B-D C-D");
        assert_eq!(links("full", 1), "");
        assert_eq!(links("A-C,C-B:5", 3), "A-C C-B");
    }

    #[test]
    fn a_link_that_cannot_be_is_refused_with_the_reason() {
        assert_eq!(
            refused("A-A"),
            "A-A cannot be: a router needs no link to itself"
        );
        assert_eq!(refused("A-B:0"), "A-B cannot be: a link costs at least 1");
        assert_eq!(
            refused("A-B,B-A"),
            "B-A cannot be: there is such a link already"
        );
        assert_eq!(refused("A-X"), "there is no router `X`, only A, B, C");
        assert_eq!(
            refused("A-B:much"),
            "`A-B:much` is no link: write A-B, or A-B:COST"
        );
        assert_eq!(
            refused("cube"),
            "`cube` is no topology: line, ring, star, full, or links such as A-B,B-C:5"
        );
    }

    #[test]
    fn names_do_not_run_out() {
        let names: Vec<String> = (0..ROUTERS_MAX).map(name).collect();
        assert_eq!((names[25].as_str(), names[26].as_str()), ("Z", "AA"));
        assert!(names.iter().all(|name| check_name(name).is_ok()));
        assert!((1..names.len()).all(|at| !names[..at].contains(&names[at])));
        assert!(check_name("a b").is_err());
        assert!(check_name("A-B").is_err());
        assert!(check_name("").is_err());
    }
}
