//! The record of which connection to a neighbour a producer's link uses. Who makes and reads such
//! records is in `pins.rs`.

use std::cell::Cell;

use crate::ids::ConnectionId;
use crate::limits;

/// The connection to one neighbour that a producer's link uses.
#[derive(Debug)]
pub(super) struct Pin {
    /// The neighbour.
    pub(super) router: u16,
    /// The connection.
    pub(super) member: ConnectionId,
    /// Deliveries sent there that have not ended.
    pub(super) in_flight: u32,
    /// Deliveries were sent there of whose end nobody hears.
    pub(super) unheard: bool,
    /// The second of the last delivery.
    pub(super) last: u32,
    /// The second since which deliveries wait for those in flight to end.
    pub(super) held: Cell<Option<u32>>,
}

impl Pin {
    pub(super) fn new(router: u16, member: ConnectionId, second: u32) -> Self {
        Self {
            router,
            member,
            in_flight: 0,
            unheard: false,
            last: second,
            held: Cell::new(None),
        }
    }

    /// A delivery goes there; `heard`: its end will be heard of.
    pub(super) fn note(&mut self, second: u32, heard: bool) {
        self.last = second;
        self.in_flight += u32::from(heard);
        self.unheard |= !heard;
    }

    /// Whether nothing that was sent there can be overtaken any more.
    pub(super) fn is_over(&self, second: u32) -> bool {
        let silent = u64::from(second.saturating_sub(self.last));
        self.in_flight == 0 && (!self.unheard || silent >= limits::TRUNK_IDLE.as_secs())
    }

    /// Whether deliveries are to wait for those in flight. Consumers may take long to settle, so
    /// the patience ends.
    pub(super) fn holds(&self, second: u32) -> bool {
        if self.unheard {
            return false;
        }
        let since = self.held.get().unwrap_or(second);
        self.held.set(Some(since));
        u64::from(second.saturating_sub(since)) <= limits::TRUNK_HOLD.as_secs()
    }
}
