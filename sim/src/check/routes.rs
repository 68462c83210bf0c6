//! What every router must know once the network is at rest: the true costs, ways that end where
//! they should, and who has consumers of what. Worked out anew from the plan and from what peers
//! did, by the simplest means.

use std::collections::{BTreeMap, BTreeSet};

use router_core::route::PRIORITIES;

use super::scene::Scene;
use crate::node::Node;
use crate::plan::{ADDRESSES, EVIL, Plan, SERVICE};

/// Costs from each router to each, by Floyd and Warshall.
fn costs(plan: &Plan) -> Vec<Vec<Option<u32>>> {
    let count = plan.nodes.len();
    let mut costs = vec![vec![None; count]; count];
    for (node, costs) in costs.iter_mut().enumerate() {
        costs[node] = Some(0);
    }
    for edge in &plan.edges {
        let [one, other] = edge.ends.map(|end| end.node);
        let cost = costs[one][other].map_or(edge.cost(), |known: u32| known.min(edge.cost()));
        costs[one][other] = Some(cost);
        costs[other][one] = Some(cost);
    }
    for by in 0..count {
        for one in 0..count {
            for other in 0..count {
                if let (Some(there), Some(on)) = (costs[one][by], costs[by][other])
                    && costs[one][other].is_none_or(|known| there + on < known)
                {
                    costs[one][other] = Some(there + on);
                }
            }
        }
    }
    costs
}

/// What one router says of the way to another.
#[derive(Clone, Debug)]
struct Way {
    cost: Option<u32>,
    next: usize,
    origins: BTreeSet<usize>,
}

/// Every router knows every other, at its true cost, by ways that lead there, and has all its links
/// to its neighbours.
pub(crate) fn routes(scene: &Scene<'_>) -> Result<(), String> {
    let plan = scene.plan;
    let ways = ways(plan, scene.nodes)?;
    compare(plan, &ways)?;
    for (node, router) in scene.nodes.iter().enumerate() {
        let neighbors = router.control.paths().neighbors();
        let joined = plan.edges.iter().filter_map(|edge| edge.beyond(node));
        let count = joined.collect::<BTreeSet<_>>().len();
        let whole = neighbors.iter().all(|neighbor| {
            let count = neighbor.links().count();
            count > 0 && count == neighbor.members.len() * PRIORITIES
        });
        if neighbors.len() != count || !whole {
            let id = plan.nodes[node].id;
            return Err(format!("{id} has no links to a neighbour"));
        }
    }
    Ok(())
}

/// What routers say, by router and target.
fn ways(plan: &Plan, nodes: &[Node]) -> Result<Vec<Vec<Way>>, String> {
    let place: BTreeMap<&str, usize> = plan.nodes.iter().map(|node| node.id).zip(0..).collect();
    let mut all = Vec::new();
    for (node, router) in nodes.iter().enumerate() {
        let own = plan.nodes[node].id;
        let rows = router.control.nodes();
        if rows.len() != plan.nodes.len() {
            return Err(format!("{own} knows {} routers", rows.len()));
        }
        let mut ways = Vec::new();
        for (target, plan) in plan.nodes.iter().enumerate() {
            let Some(row) = rows.iter().find(|row| &*row.id == plan.id) else {
                return Err(format!("{own} does not know {}", plan.id));
            };
            let place = |id: &str| place.get(id).copied().ok_or("a router that is not there");
            let origins: Result<_, _> = row.valid_origins.iter().map(|id| place(id)).collect();
            ways.push(Way {
                cost: row.cost,
                next: match &row.next_hop {
                    Some(next) => place(next)?,
                    None => target,
                },
                origins: origins?,
            });
        }
        all.push(ways);
    }
    Ok(all)
}

/// Compares what routers say with the truth.
fn compare(plan: &Plan, ways: &[Vec<Way>]) -> Result<(), String> {
    let costs = costs(plan);
    let name = |node: usize| plan.nodes[node].id;
    // By router and target, from where messages pass.
    let mut passed = vec![vec![BTreeSet::new(); ways.len()]; ways.len()];
    for (from, there) in ways.iter().enumerate() {
        for (to, way) in there.iter().enumerate().filter(|(to, _)| *to != from) {
            if way.cost != costs[from][to] {
                return Err(format!(
                    "{} says that {} costs {:?}, it is {:?}",
                    name(from),
                    name(to),
                    way.cost,
                    costs[from][to]
                ));
            }
            for by in walk(plan, ways, &costs, (from, to))? {
                passed[by][to].insert(from);
            }
        }
    }
    for (at, there) in ways.iter().enumerate() {
        for (to, way) in there.iter().enumerate().filter(|(to, _)| *to != at) {
            if way.origins != passed[at][to] {
                return Err(format!(
                    "{} lets messages to {} pass from {:?}, not from {:?}",
                    name(at),
                    name(to),
                    way.origins,
                    passed[at][to]
                ));
            }
        }
    }
    Ok(())
}

