//! Between the routing protocol and the rest of the control plane: links to neighbours and their
//! messages in, addresses of other routers and paths out.
//!
//! It decides nothing about routes: the engine does, and what it says is entered into the bindings
//! and published. Decision: messages wait for the turn, where they come before all else, because
//! time enters there; so a HELLO stands behind no more of the agent's work than one turn's.

mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use amqp_proto::Time;
use bytes::Bytes;

use self::told::{news_of, news_of_paths, told};
use crate::address::Phase;
use crate::control::bindings::Bindings;
use crate::control::links::Links;
use crate::ids::{AddressId, AddressKey, ConnectionId, Direction, Origin, OutLinkKey, ShardId};
use crate::limits;
use crate::mail::{Forward, Mail, Outboxes, RouterLink, Target};
use crate::mesh::{
    self, Engine, MeshEvent, MeshSettings, NeighborLink, NodeRow, Outgoing, RouterIndex,
};
use crate::notice::{Computed, NetworkNotice, Notice};
use crate::route::{Member, Neighbor, PRIORITIES, Path, Paths, Rules, Treatment};

/// The links of one connection to a neighbour.
#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    control: Option<OutLinkKey>,
    data: [Option<OutLinkKey>; PRIORITIES],
    leaving: bool,
}

/// The connections to a neighbour that count as one. The protocol speaks on the oldest that has a
/// link for it, and listens on all.
#[derive(Debug)]
struct Trunk {
    number: NeighborLink,
    capacity: u32,
    cost: u32,
    /// Oldest first.
    members: Vec<Connection>,
}

/// What waits for the next turn.
#[derive(Debug)]
enum Waiting {
    Up(RouterLink),
    Down(OutLinkKey),
    Message(ConnectionId, Bytes),
    Arriving(ConnectionId),
    Joined(ConnectionId, ConnectionId),
    Left(ConnectionId),
}

pub(super) struct Neighbors {
    own: ShardId,
    id: Arc<str>,
    engine: Engine,
    /// By the first connection of each.
    trunks: BTreeMap<ConnectionId, Trunk>,
    /// The trunks of connections that are not the first of theirs.
    joined: BTreeMap<ConnectionId, ConnectionId>,
    waiting: Vec<Waiting>,
    /// What is to be said beside the protocol, by connections of the trunks to which.
    said: Vec<(ConnectionId, Bytes)>,
    /// The links or the engine's paths have changed since paths were last published.
    changed: bool,
    /// What the log was last told of the paths.
    computed: Vec<Computed>,
    /// Connections whose neighbours have said no hello for too long.
    silent: Vec<ConnectionId>,
    /// What is said is told to the log.
    pub(super) traced: bool,
}

impl Neighbors {
    pub(super) fn new(own: ShardId, settings: MeshSettings) -> Self {
        Self {
            own,
            id: Arc::clone(&settings.id),
            engine: Engine::new(settings, Time::ZERO),
            trunks: BTreeMap::new(),
            joined: BTreeMap::new(),
            waiting: Vec::new(),
            said: Vec::new(),
            changed: false,
            computed: Vec::new(),
            silent: Vec::new(),
            traced: false,
        }
    }

    /// A link to a neighbour is usable.
    pub(super) fn link_up(&mut self, link: RouterLink) {
        self.waiting.push(Waiting::Up(link));
    }

    /// A link to a neighbour is gone.
    pub(super) fn link_down(&mut self, link: OutLinkKey) {
        self.waiting.push(Waiting::Down(link));
    }

    /// A message of the routing protocol has come by a connection.
    pub(super) fn message(&mut self, connection: ConnectionId, message: Bytes) {
        self.waiting.push(Waiting::Message(connection, message));
    }

    /// More of a message has come, which is not whole yet.
    pub(super) fn arriving(&mut self, connection: ConnectionId) {
        self.waiting.push(Waiting::Arriving(connection));
    }

    /// A connection belongs to a trunk; it is said before its links are.
    pub(super) fn join(&mut self, connection: ConnectionId, trunk: ConnectionId) {
        self.waiting.push(Waiting::Joined(connection, trunk));
    }

    /// A connection of a trunk is about to be closed, or is not after all.
    pub(super) fn set_leaving(&mut self, connection: ConnectionId, leaving: bool) {
        let first = self.first_of(connection);
        let trunk = self.trunks.get_mut(&first);
        let mut members = trunk.into_iter().flat_map(|trunk| &mut trunk.members);
        if let Some(member) = members.find(|member| member.id == connection) {
            member.leaving = leaving;
            self.changed = true;
        }
    }

