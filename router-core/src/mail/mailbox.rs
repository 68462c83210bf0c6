//! The way into a shard: a queue of batches that anyone may post to and one shard takes from.
//!
//! Owns the queue and its doorbell; waking is the poster's affair. Decision: no capacity. What may
//! lie in a mailbox is bounded by pipe windows and unsettled counts, so posting never blocks.

use crossbeam_queue::SegQueue;
use crossbeam_utils::CachePadded;

use super::doorbell::Doorbell;
use super::letter::Batch;

/// The mailbox of one shard, shared by all.
#[derive(Debug, Default)]
pub struct Mailbox {
    mail: SegQueue<Batch>,
    doorbell: CachePadded<Doorbell>,
}

impl Mailbox {
    /// An empty mailbox whose owner runs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a batch in. True: the owner sleeps and the caller must wake it.
    #[must_use]
    pub fn post(&self, batch: Batch) -> bool {
        self.mail.push(batch);
        self.doorbell.ring()
    }

    /// The oldest batch. For the owner alone, as are the rest.
    pub fn take(&self) -> Option<Batch> {
        let batch = self.mail.pop()?;
        self.doorbell.taken();
        Some(batch)
    }

    /// To be called before sleeping. True: nothing waits, and whoever posts next will wake the owner.
    #[must_use]
    pub fn park(&self) -> bool {
        self.doorbell.park()
    }

    /// To be called after sleeping.
    pub fn unpark(&self) {
        self.doorbell.unpark();
    }
}
