//! Between the routing protocol and the rest of the control plane: links to neighbours and their
//! messages in, addresses of other routers and paths out.
//!
//! It decides nothing about routes: the engine does, and what it says is entered into the bindings
//! and published. Decision: messages wait for the turn, where they come before all else, because
//! time enters there; so a HELLO never stands behind the agent's work.

use std::collections::BTreeMap;
use std::sync::Arc;

use amqp_proto::Time;
use bytes::Bytes;

use crate::control::bindings::Bindings;
use crate::ids::{AddressId, AddressKey, ConnectionId, Direction, Origin, OutLinkKey, ShardId};
use crate::mail::{Forward, Mail, Outboxes, RouterLink, Target};
use crate::mesh::{
    self, Engine, MeshEvent, MeshSettings, Misdeed, NeighborLink, NodeRow, RouterIndex,
};
use crate::notice::{NetworkNotice, Notice};
use crate::route::{NO_SLOT, Neighbor, PRIORITIES, Path, Paths, Rules, Treatment};

/// The links of one connection to a neighbour.
#[derive(Debug)]
struct Connection {
    number: NeighborLink,
    control: Option<OutLinkKey>,
    data: [Option<OutLinkKey>; PRIORITIES],
    capacity: u32,
}

/// What waits for the next turn.
#[derive(Debug)]
enum Waiting {
    Up(RouterLink),
    Down(OutLinkKey),
    Message(ConnectionId, Bytes),
}

pub(super) struct Neighbors {
    own: ShardId,
    id: Arc<str>,
    engine: Engine,
    connections: BTreeMap<ConnectionId, Connection>,
    last_number: u32,
    waiting: Vec<Waiting>,
    /// The links or the engine's paths have changed since paths were last published.
    changed: bool,
    /// Connections whose neighbours have said no hello for too long.
    silent: Vec<ConnectionId>,
}

impl Neighbors {
    pub(super) fn new(own: ShardId, settings: MeshSettings) -> Self {
        Self {
            own,
            id: Arc::clone(&settings.id),
            engine: Engine::new(settings, Time::ZERO),
            connections: BTreeMap::new(),
            last_number: 0,
            waiting: Vec::new(),
            changed: false,
            silent: Vec::new(),
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

    /// Whether a turn has something to do at once.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
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

    /// Takes what has come, lets the engine do what is due, and enters what it says of other
    /// routers' addresses into the bindings.
    pub(super) fn turn(
        &mut self,
        now: Time,
        bindings: &mut Bindings,
        rules: &Rules,
        notices: &mut Vec<Notice>,
    ) {
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Up(link) => self.take_link(link, now),
                Waiting::Down(link) => self.drop_link(link, now),
                Waiting::Message(connection, message) => {
                    if let Some(connection) = self.connections.get(&connection) {
                        // A refusal is told by an event, not more often than is good for a log.
                        let _refused = self.engine.received(connection.number, &message, now);
                    }
                }
            }
        }
        self.engine.tick(now);
        while let Some(event) = self.engine.poll_event() {
            self.take_event(event, bindings, rules, notices);
        }
    }

    /// Tells the engine which addresses this router has come to offer, and which no longer.
    pub(super) fn offer(&mut self, bindings: &mut Bindings, now: Time) {
        for (key, treatment) in bindings.take_offered() {
            let hint = treatment.unwrap_or(Treatment::AnycastBalanced);
            let present = treatment.is_some();
            self.engine.local_address(&key, hint, present, now);
        }
    }

    /// Posts the engine's messages to the links of the protocol.
    pub(super) fn send(&mut self, now: Time, out: &mut Outboxes) {
        let born = u32::try_from(now.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX);
        while let Some((number, message)) = self.engine.poll_output() {
            let control = self
                .connections
                .values()
                .find(|connection| connection.number == number)
                .and_then(|connection| connection.control);
            let Some(link) = control else { continue };
            let forward = Forward {
                origin: Origin {
                    shard: self.own,
                    delivery: None,
                },
                to: Target::Link(link),
                address: AddressId(0),
                slot: NO_SLOT,
                born,
                settled: true,
                complete: true,
                counted: false,
                beyond: None,
                state: None,
                heads: None,
                payload: message.into(),
            };
            out.push(link.shard, Mail::Forward(forward));
        }
    }

