//! A delivery that a shard has received: where it is now, and what its producer has still to hear.
//!
//! ```text
//!  first frame ──▶ Hold ──whole, or too long to hold──▶ choose ──▶ Sent │ Fan ──outcome──▶ freed
//!                                                         │ ▲
//!                               no window ──▶ Line ◀──────┘ │ window, route
//!                               no route, mail unread ──▶ Waiting again
//!                                           outcome before the last frame ──▶ Discard ──▶ freed
//! ```
//!
//! A delivery that is whole and settled when it is forwarded never gets a record.

use std::sync::Arc;

use amqp_codec::DeliveryState;
use amqp_proto::{Payload, SessionKey};

use super::merge::Merge;
use crate::ids::{AddressId, AddressKey, ConnKey, InLinkKey, OutKey, OutLinkKey, ShardId};
use crate::mail::Heads;
use crate::route::{DEFAULT_PRIORITY, Entry};

/// A delivery received and not yet finished with.
#[derive(Debug)]
pub struct Inbound {
    /// The producer's link; `None` once it is gone.
    pub link: Option<InLinkKey>,
    /// The same, gone or not: what belongs to one sender stays in order after its end.
    pub sender: InLinkKey,
    /// The producer's connection.
    pub conn: ConnKey,
    /// The session it came on.
    pub session: SessionKey,
    /// Its delivery-id there.
    pub delivery_id: u32,
    /// The second in which it came in, of those in which the shard was awake.
    pub born: u32,
    /// The microsecond, of which only the last bits are kept: they repeat after 71 minutes.
    pub stamp: u32,
    /// The producer has settled it.
    pub settled: bool,
    /// The producer has given a state without settling.
    pub stated: bool,
    /// The terminal state that the consumer gave without settling.
    pub answered: Option<Box<DeliveryState>>,
    /// Bytes of message that count against the producer's link.
    pub bytes: u64,
    /// Held, and known to be a message like any other.
    pub plain: bool,
    /// Where it is.
    pub place: Place,
    /// It arrived, or still arrives, in more pieces than one after it was forwarded.
    pub stream: Option<Box<Stream>>,
}

/// Where a received delivery is.
#[derive(Debug)]
pub enum Place {
    /// Frames are being collected.
    Hold(Box<Held>),
    /// It waits for a window of its address, or for mail that may bring a route.
    Line(Box<Waiting>),
    /// It has gone to one consumer.
    Sent {
        /// The consumer.
        target: OutLinkKey,
        /// Its record there, once an outcome told.
        peer: Option<OutKey>,
    },
    /// It has gone to all consumers.
    Fan(Box<FanOut>),
    /// What still arrives of it is thrown away; the outcome is given when it ends.
    Discard(Option<Box<DeliveryState>>),
}

/// A delivery whose frames are being collected.
#[derive(Debug, Default)]
pub struct Held {
    /// What has come of the message.
    pub payload: Payload,
    /// The state on the producer's last transfer that had one.
    pub state: Option<Box<DeliveryState>>,
    /// What a routed link's delivery keeps.
    pub heads: Option<Arc<Heads>>,
}

/// A delivery that has been read and not yet been forwarded.
#[derive(Debug)]
pub struct Waiting {
    /// The key of its address.
    pub key: AddressKey,
    /// The message.
    pub payload: Payload,
    /// Its rewritten leading sections.
    pub heads: Option<Arc<Heads>>,
    /// The state on the producer's transfer.
    pub state: Option<Box<DeliveryState>>,
    /// All of the message is there.
    pub complete: bool,
    /// A consumer that has sent it back.
    pub excluded: Option<OutLinkKey>,
    /// What it says of its way.
    pub journey: Journey,
    /// Whether it may go to its address's fallback, or has.
    pub redirect: Redirect,
}

/// What is known of a delivery and the fallback of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// It has not gone there.
    Open,
    /// It has come from there, and does not go back.
    Barred,
    /// It was sent there from the address that has this record, if it has any: it counts as its.
    From(Option<AddressId>),
}

impl Redirect {
    /// Of what a link brings.
    #[must_use]
    pub fn at_first(is_of_fallback: bool) -> Self {
        match is_of_fallback {
            true => Self::Barred,
            false => Self::Open,
        }
    }
}

/// What a message says of its way through the network.
#[derive(Clone, Debug)]
pub struct Journey {
    /// The header's priority, at most 9.
    pub priority: u8,
    /// Where it entered the network; `None`: it does not say, so here.
    pub entry: Option<Entry>,
    /// The routers that have sent it, of those that are known.
    pub trace: Option<Arc<[u16]>>,
}

impl Default for Journey {
    fn default() -> Self {
        Self {
            priority: DEFAULT_PRIORITY,
            entry: None,
            trace: None,
        }
    }
}

/// A delivery on its way to the consumers of several shards.
#[derive(Debug)]
pub struct FanOut {
    /// Its address.
    pub address: AddressId,
    /// The shards it went to, and how much of a stream each has passed on.
    pub shards: Vec<(ShardId, u64)>,
    /// The shards' answers.
    pub merge: Merge,
}

/// A delivery whose message arrives after its beginning was forwarded.
#[derive(Debug, Default)]
pub struct Stream {
    /// Bytes received so far.
    pub received: u64,
    /// Bytes that have left the box.
    pub progress: u64,
    /// A consumer has begun to get it, be it that others have not.
    pub begun: bool,
    /// The second in which it last came further.
    pub moved: u32,
    /// The second in which it was last known to wait in a lane that stands still.
    pub stands: Option<u32>,
    /// The second in which such a lane was last known to wait for more of it.
    pub starves: Option<u32>,
    /// The same of a lane in which others wait behind it.
    pub keeps: Option<u32>,
    /// Bytes for which the session's window is withheld.
    pub withheld: u64,
    /// The last frame has arrived.
    pub complete: bool,
    /// Its record stays until it has left, although nobody settles it.
    pub kept: bool,
}

impl Stream {
    /// Bytes received that have not left the box.
    #[must_use]
    pub fn ahead(&self) -> u64 {
        self.received.saturating_sub(self.progress)
    }
}
