//! What routed links are drawn from: link routes, hubs, devices, and what goes wrong with them.
//!
//! All of it comes from a stream of its own, so that worlds without routed links are what they were
//! before there were any.

use std::ops::Range;
use std::time::Duration;

use amqp_codec::SenderSettleMode;

use super::draw::{receive, send};
use super::hubs::{DevicePlan, HubPlan, Hubs, RoutePlan, SPACES, Serves, Work};
use super::links::{ReceivePlan, SendPlan};
use super::parts::{Fault, FaultKind, LinkPlan, Listener, PeerPlan, Plan};
use super::wires::{self, GOOD};
use crate::random::Random;
use crate::wire::Behaviour;

/// Keeps what is drawn here apart from all else.
const SALT: u64 = 0x6c69_6e6b;

/// The same for devices that do not read what they have given credit for.
const GLUTTON_SALT: u64 = 0x676c_7574;

impl Plan {
    /// Adds routed links to a plan, or none; its peers and faults stay what they are.
    pub(super) fn add_hubs(&mut self) {
        let random = &mut Random::new(self.seed ^ SALT ^ ((self.nodes.len() as u64) << 40));
        if !random.one_in(match self.is_mesh() {
            true => 2,
            false => 3,
        }) {
            return;
        }
        let listener = self.listeners.len();
        self.listeners.push(Listener {
            hubs: true,
            ..Listener::draw(random)
        });
        let home = random.below(self.nodes.len());
        let first = self.peers.len();
        let hubs = random.pick(&[1, 1, 2, 3]);
        for _ in 0..hubs {
            let peer = self.hub(listener, random);
            self.peers.push(peer);
        }
        let with_hubs: Vec<usize> = self.peers[first..].iter().map(|peer| peer.node).collect();
        let is_hub = |node: usize| node == home || with_hubs.contains(&node);
        let (add, del) = random.pick(&[
            (None, None),
            (None, None),
            (Some("cloud."), None),
            (Some("cloud/"), Some("hub/")),
        ]);
        let mut routes = Vec::new();
        for node in 0..self.nodes.len() {
            for space in SPACES {
                let serves = match is_hub(node) {
                    true => random.pick(&[Serves::Container, Serves::Connection]),
                    false => random.pick(&[Serves::Container, Serves::Nobody]),
                };
                routes.push(RoutePlan {
                    node,
                    space,
                    serves,
                });
            }
        }
        self.hubs = Some(Hubs {
            routes,
            add,
            del,
            home,
            listener,
        });
        for _ in 0..1 + random.below(5) {
            let peer = self.device(listener, random);
            self.peers.push(peer);
        }
        self.add_hub_faults(first, random);
        self.add_glutton(first..first + hubs, listener);
    }

    /// Now and then a device gives credit for more than the router holds for a hub, and reads none
    /// of it for longer than others are to wait because of that.
    fn add_glutton(&mut self, hubs: Range<usize>, listener: usize) {
        let random = &mut Random::new(self.seed ^ GLUTTON_SALT ^ ((self.nodes.len() as u64) << 40));
        if !random.one_in(6) {
            return;
        }
        self.listeners[listener].held = 400_000;
        for fault in &mut self.faults {
            // A hub that says nothing fills nothing.
            if let FaultKind::Stall(peer, lasts @ None) = &mut fault.kind
                && hubs.contains(peer)
            {
                *lasts = Some(random.micros(1_000_000));
            }
        }
        for hub in &mut self.peers[hubs] {
            hub.wire = GOOD;
            hub.frame = 16_384;
            if let Some(plan) = &mut hub.hub {
                plan.detaches = 0;
                plan.send = SendPlan {
                    count: 80 + random.below_u32(40),
                    settled: random.pick(&[0, 1, 3]),
                    size: 40_000,
                    pause: 100_000,
                    ..SendPlan::steady("")
                };
            }
        }
        let mut peer = self.stranger(listener, random);
        let space = random.pick(&SPACES);
        peer.listener = self.listeners.len();
        self.listeners.push(Listener {
            idle: None,
            ..Listener::draw(random)
        });
        peer.joins = Duration::ZERO;
        peer.wire = Behaviour {
            buffer: 16_384,
            ..GOOD
        };
        peer.links = vec![Some(LinkPlan::Device(DevicePlan {
            address: random.pick(&space.addresses),
            work: Work::Receive(ReceivePlan {
                credit: 100,
                ..ReceivePlan::steady("")
            }),
            settles: random.pick(&[SenderSettleMode::Mixed, SenderSettleMode::Settled]),
            second: false,
            survives: random.one_in(4),
            detaches: 0,
        }))];
        let place = self.peers.len();
        self.peers.push(peer);
        let began = random.micros(2_500_000);
        let lasts = Duration::from_secs(11) + random.micros(25_000_000);
        self.faults.push(Fault {
            number: self.faults.len(),
            at: began,
            kind: FaultKind::Stall(place, Some(lasts)),
        });
        self.faults_end = self.faults_end.max(began + lasts);
    }

