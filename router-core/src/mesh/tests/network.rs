//! Several engines on virtual time, connected by wires that delay, lose and repeat.
//!
//! Every event is held against what was told before, so that no test has to ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use bytes::Bytes;

use super::reference::{self, Costs, Verdict};
use crate::ids::{AddressKey, Opener};
use crate::mesh::engine::Engine;
use crate::mesh::event::MeshEvent;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::state::MeshSettings;
use crate::route::Treatment;

/// Times without any change after which a network that never rests has failed.
const STEPS_MAX: usize = 3_000_000;

/// Routers and wires.
pub(super) struct Network {
    pub(super) now: Time,
    routers: BTreeMap<String, Router>,
    wires: Vec<Wire>,
    /// Messages under way, by the time at which they arrive.
    flying: BTreeMap<(Time, u64), Flight>,
    sent: u64,
    /// Messages that arrived, by operation.
    pub(super) arrived: BTreeMap<String, usize>,
    random: u64,
    /// Routers that are not of our kind.
    pub(super) foreign: BTreeSet<String>,
    /// Of a thousand messages, how many are lost, and how many arrive again later.
    pub(super) lost: u64,
    pub(super) repeated: u64,
}

struct Router {
    engine: Engine,
    view: View,
    addresses: BTreeSet<String>,
}

/// What a router has been told by its engine.
#[derive(Default)]
pub(super) struct View {
    pub(super) ids: BTreeMap<u16, Arc<str>>,
    pub(super) mapped: BTreeMap<u16, BTreeMap<AddressKey, Option<Treatment>>>,
    pub(super) neighbors: BTreeMap<Arc<str>, NeighborLink>,
    /// Everything else, in words.
    pub(super) told: Vec<String>,
    /// Whether it was last told that the topology changes, and how often that was told.
    pub(super) flux: (bool, usize),
    pub(super) misdeeds: Vec<Misdeed>,
    pub(super) turns: usize,
    /// New snapshots of the paths.
    pub(super) computed: usize,
}

struct Wire {
    ends: [String; 2],
    costs: [u32; 2],
    up: bool,
    /// Whether messages get through, though it is up.
    pub(super) passes: bool,
    delay: Duration,
}

