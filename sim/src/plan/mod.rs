//! What a seed decides before anything happens: the routers' configuration, the peers with their
//! wires and goals, the faults. A plan is a value, so that a failing one can be made smaller: peers
//! and faults have seeds of their own, and what is left does what it did before.

mod crossing;
mod draw;
mod gateway;
mod hubs;
mod links;
mod mesh;
mod parts;
mod wires;

use router_core::route::Treatment;

use self::draw::{held, listeners, treatments};
use crate::random::Random;

pub(crate) use self::hubs::{DevicePlan, HUB, HubPlan, Hubs, Work};
pub(crate) use self::links::{ReceivePlan, SendPlan};
pub(crate) use self::parts::{
    ADDRESSES, EVIL, EdgeFault, EdgePlan, Fault, FaultKind, Hostile, LinkPlan, Listener, PeerPlan,
    Plan, SERVICE,
};

/// Keeps the seeds of networks with TLS apart from those of others.
const TLS_SALT: u64 = 0x746c_7300;

/// What a world is made of: the same number is the seed of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A router alone.
    Router,
    /// Several, joined into a network.
    Mesh,
    /// A network whose connections are all protected by TLS.
    Tls,
}

impl Kind {
    /// The plan of a seed.
    pub(crate) fn plan(self, seed: u64) -> Plan {
        match self {
            Self::Router => Plan::new(seed),
            Self::Mesh => Plan::mesh(seed),
            Self::Tls => Plan {
                tls: true,
                ..Plan::mesh(seed ^ TLS_SALT)
            },
        }
    }
}

impl Plan {
    /// The plan of a seed, for a router alone.
    pub(crate) fn new(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let shards = random.pick(&[1_u16, 1, 2, 2, 3, 4, 8]);
        let treatments = treatments(random);
        let listeners = listeners(random);
        let count = 2 + random.below(7);
        let mut plan = Self {
            treatments,
            ..Self::bare(seed, shards, Treatment::Multicast, listeners)
        };
        for number in 0..count {
            let peer = plan.peer(number, random);
            plan.peers.push(peer);
        }
        let faults = if random.one_in(4) {
            0
        } else {
            random.below(10)
        };
        for number in 0..faults {
            let at = random.micros(2_500_000);
            let kind = plan.fault(random);
            plan.faults.push(Fault { number, at, kind });
        }
        for listener in &mut plan.listeners {
            listener.held = held(random);
        }
        plan.add_hubs();
        plan.add_crossing();
        plan
    }
}
