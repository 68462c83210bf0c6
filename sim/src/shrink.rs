//! Makes a failing plan smaller: peers and faults are left out as long as what is left still fails.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::plan::{Kind, Plan};
use crate::world::World;

/// Plays of a plan that is made smaller, at most.
const PLAYS: usize = 300;

/// A part of a plan that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A peer, by its number.
    Peer(usize),
    /// A link of a peer.
    Link(usize, usize),
    /// A fault, by its number.
    Fault(usize),
}

/// What is left of a failing plan.
#[derive(Clone, Debug)]
pub struct Small {
    /// What is left out.
    pub without: Vec<Part>,
    /// What is left, in words.
    pub left: Vec<String>,
    /// How that fails.
    pub failure: String,
}

impl Plan {
    /// Leaves parts out.
    pub(crate) fn leave_out(&mut self, without: &[Part]) {
        self.faults
            .retain(|fault| !without.contains(&Part::Fault(fault.number)));
        for peer in &mut self.peers {
            peer.absent = without.contains(&Part::Peer(peer.number));
            for (place, link) in peer.links.iter_mut().enumerate() {
                if without.contains(&Part::Link(peer.number, place)) {
                    *link = None;
                }
            }
        }
    }

    fn parts(&self) -> Vec<Part> {
        let faults = self.faults.iter().map(|fault| Part::Fault(fault.number));
        let peers = self.peers.iter().map(|peer| Part::Peer(peer.number));
        let links = self
            .peers
            .iter()
            .flat_map(|peer| (0..peer.links.len()).map(|place| Part::Link(peer.number, place)));
        faults.chain(peers).chain(links).collect()
    }

    fn describe(&self) -> Vec<String> {
        let addresses = format!(
            "{:?}, {:?}, {:?}",
            self.treatments, self.priorities, self.listeners
        );
        let hubs = self.hubs.iter().map(|hubs| format!("{hubs:?}"));
        let nodes = self.nodes.iter().map(|node| format!("{node:?}"));
        let edges = self.edges.iter().map(|edge| format!("{edge:?}"));
        let peers = self.peers.iter().filter(|peer| !peer.absent);
        let peers = peers.map(|peer| format!("{peer:?}"));
        let faults = self.faults.iter().map(|fault| format!("{fault:?}"));
        let routers = nodes.chain(edges).chain(hubs);
        let all = [addresses].into_iter().chain(routers).chain(peers);
        all.chain(faults).collect()
    }
}

/// Makes the failing plan of a seed smaller; `None` if it does not fail.
#[must_use]
pub fn shrink(kind: Kind, seed: u64) -> Option<Small> {
    let mut without = Vec::new();
    let mut failure = failure(kind, seed, &without)?;
    let mut plays = 0;
    let mut parts = kind.plan(seed).parts();
    let mut size = parts.len().div_ceil(2).max(1);
    while plays < PLAYS {
        let mut smaller = false;
        for chunk in parts.clone().chunks(size) {
            plays += 1;
            let tried = [without.as_slice(), chunk].concat();
            if let Some(found) = self::failure(kind, seed, &tried) {
                failure = found;
                without = tried;
                parts.retain(|part| !chunk.contains(part));
                smaller = true;
            }
        }
        if size == 1 && !smaller {
            break;
        }
        if !smaller || size > 1 {
            size = size.div_ceil(2).max(1);
        }
    }
    let mut plan = kind.plan(seed);
    plan.leave_out(&without);
    Some(Small {
        without,
        left: plan.describe(),
        failure,
    })
}

/// How a plan fails without some of its parts.
fn failure(kind: Kind, seed: u64, without: &[Part]) -> Option<String> {
    let mut plan = kind.plan(seed);
    plan.leave_out(without);
    let played = catch_unwind(AssertUnwindSafe(|| World::new(plan, None).play()));
    let panic = played.err()?;
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Some(text.unwrap_or("a panic").to_owned())
}
