//! The ways between the control thread and the HTTP thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use amqp_proto::Transform;
use crossbeam_queue::SegQueue;
use mio::Waker;
use router_core::settings::ConnectionSettings;

use super::facts::Facts;
use crate::stream::Stream;

/// What the control thread hands to the HTTP thread.
pub(super) enum Incoming {
    /// A socket that was accepted.
    Client(Arrived),
    /// The answer to a question.
    Facts(Box<Facts>),
    /// A socket that was handed on as a WebSocket has got a place.
    Upgraded,
    /// The listeners that there are now.
    Listeners(Vec<Arc<ConnectionSettings>>),
    /// The router has ended.
    Stop,
}

/// A socket that was accepted for HTTP.
pub(super) struct Arrived {
    pub(super) stream: Stream,
    /// The other end of it, with its port.
    pub(super) peer: String,
    pub(super) settings: Arc<ConnectionSettings>,
    pub(super) transform: Box<dyn Transform>,
}

/// A socket that has become a WebSocket.
pub(crate) struct Upgraded {
    pub(crate) stream: Stream,
    /// The address of the other end, without its port.
    pub(crate) peer: String,
    pub(crate) settings: Arc<ConnectionSettings>,
    pub(crate) transform: Box<dyn Transform>,
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.settings.name;
        write!(f, "Upgraded({} at {name})", self.peer)
    }
}

/// The way into the HTTP thread.
pub(super) struct Intake {
    queue: SegQueue<Incoming>,
    waker: Waker,
    /// Nobody new is let in.
    is_ending: AtomicBool,
}

impl Intake {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            queue: SegQueue::new(),
            waker,
            is_ending: AtomicBool::new(false),
        }
    }

    /// Nobody new is let in from now on.
    pub(super) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    /// Whether nobody new is let in.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// Hands something in.
    pub(super) fn push(&self, incoming: Incoming) {
        self.queue.push(incoming);
        self.waker
            .wake()
            .expect("an event counter of this process takes another one");
    }

    /// What waits to be taken.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// The HTTP thread takes it out.
    pub(super) fn take(&self) -> Option<Incoming> {
        self.queue.pop()
    }
}
