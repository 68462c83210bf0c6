//! A router of ours, clients of it, and the incumbent, which says what it said on a recorded day.
//!
//! Only names that we had drawn at random are put in their places: those of links that we attach,
//! and of an address that is made for a client.

use std::collections::BTreeMap;

use amqp_codec::message::{self, Body, Message, MessageBuilder, RouterAnnotations};
use amqp_codec::{
    Attach, DeliveryState, Performative, Role, Symbol, TargetArchetype, Transfer, Value,
};
use amqp_proto::{Clear, LinkKey, Time};
use bytes::Bytes;

use super::world::World;
use crate::control::{Connect, Effect};
use crate::ids::ConnKey;
use crate::notice::{NetworkNotice, Notice};
use crate::route::{AddressRule, Treatment};
use crate::settings::{ConnectionRole, ConnectionSettings, NewConnection};
use crate::transcript::{self, Step};

/// How the names of our links look on the wire: their length, and what they begin with.
const OUR_NAME: &[u8] = b"\xa1\x17qdlink.";

/// A router of ours and what the incumbent is going to say to it.
pub(super) struct Scene {
    pub(super) world: World,
    steps: std::vec::IntoIter<Step>,
    pub(super) wires: BTreeMap<char, Wire>,
    /// What stands for a recorded name, and the name that is to be there.
    pub(super) temporary: Option<(String, String)>,
    /// The wires that the router has closed, with what went out on them.
    pub(super) closed: BTreeMap<char, Wire>,
}

/// A connection with the incumbent.
pub(super) struct Wire {
    key: ConnKey,
    /// What has gone out and is no whole frame yet.
    rest: Vec<u8>,
    /// The frames that have gone out.
    pub(super) sent: Vec<Frame>,
    /// The names of the links that we attached, and how many of them were answered.
    names: Vec<String>,
    answered: usize,
}

pub(super) struct Frame {
    pub(super) channel: u16,
    pub(super) performative: Performative,
    pub(super) payload: Bytes,
}

impl Scene {
    /// A router of this id, which has met nobody.
    pub(super) fn new(id: &str, text: &'static str) -> Self {
        let mut world = World::interior(id, 1, 8);
        for (prefix, treatment) in [
            ("closest", Treatment::AnycastClosest),
            ("multicast", Treatment::Multicast),
            ("balanced", Treatment::AnycastBalanced),
        ] {
            let rule = AddressRule::for_prefix(prefix, treatment);
            world.control.add_address(rule).unwrap();
        }
        world.run();
        Self {
            world,
            steps: transcript::steps(text).into_iter(),
            wires: BTreeMap::new(),
            temporary: None,
            closed: BTreeMap::new(),
        }
    }

    fn settings(&self, connector: Option<&str>) -> ConnectionSettings {
        ConnectionSettings {
            connector: connector.map(Into::into),
            role: ConnectionRole::InterRouter,
            ..self.world.listener.clone()
        }
    }

    /// The incumbent connects.
    pub(super) fn is_dialled(&mut self, wire: char) {
        let connection = self.world.control.deal_connection();
        let settings = self.settings(None).into();
        let new = NewConnection::accepted(connection, settings, format!("{wire}:1"));
        self.accept(wire, new);
    }

    /// The router connects to the incumbent.
    pub(super) fn dials(&mut self, wire: char) {
        let name = format!("connector/{wire}:1");
        let connect = Connect {
            identity: name.as_str().into(),
            host: wire.to_string(),
            port: "1".to_owned(),
            settings: self.settings(Some(&name)).into(),
        };
        assert!(self.world.control.connect(connect));
        self.world.pass(10);
        while let Some(effect) = self.world.control.poll_effect() {
            let Effect::Dial(dial) = effect else { continue };
            assert!(self.world.control.dialled(dial.connection));
            return self.accept(wire, dial.connected());
        }
        panic!("nothing is dialled");
    }

    fn accept(&mut self, wire: char, new: NewConnection) {
        let now = self.world.now;
        let key = self.world.shards[0].accept(new, Box::new(Clear), now);
        self.world.wires.insert((0, key), Vec::new());
        let new = Wire {
            key,
            rest: Vec::new(),
            sent: Vec::new(),
            names: Vec::new(),
            answered: 0,
        };
        self.wires.insert(wire, new);
        self.run();
    }

    /// The incumbent says what it said in the next step, which has this name.
    pub(super) fn play(&mut self, name: &str) {
        self.play_with(name, |_| {});
    }

    /// The same, with something to do after each frame.
    pub(super) fn play_with(&mut self, name: &str, mut then: impl FnMut(&mut World)) {
        let step = self.steps.next().unwrap();
        assert_eq!(step.name, name);
        self.run();
        for said in step.said {
            let at = Time::from_millis(said.millis);
            if at > self.world.now {
                self.world.now = at;
                self.run();
            }
            match said.bytes {
                Some(bytes) => self.hear(said.wire, bytes),
                None => self.lose(said.wire),
            }
            self.run();
            then(&mut self.world);
            self.run();
        }
    }

