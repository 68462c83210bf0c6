//! Routers in memory, with clients: real shards, real control planes, no sockets or threads.
//!
//! Owns the carrying of bytes and mail between them, always in the same order and at the same
//! time, so that two runs cost the same. It never measures. Decision: the clients are protocol
//! engines as well, so a figure holds their share too; what a change to the shard makes of it is
//! seen all the same.

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{
    Attach, ReceiverSettleMode, Role, SenderSettleMode, Source, Str, Target, TargetArchetype,
};
use amqp_proto::{Clear, Time, Transform};
use bytes::Bytes;
use router_core::control::{Connect, ControlConfig, ControlPlane, Effect, LinkRule};
use router_core::counters::Counters;
use router_core::ids::{ConnKey, ConnectionId, Direction, ShardId};
use router_core::mail::Batch;
use router_core::route::Treatment;
use router_core::settings::{
    ConnectionRole, ConnectionSettings, MeshTimers, NewConnection, RouterMode, RouterSettings,
    StripAnnotations,
};
use router_core::shard::{Shard, ShardConfig};

use crate::client::Client;

/// Connections that were accepted are numbered from here on.
const ACCEPTED: u64 = 1_000;
/// The listener of a container.
const CONTAINER: &str = "container";
/// The connector of each router that has one.
const CONNECTOR: &str = "connector";
/// How long a network is left to itself before it is measured: until all know all.
const SETTLING: Duration = Duration::from_secs(20);
/// How often it has a turn in that time.
const PACE: Duration = Duration::from_millis(100);

/// Routers in a line, and everybody attached to them.
pub(crate) struct Bed {
    routers: Vec<Router>,
    /// Between neighbours, both ends of each.
    wires: Vec<[Plug; 2]>,
    clients: Vec<(Plug, Client)>,
    now: Time,
}

/// One router.
struct Router {
    shards: Vec<Shard>,
    control: ControlPlane,
}

/// A router's end of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Plug {
    router: usize,
    shard: usize,
    key: ConnKey,
}

impl Bed {
    /// A router of so many shards that deals unconfigured addresses as `treatment` has it.
    pub(crate) fn new(shards: u16, treatment: Treatment) -> Self {
        Self {
            routers: vec![Router::new(
                "bed",
                RouterMode::Standalone,
                shards,
                treatment,
            )],
            wires: Vec::new(),
            clients: Vec::new(),
            now: Time::from_millis(1),
        }
    }

    /// So many routers of one shard, each joined to the next.
    pub(crate) fn line(routers: usize, treatment: Treatment) -> Self {
        Self::line_through(routers, treatment, || [Box::new(Clear), Box::new(Clear)])
    }

    /// The same with what `stages` makes before both ends of a connection, the dialling one first.
    pub(crate) fn line_through(
        routers: usize,
        treatment: Treatment,
        stages: impl Fn() -> [Box<dyn Transform>; 2],
    ) -> Self {
        let interior = |number| {
            let id = format!("bed-{number}");
            Router::new(&id, RouterMode::Interior, 1, treatment)
        };
        let mut bed = Self {
            routers: (0..routers).map(interior).collect(),
            ..Self::new(1, treatment)
        };
        for dialler in 1..routers {
            let number = bed.routers[dialler].dial(bed.now);
            let [up, down] = stages();
            let dialled = bed.plug(dialler, 0, number, between(true), up);
            let number = bed.number();
            let accepted = bed.plug(dialler - 1, 0, number, between(false), down);
            bed.wires.push([dialled, accepted]);
        }
        bed
    }

    /// Lets time go by until the routers know of each other and of each other's addresses.
    pub(crate) fn settle(&mut self) {
        let end = self.now + SETTLING;
        while self.now < end {
            self.now = self.now + PACE;
            self.run();
        }
    }

    /// Connects a client to a router's shard and attaches a producer of an address.
    pub(crate) fn producer(&mut self, at: (usize, usize), address: &str, settled: bool) {
        let target = Target {
            address: Some(Str::copy(address)),
            ..Target::default()
        };
        let target = Some(TargetArchetype::Target(Box::new(target)));
        self.attach(
            at,
            Attach {
                initial_delivery_count: Some(0),
                target,
                ..attach(Role::Sender, Source::default())
            },
        );
        self.last().settled = settled;
    }