    /// A connection of a trunk is gone, and all its links are.
    pub(super) fn left(&mut self, connection: ConnectionId) {
        self.waiting.push(Waiting::Left(connection));
    }

    /// Says something to a neighbour that is none of the protocol's business.
    pub(super) fn say(&mut self, connection: ConnectionId, message: Bytes) {
        self.said.push((connection, message));
    }

    /// Whether a turn has something to do at once.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.said.is_empty() || self.engine.has_events()
    }

    /// When a turn is due even if nothing happens before.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.engine.next_deadline()
    }

    /// The id of a router.
    pub(super) fn router_id(&self, index: u16) -> Option<Arc<str>> {
        let paths = self.engine.paths();
        paths
            .router(RouterIndex(index))
            .map(|router| Arc::clone(&router.id))
    }

    /// All routers of the network for management, in the order of their ids.
    pub(super) fn nodes(&self) -> Vec<NodeRow> {
        self.engine.nodes()
    }

    pub(super) fn unheard(&self) -> Vec<Arc<str>> {
        self.engine.unheard()
    }

    /// Takes what has come, lets the engine do what is due, and enters what it says of other
    /// routers' addresses into the bindings: so much in a turn, since a hello may be due.
    pub(super) fn turn(
        &mut self,
        now: Time,
        bindings: &mut Bindings,
        links: &mut Links,
        rules: &Rules,
        notices: &mut Vec<Notice>,
    ) {
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Up(link) => self.take_link(link, now),
                Waiting::Down(link) => self.drop_link(link, now),
                Waiting::Message(connection, message) => {
                    if self.traced {
                        let text = self.engine.describe_received(&message);
                        notices.extend(text.map(|text| told(Direction::In, text)));
                    }
                    if let Some(trunk) = self.trunks.get(&self.first_of(connection)) {
                        // A refusal is told by an event, not more often than is good for a log.
                        let _refused = self.engine.received(trunk.number, &message, now);
                    }
                }
                Waiting::Arriving(connection) => {
                    if let Some(trunk) = self.trunks.get(&self.first_of(connection)) {
                        self.engine.arriving(trunk.number, now);
                    }
                }
                Waiting::Joined(connection, trunk) => {
                    self.joined.insert(connection, trunk);
                }
                Waiting::Left(connection) => {
                    self.joined.remove(&connection);
                }
            }
        }
        self.engine.tick(now);
        for _ in 0..limits::MESH_EVENTS {
            let Some(event) = self.engine.poll_event() else {
                break;
            };
            self.take_event(event, bindings, links, rules, notices);
        }
    }

    /// Tells the engine which addresses this router has come to offer, and which no longer.
    pub(super) fn offer(&mut self, bindings: &mut Bindings, links: &mut Links, now: Time) {
        for (key, present) in links.take_offered() {
            let hint = Treatment::LinkBalanced;
            self.engine.local_address(&key, hint, present, now);
        }
        for (key, treatment) in bindings.take_offered() {
            let hint = treatment.unwrap_or(Treatment::AnycastBalanced);
            let present = treatment.is_some();
            self.engine.local_address(&key, hint, present, now);
        }
    }

    /// Has the others go elsewhere: the router is about to end.
    pub(super) fn leave(&mut self, now: Time) {
        self.engine.leave(now);
    }

    /// Posts the engine's messages to the links of the protocol.
    pub(super) fn send(&mut self, out: &mut Outboxes, notices: &mut Vec<Notice>) {
        for (connection, message) in std::mem::take(&mut self.said) {
            let trunk = self.trunks.get(&self.first_of(connection));
            if let Some(link) = trunk.and_then(Trunk::control) {
                out.push(link.shard, self.mail(link, message, false));
            }
        }
        while let Some(outgoing) = self.engine.poll_output() {
            let Outgoing {
                link: number,
                message,
                is_hello,
            } = outgoing;
            if let Some(link) = self.trunk(number).and_then(Trunk::control) {
                if self.traced {
                    let text = self.engine.describe_sent(&message);
                    notices.extend(text.map(|text| told(Direction::Out, text)));
                }
                out.push(link.shard, self.mail(link, message, is_hello));
            }
        }
    }

    fn mail(&self, link: OutLinkKey, message: Bytes, urgent: bool) -> Mail {
        let origin = Origin {
            shard: self.own,
            delivery: None,
        };
        Mail::Forward(Forward {
            urgent,
            ..Forward::whole(origin, Target::Link(link), AddressId(0), message.into())
        })
    }

    /// The paths to publish, if they differ from those before.
    pub(super) fn take_paths(&mut self) -> Option<Arc<Paths>> {
        std::mem::take(&mut self.changed).then(|| Arc::new(self.paths()))
    }

    /// All connections of neighbours that have been given up for their silence.
    pub(super) fn take_silent(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.silent)
    }

    fn take_link(&mut self, link: RouterLink, now: Time) {
        let first = self.first_of(link.connection);
        let Self {
            engine,
            trunks,
            changed,
            ..
        } = self;
        // Whoever gives its links up and takes them again is still who it was.
        let trunk = trunks.entry(first).or_insert_with(|| Trunk {
            number: NeighborLink(first.0),
            capacity: link.capacity,
            cost: link.cost,
            members: Vec::new(),
        });
        let (before, number, cost) = (trunk.control(), trunk.number, trunk.cost);
        let member = trunk.member(link.connection);
        match link.priority {
            None => {
                let replaced = member.control.replace(link.link);
                // A further connection changes nothing for the protocol.
                if before.is_none() || before == replaced {
                    engine.link_up(number, cost, now);
                    if let Some(opener) = link.opener {
                        engine.opened_by(number, opener);
                    }
                }
            }
            Some(priority) => {
                if let Some(data) = member.data.get_mut(usize::from(priority)) {
                    *data = Some(link.link);
                    *changed = true;
                }
            }
        }
    }

    fn drop_link(&mut self, link: OutLinkKey, now: Time) {
        let Self {
            engine,
            trunks,
            changed,
            ..
        } = self;
        trunks.retain(|_, trunk| {
            let before = trunk.control();
            for member in &mut trunk.members {
                member.control.take_if(|control| *control == link);
                for data in &mut member.data {
                    *changed |= data.take_if(|data| *data == link).is_some();
                }
            }
            trunk.members.retain(Connection::has_links);
            match trunk.control() {
                after if after == before => {}
                Some(_) => engine.link_renewed(trunk.number, now),
                None => engine.link_down(trunk.number, now),
            }
            !trunk.members.is_empty()
        });
    }

    /// The first connection of the trunk to which a connection belongs: often itself.
    fn first_of(&self, connection: ConnectionId) -> ConnectionId {
        self.joined.get(&connection).copied().unwrap_or(connection)
    }

    /// The trunk that has a number among the engine's links: that of its first connection.
    fn trunk(&self, number: NeighborLink) -> Option<&Trunk> {
        self.trunks.get(&ConnectionId(number.0))
    }

    fn take_event(
        &mut self,
        event: MeshEvent,
        bindings: &mut Bindings,
        links: &mut Links,
        rules: &Rules,
        notices: &mut Vec<Notice>,
    ) {
        match event {
            MeshEvent::RouterAdded { index, id } => {
                let key = router_key(&id);
                bindings.map(index.0, &key, Treatment::AnycastClosest, None);
                notices.push(Notice::Network(NetworkNotice::RouterFound { id }));
                self.changed = true;
            }
            MeshEvent::RouterLost { index, id } => {
                bindings.unmap(index.0, &router_key(&id));
                notices.push(Notice::Network(NetworkNotice::RouterForgotten { id }));
                self.changed = true;
            }
            MeshEvent::Mapped { router, key, .. } if is_link_route(&key) => {
                links.map(router.0, &key, || bindings.deal_id());
            }
            MeshEvent::Unmapped { router, key } if is_link_route(&key) => {
                links.unmap(router.0, &key);
            }
            MeshEvent::Mapped { router, key, hint } => {
                let (treatment, priority) = remote_treatment(&key, hint, rules);
                bindings.map(router.0, &key, treatment, priority);
            }
            MeshEvent::Unmapped { router, key } => bindings.unmap(router.0, &key),
            MeshEvent::PathsChanged => {
                self.changed = true;
                notices.extend(news_of_paths(&self.engine.paths(), &mut self.computed));
            }
            MeshEvent::NeighborDown { link, id } => {
                let trunk = self.trunks.get(&ConnectionId(link.0));
                let members = trunk.into_iter().flat_map(|trunk| &trunk.members);
                let still = members.filter(|member| member.control.is_some());
                let heard = self.silent.len();
                self.silent.extend(still.map(|member| member.id));
                if self.silent.len() > heard {
                    let id = Arc::clone(&id);
                    notices.push(Notice::Network(NetworkNotice::HelloExpired { id }));
                }
                notices.push(Notice::Network(NetworkNotice::NeighborLost { id }));
            }
            said => {
                let connection_of = |link| Some(self.trunk(link)?.members.first()?.id);
                let news = news_of(said, &self.id, connection_of);
                notices.extend(news.map(Notice::Network));
            }
        }
    }

    /// The engine's paths with the links that lead along them.
    fn paths(&self) -> Paths {
        let found: Arc<mesh::Paths> = self.engine.paths();
        let mut neighbors = Vec::new();
        let mut places = BTreeMap::new();
        for (index, router) in found.routers() {
            let Some(number) = router.direct else {
                continue;
            };
            if let Some(trunk) = self.trunk(number)
                && let Ok(place) = u16::try_from(neighbors.len())
            {
                places.insert(number, place);
                neighbors.push(Neighbor {
                    router: index.0,
                    members: trunk.usable(),
                    capacity: trunk.capacity,
                });
            }
        }
        let mut paths: Vec<Option<Path>> = Vec::new();
        let mut known = BTreeMap::new();
        for (index, router) in found
            .routers()
            .filter(|(index, _)| *index != RouterIndex::OWN)
        {
            known.insert(Arc::clone(&router.id), index.0);
            let place = router.link.and_then(|link| places.get(&link));
            paths.resize(usize::from(index.0) + 1, None);
            paths[usize::from(index.0)] = place.map(|&neighbor| Path {
                id: Arc::clone(&router.id),
                neighbor,
                cost: router.cost,
                valid_origins: Arc::clone(&router.valid_origins),
            });
        }
        Paths::new(paths, neighbors, known, u32::from(found.radius()))
    }
}