    fn hear(&mut self, wire: char, mut bytes: Vec<u8>) {
        if self.closed.contains_key(&wire) {
            return;
        }
        let wire = self.wires.get_mut(&wire).unwrap();
        if let Some(at) = find(&bytes, OUR_NAME) {
            let at = at + 2;
            let name = wire.names[wire.answered].as_bytes();
            wire.answered += 1;
            bytes[at..at + name.len()].copy_from_slice(name);
        }
        if let Some((before, name)) = &self.temporary {
            assert_eq!(before.len(), name.len());
            while let Some(at) = find(&bytes, before.as_bytes()) {
                bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
            }
        }
        let now = self.world.now;
        let shard = &mut self.world.shards[0];
        for chunk in bytes.chunks(8192) {
            shard.window()[..chunk.len()].copy_from_slice(chunk);
            shard.received(wire.key, chunk.len(), now);
        }
    }

    /// The incumbent's socket ends.
    fn lose(&mut self, wire: char) {
        let Some(wire) = self.wires.remove(&wire) else {
            assert!(self.closed.contains_key(&wire));
            return;
        };
        self.world.wires.remove(&(0, wire.key));
        let now = self.world.now;
        self.world.shards[0].end_of_input(wire.key, None, now);
    }

    /// Lets the router do what it has to, and reads what it says to the incumbent.
    pub(super) fn run(&mut self) {
        self.world.run();
        self.world.control.drain_notices(&mut self.world.notices);
        for wire in self.wires.values_mut() {
            let sent = self.world.wires.get_mut(&(0, wire.key)).unwrap();
            wire.rest.append(sent);
            wire.read();
        }
        let over = &self.world.closed;
        let closed = self
            .wires
            .extract_if(.., |_, wire| over.contains(&(0, wire.key)));
        self.closed.extend(closed);
    }

    /// A client.
    pub(super) fn client(&mut self) -> usize {
        self.world.connect(0)
    }

    /// Nothing was said that the router found wrong.
    pub(super) fn nobody_complains(&self) {
        assert!(self.closed.is_empty(), "{:?}", self.world.notices);
        let notices = self.world.notices.iter();
        let complaints: Vec<_> = notices.filter(|notice| complains(notice)).collect();
        assert!(complaints.is_empty(), "{complaints:?}");
    }

    /// The routers that can be reached, with what that costs.
    pub(super) fn routers(&self) -> Vec<(String, u32)> {
        let nodes = self.world.control.nodes().into_iter();
        nodes
            .filter_map(|node| Some((node.id.to_string(), node.cost?)))
            .collect()
    }

    /// The routers with consumers of an address.
    pub(super) fn consumers_at(&self, address: &str) -> Vec<String> {
        let row = self.world.control.address(&format!("M0{address}"));
        let routers = row.map(|row| row.routers).unwrap_or_default();
        let mut ids: Vec<_> = routers.iter().map(ToString::to_string).collect();
        ids.sort();
        ids
    }

    /// Sends a message; its delivery-id.
    pub(super) fn send(&mut self, peer: usize, link: LinkKey, message: &[u8]) -> u32 {
        assert!(self.world.send(peer, link, message, false), "no credit");
        self.world.peers[peer].engine.last_delivery_id(link)
    }

    pub(super) fn outcome(&self, peer: usize, id: u32) -> DeliveryState {
        let told = self.world.peers[peer].outcome(id);
        let (state, settled) = told.expect("an outcome");
        assert!(settled);
        state.expect("an outcome")
    }

    /// The message that a client got last, and what it is to be settled by.
    pub(super) fn last(&self, peer: usize, link: LinkKey) -> (u32, Message) {
        let got = &self.world.peers[peer].messages;
        let (_, id, bytes) = got.iter().rfind(|(at, _, _)| *at == link).unwrap();
        (*id, message::parse(&Bytes::from(bytes.clone())).unwrap())
    }

    /// The transfer that went out to the incumbent last, what routers said on it, and the message.
    pub(super) fn last_sent(&self, wire: char) -> (Transfer, RouterAnnotations, Bytes) {
        let sent = self.wires[&wire].sent.iter().rev();
        let mut data = sent.filter(|frame| frame.channel != 0);
        let last = data.find_map(|frame| match &frame.performative {
            Performative::Transfer(transfer) => Some((transfer.clone(), &frame.payload)),
            _ => None,
        });
        let (transfer, payload) = last.expect("a message");
        (transfer, annotations(payload), payload.clone())
    }
}

impl Wire {
    fn read(&mut self) {
        loop {
            let size = match self.rest.first_chunk() {
                Some(b"AMQP") => 8,
                Some(size) => u32::from_be_bytes(*size) as usize,
                None => return,
            };
            if self.rest.len() < size {
                return;
            }
            let rest = self.rest.split_off(size);
            let frame = std::mem::replace(&mut self.rest, rest);
            let Some((channel, performative, payload)) = transcript::frame(&frame) else {
                continue;
            };
            if let Performative::Attach(attach) = &performative
                && find(&frame, OUR_NAME).is_some()
            {
                self.names.push(attach.name.to_string());
            }
            if let Performative::Attach(attach) = &performative {
                assert!(is_bare(&frame, &capability(attach)), "{attach:?}");
            }
            self.sent.push(Frame {
                channel,
                performative,
                payload,
            });
        }
    }

