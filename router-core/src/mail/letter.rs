//! The vocabulary between shards. Deliveries, outcomes and windows are flat; what is rare is boxed,
//! so that a letter stays small. A letter never holds a reference to a record, only keys.

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::DeliveryState;
use amqp_proto::{Payload, SaslReply};
use bytes::Bytes;

use crate::ids::{
    AddressId, AddressKey, ConnectionId, InKey, InLinkKey, Key, LinkId, Opener, Origin, OutKey,
    OutLinkKey, ShardId, TrunkToken,
};
use crate::inspect::{Answer, Query};
use crate::mail::autolink::{AttachAutoLink, AutoLinkEvent, AutoLinkKey};
use crate::mail::relay::{AttachLink, Label, Relay, RouteLink};
use crate::notice::Opened;
use crate::route::{Entry, NO_SLOT, Paths, RouteTable, Treatment};
use crate::settings::ManagementAccess;

// What is longer is copied by a call instead of in place, which costs each letter a third more.
const _: () = assert!(size_of::<Mail>() <= 128 || cfg!(not(target_pointer_width = "64")));

/// One letter. Letters from one shard to another arrive in the order in which they were posted.
#[derive(Debug)]
pub enum Mail {
    /// A delivery, whole or its first part.
    Forward(Forward),
    /// The rest of a delivery whose first part went as an incomplete [`Forward`].
    Data {
        /// The delivery.
        of: Origin,
        /// More bytes of the message; may be empty with `End::Aborted`.
        chunk: Payload,
        /// Whether that was the last of it.
        end: End,
        /// The state on the producer's transfer.
        state: Option<Box<DeliveryState>>,
    },
    /// The consumer's half of a settlement, on its way to the producer.
    Outcome {
        /// The delivery at the producer's shard.
        to: InKey,
        /// The delivery at the consumer's shard, for the producer's answer; `None` for a fan's or
        /// an in-process target's.
        from: Option<OutKey>,
        /// The shard that answers.
        shard: ShardId,
        /// The state that the consumer gave, if any.
        state: Option<DeliveryState>,
        /// Whether the consumer has settled.
        settled: bool,
    },
    /// The producer's half of a settlement, on its way to the consumer.
    Dispose {
        /// The delivery at the consumer's shard.
        to: OutRef,
        /// The state that the producer gave, if any.
        state: Option<DeliveryState>,
        /// Whether the producer has settled.
        settled: bool,
    },
    /// A delivery of which not a byte was sent comes home: choose again.
    Returned(Forward),
    /// How much of a streamed delivery has left the box: absolute, in bytes of message.
    Progress {
        /// The delivery at the producer's shard.
        to: InKey,
        /// Who says so: a fan's copies move at the pace of the slowest shard.
        from: ShardId,
        /// Bytes handed to the send queue of the slowest consumer.
        bytes: u64,
        /// Some have been to that of a consumer.
        begun: bool,
    },
    /// Streams that wait in lanes of which nothing has been taken for long.
    Standing {
        /// The deliveries at the producers' shard.
        deliveries: Vec<InKey>,
        /// Those of which all that has come is sent, the first of their lanes, and whether others
        /// wait behind them there.
        starving: Vec<(InKey, bool)>,
    },
    /// Whole deliveries that have left the box at one shard, all their copies there included.
    Left {
        /// Who says so.
        from: ShardId,
        /// The deliveries at the producers' shard.
        deliveries: Vec<InKey>,
    },
    /// Whole deliveries that wait for a consumer that takes nothing: those of which not a byte was
    /// sent are to be released.
    Recall {
        /// Who asks for them.
        from: ShardId,
        /// The consumer's link.
        link: Key,
        /// The deliveries at the shard that asks.
        deliveries: Vec<InKey>,
    },
    /// Absolute limit of a pipe: the sender may have sent so many unsettled deliveries since its
    /// start.
    Window {
        /// The link whose pipe it is.
        link: OutLinkKey,
        /// The new limit, as a serial number (RFC 1982).
        limit: u32,
        /// The number of the consumer's drain, if it drains: forward what waits for it, then answer
        /// [`Mail::Swept`].
        sweep: Option<u32>,
    },
    /// A link to a neighbour is gone, and with it the receiving ends of its pipes.
    Gone(OutLinkKey),
    /// Nothing for this link is left at the shard that says so.
    Swept {
        /// The link that is being drained.
        link: OutLinkKey,
        /// The number of its drain.
        sweep: u32,
    },
    /// How many deliveries in all the receiving end of a routed link has come to take.
    Credit {
        /// The half by which they come.
        to: InLinkKey,
        /// As a serial number (RFC 1982).
        limit: u32,
        /// What is not used is to be given back.
        drain: bool,
    },
    /// The sending end of a routed link has given back what it did not use.
    Drained {
        /// The half by which deliveries leave.
        to: Key,
        /// The limit that it was given.
        limit: u32,
    },
    /// What happened to the other half of a routed link.
    Relay(Box<Relay>),
    /// Asks for a receipt for so many bytes of letters before this one.
    Receipt {
        /// Who asks.
        from: ShardId,
        /// Bytes.
        bytes: u64,
    },
    /// The receipt: the letters were taken.
    Received {
        /// Who has taken them.
        by: ShardId,
        /// Bytes.
        bytes: u64,
    },
    /// A new routing snapshot and the keys whose routes differ from the one before.
    Routes(Arc<RouteTable>, Arc<[AddressKey]>),
    /// A new snapshot of what leads to other routers.
    Paths(Arc<Paths>),
    /// Rare instructions and reports.
    Command(Box<Command>),
    /// A question of the control plane to a shard.
    Inspect(Box<Query>),
    /// A shard's answer.
    Answer(Box<Answer>),
}

