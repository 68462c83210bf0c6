//! Whether a router takes what comes: for whoever deals clients to routers.

use std::sync::atomic::{AtomicU8, Ordering};

/// How far a router is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Its listeners are not open yet.
    Starting,
    /// It takes connections and messages.
    Ready,
    /// It is about to end: nobody new is let in, what is in flight may settle.
    Draining,
    /// It has ended, or does so now.
    Ended,
}

/// The readiness of one router, written by its control thread and read by any.
#[derive(Debug, Default)]
pub(crate) struct Stage(AtomicU8);

impl Stage {
    /// The router has come so far.
    pub(crate) fn reach(&self, readiness: Readiness) {
        self.0.store(readiness as u8, Ordering::Release);
    }

    /// How far it has come.
    pub(crate) fn readiness(&self) -> Readiness {
        match self.0.load(Ordering::Acquire) {
            0 => Readiness::Starting,
            1 => Readiness::Ready,
            2 => Readiness::Draining,
            _ => Readiness::Ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reached_is_read() {
        let stage = Stage::default();
        assert_eq!(stage.readiness(), Readiness::Starting);
        for readiness in [Readiness::Ready, Readiness::Draining, Readiness::Ended] {
            stage.reach(readiness);
            assert_eq!(stage.readiness(), readiness);
        }
    }
}
