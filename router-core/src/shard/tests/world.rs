//! The smallest world a router lives in: shards and control plane exchange batches until nobody has
//! any, peers are protocol engines whose bytes are handed over at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use amqp_codec::{
    AmqpError, Attach, DeliveryState, DeliveryTag, Disposition, Encoded, FrameType, Map,
    Performative, Role, SenderSettleMode, Source, Str, Symbol, Target, TargetArchetype, Value,
    begin_frame, end_frame,
};
use amqp_proto::{
    Clear, Config, Connection, Event, LinkKey, OutTransfer, Payload, RecvBuf, SendQueue, Sent,
    SessionKey, Time, Transform,
};
use bytes::{Bytes, BytesMut};

use crate::control::{ControlConfig, ControlPlane};
use crate::counters::Counters;
use crate::ids::{ConnKey, ShardId};
use crate::mail::{Batch, Command, Mail};
use crate::notice::Notice;
use crate::route::Treatment;
use crate::settings::{ConnectionSettings, MeshTimers, NewConnection, RouterMode, RouterSettings};
use crate::shard::{Shard, ShardConfig};

/// Shards, control plane and peers.
pub(super) struct World {
    pub(super) shards: Vec<Shard>,
    pub(super) control: ControlPlane,
    pub(super) listener: ConnectionSettings,
    pub(super) peers: Vec<Peer>,
    pub(super) notices: Vec<Notice>,
    pub(super) counters: Arc<Counters>,
    pub(super) now: Time,
    /// What goes out on connections that are no peer's.
    pub(super) wires: BTreeMap<(usize, ConnKey), Vec<u8>>,
    /// Those of them that the router has closed.
    pub(super) closed: Vec<(usize, ConnKey)>,
    /// The product that peers say in their Opens that they are.
    pub(super) product: Option<&'static str>,
    /// Connections whose sockets take nothing.
    pub(super) stalled: BTreeSet<(usize, ConnKey)>,
    /// Threads that do not take their mail, and the batches that wait for them.
    pub(super) busy: BTreeMap<ShardId, Vec<Batch>>,
    /// The longest read, in bytes.
    pub(super) read: usize,
}

/// An AMQP client.
pub(super) struct Peer {
    pub(super) shard: usize,
    pub(super) key: ConnKey,
    pub(super) engine: Connection,
    input: RecvBuf,
    pub(super) output: SendQueue,
    pub(super) session: Option<SessionKey>,
    /// What happened, in order; transfers are also collected in `messages`.
    pub(super) events: Vec<Event>,
    /// Whole messages received: link, delivery-id, bytes.
    pub(super) messages: Vec<(LinkKey, u32, Vec<u8>)>,
    /// Tags and formats of deliveries received.
    pub(super) labels: Vec<(DeliveryTag, u32)>,
    /// The states on transfers received.
    pub(super) states: Vec<DeliveryState>,
    partial: Vec<u8>,
    pub(super) gone: bool,
}

impl World {
    pub(super) fn new(shards: u16) -> Self {
        Self::with_default(shards, Treatment::AnycastBalanced)
    }

    pub(super) fn with_default(shards: u16, treatment: Treatment) -> Self {
        Self::of("QDR", shards, treatment)
    }

    /// The world of a router with an id of its own.
    pub(super) fn of(id: &str, shards: u16, treatment: Treatment) -> Self {
        Self::with_settings(shards, router(id, treatment))
    }

    /// The world of an interior router.
    pub(super) fn interior(id: &str, shards: u16, trunk_connections: u16) -> Self {
        let settings = RouterSettings {
            mode: RouterMode::Interior,
            trunk_connections,
            ..router(id, Treatment::AnycastBalanced)
        };
        Self::with_settings(shards, settings)
    }