    /// The paths to publish, if they differ from those before.
    pub(super) fn take_paths(&mut self) -> Option<Arc<Paths>> {
        std::mem::take(&mut self.changed).then(|| Arc::new(self.paths()))
    }

    /// The connections whose neighbours have been given up for their silence.
    pub(super) fn take_silent(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.silent)
    }

    fn take_link(&mut self, link: RouterLink, now: Time) {
        let Self {
            engine,
            connections,
            last_number,
            changed,
            ..
        } = self;
        let connection = connections.entry(link.connection).or_insert_with(|| {
            *last_number += 1;
            Connection {
                number: NeighborLink(*last_number),
                control: None,
                data: [None; PRIORITIES],
                capacity: link.capacity,
            }
        });
        match link.priority {
            None => {
                connection.control = Some(link.link);
                engine.link_up(connection.number, link.cost, now);
            }
            Some(priority) => {
                if let Some(data) = connection.data.get_mut(usize::from(priority)) {
                    *data = Some(link.link);
                    *changed = true;
                }
            }
        }
    }

    fn drop_link(&mut self, link: OutLinkKey, now: Time) {
        let Self {
            engine,
            connections,
            changed,
            ..
        } = self;
        connections.retain(|_, connection| {
            if connection.control == Some(link) {
                connection.control = None;
                engine.link_down(connection.number, now);
            }
            for data in &mut connection.data {
                if *data == Some(link) {
                    *data = None;
                    *changed = true;
                }
            }
            connection.control.is_some() || connection.data.iter().any(Option::is_some)
        });
    }

    fn take_event(
        &mut self,
        event: MeshEvent,
        bindings: &mut Bindings,
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
            MeshEvent::Mapped { router, key, hint } => {
                let (treatment, priority) = remote_treatment(&key, hint, rules);
                bindings.map(router.0, &key, treatment, priority);
            }
            MeshEvent::Unmapped { router, key } => bindings.unmap(router.0, &key),
            MeshEvent::PathsChanged => self.changed = true,
            MeshEvent::NeighborDown { link, id } => {
                let mut connections = self.connections.iter();
                let still = connections.find(|(_, of)| of.number == link && of.control.is_some());
                self.silent.extend(still.map(|(connection, _)| connection));
                notices.push(Notice::Network(NetworkNotice::NeighborLost { id }));
            }
            said => notices.extend(self.notice(said).map(Notice::Network)),
        }
    }

    /// What the log is told of an event.
    fn notice(&self, event: MeshEvent) -> Option<NetworkNotice> {
        Some(match event {
            MeshEvent::NeighborUp { id, .. } => NetworkNotice::NeighborFound { id },
            MeshEvent::NeighborHeld { id, losses, hold } => {
                NetworkNotice::NeighborHeld { id, losses, hold }
            }
            MeshEvent::Restarted { id } => NetworkNotice::RouterRestarted { id },
            MeshEvent::Misbehaved {
                link,
                neighbor,
                why,
                more,
            } => self.misdeed(link, neighbor, why, more),
            _ => return None,
        })
    }

    fn misdeed(
        &self,
        link: NeighborLink,
        neighbor: Option<Arc<str>>,
        why: Misdeed,
        more: u64,
    ) -> NetworkNotice {
        let mut connections = self.connections.iter();
        let connection = connections.find(|(_, connection)| connection.number == link);
        let connection = connection.map(|(id, _)| *id);
        match why {
            Misdeed::OurIdentity => NetworkNotice::DuplicateRouter {
                connection,
                id: Arc::clone(&self.id),
                neighbor,
            },
            Misdeed::Version { id, version } => NetworkNotice::VersionMismatch {
                connection,
                id,
                version,
                own: mesh::VERSION,
                more,
            },
            why => NetworkNotice::RouterMisbehaved {
                connection,
                neighbor,
                why: why.to_string(),
                more,
            },
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
            let connection = self.connections.values().find(|of| of.number == number);
            if let Some(connection) = connection
                && let Ok(place) = u16::try_from(neighbors.len())
            {
                places.insert(number, place);
                neighbors.push(Neighbor {
                    router: index.0,
                    links: connection.data,
                    capacity: connection.capacity,
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
        (Some(rule), ..) => (rule.treatment, rule.priority),
        (None, Some(hint), _) => (hint, None),
        (None, None, Treatment::Unavailable) => (Treatment::AnycastBalanced, None),
        (None, None, treatment) => (treatment, None),
    }
}
