//! The two kinds of link that a shard owns: one on which it receives from a producer, one on which
//! it sends to a consumer. Records only; the verbs are in the stages.

use std::collections::VecDeque;
use std::sync::Arc;

use amqp_codec::{AmqpError, Attach, Str};
use amqp_proto::{LinkKey, SessionKey, Time};

use super::head::Head;
use super::histogram::Histogram;
use super::pin::Pin;
use super::pipe::PipeRx;
use super::rate::Rate;
use super::ready::PROTOCOL;
use super::trouble::Trouble;
use crate::address::Phase;
use crate::ids::{
    AddressId, AddressKey, ConnKey, Direction, FanKey, InKey, InLinkKey, Key, LinkId, OutKey,
    ShardId, mix,
};
use crate::inspect::{LinkCounters, LinkType};
use crate::limits;
use crate::mail::{
    AddressEdit, AttachAutoLink, AttachLink, AutoLinkKey, End, Forward, Half, Relay,
};
use crate::route::{DEFAULT_PRIORITY, Route};

/// A link on which a producer sends to the router.
#[derive(Debug)]
pub(super) struct InLink {
    /// Its number in the log.
    pub(super) id: LinkId,
    /// Its connection.
    pub(super) conn: ConnKey,
    /// Its session there.
    pub(super) session: SessionKey,
    /// Its key in the protocol engine.
    pub(super) link: LinkKey,
    /// The name the peer gave it.
    pub(super) name: Arc<str>,
    /// Whom it serves.
    pub(super) kind: LinkType,
    /// The auto-link that it is.
    pub(super) auto: Option<AutoLinkKey>,
    /// Its connection is of role route-container.
    pub(super) of_container: bool,
    /// Whoever sends on it is a fallback.
    pub(super) fallback: bool,
    /// Where its deliveries go.
    pub(super) target: InTarget,
    /// `linkCapacity`: credit when nothing is held.
    pub(super) capacity: u32,
    /// Deliveries that count against the capacity.
    pub(super) held: u32,
    /// Bytes of message held by them.
    pub(super) bytes: u64,
    /// The delivery of which more frames are expected.
    pub(super) partial: Option<InKey>,
    /// When the control plane last heard that more of a message of the routing protocol came.
    pub(super) arrived: Time,
    /// Something about its credit may have changed in this turn.
    pub(super) dirty: bool,
    /// It is in the list of links whose credit waits for the end of the second.
    pub(super) slow: bool,
    /// A disposition or drain goes out in this turn: the flow goes before it.
    pub(super) urgent: bool,
    /// The producer was asked to drain because its address had no consumer.
    pub(super) draining: bool,
    /// Counters for management.
    pub(super) counters: LinkCounters,
    /// Deliveries taken in for the present address and not yet added to its counters.
    pub(super) ingress: u64,
    /// Settlements a second.
    pub(super) rate: Rate,
    /// The second since which there is no credit.
    pub(super) zero_since: Option<u32>,
    /// What the log has heard of it.
    pub(super) trouble: Trouble,
    /// The connections to neighbours that it uses, where there are several to choose from.
    pub(super) pins: Vec<Pin>,
    /// The leading sections of its last message, if they said anything.
    pub(super) last_head: Option<Box<Head>>,
}

/// What every new link brings.
#[derive(Debug)]
pub(super) struct NewLink {
    /// Its number in the log.
    pub(super) id: LinkId,
    /// Its connection.
    pub(super) conn: ConnKey,
    /// Its session there.
    pub(super) session: SessionKey,
    /// Its key in the protocol engine.
    pub(super) link: LinkKey,
    /// The name the peer gave it.
    pub(super) name: Arc<str>,
    /// `linkCapacity` of its connection.
    pub(super) capacity: u32,
    /// Its connection is of role route-container.
    pub(super) of_container: bool,
    /// The second in which it was attached.
    pub(super) second: u32,
}

impl InLink {
    /// A link without credit, on which nothing has come.
    pub(super) fn new(new: NewLink, kind: LinkType, target: InTarget) -> Self {
        let NewLink {
            id,
            conn,
            session,
            link,
            name,
            capacity,
            of_container,
            second,
        } = new;
        Self {
            id,
            conn,
            session,
            link,
            name,
            kind,
            auto: None,
            of_container,
            fallback: false,
            target,
            capacity,
            held: 0,
            bytes: 0,
            partial: None,
            arrived: Time::ZERO,
            dirty: false,
            slow: false,
            urgent: false,
            draining: false,
            counters: LinkCounters::default(),
            ingress: 0,
            rate: Rate::default(),
            zero_since: Some(second),
            trouble: Trouble::default(),
            pins: Vec::new(),
            last_head: None,
        }
    }
}

