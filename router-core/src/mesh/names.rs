//! How routers and the ways to neighbours are named.
//!
//! Owns names only.

/// Another router: 0 is this one; others get the lowest free number from 1 and keep it while their
/// record lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterIndex(pub u16);

impl RouterIndex {
    /// This router.
    pub const OWN: Self = Self(0);

    /// The number as an index into tables.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The control links of one connection to another router, numbered by the caller: links that come
/// anew on the same connection have the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighborLink(pub u64);
