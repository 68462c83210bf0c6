//! What a seed decides about a network of routers: how many and how large they are, which of them
//! are joined and at what cost, and what goes wrong between them.

use std::time::Duration;

use router_core::limits;
use router_core::settings::MeshTimers;

use super::draw::{held, held_between_routers, listeners, treatments};
use super::parts::{EdgeEnd, EdgeFault, EdgePlan, Fault, FaultKind, LinkPlan, NodePlan, Plan};
use super::wires::GOOD;
use crate::random::Random;
use crate::wire::Behaviour;

/// The ids of routers.
const IDS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];

/// Keeps the seeds of networks apart from those of routers alone.
const SALT: u64 = 0x6d65_7368;

/// Bytes a second without which somebody who sends much would not come to an end while is waited.
const HEAVY_RATE: u64 = 200_000;

impl Plan {
    /// The plan of a seed, for a network.
    pub(crate) fn mesh(seed: u64) -> Self {
        let random = &mut Random::new(seed ^ SALT);
        let count = random.pick(&[2, 2, 3, 3, 3, 4, 4, 5, 6]);
        let times = times(random);
        let mut plan = Self {
            seed,
            nodes: IDS[..count]
                .iter()
                .map(|id| NodePlan {
                    id,
                    shards: random.pick(&[1, 1, 2, 3]),
                    timers: timers(times, random),
                    trunk: random.pick(&[1, 2, 3, 8]),
                    busy: random.one_in(2),
                })
                .collect(),
            edges: edges(count, random),
            treatments: treatments(random),
            priorities: std::array::from_fn(|_| random.pick(&[None, None, Some(7)])),
            listeners: listeners(random),
            peers: Vec::new(),
            faults: Vec::new(),
            faults_end: Duration::from_secs(12),
            tls: false,
            hubs: None,
        };
        for number in 0..3 + random.below(8) {
            let mut peer = plan.peer(number, random);
            for link in peer.links.iter_mut().flatten() {
                spread(link, random);
            }
            plan.peers.push(peer);
        }
        let faults = match random.one_in(4) {
            true => 0,
            false => 1 + random.below(8),
        };
        for number in 0..faults {
            let at = Duration::from_millis(500) + random.micros(10_000_000);
            let kind = match random.one_in(3) {
                true => plan.fault(random),
                false => plan.mesh_fault(random),
            };
            plan.faults.push(Fault { number, at, kind });
        }
        // Drawn last: it was not drawn when older seeds were written down.
        for end in plan.edges.iter_mut().flat_map(|edge| &mut edge.ends) {
            end.held = held_between_routers(random);
        }
        if random.one_in(4) {
            plan.heavy(random);
        }
        for listener in &mut plan.listeners {
            listener.held = held(random);
        }
        plan.add_hubs();
        plan
    }

    /// Some send large messages one after the other: more than may be held between two routers.
    fn heavy(&mut self, random: &mut Random) {
        for peer in &mut self.peers {
            // Through a window of a few bytes so much would take half an hour.
            peer.window = peer.window.max(16);
            peer.frame = peer.frame.max(4096);
        }
        let listeners = &self.listeners;
        for peer in &mut self.peers {
            // So would it through a small window of the router's on a long wire.
            let is_quick = listeners
                .get(peer.listener)
                .is_some_and(|listener| listener.takes(&peer.wire) >= HEAVY_RATE);
            for link in &mut peer.links {
                if let Some(LinkPlan::Send(send)) = link.as_mut()
                    && random.one_in(3)
                    && is_quick
                {
                    send.size = 400_000;
                    send.count = 10;
                    send.pause = 0;
                }
            }
        }
    }

    pub(super) fn mesh_fault(&self, random: &mut Random) -> FaultKind {
        let edge = random.below(self.edges.len());
        let node = random.below(self.nodes.len());
        match random.below(8) {
            0 => FaultKind::Edge(edge, EdgeFault::HalfClose),
            1..=4 => FaultKind::Edge(edge, edge_fault(random)),
            5 => {
                let all = 1_usize << self.nodes.len();
                let routers = u32::try_from(random.below(all)).unwrap_or(0);
                FaultKind::Partition(routers, edge_fault(random))
            }
            _ => FaultKind::Crash {
                node,
                silent: random.one_in(3),
                down: random.micros(3_000_000),
            },
        }
    }
}