    pub(super) fn with_settings(shards: u16, settings: RouterSettings) -> Self {
        let settings = Arc::new(settings);
        let counters = Counters::new(shards);
        let control = ControlPlane::new(ControlConfig {
            instance: 1,
            settings: Arc::clone(&settings),
            shards,
            seed: 1,
            counters: Arc::clone(&counters),
        });
        let table = Arc::clone(control.table());
        let shard = |id: u16| {
            Shard::new(ShardConfig {
                id: ShardId(id),
                shards,
                settings: Arc::clone(&settings),
                seed: u64::from(id) + 1,
                secret: [id.to_le_bytes()[0]; 32],
                table: Arc::clone(&table),
                counters: counters.writer(ShardId(id)),
            })
        };
        Self {
            shards: (0..shards).map(shard).collect(),
            control,
            listener: listener(),
            peers: Vec::new(),
            notices: Vec::new(),
            counters,
            now: Time::from_millis(1),
            wires: BTreeMap::new(),
            closed: Vec::new(),
            product: None,
            stalled: BTreeSet::new(),
            busy: BTreeMap::new(),
            read: 8192,
        }
    }

    /// Connects a peer to a shard and opens connection and session.
    pub(super) fn connect(&mut self, shard: usize) -> usize {
        self.connect_as(shard, 10_000, Box::new(Clear))
    }

    /// Connects a peer whose session takes so many frames and no more.
    pub(super) fn connect_with_window(&mut self, shard: usize, session_window: u32) -> usize {
        self.connect_as(shard, session_window, Box::new(Clear))
    }

    /// Connects a peer with a stage between socket and engine.
    pub(super) fn connect_through(&mut self, shard: usize, transform: Box<dyn Transform>) -> usize {
        self.connect_as(shard, 10_000, transform)
    }

    fn connect_as(
        &mut self,
        shard: usize,
        session_window: u32,
        transform: Box<dyn Transform>,
    ) -> usize {
        let product = |product| Value::String(Str::from(product));
        let properties = self
            .product
            .map(|name| Map(vec![(Value::symbol("product"), product(name))]));
        let config = Config {
            initiator: true,
            properties: properties.map(|map| Encoded::from_value(&Value::Map(map))),
            container_id: Str::from("peer"),
            max_frame_size: 65_536,
            session_window,
            ..Config::default()
        };
        let mut engine = Connection::new(Arc::new(config), self.now);
        let mut output = SendQueue::new();
        engine.start(&mut output);
        let connection = self.control.deal_connection();
        let accepted = NewConnection::accepted(
            connection,
            Arc::new(self.listener.clone()),
            format!("127.0.0.1:{}", 40_000 + connection.0),
        );
        let key = self.shards[shard].accept(accepted, transform, self.now);
        self.peers.push(Peer {
            shard,
            key,
            engine,
            input: RecvBuf::new(),
            output,
            session: None,
            events: Vec::new(),
            messages: Vec::new(),
            labels: Vec::new(),
            states: Vec::new(),
            partial: Vec::new(),
            gone: false,
        });
        let peer = self.peers.len() - 1;
        self.run();
        assert!(
            self.peers[peer].engine.is_open(),
            "the router answered Open"
        );
        let Peer { engine, output, .. } = &mut self.peers[peer];
        let session = engine.begin(output).unwrap();
        self.peers[peer].session = Some(session);
        self.run();
        peer
    }

    /// Attaches a sender; an empty address makes it anonymous.
    pub(super) fn sender(&mut self, peer: usize, name: &str, address: &str) -> LinkKey {
        let target = Target {
            address: (!address.is_empty()).then(|| Str::copy(address)),
            ..Target::default()
        };
        let attach = attach(name, Role::Sender, Some(Source::default()), Some(target));
        self.attach(peer, attach)
    }

    /// Attaches a receiver and gives it credit.
    pub(super) fn receiver(
        &mut self,
        peer: usize,
        name: &str,
        address: &str,
        credit: u32,
    ) -> LinkKey {
        self.receiver_of(SenderSettleMode::Mixed, peer, name, address, credit)
    }

    /// The same where all is to be sent settled.
    pub(super) fn receiver_of_settled(
        &mut self,
        peer: usize,
        name: &str,
        address: &str,
        credit: u32,
    ) -> LinkKey {
        self.receiver_of(SenderSettleMode::Settled, peer, name, address, credit)
    }

    fn receiver_of(
        &mut self,
        snd_settle_mode: SenderSettleMode,
        peer: usize,
        name: &str,
        address: &str,
        credit: u32,
    ) -> LinkKey {
        let source = Source {
            address: Some(Str::copy(address)),
            ..Source::default()
        };
        let attach = Attach {
            snd_settle_mode,
            ..attach(name, Role::Receiver, Some(source), Some(Target::default()))
        };
        let link = self.attach(peer, attach);
        if credit > 0 {
            self.credit(peer, link, credit, false);
        }
        link
    }