impl OutLink {
    /// Whether a settled delivery that comes finds no room: then the rule for those applies. What
    /// routers tell each other has more of it than messages have.
    pub(super) fn is_lane_full(&self) -> bool {
        let (deliveries, bytes) = match self.kind {
            LinkType::RouterControl => (limits::CONTROL_LANE, limits::CONTROL_LANE_BYTES),
            LinkType::Endpoint | LinkType::InterRouter => (self.capacity, limits::LANE_BYTES),
        };
        self.lane.len() >= deliveries as usize || self.lane_bytes >= bytes
    }

    /// Among which of its connection's links it sends. A streaming link has the priority of the
    /// message at its head: it is this one's bytes that go out next, whatever waits behind it.
    pub(super) fn class(&self) -> u8 {
        match self.kind {
            LinkType::RouterControl => PROTOCOL,
            LinkType::InterRouter if self.streaming => {
                let head = self.lane.front();
                head.map_or(self.priority, |head| head.priority)
            }
            LinkType::Endpoint | LinkType::InterRouter => self.priority,
        }
    }

    /// A link whose attach is to be answered when its binding is confirmed.
    pub(super) fn new(
        new: NewLink,
        key: AddressKey,
        answer: Option<Box<Attach>>,
        annotated: bool,
    ) -> Self {
        let NewLink {
            id,
            conn,
            session,
            link,
            name,
            capacity,
            of_container,
            second,
        } = new;
        Self {
            id,
            conn,
            session,
            link,
            name,
            kind: LinkType::Endpoint,
            auto: None,
            of_container,
            fallback: Phase::is_fallback(&key),
            streaming: false,
            flow: None,
            unheard: false,
            moved: second,
            priority: DEFAULT_PRIORITY,
            key,
            address: None,
            answer,
            capacity,
            annotated,
            settles: false,
            routed: None,
            lane: VecDeque::new(),
            lane_settled: 0,
            lane_bytes: 0,
            ready: false,
            stalled: false,
            loose: 0,
            pipes: Vec::new(),
            drain: Drain::No,
            sweeps: 0,
            counters: LinkCounters::default(),
            egress: 0,
            egress_alone: 0,
            histogram: Histogram::default(),
            rate: Rate::default(),
            zero_since: Some(second),
            trouble: Trouble::default(),
        }
    }
}

/// Where the deliveries of a producer's link go.
#[derive(Debug)]
pub(super) enum InTarget {
    /// Each says so itself.
    Anonymous {
        /// The last address used, to spare the look-up of the next message to it.
        memo: Option<Memo>,
    },
    /// To the control plane.
    Control,
    /// All to the other half of a routed link.
    Routed(Box<Routed>),
    /// All to one address.
    Address {
        /// The address as the attach had it.
        text: Str,
        /// Its key.
        key: AddressKey,
        /// Its route in the present snapshot.
        route: Option<Arc<Route>>,
    },
}

/// An auto-link that its container has not yet taken.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) session: SessionKey,
    pub(super) link: LinkKey,
    pub(super) name: Str,
    pub(super) ask: AttachAutoLink,
}

/// What belongs to one half of a routed link.
///
/// ```text
///   near  Asking ──answer──► Open ──its peer's detach──► PeerGone ──Answered, Lost──► freed
///   far   Offered ───▲        └──Detach, Lost of the other──► Detaching ──answer──► freed
/// ```
#[derive(Debug)]
pub(super) struct Routed {
    /// The other half, once it is there and as long as it is to hear of this one.
    pub(super) other: Option<Half>,
    /// It is the client's, and counts for its connection.
    pub(super) is_near: bool,
    /// It goes before a container has let go of its other half.
    pub(super) lingers: bool,
    /// The other half's number in the log.
    pub(super) peer: Option<LinkId>,
    /// How far it is.
    pub(super) stage: Stage,
    /// What the client calls its address.
    pub(super) key: Option<AddressKey>,
    /// Which end of an address the client wants.
    pub(super) direction: Direction,
    /// How the container names its addresses.
    pub(super) edit: Option<Arc<AddressEdit>>,
    /// The client's terminus outlives its link.
    pub(super) survives: bool,
    /// Deliveries passed on, or taken to be sent, as a serial number.
    pub(super) passed: u32,
    /// The limit and the drain told to the other half, or heard from it.
    pub(super) credit: Option<(u32, bool)>,
    /// The second in which something that it had brought last left, or began to wait.
    pub(super) moved: u32,
    /// Bytes on its account that its peer, which has gone, had sent: they stay until it ends.
    pub(super) orphaned: u64,
    /// With what it is to be detached once all that has come was sent.
    pub(super) parting: Option<Box<Parting>>,
}

