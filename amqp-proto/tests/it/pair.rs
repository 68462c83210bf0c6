//! Two engines wired by byte queues: segments of any size, and a wire that can be cut.

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{Attach, Role};
use amqp_proto::{
    Config, Connection, ConnectionError, Event, LinkKey, RecvBuf, SendQueue, SessionKey, Time,
};
use bytes::Bytes;

use crate::raw;

pub(crate) struct Side {
    pub(crate) connection: Connection,
    pub(crate) input: RecvBuf,
    pub(crate) out: SendQueue,
    pub(crate) events: Vec<Event>,
    pub(crate) error: Option<ConnectionError>,
}

pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) now: Time,
    /// Bytes are handed over in pieces of this size.
    pub(crate) segment: usize,
    /// Nothing passes any more.
    pub(crate) cut: bool,
}

impl Side {
    fn new(config: Config) -> Self {
        Self {
            connection: Connection::new(Arc::new(config), Time::ZERO),
            input: RecvBuf::new(),
            out: SendQueue::new(),
            events: Vec::new(),
            error: None,
        }
    }

    /// Takes all events, answering what a friendly peer would answer.
    fn poll(&mut self, now: Time) {
        while self.error.is_none() {
            let event = match self
                .connection
                .poll_event(&mut self.input, &mut self.out, now)
            {
                Ok(Some(event)) => event,
                Ok(None) => return,
                Err(error) => {
                    self.error = Some(error);
                    return;
                }
            };
            self.answer(&event);
            self.events.push(event);
        }
    }

    fn answer(&mut self, event: &Event) {
        let out = &mut self.out;
        match event {
            Event::Opened(_) => self.connection.open(None, out),
            Event::Begun {
                session,
                answer: false,
                ..
            } => {
                self.connection.answer_begin(*session, out);
            }
            Event::Attached {
                link,
                attach,
                answer: false,
                ..
            } => {
                let mut own = (**attach).clone();
                own.initial_delivery_count = None;
                self.connection.answer_attach(*link, own, out);
            }
            Event::Detached {
                link,
                closed,
                answer,
                ..
            } => {
                if !answer {
                    self.connection.detach(*link, *closed, None, out);
                }
                self.connection
                    .forget_link(*link, &mut Vec::new(), &mut Vec::new());
            }
            Event::Ended {
                session, answer, ..
            } => {
                let mut links = Vec::new();
                self.connection.links_of(*session, &mut links);
                for link in links {
                    self.connection
                        .forget_link(link, &mut Vec::new(), &mut Vec::new());
                }
                if !answer {
                    self.connection.end(*session, None, out);
                }
            }
            Event::Closed { answer: false, .. } => self.connection.close(None, out),
            Event::Flow {
                session,
                link,
                echo: true,
            } => {
                self.connection.send_flow(*session, *link, out);
            }
            _ => {}
        }
    }

    /// The key of the link that was last attached.
    pub(crate) fn link(&self) -> LinkKey {
        let attached = self.events.iter().rev().find_map(|event| match event {
            Event::Attached { link, .. } => Some(*link),
            _ => None,
        });
        attached.expect("an attach")
    }

    pub(crate) fn session(&self) -> SessionKey {
        let begun = self.events.iter().rev().find_map(|event| match event {
            Event::Begun { session, .. } => Some(*session),
            _ => None,
        });
        begun.expect("a begin")
    }

    /// The bytes of all deliveries, in order of their transfers.
    pub(crate) fn received(&self) -> Vec<u8> {
        let payloads = self.events.iter().filter_map(|event| match event {
            Event::Transfer { payload, .. } => Some(payload.chunks().concat()),
            _ => None,
        });
        payloads.flatten().collect()
    }
}

impl Pair {
    pub(crate) fn new(client: Config, server: Config) -> Self {
        let client = Side::new(Config {
            initiator: true,
            ..client
        });
        Self {
            client,
            server: Side::new(server),
            now: Time::ZERO,
            segment: 7,
            cut: false,
        }
    }

    /// Both are open.
    pub(crate) fn opened() -> Self {
        let client = Config {
            container_id: "client".into(),
            ..Config::default()
        };
        let mut pair = Self::new(client, raw::server());
        pair.segment = 1000;
        pair.start();
        assert!(pair.client.connection.is_open() && pair.server.connection.is_open());
        pair
    }

    /// With a session and a link on which the client has this role.
    pub(crate) fn attached(role: Role) -> (Self, LinkKey, LinkKey) {
        let mut pair = Self::opened();
        let session = pair
            .client
            .connection
            .begin(&mut pair.client.out)
            .expect("what the scene needs");
        let attach = raw::attach("link", 0, role);
        let link = pair
            .client
            .connection
            .attach(session, attach, &mut pair.client.out)
            .expect("what the scene needs");
        pair.run();
        let server = pair.server.link();
        (pair, link, server)
    }

    pub(crate) fn start(&mut self) {
        self.client.connection.start(&mut self.client.out);
        self.run();
    }

    /// Lets bytes pass until both sides are silent.
    pub(crate) fn run(&mut self) {
        loop {
            let sent = self.pass(true) | self.pass(false);
            if !sent {
                return;
            }
        }
    }

    fn pass(&mut self, up: bool) -> bool {
        let (from, to) = match up {
            true => (&mut self.client, &mut self.server),
            false => (&mut self.server, &mut self.client),
        };
        let bytes = from.out.to_bytes();
        from.out.consume(bytes.len());
        if self.cut {
            return false;
        }
        for segment in bytes.chunks(self.segment) {
            to.input.push(Bytes::copy_from_slice(segment));
            to.poll(self.now);
        }
        // An `open` may have let frames through that were already there.
        to.poll(self.now);
        !bytes.is_empty()
    }

    /// Lets time pass in small steps, firing timers as they are due.
    pub(crate) fn sleep(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now = (self.now + Duration::from_millis(10)).min(end);
            for side in [&mut self.client, &mut self.server] {
                if side
                    .connection
                    .poll_timeout()
                    .is_some_and(|at| at <= self.now)
                    && let Err(error) = side.connection.handle_timeout(self.now, &mut side.out)
                {
                    side.error = Some(error);
                }
            }
            self.run();
        }
    }
}

/// An Attach for the pair.
pub(crate) fn named(name: &str, role: Role) -> Attach {
    raw::attach(name, 0, role)
}