struct Flight {
    wire: usize,
    to: String,
    payload: Bytes,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Time::from_millis(1),
            routers: BTreeMap::new(),
            wires: Vec::new(),
            flying: BTreeMap::new(),
            sent: 0,
            arrived: BTreeMap::new(),
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            foreign: BTreeSet::new(),
            lost: 0,
            repeated: 0,
        }
    }

    /// Routers and wires of cost one, or as given, named as `A-B` or `A-B:3`.
    pub(super) fn of(text: &str) -> Self {
        let mut network = Self::new(1);
        for wire in text.split_whitespace() {
            let (pair, cost) = wire.split_once(':').unwrap_or((wire, "1"));
            let (a, b) = pair.split_once('-').unwrap();
            network.connect(a, b, cost.parse().unwrap());
        }
        network
    }

    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    pub(super) fn start(&mut self, id: &str) {
        let instance = 1000 + i64::try_from(self.now.as_nanos() / 1_000_000_000).unwrap();
        self.start_as(id, instance);
    }

    pub(super) fn start_as(&mut self, id: &str, instance: i64) {
        let engine = Engine::new(MeshSettings::new(id, instance), self.now);
        let router = Router {
            engine,
            view: View::default(),
            addresses: BTreeSet::new(),
        };
        self.routers.insert(id.to_owned(), router);
    }

    /// Connects two routers, which are started if need be; gives the wire's number.
    pub(super) fn connect(&mut self, a: &str, b: &str, cost: u32) -> usize {
        self.connect_with(a, b, [cost, cost])
    }

    pub(super) fn connect_with(&mut self, a: &str, b: &str, costs: [u32; 2]) -> usize {
        for id in [a, b] {
            if !self.routers.contains_key(id) {
                self.start(id);
            }
        }
        let delay = Duration::from_millis(1 + self.random(5));
        let ends = [a.to_owned(), b.to_owned()];
        self.wires.push(Wire {
            ends,
            costs,
            up: false,
            passes: true,
            delay,
        });
        let wire = self.wires.len() - 1;
        self.plug(wire);
        wire
    }

    pub(super) fn plug(&mut self, wire: usize) {
        let Wire {
            ends, costs, up, ..
        } = &mut self.wires[wire];
        assert!(!std::mem::replace(up, true));
        let (ends, costs) = (ends.clone(), *costs);
        for ((id, other), cost) in ends.iter().zip(ends.iter().rev()).zip(costs) {
            let now = self.now;
            let opener = Opener {
                container: other.as_str().into(),
                is_product: true,
                is_kin: !self.foreign.contains(other) && !self.foreign.contains(id),
            };
            self.on(id, |engine| {
                engine.link_up(link(wire), cost, now);
                engine.opened_by(link(wire), opener);
            });
        }
    }

    pub(super) fn cut(&mut self, wire: usize) {
        self.wires[wire].up = false;
        self.flying.retain(|_, flight| flight.wire != wire);
        for id in self.wires[wire].ends.clone() {
            let now = self.now;
            if self.routers.contains_key(&id) {
                self.on(&id, |engine| engine.link_down(link(wire), now));
            }
        }
    }

    /// Whether messages get through a wire, though nobody is told.
    pub(super) fn freeze(&mut self, wire: usize, frozen: bool) {
        self.wires[wire].passes = !frozen;
    }

    /// A router ends; its neighbours see their connections end.
    pub(super) fn kill(&mut self, id: &str) {
        self.routers.remove(id);
        for wire in self.wires_of(id) {
            self.cut(wire);
        }
    }

    /// A router begins anew, with its wires, in a new second.
    pub(super) fn revive(&mut self, id: &str) {
        self.start(id);
        for wire in 0..self.wires.len() {
            let ends = self.wires[wire].ends.clone();
            let all_there = ends.iter().all(|end| self.routers.contains_key(end));
            if ends.contains(&id.to_owned()) && all_there {
                self.plug(wire);
            }
        }
    }

    fn wires_of(&self, id: &str) -> Vec<usize> {
        let wires = self.wires.iter().enumerate();
        let mine = wires.filter(|(_, wire)| wire.up && wire.ends.contains(&id.to_owned()));
        mine.map(|(at, _)| at).collect()
    }

    pub(super) fn subscribe(&mut self, id: &str, key: &str, present: bool) {
        let router = self.routers.get_mut(id).unwrap();
        if present {
            router.addresses.insert(key.to_owned());
        } else {
            router.addresses.remove(key);
        }
        let now = self.now;
        let hint = Treatment::AnycastClosest;
        self.on(id, |engine| {
            engine.local_address(&key.into(), hint, present, now);
        });
    }

    /// A router says that it is about to end.
    pub(super) fn leave(&mut self, id: &str) {
        let now = self.now;
        self.on(id, |engine| engine.leave(now));
    }

    /// A message arrives at a router as if from a neighbour.
    pub(super) fn inject(&mut self, id: &str, wire: usize, payload: &[u8]) -> Option<Misdeed> {
        let now = self.now;
        let mut refused = None;
        self.on(id, |engine| {
            refused = engine
                .received(link(wire), payload, now)
                .err()
                .map(|refused| refused.why);
        });
        refused
    }

    fn on(&mut self, id: &str, act: impl FnOnce(&mut Engine)) {
        let router = self.routers.get_mut(id).unwrap();
        act(&mut router.engine);
        router.view.take(&mut router.engine);
        let mut output = Vec::new();
        while let Some(outgoing) = router.engine.poll_output() {
            output.push((outgoing.link, outgoing.message));
        }
        for (NeighborLink(wire), payload) in output {
            self.fly(usize::try_from(wire).unwrap(), id, payload);
        }
    }

    fn fly(&mut self, wire: usize, from: &str, payload: Bytes) {
        let Wire {
            ends,
            up,
            passes,
            delay,
            ..
        } = &self.wires[wire];
        let to = ends.iter().find(|end| *end != from).unwrap().clone();
        let (there, delay) = (*up && *passes, *delay);
        if !there || self.random(1000) < self.lost {
            return;
        }
        let mut times = vec![self.now + delay];
        if self.random(1000) < self.repeated {
            let late = Duration::from_millis(self.random(3000));
            times.push(self.now + delay + late);
        }
        for at in times {
            self.sent += 1;
            let flight = Flight {
                wire,
                to: to.clone(),
                payload: payload.clone(),
            };
            self.flying.insert((at, self.sent), flight);
        }
    }

    pub(super) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        for _ in 0..STEPS_MAX {
            let deadlines = self
                .routers
                .iter()
                .map(|(id, router)| (router.engine.next_deadline().unwrap(), Some(id.clone())));
            let flying = self.flying.keys().next().map(|(at, _)| (*at, None));
            let next = flying.into_iter().chain(deadlines).min().unwrap();
            if next.0 > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next.0);
            match next.1 {
                Some(id) => {
                    let now = self.now;
                    self.on(&id, |engine| engine.tick(now));
                }
                None => self.arrive(),
            }
        }
        panic!("the network does not come to rest");
    }

    fn arrive(&mut self) {
        let (_, flight) = self.flying.pop_first().unwrap();
        let Flight { wire, to, payload } = flight;
        if !self.wires[wire].up || !self.routers.contains_key(&to) {
            return;
        }
        let opcodes = ["HELLO", "RA", "LSR", "LSU", "MAR", "MAU"];
        let is = |opcode: &&&str| {
            let mut text = vec![0xa1, u8::try_from(opcode.len()).unwrap()];
            text.extend(opcode.bytes());
            payload.windows(text.len()).any(|window| *window == text)
        };
        let opcode = opcodes.iter().find(is).unwrap();
        *self.arrived.entry((*opcode).to_owned()).or_default() += 1;
        if let Some(misdeed) = self.inject(&to, wire, &payload) {
            let view = &mut self.routers.get_mut(&to).unwrap().view;
            view.misdeeds.push(misdeed);
        }
    }

    /// Forgets what was refused so far.
    pub(super) fn forgive(&mut self) {
        for router in self.routers.values_mut() {
            router.view.misdeeds.clear();
        }
    }

    pub(super) fn view(&self, id: &str) -> &View {
        &self.routers[id].view
    }

    pub(super) fn engine(&self, id: &str) -> &Engine {
        &self.routers[id].engine
    }

    /// What the routers should say of their neighbours: of parallel wires, that of the first.
    pub(super) fn costs(&self) -> Costs {
        let mut costs: Costs = self
            .routers
            .keys()
            .map(|id| (id.clone(), BTreeMap::new()))
            .collect();
        for wire in self.wires.iter().filter(|wire| wire.up && wire.passes) {
            let [a, b] = &wire.ends;
            if costs.contains_key(a) && costs.contains_key(b) {
                costs
                    .get_mut(a)
                    .unwrap()
                    .entry(b.clone())
                    .or_insert(wire.costs[0]);
                costs
                    .get_mut(b)
                    .unwrap()
                    .entry(a.clone())
                    .or_insert(wire.costs[1]);
            }
        }
        costs
    }

    /// All routers know the ways that there are, and the addresses of all that they reach.
    pub(super) fn assert_settled(&self) {
        let costs = self.costs();
        for (id, router) in &self.routers {
            let expected = reference::verdicts(&costs, id);
            let reach: BTreeSet<_> = expected.keys().cloned().collect();
            assert_eq!(self.verdicts(id), expected, "at {id}");
            for other in reach {
                let known = self.mapped(id, &other);
                assert_eq!(known, self.routers[&other].addresses, "of {other} at {id}");
            }
            assert!(
                router.view.misdeeds.is_empty(),
                "{id}: {:?}",
                router.view.misdeeds
            );
        }
    }

    /// The addresses of another router that a router knows.
    pub(super) fn mapped(&self, id: &str, other: &str) -> BTreeSet<String> {
        let view = &self.routers[id].view;
        let index = view
            .ids
            .iter()
            .find(|(_, known)| ***known == *other)
            .unwrap()
            .0;
        let keys = view.mapped.get(index).into_iter().flatten();
        keys.map(|(key, _)| key.to_string()).collect()
    }

    /// What a router's snapshot says of the ways to others.
    pub(super) fn verdicts(&self, id: &str) -> BTreeMap<String, Verdict> {
        let router = &self.routers[id];
        let paths = router.engine.paths();
        let name = |index: u16| paths.router(RouterIndex(index)).unwrap().id.to_string();
        let mut judged = BTreeMap::new();
        for (index, path) in paths.routers().skip(1) {
            assert_eq!(paths.index(&path.id), Some(index));
            assert_eq!(
                router.view.ids[&index.0], path.id,
                "numbers are those of the events"
            );
            let Some(link) = path.link else {
                assert_eq!((path.cost, path.hops, path.next_hop), (0, 0, None));
                continue;
            };
            let first = path
                .next_hop
                .map_or(path.id.to_string(), |next| name(next.0));
            assert_eq!(
                router.view.neighbors[first.as_str()],
                link,
                "{id} to {}",
                path.id
            );
            let verdict = Verdict {
                cost: path.cost.into(),
                hops: path.hops,
                first,
                origins: path
                    .valid_origins
                    .iter()
                    .map(|origin| name(*origin))
                    .collect(),
            };
            judged.insert(path.id.to_string(), verdict);
        }
        let radius = judged
            .values()
            .map(|verdict| verdict.hops)
            .max()
            .unwrap_or(0);
        assert_eq!(paths.radius(), radius);
        judged
    }
}

