//! When to look at a connection again: a timer wheel with one entry for each connection.
//!
//! Owns deadlines rounded up to 64 ms, never what they are for. Deadlines are *lazy*: one that
//! moves away is not moved in the wheel; the owner looks when the old one has come and schedules
//! again. Decision: entries are links in lists over one table, indexed as the connections are, so
//! that a connection takes one entry, however often it comes and goes; a heap would collect dead
//! ones.
//!
//! ```text
//!   slots   │ … │ t+1 │ t+2 │ … │ t+64 │      each a list of entries due at that tick
//!   later   ── entries beyond, looked through every 32 ticks ──
//! ```

use amqp_proto::Time;

use crate::ids::{ConnKey, Key};

/// Nanoseconds of a tick.
const TICK: u64 = 64_000_000;

/// Ticks ahead that have a list of their own.
const SLOTS: u64 = 64;

/// The list of entries beyond the slots.
const LATER: u8 = 64;

/// Not in a list; no such entry.
const NOWHERE: u8 = u8::MAX;
const NONE: u32 = u32::MAX;

/// Ticks after which the entries beyond the slots are looked through.
const RESCAN: u64 = SLOTS / 2;

/// The timers of one shard's connections.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The last tick that has passed.
    tick: u64,
    /// The first entry of each list.
    heads: [u32; LATER as usize + 1],
    /// One bit for each slot whose list is not empty.
    occupied: u64,
    /// No entry beyond the slots is due before this tick.
    later_from: u64,
    /// The tick at which entries beyond the slots are looked through.
    rescan: u64,
    /// By index of the connection.
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    generation: u32,
    list: u8,
    previous: u32,
    next: u32,
    tick: u64,
}

impl Entry {
    const FREE: Self = Self {
        generation: 0,
        list: NOWHERE,
        previous: NONE,
        next: NONE,
        tick: 0,
    };
}

impl Wheel {
    /// A wheel without entries, at the start of time.
    #[must_use]
    pub(super) fn new() -> Self {
        Self {
            tick: 0,
            heads: [NONE; LATER as usize + 1],
            occupied: 0,
            later_from: u64::MAX,
            rescan: RESCAN,
            entries: Vec::new(),
        }
    }

    /// Asks to be told about a connection at a time. Does nothing if it will be told before that
    /// time anyway.
    #[inline]
    pub(super) fn schedule(&mut self, connection: ConnKey, deadline: Time) {
        let Key { index, generation } = connection.0;
        let tick = deadline.as_nanos().div_ceil(TICK).max(self.tick + 1);
        match self.entries.get(index as usize) {
            Some(entry) if entry.list == NOWHERE => {}
            Some(entry) if entry.generation == generation && entry.tick <= tick => return,
            Some(_) => self.unlink(index),
            None => self.entries.resize(index as usize + 1, Entry::FREE),
        }
        self.entries[index as usize].generation = generation;
        self.link(index, tick);
    }

    /// Forgets a connection.
    pub(super) fn cancel(&mut self, connection: ConnKey) {
        let Key { index, generation } = connection.0;
        if let Some(entry) = self.entries.get(index as usize)
            && entry.generation == generation
            && entry.list != NOWHERE
        {
            self.unlink(index);
        }
        while self.entries.last().is_some_and(|last| last.list == NOWHERE) {
            self.entries.pop();
        }
        if self.entries.len() < self.entries.capacity() / 8 {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }

    /// The time at which a connection is due, or a little before.
    #[must_use]
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let mut tick = self.later_from;
        if self.occupied != 0 {
            // The slot of the next tick comes to stand at bit 0.
            let first = u32::from(slot_of(self.tick + 1));
            let ahead = self.occupied.rotate_right(first).trailing_zeros();
            tick = tick.min(self.tick + 1 + u64::from(ahead));
        }
        (tick != u64::MAX).then(|| Time::from_millis(tick.saturating_mul(TICK / 1_000_000)))
    }

