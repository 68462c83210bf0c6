//! A router in memory, with hostile peers and an honest pair.
//!
//! Owns the carrying of bytes and mail between shards, control plane and peers. It never looks at
//! what the hostile peers are sent. Decision: the honest pair is connected before the others and
//! stays, since what one peer does to another is what matters most.

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{
    Attach, DeliveryState, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode, Source, Str,
    Target, TargetArchetype,
};
use amqp_proto::{
    Clear, Config, Connection, Event, LinkKey, OutTransfer, Payload, RecvBuf, SendQueue, Sent,
    SessionKey, Time,
};
use bytes::Bytes;

use crate::control::{ControlConfig, ControlPlane};
use crate::counters::{Counter, Counters};
use crate::ids::{ConnKey, ConnectionId, ShardId};
use crate::mail::Batch;
use crate::route::Treatment;
use crate::settings::{ConnectionSettings, MeshTimers, NewConnection, RouterMode, RouterSettings};
use crate::shard::{Shard, ShardConfig};

/// The place of the first hostile peer; before it are honest producer and consumer.
pub(super) const FIRST_HOSTILE: usize = 2;
/// The address of the honest pair.
const HONEST: &str = "honest";
/// A message of one data section.
const MESSAGE: &[u8] = &[0x00, 0x53, 0x75, 0xa0, 0x02, b'h', b'i'];
/// Steps after which a router that still moves is taken to move for ever.
const STEPS_MAX: usize = 20_000;

/// The router and its peers.
pub(super) struct Rig {
    shards: Vec<Shard>,
    control: ControlPlane,
    counters: Arc<Counters>,
    peers: Vec<Peer>,
    now: Time,
    connections: u64,
}

/// A peer, connected or not.
#[derive(Default)]
struct Peer {
    at: Option<(usize, ConnKey)>,
    /// It reads nothing for the time being.
    is_stalled: bool,
    honest: Option<Box<Honest>>,
}

/// A client that keeps to the standard.
struct Honest {
    engine: Connection,
    input: RecvBuf,
    output: SendQueue,
    session: Option<SessionKey>,
    link: Option<LinkKey>,
    /// Messages received, or outcomes heard of.
    concluded: usize,
}

impl Rig {
    /// A router without peers.
    pub(super) fn new(shards: u16) -> Self {
        let settings = Arc::new(RouterSettings {
            id: Arc::from("rig"),
            default_treatment: Treatment::AnycastBalanced,
            version: "fuzz",
            mode: RouterMode::Standalone,
            timers: MeshTimers::default(),
            resumable_link_routes: true,
            trunk_connections: 1,
        });
        let counters = Counters::new(shards);
        let mut control = ControlPlane::new(ControlConfig {
            instance: 1,
            settings: Arc::clone(&settings),
            shards,
            seed: 1,
            counters: Arc::clone(&counters),
        });
        control.turn(Time::ZERO);
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
        let peers = (0..8).map(|_| Peer::default()).collect();
        Self {
            shards,
            control,
            counters,
            peers,
            now: Time::from_millis(1),
            connections: 0,
        }
    }

    /// How many addresses have a record.
    pub(super) fn address_count(&self) -> usize {
        self.control.address_count()
    }

    /// Connections and deliveries that shards still have.
    pub(super) fn left(&self) -> (usize, usize) {
        let connections = self.shards.iter().map(Shard::connection_count).sum();
        (
            connections,
            self.shards.iter().map(Shard::deliveries_in_flight).sum(),
        )
    }

    /// Deliveries that were accepted.
    pub(super) fn accepted(&self) -> u64 {
        self.counters.total(Counter::AcceptedDeliveries)
    }

    fn accept(&mut self, peer: usize, shard: usize, idle: Option<Duration>) {
        let shard = shard % self.shards.len();
        self.connections += 1;
        let accepted = NewConnection {
            traced: self.connections.is_multiple_of(3),
            ..NewConnection::accepted(
                ConnectionId(self.connections),
                Arc::new(listener(idle)),
                format!("rig:{peer}"),
            )
        };
        let key = self.shards[shard].accept(accepted, Box::new(Clear), self.now);
        self.peers[peer].at = Some((shard, key));
        self.peers[peer].is_stalled = false;
    }