    /// A peer at any router, without links.
    fn stranger(&self, listener: usize, random: &mut Random) -> PeerPlan {
        let node = random.below(self.nodes.len());
        let latest = match self.is_mesh() {
            true => random.pick(&[0, 2_000_000, 9_000_000]),
            false => random.pick(&[0, 1000, 2_000_000]),
        };
        PeerPlan {
            seed: random.number(),
            shard: random.below(usize::from(self.nodes[node].shards)),
            listener,
            joins: random.micros(latest),
            wire: match random.one_in(2) {
                true => GOOD,
                false => wires::behaviour(random),
            },
            frame: random.pick(&[512, 4096, 16_384, 1_000_000]),
            window: random.pick(&[4, 64, 1000]),
            ..PeerPlan::steady(self.peers.len(), (node, 0), Vec::new())
        }
    }

    fn hub(&self, listener: usize, random: &mut Random) -> PeerPlan {
        let mut peer = self.stranger(listener, random);
        if random.one_in(2) {
            peer.joins = Duration::ZERO;
        }
        peer.hub = Some(HubPlan {
            send: send(&peer.wire, random),
            receive: receive(random),
            odd: random.pick(&[0, 0, 2, 4]),
            odds: random.below_u32(4),
            detaches: random.pick(&[0, 0, 0, 1, 5]),
        });
        peer
    }

    fn device(&self, listeners: usize, random: &mut Random) -> PeerPlan {
        let listener = random.below(listeners);
        let mut peer = self.stranger(listener, random);
        peer.sessions = 1 + random.below(2);
        peer.links = (0..1 + random.below(4))
            .map(|_| {
                let work = match random.one_in(2) {
                    true => Work::Send(send(&peer.wire, random)),
                    false => Work::Receive(receive(random)),
                };
                let space = random.pick(&SPACES);
                Some(LinkPlan::Device(DevicePlan {
                    address: random.pick(&space.addresses),
                    work,
                    settles: random.pick(&[
                        SenderSettleMode::Mixed,
                        SenderSettleMode::Mixed,
                        SenderSettleMode::Unsettled,
                        SenderSettleMode::Settled,
                    ]),
                    second: random.one_in(4),
                    survives: random.one_in(4),
                    detaches: random.pick(&[0, 0, 0, 1, 6]),
                }))
            })
            .collect();
        peer
    }

    /// What goes wrong with hubs and devices, which are the last peers, and between routers.
    fn add_hub_faults(&mut self, first: usize, random: &mut Random) {
        if random.one_in(4) {
            return;
        }
        let latest = u64::try_from(self.faults_end.as_micros()).unwrap_or(0) / 6 * 5;
        for _ in 0..1 + random.below(6) {
            let peer = first + random.below(self.peers.len() - first);
            let kind = match random.below(9) {
                0 | 1 => FaultKind::Reset(peer),
                2 => FaultKind::HalfClose(peer),
                3 => FaultKind::Close(peer),
                4 => FaultKind::EndSession(peer),
                5 | 6 => FaultKind::Stall(peer, Some(random.micros(2_000_000))),
                7 => FaultKind::Stall(peer, None),
                _ if self.is_mesh() => self.mesh_fault(random),
                _ => FaultKind::Reset(peer),
            };
            self.faults.push(Fault {
                number: self.faults.len(),
                at: random.micros(latest),
                kind,
            });
        }
    }
}
