//! What follows from what has happened: every call of the engine ends here.
//!
//! Owns the order in which things are done. Decision: changes are told and computed as soon as they
//! are known, not at a tick, and damped, so that a network at rest reacts in milliseconds and one
//! that flaps does not burn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use bytes::Bytes;

use crate::limits;
use crate::mesh::damp::Bucket;
use crate::mesh::event::MeshEvent;
use crate::mesh::lsdb::Node;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::paths::{Paths, RouterPath};
use crate::mesh::spf::{Graph, Round, Tree, own_tree};
use crate::mesh::state::{State, next_ask};

/// Time between two looks at what has grown old.
const UPKEEP: Duration = Duration::from_secs(1);

impl State {
    /// Does everything that is due, except for long computations.
    pub(super) fn step(&mut self) {
        self.say_hello();
        self.look_after();
        self.change_own_links();
        self.announce();
        self.tell_addresses();
        self.compute();
        self.tell_of_others();
        self.advertise();
        self.ask_and_answer();
        self.publish();
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Time {
        let marks = &self.marks;
        let at_once =
            marks.neighbors || marks.publish || marks.advertise || !marks.greet.is_empty();
        let [tell, find] = self.losses.each_ref().map(Bucket::opens);
        let announce = marks.announce.then(|| self.change_damper.ready());
        let compute = marks.recompute.then(|| self.paths_damper.ready());
        let times = [
            at_once.then_some(self.times.now),
            announce,
            compute,
            (marks.announce && marks.lost).then_some(tell),
            (marks.recompute && marks.cut).then_some(find),
            marks.asks.first().map(|(at, _)| *at),
            self.own_addresses.due(),
            self.next_telling(),
        ];
        let upkeep = [
            self.times.hello,
            self.times.upkeep,
            self.next_advertisement(),
        ];
        let all = times.into_iter().flatten().chain(upkeep);
        all.min().unwrap_or(self.times.now).max(self.times.now)
    }

    fn say_hello(&mut self) {
        let now = self.times.now;
        let mut links = std::mem::take(&mut self.marks.greet);
        if now >= self.times.hello {
            let slept = now.saturating_sub(self.times.hello.max(self.times.before));
            if slept > limits::MESH_OVERSLEPT {
                self.links.pardon(slept, now);
                self.nodes.pardon(slept, now);
            }
            self.times.hello = now + self.settings.hello_interval;
            let turns = self.links.expire(now);
            self.turned(turns);
            links = self.links.greeted().collect();
        }
        if links.is_empty() {
            return;
        }
        links.sort_unstable();
        links.dedup();
        let seen = self.links.seen(now);
        let hello = self.writer.hello(seen.into_iter());
        for link in links {
            self.send_hello(link, hello.clone());
        }
    }

    /// Forgets what has grown old.
    fn look_after(&mut self) {
        let now = self.times.now;
        if now < self.times.upkeep {
            return;
        }
        self.times.upkeep = now + UPKEEP;
        if now >= self.times.flux_until && std::mem::take(&mut self.times.in_flux) {
            self.tell(MeshEvent::Flux { entered: false });
        }
        self.own_addresses.tidy_up(now);
        self.links.tidy_up(now);
        let expired = self.nodes.expire(self.settings.remote_ls_max_age, now);
        self.marks.recompute |= expired;
        for (index, node) in self.nodes.bury() {
            self.marks.recompute = true;
            self.marks.publish = true;
            self.mourn(index, node);
        }
    }

    pub(super) fn mourn(&mut self, index: RouterIndex, mut node: Node) {
        self.computed.tree.forget(index.0);
        if let Some(origins) = self.computed.origins.get_mut(index.index()) {
            *origins = Arc::default();
        }
        let keys = node.addresses.forget().into_iter();
        let router = index;
        self.events
            .extend(keys.map(|key| MeshEvent::Unmapped { router, key }));
        let id = node.id;
        self.events.push_back(MeshEvent::RouterLost { index, id });
    }

    /// Takes over who the neighbours are into the own link state.
    fn change_own_links(&mut self) {
        if !std::mem::take(&mut self.marks.neighbors) {
            return;
        }
        self.marks.publish = true;
        let mut peers = BTreeMap::new();
        for (id, cost) in self.links.costs() {
            if let Some(index) = self.nodes.find(id) {
                peers.insert(index, cost);
            }
        }
        let own = RouterIndex::OWN.0;
        let mut before = self.nodes.get(own).into_iter().flat_map(Node::peers);
        let is_cut = before.any(|(peer, _)| !peers.contains_key(peer));
        if self.nodes.set_peers(own, peers.into_iter().collect()) {
            self.marks.recompute = true;
            self.marks.cut |= is_cut;
        }
        let mut announced = self.announced.iter();
        self.marks.lost = announced.any(|(id, _)| self.links.to(id).is_none());
        self.marks.announce = self.is_unannounced();
    }

    fn is_unannounced(&self) -> bool {
        let announced = self.announced.iter().map(|(id, cost)| (id, *cost));
        !self.told_costs().eq(announced)
    }

    /// The neighbours with the costs that others are to hear of. The links of a router that leaves
    /// look so dear that nobody passes through it who can go elsewhere; who cannot still may.
    fn told_costs(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        let more = if self.leaving {
            limits::MESH_LEAVING_COST
        } else {
            0
        };
        let costs = self.links.costs();
        costs.map(move |(id, cost)| (id, (cost + more).min(limits::MESH_COST)))
    }

    /// Gives the own link state a new number, tells it to all, and has it advertised. The others
    /// need not ask: while ways change a question is easily lost, and it takes three journeys.
    ///
    /// While changes are held back losses are told all the same, and nothing but them: so whoever
    /// comes and goes is told of no more often than it was told of as new.
    fn announce(&mut self) {
        let now = self.times.now;
        if !self.marks.announce {
            return;
        } else if self.change_damper.ready() <= now || self.marks.leave {
            self.change_damper.acted(now);
            let costs = self.told_costs().map(|(id, cost)| (Arc::clone(id), cost));
            self.announced = costs.collect();
            self.marks.leave = false;
        } else if self.marks.lost && self.losses[0].is_open(now) {
            self.losses[0].take(1, now);
            self.announced.retain(|(id, _)| self.links.to(id).is_some());
        } else {
            return;
        }
        self.marks.lost = false;
        self.marks.announce = self.is_unannounced();
        self.sequence += 1;
        let peers = self.announced.iter().map(|(id, cost)| (&**id, *cost));
        let message = self.writer.link_state("all", self.sequence, peers);
        self.flood(&message);
        self.marks.advertise = true;
    }

    /// Tells the others which addresses came and went; the advertisement follows, never precedes.
    fn tell_addresses(&mut self) {
        let now = self.times.now;
        if self.own_addresses.due().is_none_or(|due| due > now) {
            return;
        }
        let message = self.own_addresses.tell(&self.writer, now);
        self.flood(&message);
        self.marks.advertise = true;
    }

    fn next_advertisement(&self) -> Time {
        let interval = if self.computed.tree.radius > self.times.reached {
            limits::MESH_GROWTH_INTERVAL
        } else if self.times.now < self.times.flux_until {
            self.settings.ra_interval_flux
        } else {
            self.settings.ra_interval
        };
        self.times.advertised + interval
    }

    fn advertise(&mut self) {
        let now = self.times.now;
        if !std::mem::take(&mut self.marks.advertise) && now < self.next_advertisement() {
            return;
        }
        self.times.advertised = now;
        self.times.reached = self.computed.tree.radius;
        let message = self
            .writer
            .advertisement(self.sequence, self.own_addresses.sequence());
        self.flood(&message);
    }

    /// Finds the own paths anew; the trees of the others follow in slices.
    fn compute(&mut self) {
        let now = self.times.now;
        let [_, losses] = &mut self.losses;
        if !self.marks.recompute {
            return;
        } else if self.paths_damper.ready() <= now {
            self.paths_damper.acted(now);
        } else if self.marks.cut && losses.is_open(now) {
            losses.take(1, now);
        } else {
            return;
        }
        self.marks.recompute = false;
        self.marks.cut = false;
        self.marks.publish = true;
        self.times.topology_changed = Some(now);
        self.times.flux_until = now + self.settings.ra_interval_flux * 2;
        if !std::mem::replace(&mut self.times.in_flux, true) {
            self.tell(MeshEvent::Flux { entered: true });
        }
        let size = self.nodes.size();
        let routers = self
            .nodes
            .by_id()
            .map(|(index, node)| (index, node.peers()));
        let graph = Graph::new(routers, size);
        let tree = own_tree(&graph, RouterIndex::OWN.0, size);
        let before = std::mem::replace(&mut self.computed.tree, tree);
        self.begin_round(graph);
        // What was asked may have gone a way that is no more. Link states are short; but lists of
        // addresses may be long, and on their way for long.
        let first = |tree: &Tree, index| tree.reach(index).map(|reach| reach.first);
        for (index, node) in self.nodes.others() {
            if first(&self.computed.tree, index).is_none() {
                node.lose();
            }
            node.ask.doubt();
            if first(&before, index) != first(&self.computed.tree, index) {
                node.addresses.ask.doubt();
            }
        }
        self.attend_all();
    }

    /// Begins with the trees of the others. A round that is under way is thrown away, but not time
    /// after time: then it is finished first.
    fn begin_round(&mut self, graph: Graph) {
        if self.computed.round.is_some() {
            if self.computed.discarded >= limits::MESH_RESTARTED_ROUNDS {
                self.computed.outdated = true;
                return;
            }
            self.computed.discarded += 1;
        }
        self.computed.round = Some(Round::new(graph, RouterIndex::OWN.0, &self.computed.tree));
    }

    /// Works on the trees of the others; whether there is more to do.
    pub(super) fn work(&mut self, steps: usize) -> bool {
        let Some(round) = &mut self.computed.round else {
            return false;
        };
        if !round.work(steps).0 {
            return true;
        }
        self.computed.discarded = 0;
        let mut origins = vec![Arc::default(); self.nodes.size()];
        for (index, found) in self
            .computed
            .round
            .take()
            .into_iter()
            .flat_map(Round::finish)
        {
            origins[usize::from(index)] = found.into();
        }
        self.computed.origins = origins;
        if std::mem::take(&mut self.computed.outdated) {
            let size = self.nodes.size();
            let routers = self
                .nodes
                .by_id()
                .map(|(index, node)| (index, node.peers()));
            let graph = Graph::new(routers, size);
            self.computed.round = Some(Round::new(graph, RouterIndex::OWN.0, &self.computed.tree));
        }
        self.marks.publish = true;
        self.publish();
        self.computed.round.is_some()
    }

    /// There may be a way now to those who could not be asked.
    fn attend_all(&mut self) {
        let due = self.nodes.others();
        let due = due.filter_map(|(index, node)| next_ask(node).map(|at| (at, index)));
        self.marks.asks = due.collect();
    }

    /// Asks whoever has something to tell, and answers who has asked. Those to whom there is no way
    /// are left until paths are found anew.
    fn ask_and_answer(&mut self) {
        let now = self.times.now;
        while let Some((at, index)) = self.marks.asks.pop_first() {
            if at > now {
                self.marks.asks.insert((at, index));
                break;
            }
            let due = self.nodes.get(index).and_then(next_ask);
            if due.is_some_and(|due| due > now) {
                self.attend(index);
            } else if due.is_some()
                && let Some(link) = self.way(index)
            {
                self.converse(index, link);
                self.attend(index);
            }
        }
    }

    /// Sends one router what it is to be asked and answered. Those who cannot be asked yet get a
    /// time each, one behind the other.
    fn converse(&mut self, index: u16, link: NeighborLink) {
        let now = self.times.now;
        let is_kin = self.is_kin(link);
        let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let mut messages: Vec<Bytes> = Vec::new();
        if is_due(node.owed_link_state.due()) {
            node.owed_link_state.answered(now);
            let peers = self.announced.iter().map(|(id, cost)| (id.as_ref(), *cost));
            messages.push(self.writer.link_state(&node.id, self.sequence, peers));
        }
        let is_behind = is_due(node.addresses_due());
        if is_behind && !is_kin && !node.has_heard_of_us(now) {
            node.addresses.ask.wait(node.introduced_at());
        }
        let is_behind = is_due(node.addresses_due());
        let Some(state) = self.links.get_mut(link) else {
            return;
        };
        let questions = &mut state.meter.questions;
        if questions.is_open(now) {
            let before = messages.len();
            if is_due(node.ask.due()) {
                node.ask.asked(now);
                let wanted = is_kin.then(|| node.wanted());
                messages.push(self.writer.link_state_request(&node.id, wanted));
            }
            let is_first = is_due(node.first_look.due());
            if is_first {
                node.first_look.answered(now);
            }
            if is_behind {
                node.addresses.ask.asked(now);
            }
            if is_first || is_behind {
                let have = node.addresses.sequence();
                let life = is_kin.then(|| node.instance.unwrap_or_default());
                messages.push(self.writer.address_request(&node.id, have, life));
            }
            let asked = messages.len() - before;
            questions.take(asked as u64, now);
        } else {
            let asks = [&mut node.ask, &mut node.first_look, &mut node.addresses.ask];
            for ask in asks.into_iter().filter(|ask| is_due(ask.due())) {
                ask.postpone(questions.next_turn());
            }
        }
        if is_due(node.owed_addresses.due()) {
            if self.answers.is_open(now) {
                node.owed_addresses.answered(now);
                let answer = self.own_addresses.tell_all(&self.writer, &node.id, now);
                self.answers.take(answer.len() as u64, now);
                messages.push(answer);
            } else {
                node.owed_addresses.postpone(self.answers.opens());
            }
        }
        for message in messages {
            self.send(link, message);
        }
    }

    /// Makes a new snapshot, if the last one is out of date.
    fn publish(&mut self) {
        if !std::mem::take(&mut self.marks.publish) {
            return;
        }
        let mut routers = vec![None; self.nodes.size()];
        let mut by_id = Vec::new();
        for (index, node) in self.nodes.by_id() {
            by_id.push((Arc::clone(&node.id), RouterIndex(index)));
            routers[usize::from(index)] = Some(self.path(index, node));
        }
        let paths = Paths {
            routers: routers.into(),
            by_id: by_id.into(),
            radius: self.computed.tree.radius,
        };
        if paths != *self.paths {
            self.paths = Arc::new(paths);
            self.tell(MeshEvent::PathsChanged);
        }
    }

    fn path(&self, index: u16, node: &Node) -> RouterPath {
        let reach = self.computed.tree.reach(index);
        let first = reach.and_then(|reach| self.nodes.get(reach.first));
        let link = first.and_then(|first| self.links.to(&first.id));
        let reach = reach.filter(|_| link.is_some());
        let next_hop = reach
            .map(|reach| reach.first)
            .filter(|first| *first != index);
        RouterPath {
            id: Arc::clone(&node.id),
            cost: reach.map_or(0, |reach| u32::try_from(reach.cost).unwrap_or(u32::MAX)),
            hops: reach.map_or(0, |reach| reach.hops),
            next_hop: next_hop.map(RouterIndex),
            link,
            direct: self.links.to(&node.id),
            valid_origins: self
                .computed
                .origins
                .get(usize::from(index))
                .cloned()
                .unwrap_or_default(),
        }
    }
}
