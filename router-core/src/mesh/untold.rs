//! What a neighbour of our kind is still to be told of others.
//!
//! Owns the order in which that is done. It knows nothing of routers but their numbers.

use std::collections::BTreeSet;

/// Routers, each once. Those who are near come first, since numbers are given in the order in which
/// routers come to be known, and the near ones name the others.
#[derive(Debug, Default)]
pub(super) struct Untold {
    links: BTreeSet<u16>,
    addresses: BTreeSet<u16>,
}

/// What is to be told of a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
            match telling {
                Telling::Links(index) => self.links.insert(index),
                Telling::Addresses(index) => self.addresses.insert(index),
            };
        }
    }
}

impl Untold {
    /// Takes out what comes next: addresses of routers come behind the routers.
    pub(super) fn next(&mut self) -> Option<Telling> {
        let links = self.links.pop_first().map(Telling::Links);
        links.or_else(|| self.addresses.pop_first().map(Telling::Addresses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_once_and_routers_before_their_addresses() {
        let mut untold = Untold::default();
        let of = [Telling::Addresses(1), Telling::Links(7), Telling::Links(2)];
        untold.extend(of);
        untold.extend(of);
        let told: Vec<_> = std::iter::from_fn(|| untold.next()).collect();
        assert_eq!(
            told,
            [Telling::Links(2), Telling::Links(7), Telling::Addresses(1)]
        );
    }
}
