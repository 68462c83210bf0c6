//! A message on its way to a choice, and what became of it: what the stages that read, annotate,
//! keep and forward messages hand to each other. Values only; nothing here decides.

use std::sync::Arc;

use amqp_codec::{AmqpError, DeliveryState, Str, Symbol};
use amqp_proto::{Payload, SessionKey};

use crate::delivery::{Journey, Redirect};
use crate::ids::{AddressId, AddressKey, ConnKey, InKey, InLinkKey, OutLinkKey, ShardId};
use crate::limits;
use crate::mail::Heads;

/// A message on its way to a choice.
pub(super) struct Parcel {
    /// The producer's link, if it is still there.
    pub(super) link: Option<InLinkKey>,
    /// The link that it came by, there or not.
    pub(super) sender: InLinkKey,
    /// Its connection.
    pub(super) conn: ConnKey,
    /// Its session.
    pub(super) session: SessionKey,
    /// Its delivery-id.
    pub(super) delivery_id: u32,
    /// Its record, if it has one already.
    pub(super) record: Option<InKey>,
    /// The producer has settled it.
    pub(super) settled: bool,
    /// All of it is there.
    pub(super) complete: bool,
    /// The second in which it came in.
    pub(super) born: u32,
    /// The state on the producer's transfer.
    pub(super) state: Option<Box<DeliveryState>>,
    /// Rewritten leading sections.
    pub(super) heads: Option<Arc<Heads>>,
    /// The message.
    pub(super) payload: Payload,
    /// A consumer that has sent it back.
    pub(super) excluded: Option<OutLinkKey>,
    /// What it says of its way.
    pub(super) journey: Journey,
    /// Whether it may go to its address's fallback, or has.
    pub(super) redirect: Redirect,
}

impl Parcel {
    /// Whether it came by a routed link.
    pub(super) fn is_routed(&self) -> bool {
        self.heads.as_ref().is_some_and(|of| of.label.is_some())
    }
}

/// What became of the look-up and the choice.
pub(super) enum Verdict {
    /// To one consumer; its window and tally have been charged.
    One {
        /// A consumer of the address takes router annotations.
        annotated: bool,
        /// The consumer.
        target: OutLinkKey,
        /// Its tally cell.
        slot: u32,
        /// The address.
        address: AddressId,
    },
    /// To the consumers of these shards.
    Each {
        /// A consumer of the address takes router annotations.
        annotated: bool,
        /// The address.
        address: AddressId,
        /// The shards.
        shards: Vec<ShardId>,
        /// Links to neighbours, of whatever shard.
        beyond: Option<Arc<Vec<OutLinkKey>>>,
    },
    /// The windows of all consumers are shut.
    Wait(AddressKey),
    /// Nobody consumes the address.
    NoPath(AddressKey),
    /// The rest of it is to come first.
    Collect,
    /// The message cannot be sent anywhere.
    Refuse(DeliveryState),
}

impl Verdict {
    /// Whether router annotations have to be composed; who waits may meet any consumer.
    pub(super) fn wants_annotations(&self) -> bool {
        match self {
            Self::One { annotated, .. } | Self::Each { annotated, .. } => *annotated,
            Self::Wait(_) | Self::NoPath(_) => true,
            Self::Collect | Self::Refuse(_) => false,
        }
    }
}

/// Whether a message goes by a streaming link to a neighbour: it is not whole yet, or so long that
/// those like it are not, as a rule. Were it to go by another link, they would overtake it.
pub(super) fn is_large(complete: bool, payload: &Payload) -> bool {
    !complete || payload.len() > limits::STREAM_THRESHOLD
}

/// A rejected outcome with a reason.
pub(super) fn rejected(condition: &'static str, description: &str) -> DeliveryState {
    DeliveryState::Rejected(Some(Box::new(AmqpError {
        condition: Symbol::from(condition),
        description: Some(Str::copy(description)),
        info: None,
    })))
}
