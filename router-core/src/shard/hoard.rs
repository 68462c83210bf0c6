//! The record of what waits for a consumer that takes nothing. Who makes and reads such records is
//! in `relief.rs`.

use crate::ids::OutLinkKey;
use crate::route::Route;

/// What waits for a consumer of what has come by one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hoard {
    /// The consumer.
    pub(super) to: OutLinkKey,
    /// The second in which the oldest came, and how many of those still wait; `None` while some are
    /// called back.
    pub(super) oldest: Option<(u32, usize)>,
    /// The second since which that is so.
    pub(super) since: u32,
    /// Nothing more goes there.
    pub(super) shut: bool,
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
