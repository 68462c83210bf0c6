//! When to look at a connection again: a timer wheel with one entry for each connection.
//!
//! Owns deadlines rounded up to 64 ms, never what they are for. Deadlines are *lazy*: one that moves
//! away is not moved in the wheel; the owner looks when the old one has come and schedules again.
//! Decision: entries are links in lists over one table, indexed as the connections are, so that a
//! connection takes one entry, however often it comes and goes; a heap would collect dead ones.
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
pub struct Wheel {
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
    pub fn new() -> Self {
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
    pub fn schedule(&mut self, connection: ConnKey, deadline: Time) {
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
    pub fn cancel(&mut self, connection: ConnKey) {
        let Key { index, generation } = connection.0;
        if let Some(entry) = self.entries.get(index as usize)
            && entry.generation == generation
            && entry.list != NOWHERE
        {
            self.unlink(index);
        }
    }

    /// The time at which a connection is due, or a little before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
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
    pub fn expired(&mut self, now: Time, due: &mut Vec<ConnKey>) {
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
            if next == NONE && list != LATER {
                self.occupied &= !(1 << list);
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
