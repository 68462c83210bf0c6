//! A workload: its name, and how to make the thing that does a unit of it.
//!
//! Owns that shape only. Decision: a unit gives back a number that depends on its result, so the
//! compiler cannot leave the work out, and a test can see that it was done.

/// Work that can be repeated: each call does one unit.
pub type Unit = Box<dyn FnMut() -> u64>;

/// Something whose cost is watched.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// `group.what`, unique; the key in the table of instruction counts.
    pub name: &'static str,
    make: fn() -> Unit,
}

impl Workload {
    /// A workload that `make` sets up.
    pub(crate) const fn new(name: &'static str, make: fn() -> Unit) -> Self {
        Self { name, make }
    }

    /// Sets it up. What this costs is no part of a unit.
    #[must_use]
    pub fn prepare(&self) -> Unit {
        (self.make)()
    }
}
