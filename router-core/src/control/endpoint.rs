//! Consumers inside the router: deliveries to `$management` arrive here like on a link, are put
//! together and wait for the agent.
//!
//! It never reads a message. Decision: a delivery is taken off its shard's window when the agent
//! takes it, not when it is answered, so a flood of requests is bounded at its producers by
//! ordinary credit while slow answers hold up nobody else. What a shard's messages may take here is
//! one account for all consumers: what comes beyond it goes back, or, settled, is dropped.

use std::collections::{BTreeMap, VecDeque};

use amqp_codec::{AmqpError, DeliveryState, Str, Symbol};
use amqp_proto::Payload;
use bytes::{Bytes, BytesMut};

use crate::ids::{AddressId, AddressKey, InLinkKey, Key, Origin, OutLinkKey, ShardId};
use crate::inspect::AddressCounters;
use crate::limits::{IN_PROCESS_BYTES, IN_PROCESS_DEPTH, IN_PROCESS_MESSAGE_BYTES};
use crate::mail::{End, Forward, Mail, Outboxes, Target};

/// A message for the agent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The address by which it came, as a lookup key.
    pub address: AddressKey,
    /// The whole message, at most `IN_PROCESS_MESSAGE_BYTES`.
    pub message: Bytes,
    /// Its producer has settled it.
    pub settled: bool,
    /// Where its outcome goes.
    pub origin: Origin,
    /// The link that it came by.
    pub sender: InLinkKey,
}

/// The receiving end of the pipe from one shard to one subscription.
#[derive(Debug, Default)]
struct Pipe {
    taken: u32,
    told: u32,
}

/// What waits of one shard's messages, whichever subscription it is for.
#[derive(Debug, Default)]
struct Waiting {
    /// Settled messages.
    settled: u32,
    /// Bytes of all.
    bytes: usize,
}

#[derive(Debug)]
struct Stream {
    link: OutLinkKey,
    sender: InLinkKey,
    settled: bool,
    bytes: BytesMut,
    /// Bytes that have arrived, also those that were thrown away.
    arrived: u64,
    refused: bool,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    own: ShardId,
    subscriptions: Vec<AddressKey>,
    queue: VecDeque<(OutLinkKey, Request)>,
    streams: BTreeMap<Origin, Stream>,
    pipes: BTreeMap<(OutLinkKey, ShardId), Pipe>,
    waiting: BTreeMap<ShardId, Waiting>,
    delivered: BTreeMap<AddressId, AddressCounters>,
}

impl Endpoint {
    pub(super) fn new(own: ShardId) -> Self {
        Self {
            own,
            subscriptions: Vec::new(),
            queue: VecDeque::new(),
            streams: BTreeMap::new(),
            pipes: BTreeMap::new(),
            waiting: BTreeMap::new(),
            delivered: BTreeMap::new(),
        }
    }

    /// A consumer for an address.
    pub(super) fn subscribe(&mut self, key: AddressKey) -> OutLinkKey {
        let index = u32::try_from(self.subscriptions.len()).expect("a handful of subscriptions");
        self.subscriptions.push(key);
        OutLinkKey {
            shard: self.own,
            link: Key {
                index,
                generation: 0,
            },
        }
    }

    /// A delivery arrives, whole or its first part.
    pub(super) fn forward(&mut self, forward: &Forward, out: &mut Outboxes) {
        let Target::Link(link) = forward.to else {
            return;
        };
        if self.subscriptions.get(link.link.index as usize).is_none() {
            return;
        }
        self.delivered
            .entry(forward.address)
            .or_default()
            .to_container += 1;
        let mut stream = Stream {
            link,
            sender: forward.sender,
            settled: forward.settled,
            bytes: BytesMut::new(),
            arrived: 0,
            refused: forward.settled && !self.admit_settled(forward.origin.shard),
        };
        self.append(&mut stream, forward.origin, &forward.payload, out);
        if forward.complete {
            self.complete(stream, forward.origin, out);
        } else {
            self.streams.insert(forward.origin, stream);
        }
    }

    /// More of a delivery whose first part came before.
    pub(super) fn data(&mut self, of: Origin, chunk: &Payload, end: End, out: &mut Outboxes) {
        let Some(mut stream) = self.streams.remove(&of) else {
            return;
        };
        self.append(&mut stream, of, chunk, out);
        if let Some(to) = of.delivery {
            out.push(
                of.shard,
                Mail::Progress {
                    to,
                    from: self.own,
                    bytes: stream.arrived,
                    begun: true,
                },
            );
        }
        match end {
            End::More => {
                self.streams.insert(of, stream);
            }
            End::Last => self.complete(stream, of, out),
            End::Aborted => {
                self.give_back(of.shard, stream.bytes.len());
                self.leave(stream.link, of, stream.settled, out);
            }
        }
    }

