//! What peers, their links and what happens to them are drawn from.

use std::time::Duration;

use router_core::limits;
use router_core::route::Treatment;

use super::links::{Pattern, ReceivePlan, SendPlan};
use super::parts::{ADDRESSES, FaultKind, Hostile, LinkPlan, Listener, PeerPlan, Plan};
use super::wires;
use crate::random::Random;
use crate::wire::Behaviour;

impl Plan {
    pub(super) fn peer(&self, number: usize, random: &mut Random) -> PeerPlan {
        let node = match self.is_mesh() {
            true => random.below(self.nodes.len()),
            false => 0,
        };
        let wire = wires::behaviour(random);
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
        let latest = random.pick(match self.is_mesh() {
            true => &[0, 3_000_000, 8_000_000],
            false => &[0, 1000, 1_000_000],
        });
        PeerPlan {
            number,
            absent: false,
            seed: random.number(),
            node,
            shard: random.below(usize::from(self.nodes[node].shards)),
            listener: random.below(self.listeners.len()),
            joins: random.micros(latest),
            wire,
            frame: random.pick(&[512, 4096, 16_384, 1_000_000]),
            window: random.pick(&[1, 4, 64, 1000]),
            sessions: 1 + random.below(2),
            links: links.into_iter().map(Some).collect(),
            hub: None,
            hostile,
        }
    }

    pub(super) fn fault(&self, random: &mut Random) -> FaultKind {
        let peer = random.below(self.peers.len());
        let node = match self.is_mesh() {
            true => random.below(self.nodes.len()),
            false => 0,
        };
        let control = usize::from(self.nodes[node].shards);
        let shard = random.below(control + 1);
        match random.below(16) {
            0 | 1 => FaultKind::Reset(peer),
            2 => FaultKind::HalfClose(peer),
            3 => FaultKind::Close(peer),
            4 => FaultKind::EndSession(peer),
            5 | 6 => FaultKind::Stall(peer, Some(random.micros(800_000))),
            7 => FaultKind::Stall(peer, None),
            8 | 9 => FaultKind::Pause(node, shard, random.micros(500_000)),
            10 => FaultKind::Slow(node, shard, random.micros(20_000)),
            11 | 12 => FaultKind::LateMail(node, control, random.micros(50_000)),
            13 | 14 => FaultKind::LateMail(node, shard, random.micros(50_000)),
            _ => FaultKind::Jump(node, random.micros(100_000_000)),
        }
    }
}

/// Bytes that may be held for a connection: all that may by default, or so little that it matters.
/// To be drawn last: it was not drawn when older seeds were written down.
pub(super) fn held(random: &mut Random) -> u64 {
    let all = limits::CONNECTION_BYTES;
    random.pick(&[all, all, 1 << 20, 400_000])
}

/// The same for a connection between routers: at least as much as the beginnings of messages may
/// take that are kept until they can be routed, one on each link. Less has no connection, and it
/// could be full of these, so that none of them has an end.
pub(super) fn held_between_routers(random: &mut Random) -> u64 {
    let all = limits::CONNECTION_BYTES;
    let least = 12 * limits::STREAM_THRESHOLD as u64;
    random.pick(&[all, all, 2 * least, least])
}

impl Listener {
    pub(super) fn draw(random: &mut Random) -> Self {
        Self {
            frame: random.pick(&[512, 4096, 16_384]),
            window: random.pick(&[None, Some(2), Some(16)]),
            capacity: random.pick(&[1, 2, 10, 250]),
            idle: random.pick(&[None, None, Some(Duration::from_secs(8))]),
            strip_in: random.one_in(2),
            strip_out: random.one_in(2),
            held: limits::CONNECTION_BYTES,
            hubs: false,
        }
    }
}

pub(super) fn treatments(random: &mut Random) -> [Treatment; ADDRESSES.len()] {
    let kinds = [
        Treatment::AnycastBalanced,
        Treatment::AnycastClosest,
        Treatment::Multicast,
    ];
    [
        random.pick(&kinds),
        random.pick(&kinds),
        random.pick(&kinds),
    ]
}

pub(super) fn listeners(random: &mut Random) -> Vec<Listener> {
    (0..1 + random.below(2))
        .map(|_| Listener::draw(random))
        .collect()
}

fn link(wire: &Behaviour, random: &mut Random) -> LinkPlan {
    match random.below(12) {
        0 => LinkPlan::Request(1 + random.below_u32(8)),
        1 => LinkPlan::Respond,
        2..=6 => LinkPlan::Send(send(wire, random)),
        _ => LinkPlan::Receive(receive(random)),
    }
}

pub(super) fn send(wire: &Behaviour, random: &mut Random) -> SendPlan {
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

pub(super) fn receive(random: &mut Random) -> ReceivePlan {
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