    /// Connects a client to a router's shard and attaches a consumer of an address, with credit.
    pub(crate) fn consumer(&mut self, at: (usize, usize), address: &str) {
        let source = Source {
            address: Some(Str::copy(address)),
            ..Source::default()
        };
        let target = Some(TargetArchetype::Target(Box::default()));
        self.attach(
            at,
            Attach {
                target,
                ..attach(Role::Receiver, source)
            },
        );
        self.last().grant();
        self.run();
    }

    /// The number of the next connection that a router accepts.
    fn number(&self) -> ConnectionId {
        ConnectionId(ACCEPTED + (self.clients.len() + self.wires.len()) as u64)
    }

    /// A connection of a router's shard.
    fn plug(
        &mut self,
        router: usize,
        shard: usize,
        connection: ConnectionId,
        settings: ConnectionSettings,
        transform: Box<dyn Transform>,
    ) -> Plug {
        let peer = format!("bed:{}", connection.0);
        let connection = NewConnection::accepted(connection, Arc::new(settings), peer);
        let key = self.routers[router].shards[shard].accept(connection, transform, self.now);
        Plug { router, shard, key }
    }

    /// Routes links that send to addresses below `prefix` at a router, each to the container there.
    pub(crate) fn route(&mut self, router: usize, prefix: &str) {
        let rule = LinkRule {
            name: None,
            identity: 0,
            prefix: Some(prefix.to_owned()),
            pattern: None,
            direction: Direction::In,
            container: None,
            connection: Some(CONTAINER.to_owned()),
            add_prefix: None,
            del_prefix: None,
        };
        let added = self.routers[router].control.add_link_route(rule);
        added.expect("a good rule");
        self.run();
    }

    /// Connects the container of routed links to a router's shard; it takes whatever is attached.
    pub(crate) fn container(&mut self, at: (usize, usize)) {
        let settings = ConnectionSettings {
            name: CONTAINER.to_owned(),
            role: ConnectionRole::RouteContainer,
            ..listener()
        };
        self.connect(at, settings);
    }

    fn attach(&mut self, at: (usize, usize), attach: Attach) {
        self.connect(at, listener());
        self.last().attach(attach);
        self.run();
    }

    fn connect(&mut self, (router, shard): (usize, usize), settings: ConnectionSettings) {
        let client = Client::new(self.clients.len() + 1, self.now);
        let plug = self.plug(router, shard, self.number(), settings, Box::new(Clear));
        self.clients.push((plug, client));
        self.run();
    }

    fn last(&mut self) -> &mut Client {
        let (_, client) = self.clients.last_mut().expect("somebody is connected");
        client
    }

    /// Every producer sends `count` messages with this content. Gives back how many messages
    /// consumers received and how many outcomes producers heard of, together.
    pub(crate) fn round(&mut self, count: u32, message: &Bytes) -> u64 {
        let before = self.concluded();
        for (_, client) in &mut self.clients {
            client.load(count);
        }
        loop {
            let mut moved = false;
            for (_, client) in &mut self.clients {
                moved |= client.send(message);
            }
            moved |= self.step();
            if !moved {
                break;
            }
        }
        self.concluded() - before
    }

    fn concluded(&self) -> u64 {
        self.clients
            .iter()
            .map(|(_, client)| client.concluded)
            .sum()
    }

    /// Moves bytes and mail until nothing moves.
    fn run(&mut self) {
        while self.step() {}
    }

    /// One turn of everybody. False: nothing moved.
    fn step(&mut self) -> bool {
        let mut moved = false;
        for (plug, client) in &mut self.clients {
            let written = client.written();
            if !written.is_empty() {
                let shard = &mut self.routers[plug.router].shards[plug.shard];
                hand_over(shard, plug.key, &written, self.now);
                moved = true;
            }
        }
        for router in 0..self.routers.len() {
            for index in 0..self.routers[router].shards.len() {
                let shard = &mut self.routers[router].shards[index];
                shard.turn(self.now);
                let posted: Vec<_> = shard.outboxes().drain().collect();
                moved |= self.routers[router].deliver(posted, self.now);
                moved |= self.write(router, index);
                let shard = &mut self.routers[router].shards[index];
                moved |= shard.is_runnable();
                shard.finish(&mut Vec::new());
            }
            let control = &mut self.routers[router].control;
            control.turn(self.now);
            let posted: Vec<_> = control.outboxes().drain().collect();
            moved |= self.routers[router].deliver(posted, self.now);
        }
        moved
    }

