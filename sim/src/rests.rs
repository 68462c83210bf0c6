//! For how long consumers took nothing: routers may let what waits for one that takes nothing give
//! way to others.

use std::time::Duration;

use amqp_proto::Time;
use router_core::limits;

use crate::heard::SLACK;

/// The shortest rest because of which something may give way: routers count whole seconds, and hear
/// of what a consumer does a while later.
const LONG: Duration = limits::STREAM_STALLED.saturating_sub(SLACK);

/// When a consumer last got something, and when it got nothing for long before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rests {
    last: Option<Time>,
    /// From when until when, in the order of time.
    long: Vec<(Time, Time)>,
}

impl Rests {
    /// The consumer gets something, be it a part of a message.
    pub(crate) fn end(&mut self, up: Time, now: Time) {
        let since = self.last.replace(now).unwrap_or(up);
        if now.saturating_sub(since) >= LONG {
            self.long.push((since, now));
        }
    }

    /// Whether there was a long rest between two times.
    pub(crate) fn was_long(&self, up: Time, from: Time, until: Time) -> bool {
        let is_long =
            |&(since, end): &(Time, Time)| end.min(until).saturating_sub(since.max(from)) >= LONG;
        is_long(&(self.last.unwrap_or(up), until)) || self.long.iter().any(is_long)
    }
}
