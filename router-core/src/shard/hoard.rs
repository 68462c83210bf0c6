//! The record of what waits for a consumer that takes nothing. Who makes and reads such records is
//! in `relief.rs`.

use crate::ids::{InKey, OutLinkKey};
use crate::route::Route;

/// What waits for a consumer of what has come by one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hoard {
    /// The consumer.
    pub(super) to: OutLinkKey,
    /// What waits longest; `None` while some of it is called back.
    pub(super) oldest: Option<Oldest>,
    /// The second since which that is so.
    pub(super) since: u32,
    /// Nothing more goes there.
    pub(super) shut: bool,
}

/// The deliveries of the first second of which some still wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Oldest {
    /// One of them: others may have come in the same second, and be as many as these were.
    pub(super) first: Option<InKey>,
    /// The second.
    pub(super) born: u32,
    /// How many wait.
    pub(super) count: usize,
    /// Their bytes that are still here: less when a part of a large one has been taken.
    pub(super) bytes: u64,
}

/// Whether nothing goes to a consumer because it takes nothing.
pub(super) fn is_shut(hoards: &[Hoard], link: OutLinkKey) -> bool {
    hoards.iter().any(|hoard| hoard.shut && hoard.to == link)
}

/// Whether a route has such a consumer.
pub(super) fn has_shut(hoards: &[Hoard], route: &Route) -> bool {
    let mut consumers = route.consumers.iter();
    !hoards.is_empty() && consumers.any(|consumer| is_shut(hoards, consumer.link))
}
