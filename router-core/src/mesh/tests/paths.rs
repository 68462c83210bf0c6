//! The choice of paths against the slow search and against tables of the protocol.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::reference::{self, Costs, Verdict, symmetric};
use crate::mesh::spf::{Graph, Round, own_tree};

/// What the fast search makes of the same costs. Indices are in the opposite order of ids, so that
/// nothing depends on their agreeing.
fn judge(costs: &Costs, own: &str, budget: usize) -> (u16, BTreeMap<String, Verdict>) {
    let ids: Vec<&String> = costs.keys().collect();
    let index = |id: &str| {
        let at = ids.iter().position(|known| **known == *id)?;
        Some(u16::try_from(ids.len() - at).unwrap())
    };
    let id = |index: u16| ids[ids.len() - usize::from(index)].clone();
    let routers: Vec<(u16, Vec<(u16, u32)>)> = costs
        .iter()
        .map(|(id, peers)| {
            let peers = peers.iter();
            let peers = peers.filter_map(|(peer, cost)| Some((index(peer)?, *cost)));
            (index(id).unwrap(), peers.collect())
        })
        .collect();
    let size = ids.len() + 1;
    let each = routers.iter().map(|(router, peers)| (*router, &peers[..]));
    let graph = Graph::new(each, size);
    let tree = own_tree(&graph, index(own).unwrap(), size);
    let mut round = Round::new(graph, index(own).unwrap(), &tree);
    while !round.work(budget).0 {}
    let mut origins: BTreeMap<u16, Vec<u16>> = round.finish().collect();
    let judged = costs.keys().filter_map(|other| {
        let reach = tree.reach(index(other).unwrap())?;
        let found = origins.remove(&index(other).unwrap()).unwrap_or_default();
        assert!(found.is_sorted(), "a set is kept in order");
        let verdict = Verdict {
            cost: reach.cost,
            hops: reach.hops,
            first: id(reach.first),
            origins: found.into_iter().map(id).collect(),
        };
        Some((other.clone(), verdict))
    });
    let judged = judged.collect();
    (tree.radius, judged)
}

fn origins(judged: &BTreeMap<String, Verdict>) -> Vec<String> {
    let lists = judged.iter().map(|(id, verdict)| {
        let origins: Vec<_> = verdict.origins.iter().cloned().collect();
        format!("{id}:{}", origins.join(","))
    });
    lists.collect()
}

#[test]
fn a_square_is_cut_as_the_protocol_says() {
    let costs = symmetric(&[("A", "B", 1), ("A", "C", 1), ("B", "D", 1), ("C", "D", 1)]);
    for (own, opposite, first, expected) in [
        ("A", "D", "B", ["B:C", "C:B", "D:"]),
        ("B", "C", "A", ["A:D", "C:", "D:A"]),
        ("C", "B", "A", ["A:", "B:", "D:"]),
        ("D", "A", "B", ["A:", "B:", "C:"]),
    ] {
        let (radius, judged) = judge(&costs, own, 1);
        assert_eq!(radius, 2, "of {own}");
        assert_eq!(judged[opposite].first, first, "{own} to {opposite}");
        assert_eq!(origins(&judged), expected, "at {own}");
    }
}

#[test]
fn a_neighbour_over_a_dear_connection_is_reached_the_cheaper_way() {
    let costs = symmetric(&[("A", "B", 10), ("A", "C", 2), ("C", "B", 3)]);
    let (_, judged) = judge(&costs, "A", 1);
    assert_eq!(
        (
            judged["B"].cost,
            judged["B"].hops,
            judged["B"].first.as_str()
        ),
        (5, 2, "C")
    );
}

#[test]
fn ids_are_compared_as_code_points() {
    let costs = symmetric(&[("m", "Z", 1), ("m", "a", 1), ("Z", "t", 1), ("a", "t", 1)]);
    assert_eq!(judge(&costs, "m", 1).1["t"].first, "Z");
    let costs = symmetric(&[("m", "é", 1), ("m", "~", 1), ("é", "t", 1), ("~", "t", 1)]);
    assert_eq!(judge(&costs, "m", 1).1["t"].first, "~");
}

#[test]
fn an_edge_costs_what_its_beginning_says() {
    let mut costs = symmetric(&[("A", "B", 1), ("B", "C", 1), ("A", "C", 5)]);
    costs.get_mut("B").unwrap().insert("C".to_owned(), 9);
    assert_eq!(judge(&costs, "A", 1).1["C"].first, "C");
    assert_eq!(judge(&costs, "C", 1).1["A"].first, "B");
    costs.get_mut("C").unwrap().clear();
    assert_eq!(
        judge(&costs, "C", 1).1.len(),
        0,
        "it says it has no neighbours"
    );
    assert_eq!(judge(&costs, "A", 1).1.len(), 2);
}

#[test]
fn the_dearest_path_does_not_overflow() {
    let top = i32::MAX.unsigned_abs();
    let names: Vec<String> = (0..50).map(|number| format!("r{number:02}")).collect();
    let pairs = names
        .windows(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str(), top));
    let costs = symmetric(&pairs.collect::<Vec<_>>());
    assert_eq!(judge(&costs, "r00", 1).1["r49"].cost, 49 * u64::from(top));
}

/// Up to ten routers with single-letter ids and costs that are often equal.
fn any_costs() -> impl Strategy<Value = Costs> {
    let edge = ("[a-jA-C]", "[a-jA-C]", 0_u32..4);
    proptest::collection::vec((edge, any::<bool>()), 0..40).prop_map(|edges| {
        let mut costs = symmetric(&[("a", "b", 1)]);
        for ((from, to, cost), both) in edges {
            if from != to {
                costs.entry(to.clone()).or_default();
                if both {
                    costs.get_mut(&to).unwrap().insert(from.clone(), cost);
                }
                costs.entry(from).or_default().insert(to, cost);
            }
        }
        costs
    })
}

proptest! {
    #[test]
    fn any_graph_is_judged_as_the_slow_search_does(costs in any_costs(), budget in 0_usize..50) {
        for own in costs.keys() {
            let (radius, judged) = judge(&costs, own, budget.max(1));
            let expected = reference::verdicts(&costs, own);
            prop_assert_eq!(&judged, &expected, "at {}", own);
            let farthest = expected.values().map(|verdict| verdict.hops).max().unwrap_or(0);
            prop_assert_eq!(radius, farthest);
        }
    }
}