    /// What a shard has to say, to its clients and neighbours.
    fn write(&mut self, router: usize, shard: usize) -> bool {
        let mut moved = false;
        while let Some(key) = self.routers[router].shards[shard].poll_output() {
            let Some(queue) = self.routers[router].shards[shard].output(key) else {
                continue;
            };
            let mut bytes = queue.to_bytes();
            queue.consume(bytes.len());
            // What is sealed is sealed piece by piece.
            while let Some(queue) = self.routers[router].shards[shard].output(key)
                && !queue.is_empty()
            {
                bytes.extend(queue.to_bytes());
                queue.consume(queue.len());
            }
            self.routers[router].shards[shard].wrote(key);
            moved = true;
            let plug = Plug { router, shard, key };
            let other_end = |wire: &[Plug; 2]| match *wire {
                [one, other] if one == plug => Some(other),
                [other, one] if one == plug => Some(other),
                _ => None,
            };
            let mut clients = self.clients.iter_mut();
            if let Some((_, client)) = clients.find(|(at, _)| *at == plug) {
                client.take(Bytes::from(bytes), self.now);
            } else if let Some(peer) = self.wires.iter().find_map(other_end) {
                let shard = &mut self.routers[peer.router].shards[peer.shard];
                hand_over(shard, peer.key, &bytes, self.now);
            }
        }
        moved
    }
}

impl Router {
    fn new(id: &str, mode: RouterMode, shards: u16, treatment: Treatment) -> Self {
        let settings = Arc::new(RouterSettings {
            id: Arc::from(id),
            default_treatment: treatment,
            version: "bench",
            mode,
            timers: MeshTimers::default(),
            resumable_link_routes: true,
            trunk_connections: 1,
        });
        let counters = Counters::new(shards);
        let control = ControlPlane::new(ControlConfig {
            instance: 1,
            settings: Arc::clone(&settings),
            shards,
            seed: 1,
            counters: Arc::clone(&counters),
        });
        let shard = |id: u16| {
            Shard::new(ShardConfig {
                id: ShardId(id),
                shards,
                settings: Arc::clone(&settings),
                seed: u64::from(id) + 1,
                secret: [id.to_le_bytes()[0]; 32],
                table: Arc::clone(control.table()),
                counters: counters.writer(ShardId(id)),
            })
        };
        let shards = (0..shards).map(shard).collect();
        Self { shards, control }
    }

    /// Has a connector dial. Gives the number of the connection.
    fn dial(&mut self, now: Time) -> ConnectionId {
        self.control.connect(Connect {
            identity: Arc::from(CONNECTOR),
            host: String::new(),
            port: String::new(),
            settings: Arc::new(between(true)),
        });
        self.control.turn(now);
        let effect = self.control.poll_effect();
        let Some(Effect::Dial(dial)) = effect else {
            unreachable!("a new connector dials at once");
        };
        assert!(self.control.dialled(dial.connection), "it was wanted");
        dial.connection
    }

    /// Carries mail. False: there was none.
    fn deliver(&mut self, posted: Vec<(ShardId, Batch)>, now: Time) -> bool {
        let moved = !posted.is_empty();
        for (to, batch) in posted {
            match self.shards.get_mut(to.index()) {
                Some(shard) => shard.take_mail(batch, now),
                None => self.control.handle_mail(batch),
            }
        }
        moved
    }
}

/// A shard reads what has come for a connection.
fn hand_over(shard: &mut Shard, key: ConnKey, bytes: &[u8], now: Time) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let window = shard.window();
        let count = window.len().min(rest.len());
        window[..count].copy_from_slice(&rest[..count]);
        shard.received(key, count, now);
        rest = &rest[count..];
    }
}

fn attach(role: Role, source: Source) -> Attach {
    Attach {
        name: Str::from("link"),
        role,
        snd_settle_mode: SenderSettleMode::Mixed,
        rcv_settle_mode: ReceiverSettleMode::First,
        source: Some(source),
        ..Attach::default()
    }
}

/// Of a connection between routers.
fn between(dials: bool) -> ConnectionSettings {
    ConnectionSettings {
        connector: dials.then(|| Arc::from(CONNECTOR)),
        role: ConnectionRole::InterRouter,
        sasl_mechanisms: vec!["ANONYMOUS".to_owned()],
        strip_annotations: StripAnnotations {
            inbound: false,
            outbound: false,
        },
        ..listener()
    }
}

fn listener() -> ConnectionSettings {
    ConnectionSettings {
        name: "bed".to_owned(),
        ..ConnectionSettings::default()
    }
}
