//! How many deliveries a link has sent, by the router where they entered the network.

use crate::route::Entry;

/// The counts of one link. Few routers send to one consumer: a list, not a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    own: u64,
    others: Vec<(u16, u64)>,
}

impl Histogram {
    /// One more that has entered there.
    #[inline]
    pub(super) fn count(&mut self, entry: Entry) {
        match entry {
            Entry::Here => self.own += 1,
            Entry::Router(router) => self.count_other(router),
            Entry::Unknown => {}
        }
    }

    fn count_other(&mut self, router: u16) {
        match self.others.iter_mut().find(|(other, _)| *other == router) {
            Some((_, count)) => *count += 1,
            None => self.others.push((router, 1)),
        }
    }

    /// The counts by the indices of the routers, this one's first.
    pub(super) fn rows(&self) -> Vec<(u16, u64)> {
        let own = (self.own > 0).then_some((0, self.own));
        own.into_iter().chain(self.others.iter().copied()).collect()
    }
}