impl EdgePlan {
    /// A small window on a long wire carries less than routers have to tell each other.
    fn with_sense(mut self) -> Self {
        if self.wire.latency > Duration::from_millis(2) {
            for end in &mut self.ends {
                end.window = end.window.map(|window| window.max(16));
            }
        }
        self
    }
}

fn edge_fault(random: &mut Random) -> EdgeFault {
    match random.below(6) {
        0 | 1 => EdgeFault::Reset,
        2 => EdgeFault::Down(random.micros(4_000_000)),
        3 => EdgeFault::Freeze(Some(random.micros(4_000_000))),
        4 => EdgeFault::Freeze(None),
        _ => EdgeFault::Slow,
    }
}

/// A network lives longer than a router alone: producers take their time.
fn spread(link: &mut LinkPlan, random: &mut Random) {
    if let LinkPlan::Send(send) = link {
        send.pause = random.pick(&[send.pause, 50_000, 400_000]);
        if send.size <= 100 && random.one_in(3) {
            // Enough for a trunk to get another connection.
            send.count = 300;
            send.pause = 5000;
        }
    }
}

/// The times that all routers have about the same of.
fn times(random: &mut Random) -> MeshTimers {
    let seconds = Duration::from_secs;
    let usual = MeshTimers::default();
    match random.below(3) {
        0 => usual,
        1 => MeshTimers {
            ra_interval: seconds(2),
            ra_interval_flux: Duration::from_millis(500),
            remote_ls_max_age: seconds(10),
            ..usual
        },
        _ => MeshTimers {
            hello_interval: Duration::from_millis(200),
            hello_max_age: seconds(1),
            ..usual
        },
    }
}

/// The times of one router.
fn timers(times: MeshTimers, random: &mut Random) -> MeshTimers {
    let mut own = times;
    if random.one_in(3) {
        own.hello_interval /= 2;
    }
    if random.one_in(3) {
        own.hello_max_age *= 2;
    }
    if random.one_in(3) {
        own.ra_interval /= 2;
    }
    own
}

/// Which routers are joined: a line, a ring, a star, all of them, or a tree and some more.
fn edges(count: usize, random: &mut Random) -> Vec<EdgePlan> {
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    match random.below(5) {
        0 => pairs.extend((1..count).map(|node| (node - 1, node))),
        1 => {
            pairs.extend((1..count).map(|node| (node - 1, node)));
            if count > 2 {
                pairs.push((count - 1, 0));
            }
        }
        2 => pairs.extend((1..count).map(|node| (0, node))),
        3 => pairs.extend((0..count).flat_map(|one| (0..one).map(move |other| (one, other)))),
        _ => {
            for node in 1..count {
                pairs.push((random.below(node), node));
            }
            for one in 0..count {
                for other in 0..one {
                    let joined = pairs.contains(&(one, other)) || pairs.contains(&(other, one));
                    if !joined && random.one_in(3) {
                        pairs.push((one, other));
                    }
                }
            }
        }
    }
    let dear = random.one_in(2);
    let pairs = pairs.into_iter().enumerate();
    pairs
        .map(|(number, (one, other))| {
            let (one, other) = match random.one_in(2) {
                true => (one, other),
                false => (other, one),
            };
            EdgePlan {
                number,
                ends: [one, other].map(|node| end(node, dear, random)),
                wire: behaviour(random),
            }
            .with_sense()
        })
        .collect()
}

fn end(node: usize, dear: bool, random: &mut Random) -> EdgeEnd {
    EdgeEnd {
        node,
        cost: match dear {
            true => 1 + random.below_u32(5),
            false => 1,
        },
        capacity: random.pick(&[250, 250, 10, 2]),
        frame: random.pick(&[16_384, 16_384, 512, 4096]),
        window: random.pick(&[None, None, Some(16), Some(2)]),
        idle: random.pick(&[
            Some(Duration::from_secs(16)),
            Some(Duration::from_secs(4)),
            None,
        ]),
        loss_detection: random.pick(&[None, None, Some(Duration::from_millis(800))]),
        held: limits::CONNECTION_BYTES,
    }
}

fn behaviour(random: &mut Random) -> Behaviour {
    if random.one_in(3) {
        return GOOD;
    }
    Behaviour {
        latency: Duration::from_micros(random.pick(&[100, 2000, 30_000])),
        jitter_micros: random.pick(&[0, 100, 5000]),
        bandwidth: random.pick(&[5000, 50_000, 1_000_000]),
        segment: random.pick(&[100, 1500, 16_384, 65_536]),
        buffer: random.pick(&[16_384, 200_000]),
    }
}
