//! What a neighbour of our kind is still to be told of others.
//!
//! Owns the order in which that is done. It knows nothing of routers but their numbers.

use std::collections::{BTreeSet, VecDeque};

/// Tellings in the order in which there came to be something to tell. What there is more to tell of
/// keeps its place, so that whoever changes often does not keep others waiting.
#[derive(Debug, Default)]
pub(super) struct Untold {
    queue: VecDeque<Telling>,
    waiting: BTreeSet<Telling>,
}

/// What is to be told of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Telling {
    /// Its link state.
    Links(u16),
    /// All its addresses.
    Addresses(u16),
}

impl Telling {
    /// Of which router.
    pub(super) fn index(self) -> u16 {
        match self {
            Self::Links(index) | Self::Addresses(index) => index,
        }
    }
}

impl Extend<Telling> for Untold {
    fn extend<T: IntoIterator<Item = Telling>>(&mut self, tellings: T) {
        for telling in tellings {
            if self.waiting.insert(telling) {
                self.queue.push_back(telling);
            }
        }
    }
}

impl Untold {
    /// Takes out what comes next.
    pub(super) fn next(&mut self) -> Option<Telling> {
        let next = self.queue.pop_front()?;
        self.waiting.remove(&next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_once_and_in_its_turn() {
        let mut untold = Untold::default();
        let of = [Telling::Links(7), Telling::Addresses(1), Telling::Links(2)];
        untold.extend(of);
        untold.extend([Telling::Links(2), Telling::Links(7)]);
        let told: Vec<_> = std::iter::from_fn(|| untold.next()).collect();
        assert_eq!(told, of);
        untold.extend([Telling::Links(7)]);
        assert_eq!(
            untold.next(),
            Some(Telling::Links(7)),
            "there is more to tell"
        );
    }
}
