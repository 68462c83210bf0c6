//! What is said of a *routed link*: two links, one on which the router receives and one on which it
//! sends, that belong together from one end of the network to the other. What comes by the one
//! leaves by the other, and credit, drain, detach and errors go the other way.
//!
//! The shard that a client's attach came to asks the control plane for a way (`RouteLink`), which
//! has the shard of a container's or a neighbour's connection attach the other half (`AttachLink`).
//! From then on the two shards speak to each other. A half that is gone is a stale key.

use std::sync::Arc;

use amqp_codec::{AmqpError, Attach, DeliveryTag, Str};

use crate::ids::{
    AddressKey, ConnectionId, Direction, InLinkKey, Key, LinkId, OutLinkKey, ShardId,
};

/// What is said of a link to where nothing leads: condition and description.
pub const NO_ROUTE: (&str, &str) = ("qd:no-route-to-dest", "No route to the destination node");

/// One half of a routed link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The router receives on it.
    In(ShardId, InLinkKey),
    /// The router sends on it.
    Out(OutLinkKey),
}

impl Half {
    /// The shard that owns it.
    #[must_use]
    pub fn shard(self) -> ShardId {
        match self {
            Self::In(shard, _) => shard,
            Self::Out(link) => link.shard,
        }
    }

    /// Its key there.
    #[must_use]
    pub fn key(self) -> Key {
        match self {
            Self::In(_, link) => link.0,
            Self::Out(link) => link.link,
        }
    }
}

/// Something that happened to one half and concerns the other.
#[derive(Debug)]
pub struct Relay {
    /// The half that is told.
    pub to: Half,
    /// What happened.
    pub what: RelayEvent,
}

/// What happened to the other half of a routed link.
#[derive(Debug)]
pub enum RelayEvent {
    /// It is there, and its attach has been sent.
    Paired(Half, LinkId),
    /// Its peer has answered the attach.
    Attached(Box<Attach>),
    /// There is no way, or none that would take a further link: condition and description.
    Refused(&'static str, &'static str),
    /// Its peer has detached it.
    Detach {
        /// Closed rather than suspended.
        closed: bool,
        /// Why.
        error: Option<Box<AmqpError>>,
    },
    /// Its peer has answered the detach that was passed on to it: closed, or suspended.
    Answered(bool),
    /// What it has brought keeps others waiting there, and has not moved for long.
    Stalled,
    /// It is gone with its session or connection.
    Lost {
        /// Its peer may not come back to it.
        closed: bool,
    },
}

/// A client's attach in search of a way.
#[derive(Debug)]
pub struct RouteLink {
    /// The half that the client has attached.
    pub near: Half,
    /// Its number in the log.
    pub id: LinkId,
    /// Its connection, where the link is not to return.
    pub connection: ConnectionId,
    /// Which end of an address the client wants.
    pub direction: Direction,
    /// The link route that it matches.
    pub key: AddressKey,
    /// The address, as management shows it.
    pub address: AddressKey,
    /// The attach, as it goes on.
    pub attach: Box<Attach>,
    /// Ways that were chosen for it and were gone by then.
    pub misses: u8,
}

impl RouteLink {
    /// What it counts on its way, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.attach.name.len() + self.key.len()
    }
}

/// An attach on its way to a container, or to the next router.
#[derive(Debug)]
pub struct AttachLink {
    /// What is to be attached.
    pub ask: RouteLink,
    /// Where it goes.
    pub connection: ConnectionId,
    /// How the container names its addresses.
    pub edit: Option<Arc<AddressEdit>>,
}

/// How an address changes on the way to a container, and back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressEdit {
    /// `addExternalPrefix`.
    pub add: String,
    /// `delExternalPrefix`.
    pub del: String,
}

impl AddressEdit {
    /// The address as the container knows it.
    #[must_use]
    pub fn outward(&self, address: &str) -> Str {
        Str::from([&self.add, strip(address, &self.del)].concat())
    }

    /// An address of the container's as clients know it.
    #[must_use]
    pub fn inward(&self, address: &str) -> Str {
        Str::from([&self.del, strip(address, &self.add)].concat())
    }
}

/// An address without a prefix that is not all of it.
fn strip<'a>(address: &'a str, prefix: &str) -> &'a str {
    let rest = address.strip_prefix(prefix);
    rest.filter(|rest| !rest.is_empty()).unwrap_or(address)
}

/// What a delivery on a routed link keeps from one end to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// Its tag.
    pub tag: DeliveryTag,
    /// Its message format.
    pub format: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_and_go_and_never_leave_nothing() {
        let edit = AddressEdit {
            add: "hub.".to_owned(),
            del: "local.".to_owned(),
        };
        assert_eq!(&*edit.outward("local.q"), "hub.q");
        assert_eq!(&*edit.inward("hub.q"), "local.q");
        assert_eq!(&*edit.outward("q"), "hub.q");
        assert_eq!(&*edit.outward("local."), "hub.local.");
        let none = AddressEdit::default();
        assert_eq!((&*none.outward("q"), &*none.inward("q")), ("q", "q"));
    }
}
