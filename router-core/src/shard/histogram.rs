//! How many deliveries a link has sent, by the router where they entered the network.

use crate::route::Entry;

/// The counts of one link. Few routers send to one consumer as a rule: a list, not a table.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    own: u64,
    /// By the router's index, ascending: a thousand may send.
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
        match self.others.binary_search_by_key(&router, |of| of.0) {
            Ok(place) => self.others[place].1 += 1,
            Err(place) => self.others.insert(place, (router, 1)),
        }
    }

    /// Routers have left the network, these in their order: their indices will be others'.
    pub(super) fn forget(&mut self, left: &[u16]) {
        self.others
            .retain(|(router, _)| left.binary_search(router).is_err());
    }

    /// The counts by the indices of the routers, this one's first.
    pub(super) fn rows(&self) -> Vec<(u16, u64)> {
        let own = (self.own > 0).then_some((0, self.own));
        own.into_iter().chain(self.others.iter().copied()).collect()
    }
}