/// A delivery on its way from the shard that received it to the shard that sends it.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Where it came from.
    pub origin: Origin,
    /// Where it goes.
    pub to: Target,
    /// The address by which it goes, for the counters of the sending shard.
    pub address: AddressId,
    /// The tally cell to take it off when it ends; `NO_SLOT` where nobody counts.
    pub slot: u32,
    /// How many seconds ago it came in: each shard counts only those in which it was awake.
    pub age: u32,
    /// The producer has settled it: nothing comes back.
    pub settled: bool,
    /// All of the message is in `payload`; else [`Mail::Data`] follows.
    pub complete: bool,
    /// Who counts its bytes wants to hear when they have left the box: [`Mail::Left`].
    pub awaited: bool,
    /// It goes before all that waits for its link and has not begun: a hello.
    pub urgent: bool,
    /// Where it entered the network.
    pub entry: Entry,
    /// The link that it came by, at the shard of its origin, which may be gone by now;
    /// [`Key::NONE`](crate::ids::Key::NONE) for the router's own.
    pub sender: InLinkKey,
    /// Links to neighbours that get a copy of a multicast delivery, of whatever shard.
    pub beyond: Option<Arc<Vec<OutLinkKey>>>,
    /// The state that the producer's transfer carried (transactional, for instance).
    pub state: Option<Box<DeliveryState>>,
    /// Leading sections that replace the first bytes of `payload`, or what a routed link's delivery
    /// keeps; `None`: send as received.
    pub heads: Option<Arc<Heads>>,
    /// The message as received.
    pub payload: Payload,
}

impl Forward {
    /// A whole message that no link brought: the router's own, or one of a test. It is settled if
    /// nobody is to hear of it; nothing counts it.
    #[must_use]
    pub fn whole(origin: Origin, to: Target, address: AddressId, payload: Payload) -> Self {
        Self {
            settled: origin.delivery.is_none(),
            origin,
            to,
            address,
            slot: NO_SLOT,
            age: 0,
            complete: true,
            awaited: false,
            urgent: false,
            entry: Entry::Here,
            sender: InLinkKey(Key::NONE),
            beyond: None,
            state: None,
            heads: None,
            payload,
        }
    }
}

/// Rewritten leading sections (header, delivery and message annotations) of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// How many bytes of the payload they replace.
    pub replaces: u32,
    /// For links that strip router annotations; `None`: the bytes as received.
    pub stripped: Option<Bytes>,
    /// For links that carry router annotations; `None`: as for those that strip.
    pub annotated: Option<Bytes>,
    /// Of a delivery on a routed link, of which nothing is replaced.
    pub label: Option<Label>,
}

