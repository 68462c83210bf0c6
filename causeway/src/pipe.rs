//! Connections between parts of this process that no listener and no port stands for.
//!
//! Whoever takes pipes has a [`Door`]; whoever connects there makes a pipe, keeps one end and puts
//! the other through the door. A router that takes part in this has a door of its own, and knows
//! others by the host that a connector names with [`PIPE`] as its port. All else about these
//! connections is as with any: they are retried, shown, logged and lost alike.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::SegQueue;
use mio::Waker;

use crate::socket::error_text;
use crate::stream::Stream;

/// What stands for the port of a listener or connector whose connections are pipes. No file of
/// configuration can say so: there, a port must be one.
pub(crate) const PIPE: &str = "pipe";

/// The doors that a router can connect to, by host; `None` if it takes no part in this.
pub(crate) type Doors = Option<BTreeMap<String, Door>>;

/// One end of a pipe that somebody has put through a door.
#[derive(Debug)]
pub(crate) struct Delivered {
    pub(crate) stream: Stream,
    /// The mark of the door.
    pub(crate) mark: usize,
    /// Who connects.
    pub(crate) from: String,
}

/// Where pipes can be put through; every thread may have a copy.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    hall: Arc<Hall>,
    mark: usize,
}

/// What is behind one or several doors.
#[derive(Debug)]
struct Hall {
    queue: SegQueue<Delivered>,
    waker: Arc<Waker>,
    closed: AtomicBool,
}

impl Door {
    /// A door behind which somebody sleeps who is woken so.
    pub(crate) fn new(waker: Arc<Waker>) -> Self {
        let hall = Hall {
            queue: SegQueue::new(),
            waker,
            closed: AtomicBool::new(false),
        };
        Self {
            hall: Arc::new(hall),
            mark: 0,
        }
    }

    /// A further door to the same place: what comes through it has that mark.
    pub(crate) fn marked(&self, mark: usize) -> Self {
        Self {
            hall: Arc::clone(&self.hall),
            mark,
        }
    }

    /// Puts one end of a new pipe through and returns the other.
    ///
    /// # Errors
    ///
    /// No pipe can be made, or nobody is there any more.
    pub(crate) fn connect(&self, from: &str) -> io::Result<Stream> {
        let (own, stream) = Stream::pipe()?;
        self.hall.queue.push(Delivered {
            stream,
            mark: self.mark,
            from: from.to_owned(),
        });
        // After the push: whoever closes it meanwhile finds what was pushed, or is seen here.
        if self.hall.closed.load(Ordering::SeqCst) {
            while self.take().is_some() {}
            let refused = "Connection refused";
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, refused));
        }
        self.hall.waker.wake()?;
        Ok(own)
    }

    /// What has come; for whoever is behind the door.
    pub(crate) fn take(&self) -> Option<Delivered> {
        self.hall.queue.pop()
    }

    /// Nobody is behind the door any more: what has come ends, and nothing more is taken.
    pub(crate) fn close(&self) {
        self.hall.closed.store(true, Ordering::SeqCst);
        while self.take().is_some() {}
    }
}

/// A router's part in pipes. Dropped, its door is closed.
#[derive(Debug)]
pub(crate) struct Pipes {
    /// What others are told of who connects.
    own: String,
    door: Door,
    doors: Doors,
}

impl Pipes {
    /// The part of a router of that id, which has that door.
    pub(crate) fn new(id: &str, door: Door, doors: Doors) -> Self {
        let own = format!("{id}:{PIPE}");
        Self { own, door, doors }
    }

    /// Whether a port stands for pipes here.
    pub(crate) fn stands_for_pipes(&self, port: &str) -> bool {
        port == PIPE && self.doors.is_some()
    }

    /// A pipe to a host of which a connector speaks; `None` if it does not speak of pipes.
    ///
    /// # Errors
    ///
    /// Why there is none, as a text.
    pub(crate) fn connect(&self, host: &str, port: &str) -> Option<Result<Stream, String>> {
        let doors = self.doors.as_ref().filter(|_| port == PIPE)?;
        let connected = match doors.get(host) {
            Some(door) => door.connect(&self.own).map_err(|error| error_text(&error)),
            None => Err("No pipe leads to that host".to_owned()),
        };
        Some(connected.map_err(|text| format!("{text} - disconnected {host}:{port}")))
    }

    /// What has come through the own door.
    pub(crate) fn take(&self) -> Option<Delivered> {
        self.door.take()
    }
}

impl Drop for Pipes {
    fn drop(&mut self) {
        self.door.close();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use mio::{Events, Poll, Token};

    use super::*;

    #[test]
    fn whoever_is_behind_a_door_is_woken_and_gets_the_other_end() {
        let mut poll = Poll::new().unwrap();
        let door = Door::new(Arc::new(Waker::new(poll.registry(), Token(7)).unwrap()));
        let mut own = door.marked(3).connect("A:pipe").unwrap();
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, None).unwrap();
        assert_eq!(
            events.iter().next().map(mio::event::Event::token),
            Some(Token(7))
        );
        let mut delivered = door.take().unwrap();
        assert_eq!((delivered.mark, &*delivered.from), (3, "A:pipe"));
        own.write_all(b"hello").unwrap();
        let mut read = [0; 5];
        delivered.stream.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"hello");
        assert!(door.take().is_none());
    }

    #[test]
    fn a_router_finds_the_doors_that_it_was_told_of() {
        let poll = Poll::new().unwrap();
        let door = Door::new(Arc::new(Waker::new(poll.registry(), Token(7)).unwrap()));
        let doors = BTreeMap::from([("B".to_owned(), door.clone())]);
        let pipes = Pipes::new("A", door.clone(), Some(doors));
        assert!(pipes.connect("B", PIPE).unwrap().is_ok());
        assert_eq!(pipes.take().unwrap().from, "A:pipe");
        assert!(pipes.connect("B", "5672").is_none(), "a matter of sockets");
        let refused = pipes.connect("C", PIPE).unwrap().unwrap_err();
        assert_eq!(refused, "No pipe leads to that host - disconnected C:pipe");
        let alone = Pipes::new("D", door, None);
        assert!(alone.connect("B", PIPE).is_none());
    }

    #[test]
    fn a_closed_door_ends_what_has_come_and_refuses_the_rest() {
        let poll = Poll::new().unwrap();
        let door = Door::new(Arc::new(Waker::new(poll.registry(), Token(7)).unwrap()));
        let mut own = door.connect("A").unwrap();
        door.close();
        assert_eq!(own.read(&mut [0]).unwrap(), 0);
        let refused = door.connect("A").unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
