//! Engines of the routing protocol on virtual time, and wires that delay.
//!
//! Owns what happens to whom and the account of what is sent. A router handles one message after
//! the other, each in a fixed time; connections are told of at both ends when they come and when
//! they end. The trees of other origins are not worked on: their cost is measured by a benchmark.

use std::time::Duration;

use amqp_proto::Time;
use bytes::Bytes;
use router_core::ids::Opener;
use router_core::mesh::{Engine, MeshEvent, MeshSettings, NeighborLink};
use router_core::route::Treatment;

use super::topology::Shape;
use super::truth::{Graph, Way};
use crate::agenda::Agenda;
use crate::random::Random;

/// How long a router takes for a message: some three times what a benchmark says.
const SERVICE: Duration = Duration::from_micros(5);

/// Latencies of wires, in microseconds.
const LATENCY: (u64, u64) = (1000, 20_000);

/// Routers start within so many microseconds.
const START: u64 = 200_000;

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// Routers and wires.
pub(crate) struct Network {
    pub(crate) now: Time,
    pub(crate) routers: Vec<Option<Router>>,
    wires: Vec<Wire>,
    agenda: Agenda<What>,
    pub(crate) traffic: Traffic,
    /// Messages that were refused, though nobody here forges anything: there were too many.
    pub(crate) refused: u64,
    truth: Vec<Vec<Way>>,
    random: Random,
}

pub(crate) struct Router {
    pub(crate) engine: Engine,
    wake: Time,
    busy: Time,
    /// Since when its ways are as they should be.
    pub(crate) right: Option<Time>,
    /// Addresses of others that it knows, and when it came to know the latest.
    pub(crate) addresses: usize,
    told: Time,
}

#[derive(Clone, Copy, Debug)]
struct Wire {
    ends: [usize; 2],
    latency: Duration,
    up: bool,
}

enum What {
    Wake(usize),
    Plug(usize),
    Arrive {
        wire: usize,
        to: usize,
        payload: Bytes,
    },
}

impl Wire {
    /// The end that is not this one.
    fn beyond(&self, router: usize) -> usize {
        let [one, other] = self.ends;
        if one == router { other } else { one }
    }
}

fn name(router: usize) -> String {
    format!("router-{router:04}")
}

fn number(name: &str) -> Option<usize> {
    name.strip_prefix("router-")?.parse().ok()
}

impl Network {
    /// A network whose routers start within a moment.
    pub(crate) fn new(shape: Shape, routers: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let edges = shape.edges(routers, &mut random);
        let mut network = Self {
            now: Time::from_millis(1),
            routers: Vec::new(),
            wires: Vec::new(),
            agenda: Agenda::new(),
            traffic: Traffic::default(),
            refused: 0,
            truth: Vec::new(),
            random,
        };
        for router in 0..routers {
            let engine = Engine::new(MeshSettings::new(&name(router), 1), network.now);
            network.routers.push(Some(Router {
                engine,
                wake: Time::from_nanos(u64::MAX),
                busy: network.now,
                right: None,
                addresses: 0,
                told: network.now,
            }));
            network.after(router);
        }
        for ends in edges {
            let spread = LATENCY.1 - LATENCY.0;
            let latency = Duration::from_micros(LATENCY.0) + network.random.micros(spread);
            network.wires.push(Wire {
                ends,
                latency,
                up: false,
            });
            let at = network.now + network.random.micros(START);
            let plug = What::Plug(network.wires.len() - 1);
            network.agenda.add(at, plug);
        }
        for wire in &mut network.wires {
            wire.up = true;
        }
        network.learn_truth();
        for wire in &mut network.wires {
            wire.up = false;
        }
        network
    }

    /// What all should know from now on, and who does already.
    fn learn_truth(&mut self) {
        let mut graph = Graph(vec![Vec::new(); self.routers.len()]);
        for wire in self.wires.iter().filter(|wire| wire.up) {
            let [one, other] = wire.ends;
            if self.routers[one].is_some() && self.routers[other].is_some() {
                graph.0[one].push(other);
                graph.0[other].push(one);
            }
        }
        for peers in &mut graph.0 {
            peers.sort_unstable();
        }
        self.truth = (0..self.routers.len())
            .map(|from| graph.ways(from))
            .collect();
        for router in 0..self.routers.len() {
            self.judge(router);
        }
    }

    /// Whether a router knows the ways.
    fn judge(&mut self, at: usize) {
        let (now, truth) = (self.now, &self.truth);
        let Some(router) = &mut self.routers[at] else {
            return;
        };
        let Some(expected) = truth.get(at) else {
            return;
        };
        let paths = router.engine.paths();
        let mut known = 1;
        let right = paths.routers().skip(1).all(|(_, path)| {
            let Some(to) = number(&path.id) else {
                return false;
            };
            let way = path
                .link
                .map(|link| (path.cost, self.wires[wire_of(link)].beyond(at)));
            known += usize::from(way.is_some());
            way == expected[to]
        });
        let all = expected.iter().flatten().count();
        if right && known == all {
            router.right.get_or_insert(now.max(router.busy));
        } else {
            router.right = None;
        }
    }

    /// Lets a router do something.
    fn on(&mut self, at: usize, act: impl FnOnce(&mut Engine, Time)) {
        let now = self.now;
        let Some(router) = &mut self.routers[at] else {
            return;
        };
        let time = now.max(router.busy);
        act(&mut router.engine, time);
        self.after(at);
    }