/// Where a delivery goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To one link.
    Link(OutLinkKey),
    /// To every link of the receiving shard that consumes the address, and to those links of the
    /// forward's `beyond` that it owns.
    Fan(AddressId),
}

/// How a piece of a streamed delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More follows.
    More,
    /// The message is complete.
    Last,
    /// The producer aborted it, or was lost before its end.
    Aborted,
}

/// A delivery at the consumer's shard, as far as the producer's shard knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutRef {
    /// The record that an [`Mail::Outcome`] named.
    Delivery(OutKey),
    /// No outcome came yet: the delivery of this origin on this link.
    OnLink(OutLinkKey, ShardId, InKey),
    /// All copies that the shard sends of the delivery of this origin.
    Fan(ShardId, InKey),
}

/// Letters too rare to be flat.
#[derive(Debug)]
pub enum Command {
    /// A shard asks the control plane to bind a link to an address.
    Bind(Bind),
    /// The control plane has published the binding of a receiver: its attach may be answered.
    Bound(Bound),
    /// A link has gone, or a connection with it.
    Unbind(Unbind),
    /// A shard tells the control plane of a connection that was dialled.
    Dialled(Dialled),
    /// A link to a neighbour is usable.
    LinkUp(RouterLink),
    /// A link to a neighbour is gone.
    LinkDown(OutLinkKey),
    /// A message of the routing protocol has come from a neighbour.
    Routing(ConnectionId, Bytes),
    /// More has come from a neighbour of a message of the routing protocol that is not whole yet.
    Arriving(ConnectionId),
    /// What happens to a connection of a trunk between two routers.
    Trunk(TrunkNews),
    /// A connection that link routes may lead to is open.
    ContainerUp(Container),
    /// It is gone.
    ContainerDown(ConnectionId),
    /// A shard asks the control plane where a client's link goes.
    RouteLink(RouteLink),
    /// The control plane has a shard attach the other half of a client's link.
    AttachLink(AttachLink),
    /// The control plane has a shard attach an auto-link.
    AttachAutoLink(Box<AttachAutoLink>),
    /// The control plane has a shard detach one, wherever it stands.
    DetachAutoLink(AutoLinkKey),
    /// A shard tells the control plane what came of one.
    AutoLink(AutoLinkKey, AutoLinkEvent),
    /// The control plane to a shard: do something to a connection.
    Connection(ConnectionId, ConnectionCommand),
    /// Whoever was asked to a shard: how the authentication of a connection goes on.
    Sasl(ConnectionId, SaslReply),
    /// The control plane to every shard: whether the protocol trace of all connections is wanted.
    TraceAll(bool),
    /// The control plane to every shard: whether the log wants messages, of connections that show
    /// any.
    ShowMessages(bool),
    /// The control plane to every shard: take no further deliveries, as before the end.
    Retire,
    /// The control plane to every shard: close all connections, as at the end of the program.
    Shutdown,
}

/// A link that wants to send to, or receive from, an address.
#[derive(Clone, Debug)]
pub struct Bind {
    /// The address.
    pub key: AddressKey,
    /// The treatment of a record that has to be made for it.
    pub treatment: Treatment,
    /// The priority of a record that has to be made for it.
    pub priority: Option<u8>,
    /// The link.
    pub link: BoundLink,
    /// Its number in the log.
    pub id: LinkId,
    /// Of one by which management may be asked: whose it is.
    pub from: Option<Box<Asker>>,
}

/// Which end of an address a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoundLink {
    /// A producer's: it needs no confirmation.
    In(ShardId, InLinkKey),
    /// A consumer's.
    Out {
        /// The link.
        link: OutLinkKey,
        /// Deliveries that may lie in its lane for one shard.
        capacity: u32,
        /// It carries router annotations (`stripAnnotations` is `no` or `in` at its connection).
        annotated: bool,
    },
}

/// The control plane's confirmation of a receiver's [`Bind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The link.
    pub link: OutLinkKey,
    /// The address record it is bound to.
    pub address: AddressId,
}

