//! How fast an answer has to be taken by who has asked for it.

use amqp_proto::Time;
use web::limits::{ANSWER_TIME, STALL_BYTES, STALL_TIME};

/// The times of one answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The end of it, however it goes.
    end: Time,
    /// The end of it, unless some more is taken.
    stalls: Time,
    /// Bytes taken since that was set.
    taken: usize,
}

impl Pace {
    /// An answer begins.
    pub(super) fn begin(now: Time) -> Self {
        Self {
            end: now + ANSWER_TIME,
            stalls: now + STALL_TIME,
            taken: 0,
        }
    }

    /// So much of it was taken. A byte at times is not enough to stay.
    pub(super) fn note_taken(&mut self, count: usize, now: Time) {
        self.taken += count;
        if self.taken >= STALL_BYTES {
            self.taken = 0;
            self.stalls = now + STALL_TIME;
        }
    }

    /// When it has taken too long.
    pub(super) fn deadline(&self) -> Time {
        self.end.min(self.stalls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_byte_at_times_is_not_enough_and_even_much_ends() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::begin(Time::ZERO);
        let mut now = Time::ZERO;
        while now < Time::ZERO + STALL_TIME {
            pace.note_taken(1, now);
            now = now + second;
        }
        assert!(pace.deadline() <= now);

        let mut pace = Pace::begin(Time::ZERO);
        let mut now = Time::ZERO;
        while now < Time::ZERO + ANSWER_TIME {
            assert!(pace.deadline() > now);
            pace.note_taken(STALL_BYTES, now);
            now = now + second;
        }
        assert!(pace.deadline() <= now);
    }
}
