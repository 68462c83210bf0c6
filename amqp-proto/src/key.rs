//! Keys of sessions and links.
//!
//! Owns the two key types; never looks anything up.
//!
//! Decision: a key is a slot and a generation, so a key that outlived its session or link finds
//! nothing instead of a stranger in the same slot.

/// Names a session of one connection, as long as that session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Names a link of one connection, as long as that link lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SessionKey {
    /// The slot: small, reused after the session is gone; fit for a parallel `Vec`.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Tells the users of one slot apart.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

impl LinkKey {
    /// The slot: small, reused after the link is gone; fit for a parallel `Vec`.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Tells the users of one slot apart.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}
