//! For how long consumers, and receivers on routed links, took nothing of what they were to take:
//! routers may let what waits for one that takes nothing give way to others, or end its link.

use std::time::Duration;

use amqp_proto::Time;
use router_core::limits;

use crate::heard::SLACK;

/// The shortest rest because of which something may give way, or end: routers count whole seconds,
/// and hear of what a consumer does a while later.
const LONG: Duration = limits::STREAM_STALLED.saturating_sub(SLACK);

/// Whether something that has waited for so long may have had to give way: a second of a router's
/// may be over as soon as it has begun.
pub(crate) fn may_give_way(waited: Duration) -> bool {
    waited + Duration::from_secs(1) > limits::STREAM_STALLED
}

/// The rests of one that receives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rests {
    /// Since when it has taken nothing, while it is to.
    since: Option<Time>,
    /// The long ones before, from when until when, in the order of time.
    long: Vec<(Time, Time)>,
}

impl Rests {
    /// It is to take something, if it was not before.
    pub(crate) fn begin(&mut self, now: Time) {
        self.since.get_or_insert(now);
    }

    /// It has taken something, be it a part of a message, or is to take nothing any more.
    pub(crate) fn end(&mut self, now: Time) {
        if let Some(since) = self.since.take()
            && now.saturating_sub(since) >= LONG
        {
            self.long.push((since, now));
        }
    }

    /// Whether there was a long rest between two times.
    pub(crate) fn was_long(&self, from: Time, until: Time) -> bool {
        let is_long =
            |&(since, end): &(Time, Time)| end.min(until).saturating_sub(since.max(from)) >= LONG;
        let present = self.since.map(|since| (since, until));
        present.iter().chain(&self.long).any(is_long)
    }

    /// Whether there is a long one, or one was over less than so long ago.
    pub(crate) fn is_long(&self, now: Time, remembered: Duration) -> bool {
        let is_long = |since| now.saturating_sub(since) >= LONG;
        let last = self.long.last();
        self.since.is_some_and(is_long) || last.is_some_and(|&(_, end)| end + remembered >= now)
    }
}