    /// Appends the connections that are due. They are forgotten: who still waits for something must
    /// be scheduled again.
    pub(super) fn expired(&mut self, now: Time, due: &mut Vec<ConnKey>) {
        let target = now.as_nanos() / TICK;
        if target <= self.tick {
            return;
        }
        if self.occupied != 0 {
            for tick in self.tick + 1..=target.min(self.tick + SLOTS) {
                while self.heads[usize::from(slot_of(tick))] != NONE {
                    self.take(self.heads[usize::from(slot_of(tick))], due);
                }
            }
        }
        self.tick = target;
        if target >= self.rescan {
            self.rescan = target + RESCAN;
            self.look_through_later(due);
        }
    }

    /// Moves what has come near into slots and hands out what is due.
    fn look_through_later(&mut self, due: &mut Vec<ConnKey>) {
        self.later_from = u64::MAX;
        let mut index = self.heads[usize::from(LATER)];
        while index != NONE {
            let Entry { tick, next, .. } = self.entries[index as usize];
            if tick <= self.tick {
                self.take(index, due);
            } else if tick <= self.tick + SLOTS {
                self.unlink(index);
                self.link(index, tick);
            } else {
                self.later_from = self.later_from.min(tick);
            }
            index = next;
        }
    }

    /// Hands out an entry.
    fn take(&mut self, index: u32, due: &mut Vec<ConnKey>) {
        self.unlink(index);
        due.push(ConnKey(Key {
            index,
            generation: self.entries[index as usize].generation,
        }));
    }

    /// Puts an entry into the list of its tick, which lies in the future.
    fn link(&mut self, index: u32, tick: u64) {
        let list = if tick <= self.tick + SLOTS {
            let slot = slot_of(tick);
            self.occupied |= 1 << slot;
            slot
        } else {
            self.later_from = self.later_from.min(tick);
            LATER
        };
        let next = std::mem::replace(&mut self.heads[usize::from(list)], index);
        if let Some(follower) = self.entries.get_mut(next as usize) {
            follower.previous = index;
        }
        let entry = &mut self.entries[index as usize];
        *entry = Entry {
            list,
            previous: NONE,
            next,
            tick,
            ..*entry
        };
    }

    /// Takes an entry out of its list.
    fn unlink(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let Entry {
            list,
            previous,
            next,
            ..
        } = *entry;
        entry.list = NOWHERE;
        if let Some(follower) = self.entries.get_mut(next as usize) {
            follower.previous = previous;
        }
        if let Some(leader) = self.entries.get_mut(previous as usize) {
            leader.next = next;
        } else {
            self.heads[usize::from(list)] = next;
            if next == NONE {
                match list {
                    LATER => self.later_from = u64::MAX,
                    slot => self.occupied &= !(1 << slot),
                }
            }
        }
    }
}

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}