    pub(super) fn attach(&mut self, peer: usize, attach: Attach) -> LinkKey {
        let Peer {
            engine,
            output,
            session,
            ..
        } = &mut self.peers[peer];
        let link = engine.attach(session.unwrap(), attach, output).unwrap();
        self.run();
        link
    }

    pub(super) fn credit(&mut self, peer: usize, link: LinkKey, credit: u32, drain: bool) {
        let Peer { engine, output, .. } = &mut self.peers[peer];
        engine.set_credit(link, credit, drain, output);
        self.run();
    }

    /// Sends a message; false if there is no credit.
    pub(super) fn send(
        &mut self,
        peer: usize,
        link: LinkKey,
        message: &[u8],
        settled: bool,
    ) -> bool {
        self.send_part(peer, link, message, settled, false)
    }

    /// Sends a message so many times in a row, as credit and window allow.
    pub(super) fn send_many(
        &mut self,
        peer: usize,
        link: LinkKey,
        message: &[u8],
        settled: bool,
        count: usize,
    ) {
        let transfer = OutTransfer {
            settled,
            ..OutTransfer::new(7, DeliveryTag::new(b"t").unwrap())
        };
        let payload = Payload::from(Bytes::copy_from_slice(message));
        let Peer { engine, output, .. } = &mut self.peers[peer];
        for _ in 0..count {
            let sent = engine.send_transfer(link, &transfer, &[], &payload, output);
            assert_eq!(sent, Sent::Whole);
        }
        self.run();
    }

    /// Sends a message with a state on its transfer.
    pub(super) fn send_with_state(
        &mut self,
        peer: usize,
        link: LinkKey,
        message: &[u8],
        state: &DeliveryState,
    ) {
        let transfer = OutTransfer {
            state: Some(state),
            ..OutTransfer::new(7, DeliveryTag::new(b"t").unwrap())
        };
        let payload = Payload::from(Bytes::copy_from_slice(message));
        let Peer { engine, output, .. } = &mut self.peers[peer];
        let sent = engine.send_transfer(link, &transfer, &[], &payload, output);
        assert_eq!(sent, Sent::Whole);
        self.run();
    }

    pub(super) fn send_part(
        &mut self,
        peer: usize,
        link: LinkKey,
        message: &[u8],
        settled: bool,
        more: bool,
    ) -> bool {
        let tag = DeliveryTag::new(b"t").unwrap();
        let transfer = OutTransfer {
            settled,
            more,
            ..OutTransfer::new(7, tag)
        };
        let mut payload = Payload::from(Bytes::copy_from_slice(message));
        loop {
            let Peer { engine, output, .. } = &mut self.peers[peer];
            match engine.send_transfer(link, &transfer, &[], &payload, output) {
                Sent::Whole => break,
                Sent::Part(count) => payload.advance(count),
                Sent::Blocked if payload.len() == message.len() => return false,
                Sent::Blocked => {}
            }
            self.run();
        }
        self.run();
        true
    }

    /// Sends as much of a message as windows let; whether that was all of it.
    pub(super) fn pour(
        &mut self,
        peer: usize,
        link: LinkKey,
        rest: &mut Payload,
        settled: bool,
        more: bool,
    ) -> bool {
        let transfer = OutTransfer {
            settled,
            more,
            ..OutTransfer::new(7, DeliveryTag::new(b"t").unwrap())
        };
        loop {
            let Peer { engine, output, .. } = &mut self.peers[peer];
            let sent = engine.send_transfer(link, &transfer, &[], rest, output);
            self.run();
            match sent {
                Sent::Whole => return true,
                Sent::Part(count) => rest.advance(count),
                Sent::Blocked => return false,
            }
        }
    }

    /// Sends a frame that no engine would.
    pub(super) fn raw(&mut self, peer: usize, channel: u16, performative: &Performative) {
        let mut frame = BytesMut::new();
        let mark = begin_frame(&mut frame, FrameType::Amqp, channel);
        performative.encode(&mut frame);
        end_frame(&mut frame, mark, 0);
        self.peers[peer].output.push_shared(frame.freeze());
        self.run();
    }

