//! What the engine tells the rest of the router, as values.
//!
//! Owns vocabulary only. Decision: changes of addresses are told one by one, those of paths as one
//! snapshot, because a changed address concerns one record and a changed path nearly all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::ids::AddressKey;
use crate::mesh::misdeed::Misdeed;
use crate::mesh::names::{NeighborLink, RouterIndex};
use crate::route::Treatment;

/// What changed in the network. Routers and addresses come and go in the order in which they did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshEvent {
    /// A router was heard of for the first time.
    RouterAdded {
        /// Its number from now on.
        index: RouterIndex,
        /// Its id.
        id: Arc<str>,
    },
    /// A router was forgotten; its addresses were unmapped before.
    RouterLost {
        /// Its number, free for others as soon as all events have been taken.
        index: RouterIndex,
        /// Its id.
        id: Arc<str>,
    },
    /// A router has consumers of an address.
    Mapped {
        /// The router.
        router: RouterIndex,
        /// The address.
        key: AddressKey,
        /// The treatment for an address that was not known before.
        hint: Option<Treatment>,
    },
    /// A router has no consumers of an address any more.
    Unmapped {
        /// The router.
        router: RouterIndex,
        /// The address.
        key: AddressKey,
    },
    /// There is a new snapshot of the paths.
    PathsChanged,
    /// The topology has begun to change, or has been at rest for twice the interval of
    /// advertisements in flux.
    Flux {
        /// It has begun to change.
        entered: bool,
    },
    /// A neighbour and this router have seen each other.
    NeighborUp {
        /// The control link that leads to it.
        link: NeighborLink,
        /// Its id.
        id: Arc<str>,
    },
    /// Another of several connections now leads to a neighbour.
    NeighborMoved {
        /// The control link that leads to it.
        link: NeighborLink,
        /// Its id.
        id: Arc<str>,
    },
    /// A neighbour was not heard of any more, or its last connection was lost.
    NeighborDown {
        /// The control link that led to it.
        link: NeighborLink,
        /// Its id.
        id: Arc<str>,
    },
    /// A neighbour was lost again soon after it was back: it is not believed for a while.
    NeighborHeld {
        /// Its id.
        id: Arc<str>,
        /// Losses in a row.
        losses: u32,
        /// For how long it is not believed.
        hold: Duration,
    },
    /// A router has begun a new life; its addresses are unmapped.
    Restarted {
        /// Its id.
        id: Arc<str>,
    },
    /// There are more addresses than fit a message: this one, and further ones, are not told.
    Untold {
        /// The address.
        key: AddressKey,
    },
    /// A neighbour did something that was refused.
    Misbehaved {
        /// The control link.
        link: NeighborLink,
        /// The neighbour, if it has said who it is.
        neighbor: Option<Arc<str>>,
        /// What it did.
        why: Misdeed,
        /// Refusals on this link since the last report that are not told one by one.
        more: u64,
    },
}

/// A message to send, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The control link to send it on.
    pub link: NeighborLink,
    /// What it says.
    pub message: Bytes,
    /// It tells a neighbour that this router is there: it goes before all else.
    pub is_hello: bool,
}

impl Outgoing {
    pub(super) fn new(link: NeighborLink, message: Bytes) -> Self {
        Self {
            link,
            message,
            is_hello: false,
        }
    }
}
