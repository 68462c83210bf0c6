//! What a seed decides before anything happens: the router's configuration, the peers with their
//! wires and goals, the faults. A plan is a value, so that a failing one can be made smaller: peers
//! and faults have seeds of their own, and what is left does what it did before.

use std::sync::Arc;
use std::time::Duration;

use router_core::route::Treatment;
use router_core::settings::{ConnectionRole, ConnectionSettings, StripAnnotations};

use crate::random::Random;
use crate::wire::Behaviour;

/// Addresses that honest peers use.
pub(crate) const ADDRESSES: [&str; 3] = ["one", "two", "three"];

/// Where requests go.
pub(crate) const SERVICE: &str = "service";

/// The address that hostile peers have for themselves.
pub(crate) const EVIL: &str = "evil";

/// How long faults may happen, from the start.
pub(crate) const FAULTS_END: Duration = Duration::from_millis(3000);

/// Everything that a seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) shards: u16,
    /// By address.
    pub(crate) treatments: [Treatment; ADDRESSES.len()],
    pub(crate) listeners: Vec<Listener>,
    pub(crate) peers: Vec<PeerPlan>,
    pub(crate) faults: Vec<Fault>,
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
}

/// A connection and what is done on it.
#[derive(Clone, Debug)]
pub(crate) struct PeerPlan {
    pub(crate) number: usize,
    /// It was left out.
    pub(crate) absent: bool,
    pub(crate) seed: u64,
    pub(crate) shard: usize,
    pub(crate) listener: usize,
    pub(crate) joins: Duration,
    pub(crate) wire: Behaviour,
    pub(crate) frame: u32,
    pub(crate) window: u32,
    pub(crate) sessions: usize,
    /// `None`: it was left out.
    pub(crate) links: Vec<Option<LinkPlan>>,
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
}

#[derive(Clone, Debug)]
pub(crate) struct SendPlan {
    pub(crate) address: &'static str,
    /// Each message says where it goes.
    pub(crate) anonymous: bool,
    pub(crate) count: u32,
    /// One in so many messages is settled; 0: none.
    pub(crate) settled: usize,
    /// Bytes of body at most.
    pub(crate) size: usize,
    /// Written in so many pieces, with time between them.
    pub(crate) pieces: usize,
    /// One in so many is given up half-way; 0: none.
    pub(crate) aborts: usize,
    /// One in so many is settled by its producer before it is told; 0: none.
    pub(crate) early: usize,
    /// Microseconds between messages, at most.
    pub(crate) pause: u64,
    pub(crate) ornate: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ReceivePlan {
    pub(crate) address: &'static str,
    pub(crate) credit: u32,
    pub(crate) pattern: Pattern,
    /// One in so many messages gets another outcome than accepted; 0: none.
    pub(crate) odd: usize,
    /// State first, settlement later.
    pub(crate) second: bool,
    /// Asks for settled deliveries.
    pub(crate) settles: bool,
    /// Microseconds to an outcome, at most.
    pub(crate) slow: u64,
    /// Detaches after so many messages, and comes back; 0: never.
    pub(crate) detaches: u32,
    /// Disposes only when it is told to.
    pub(crate) manual: bool,
}

/// How a consumer gives credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Up to the full amount when half is used.
    TopUp,
    /// When all is used.
    Burst,
    /// When all is used or given back; with drain.
    Drain,
    /// More and less, at whim.
    Whim,
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
    /// A shard, or the control plane, does nothing for a while.
    Pause(usize, Duration),
    /// The turns of a shard, or of the control plane, take so long for a while.
    Slow(usize, Duration),
    /// A shard is held up between the batches that it posts, for a while.
    LateMail(usize, Duration),
    /// The router's clock jumps forward.
    Jump(Duration),
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let shards = random.pick(&[1_u16, 1, 2, 2, 3, 4, 8]);
        let kinds = [
            Treatment::AnycastBalanced,
            Treatment::AnycastClosest,
            Treatment::Multicast,
        ];
        let treatments = [
            random.pick(&kinds),
            random.pick(&kinds),
            random.pick(&kinds),
        ];
        let listeners = (0..1 + random.below(2))
            .map(|_| Listener::draw(random))
            .collect::<Vec<_>>();
        let count = 2 + random.below(7);
        let mut plan = Self {
            seed,
            shards,
            treatments,
            listeners,
            peers: Vec::new(),
            faults: Vec::new(),
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
        plan
    }