    /// Disposes of a delivery received.
    pub(super) fn dispose(&mut self, peer: usize, id: u32, state: DeliveryState, settled: bool) {
        let Peer {
            engine,
            output,
            session,
            ..
        } = &mut self.peers[peer];
        let session = session.unwrap();
        engine.queue_disposition(session, Role::Receiver, id, settled, Some(state));
        engine.flush_dispositions(session, output);
        self.run();
    }

    /// Settles what a producer sent last, before its consumer does.
    pub(super) fn settle_as_sender(&mut self, peer: usize, link: LinkKey) {
        let Peer {
            engine,
            output,
            session,
            ..
        } = &mut self.peers[peer];
        let (session, id) = (session.unwrap(), engine.last_delivery_id(link));
        engine.queue_disposition(session, Role::Sender, id, true, None);
        engine.flush_dispositions(session, output);
        self.run();
    }

    pub(super) fn detach(&mut self, peer: usize, link: LinkKey) {
        let Peer { engine, output, .. } = &mut self.peers[peer];
        engine.detach(link, true, None, output);
        self.run();
    }

    /// The peer's socket breaks.
    pub(super) fn vanish(&mut self, peer: usize) {
        self.vanish_together(&[peer]);
    }

    /// The sockets of some peers break at once.
    pub(super) fn vanish_together(&mut self, peers: &[usize]) {
        for &peer in peers {
            self.break_socket(peer);
        }
        self.run();
    }

    fn break_socket(&mut self, peer: usize) {
        let Peer {
            shard, key, gone, ..
        } = &mut self.peers[peer];
        *gone = true;
        self.shards[*shard].end_of_input(*key, None, self.now);
    }

    pub(super) fn pass(&mut self, millis: u64) {
        self.now = self.now + std::time::Duration::from_millis(millis);
        self.run();
    }