/// How far a half of a routed link is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The peer's attach is to be answered as the far end does.
    Asking(Box<Attach>),
    /// Its attach waits for the peer's answer.
    Offered,
    /// Both its ends are attached.
    Open,
    /// Its peer has detached it, closed or not, and waits for the answer.
    PeerGone(bool),
    /// It was detached; its peer's answer is awaited.
    Detaching,
}

/// What a detach says.
#[derive(Debug)]
pub(super) struct Parting {
    pub(super) closed: bool,
    pub(super) error: Option<Box<AmqpError>>,
}

/// What is to be passed on, or to be done, by a connection for which much is queued.
#[derive(Debug)]
pub(super) enum Passing {
    /// A link is to be attached there.
    Attach(Box<AttachLink>),
    /// Something happened to the other half of one.
    Relay(Relay),
    /// One is to be detached behind the outcomes of its session.
    Detach(Half),
    /// The same of an auto-link, until this second at most.
    DetachAutoLink(LinkKey, u64),
}

/// Halves of routed links that wait for somebody's peer, with the second at which that ends.
#[derive(Debug, Default)]
pub(super) struct RoutedWaits {
    /// Those that wait for their far end's answer.
    pub(super) asking: VecDeque<(u64, Half)>,
    /// Those whose end waits for the other peer.
    pub(super) parting: VecDeque<(u64, Half)>,
    /// Connections with a link that is gone and that still counts, likewise.
    pub(super) lingering: VecDeque<(u64, ConnKey)>,
    /// Some session gets less window than it might: routed links may be the cause.
    pub(super) held: bool,
}

impl Routed {
    pub(super) fn new(stage: Stage, direction: Direction) -> Self {
        Self {
            other: None,
            is_near: matches!(stage, Stage::Asking(_)),
            lingers: false,
            peer: None,
            stage,
            key: None,
            direction,
            edit: None,
            survives: false,
            passed: 0,
            credit: None,
            moved: 0,
            orphaned: 0,
            parting: None,
        }
    }
}

impl InLink {
    /// What it is as a half of a routed link.
    pub(super) fn routed(&mut self) -> Option<&mut Routed> {
        match &mut self.target {
            InTarget::Routed(routed) => Some(routed),
            InTarget::Anonymous { .. } | InTarget::Control | InTarget::Address { .. } => None,
        }
    }
}

/// An address that an anonymous sender used last.
#[derive(Debug)]
pub(super) struct Memo {
    /// The address as the message had it.
    pub(super) text: String,
    /// The snapshot in which it was looked up.
    pub(super) generation: u64,
    /// What was found.
    pub(super) route: Option<Arc<Route>>,
}

/// A link on which the router sends to a consumer.
#[derive(Debug)]
pub(super) struct OutLink {
    /// Its number in the log.
    pub(super) id: LinkId,
    /// Its connection.
    pub(super) conn: ConnKey,
    /// Its session there.
    pub(super) session: SessionKey,
    /// Its key in the protocol engine.
    pub(super) link: LinkKey,
    /// The name the peer gave it.
    pub(super) name: Arc<str>,
    /// Whom it serves.
    pub(super) kind: LinkType,
    /// The auto-link that it is.
    pub(super) auto: Option<AutoLinkKey>,
    /// Its connection is of role route-container.
    pub(super) of_container: bool,
    /// Its consumer is a fallback.
    pub(super) fallback: bool,
    /// It carries large messages to a neighbour.
    pub(super) streaming: bool,
    /// Whose large messages it carries, beside those that have no link of their own.
    pub(super) flow: Option<Flow>,
    /// Some of those came settled: nobody hears when they have gone on from the neighbour.
    pub(super) unheard: bool,
    /// The second in which it last sent something, or was given something that it could send at
    /// once.
    pub(super) moved: u32,
    /// The priority whose messages it carries to a neighbour; a streaming link, carried last.
    pub(super) priority: u8,
    /// The key of its address; empty on a link to a neighbour.
    pub(super) key: AddressKey,
    /// The address record, once bound.
    pub(super) address: Option<AddressId>,
    /// The answer to the peer's attach, until the binding is confirmed.
    pub(super) answer: Option<Box<Attach>>,
    /// `linkCapacity` of its connection.
    pub(super) capacity: u32,
    /// Router annotations go out on it.
    pub(super) annotated: bool,
    /// The consumer asked for settled deliveries.
    pub(super) settles: bool,
    /// It is a half of a routed link.
    pub(super) routed: Option<Box<Routed>>,
    /// What waits to be sent, first come first served.
    pub(super) lane: VecDeque<Queued>,
    /// Settled deliveries in the lane.
    pub(super) lane_settled: usize,
    /// What deliveries in the lane count against its consumer, in bytes.
    pub(super) lane_bytes: u64,
    /// It is in its connection's list of links with something to send.
    pub(super) ready: bool,
    /// It is in its connection's list of links that wait for their session's window.
    pub(super) stalled: bool,
    /// Deliveries at the end of the lane that came in this turn and may hold a receive window; the
    /// link is in the shard's list of those with any.
    pub(super) loose: usize,
    /// The pipes that end here, one for each shard that has sent.
    pub(super) pipes: Vec<PipeRx>,
    /// How far a drain has come.
    pub(super) drain: Drain,
    /// Drains so far.
    pub(super) sweeps: u32,
    /// Counters for management.
    pub(super) counters: LinkCounters,
    /// Deliveries sent for the address and not yet added to its counters.
    pub(super) egress: u64,
    /// Those of them that were sent to it alone.
    pub(super) egress_alone: u64,
    /// Deliveries sent, by where they entered the network.
    pub(super) histogram: Histogram,
    /// Settlements a second.
    pub(super) rate: Rate,
    /// The second since which there is no credit.
    pub(super) zero_since: Option<u32>,
    /// What the log has heard of it.
    pub(super) trouble: Trouble,
}

