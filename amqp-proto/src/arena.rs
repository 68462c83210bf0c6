//! Slots with generations.
//!
//! Owns `Arena`, the store of sessions and links; never hands out a slot under an old name.
//!
//! Decision: one counter for the whole arena instead of one a slot, so a freed slot costs nothing
//! and the store can shrink to what is alive.

use slab::Slab;

/// A slab whose entries know their generation.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    slab: Slab<(u32, T)>,
    generation: u32,
}

impl<T> Arena<T> {
    /// An empty arena; holds no memory.
    pub(crate) const fn new() -> Self {
        Self {
            slab: Slab::new(),
            generation: 0,
        }
    }

    /// Stores a value and names its slot and generation.
    pub(crate) fn insert(&mut self, value: T) -> (u32, u32) {
        if self.slab.len() == self.slab.capacity() {
            // Doubling from one: most connections have one session and few links.
            self.slab.reserve_exact(self.slab.len().max(1));
        }
        self.generation = self.generation.wrapping_add(1);
        let index = self.slab.insert((self.generation, value));
        let index = u32::try_from(index).expect("tables of channels and handles bound the arena");
        (index, self.generation)
    }

    /// The value under this name, if it still lives.
    #[inline]
    pub(crate) fn get(&self, index: u32, generation: u32) -> Option<&T> {
        match self.slab.get(index as usize) {
            Some((current, value)) if *current == generation => Some(value),
            _ => None,
        }
    }

    /// The value under this name, if it still lives.
    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32, generation: u32) -> Option<&mut T> {
        match self.slab.get_mut(index as usize) {
            Some((current, value)) if *current == generation => Some(value),
            _ => None,
        }
    }

    /// The value in a slot known to be in use, with its generation.
    #[inline]
    pub(crate) fn slot(&mut self, index: u32) -> (u32, &mut T) {
        let (generation, value) = &mut self.slab[index as usize];
        (*generation, value)
    }

    /// The value in a slot known to be in use, to look at.
    #[inline]
    pub(crate) fn peek(&self, index: u32) -> (u32, &T) {
        let (generation, value) = &self.slab[index as usize];
        (*generation, value)
    }

    /// Frees a slot known to be in use.
    pub(crate) fn remove(&mut self, index: u32) -> T {
        let (_, value) = self.slab.remove(index as usize);
        if self.slab.is_empty() {
            self.slab = Slab::new();
        }
        value
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_name_finds_nothing() {
        let mut arena = Arena::new();
        let (index, generation) = arena.insert('a');
        arena.remove(index);
        let (again, newer) = arena.insert('b');
        assert_eq!(again, index);
        assert_eq!(arena.get(index, generation), None);
        assert_eq!(arena.get_mut(index, newer), Some(&mut 'b'));
        assert_eq!(arena.len(), 1);
    }
}
