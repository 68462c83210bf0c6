//! A router in memory, with clients: real shards, the real control plane, no sockets or threads.
//!
//! Owns the carrying of bytes and mail between them, always in the same order and at the same
//! time, so that two runs cost the same. It never measures. Decision: the clients are protocol
//! engines as well, so a figure holds their share too; what a change to the shard makes of it is
//! seen all the same.

use std::sync::Arc;

use amqp_codec::{
    Attach, DeliveryState, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode, Source, Str,
    Target, TargetArchetype,
};
use amqp_proto::{
    Clear, Config, Connection, Event, LinkKey, OutTransfer, Payload, RecvBuf, SendQueue, Sent,
    SessionKey, Time,
};
use bytes::Bytes;
use router_core::control::{ControlConfig, ControlPlane};
use router_core::counters::Counters;
use router_core::ids::{ConnKey, ConnectionId, ShardId};
use router_core::mail::Batch;
use router_core::route::Treatment;
use router_core::settings::{
    ConnectionRole, ConnectionSettings, MeshTimers, NewConnection, RouterMode, RouterSettings,
    StripAnnotations,
};
use router_core::shard::{Shard, ShardConfig};

/// Credit of a consumer: more than any round sends.
const CREDIT: u32 = 1_000;

/// The router and everybody attached to it.
pub(crate) struct Bed {
    shards: Vec<Shard>,
    control: ControlPlane,
    clients: Vec<Client>,
    now: Time,
}

/// A client with one session and one link.
struct Client {
    shard: usize,
    key: ConnKey,
    engine: Connection,
    session: Option<SessionKey>,
    link: Option<LinkKey>,
    input: RecvBuf,
    output: SendQueue,
    /// What is left of the message being sent.
    left: Payload,
    /// Messages not yet begun.
    unsent: u32,
    settled: bool,
    /// Whole messages received, or outcomes heard of.
    concluded: u64,
}