    /// The next message, oldest first.
    pub(super) fn poll_request(&mut self, out: &mut Outboxes) -> Option<Request> {
        let (link, request) = self.queue.pop_front()?;
        self.give_back(request.origin.shard, request.message.len());
        self.leave(link, request.origin, request.settled, out);
        Some(request)
    }

    pub(super) fn has_requests(&self) -> bool {
        !self.queue.is_empty()
    }

    /// What in-process consumers and producers have carried, by address.
    pub(super) fn counters(&self, address: AddressId) -> AddressCounters {
        self.delivered.get(&address).copied().unwrap_or_default()
    }

    /// A message of the router's own was routed by an address.
    pub(super) fn count_sent(&mut self, address: AddressId) {
        self.delivered.entry(address).or_default().from_container += 1;
    }

    /// The record is gone, and its counters with it.
    pub(super) fn forget(&mut self, address: AddressId) {
        self.delivered.remove(&address);
    }

    /// Settled messages wait for nobody: beyond the depth they are dropped.
    fn admit_settled(&mut self, from: ShardId) -> bool {
        let waiting = self.waiting.entry(from).or_default();
        waiting.settled += 1;
        waiting.settled <= IN_PROCESS_DEPTH
    }

    /// Takes room for a message's bytes, if there is some.
    fn admit_bytes(&mut self, from: ShardId, bytes: usize) -> bool {
        let waiting = self.waiting.entry(from).or_default();
        let fits = waiting.bytes + bytes <= IN_PROCESS_BYTES;
        if fits {
            waiting.bytes += bytes;
        }
        fits
    }

    fn give_back(&mut self, from: ShardId, bytes: usize) {
        self.waiting.entry(from).or_default().bytes -= bytes;
    }

    fn append(&mut self, stream: &mut Stream, of: Origin, chunk: &Payload, out: &mut Outboxes) {
        stream.arrived += chunk.len() as u64;
        if stream.refused {
            return;
        }
        let state = if stream.arrived > IN_PROCESS_MESSAGE_BYTES as u64 {
            too_large()
        } else if !self.admit_bytes(of.shard, chunk.len()) {
            DeliveryState::Released
        } else {
            for bytes in chunk.chunks() {
                stream.bytes.extend_from_slice(bytes);
            }
            return;
        };
        stream.refused = true;
        let held = std::mem::take(&mut stream.bytes);
        self.give_back(of.shard, held.len());
        if !stream.settled {
            settle(self.own, of, state, out);
        }
    }

    fn complete(&mut self, stream: Stream, origin: Origin, out: &mut Outboxes) {
        if stream.refused {
            self.leave(stream.link, origin, stream.settled, out);
            return;
        }
        let address = AddressKey::clone(&self.subscriptions[stream.link.link.index as usize]);
        let message = stream.bytes.freeze();
        let request = Request {
            address,
            message,
            settled: stream.settled,
            origin,
            sender: stream.sender,
        };
        self.queue.push_back((stream.link, request));
    }

    /// A delivery no longer waits here: its shard may send another.
    fn leave(&mut self, link: OutLinkKey, origin: Origin, settled: bool, out: &mut Outboxes) {
        if settled {
            let waiting = self.waiting.entry(origin.shard).or_default();
            waiting.settled = waiting.settled.saturating_sub(1);
            return;
        }
        let pipe = self.pipes.entry((link, origin.shard)).or_default();
        pipe.taken = pipe.taken.wrapping_add(1);
        if pipe.taken.wrapping_sub(pipe.told) >= IN_PROCESS_DEPTH / 2 {
            pipe.told = pipe.taken;
            let limit = pipe.taken.wrapping_add(IN_PROCESS_DEPTH);
            out.push(
                origin.shard,
                Mail::Window {
                    link,
                    limit,
                    sweep: None,
                },
            );
        }
    }
}

/// The outcome of a message that no in-process consumer takes.
fn too_large() -> DeliveryState {
    DeliveryState::Rejected(Some(Box::new(AmqpError {
        condition: Symbol::from_static("amqp:link:message-size-exceeded"),
        description: Some(Str::from("Message size exceeded")),
        info: None,
    })))
}

/// Gives a producer the outcome of its message.
pub(super) fn settle(own: ShardId, origin: Origin, state: DeliveryState, out: &mut Outboxes) {
    if let Some(to) = origin.delivery {
        let outcome = Mail::Outcome {
            to,
            from: None,
            shard: own,
            state: Some(state),
            settled: true,
        };
        out.push(origin.shard, outcome);
    }
}
