//! The parts of a world, and the few verbs that everybody needs.

use std::collections::BTreeMap;
use std::hash::DefaultHasher;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use router_core::control::Dial;
use router_core::settings::ConnectionSettings;
use router_core::shard::{Census, Shard};

use crate::agenda::Agenda;
use crate::books::Books;
use crate::check::Scene;
use crate::node::Node;
use crate::peer::Peer;
use crate::plan::{EdgePlan, Fault, Plan};
use crate::random::Random;
use crate::wire::{Behaviour, Wire};

/// Between two looks whether it has: no multiple of what routers do again and again.
pub(super) const LOOK: Duration = Duration::from_micros(97_003);

/// What a run found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Messages that arrived.
    pub delivered: u64,
    /// Ends of routed links that heard that they kept others waiting.
    pub stalled: u64,
    /// Messages for all that were cut because they and others waited for each other.
    pub crossed: u64,
    /// Things that happened.
    pub occurrences: u64,
    /// A digest of everything that was written on wires; the same seed gives the same.
    pub digest: u64,
}

/// Something that is going to happen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Occurrence {
    /// A peer comes.
    Join(usize),
    /// A peer acts.
    Act(usize),
    /// A shard or the control plane of a router takes its turn.
    Turn(usize, usize),
    /// Bytes arrive at an end of a wire.
    Arrive(usize),
    /// A fault of the plan happens.
    Fail(Fault),
    /// Somebody is dialled.
    Dial(u64),
    /// A router begins a new life.
    Restart(usize),
    /// It is looked whether the network has come to rest, and who knows of whose consumers.
    Look,
}

/// Who hears what happens, in words.
pub type Listen = Box<dyn FnMut(&str)>;

/// Routers, their peers and their wires.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now: Time,
    pub(super) random: Random,
    pub(super) agenda: Agenda<Occurrence>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) peers: Vec<Peer>,
    pub(super) wires: Vec<Wire>,
    pub(super) edges: Vec<Edge>,
    /// What is being dialled, by number.
    pub(super) dials: BTreeMap<u64, Pending>,
    pub(super) last_dial: u64,
    pub(crate) books: Books,
    pub(super) listeners: Vec<Arc<ConnectionSettings>>,
    pub(super) occurrences: u64,
    pub(super) digest: DefaultHasher,
    pub(super) listen: Option<Listen>,
    /// Something has ended that had not been told to: the router's idle time-out, a cut wire.
    pub(crate) losses: bool,
    /// Routers take their leave of each other: nothing is to be said about it.
    pub(super) parting: bool,
    /// It is going to be looked what routers know.
    pub(super) watches: bool,
}

/// What there is of a connection between two routers.
#[derive(Debug)]
pub(super) struct Edge {
    /// Its connections, the latest last; what has ended may be among them.
    pub(super) wires: Vec<usize>,
    /// Who dials is not answered before this.
    pub(super) silent_until: Time,
    /// Who dials is refused before this.
    pub(super) refused_until: Time,
    pub(super) behaviour: Behaviour,
}

impl Edge {
    pub(super) fn new(plan: &EdgePlan) -> Self {
        Self {
            wires: Vec::new(),
            silent_until: Time::ZERO,
            refused_until: Time::ZERO,
            behaviour: plan.wire,
        }
    }

    /// Whatever was done to it is over.
    pub(super) fn heal(&mut self) {
        self.silent_until = Time::ZERO;
        self.refused_until = Time::ZERO;
    }
}

/// Somebody who is being dialled.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) node: usize,
    pub(super) life: u32,
    pub(super) edge: usize,
    pub(super) dial: Dial,
}

impl World {
    pub(super) fn scene(&self) -> Scene<'_> {
        Scene {
            plan: &self.plan,
            now: self.now,
            nodes: &self.nodes,
            peers: &self.peers,
            books: &self.books,
            losses: self.losses,
        }
    }

    /// Tells who listens.
    pub(super) fn say(&mut self, text: impl FnOnce() -> String) {
        if let Some(listen) = &mut self.listen {
            let micros = self.now.as_nanos() / 1000;
            listen(&format!("{micros:>12} µs  {}", text()));
        }
    }

    pub(super) fn has_mail(&self) -> bool {
        self.nodes.iter().any(Node::has_mail)
    }

    pub(super) fn census(&self) -> impl Iterator<Item = (String, Census)> {
        let shards = self.nodes.iter().zip(&self.plan.nodes);
        shards.flat_map(|(node, plan)| {
            let shards = node.shards.iter().map(Shard::census).enumerate();
            shards.map(|(number, census)| (format!("shard {number} of {}", plan.id), census))
        })
    }
}
