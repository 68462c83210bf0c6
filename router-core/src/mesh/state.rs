//! The parts of the engine and what they leave for each other.
//!
//! Owns the state, and the few verbs that everybody needs: to send, to tell, to find the way.
//! Decision: what arrives only leaves marks here; what follows from the marks is done in one place,
//! in a fixed order, however many messages left them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use bytes::Bytes;

use crate::address::AddressContext;
use crate::limits;
use crate::mesh::damp::{Bucket, Damper};
use crate::mesh::event::{MeshEvent, Outgoing};
use crate::mesh::flood::Floods;
use crate::mesh::hello::{Links, Turn};
use crate::mesh::lsdb::{Node, Nodes, Standing};
use crate::mesh::misdeed::Misdeed;
use crate::mesh::mobile::OwnAddresses;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::paths::Paths;
use crate::mesh::spf::{Round, Tree};
use crate::mesh::untold::Untold;
use crate::mesh::write::Writer;

/// Who the router is, and the times of the protocol.
#[derive(Clone, Debug)]
pub struct MeshSettings {
    /// The router's id.
    pub id: Arc<str>,
    /// The second in which it began, which tells its lives apart.
    pub instance: i64,
    /// Keys the numbers by which it knows again what others tell all.
    pub seed: u64,
    /// Time between two hellos.
    pub hello_interval: Duration,
    /// Silence after which a neighbour is gone.
    pub hello_max_age: Duration,
    /// Time between two advertisements while nothing changes.
    pub ra_interval: Duration,
    /// The same while the topology changes.
    pub ra_interval_flux: Duration,
    /// Time after which a link state that nobody confirms is forgotten.
    pub remote_ls_max_age: Duration,
}

impl MeshSettings {
    /// A router with the usual times.
    #[must_use]
    pub fn new(id: &str, instance: i64) -> Self {
        Self {
            id: id.into(),
            instance,
            seed: 0,
            hello_interval: Duration::from_secs(1),
            hello_max_age: Duration::from_secs(3),
            ra_interval: Duration::from_secs(30),
            ra_interval_flux: Duration::from_secs(4),
            remote_ls_max_age: Duration::from_secs(60),
        }
    }
}

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: MeshSettings,
    pub(super) context: AddressContext,
    /// The own id as it stands in traces.
    pub(super) passed: Box<str>,
    pub(super) writer: Writer,
    pub(super) links: Links,
    pub(super) nodes: Nodes,
    pub(super) own_addresses: OwnAddresses,
    pub(super) floods: Floods,
    /// The number of the own link state as others know it, and what it says.
    pub(super) sequence: i64,
    pub(super) announced: Vec<(Arc<str>, u32)>,
    /// The router is about to end.
    pub(super) leaving: bool,
    pub(super) computed: Computed,
    pub(super) paths: Arc<Paths>,
    pub(super) marks: Marks,
    pub(super) times: Times,
    pub(super) change_damper: Damper,
    pub(super) paths_damper: Damper,
    /// How many losses may pass by each of them.
    pub(super) losses: [Bucket; 2],
    /// How many bytes of address lists may be sent.
    pub(super) answers: Bucket,
    /// What neighbours of our kind are still to be told of others.
    pub(super) untold: BTreeMap<NeighborLink, Untold>,
    pub(super) output: VecDeque<Outgoing>,
    /// What became of routers and their addresses, in order; there may be very many.
    pub(super) events: VecDeque<MeshEvent>,
    /// All else.
    pub(super) news: VecDeque<MeshEvent>,
}