/// The slot of a tick.
fn slot_of(tick: u64) -> u8 {
    (tick % SLOTS).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key(index: u32) -> ConnKey {
        ConnKey(Key {
            index,
            generation: 0,
        })
    }

    fn expired(wheel: &mut Wheel, millis: u64) -> Vec<ConnKey> {
        let mut due = Vec::new();
        wheel.expired(Time::from_millis(millis), &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn a_deadline_is_told_once_and_not_early() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.next_deadline(), None);
        wheel.schedule(key(1), Time::from_millis(100));
        wheel.schedule(key(2), Time::from_millis(60_000));
        assert_eq!(wheel.next_deadline(), Some(Time::from_millis(128)));
        assert_eq!(expired(&mut wheel, 100), []);
        assert_eq!(expired(&mut wheel, 128), [key(1)]);
        assert_eq!(wheel.next_deadline(), Some(Time::from_millis(60_032)));
        assert_eq!(expired(&mut wheel, 60_031), []);
        assert_eq!(expired(&mut wheel, 60_032), [key(2)]);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn a_later_deadline_is_lazy_and_an_earlier_one_counts() {
        let mut wheel = Wheel::new();
        wheel.schedule(key(0), Time::from_millis(6400));
        wheel.schedule(key(0), Time::from_millis(9000));
        assert_eq!(wheel.next_deadline(), Some(Time::from_millis(6400)));
        wheel.schedule(key(0), Time::from_millis(640));
        assert_eq!(wheel.next_deadline(), Some(Time::from_millis(640)));
        assert_eq!(expired(&mut wheel, 10_000), [key(0)]);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn a_new_connection_takes_the_entry_of_the_one_before() {
        let mut wheel = Wheel::new();
        wheel.schedule(key(0), Time::from_millis(640));
        let next = ConnKey(Key {
            index: 0,
            generation: 1,
        });
        wheel.schedule(next, Time::from_millis(6400));
        wheel.cancel(key(0));
        assert_eq!(expired(&mut wheel, 6399), []);
        assert_eq!(expired(&mut wheel, 6400), [next]);
        wheel.schedule(next, Time::from_millis(7000));
        wheel.cancel(next);
        assert_eq!(wheel.next_deadline(), None);
        assert_eq!(expired(&mut wheel, 8000), []);
    }

    #[test]
    fn a_deadline_that_has_passed_comes_at_the_next_tick() {
        let mut wheel = Wheel::new();
        assert_eq!(expired(&mut wheel, 1000), []);
        wheel.schedule(key(3), Time::from_millis(10));
        assert_eq!(wheel.next_deadline(), Some(Time::from_millis(1024)));
        assert_eq!(expired(&mut wheel, 1024), [key(3)]);
    }

    proptest! {
        /// Against a plain map of deadlines, looked at after steps of any length.
        #[test]
        fn each_connection_is_told_in_the_step_in_which_it_is_due(
            steps in prop::collection::vec(
                (
                    prop::collection::vec((0..20_u32, 0..20_000_u64, any::<bool>()), 0..6),
                    0..9000_u64,
                ),
                1..60,
            ),
        ) {
            let mut wheel = Wheel::new();
            let mut model: BTreeMap<ConnKey, u64> = BTreeMap::new();
            let mut now = 0;
            for (changes, step) in steps {
                for (index, ahead, schedules) in changes {
                    if schedules {
                        let deadline = now + ahead;
                        wheel.schedule(key(index), Time::from_millis(deadline));
                        let tick = deadline.div_ceil(64).max(now / 64 + 1);
                        let told = model.entry(key(index)).or_insert(tick);
                        *told = tick.min(*told);
                    } else {
                        wheel.cancel(key(index));
                        model.remove(&key(index));
                    }
                }
                let next = model.values().min().map(|tick| Time::from_millis(tick * 64));
                let told = wheel.next_deadline();
                prop_assert!(told <= next && told.is_some() == next.is_some());
                now += step;
                let due = expired(&mut wheel, now);
                let expected: Vec<ConnKey> =
                    model
                        .iter()
                        .filter(|(_, tick)| **tick <= now / 64)
                        .map(|(key, _)| *key)
                        .collect();
                prop_assert_eq!(&due, &expected);
                model.retain(|_, tick| *tick > now / 64);
            }
        }

        /// A driver that sleeps until the next deadline each time tells all, and does not spin.
        #[test]
        fn sleeping_to_the_next_deadline_tells_everything(
            deadlines in prop::collection::vec(1..400_000_u64, 1..40),
        ) {
            let mut wheel = Wheel::new();
            for (index, deadline) in (0..).zip(&deadlines) {
                wheel.schedule(key(index), Time::from_millis(*deadline));
            }
            let (mut told, mut wakes) = (0, 0);
            while let Some(next) = wheel.next_deadline() {
                let mut due = Vec::new();
                wheel.expired(next, &mut due);
                for connection in due {
                    let deadline = Time::from_millis(deadlines[connection.0.index as usize]);
                    prop_assert!(deadline <= next && next.as_nanos() - deadline.as_nanos() < TICK);
                    told += 1;
                }
                wakes += 1;
                prop_assert!(wakes <= 2 * deadlines.len(), "it spins");
            }
            prop_assert_eq!(told, deadlines.len());
        }
    }
}
