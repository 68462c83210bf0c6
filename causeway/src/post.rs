//! How threads reach each other: the mailboxes of shards and control plane with what wakes their
//! owners, and the intake by which the control thread hands sockets to a worker. Mail knows no
//! sockets; that is why there is an intake beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use amqp_proto::Transform;
use crossbeam_queue::SegQueue;
use mio::Waker;
use router_core::ids::ShardId;
use router_core::mail::{Batch, Mailbox};
use router_core::settings::NewConnection;

use crate::deal::Counts;
use crate::stream::Stream;

/// The mailboxes of all shards, the control plane's last.
#[derive(Debug)]
pub(crate) struct Offices {
    offices: Vec<(Mailbox, Arc<Waker>)>,
}

impl Offices {
    /// A mailbox for each waker.
    pub(crate) fn new(wakers: impl IntoIterator<Item = Arc<Waker>>) -> Self {
        Self {
            offices: wakers
                .into_iter()
                .map(|waker| (Mailbox::new(), waker))
                .collect(),
        }
    }

    /// The mailbox of one shard.
    pub(crate) fn mailbox(&self, of: ShardId) -> &Mailbox {
        &self.offices[of.index()].0
    }

    /// Posts a batch and wakes its receiver if that sleeps.
    pub(crate) fn post(&self, to: ShardId, batch: Batch) {
        let (mailbox, waker) = &self.offices[to.index()];
        if mailbox.post(batch) {
            wake(waker);
        }
    }
}

/// Wakes a thread out of its poll.
fn wake(waker: &Waker) {
    waker
        .wake()
        .expect("an event counter of this process takes another one");
}

/// What the control thread hands to a worker.
pub(crate) enum Incoming {
    /// A connected socket.
    Socket {
        /// The socket.
        stream: Stream,
        /// What its shard is told of it.
        connection: NewConnection,
        /// What stands between it and the shard.
        transform: Box<dyn Transform>,
    },
    /// The program ends: close all connections, then return.
    Stop,
    /// The router was killed: return at once.
    Abandon,
}

/// The way into a worker.
pub(crate) struct Intake {
    queue: SegQueue<Incoming>,
    waker: Arc<Waker>,
    load: Load,
}

impl Intake {
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        Self {
            queue: SegQueue::new(),
            waker,
            load: Load::default(),
        }
    }

    /// Hands something in.
    pub(crate) fn push(&self, incoming: Incoming) {
        self.queue.push(incoming);
        wake(&self.waker);
    }

    /// The worker takes it out.
    pub(crate) fn take(&self) -> Option<Incoming> {
        self.queue.pop()
    }

    /// What the worker has to do.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }
}

/// What a worker has to do, written by it alone.
#[derive(Debug, Default)]
pub(crate) struct Load {
    /// In microseconds.
    busy: AtomicU64,
    clients_closed: AtomicU64,
    routers_closed: AtomicU64,
    in_flight: [AtomicUsize; 2],
}

impl Load {
    /// The worker tells for how long it has worked since the start, what a round ended, and what
    /// it has in flight.
    pub(crate) fn publish(&self, busy: Duration, closed: Counts, in_flight: [usize; 2]) {
        let busy = u64::try_from(busy.as_micros()).unwrap_or(u64::MAX);
        self.busy.store(busy, Ordering::Relaxed);
        let Counts { clients, routers } = self.closed();
        self.clients_closed
            .store(clients + closed.clients, Ordering::Relaxed);
        self.routers_closed
            .store(routers + closed.routers, Ordering::Relaxed);
        self.note_in_flight(in_flight);
    }

    /// The worker tells what it has in flight.
    pub(crate) fn note_in_flight(&self, in_flight: [usize; 2]) {
        for (told, count) in self.in_flight.iter().zip(in_flight) {
            told.store(count, Ordering::Relaxed);
        }
    }

    /// For how long it has worked since the start.
    pub(crate) fn busy(&self) -> Duration {
        Duration::from_micros(self.busy.load(Ordering::Relaxed))
    }

    /// Connections that it had and has no more.
    pub(crate) fn closed(&self) -> Counts {
        Counts {
            clients: self.clients_closed.load(Ordering::Relaxed),
            routers: self.routers_closed.load(Ordering::Relaxed),
        }
    }

    /// Deliveries it holds or waits for the settlement of: those that have come, and those that are
    /// to leave.
    pub(crate) fn in_flight(&self) -> [usize; 2] {
        let [inbound, outbound] = &self.in_flight;
        [inbound, outbound].map(|count| count.load(Ordering::Relaxed))
    }
}
