//! What peers have caused to be posted to other threads and what these have not yet taken: settled
//! deliveries, and letters to the control plane. Who adds to it and asks for receipts is in
//! `receipts.rs`.

use crate::ids::{ConnKey, ShardId};
use crate::limits;

/// The accounts of one shard.
#[derive(Debug)]
pub(super) struct Transit {
    ways: Box<[Way]>,
    /// The thread to which more was under way than may be when something was posted last.
    clogged: Option<ShardId>,
}

/// What is under way to one thread.
#[derive(Debug, Default)]
struct Way {
    /// Bytes for which there is no receipt.
    under_way: u64,
    /// Bytes for which none was asked.
    unasked: u64,
    /// Connections that are not read until there is a receipt for enough of it.
    paused: Vec<ConnKey>,
}

impl Transit {
    /// Nothing under way to so many threads.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            ways: (0..threads).map(|_| Way::default()).collect(),
            clogged: None,
        }
    }

    /// The most bytes that are under way to one thread.
    pub(super) fn most(&self) -> u64 {
        let bytes = self.ways.iter().map(|way| way.under_way);
        bytes.max().unwrap_or(0)
    }

    /// Forgets which thread is clogged, to see whether what comes now adds to it.
    pub(super) fn look_anew(&mut self) {
        self.clogged = None;
    }

    /// The thread to which too much is under way, if something was added to that lately.
    pub(super) fn clogged(&self) -> Option<ShardId> {
        self.clogged
    }

    /// So many bytes were posted.
    pub(super) fn add(&mut self, to: ShardId, bytes: u64) {
        let way = &mut self.ways[to.index()];
        way.under_way += bytes;
        way.unasked += bytes;
        if way.under_way > limits::TRANSIT_BYTES {
            self.clogged = Some(to);
        }
    }

    /// A connection waits until there is less.
    pub(super) fn pause(&mut self, to: ShardId, conn: ConnKey) {
        self.ways[to.index()].paused.push(conn);
    }

    /// The bytes for which a receipt is still to be asked of a thread; it is asked now.
    pub(super) fn take_unasked(&mut self, of: ShardId) -> u64 {
        std::mem::take(&mut self.ways[of.index()].unasked)
    }

    /// A receipt; the connections that need not wait any more.
    pub(super) fn received(&mut self, by: ShardId, bytes: u64) -> Vec<ConnKey> {
        let way = &mut self.ways[by.index()];
        way.under_way = way.under_way.saturating_sub(bytes);
        if way.under_way > limits::TRANSIT_BYTES / 2 {
            return Vec::new();
        }
        std::mem::take(&mut way.paused)
    }
}