/// A link on which this router sends to a neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterLink {
    /// The connection.
    pub connection: ConnectionId,
    /// The link.
    pub link: OutLinkKey,
    /// The priority whose messages it carries; `None`: the routing protocol's.
    pub priority: Option<u8>,
    /// Unsettled deliveries that may lie in its lane for one shard.
    pub capacity: u32,
    /// The greater of both ends' costs.
    pub cost: u32,
    /// Who is at the other end; of a link of the routing protocol.
    pub opener: Option<Opener>,
}

/// Who asks by a link for management.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The connection.
    pub container: Container,
    /// The user, if SASL yielded one.
    pub user: Option<Arc<str>>,
    /// What its listener or connector lets it do.
    pub access: ManagementAccess,
}

/// A connection that link routes may lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The connection.
    pub connection: ConnectionId,
    /// The shard that has it.
    pub shard: ShardId,
    /// The peer's container-id.
    pub container: Arc<str>,
    /// The name of its listener or connector.
    pub name: Arc<str>,
}

/// A link that has gone.
#[derive(Clone, Debug)]
pub struct Unbind {
    /// The address it was bound to.
    pub key: AddressKey,
    /// The link.
    pub link: BoundLink,
}

/// What became of a connection that was dialled.
#[derive(Clone, Debug)]
pub enum Dialled {
    /// Both Opens were exchanged.
    Opened(Arc<Opened>),
    /// It is over; may be said more than once.
    Ended {
        /// Its number.
        connection: ConnectionId,
        /// Condition and description, unless the peer left without any.
        failure: Option<(String, String)>,
    },
}

/// What a shard tells the control plane of a connection that belongs to a trunk, or wants to.
#[derive(Clone, Debug)]
pub struct TrunkNews {
    /// The connection.
    pub connection: ConnectionId,
    /// The shard that has it.
    pub shard: ShardId,
    /// What happened.
    pub what: TrunkEvent,
}

/// What happened to a connection of a trunk.
#[derive(Clone, Debug)]
pub enum TrunkEvent {
    /// It is open, and both sides consent to more like it.
    Opened {
        /// The neighbour.
        peer: TrunkPeer,
        /// How many there may be, this one included.
        limit: u16,
        /// This router has dialled it, and is the one to dial more.
        dialled: bool,
    },
    /// It was dialled by a neighbour that says that it belongs to others. It waits for
    /// [`ConnectionCommand::Admit`] or [`ConnectionCommand::Refuse`].
    Asks(TrunkPeer),
    /// The neighbour has taken it as what it was dialled for: a further connection of this trunk.
    Joined(ConnectionId),
    /// Its shard was busy for most of a second, and it had part in that.
    Busy,
    /// It was dialled, and nothing has come or gone by it for long.
    Idle,
    /// Something has, after it was told to leave: it stays.
    Needed,
    /// It is gone, and its links before it.
    Left,
}

/// Who is at the other end of a connection of a trunk.
#[derive(Clone, Debug)]
pub struct TrunkPeer {
    /// Its container-id.
    pub container: String,
    /// `address:port`.
    pub address: String,
    /// What it was given, or has given.
    pub token: TrunkToken,
}

impl Dialled {
    /// The connection that it is about.
    #[must_use]
    pub fn connection(&self) -> ConnectionId {
        match self {
            Self::Opened(opened) => opened.connection,
            Self::Ended { connection, .. } => *connection,
        }
    }
}

/// What the control plane may ask of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionCommand {
    /// Close it: its connector was deleted.
    Close,
    /// Drop it without a word: an administrator deleted it, by this connection if it is known.
    Drop(Option<ConnectionId>),
    /// The neighbour at its other end has said no hello for so long: drop it if nothing else came
    /// either.
    Doubt(Duration),
    /// Switch its protocol trace, whatever is traced of others.
    Trace(bool),
    /// It belongs to this trunk, as it says: open it.
    Admit(ConnectionId),
    /// It does not belong to a trunk as it says: close it, for this reason.
    Refuse(&'static str),
    /// The others of its trunk are enough: close it when nothing is on its way.
    Leave,
}

/// Letters that travel together.
#[derive(Debug, Default)]
pub struct Batch {
    /// In the order in which they were written.
    pub mail: Vec<Mail>,
}
