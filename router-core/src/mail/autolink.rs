//! What is said of an *auto-link*: a link that the router attaches by itself on each connection of
//! a container that its configuration names, and that is an ordinary producer or consumer of an
//! address from then on.
//!
//! The control plane decides when; the shard of the connection attaches, and says what came of it.
//! Of one entry there is at most one link on a connection, so the two name it.

use amqp_codec::Str;

use crate::ids::{AddressKey, ConnectionId, Direction, LinkId};
use crate::route::Treatment;

/// An auto-link on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AutoLinkKey {
    /// The number of its entry; none is used twice.
    pub entry: u64,
    /// The connection.
    pub connection: ConnectionId,
}

/// The control plane has a shard attach an auto-link.
#[derive(Clone, Debug)]
pub struct AttachAutoLink {
    /// Which.
    pub of: AutoLinkKey,
    /// Whether the router receives (`In`) or sends.
    pub direction: Direction,
    /// The address, as this network knows it.
    pub address: Str,
    /// Its key, phase included.
    pub key: AddressKey,
    /// The treatment of a record that has to be made for it.
    pub treatment: Treatment,
    /// The priority of a record that has to be made for it.
    pub priority: Option<u8>,
    /// The address, as the container knows it.
    pub external: Str,
    /// Its container serves those whom nobody else serves: what comes from there is not to go back.
    pub fallback: bool,
}

/// What came of an auto-link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoLinkEvent {
    /// The container has taken it, and it is bound to its address.
    Active(LinkId),
    /// It is no more, or has never come to be, for this reason.
    Ended(String),
}
