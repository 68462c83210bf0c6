//! What routers find out about each other, and what they say.
//!
//! Owns vocabulary only. What is listed is cut to a number of names, so that a line of the log is
//! bounded however large the network.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AddressKey, ConnectionId};
use crate::limits;

/// What a router of a network finds out about the others.
#[derive(Clone, Debug)]
pub enum NetworkNotice {
    /// A neighbour and this router have seen each other.
    NeighborFound {
        /// Its id.
        id: Arc<str>,
    },
    /// A neighbour is silent, or its last connection is gone.
    NeighborLost {
        /// Its id.
        id: Arc<str>,
    },
    /// A neighbour has said no hello for too long.
    HelloExpired {
        /// Its id.
        id: Arc<str>,
    },
    /// Paths were found anew, and this of them differs from before.
    Computed(Computed),
    /// The topology has begun to change, or has been at rest for a while.
    Flux {
        /// It has begun to change.
        entered: bool,
    },
    /// A neighbour that is lost again and again is not believed to be back for a while.
    NeighborHeld {
        /// Its id.
        id: Arc<str>,
        /// How often it was lost in a row.
        losses: u32,
        /// For how long it is not believed.
        hold: Duration,
    },
    /// Address records were made, or are gone, because of what other routers have told.
    AddressesLearnt {
        /// How many were made.
        added: usize,
        /// How many are gone.
        removed: usize,
    },
    /// A router of the network was heard of for the first time.
    RouterFound {
        /// Its id.
        id: Arc<str>,
    },
    /// A router has been out of reach for so long that it is forgotten.
    RouterForgotten {
        /// Its id.
        id: Arc<str>,
    },
    /// A router has begun a new life.
    RouterRestarted {
        /// Its id.
        id: Arc<str>,
    },
    /// Another router has this one's id.
    DuplicateRouter {
        /// The connection by which that was found out.
        connection: Option<ConnectionId>,
        /// The id.
        id: Arc<str>,
        /// The neighbour that passes on what the other one says; `None` if it is the neighbour
        /// itself.
        neighbor: Option<Arc<str>>,
    },
    /// A router speaks a version of the routing protocol that this one does not; it is ignored.
    VersionMismatch {
        /// The connection by which its message came.
        connection: Option<ConnectionId>,
        /// Its id.
        id: Arc<str>,
        /// The version it speaks.
        version: i64,
        /// The version that this router speaks.
        own: i64,
        /// Further misdeeds that are not told one by one.
        more: u64,
    },
    /// A neighbour broke the rules of the routing protocol; what it said is ignored.
    RouterMisbehaved {
        /// The connection by which it did.
        connection: Option<ConnectionId>,
        /// Its id, if it is known.
        neighbor: Option<Arc<str>>,
        /// What it did.
        why: String,
        /// Further misdeeds that are not told one by one.
        more: u64,
    },
    /// The addresses with consumers here are more than can be told: the others do not hear of this
    /// one, and of further ones, until some are gone.
    AddressUntold {
        /// The first of them.
        key: AddressKey,
    },
    /// A router has said in which form it annotates messages.
    AnnotationsVersion {
        /// Its connection.
        connection: ConnectionId,
        /// The number of the form.
        version: i64,
    },
}

/// One thing that the paths say of the routers that can be reached, by their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Computed {
    /// The neighbour by which each is reached.
    NextHops(Few<(Arc<str>, Arc<str>)>),
    /// What the way to each costs.
    Costs(Few<(Arc<str>, u32)>),
    /// The routers whose messages to each pass here.
    ValidOrigins(Few<(Arc<str>, Few<Arc<str>>)>),
    /// The most connections on the way to any.
    Radius(u16),
}

impl Computed {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::NextHops(few) => size_of_val(&*few.first),
            Self::Costs(few) => size_of_val(&*few.first),
            Self::ValidOrigins(few) => {
                let origins = few.first.iter().map(|(_, few)| size_of_val(&*few.first));
                size_of_val(&*few.first) + origins.sum::<usize>()
            }
            Self::Radius(_) => 0,
        }
    }
}

/// A message of the routing protocol as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingText {
    /// The router that says it.
    pub id: String,
    /// The version of the protocol that it speaks.
    pub version: i64,
    /// The second in which it began.
    pub instance: Option<i64>,
    /// The router that it is for, if that is a single one.
    pub to: Option<String>,
    /// What it says.
    pub said: Said,
}

/// What a message of the routing protocol says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the protocol's own fields")]
pub enum Said {
    /// Who was heard of lately.
    Hello { seen: Few<String> },
    /// How far link state and addresses have got.
    Advertisement {
        link_sequence: i64,
        mobile_sequence: i64,
    },
    /// A question for the link state.
    LinkStateRequest,
    /// Neighbours and costs.
    LinkState {
        sequence: i64,
        peers: Few<(String, u32)>,
    },
    /// A question for the addresses.
    AddressRequest { have_sequence: i64 },
    /// All addresses, or what changed.
    Addresses {
        sequence: i64,
        exist: Option<Few<String>>,
        add: Option<Few<String>>,
        del: Option<Few<String>>,
    },
}

/// The first [`NOTICE_NAMES`](limits::NOTICE_NAMES) of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Few<T> {
    /// They.
    pub first: Vec<T>,
    /// How many more there are.
    pub more: usize,
}

impl<T> Few<T> {
    /// The first of those that are made of a list; the others are not made.
    pub(crate) fn made_of<S>(list: &[S], make: impl FnMut(&S) -> T) -> Self {
        let most = list.len().min(limits::NOTICE_NAMES);
        Self {
            first: list[..most].iter().map(make).collect(),
            more: list.len() - most,
        }
    }

    /// The first of all.
    pub(crate) fn of(mut all: impl Iterator<Item = T>) -> Self {
        Self {
            first: all.by_ref().take(limits::NOTICE_NAMES).collect(),
            more: all.count(),
        }
    }
}

impl RoutingText {
    pub(super) fn bytes(&self) -> usize {
        let names = |few: &Few<String>| few.first.iter().map(|name| entry(name)).sum::<usize>();
        let entries = match &self.said {
            Said::Hello { seen } => names(seen),
            Said::LinkState { peers, .. } => peers.first.iter().map(|(id, _)| entry(id)).sum(),
            Said::Addresses {
                exist, add, del, ..
            } => [exist, add, del].into_iter().flatten().map(names).sum(),
            Said::Advertisement { .. } | Said::LinkStateRequest | Said::AddressRequest { .. } => 0,
        };
        size_of::<Self>() + self.id.len() + self.to.as_ref().map_or(0, String::len) + entries
    }
}

fn entry(name: &str) -> usize {
    size_of::<(String, u32)>() + name.len()
}