    /// Connects a hostile peer, unless it is.
    pub(super) fn connect_hostile(&mut self, peer: usize, shard: usize) {
        if self.peers[peer].at.is_none() {
            self.accept(peer, shard, Some(Duration::from_secs(16)));
        }
    }

    /// Connects the honest producer and consumer, on different shards if there are two.
    pub(super) fn connect_honest_pair(&mut self) {
        for (peer, role) in [(0, Role::Sender), (1, Role::Receiver)] {
            self.accept(peer, peer, None);
            self.peers[peer].honest = Some(Box::new(Honest::new(self.now)));
            self.run();
            self.honest(peer).attach(role);
            self.run();
        }
    }

    fn honest(&mut self, peer: usize) -> &mut Honest {
        self.peers[peer]
            .honest
            .as_mut()
            .expect("the first peers are honest")
    }

    /// Whether a message of the honest producer reaches the consumer, and its outcome the producer.
    pub(super) fn exchange(&mut self) -> bool {
        let before = self.accepted();
        self.honest(0).send();
        self.run();
        self.accepted() == before + 1
            && (0..FIRST_HOSTILE).all(|peer| self.honest(peer).concluded == 1)
    }

    /// A hostile peer writes, in two parts if `cut` lies within.
    pub(super) fn write(&mut self, peer: usize, bytes: &[u8], cut: usize) {
        let (head, tail) = bytes.split_at(cut.min(bytes.len()));
        for part in [head, tail] {
            self.feed(peer, part);
        }
    }

    fn feed(&mut self, peer: usize, mut bytes: &[u8]) {
        while let (Some((shard, key)), false) = (self.peers[peer].at, bytes.is_empty()) {
            let shard = &mut self.shards[shard];
            let window = shard.window();
            let count = window.len().min(bytes.len());
            window[..count].copy_from_slice(&bytes[..count]);
            shard.received(key, count, self.now);
            bytes = &bytes[count..];
            if shard.is_behind(key) {
                self.run();
            }
        }
    }

    /// A peer stops reading, or reads again.
    pub(super) fn stall(&mut self, peer: usize) {
        self.peers[peer].is_stalled = !self.peers[peer].is_stalled;
    }

    /// A peer's socket breaks.
    pub(super) fn vanish(&mut self, peer: usize) {
        if let Some((shard, key)) = self.peers[peer].at {
            self.shards[shard].end_of_input(key, None, self.now);
            self.peers[peer].is_stalled = false;
        }
    }

    /// Everybody goes.
    pub(super) fn vanish_all(&mut self) {
        (0..self.peers.len()).for_each(|peer| self.vanish(peer));
    }

    /// Time passes, in steps in which timers can fire, and of which none is taken for a sleep.
    pub(super) fn pass(&mut self, time: Duration) {
        let steps = u32::try_from(time.as_secs() + 1).unwrap_or(u32::MAX).max(4);
        for _ in 0..steps {
            self.now = self.now + time / steps;
            self.run();
        }
    }

    /// Moves bytes and mail until nothing moves.
    pub(super) fn run(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("the router does not come to rest");
    }

    fn step(&mut self) -> bool {
        let mut moved = false;
        for peer in 0..FIRST_HOSTILE {
            let Some(honest) = &mut self.peers[peer].honest else {
                continue;
            };
            let bytes = honest.output.to_bytes();
            honest.output.consume(bytes.len());
            moved |= !bytes.is_empty();
            self.feed_once(peer, &bytes);
        }
        for index in 0..self.shards.len() {
            self.shards[index].turn(self.now);
            let posted: Vec<_> = self.shards[index].outboxes().drain().collect();
            moved |= self.deliver(posted);
            moved |= self.read(index);
            moved |= self.shards[index].is_runnable();
            self.shards[index].finish(&mut Vec::new());
        }
        self.control.turn(self.now);
        while let Some(request) = self.control.poll_request() {
            self.control.settle(&request, DeliveryState::Accepted);
        }
        let posted: Vec<_> = self.control.outboxes().drain().collect();
        moved | self.deliver(posted)
    }

    fn feed_once(&mut self, peer: usize, bytes: &[u8]) {
        let Some((shard, key)) = self.peers[peer].at else {
            return;
        };
        for part in bytes.chunks(8192) {
            self.shards[shard].window()[..part.len()].copy_from_slice(part);
            self.shards[shard].received(key, part.len(), self.now);
        }
    }