impl Bed {
    /// A router of so many shards that deals unconfigured addresses as `treatment` has it.
    pub(crate) fn new(shards: u16, treatment: Treatment) -> Self {
        let settings = Arc::new(RouterSettings {
            id: Arc::from("bed"),
            default_treatment: treatment,
            version: "bench",
            mode: RouterMode::Standalone,
            timers: MeshTimers::default(),
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
        Self {
            shards,
            control,
            clients: Vec::new(),
            now: Time::from_millis(1),
        }
    }

    /// Connects a client to a shard and attaches a producer of an address.
    pub(crate) fn producer(&mut self, shard: usize, address: &str, settled: bool) {
        let target = Target {
            address: Some(Str::copy(address)),
            ..Target::default()
        };
        let target = Some(TargetArchetype::Target(Box::new(target)));
        self.attach(
            shard,
            Attach {
                initial_delivery_count: Some(0),
                target,
                ..attach(Role::Sender, Source::default())
            },
        );
        if let Some(client) = self.clients.last_mut() {
            client.settled = settled;
        }
    }

    /// Connects a client to a shard and attaches a consumer of an address, with credit.
    pub(crate) fn consumer(&mut self, shard: usize, address: &str) {
        let source = Source {
            address: Some(Str::copy(address)),
            ..Source::default()
        };
        let target = Some(TargetArchetype::Target(Box::default()));
        self.attach(
            shard,
            Attach {
                target,
                ..attach(Role::Receiver, source)
            },
        );
        if let Some(client) = self.clients.last_mut()
            && let Some(link) = client.link
        {
            client
                .engine
                .set_credit(link, CREDIT, false, &mut client.output);
        }
        self.run();
    }

    fn attach(&mut self, shard: usize, attach: Attach) {
        let number = self.clients.len() as u64 + 1;
        let config = Config {
            initiator: true,
            container_id: Str::copy(&format!("client-{number}")),
            session_window: 10_000,
            ..Config::default()
        };
        let mut engine = Connection::new(Arc::new(config), self.now);
        let mut output = SendQueue::new();
        engine.start(&mut output);
        let accepted = NewConnection::accepted(
            ConnectionId(number),
            Arc::new(listener()),
            format!("bed:{number}"),
        );
        let key = self.shards[shard].accept(accepted, Box::new(Clear), self.now);
        self.clients.push(Client {
            shard,
            key,
            engine,
            session: None,
            link: None,
            input: RecvBuf::new(),
            output,
            left: Payload::default(),
            unsent: 0,
            settled: false,
            concluded: 0,
        });
        self.run();
        let client = self.clients.last_mut().expect("it was just pushed");
        let session = client
            .engine
            .begin(&mut client.output)
            .expect("it is the first session");
        let link = client.engine.attach(session, attach, &mut client.output);
        client.session = Some(session);
        client.link = Some(link.expect("it is the first link"));
        self.run();
    }

    /// Every producer sends `count` messages with this content. Gives back how many messages
    /// consumers received and how many outcomes producers heard of, together.
    pub(crate) fn round(&mut self, count: u32, message: &Bytes) -> u64 {
        let before: u64 = self.clients.iter().map(|client| client.concluded).sum();
        for client in self
            .clients
            .iter_mut()
            .filter(|client| client.is_producer())
        {
            client.unsent = count;
        }
        loop {
            let mut moved = false;
            for client in &mut self.clients {
                moved |= client.send(message);
            }
            moved |= self.step();
            if !moved {
                break;
            }
        }
        self.clients
            .iter()
            .map(|client| client.concluded)
            .sum::<u64>()
            - before
    }

    /// Moves bytes and mail until nothing moves.
    fn run(&mut self) {
        while self.step() {}
    }

    /// One turn of everybody. False: nothing moved.
    fn step(&mut self) -> bool {
        let mut moved = false;
        for client in &mut self.clients {
            moved |= client.feed(&mut self.shards[client.shard], self.now);
        }
        for index in 0..self.shards.len() {
            self.shards[index].turn(self.now);
            let posted: Vec<_> = self.shards[index].outboxes().drain().collect();
            moved |= self.deliver(posted);
            moved |= self.write(index);
            moved |= self.shards[index].is_runnable();
            self.shards[index].finish(&mut Vec::new());
        }
        self.control.turn(self.now);
        let posted: Vec<_> = self.control.outboxes().drain().collect();
        moved | self.deliver(posted)
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

    /// What a shard has to say, to its clients.
    fn write(&mut self, index: usize) -> bool {
        let mut moved = false;
        while let Some(key) = self.shards[index].poll_output() {
            let Some(queue) = self.shards[index].output(key) else {
                continue;
            };
            let bytes = queue.to_bytes();
            queue.consume(bytes.len());
            self.shards[index].wrote(key);
            moved = true;
            let mine = |client: &&mut Client| client.shard == index && client.key == key;
            if let Some(client) = self.clients.iter_mut().find(mine) {
                client.take(Bytes::from(bytes), self.now);
            }
        }
        moved
    }
}

impl Client {
    fn is_producer(&self) -> bool {
        self.link.and_then(|link| self.engine.link_role(link)) == Some(Role::Sender)
    }

    /// Sends what credit, window and queue let. False: nothing was sent.
    fn send(&mut self, message: &Bytes) -> bool {
        let Some(link) = self.link else { return false };
        let mut moved = false;
        while self.unsent > 0 || !self.left.is_empty() {
            if self.left.is_empty() {
                self.left = Payload::from(message.clone());
                self.unsent -= 1;
            }
            let transfer = OutTransfer {
                settled: self.settled,
                ..OutTransfer::new(0, DeliveryTag::default())
            };
            match self
                .engine
                .send_transfer(link, &transfer, &[], &self.left, &mut self.output)
            {
                Sent::Whole => self.left = Payload::default(),
                Sent::Part(count) => self.left.advance(count),
                Sent::Blocked => return moved,
            }
            moved = true;
        }
        moved
    }

    /// Hands what the client has written to its shard.
    fn feed(&mut self, shard: &mut Shard, now: Time) -> bool {
        if self.output.is_empty() {
            return false;
        }
        let bytes = self.output.to_bytes();
        self.output.consume(bytes.len());
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let window = shard.window();
            let count = window.len().min(rest.len());
            window[..count].copy_from_slice(&rest[..count]);
            shard.received(self.key, count, now);
            rest = &rest[count..];
        }
        true
    }

    /// Reads what the router has written: accepts messages, hears of outcomes.
    fn take(&mut self, bytes: Bytes, now: Time) {
        self.input.push(bytes);
        let mut tokens = Vec::new();
        while let Ok(Some(event)) = self
            .engine
            .poll_event(&mut self.input, &mut self.output, now)
        {
            match event {
                Event::Transfer { link, delivery, .. } => {
                    if delivery.first && !delivery.settled {
                        self.engine.track(link, delivery.delivery_id, 0);
                    }
                    if delivery.more {
                        continue;
                    }
                    self.concluded += 1;
                    if let (Some(session), false) = (self.session, delivery.settled) {
                        let accepted = Some(DeliveryState::Accepted);
                        let id = delivery.delivery_id;
                        self.engine
                            .queue_disposition(session, Role::Receiver, id, true, accepted);
                    }
                    if self.engine.credit(link) < CREDIT / 2 {
                        self.engine
                            .set_credit(link, CREDIT, false, &mut self.output);
                    }
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
        self.concluded += tokens.len() as u64;
        if let Some(session) = self.session {
            self.engine.flush_dispositions(session, &mut self.output);
            self.engine.flush_session(session, &mut self.output);
        }
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

fn listener() -> ConnectionSettings {
    ConnectionSettings {
        name: "bed".to_owned(),
        connector: None,
        role: ConnectionRole::Normal,
        cost: 1,
        max_frame_size: 16_384,
        max_sessions: 32_768,
        max_session_frames: None,
        idle_time_out: None,
        loss_detection: None,
        handshake_time_out: None,
        link_capacity: 250,
        strip_annotations: StripAnnotations {
            inbound: true,
            outbound: true,
        },
        authenticate_peer: false,
        sasl_mechanisms: Vec::new(),
        open_properties: Vec::new(),
    }
}
