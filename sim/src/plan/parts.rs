//! The parts of a plan, as values: the configuration, the peers with their wires and goals, the
//! faults.

use std::sync::Arc;
use std::time::Duration;

use router_core::route::{AddressRule, Treatment};
use router_core::settings::{
    ConnectionRole, ConnectionSettings, MeshTimers, RouterMode, RouterSettings, StripAnnotations,
};

use super::hubs::{DevicePlan, HUB, HubPlan, Hubs};
use super::links::{ReceivePlan, SendPlan};
use super::wires::GOOD;
use crate::wire::{Behaviour, Side};

/// Addresses that honest peers use.
pub(crate) const ADDRESSES: [&str; 3] = ["one", "two", "three"];

/// Where requests go.
pub(crate) const SERVICE: &str = "service";

/// The address that hostile peers have for themselves.
pub(crate) const EVIL: &str = "evil";

/// Everything that a seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) edges: Vec<EdgePlan>,
    /// By address.
    pub(crate) treatments: [Treatment; ADDRESSES.len()],
    /// By address.
    pub(crate) priorities: [Option<u8>; ADDRESSES.len()],
    pub(crate) listeners: Vec<Listener>,
    pub(crate) peers: Vec<PeerPlan>,
    pub(crate) faults: Vec<Fault>,
    /// How long faults may happen, from the start.
    pub(crate) faults_end: Duration,
    /// All connections are protected by TLS.
    pub(crate) tls: bool,
    /// Routed links, if there are any.
    pub(crate) hubs: Option<Hubs>,
}

/// What differs between listeners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) frame: u32,
    pub(crate) window: Option<u32>,
    pub(crate) capacity: u32,
    pub(crate) idle: Option<Duration>,
    pub(crate) strip_in: bool,
    pub(crate) strip_out: bool,
    /// Bytes that may be held for a connection.
    pub(crate) held: u64,
    /// It is for containers that link routes lead to.
    pub(crate) hubs: bool,
}

/// A connection and what is done on it.
#[derive(Clone, Debug)]
pub(crate) struct PeerPlan {
    pub(crate) number: usize,
    /// It was left out.
    pub(crate) absent: bool,
    pub(crate) seed: u64,
    pub(crate) node: usize,
    pub(crate) shard: usize,
    pub(crate) listener: usize,
    pub(crate) joins: Duration,
    pub(crate) wire: Behaviour,
    pub(crate) frame: u32,
    pub(crate) window: u32,
    pub(crate) sessions: usize,
    /// `None`: it was left out.
    pub(crate) links: Vec<Option<LinkPlan>>,
    /// It is a container that link routes lead to.
    pub(crate) hub: Option<HubPlan>,
    pub(crate) hostile: Option<Hostile>,
}

/// What is done on a link, or on the two links of a request and its answers.
#[derive(Clone, Debug)]
pub(crate) enum LinkPlan {
    Send(SendPlan),
    Receive(ReceivePlan),
    /// Asks the service so many times, with a dynamic address for the answers.
    Request(u32),
    /// Answers requests, by an anonymous link.
    Respond,
    /// Is routed to a hub.
    Device(DevicePlan),
}

/// What a hostile peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hostile {
    /// Random bytes from the start.
    Garbage,
    /// Random bytes after the protocol header.
    HeaderThenGarbage,
    /// Well-formed frames that do not fit, now and then.
    Misdeeds,
    /// Some of its bytes are changed on their way.
    Mutation,
    /// It does not read after a while.
    Deaf,
}

/// Something that goes wrong, once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) number: usize,
    pub(crate) at: Duration,
    pub(crate) kind: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The wire of a peer is cut.
    Reset(usize),
    /// A peer closes its side of the wire.
    HalfClose(usize),
    /// A peer closes its connection as it should.
    Close(usize),
    /// A peer ends a session.
    EndSession(usize),
    /// The wire of a peer is silent for a while, or until the world is healed.
    Stall(usize, Option<Duration>),
    /// A shard of a router, or its control plane, does nothing for a while.
    Pause(usize, usize, Duration),
    /// The turns of a shard of a router, or of its control plane, take so long for a while.
    Slow(usize, usize, Duration),
    /// A shard of a router is held up between the batches that it posts, for a while.
    LateMail(usize, usize, Duration),
    /// A router's clock jumps forward.
    Jump(usize, Duration),
    /// Something happens to the connection between two routers.
    Edge(usize, EdgeFault),
    /// The routers of a set, a bit for each, are cut off from the others.
    Partition(u32, EdgeFault),
    /// A router dies and begins a new life after a while. A silent death is not told to anybody
    /// until then.
    Crash {
        node: usize,
        silent: bool,
        down: Duration,
    },
}