    /// Moves bytes and mail until nothing moves.
    pub(super) fn run(&mut self) {
        for _ in 0..10_000 {
            let mut moved = false;
            for peer in 0..self.peers.len() {
                moved |= self.feed(peer);
            }
            for shard in 0..self.shards.len() {
                self.shards[shard].turn(self.now);
                let posted: Vec<_> = self.shards[shard].outboxes().drain().collect();
                for (to, batch) in posted {
                    moved = true;
                    self.deliver(to, batch);
                }
                moved |= self.write(shard);
                self.shards[shard].finish(&mut self.notices);
            }
            self.control.turn(self.now);
            let posted: Vec<_> = self.control.outboxes().drain().collect();
            for (to, batch) in posted {
                moved = true;
                self.deliver(to, batch);
            }
            moved |= self.shards.iter().any(Shard::is_runnable);
            if !moved {
                self.audit();
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// Whether no shard holds a delivery, nor anything that stood for one.
    pub(super) fn nothing_under_way(&self) -> bool {
        let mut census = self.shards.iter().map(Shard::census);
        census.all(|census| !census.has_deliveries() && census.origins == 0)
    }

    /// At rest every account agrees with what it is an account of.
    fn audit(&self) {
        for shard in &self.shards {
            let census = shard.census();
            assert_eq!(census.drift, 0, "an account is wrong");
            assert_eq!(census.strays, 0, "entries of what is gone");
        }
        for shard in &self.shards {
            for (out, pipe) in &shard.pipes.to {
                let Some(owner) = self.shards.get(out.shard.index()) else {
                    continue;
                };
                let lanes = owner.out_links.iter().map(|(_, link)| &link.lane);
                let waiting = lanes.flatten().filter(|queued| {
                    queued.window == Some(out.link) && queued.forward.origin.shard == shard.id
                });
                let waiting = waiting.count();
                let Some(link) = owner.out_links.get(out.link) else {
                    continue;
                };
                let end = link.pipes.iter().find(|end| end.from == shard.id);
                let taken = end.map_or(0, |end| pipe.sent_since(*end));
                assert_eq!(taken as usize, waiting, "window was lost");
            }
        }
    }

    /// A thread has something else to do than to take its mail.
    pub(super) fn keep_busy(&mut self, thread: ShardId) {
        self.busy.insert(thread, Vec::new());
    }

    /// It has not any more; the most bytes of settled messages and of the routing protocol that
    /// were in its mailbox.
    pub(super) fn let_take_mail(&mut self, thread: ShardId) -> usize {
        let batches = self.busy.remove(&thread).unwrap_or_default();
        let bytes = batches.iter().flat_map(|batch| &batch.mail).map(weight);
        let bytes = bytes.sum();
        for batch in batches {
            self.deliver(thread, batch);
        }
        self.run();
        bytes
    }

    fn deliver(&mut self, to: ShardId, batch: Batch) {
        if let Some(waiting) = self.busy.get_mut(&to) {
            waiting.push(batch);
            return;
        }
        match self.shards.get_mut(to.index()) {
            Some(shard) => shard.take_mail(batch, self.now),
            None => self.control.handle_mail(batch),
        }
    }

    /// A peer's bytes into its shard.
    fn feed(&mut self, peer: usize) -> bool {
        let Peer {
            shard,
            key,
            output,
            gone,
            ..
        } = &mut self.peers[peer];
        if *gone || output.is_empty() {
            return false;
        }
        let shard = &mut self.shards[*shard];
        let bytes = output.to_bytes();
        let mut fed = 0;
        for chunk in bytes.chunks(self.read) {
            if shard.is_behind(*key) {
                break;
            }
            shard.window()[..chunk.len()].copy_from_slice(chunk);
            shard.received(*key, chunk.len(), self.now);
            fed += chunk.len();
        }
        output.consume(fed);
        fed > 0
    }

    /// A shard's bytes to its peers.
    fn write(&mut self, shard: usize) -> bool {
        let mut moved = false;
        while let Some(key) = self.shards[shard].poll_output() {
            if !self.stalled.contains(&(shard, key)) {
                moved |= self.flush(shard, key);
            }
        }
        while let Some(key) = self.shards[shard].poll_closed() {
            moved = true;
            self.closed.push((shard, key));
            for peer in &mut self.peers {
                peer.gone |= peer.shard == shard && peer.key == key;
            }
        }
        moved
    }

    /// What a connection has for its peer; whether that is anything.
    fn flush(&mut self, shard: usize, key: ConnKey) -> bool {
        let Some(queue) = self.shards[shard].output(key) else {
            return false;
        };
        let bytes = queue.to_bytes();
        queue.consume(bytes.len());
        self.shards[shard].wrote(key);
        let now = self.now;
        let mut peers = self.peers.iter_mut();
        if let Some(peer) = peers.find(|peer| peer.shard == shard && peer.key == key) {
            peer.take(Bytes::from(bytes), now);
        } else if let Some(wire) = self.wires.get_mut(&(shard, key)) {
            wire.extend(bytes);
        }
        true
    }

    /// A peer's socket takes nothing, or all that there is.
    pub(super) fn set_stalled(&mut self, peer: usize, stalled: bool) {
        let Peer { shard, key, .. } = self.peers[peer];
        if stalled {
            self.stalled.insert((shard, key));
        } else if self.stalled.remove(&(shard, key)) {
            self.flush(shard, key);
            self.run();
        }
    }

    /// A peer rejects every other of the first deliveries with a long reason: each is a frame of
    /// its own, those between are accepted.
    pub(super) fn answer_at_length(&mut self, peer: usize, count: u32) {
        let session = self.peers[peer].session.unwrap();
        self.answer_at_length_on(peer, session, count);
    }

    /// The same on another of its sessions.
    pub(super) fn answer_at_length_on(&mut self, peer: usize, session: SessionKey, count: u32) {
        let reason = AmqpError {
            condition: Symbol::from("app:no"),
            description: Some(Str::copy(&"n".repeat(12_000))),
            info: None,
        };
        let peer = &mut self.peers[peer];
        for id in 0..count {
            let state = match id % 2 {
                0 => DeliveryState::Accepted,
                _ => DeliveryState::Rejected(Some(Box::new(reason.clone()))),
            };
            peer.engine
                .queue_disposition(session, Role::Receiver, id, true, Some(state));
        }
        peer.say_all(session);
    }

    /// Nothing is left once everybody has gone.
    pub(super) fn leaves_nothing(mut self) {
        for peer in 0..self.peers.len() {
            if !self.peers[peer].gone {
                self.vanish(peer);
            }
        }
        self.run();
        for shard in &self.shards {
            assert!(shard.census().is_empty(), "{:?}", shard.census());
        }
    }
}

/// Bytes of messages in a letter for which nothing comes back.
fn weight(mail: &Mail) -> usize {
    match mail {
        Mail::Forward(forward) if forward.origin.delivery.is_none() => forward.payload.len(),
        Mail::Command(command) => match &**command {
            Command::Routing(_, message) => message.len(),
            _ => 0,
        },
        _ => 0,
    }
}

impl Peer {
    fn take(&mut self, bytes: Bytes, now: Time) {
        self.input.push(bytes);
        while let Ok(Some(event)) = self
            .engine
            .poll_event(&mut self.input, &mut self.output, now)
        {
            match event {
                Event::Transfer {
                    link,
                    delivery,
                    payload,
                } => {
                    self.states.extend(delivery.state.clone());
                    if delivery.first {
                        self.labels.push((delivery.tag, delivery.message_format));
                    }
                    for chunk in payload.chunks() {
                        self.partial.extend_from_slice(chunk);
                    }
                    if delivery.first && !delivery.settled {
                        self.engine.track(link, delivery.delivery_id, 0);
                    }
                    if delivery.aborted {
                        self.partial.clear();
                        self.events.push(Event::Transfer {
                            link,
                            delivery,
                            payload,
                        });
                    } else if !delivery.more {
                        let message = std::mem::take(&mut self.partial);
                        self.messages.push((link, delivery.delivery_id, message));
                    }
                }
                other => self.events.push(other),
            }
        }
    }

    /// Says all that is to be said of deliveries, however much; it has yet to leave.
    pub(super) fn say_all(&mut self, session: SessionKey) {
        let Self { engine, output, .. } = self;
        let mut said = Vec::new();
        while engine.flush_dispositions(session, output) {
            said.extend(output.to_bytes());
            output.consume(output.len());
        }
        said.extend(output.to_bytes());
        output.consume(output.len());
        output.push_shared(said.into());
    }

    /// The dispositions that have come, oldest first.
    pub(super) fn dispositions(&self) -> Vec<Disposition> {
        let dispositions = self.events.iter().filter_map(|event| match event {
            Event::Disposition { disposition, .. } => Some(disposition.clone()),
            _ => None,
        });
        dispositions.collect()
    }

    /// The state and settlement of each outgoing delivery as told last, by delivery-id.
    pub(super) fn outcome(&self, id: u32) -> Option<(Option<DeliveryState>, bool)> {
        let told = self.dispositions().into_iter().rev().find(|told| {
            told.role == Role::Receiver && told.first <= id && id <= told.last.unwrap_or(told.first)
        })?;
        Some((told.state, told.settled))
    }

    /// The address that a link's source was given.
    pub(super) fn address_of(&self, link: LinkKey) -> String {
        let address = self.events.iter().find_map(|event| match event {
            Event::Attached {
                link: at, attach, ..
            } if *at == link => attach.source.as_ref()?.address.clone(),
            _ => None,
        });
        address.expect("an address").to_string()
    }

    /// The bodies received.
    pub(super) fn received(&self) -> Vec<&[u8]> {
        self.messages
            .iter()
            .map(|(_, _, message)| message.as_slice())
            .collect()
    }
}

pub(super) fn attach(
    name: &str,
    role: Role,
    source: Option<Source>,
    target: Option<Target>,
) -> Attach {
    Attach {
        name: Str::copy(name),
        role,
        source,
        target: target.map(|target| TargetArchetype::Target(Box::new(target))),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        ..Attach::default()
    }
}

fn listener() -> ConnectionSettings {
    ConnectionSettings {
        name: "listener".to_owned(),
        sasl_mechanisms: vec!["ANONYMOUS".to_owned()],
        ..ConnectionSettings::default()
    }
}

/// A router that knows no other.
fn router(id: &str, default_treatment: Treatment) -> RouterSettings {
    RouterSettings {
        id: Arc::from(id),
        default_treatment,
        version: "0.1.0",
        mode: RouterMode::Standalone,
        timers: MeshTimers::default(),
        resumable_link_routes: true,
        trunk_connections: 1,
    }
}
