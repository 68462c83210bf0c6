//! The engine of the protocol between routers: messages and the time in, messages and events out.
//!
//! Owns the public face. Decision: one type for all of it, since each of its parts – neighbours,
//! link states, paths, addresses – feeds the next, and a caller that had to pass things from one to
//! the other would be the place where they get lost.

use std::sync::Arc;

use amqp_proto::Time;

use crate::ids::{AddressKey, Opener};
use crate::limits;
use crate::mesh::event::{MeshEvent, Outgoing};
use crate::mesh::lsdb::Node;
use crate::mesh::misdeed::{Misdeed, Refused};
use crate::mesh::mobile::is_told;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::mesh::paths::Paths;
use crate::mesh::state::{MeshSettings, State};
use crate::mesh::tell::tell;
use crate::mesh::wire::VERSION;
use crate::notice::RoutingText;
use crate::route::Treatment;

/// The part of a router that knows the network.
///
/// After every call take what [`Engine::poll_output`] and [`Engine::poll_event`] give until they
/// give nothing, and call [`Engine::tick`] no later than [`Engine::next_deadline`] says.
#[derive(Debug)]
pub struct Engine {
    state: State,
}

/// A router as management shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// Its number; 0 is this router.
    pub index: RouterIndex,
    /// Its id.
    pub id: Arc<str>,
    /// The version of the protocol that it speaks; 0 as long as that is not known.
    pub protocol_version: i64,
    /// The second in which it began; 0 as long as that is not known.
    pub instance: i64,
    /// The ids of its neighbours, as it says itself.
    pub link_state: Vec<Arc<str>>,
    /// What the way to it costs; `None` for this router, and where there is no way.
    pub cost: Option<u32>,
    /// The id of the router that comes first on the way, unless it is itself a neighbour.
    pub next_hop: Option<Arc<str>>,
    /// The connection to it, if it is a neighbour.
    pub link: Option<NeighborLink>,
    /// The ids of the routers whose messages to it pass here.
    pub valid_origins: Vec<Arc<str>>,
    /// When the topology changed last; only for this router.
    pub last_topology_change: Option<Time>,
    /// Addresses that it has told of.
    pub addresses: usize,
}

impl Engine {
    /// A router without neighbours.
    #[must_use]
    pub fn new(settings: MeshSettings, now: Time) -> Self {
        let mut state = State::new(settings, now);
        state.step();
        Self { state }
    }

    /// A connection to another router has its control links, or has them anew; `cost` is what both
    /// sides agreed on.
    pub fn link_up(&mut self, link: NeighborLink, cost: u32, now: Time) {
        self.at(now);
        let turns = self.state.links.close(link, now);
        self.state.turned(turns);
        self.state.links.open(link, cost);
        self.state.marks.greet.push(link);
        self.state.step();
    }

    /// Who has opened the connection of a link that is up: nobody else is believed on it.
    pub fn opened_by(&mut self, link: NeighborLink, opener: Opener) {
        if let Some(state) = self.state.links.get_mut(link) {
            state.opener = Some(opener);
        }
    }

    /// A connection to another router, or its control links, are gone.
    pub fn link_down(&mut self, link: NeighborLink, now: Time) {
        self.at(now);
        let turns = self.state.links.close(link, now);
        self.state.turned(turns);
        self.state.step();
    }

    /// A connection to another router has lost its control links and has others of the same life of
    /// the same neighbour: what was on its way may be lost, so both say anew what they have.
    pub fn link_renewed(&mut self, link: NeighborLink, now: Time) {
        self.at(now);
        if let Some(id) = self.state.links.heard_on(link).cloned() {
            self.state.retry(&id);
        }
        self.state.marks.greet.push(link);
        self.state.marks.hand_over.push(link);
        self.state.marks.advertise = true;
        self.state.step();
    }

    /// More has come on a control link of a message that is not whole yet: whatever its sender says
    /// is behind it, hellos too.
    pub fn arriving(&mut self, link: NeighborLink, now: Time) {
        self.at(now);
        self.state.links.arriving(link, now);
    }

    /// Takes a message that arrived on a control link: all of its payload.
    ///
    /// # Errors
    /// If it is refused. That ends nothing; what neighbours do wrong is also told as events, not
    /// more often than is good for a log.
    pub fn received(
        &mut self,
        from: NeighborLink,
        payload: &[u8],
        now: Time,
    ) -> Result<(), Refused> {
        self.at(now);
        let result = self.state.receive(from, payload);
        let result = result.map_err(|why| self.refuse(from, why));
        self.state.step();
        result
    }

    /// What a message says that has come, for the log; `None`: nothing that is for this router.
    #[must_use]
    pub fn describe_received(&self, payload: &[u8]) -> Option<RoutingText> {
        tell(payload, &self.state.context, false)
    }

    /// The same of a message that goes out; `None`: another router says it, and it is passed on.
    #[must_use]
    pub fn describe_sent(&self, payload: &[u8]) -> Option<RoutingText> {
        let own = &self.state.settings.id;
        tell(payload, &self.state.context, true).filter(|text| *text.id == **own)
    }

