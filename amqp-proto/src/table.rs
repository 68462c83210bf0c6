//! Numbers chosen by a peer (channels, handles) to slots.
//!
//! Owns `Table`; never trusts a number to be small.
//!
//! Decision: a dense prefix indexed directly, and a sorted list for numbers far beyond what is in
//! use. A peer that uses one channel 32767 gets one list entry, not 32768 slots; a well-behaved
//! one gets an array index.

/// Marks a free place in the dense prefix.
const VACANT: u32 = u32::MAX;

/// The dense prefix may always reach this far, and twice the number of entries beyond it.
const DENSE_ALWAYS: usize = 64;

/// A map from `u32` numbers to slots (any `u32` but the maximum).
#[derive(Debug, Default)]
pub(crate) struct Table {
    dense: Vec<u32>,
    /// Sorted by number; every number here is beyond the dense prefix.
    sparse: Vec<(u32, u32)>,
    live: u32,
    /// No number below this one is free.
    hint: u32,
}

impl Table {
    /// The slot of `number`.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<u32> {
        match self.dense.get(number as usize) {
            Some(&VACANT) => None,
            Some(&slot) => Some(slot),
            None => self.get_sparse(number),
        }
    }

    #[cold]
    fn get_sparse(&self, number: u32) -> Option<u32> {
        let at = self
            .sparse
            .binary_search_by_key(&number, |&(number, _)| number)
            .ok()?;
        Some(self.sparse[at].1)
    }

    /// How many numbers are in use.
    pub(crate) fn len(&self) -> usize {
        self.live as usize
    }

    /// All slots, in the order of their numbers.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        let dense = self.dense.iter().copied().filter(|&slot| slot != VACANT);
        dense.chain(self.sparse.iter().map(|&(_, slot)| slot))
    }

    /// Puts `number`, which must be free, to use.
    pub(crate) fn insert(&mut self, number: u32, slot: u32) {
        debug_assert!(self.get(number).is_none() && slot != VACANT);
        self.live += 1;
        let place = number as usize;
        if place < self.dense.len() {
            self.dense[place] = slot;
        } else if place < DENSE_ALWAYS + 2 * self.live as usize {
            self.dense.resize(place + 1, VACANT);
            self.dense[place] = slot;
            let moved = self
                .sparse
                .partition_point(|&(number, _)| (number as usize) < place);
            for (number, slot) in self.sparse.drain(..moved) {
                self.dense[number as usize] = slot;
            }
        } else {
            let at = self.sparse.partition_point(|&(other, _)| other < number);
            self.sparse.insert(at, (number, slot));
        }
    }

    /// Frees `number` and gives its slot back.
    pub(crate) fn remove(&mut self, number: u32) -> Option<u32> {
        let slot = self.get(number)?;
        self.live -= 1;
        self.hint = self.hint.min(number);
        match self.dense.get_mut(number as usize) {
            Some(place) => *place = VACANT,
            None => self.sparse.retain(|&(other, _)| other != number),
        }
        Some(slot)
    }

    /// Puts the lowest free number up to `max` to use.
    pub(crate) fn insert_lowest(&mut self, max: u32, slot: u32) -> Option<u32> {
        let mut number = self.hint;
        while self.get(number).is_some() {
            number += 1;
        }
        if number > max {
            return None;
        }
        self.insert(number, slot);
        self.hint = number + 1;
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::btree_map::Entry;

    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_far_number_costs_one_entry() {
        let mut table = Table::default();
        table.insert(32_767, 1);
        table.insert(u32::MAX - 1, 2);
        assert_eq!(table.get(32_767), Some(1));
        assert_eq!(table.get(u32::MAX - 1), Some(2));
        assert_eq!(table.dense.capacity(), 0);
    }

    #[test]
    fn the_lowest_free_number_is_taken_up_to_the_limit() {
        let mut table = Table::default();
        assert_eq!(table.insert_lowest(2, 10), Some(0));
        assert_eq!(table.insert_lowest(2, 11), Some(1));
        assert_eq!(table.insert_lowest(2, 12), Some(2));
        assert_eq!(table.insert_lowest(2, 13), None);
        assert_eq!(table.remove(1), Some(11));
        assert_eq!(table.insert_lowest(2, 14), Some(1));
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(
            ops in prop::collection::vec((any::<bool>(), 0u32..400, 0u32..9), 0..400),
        ) {
            let (mut table, mut model) = (Table::default(), BTreeMap::new());
            for (insert, number, slot) in ops {
                if !insert {
                    prop_assert_eq!(table.remove(number), model.remove(&number));
                } else if let Entry::Vacant(entry) = model.entry(number) {
                    entry.insert(slot);
                    table.insert(number, slot);
                }
                prop_assert_eq!(table.len(), model.len());
                for number in 0..400 {
                    prop_assert_eq!(table.get(number), model.get(&number).copied());
                }
            }
        }
    }
}
