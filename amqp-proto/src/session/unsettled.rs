//! The unsettled deliveries of one session and direction.
//!
//! Owns the map from delivery-id to the owner's token; never knows what a delivery is.
//!
//! Decision: delivery-ids are consecutive, so the map is a ring indexed by `id - base`: no
//! hashing, and ranges are slices. One delivery left unsettled for a day must not stretch the
//! ring: beyond 4096 places, or four times the live ones, stragglers move to a small sorted map.
//! A range costs what is unsettled, not what it spans.

use std::collections::{BTreeMap, VecDeque};

use crate::serial::{ahead, before, distance};

/// The ring may always be this long.
const RING_ALWAYS: usize = 4096;

/// The ring may be this many times longer than it has live entries.
const RING_SLACK: usize = 4;

/// A ring of at most this many places keeps its memory when it runs empty.
const RING_KEPT: usize = 32;

/// What is remembered of an unsettled delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The owner's.
    pub(crate) token: u64,
    /// The slot of its link.
    pub(crate) link: u32,
}

/// Marks a place in the ring whose delivery is settled or was never remembered.
const VACANT: Entry = Entry {
    token: 0,
    link: u32::MAX,
};

/// Unsettled deliveries by delivery-id.
#[derive(Debug, Default)]
pub(crate) struct Unsettled {
    /// The delivery-id of the ring's first place.
    base: u32,
    ring: VecDeque<Entry>,
    /// Live entries in the ring.
    live: usize,
    stragglers: BTreeMap<u32, Entry>,
}

impl Unsettled {
    /// How many deliveries are unsettled.
    pub(crate) fn len(&self) -> usize {
        self.live + self.stragglers.len()
    }

    /// Remembers a delivery and gives back what was remembered under its id.
    #[inline]
    pub(crate) fn insert(&mut self, id: u32, entry: Entry) -> Option<Entry> {
        if self.ring.is_empty() {
            self.base = id;
        }
        let offset = distance(self.base, id);
        if offset < 0 {
            return self.stragglers.insert(id, entry);
        }
        let mut place = offset.cast_unsigned() as usize;
        if place == self.ring.len() && place < RING_ALWAYS {
            self.ring.push_back(entry);
            self.live += 1;
            return None;
        }
        if place >= self.ring.len() {
            place = self.stretch(id);
        }
        let before = std::mem::replace(&mut self.ring[place], entry);
        if before == VACANT {
            self.live += 1;
            return None;
        }
        Some(before)
    }

    /// Makes the ring reach `id` and says at which place.
    fn stretch(&mut self, id: u32) -> usize {
        while let Some(&first) = self.ring.front() {
            let span = ahead(self.base, id) as usize + 1;
            if span <= RING_ALWAYS.max(RING_SLACK * (self.live + 1)) {
                break;
            }
            if first != VACANT {
                self.stragglers.insert(self.base, first);
                self.live -= 1;
            }
            self.ring.pop_front();
            self.base = self.base.wrapping_add(1);
        }
        self.trim();
        if self.ring.is_empty() {
            self.base = id;
        }
        let place = ahead(self.base, id) as usize;
        self.ring.resize(place + 1, VACANT);
        place
    }

    /// Forgets a delivery.
    pub(crate) fn remove(&mut self, id: u32) -> Option<Entry> {
        let place = distance(self.base, id);
        let entry = match usize::try_from(place)
            .ok()
            .and_then(|place| self.ring.get_mut(place))
        {
            Some(slot) => {
                let entry = std::mem::replace(slot, VACANT);
                if entry == VACANT {
                    return None;
                }
                self.live -= 1;
                entry
            }
            None => self.stragglers.remove(&id)?,
        };
        self.trim();
        Some(entry)
    }

    /// Shows every delivery of the range, in order, and forgets them if they are `settled`.
    pub(crate) fn visit(
        &mut self,
        first: u32,
        last: u32,
        settled: bool,
        mut visitor: impl FnMut(Entry),
    ) {
        if before(last, first) {
            return;
        }
        if !self.stragglers.is_empty() {
            self.visit_stragglers(first, last, settled, &mut visitor);
        }
        if self.ring.is_empty() || before(last, self.base) {
            return;
        }
        let from = ahead(self.base, first) as usize;
        let to = (ahead(self.base, last) as usize + 1).min(self.ring.len());
        if from >= to {
            return;
        }
        let mut seen = 0;
        for slot in self.ring.range_mut(from..to) {
            if *slot == VACANT {
                continue;
            }
            visitor(*slot);
            if settled {
                *slot = VACANT;
                self.live -= 1;
            } else {
                seen += 1;
            }
            if seen == self.live {
                break;
            }
        }
        if settled {
            self.trim();
        }
    }

    #[cold]
    fn visit_stragglers(
        &mut self,
        first: u32,
        last: u32,
        settled: bool,
        visitor: &mut impl FnMut(Entry),
    ) {
        let mut ids = Vec::new();
        let wrapped = last < first;
        let upper = if wrapped { u32::MAX } else { last };
        ids.extend(self.stragglers.range(first..=upper).map(|(&id, _)| id));
        if wrapped {
            ids.extend(self.stragglers.range(..=last).map(|(&id, _)| id));
        }
        for id in ids {
            if let Some(&entry) = self.stragglers.get(&id) {
                visitor(entry);
            }
            if settled {
                self.stragglers.remove(&id);
            }
        }
    }

    /// Forgets the `count` deliveries of a link and gives their tokens.
    pub(crate) fn remove_link(&mut self, link: u32, count: u32, tokens: &mut Vec<u64>) {
        let start = tokens.len();
        let mut left = count as usize;
        // From the newest: what a short-lived link left behind is near the end.
        for slot in self.ring.iter_mut().rev() {
            if left == 0 {
                break;
            }
            if slot.link == link {
                tokens.push(slot.token);
                *slot = VACANT;
                self.live -= 1;
                left -= 1;
            }
        }
        if left > 0 {
            let older = self
                .stragglers
                .extract_if(.., |_, entry| entry.link == link);
            let mut older: Vec<_> = older.map(|(_, entry)| entry.token).collect();
            older.reverse();
            tokens.append(&mut older);
        }
        tokens[start..].reverse();
        self.trim();
    }

    /// Lets the ring start and end with a live entry, or be empty.
    #[inline]
    fn trim(&mut self) {
        if self.live == 0 {
            self.ring.clear();
            if self.ring.capacity() > RING_KEPT {
                self.ring = VecDeque::new();
            }
            return;
        }
        while self.ring.front() == Some(&VACANT) {
            self.ring.pop_front();
            self.base = self.base.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
