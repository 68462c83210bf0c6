//! The one place of the client verbs that asks the operating system for the time.
//!
//! Everything else takes `Time` (nanoseconds since this clock was made) as an argument, as the
//! deterministic crates do.

use std::time::Instant;

use amqp_proto::Time;

/// A monotonic clock that starts at zero. Copies share the start, so that threads can compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that reads zero now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "a client's clock belongs to the runtime crate"
    )]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Nanoseconds since the clock was made; it would take 584 years to run over.
    #[must_use]
    pub fn now(&self) -> Time {
        Time::ZERO + self.start.elapsed()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
