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
    /// How many units are enough for a steady count.
    pub units: u32,
    make: fn() -> Unit,
}

impl Workload {
    /// A workload of small units, which `make` sets up.
    pub(crate) const fn new(name: &'static str, make: fn() -> Unit) -> Self {
        Self {
            name,
            units: 500,
            make,
        }
    }

    /// A workload of units that are rounds of many steps.
    pub(crate) const fn slow(name: &'static str, make: fn() -> Unit) -> Self {
        Self {
            name,
            units: 8,
            make,
        }
    }

    /// Sets it up. What this costs is no part of a unit.
    #[must_use]
    pub fn prepare(&self) -> Unit {
        (self.make)()
    }
}
