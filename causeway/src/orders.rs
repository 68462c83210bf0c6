//! What other threads ask of a router's control thread: its owner, that it ends; who connects to a
//! service, for a profile.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use crossbeam_queue::SegQueue;
use management::Ticket;
use mio::Waker;
use tls::Profile;

use crate::http::facts::Scope;
use crate::http::intake::Upgraded;

/// How long an answer may take; the control thread gives it in its next turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Something to be done.
#[derive(Debug)]
pub(crate) enum Order {
    /// End in good order; at once, if asked before.
    Stop,
    /// Read the configuration file anew; done when the sender is dropped.
    Reload(Sender<()>),
    /// End without a word to anybody.
    Kill,
    /// Give out the profile for TLS of this name, as its files are now.
    Profile(Arc<str>, Sender<Result<Arc<Profile>, String>>),
    /// Say how the router is doing; the HTTP thread is told.
    Facts(Scope),
    /// A connection to an HTTP listener goes on as AMQP.
    WebSocket(Box<Upgraded>),
}

/// Who wants the configuration file to be read anew.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The request to be answered.
    pub(crate) ticket: Option<Ticket>,
    /// It is only to be seen whether it could be put in force.
    pub(crate) is_check: bool,
    /// Dropped when it is done.
    pub(crate) done: Option<Sender<()>>,
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

    /// Asks for a profile for TLS, and waits for it.
    ///
    /// # Errors
    /// There is none of that name, or nobody answers any more.
    pub(crate) fn profile(&self, name: &Arc<str>) -> Result<Arc<Profile>, String> {
        let (reply, answer) = mpsc::channel();
        self.push(Order::Profile(Arc::clone(name), reply));
        let answer = answer.recv_timeout(PATIENCE);
        answer.unwrap_or_else(|error| {
            Err(match error {
                RecvTimeoutError::Timeout => "no answer from the control thread".to_owned(),
                RecvTimeoutError::Disconnected => "the router is about to end".to_owned(),
            })
        })
    }
}