    /// A router alone.
    pub(crate) fn bare(
        seed: u64,
        shards: u16,
        treatment: Treatment,
        listeners: Vec<Listener>,
    ) -> Self {
        Self {
            seed,
            shards,
            treatments: [treatment; ADDRESSES.len()],
            listeners,
            peers: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Whether nothing happens that may cost a message.
    pub(crate) fn is_calm(&self) -> bool {
        let steady = |link: &LinkPlan| match link {
            LinkPlan::Send(send) => send.aborts == 0 && send.early == 0,
            LinkPlan::Receive(receive) => receive.detaches == 0,
            LinkPlan::Request(_) | LinkPlan::Respond => true,
        };
        let idle = |peer: &PeerPlan| self.listeners[peer.listener].idle.is_some();
        self.faults.is_empty()
            && self.peers.iter().all(|peer| {
                peer.hostile.is_none() && !idle(peer) && peer.links.iter().flatten().all(steady)
            })
    }

    fn peer(&self, number: usize, random: &mut Random) -> PeerPlan {
        let wire = behaviour(random);
        let hostile = random.one_in(8).then(|| {
            random.pick(&[
                Hostile::Garbage,
                Hostile::HeaderThenGarbage,
                Hostile::Misdeeds,
                Hostile::Misdeeds,
                Hostile::Mutation,
                Hostile::Mutation,
                Hostile::Deaf,
            ])
        });
        let most = random.pick(&[1_usize, 2, 5]);
        let links = 1 + random.below(most);
        let mut links: Vec<_> = (0..links).map(|_| link(&wire, random)).collect();
        if hostile.is_some() {
            links.push(LinkPlan::Receive(receive(random)));
            links.push(LinkPlan::Send(send(&wire, random)));
            for link in &mut links {
                link.turn_evil();
            }
        }
        let latest = random.pick(&[0, 1000, 1_000_000]);
        PeerPlan {
            number,
            absent: false,
            seed: random.number(),
            shard: random.below(usize::from(self.shards)),
            listener: random.below(self.listeners.len()),
            joins: random.micros(latest),
            wire,
            frame: random.pick(&[512, 4096, 16_384, 1_000_000]),
            window: random.pick(&[1, 4, 64, 1000]),
            sessions: 1 + random.below(2),
            links: links.into_iter().map(Some).collect(),
            hostile,
        }
    }

    fn fault(&self, random: &mut Random) -> FaultKind {
        let peer = random.below(self.peers.len());
        let control = usize::from(self.shards);
        let shard = random.below(control + 1);
        match random.below(16) {
            0 | 1 => FaultKind::Reset(peer),
            2 => FaultKind::HalfClose(peer),
            3 => FaultKind::Close(peer),
            4 => FaultKind::EndSession(peer),
            5 | 6 => FaultKind::Stall(peer, Some(random.micros(800_000))),
            7 => FaultKind::Stall(peer, None),
            8 | 9 => FaultKind::Pause(shard, random.micros(500_000)),
            10 => FaultKind::Slow(shard, random.micros(20_000)),
            11 | 12 => FaultKind::LateMail(control, random.micros(50_000)),
            13 | 14 => FaultKind::LateMail(shard, random.micros(50_000)),
            _ => FaultKind::Jump(random.micros(100_000_000)),
        }
    }
}

impl Listener {
    /// As the router has it.
    pub(crate) fn settings(&self) -> Arc<ConnectionSettings> {
        Arc::new(ConnectionSettings {
            name: "sim".to_owned(),
            connector: None,
            role: ConnectionRole::Normal,
            cost: 1,
            max_frame_size: self.frame,
            max_sessions: 100,
            max_session_frames: self.window,
            idle_time_out: self.idle,
            loss_detection: None,
            handshake_time_out: Some(Duration::from_secs(10)),
            link_capacity: self.capacity,
            strip_annotations: StripAnnotations {
                inbound: self.strip_in,
                outbound: self.strip_out,
            },
            authenticate_peer: false,
            sasl_mechanisms: vec!["ANONYMOUS".to_owned()],
            open_properties: Vec::new(),
        })
    }

    fn draw(random: &mut Random) -> Self {
        Self {
            frame: random.pick(&[512, 4096, 16_384]),
            window: random.pick(&[None, Some(2), Some(16)]),
            capacity: random.pick(&[1, 2, 10, 250]),
            idle: random.pick(&[None, None, Some(Duration::from_secs(8))]),
            strip_in: random.one_in(2),
            strip_out: random.one_in(2),
        }
    }
}

impl LinkPlan {
    fn turn_evil(&mut self) {
        match self {
            Self::Send(send) => {
                send.address = EVIL;
                send.anonymous = false;
            }
            Self::Receive(receive) => receive.address = EVIL,
            Self::Request(_) | Self::Respond => {
                *self = Self::Receive(ReceivePlan::steady(EVIL));
            }
        }
    }
}

impl ReceivePlan {
    /// A consumer that takes everything.
    pub(crate) fn steady(address: &'static str) -> Self {
        Self {
            address,
            credit: 20,
            pattern: Pattern::TopUp,
            odd: 0,
            second: false,
            settles: false,
            slow: 0,
            detaches: 0,
            manual: false,
        }
    }
}

impl SendPlan {
    /// A producer of a few small messages.
    pub(crate) fn steady(address: &'static str) -> Self {
        Self {
            address,
            anonymous: false,
            count: 3,
            settled: 0,
            size: 10,
            pieces: 1,
            aborts: 0,
            early: 0,
            pause: 0,
            ornate: false,
        }
    }
}

impl PeerPlan {
    /// A peer without wishes of its own, on a good wire.
    pub(crate) fn steady(number: usize, shard: usize, links: Vec<LinkPlan>) -> Self {
        Self {
            number,
            absent: false,
            seed: number as u64,
            shard,
            listener: 0,
            joins: Duration::ZERO,
            wire: GOOD,
            frame: 16_384,
            window: 64,
            sessions: 1,
            links: links.into_iter().map(Some).collect(),
            hostile: None,
        }
    }
}

/// A wire on which nothing gets in the way.
pub(crate) const GOOD: Behaviour = Behaviour {
    latency: Duration::from_micros(10),
    jitter_micros: 0,
    bandwidth: 1_000_000,
    segment: 65_536,
    buffer: 1 << 20,
};

fn behaviour(random: &mut Random) -> Behaviour {
    if random.one_in(3) {
        return GOOD;
    }
    let buffer = random.pick(&[64, 1000, 16_384, 200_000]);
    // A small buffer on a long wire carries next to nothing.
    let (latency, jitter): (&[_], &[_]) = match buffer {
        64 => (&[100, 500], &[0, 100]),
        _ => (&[100, 2000, 30_000], &[0, 100, 5000]),
    };
    let latency = random.pick(latency);
    Behaviour {
        latency: random.micros(latency),
        jitter_micros: random.pick(jitter),
        bandwidth: random.pick(&[1000, 10_000, 1_000_000]),
        segment: random.pick(&[1, 7, 100, 1500, 16_384, 65_536]),
        buffer,
    }
}

fn link(wire: &Behaviour, random: &mut Random) -> LinkPlan {
    match random.below(12) {
        0 => LinkPlan::Request(1 + random.below_u32(8)),
        1 => LinkPlan::Respond,
        2..=6 => LinkPlan::Send(send(wire, random)),
        _ => LinkPlan::Receive(receive(random)),
    }
}

fn send(wire: &Behaviour, random: &mut Random) -> SendPlan {
    // What a trickling wire can carry in a second or two.
    let most = (wire.segment * 400)
        .min(wire.buffer * 50)
        .min(wire.bandwidth * 300);
    let size = random
        .pick(&[0, 20, 100, 3000, 40_000, 200_000, 400_000])
        .min(most);
    let count = match size {
        0..=3000 => random.below_u32(60),
        3001..=50_000 => random.below_u32(15),
        _ => random.below_u32(5),
    };
    SendPlan {
        address: random.pick(&ADDRESSES),
        anonymous: random.one_in(4),
        count,
        settled: random.pick(&[0, 0, 1, 3]),
        size,
        pieces: random.pick(&[1, 1, 2, 7]),
        aborts: random.pick(&[0, 0, 3]),
        early: random.pick(&[0, 0, 4]),
        pause: random.pick(&[0, 0, 1000, 50_000]),
        ornate: random.one_in(3),
    }
}

fn receive(random: &mut Random) -> ReceivePlan {
    ReceivePlan {
        address: random.pick(&ADDRESSES),
        credit: random.pick(&[1, 2, 5, 100]),
        pattern: random.pick(&[
            Pattern::TopUp,
            Pattern::TopUp,
            Pattern::Burst,
            Pattern::Drain,
            Pattern::Whim,
        ]),
        odd: random.pick(&[0, 0, 5]),
        second: random.one_in(4),
        settles: random.one_in(8),
        slow: random.pick(&[0, 0, 1000, 100_000]),
        detaches: random.pick(&[0, 0, 0, 1, 7]),
        manual: false,
    }
}