/// Goes from one router to another as a message would: each hop leads nearer. The routers between.
fn walk(
    plan: &Plan,
    ways: &[Vec<Way>],
    costs: &[Vec<Option<u32>>],
    (from, to): (usize, usize),
) -> Result<Vec<usize>, String> {
    let name = |node: usize| plan.nodes[node].id;
    let mut at = from;
    let mut between = Vec::new();
    while at != to {
        let way = &ways[at][to];
        let step = plan
            .edges
            .iter()
            .filter(|edge| edge.beyond(at) == Some(way.next))
            .map(crate::plan::EdgePlan::cost)
            .min();
        let nearer = costs[way.next][to]
            .zip(step)
            .map(|(rest, step)| rest + step);
        if step.is_none() || nearer != costs[at][to] {
            return Err(format!(
                "{} goes to {} by {}",
                name(at),
                name(to),
                name(way.next)
            ));
        }
        at = way.next;
        if at != to {
            between.push(at);
        }
    }
    Ok(between)
}

/// Every router knows which others have consumers of each address; with `all`, nobody has any of
/// hostile peers' address.
pub(crate) fn addresses(scene: &Scene<'_>, all: bool) -> Result<(), String> {
    let evil = all.then_some(EVIL);
    let mut addresses = ADDRESSES.into_iter().chain([SERVICE]).chain(evil);
    addresses.try_for_each(|name| address(scene, name))?;
    match all {
        true => super::tunnels::routes(scene),
        false => Ok(()),
    }
}

/// Every router knows which others have consumers of an address.
pub(crate) fn address(scene: &Scene<'_>, address: &str) -> Result<(), String> {
    let holders: BTreeSet<usize> = scene
        .books
        .links
        .iter()
        .filter(|link| !link.sends && &*link.address == address)
        .filter(|link| link.up.is_some() && link.ending.is_none())
        .map(|link| link.node)
        .collect();
    for (node, router) in scene.nodes.iter().enumerate() {
        let others = holders.iter().filter(|holder| **holder != node);
        let truth: Vec<&str> = others.map(|&other| scene.plan.nodes[other].id).collect();
        let row = router.control.address(&format!("M0{address}"));
        let routers = row.map(|row| row.routers).unwrap_or_default();
        let mut known: Vec<&str> = routers.iter().map(|id| &**id).collect();
        known.sort_unstable();
        if known != truth {
            let id = scene.plan.nodes[node].id;
            return Err(format!(
                "{id} says that {known:?} have {address}, {truth:?} do"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use amqp_proto::Time;

    use super::*;
    use crate::books::Books;
    use crate::books::tests::line;

    fn ring() -> Plan {
        let of = |plan: &Plan| plan.nodes.len() == 4 && plan.edges.len() == 4;
        let found = (0..10_000).map(Plan::mesh).find(of);
        found.expect("four routers with four connections")
    }

    /// What routers would say that have worked it out by themselves.
    fn truth(plan: &Plan) -> Vec<Vec<Way>> {
        let costs = costs(plan);
        let count = plan.nodes.len();
        let next = |from: usize, to: usize| {
            let near = plan.edges.iter().find_map(|edge| {
                let next = edge.beyond(from)?;
                let rest = costs[next][to]?;
                (Some(rest + edge.cost()) == costs[from][to]).then_some(next)
            });
            near.unwrap_or(to)
        };
        let way = |from: usize, to: usize| Way {
            cost: costs[from][to],
            next: next(from, to),
            origins: BTreeSet::new(),
        };
        let there = |from| (0..count).map(|to| way(from, to)).collect();
        let mut ways: Vec<Vec<Way>> = (0..count).map(there).collect();
        for from in 0..count {
            for to in (0..count).filter(|&to| to != from) {
                for by in walk(plan, &ways, &costs, (from, to)).unwrap() {
                    ways[by][to].origins.insert(from);
                }
            }
        }
        ways
    }

    #[test]
    fn routers_that_know_nobody_and_nothing_are_seen() {
        let plan = ring();
        let nodes: Vec<Node> = (0..4).map(|node| Node::new(&plan, node, 0)).collect();
        let scene = |books| Scene {
            plan: &plan,
            now: Time::ZERO,
            nodes: &nodes,
            peers: &[],
            books,
            losses: false,
        };
        let (nobody, line) = (Books::default(), line());
        assert!(routes(&scene(&nobody)).is_err());
        assert_eq!(addresses(&scene(&nobody), true), Ok(()));
        let told = addresses(&scene(&line), true);
        assert!(told.is_err(), "nobody was told of the consumers at A and C");
    }

    #[test]
    fn the_truth_is_believed() {
        let plan = ring();
        assert_eq!(compare(&plan, &truth(&plan)), Ok(()));
    }

    #[test]
    fn a_wrong_cost_a_detour_and_a_closed_gate_are_seen() {
        let plan = ring();
        let mut wrong = truth(&plan);
        wrong[0][3].cost = wrong[0][3].cost.map(|cost| cost + 1);
        assert!(compare(&plan, &wrong).is_err());
        let mut lost = truth(&plan);
        lost[0][3].cost = None;
        assert!(compare(&plan, &lost).is_err());
        let mut circle = truth(&plan);
        circle[0][3].next = 0;
        assert!(compare(&plan, &circle).is_err());
        let mut closed = truth(&plan);
        for way in closed.iter_mut().flatten() {
            way.origins.clear();
        }
        assert!(compare(&plan, &closed).is_err());
        let mut open = truth(&plan);
        for way in open.iter_mut().flatten() {
            way.origins.extend(0..4);
        }
        assert!(compare(&plan, &open).is_err());
    }
}