/// What was worked out from the link states.
#[derive(Debug, Default)]
pub(super) struct Computed {
    pub(super) tree: Tree,
    /// By the router's index, the origins whose messages pass here.
    pub(super) origins: Vec<Arc<[u16]>>,
    /// The trees of the others, while they are worked on.
    pub(super) round: Option<Round>,
    /// Rounds thrown away since one was finished.
    pub(super) discarded: u32,
    /// The link states have changed since the round began.
    pub(super) outdated: bool,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Neighbours or their costs are others than before.
    pub(super) neighbors: bool,
    /// The others do not know the own link state.
    pub(super) announce: bool,
    /// They have not heard yet that the router leaves: nothing holds that back.
    pub(super) leave: bool,
    /// They still believe in a neighbour that is lost.
    pub(super) lost: bool,
    /// A link state is another than before.
    pub(super) recompute: bool,
    /// The own paths may lead to a neighbour that is lost.
    pub(super) cut: bool,
    /// The snapshot is out of date.
    pub(super) publish: bool,
    /// An advertisement is to be sent at once.
    pub(super) advertise: bool,
    /// Hello is to be said on these links at once.
    pub(super) greet: Vec<NeighborLink>,
    /// Neighbours on these links are new, or what they were told may be lost.
    pub(super) hand_over: Vec<NeighborLink>,
    /// Routers of which a neighbour, on this link, has told something new.
    pub(super) learnt: Vec<(u16, NeighborLink)>,
    /// Routers all of whose addresses have come in, and on which link.
    pub(super) listed: Vec<(u16, NeighborLink)>,
    /// Who is to be asked or answered, by the time when; what is no longer due is passed over.
    pub(super) asks: BTreeSet<(Time, u16)>,
}

/// When things were done and are to be done.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) now: Time,
    /// When the engine was last called before now.
    pub(super) before: Time,
    pub(super) hello: Time,
    pub(super) upkeep: Time,
    pub(super) advertised: Time,
    /// How far the network was known to reach when that was done.
    pub(super) reached: u16,
    pub(super) flux_until: Time,
    /// That the topology changes was told, and not yet that it is at rest.
    pub(super) in_flux: bool,
    /// When routers may next be made to leave a full table.
    pub(super) evict: Time,
    pub(super) topology_changed: Option<Time>,
}

impl State {
    pub(super) fn new(settings: MeshSettings, now: Time) -> Self {
        let own = Arc::clone(&settings.id);
        Self {
            context: AddressContext::new(&own),
            passed: format!("0/{own}").into(),
            writer: Writer::new(&own, settings.instance),
            links: Links::new(&own, settings.hello_interval, settings.hello_max_age),
            nodes: Nodes::new(&own, now),
            own_addresses: OwnAddresses::default(),
            floods: Floods::new(settings.seed),
            sequence: 0,
            announced: Vec::new(),
            leaving: false,
            computed: Computed::default(),
            paths: Arc::default(),
            marks: Marks {
                publish: true,
                ..Marks::default()
            },
            times: Times {
                now,
                before: now,
                hello: now,
                upkeep: now,
                advertised: now,
                reached: 0,
                flux_until: now,
                in_flux: false,
                evict: now,
                topology_changed: None,
            },
            change_damper: Damper::new(limits::MESH_CHANGE_HOLD, limits::MESH_CHANGE_HOLD_MAX),
            paths_damper: Damper::new(limits::MESH_PATHS_HOLD, limits::MESH_PATHS_HOLD_MAX),
            losses: [const { Bucket::new(limits::MESH_LOSSES_PER_SECOND) }; 2],
            answers: Bucket::new(limits::MESH_ANSWER_BYTES_PER_SECOND),
            untold: BTreeMap::new(),
            output: VecDeque::new(),
            events: VecDeque::new(),
            news: VecDeque::new(),
            settings,
        }
    }

    pub(super) fn send(&mut self, link: NeighborLink, message: Bytes) {
        self.output.push_back(Outgoing::new(link, message));
    }

    pub(super) fn send_hello(&mut self, link: NeighborLink, message: Bytes) {
        self.output.push_back(Outgoing {
            is_hello: true,
            ..Outgoing::new(link, message)
        });
    }

    pub(super) fn tell(&mut self, event: MeshEvent) {
        self.news.push_back(event);
    }

    /// Sends a message to every neighbour.
    pub(super) fn flood(&mut self, message: &Bytes) {
        for (_, link) in self.links.neighbors() {
            self.output.push_back(Outgoing::new(link, message.clone()));
        }
    }