impl Connection {
    fn has_links(&self) -> bool {
        self.control.is_some() || self.data.iter().any(Option::is_some)
    }
}

impl Trunk {
    /// The link on which the protocol speaks.
    fn control(&self) -> Option<OutLinkKey> {
        self.members.iter().find_map(|member| member.control)
    }

    fn member(&mut self, id: ConnectionId) -> &mut Connection {
        let place = self.members.iter().position(|member| member.id == id);
        let place = place.unwrap_or_else(|| {
            self.members.push(Connection {
                id,
                control: None,
                data: [None; PRIORITIES],
                leaving: false,
            });
            self.members.len() - 1
        });
        &mut self.members[place]
    }

    /// The connections that carry messages: those with all their links, and where there is none,
    /// whichever have some.
    fn usable(&self) -> Vec<Member> {
        let is_whole = |member: &Connection| member.data.iter().all(Option::is_some);
        let any_whole = self.members.iter().any(is_whole);
        let members = self.members.iter();
        let members = members.filter(|member| !any_whole || is_whole(member));
        let member = |member: &Connection| Member {
            connection: member.id,
            links: member.data,
            leaving: member.leaving,
        };
        members.map(member).collect()
    }
}

/// Whether a key is that of a link route.
fn is_link_route(key: &str) -> bool {
    key.starts_with(['C', 'D', 'E', 'F'])
}

/// The key of another router's own addresses.
fn router_key(id: &str) -> AddressKey {
    AddressKey::from(format!("R{id}"))
}

/// How the deliveries of an address that only another router has are dealt: as configured here,
/// else as that router says, else as addresses are by default.
fn remote_treatment(key: &str, hint: Option<Treatment>, rules: &Rules) -> (Treatment, Option<u8>) {
    let text = key.get(2..).filter(|_| key.starts_with('M'));
    let rule = text.and_then(|text| rules.configured(text, Direction::In));
    match (rule, hint, rules.default_treatment()) {
        _ if Phase::is_fallback(key) => {
            let priority = rule.and_then(|rule| rule.priority);
            (Treatment::OF_FALLBACKS, priority)
        }
        (Some(rule), ..) => (rule.treatment, rule.priority),
        (None, Some(hint), _) => (hint, None),
        (None, None, Treatment::Unavailable) => (Treatment::AnycastBalanced, None),
        (None, None, treatment) => (treatment, None),
    }
}
