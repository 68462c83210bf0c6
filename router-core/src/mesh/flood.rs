//! What was passed on to all lately, so that nothing makes the round twice.
//!
//! Owns the memory of it, and its bound. It knows no message: a number stands for what one says,
//! whoever said it and in whatever version. Decision: when there is too much to remember the oldest
//! is forgotten, since its copies have had the most time to arrive; nothing is refused for it.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _};

use amqp_proto::Time;
use foldhash::fast::FixedState;

use crate::limits;

/// How far a message had come when it was passed on, and when that was.
#[derive(Clone, Copy, Debug)]
struct Seen {
    distance: usize,
    at: Time,
}

/// What was passed on to all lately.
#[derive(Debug)]
pub(super) struct Floods {
    hasher: FixedState,
    seen: BTreeMap<u64, Seen>,
    /// Oldest first; an entry that was renewed since is here twice.
    order: VecDeque<(Time, u64)>,
}

impl Floods {
    /// Remembers nothing; the seed keys the numbers, so that nobody can aim at those of others.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            seen: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether a message that has been sent by so many routers is to be passed on, which is then
    /// taken for done. A copy of what has just been passed on reaches nobody new, unless it has
    /// come by fewer routers and may therefore go further. The same is said again after a while,
    /// to confirm it.
    pub(super) fn is_new(&mut self, said: &[u8], distance: usize, now: Time) -> bool {
        self.forget(now);
        let mut hasher = self.hasher.build_hasher();
        hasher.write(said);
        let number = hasher.finish();
        let known = self.seen.get(&number);
        if known.is_some_and(|seen| seen.distance <= distance) {
            return false;
        }
        self.seen.insert(number, Seen { distance, at: now });
        self.order.push_back((now, number));
        true
    }

    fn forget(&mut self, now: Time) {
        while let Some(&(at, number)) = self.order.front()
            && (now.saturating_sub(at) >= limits::MESH_COPY_TIME
                || self.order.len() >= limits::MESH_FLOODS)
        {
            self.order.pop_front();
            if self.seen.get(&number).is_some_and(|seen| seen.at == at) {
                self.seen.remove(&number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_remembered_than_there_is_room_for() {
        let mut floods = Floods::new(1);
        let now = Time::from_millis(1000);
        for number in 0..3 * limits::MESH_FLOODS {
            assert!(floods.is_new(&number.to_be_bytes(), 3, now));
            assert!(!floods.is_new(&number.to_be_bytes(), 3, now), "a copy");
        }
        assert!(floods.seen.len() <= limits::MESH_FLOODS);
        assert!(floods.order.len() <= limits::MESH_FLOODS);
        let later = now + limits::MESH_COPY_TIME;
        assert!(floods.is_new(b"x", 3, later));
        assert_eq!((floods.seen.len(), floods.order.len()), (1, 1));
    }
}