    /// The link on which a message to a router leaves: towards the first router on the way to it;
    /// as long as there is no way, straight to a neighbour.
    pub(super) fn way(&self, index: u16) -> Option<NeighborLink> {
        let first = self.computed.tree.reach(index).map(|reach| reach.first);
        let node = first.and_then(|first| self.nodes.get(first));
        let link = node.and_then(|node| self.links.to(&node.id));
        link.or_else(|| self.links.towards(&self.nodes.get(index)?.id))
    }

    /// The record of a router that a link brings, made if need be and if there is room.
    pub(super) fn enter(
        &mut self,
        id: &str,
        from: NeighborLink,
        standing: Standing,
    ) -> Result<u16, Misdeed> {
        if self.nodes.find(id).is_none() {
            self.make_room(from, standing);
        }
        let now = self.times.now;
        let (index, is_new) = self.nodes.enter(id, from, standing, now)?;
        if is_new {
            self.marks.recompute = true;
            if let Some(node) = self.nodes.get(index) {
                let (id, index) = (Arc::clone(&node.id), RouterIndex(index));
                self.events.push_back(MeshEvent::RouterAdded { index, id });
            }
        }
        Ok(index)
    }

    /// Takes note of what became of neighbours.
    pub(super) fn turned(&mut self, turns: Vec<Turn>) {
        for turn in turns {
            let (id, event) = match turn {
                Turn::Held { id, losses, hold } => {
                    self.tell(MeshEvent::NeighborHeld { id, losses, hold });
                    continue;
                }
                Turn::Up { link, id } => {
                    self.marks.hand_over.push(link);
                    (Arc::clone(&id), MeshEvent::NeighborUp { link, id })
                }
                Turn::Moved { link, id } => {
                    // Nothing else counts before it has heard one on this link.
                    self.marks.greet.push(link);
                    self.marks.hand_over.push(link);
                    (Arc::clone(&id), MeshEvent::NeighborMoved { link, id })
                }
                Turn::Down { link, id } => (Arc::clone(&id), MeshEvent::NeighborDown { link, id }),
            };
            self.marks.neighbors = true;
            self.retry(&id);
            self.tell(event);
        }
    }

    /// Whatever was asked of a neighbour may have got lost with the link.
    pub(super) fn retry(&mut self, id: &str) {
        if let Some(index) = self.nodes.find(id)
            && let Some(node) = self.nodes.get_mut(index)
        {
            node.ask.retry();
            node.addresses.ask.retry();
            self.attend(index);
        }
    }

    /// Takes note of whom a router must be asked or answered, and when.
    pub(super) fn attend(&mut self, index: u16) {
        let due = self.nodes.get(index).and_then(next_ask);
        if let Some(at) = due {
            self.marks.asks.insert((at, index));
        }
    }

    /// A router begins anew: what it told before counts no more.
    pub(super) fn restart(&mut self, index: u16) {
        self.marks.recompute |= self.nodes.forget_link_state(index);
        self.unmap_all(index);
        self.attend(index);
        if let Some(node) = self.nodes.get(index) {
            let id = Arc::clone(&node.id);
            self.tell(MeshEvent::Restarted { id });
        }
    }

    pub(super) fn unmap_all(&mut self, index: u16) {
        let Some(node) = self.nodes.get_mut(index) else {
            return;
        };
        let keys = node.addresses.forget();
        self.nodes.addresses = self.nodes.addresses.saturating_sub(keys.len());
        let router = RouterIndex(index);
        self.events.extend(
            keys.into_iter()
                .map(|key| MeshEvent::Unmapped { router, key }),
        );
    }
}

/// When a router is to be asked or answered next.
pub(super) fn next_ask(node: &Node) -> Option<Time> {
    let due = [
        node.ask.due(),
        node.first_look.due(),
        node.addresses_due(),
        node.owed_link_state.due(),
        node.owed_addresses.due(),
    ];
    due.into_iter().flatten().min()
}
