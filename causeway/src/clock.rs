//! The one place of the router's runtime that asks the operating system for the time. What decides
//! takes [`Time`] as an argument, so that the simulator can give it another.

use std::time::{Instant, SystemTime};

use amqp_proto::Time;

/// A monotonic clock that began at zero; copies share their beginning.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the runtime is where time comes from"
    )]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The time since the beginning.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }
}

/// The second since the epoch, which tells this life of a router from those before.
#[must_use]
pub fn boot_second() -> i64 {
    let since = time_of_day().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// The time of day, for lines of the log.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the runtime is where time comes from"
)]
pub fn time_of_day() -> SystemTime {
    SystemTime::now()
}
