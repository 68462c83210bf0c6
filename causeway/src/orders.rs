//! What the owner of a router asks of its control thread.

use std::sync::Arc;

use crossbeam_queue::SegQueue;
use mio::Waker;

/// Something to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// End in good order; at once, if asked before.
    Stop,
    /// End without a word to anybody.
    Kill,
}

/// The way into the control thread.
#[derive(Debug)]
pub(crate) struct Orders {
    queue: SegQueue<Order>,
    waker: Arc<Waker>,
}

impl Orders {
    /// No orders yet; the waker is that of the control thread's poll.
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        Self {
            queue: SegQueue::new(),
            waker,
        }
    }

    /// Hands an order in.
    pub(crate) fn push(&self, order: Order) {
        self.queue.push(order);
        self.waker
            .wake()
            .expect("an event counter of this process takes another one");
    }

    /// The control thread takes it out.
    pub(crate) fn take(&self) -> Option<Order> {
        self.queue.pop()
    }
}