/// A router.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodePlan {
    pub(crate) id: &'static str,
    pub(crate) shards: u16,
    pub(crate) timers: MeshTimers,
    /// Connections of a trunk that it would have.
    pub(crate) trunk: u16,
    /// Its shards say that they have much to do.
    pub(crate) busy: bool,
}

/// A connection between two routers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdgePlan {
    pub(crate) number: usize,
    /// The router that dials, and the one that is dialled.
    pub(crate) ends: [EdgeEnd; 2],
    pub(crate) wire: Behaviour,
}

/// The settings of one of its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EdgeEnd {
    pub(crate) node: usize,
    pub(crate) cost: u32,
    pub(crate) capacity: u32,
    pub(crate) frame: u32,
    pub(crate) window: Option<u32>,
    pub(crate) idle: Option<Duration>,
    pub(crate) loss_detection: Option<Duration>,
    /// Bytes that may be held for it.
    pub(crate) held: u64,
}

/// What happens to a connection between routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EdgeFault {
    /// It is cut; it may be dialled again at once.
    Reset,
    /// One direction of it ends.
    HalfClose,
    /// It is cut, and dialling is refused for a while.
    Down(Duration),
    /// Nothing passes, and dialling has no answer, for a while or until the world is healed.
    Freeze(Option<Duration>),
    /// It takes longer and carries less, until the world is healed.
    Slow,
}

impl EdgePlan {
    pub(crate) fn dialler(&self) -> usize {
        self.ends[0].node
    }

    pub(crate) fn listener(&self) -> usize {
        self.ends[1].node
    }

    /// The identity of the connector.
    pub(crate) fn connector(&self) -> Arc<str> {
        format!("connector/{}", self.number).into()
    }

    /// The router at the other end; none if this one is at neither.
    pub(crate) fn beyond(&self, node: usize) -> Option<usize> {
        let [dialler, listener] = self.ends.map(|end| end.node);
        match node {
            _ if node == dialler => Some(listener),
            _ if node == listener => Some(dialler),
            _ => None,
        }
    }

    /// What a message pays for it.
    pub(crate) fn cost(&self) -> u32 {
        self.ends[0].cost.max(self.ends[1].cost)
    }

    /// The settings of the connector, or those of the listener.
    pub(crate) fn settings(&self, side: Side) -> Arc<ConnectionSettings> {
        let end = match side {
            Side::Dialler => self.ends[0],
            Side::Listener => self.ends[1],
        };
        Arc::new(ConnectionSettings {
            name: format!("edge {}", self.number),
            connector: (side == Side::Dialler).then(|| self.connector()),
            role: ConnectionRole::InterRouter,
            cost: end.cost,
            max_frame_size: end.frame,
            max_sessions: 1000,
            max_session_frames: end.window,
            idle_time_out: end.idle,
            loss_detection: end.loss_detection,
            held_bytes: end.held,
            handshake_time_out: Some(Duration::from_secs(10)),
            link_capacity: end.capacity,
            strip_annotations: StripAnnotations {
                inbound: false,
                outbound: false,
            },
            sasl_mechanisms: vec!["ANONYMOUS".to_owned()],
            ..ConnectionSettings::default()
        })
    }
}

impl Plan {
    /// A router alone, without peers.
    pub(crate) fn bare(
        seed: u64,
        shards: u16,
        treatment: Treatment,
        listeners: Vec<Listener>,
    ) -> Self {
        Self {
            seed,
            nodes: vec![NodePlan {
                id: "SIM",
                shards,
                timers: MeshTimers::default(),
                trunk: 1,
                busy: false,
            }],
            edges: Vec::new(),
            treatments: [treatment; ADDRESSES.len()],
            priorities: [None; ADDRESSES.len()],
            listeners,
            peers: Vec::new(),
            faults: Vec::new(),
            faults_end: Duration::from_secs(3),
            tls: false,
            hubs: None,
        }
    }

    /// Whether there are several routers.
    pub(crate) fn is_mesh(&self) -> bool {
        self.nodes.len() > 1
    }