    /// What was said of messages that came: their states, and whether they are settled by it.
    pub(super) fn dispositions(&self) -> Vec<(Option<DeliveryState>, bool)> {
        let told = self
            .sent
            .iter()
            .filter_map(|frame| match &frame.performative {
                Performative::Disposition(told) if told.role == Role::Receiver => {
                    Some((told.state.clone(), told.settled))
                }
                _ => None,
            });
        told.collect()
    }

    /// How many messages have gone out, those of the routing protocol not among them.
    pub(super) fn messages(&self) -> usize {
        let data = self.sent.iter().filter(|frame| frame.channel != 0);
        data.filter(|frame| matches!(frame.performative, Performative::Transfer(_)))
            .count()
    }

    /// The attaches that have gone out, with their channels.
    pub(super) fn attaches(&self) -> Vec<(u16, &Attach)> {
        let attaches = self
            .sent
            .iter()
            .filter_map(|frame| match &frame.performative {
                Performative::Attach(attach) => Some((frame.channel, &**attach)),
                _ => None,
            });
        attaches.collect()
    }
}

/// Whether a notice is of something that should not be.
fn complains(notice: &Notice) -> bool {
    match notice {
        Notice::LinkRefused { .. } | Notice::PeerMisbehaved { .. } => true,
        Notice::Network(network) => matches!(
            network,
            NetworkNotice::DuplicateRouter { .. }
                | NetworkNotice::VersionMismatch { .. }
                | NetworkNotice::RouterMisbehaved { .. }
                | NetworkNotice::NeighborHeld { .. }
        ),
        _ => false,
    }
}

pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

/// What routers say on a message.
pub(super) fn annotations(payload: &Bytes) -> RouterAnnotations {
    let sections = message::scan_one(payload, message::Depth::Properties).unwrap();
    let range = sections.message_annotations.expect("annotations");
    let section = payload.slice(range.start as usize..range.end as usize);
    message::split(&section, true).unwrap().router
}

pub(super) fn trace(annotations: &RouterAnnotations) -> Vec<&str> {
    annotations.trace.iter().collect()
}

pub(super) fn text(text: &'static str) -> Bytes {
    MessageBuilder::new().value(text).build()
}

pub(super) fn body(message: &Message) -> &str {
    match &message.body {
        Body::Value(value) => value.as_str().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The only capability of both ends of a link.
fn capability(attach: &Attach) -> String {
    let Some(TargetArchetype::Target(target)) = &attach.target else {
        panic!("{attach:?}");
    };
    let source = attach.source.as_ref().unwrap();
    assert_eq!(source.capabilities, target.capabilities);
    let [symbol] = &source.capabilities[..] else {
        panic!("{attach:?}");
    };
    symbol.to_string()
}

/// Whether both capabilities are written as a symbol each, behind a field that is null. As arrays
/// of one symbol, which mean the same, they are not understood.
fn is_bare(attach: &[u8], capability: &str) -> bool {
    let length = u8::try_from(capability.len()).unwrap();
    let symbol = [&[0x40, 0xa3, length], capability.as_bytes()].concat();
    let found = attach.windows(symbol.len());
    found.filter(|part| *part == symbol).count() == 2
}

/// What the incumbent looks for in an Open.
pub(super) fn check_open(wire: &Wire, id: &str) {
    let open = wire
        .sent
        .iter()
        .find_map(|frame| match &frame.performative {
            Performative::Open(open) => Some(open),
            _ => None,
        });
    let open = open.unwrap();
    assert_eq!(&*open.container_id, id);
    let streams = Symbol::from("qd.streaming-links");
    assert!(open.offered_capabilities.contains(&streams), "{open:?}");
    let properties = open.properties.as_ref().unwrap().value().unwrap();
    let properties = properties.as_map().unwrap();
    for (key, value) in properties.iter() {
        assert!(matches!(key, Value::Symbol(_)), "it stops at {key:?}");
        if key.as_str() == Some("qd.annotations-version") {
            assert_eq!(value, &Value::Int(1));
        }
    }
}

/// One pair of links for the routing protocol, and one for each priority, each pair on a session.
pub(super) fn check_links(wire: &Wire) {
    let attaches = wire.attaches();
    for channel in 0..11 {
        let pair = attaches.iter().filter(|(at, _)| *at == channel);
        let pair: Vec<_> = pair
            .map(|(_, attach)| (attach.role, capability(attach)))
            .collect();
        let kind = ["qd.router", "qd.router-data"][usize::from(channel > 0)];
        for role in [Role::Receiver, Role::Sender] {
            assert!(
                pair.contains(&(role, kind.to_owned())),
                "{channel}: {pair:?}"
            );
        }
    }
}