/// What must stay in order: what a sender's link brings for an address with a priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) shard: ShardId,
    pub(super) sender: InLinkKey,
    pub(super) address: AddressId,
    pub(super) priority: u8,
}

impl Flow {
    /// The flow of which a delivery is a part that has this priority.
    pub(super) fn of(forward: &Forward, priority: u8) -> Self {
        Self {
            shard: forward.origin.shard,
            sender: forward.sender,
            address: forward.address,
            priority,
        }
    }

    /// How well a link suits it, beside others: at random, and always the same.
    pub(super) fn hash(self, link: LinkId) -> u64 {
        let Key { index, generation } = self.sender.0;
        let sender = u64::from(index) << 32 | u64::from(generation);
        let kind = u64::from(self.shard.0) << 8 | u64::from(self.priority);
        mix(mix(mix(mix(sender) ^ self.address.0) ^ kind) ^ link.0)
    }
}

/// A delivery in a lane.
#[derive(Debug)]
pub(super) struct Queued {
    /// The delivery; once it is being sent, `payload` is what is left of it, head included.
    pub(super) forward: Forward,
    /// The second, of those of this shard, in which it came in.
    pub(super) born: u32,
    /// The set of copies it belongs to.
    pub(super) fan: Option<FanKey>,
    /// Its priority on the way to a neighbour.
    pub(super) priority: u8,
    /// It is being sent.
    pub(super) begun: Option<Begun>,
    /// What is known of the message's end.
    pub(super) end: End,
    /// Bytes of message that came in for it.
    pub(super) received: u64,
    /// The link in whose pipe's window it has taken a place, which it gives back when it leaves the
    /// lane, settled by its producer meanwhile or not.
    pub(super) window: Option<Key>,
    /// Its payload does not hold the window that it was read into.
    pub(super) kept: bool,
    /// Bytes of a stream that the producer's shard has heard to be sent.
    pub(super) reported: u64,
}

impl Queued {
    /// The flow of which it is a part.
    pub(super) fn flow(&self) -> Flow {
        Flow::of(&self.forward, self.priority)
    }

    /// What counts against its consumer, in bytes: what its producer has settled, and, of a copy
    /// that its producer has not, what keeps the copy; the message is on the producer's account.
    pub(super) fn weight(&self) -> u64 {
        match (self.forward.settled, self.fan) {
            (true, _) => {
                let state = self.forward.state.as_ref();
                let state = state.map_or(0, |state| state.encoded_len());
                self.received + state as u64 + limits::DELIVERY_OVERHEAD
            }
            (false, Some(_)) => limits::DELIVERY_OVERHEAD,
            (false, None) => 0,
        }
    }
}

/// A delivery of which a part has been sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    /// Its record, unless it is settled.
    pub(super) record: Option<OutKey>,
    /// Its tag.
    pub(super) tag: u64,
}

/// How far a consumer's drain has come (amqp-1.0 §2.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// None was asked for.
    No,
    /// So many shards have still to forward what waits for this link.
    Sweeping(u16),
    /// Send what credit allows, then answer.
    Ready,
}
