//! A slab whose keys carry a generation: a key kept after its record is gone resolves to nothing.
//!
//! Owns records and the list of free places; never compares or looks into the records. Decision:
//! places are reused last in, first out, so a shard at low load works in a few warm cache lines;
//! the alternative, first in first out, would spread generations evenly but touch all memory.

use crate::ids::Key;
use crate::inspect::PoolRow;

/// Bytes of places kept when the slab empties: beyond these the memory goes back.
const KEPT_BYTES: usize = 64 * 1024;

/// The end of the list of free places.
const END: u32 = u32::MAX;

/// Records of one kind, named by [`Key`]s.
#[derive(Debug)]
pub struct Keyed<T> {
    places: Vec<Place<T>>,
    /// The first free place, [`END`] if all are taken.
    free: u32,
    len: usize,
    /// The generation of places that are not there yet: later than any that was given back.
    newborn: u32,
    /// Places whose memory has gone back.
    given_back: u64,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    /// The next free place, while this one is free.
    next: u32,
    record: Option<T>,
}

impl<T> Keyed<T> {
    /// Places kept when the slab empties.
    const KEPT_PLACES: usize = KEPT_BYTES / size_of::<Place<T>>();

    /// An empty slab; takes no memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: END,
            len: 0,
            newborn: 0,
            given_back: 0,
        }
    }

    /// How many records there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// What its places are and have been; there is one name for each kind of record.
    #[must_use]
    pub fn pool(&self, name: &'static str) -> PoolRow {
        PoolRow {
            name,
            object_bytes: size_of::<Place<T>>(),
            kept: Self::KEPT_PLACES,
            held: self.places.len() as u64,
            given_back: self.given_back,
        }
    }

    /// Whether there is no record.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The key that the next [`insert`](Self::insert) will give.
    #[must_use]
    pub fn vacant_key(&self) -> Key {
        match self.places.get(self.free as usize) {
            Some(place) => Key {
                index: self.free,
                generation: place.generation,
            },
            None => Key {
                index: self.end(),
                generation: self.newborn,
            },
        }
    }

    /// Takes a record in and names it.
    #[inline]
    pub fn insert(&mut self, record: T) -> Key {
        self.len += 1;
        let index = self.free;
        if let Some(place) = self.places.get_mut(index as usize) {
            self.free = place.next;
            place.record = Some(record);
            return Key {
                index,
                generation: place.generation,
            };
        }
        let key = Key {
            index: self.end(),
            generation: self.newborn,
        };
        self.places.push(Place {
            generation: key.generation,
            next: END,
            record: Some(record),
        });
        key
    }

    /// Whether the record is still there.
    #[must_use]
    #[inline]
    pub fn contains(&self, key: impl Into<Key>) -> bool {
        self.get(key).is_some()
    }

    /// The record, unless it is gone.
    #[must_use]
    #[inline]
    pub fn get(&self, key: impl Into<Key>) -> Option<&T> {
        let key = key.into();
        let place = self.places.get(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        place.record.as_ref()
    }

    /// The record, unless it is gone.
    #[must_use]
    #[inline]
    pub fn get_mut(&mut self, key: impl Into<Key>) -> Option<&mut T> {
        let key = key.into();
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        place.record.as_mut()
    }

    /// Takes the record out, unless it is gone already.
    #[inline]
    pub fn remove(&mut self, key: impl Into<Key>) -> Option<T> {
        let key = key.into();
        let place = self.places.get_mut(key.index as usize)?;
        if place.generation != key.generation {
            return None;
        }
        let record = place.record.take()?;
        place.generation = place.generation.wrapping_add(1);
        place.next = self.free;
        self.free = key.index;
        if is_later(place.generation, self.newborn) {
            self.newborn = place.generation;
        }
        self.len -= 1;
        let is_wide = self.places.len() > Self::KEPT_PLACES;
        if is_wide && self.len <= self.places.len() / 4 && self.len & self.len.wrapping_sub(1) == 0
        {
            self.give_back();
        }
        Some(record)
    }

    /// Gives back the places behind the last record if they are half of all. It looks through all
    /// places, so it is asked only when so few records are left that their number is half of what
    /// it was the last time.
    #[cold]
    fn give_back(&mut self) {
        let last = self.places.iter().rposition(|place| place.record.is_some());
        let used = last.map_or(0, |last| last + 1);
        if used > self.places.len() / 2 {
            return;
        }
        self.given_back += (self.places.len() - used) as u64;
        self.places.truncate(used);
        self.places.shrink_to_fit();
        self.free = END;
        for (place, index) in self.places.iter_mut().zip(0..) {
            if place.record.is_none() {
                place.next = std::mem::replace(&mut self.free, index);
            }
        }
    }

    /// All records with their keys, by place.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().zip(0..).filter_map(|(place, index)| {
            let record = place.record.as_ref()?;
            Some((
                Key {
                    index,
                    generation: place.generation,
                },
                record,
            ))
        })
    }

    /// All records with their keys, by place.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Key, &mut T)> {
        self.places
            .iter_mut()
            .zip(0..)
            .filter_map(|(place, index)| {
                let generation = place.generation;
                let record = place.record.as_mut()?;
                Some((Key { index, generation }, record))
            })
    }

    /// The index of the first place that is not there yet.
    fn end(&self) -> u32 {
        let end = u32::try_from(self.places.len()).expect("memory ends before the indices do");
        assert!(
            end < END,
            "the last index is the end of the list of free places"
        );
        end
    }
}

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether one generation comes after another, in serial number arithmetic.
fn is_later(one: u32, other: u32) -> bool {
    one != other && one.wrapping_sub(other) < 1 << 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_kept_too_long_resolves_to_nothing() {
        let mut records = Keyed::new();
        let first = records.insert("first");
        assert_eq!(records.remove(first), Some("first"));
        let second = records.insert("second");
        assert_eq!(second.index, first.index);
        assert_eq!(records.get(first), None);
        assert_eq!(records.remove(first), None);
        assert_eq!(records.get(second), Some(&"second"));
        assert_eq!(records.get(Key::NONE), None);
    }

    #[test]
    fn an_emptied_slab_gives_its_memory_back_and_still_knows_dead_keys() {
        let mut records = Keyed::new();
        let keys: Vec<Key> = (0..=Keyed::<usize>::KEPT_PLACES)
            .map(|number| records.insert(number))
            .collect();
        let again = {
            records.remove(keys[7]);
            records.insert(7)
        };
        for key in keys.iter().copied().chain([again]) {
            records.remove(key);
        }
        assert!(records.is_empty());
        assert!(records.places.capacity() < 16);
        let reborn: Vec<Key> = (0..=Keyed::<usize>::KEPT_PLACES)
            .map(|number| records.insert(number))
            .collect();
        assert!(
            keys.iter()
                .chain([&again])
                .all(|key| records.get(*key).is_none())
        );
        assert!(reborn.iter().all(|key| records.contains(*key)));
    }

    #[test]
    fn a_slab_gives_memory_back_although_a_record_stays() {
        let mut records = Keyed::new();
        let count = 4 * Keyed::<usize>::KEPT_PLACES;
        let keys: Vec<Key> = (0..count).map(|number| records.insert(number)).collect();
        for key in keys.iter().filter(|key| key.index != 3) {
            records.remove(*key);
        }
        assert!(records.places.capacity() < Keyed::<usize>::KEPT_PLACES);
        assert_eq!(records.get(keys[3]), Some(&3));
        let reborn: Vec<Key> = (0..count).map(|number| records.insert(number)).collect();
        assert_eq!(records.len(), count + 1);
        assert!(
            keys.iter()
                .all(|key| key.index == 3 || !records.contains(*key))
        );
        assert!(reborn.iter().all(|key| records.contains(*key)));
    }

    #[test]
    fn generations_wrap() {
        let mut records = Keyed::new();
        let key = records.insert(());
        records.places[0].generation = u32::MAX;
        let last = Key {
            generation: u32::MAX,
            ..key
        };
        records.remove(last);
        let next = records.insert(());
        assert_eq!(next.generation, 0);
        assert!(!records.contains(last));
    }

    proptest! {
        #[test]
        fn behaves_as_a_map_that_never_reuses_a_key(
            steps in prop::collection::vec(any::<u16>(), 0..600),
        ) {
            let mut records = Keyed::new();
            let mut model: BTreeMap<Key, u16> = BTreeMap::new();
            let mut all = Vec::new();
            for step in steps {
                if step % 5 < 3 || all.is_empty() {
                    let vacant = records.vacant_key();
                    let key = records.insert(step);
                    prop_assert_eq!(key, vacant);
                    prop_assert_eq!(model.insert(key, step), None);
                    all.push(key);
                } else {
                    let key = all[usize::from(step) % all.len()];
                    prop_assert_eq!(records.remove(key), model.remove(&key));
                }
                prop_assert_eq!(records.len(), model.len());
            }
            for key in all {
                prop_assert_eq!(records.get(key), model.get(&key));
                prop_assert_eq!(records.get_mut(key), model.get_mut(&key));
            }
            let mut seen: Vec<_> = records.iter().map(|(key, record)| (key, *record)).collect();
            seen.sort_unstable();
            prop_assert_eq!(&seen, &model.into_iter().collect::<Vec<_>>());
            let again: Vec<_> = records.iter_mut().map(|(key, record)| (key, *record)).collect();
            prop_assert_eq!(again.len(), seen.len());
        }
    }
}
