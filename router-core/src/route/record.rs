//! One address as the shards see it: its treatment and its consumers, in an immutable record that a
//! snapshot of the routing table shares with the one before when nothing about it changed.

use super::paths::Paths;
use crate::ids::{AddressId, AddressKey, OutLinkKey, ShardId};

/// The slot of a target that nobody counts.
pub const NO_SLOT: u32 = u32::MAX;

/// How the deliveries of an address are dealt to its consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Treatment {
    /// To everyone, without a check for loops: the routers' own addresses.
    MulticastFlood,
    /// To everyone, once.
    Multicast,
    /// To one, the nearest.
    AnycastClosest,
    /// To one, the least loaded.
    AnycastBalanced,
    /// Links, not deliveries, are dealt.
    LinkBalanced,
    /// Nobody may send or receive.
    Unavailable,
}

impl Treatment {
    /// How the deliveries of fallbacks are dealt, whatever is said of the addresses that have them.
    pub const OF_FALLBACKS: Self = Self::AnycastBalanced;

    /// Whether each consumer gets a copy.
    #[must_use]
    pub fn is_multicast(self) -> bool {
        matches!(self, Self::MulticastFlood | Self::Multicast)
    }

    /// The name that management shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MulticastFlood => "flood",
            Self::Multicast => "multicast",
            Self::AnycastClosest => "closest",
            Self::AnycastBalanced => "balanced",
            Self::LinkBalanced => "linkBalanced",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A consumer of an address on one of this router's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The link.
    pub link: OutLinkKey,
    /// Unsettled deliveries that each shard may have on their way to the link, and the load from
    /// which the link no longer counts as eligible for balanced deliveries.
    pub capacity: u32,
    /// The tally cell of this consumer; [`NO_SLOT`] while the address has no choice.
    pub slot: u32,
}

/// Another router that has consumers of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteRouter {
    /// Its index.
    pub router: u16,
    /// The tally cell of unsettled deliveries sent its way; [`NO_SLOT`] while the address has no
    /// choice.
    pub slot: u32,
}

/// One address.
#[derive(Clone, Debug)]
pub struct Route {
    /// The record's number.
    pub id: AddressId,
    /// The text by which it is looked up.
    pub key: AddressKey,
    /// How its deliveries are dealt.
    pub treatment: Treatment,
    /// Overrides the priority of its messages between routers, 0 to 9.
    pub priority: Option<u8>,
    /// Only links between routers may send to it.
    pub control_only: bool,
    /// At least one consumer's link carries router annotations, or another router has consumers.
    pub annotated: bool,
    /// Consumers inside the router (the management agent), served before all others.
    pub in_process: Vec<OutLinkKey>,
    /// Consumers on links of this router, in the order in which they came.
    pub consumers: Vec<Consumer>,
    /// Other routers with consumers, by ascending index.
    pub routers: Vec<RemoteRouter>,
    /// The shards that own the consumers, each once, in ascending order.
    pub shards: Vec<ShardId>,
    /// The tally cell that counts turns; [`NO_SLOT`] while the address has no choice.
    pub turn_slot: u32,
}

impl Route {
    /// Whether a delivery to this address has anywhere to go: producers get credit.
    #[must_use]
    pub fn is_reachable(&self, paths: &Paths) -> bool {
        !self.in_process.is_empty()
            || !self.consumers.is_empty()
            || self.routers.iter().any(|of| paths.to(of.router).is_some())
    }
}