    /// The settings of a router.
    pub(crate) fn router(&self, node: usize) -> Arc<RouterSettings> {
        let NodePlan {
            id, timers, trunk, ..
        } = self.nodes[node];
        Arc::new(RouterSettings {
            id: Arc::from(id),
            default_treatment: Treatment::AnycastBalanced,
            version: "0",
            mode: match self.is_mesh() {
                true => RouterMode::Interior,
                false => RouterMode::Standalone,
            },
            timers,
            resumable_link_routes: true,
            trunk_connections: trunk,
        })
    }

    /// The addresses that every router is configured with.
    pub(crate) fn rules(&self) -> impl Iterator<Item = AddressRule> {
        let addresses = ADDRESSES.into_iter().zip(self.treatments);
        addresses
            .zip(self.priorities)
            .map(|((address, treatment), priority)| AddressRule {
                priority: priority.map(i64::from),
                ..AddressRule::for_prefix(address, treatment)
            })
    }

    /// Whether nothing happens that may cost a message.
    pub(crate) fn is_calm(&self) -> bool {
        let steady = |link: &LinkPlan| match link {
            LinkPlan::Send(send) => send.aborts == 0 && send.early == 0,
            LinkPlan::Receive(receive) => receive.detaches == 0,
            LinkPlan::Request(_) | LinkPlan::Respond | LinkPlan::Device(_) => true,
        };
        let idle = |peer: &PeerPlan| self.listeners[peer.listener].idle.is_some();
        self.hubs.is_none()
            && self.faults.is_empty()
            && self.peers.iter().all(|peer| {
                peer.hostile.is_none() && !idle(peer) && peer.links.iter().flatten().all(steady)
            })
    }

    /// Whether nothing happens that concerns the routers.
    pub(crate) fn is_quiet(&self) -> bool {
        self.faults.iter().all(|fault| {
            matches!(
                fault.kind,
                FaultKind::Reset(_)
                    | FaultKind::HalfClose(_)
                    | FaultKind::Close(_)
                    | FaultKind::EndSession(_)
                    | FaultKind::Stall(..)
            )
        })
    }
}

impl Listener {
    /// Bytes a second that a router takes in a session on a wire, if its window is what counts.
    pub(super) fn takes(&self, wire: &Behaviour) -> u64 {
        let latency = u64::try_from(wire.latency.as_micros()).unwrap_or(u64::MAX);
        let trip = latency.saturating_add(wire.jitter_micros);
        let window = self
            .window
            .map(|frames| u64::from(frames) * u64::from(self.frame));
        window.map_or(u64::MAX, |bytes| {
            bytes * 1_000_000 / trip.saturating_mul(2).max(1)
        })
    }

    /// As the router has it.
    pub(crate) fn settings(&self) -> Arc<ConnectionSettings> {
        Arc::new(ConnectionSettings {
            name: match self.hubs {
                true => HUB.to_owned(),
                false => "sim".to_owned(),
            },
            role: match self.hubs {
                true => ConnectionRole::RouteContainer,
                false => ConnectionRole::Normal,
            },
            max_frame_size: self.frame,
            max_sessions: 100,
            max_session_frames: self.window,
            idle_time_out: self.idle,
            held_bytes: self.held,
            handshake_time_out: Some(Duration::from_secs(10)),
            link_capacity: self.capacity,
            strip_annotations: StripAnnotations {
                inbound: self.strip_in,
                outbound: self.strip_out,
            },
            sasl_mechanisms: vec!["ANONYMOUS".to_owned()],
            ..ConnectionSettings::default()
        })
    }
}

impl LinkPlan {
    pub(super) fn turn_evil(&mut self) {
        match self {
            Self::Send(send) => {
                send.address = EVIL;
                send.anonymous = false;
            }
            Self::Receive(receive) => receive.address = EVIL,
            Self::Request(_) | Self::Respond | Self::Device(_) => {
                *self = Self::Receive(ReceivePlan::steady(EVIL));
            }
        }
    }
}

impl PeerPlan {
    /// What it says is no AMQP.
    pub(crate) fn speaks_garbage(&self) -> bool {
        matches!(
            self.hostile,
            Some(Hostile::Garbage | Hostile::HeaderThenGarbage)
        )
    }

    /// A peer without wishes of its own, on a good wire.
    pub(crate) fn steady(
        number: usize,
        (node, shard): (usize, usize),
        links: Vec<LinkPlan>,
    ) -> Self {
        Self {
            number,
            absent: false,
            seed: number as u64,
            node,
            shard,
            listener: 0,
            joins: Duration::ZERO,
            wire: GOOD,
            frame: 16_384,
            window: 64,
            sessions: 1,
            links: links.into_iter().map(Some).collect(),
            hub: None,
            hostile: None,
        }
    }
}