    fn deliver(&mut self, posted: Vec<(ShardId, Batch)>) -> bool {
        let moved = !posted.is_empty();
        for (to, batch) in posted {
            match self.shards.get_mut(to.index()) {
                Some(shard) => shard.take_mail(batch, self.now),
                None => self.control.handle_mail(batch),
            }
        }
        moved
    }

    /// The peers of a shard read what it has for them, but those that are stalled.
    fn read(&mut self, index: usize) -> bool {
        let mut moved = false;
        while self.shards[index].poll_output().is_some() {}
        for peer in &mut self.peers {
            let Some((_, key)) = peer.at.filter(|(shard, _)| *shard == index) else {
                continue;
            };
            let Some(output) = self.shards[index].output(key) else {
                continue;
            };
            if peer.is_stalled || output.is_empty() {
                continue;
            }
            let bytes = output.to_bytes();
            output.consume(bytes.len());
            self.shards[index].wrote(key);
            moved = true;
            if let Some(honest) = &mut peer.honest {
                honest.take(Bytes::from(bytes), self.now);
            }
        }
        while let Some(key) = self.shards[index].poll_closed() {
            moved = true;
            for peer in &mut self.peers {
                peer.at = peer.at.filter(|at| *at != (index, key));
            }
        }
        moved
    }
}

impl Honest {
    fn new(now: Time) -> Self {
        let config = Config {
            initiator: true,
            container_id: Str::from("honest"),
            ..Config::default()
        };
        let mut engine = Connection::new(Arc::new(config), now);
        let mut output = SendQueue::new();
        engine.start(&mut output);
        Self {
            engine,
            input: RecvBuf::new(),
            output,
            session: None,
            link: None,
            concluded: 0,
        }
    }

    fn attach(&mut self, role: Role) {
        let address = |of: Role| (of == role).then(|| Str::from(HONEST));
        let attach = Attach {
            name: Str::from("link"),
            role,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(Source {
                address: address(Role::Receiver),
                ..Source::default()
            }),
            target: Some(TargetArchetype::Target(Box::new(Target {
                address: address(Role::Sender),
                ..Target::default()
            }))),
            initial_delivery_count: (role == Role::Sender).then_some(0),
            ..Attach::default()
        };
        let session = self
            .engine
            .begin(&mut self.output)
            .expect("the first session");
        let link = self
            .engine
            .attach(session, attach, &mut self.output)
            .expect("the first link");
        if role == Role::Receiver {
            self.engine.set_credit(link, 10, false, &mut self.output);
        }
        self.session = Some(session);
        self.link = Some(link);
    }

    fn send(&mut self) {
        let link = self.link.expect("it is attached");
        let transfer = OutTransfer::new(0, DeliveryTag::default());
        let payload = Payload::from(Bytes::from_static(MESSAGE));
        let sent = self
            .engine
            .send_transfer(link, &transfer, &[], &payload, &mut self.output);
        assert_eq!(
            sent,
            Sent::Whole,
            "the producer has credit: its consumer is there"
        );
    }

    fn take(&mut self, bytes: Bytes, now: Time) {
        self.input.push(bytes);
        let mut tokens = Vec::new();
        while let Ok(Some(event)) = self
            .engine
            .poll_event(&mut self.input, &mut self.output, now)
        {
            match event {
                Event::Transfer { link, delivery, .. } => {
                    self.engine.track(link, delivery.delivery_id, 0);
                    self.concluded += 1;
                    let session = self.session.expect("links have a session");
                    let (id, accepted) = (delivery.delivery_id, Some(DeliveryState::Accepted));
                    self.engine
                        .queue_disposition(session, Role::Receiver, id, true, accepted);
                    self.engine.flush_dispositions(session, &mut self.output);
                }
                Event::Disposition {
                    session,
                    disposition,
                } => {
                    self.engine.disposed(session, &disposition, &mut tokens);
                }
                _ => {}
            }
        }
        self.concluded += tokens.len();
    }
}

fn listener(idle_time_out: Option<Duration>) -> ConnectionSettings {
    ConnectionSettings {
        name: "rig".to_owned(),
        max_sessions: 3,
        idle_time_out,
        handshake_time_out: Some(Duration::from_secs(10)),
        link_capacity: 20,
        sasl_mechanisms: vec!["ANONYMOUS".to_owned()],
        ..ConnectionSettings::default()
    }
}