    /// Takes what an engine has to say, and sees to it that it is called in time.
    fn after(&mut self, at: usize) {
        let Some(router) = &mut self.routers[at] else {
            return;
        };
        let time = self.now.max(router.busy);
        let mut changed = false;
        while let Some(event) = router.engine.poll_event() {
            match event {
                MeshEvent::PathsChanged => changed = true,
                MeshEvent::Mapped { .. } => {
                    router.addresses += 1;
                    router.told = time;
                }
                MeshEvent::Unmapped { .. } => router.addresses -= 1,
                _ => {}
            }
        }
        let mut output = Vec::new();
        while let Some(outgoing) = router.engine.poll_output() {
            output.push((wire_of(outgoing.link), outgoing.message));
        }
        let due = router.engine.next_due().max(time);
        if due < router.wake {
            router.wake = due;
            self.agenda.add(due, What::Wake(at));
        }
        for (wire, payload) in output {
            self.traffic.messages += 1;
            self.traffic.bytes += payload.len() as u64;
            let taken = self.wires[wire];
            if taken.up {
                let to = taken.beyond(at);
                let arrival = What::Arrive { wire, to, payload };
                self.agenda.add(time + taken.latency, arrival);
            }
        }
        if changed {
            self.judge(at);
        }
    }

    /// Lets so much time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, what)) = self.agenda.next_until(end) {
            self.now = self.now.max(at);
            self.play(at, what);
        }
        self.now = end;
    }

    fn play(&mut self, due: Time, what: What) {
        match what {
            What::Wake(at) => {
                let Some(router) = &mut self.routers[at] else {
                    return;
                };
                if router.wake == due {
                    router.wake = Time::from_nanos(u64::MAX);
                    self.on(at, Engine::due);
                }
            }
            What::Plug(wire) => self.plug(wire),
            What::Arrive { wire, to, payload } => {
                if !self.wires[wire].up {
                    return;
                }
                let link = link(wire);
                if let Some(router) = &mut self.routers[to] {
                    router.busy = router.busy.max(self.now) + SERVICE;
                }
                let mut is_refused = false;
                self.on(to, |engine, now| {
                    is_refused = engine.received(link, &payload, now).is_err();
                });
                self.refused += u64::from(is_refused);
            }
        }
    }

    fn plug(&mut self, wire: usize) {
        self.wires[wire].up = true;
        for end in self.wires[wire].ends {
            let opener = Opener {
                container: name(self.wires[wire].beyond(end)).into(),
                is_product: true,
                is_kin: true,
            };
            self.on(end, |engine, now| {
                engine.link_up(link(wire), 1, now);
                engine.opened_by(link(wire), opener);
            });
        }
    }

    fn unplug(&mut self, wire: usize) {
        self.wires[wire].up = false;
        for end in self.wires[wire].ends {
            self.on(end, |engine, now| engine.link_down(link(wire), now));
        }
    }

    /// Cuts any connection, which both ends are told of.
    pub(crate) fn cut(&mut self) -> usize {
        let wire = loop {
            let wire = self.random.below(self.wires.len());
            if self.wires[wire].up {
                break wire;
            }
        };
        self.change(|network| network.unplug(wire));
        wire
    }

    /// Connects again what was cut.
    pub(crate) fn heal(&mut self, wire: usize) {
        self.change(|network| network.plug(wire));
    }

    /// A router dies, and its neighbours see their connections end.
    pub(crate) fn kill(&mut self) {
        let router = loop {
            let router = self.random.below(self.routers.len());
            if self.routers[router].is_some() {
                break router;
            }
        };
        self.change(|network| {
            network.routers[router] = None;
            for wire in 0..network.wires.len() {
                if network.wires[wire].up && network.wires[wire].ends.contains(&router) {
                    network.unplug(wire);
                }
            }
        });
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        // Whoever is right by what was is not right by what is before it has looked again.
        self.truth.clear();
        change(self);
        for router in self.routers.iter_mut().flatten() {
            router.right = None;
        }
        self.learn_truth();
    }

    /// A router has consumers of an address, or has none any more.
    pub(crate) fn subscribe(&mut self, at: usize, addresses: std::ops::Range<usize>, on: bool) {
        let hint = Treatment::AnycastBalanced;
        self.on(at, |engine, now| {
            for address in addresses {
                let key = format!("M0site/{address:07}/orders").into();
                engine.local_address(&key, hint, on, now);
            }
        });
    }

    /// How long after a time each router came to know the ways; `None` if one does not.
    pub(crate) fn converged(&self, since: Time) -> Option<Vec<Duration>> {
        let routers = self.routers.iter().flatten();
        let times = routers.map(|router| Some(router.right?.saturating_sub(since)));
        times.collect()
    }

    /// How long after a time all routers came to know so many addresses of others each; `None` if
    /// they do not.
    pub(crate) fn told(&self, addresses: usize, since: Time) -> Option<Duration> {
        let mut routers = self.routers.iter().flatten();
        let times = self.routers.iter().flatten();
        let last = times.map(|router| router.told.saturating_sub(since)).max();
        last.filter(|_| routers.all(|router| router.addresses == addresses))
    }

    /// What was sent since the last time, in all.
    pub(crate) fn take_traffic(&mut self) -> Traffic {
        std::mem::take(&mut self.traffic)
    }

    /// Connections that are up.
    pub(crate) fn wires(&self) -> usize {
        self.wires.iter().filter(|wire| wire.up).count()
    }
}

fn link(wire: usize) -> NeighborLink {
    NeighborLink(wire as u64)
}

/// The wire that a link is an end of.
fn wire_of(link: NeighborLink) -> usize {
    usize::try_from(link.0).unwrap_or(usize::MAX)
}