    fn refuse(&mut self, link: NeighborLink, why: Misdeed) -> Refused {
        let neighbor = self.state.links.heard_on(link).cloned();
        let now = self.state.times.now;
        let more = self
            .state
            .links
            .get_mut(link)
            .and_then(|state| state.meter.report.count(now));
        if let Some(more) = more {
            let (neighbor, why) = (neighbor.clone(), why.clone());
            self.state.tell(MeshEvent::Misbehaved {
                link,
                neighbor,
                why,
                more,
            });
        }
        Refused {
            link,
            neighbor,
            why,
        }
    }

    /// An address has consumers at this router, or has none any more. Addresses of a class that
    /// routers do not tell each other of are passed over.
    ///
    /// The others are told by the next [`Engine::tick`], which is due at once, or a second after
    /// they were last told.
    pub fn local_address(&mut self, key: &AddressKey, hint: Treatment, present: bool, now: Time) {
        self.at(now);
        if is_told(key) {
            let is_first = self.state.own_addresses.set(key, hint, present);
            if is_first {
                self.state.tell(MeshEvent::Untold {
                    key: AddressKey::clone(key),
                });
            }
        }
    }

    /// Tells the others that the router is about to end: its addresses are taken back, and its
    /// links made so dear that new ways lead past it. What is under way still finds its own.
    pub fn leave(&mut self, now: Time) {
        self.at(now);
        self.state.leaving = true;
        self.state.marks.leave = true;
        self.state.marks.neighbors = true;
        self.state.own_addresses.leave();
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Time) {
        self.due(now);
        self.work(limits::MESH_STEPS);
    }

    /// Does what is due but for [`Engine::work`].
    pub fn due(&mut self, now: Time) {
        self.at(now);
        self.state.step();
    }

    /// When to call [`Engine::tick`] at the latest; at once while there is [`Engine::work`] to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let at_once = self.state.computed.round.is_some();
        Some(match at_once {
            true => self.state.times.now,
            false => self.next_due(),
        })
    }

    /// When to call [`Engine::due`] at the latest.
    #[must_use]
    pub fn next_due(&self) -> Time {
        self.state.deadline()
    }

    /// Works on the paths of the other routers for about so many steps, some twenty nanoseconds
    /// each; whether there is more to do. The old verdicts hold meanwhile.
    pub fn work(&mut self, steps: usize) -> bool {
        self.state.work(steps)
    }

    /// A message to send.
    pub fn poll_output(&mut self) -> Option<Outgoing> {
        self.state.output.pop_front()
    }

    /// Something that changed. There may be very many changes of routers and their addresses: they
    /// come in their order, after all else, and whoever takes them may stop and go on later.
    pub fn poll_event(&mut self) -> Option<MeshEvent> {
        let state = &mut self.state;
        let event = state.news.pop_front().or_else(|| state.events.pop_front());
        if event.is_none() {
            state.nodes.release();
        }
        event
    }

    /// Whether [`Engine::poll_event`] has something to give.
    #[must_use]
    pub fn has_events(&self) -> bool {
        !self.state.news.is_empty() || !self.state.events.is_empty()
    }

    /// What leads to each router, as it is known now.
    #[must_use]
    pub fn paths(&self) -> Arc<Paths> {
        Arc::clone(&self.state.paths)
    }

    /// All routers for management, in the order of their ids.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeRow> {
        let nodes = &self.state.nodes;
        let id = |index: u16| nodes.get(index).map(|node| Arc::clone(&node.id));
        let rows = nodes.by_id().map(|(index, node)| {
            let path = self.state.paths.router(RouterIndex(index));
            let is_own = index == RouterIndex::OWN.0;
            let settings = &self.state.settings;
            let next_hop = path.and_then(|path| path.next_hop);
            let origins = path.map(|path| &path.valid_origins[..]).unwrap_or_default();
            let topology_changed = self.state.times.topology_changed;
            let mut link_state: Vec<_> = node
                .peers()
                .iter()
                .filter_map(|(peer, _)| id(*peer))
                .collect();
            link_state.sort_unstable();
            NodeRow {
                index: RouterIndex(index),
                id: Arc::clone(&node.id),
                protocol_version: if is_own {
                    VERSION
                } else {
                    node.version.unwrap_or(0)
                },
                instance: if is_own {
                    settings.instance
                } else {
                    node.instance.unwrap_or(0)
                },
                link_state,
                cost: path
                    .filter(|path| path.link.is_some())
                    .map(|path| path.cost),
                next_hop: next_hop.and_then(|next| id(next.0)),
                link: path.and_then(|path| path.direct),
                valid_origins: origins.iter().filter_map(|origin| id(*origin)).collect(),
                last_topology_change: topology_changed.filter(|_| is_own),
                addresses: node.addresses.len(),
            }
        });
        rows.collect()
    }

    /// Routers to which a way leads and of which link state or addresses have never been heard.
    #[must_use]
    pub fn unheard(&self) -> Vec<Arc<str>> {
        let state = &self.state;
        let is_unheard = |(index, node): &(u16, &Node)| {
            let path = state.paths.router(RouterIndex(*index));
            let is_near = path.is_some_and(|path| path.link.is_some());
            is_near && !node.is_heard()
        };
        let unheard = state.nodes.by_id().filter(is_unheard);
        unheard.map(|(_, node)| Arc::clone(&node.id)).collect()
    }

    /// Time never goes back.
    fn at(&mut self, now: Time) {
        let times = &mut self.state.times;
        if now > times.now {
            times.before = times.now;
            times.now = now;
        }
    }
}