impl View {
    fn take(&mut self, engine: &mut Engine) {
        while let Some(event) = engine.poll_event() {
            match event {
                MeshEvent::RouterAdded { index, id } => {
                    let lowest = (1..).find(|index| !self.ids.contains_key(index)).unwrap();
                    assert_eq!(index.0, lowest, "the lowest free number");
                    assert!(self.ids.insert(index.0, id).is_none());
                }
                MeshEvent::RouterLost { index, id } => {
                    assert_eq!(self.ids.remove(&index.0), Some(id));
                    let left = self.mapped.remove(&index.0).unwrap_or_default();
                    assert!(left.is_empty(), "addresses go before their router");
                }
                MeshEvent::Mapped { router, key, hint } => {
                    assert!(self.ids.contains_key(&router.0));
                    let keys = self.mapped.entry(router.0).or_default();
                    assert!(keys.insert(key, hint).is_none(), "mapped once");
                }
                MeshEvent::Unmapped { router, key } => {
                    let keys = self.mapped.get_mut(&router.0).unwrap();
                    assert!(keys.remove(&key).is_some(), "unmapped once");
                }
                MeshEvent::NeighborUp { link, id } => {
                    self.turns += 1;
                    assert!(self.neighbors.insert(id, link).is_none());
                }
                MeshEvent::NeighborMoved { link, id } => {
                    self.turns += 1;
                    assert!(
                        self.neighbors
                            .insert(id, link)
                            .is_some_and(|before| before != link)
                    );
                }
                MeshEvent::NeighborDown { link, id } => {
                    self.turns += 1;
                    assert_eq!(self.neighbors.remove(&id), Some(link));
                }
                MeshEvent::PathsChanged => self.computed += 1,
                MeshEvent::Flux { entered } => {
                    assert_ne!(self.flux.0, entered, "told in turn");
                    self.flux = (entered, self.flux.1 + 1);
                }
                MeshEvent::NeighborHeld { id, .. } => self.told.push(format!("{id} held")),
                MeshEvent::Untold { key } => self.told.push(format!("{} untold", &key[..6])),
                MeshEvent::Restarted { id } => self.told.push(format!("{id} restarted")),
                MeshEvent::Misbehaved { neighbor, why, .. } => {
                    let who = neighbor.as_deref().unwrap_or("?");
                    self.told.push(format!("{who}: {why}"));
                }
            }
        }
    }
}

pub(super) fn link(wire: usize) -> NeighborLink {
    NeighborLink(wire as u64)
}
