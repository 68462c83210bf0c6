//! One blocking connection: a TCP stream under the protocol engine, TLS between them or not.
//!
//! Owns the socket, the engine, its buffers and the waiting; it knows no links. A wait is cut
//! into short pieces so that heartbeats go out and Ctrl-C is seen; output is written before each
//! wait and never in between, so that what belongs together leaves together.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::{Config, Connection, ConnectionError, Event, RecvBuf, SaslStep, SendQueue, Time};

use crate::blocking::{Blocking, Loss};
use crate::cli::client::endpoint::Endpoint;
use crate::cli::client::fault;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::{secure, trace};
use crate::cli::failure::Failure;
use crate::cli::screen;
use crate::clock::Clock;
use crate::dialogue::{self, Dialogue};
use crate::random::Random;

/// How long a TCP connection may take to come up, and a write to be taken.
const SOCKET_TIME_OUT: Duration = Duration::from_secs(10);
/// The least time for a TCP connection to come up.
const WAIT_MIN: Duration = Duration::from_millis(1);
/// How long a wait lasts before heartbeats and Ctrl-C are looked at again.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// A connection and what it needs to move.
pub struct Wire {
    /// The protocol engine.
    pub connection: Connection,
    /// Output that waits for [`Wire::flush`].
    pub output: SendQueue,
    clock: Clock,
    input: RecvBuf,
    interrupt: Interrupt,
    peer: Endpoint,
    socket: Blocking,
    trace: bool,
    dialogue: Option<Dialogue>,
}

/// What a connection is made of once nobody waits on it in this way any more.
pub struct WireParts {
    /// The protocol engine.
    pub connection: Connection,
    /// Input that the engine has not taken.
    pub input: RecvBuf,
    /// Output that was not written.
    pub output: SendQueue,
    /// The socket and what stands between it and the engine.
    pub socket: Blocking,
}

impl Wire {
    /// Connects and starts the engine; says nothing to the peer beyond what it says first.
    ///
    /// # Errors
    /// If the name is unknown or nobody listens there, or TLS is asked for and there can be none.
    pub fn connect(
        peer: &Endpoint,
        config: Arc<Config>,
        clock: Clock,
        interrupt: Interrupt,
        trace: bool,
    ) -> Result<Self, Failure> {
        Self::connect_within(SOCKET_TIME_OUT, peer, config, clock, interrupt, trace)
    }

    /// The same with a time of one's own for the socket to come up.
    ///
    /// # Errors
    /// As [`Wire::connect`].
    pub fn connect_within(
        time: Duration,
        peer: &Endpoint,
        config: Arc<Config>,
        clock: Clock,
        interrupt: Interrupt,
        trace: bool,
    ) -> Result<Self, Failure> {
        // No time at all is none that a system takes.
        let socket = connect(peer, time.max(WAIT_MIN))?;
        let mut connection = Connection::new(config, clock.now());
        connection.set_tap(trace);
        let mut output = SendQueue::new();
        connection.start(&mut output);
        let (input, peer) = (RecvBuf::new(), peer.without_address());
        Ok(Self {
            connection,
            output,
            clock,
            input,
            interrupt,
            peer,
            socket,
            trace,
            dialogue: None,
        })
    }

    /// Who is at the other end.
    #[must_use]
    pub fn peer(&self) -> &Endpoint {
        &self.peer
    }

    /// The time by the clock of this connection.
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Whether the person wants to stop.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupt.raised()
    }

    /// The next event, waiting for it until `deadline` (without end if there is none). `None` if
    /// none came in time, or the person wants to stop.
    ///
    /// # Errors
    /// If the connection is lost or the peer closes it or breaks the protocol.
    pub fn next_event(&mut self, deadline: Option<Time>) -> Result<Option<Event>, Failure> {
        loop {
            let now = self.clock.now();
            let polled = self
                .connection
                .poll_event(&mut self.input, &mut self.output, now);
            self.show_frames();
            match polled {
                Ok(Some(ref event @ Event::Closed { answer, .. })) => {
                    return Err(self.closed_by_peer(event, answer));
                }
                Ok(Some(Event::Sasl(step))) => {
                    self.authenticate(&step)?;
                    continue;
                }
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(error) => return Err(self.broken(&error)),
            }
            self.flush()?;
            let wait = deadline.map_or(WAIT_MAX, |deadline| deadline.saturating_sub(now));
            if wait.is_zero() || self.interrupted() {
                return Ok(None);
            }
            self.keep_alive(now)?;
            self.read(wait.min(WAIT_MAX))?;
        }
    }

    /// Answers what the peer says while we authenticate.
    fn authenticate(&mut self, step: &SaslStep) -> Result<(), Failure> {
        let (reply, dialogue) = match (self.dialogue.take(), step) {
            (None, SaslStep::Offered(offered)) => {
                let random = Random::new()?.bytes()?;
                Dialogue::begin(&self.peer.terms(), offered, random)
            }
            (Some(dialogue), step) => dialogue.answer(step),
            (None, _) => (dialogue::aborted("none", "out of sequence"), None),
        };
        self.dialogue = dialogue;
        let replied = self.connection.reply_sasl(reply, &mut self.output);
        replied.map_err(|error| self.broken(&error))
    }

    /// Writes all output.
    ///
    /// # Errors
    /// If the connection is lost or takes nothing for ten seconds.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.show_frames();
        let flushed = self.socket.flush(&mut self.output);
        flushed.map_err(|loss| self.lost_by(&loss))
    }

    /// Does what time demands: a heartbeat, or the end of a connection that has gone silent.
    ///
    /// # Errors
    /// If the peer has been silent for too long.
    pub fn keep_alive(&mut self, now: Time) -> Result<(), Failure> {
        if self.connection.poll_timeout().is_some_and(|due| due <= now) {
            let kept = self.connection.handle_timeout(now, &mut self.output);
            if let Err(error) = kept {
                return Err(self.broken(&error));
            }
        }
        self.flush()
    }

    /// Closes the connection and waits a moment for the answer; what happens then concerns nobody.
    pub fn close(mut self) {
        self.connection.close(None, &mut self.output);
        let deadline = Some(self.clock.now() + WAIT_MAX * 5);
        while let Ok(Some(_)) = self.next_event(deadline) {}
        self.socket.finish(&mut self.output);
    }

    /// Takes the connection apart, for an owner that waits in another way.
    #[must_use]
    pub fn into_parts(self) -> WireParts {
        let Self {
            connection,
            input,
            output,
            socket,
            ..
        } = self;
        WireParts {
            connection,
            input,
            output,
            socket,
        }
    }

    /// Reads once, for at most `wait`.
    fn read(&mut self, wait: Duration) -> Result<(), Failure> {
        let read = self.socket.read(wait, &mut self.input, &mut self.output);
        read.map(drop).map_err(|loss| self.lost_by(&loss))
    }

    fn lost_by(&self, loss: &Loss) -> Failure {
        match loss {
            Loss::HungUp => self.lost("it hung up without a word"),
            Loss::Socket(error) => self.lost(&error.to_string()),
            Loss::Stage(error) => secure::failed(&self.peer.to_string(), &error.text),
        }
    }

    /// Prints the frames of the tap.
    fn show_frames(&mut self) {
        if self.trace {
            while let Some(frame) = self.connection.poll_tap() {
                screen::complain(&trace::line(&frame));
            }
        }
    }

    fn lost(&self, how: &str) -> Failure {
        let failure = Failure::new(format!("connection to {} lost: {how}", self.peer));
        if self.connection.is_open() {
            return failure;
        }
        failure.hint(if self.peer.is_secure {
            "the peer ended it before AMQP was agreed: is this an AMQP 1.0 port, with TLS, and is \
             it one for those who authenticate by these means?"
        } else {
            "the peer ended it before AMQP was agreed: is this an AMQP 1.0 port, without TLS, and \
             is it one for those who do not authenticate, or not by these means?"
        })
    }

    /// The peer broke the protocol: the engine has queued what it may be told.
    fn broken(&mut self, error: &ConnectionError) -> Failure {
        // The connection is over; whether the peer hears why changes nothing.
        drop(self.flush());
        Failure::new(format!("connection to {} failed: {error}", self.peer))
    }

    /// The peer closed the connection.
    fn closed_by_peer(&mut self, event: &Event, answer: bool) -> Failure {
        if !answer {
            self.connection.close(None, &mut self.output);
            // The connection is over; whether the peer hears the answer changes nothing.
            drop(self.flush());
        }
        let peer = self.peer.to_string();
        fault::of_event(&peer, event).unwrap_or_else(|| self.lost("it was closed"))
    }
}

/// A TCP connection to the first address of the host that answers.
fn connect(peer: &Endpoint, time: Duration) -> Result<Blocking, Failure> {
    let stage = peer.stage()?;
    let addresses: Vec<SocketAddr> = (peer.host.as_str(), peer.port)
        .to_socket_addrs()
        .map_err(|error| Failure::new(format!("unknown host `{}`: {error}", peer.host)))?
        .collect();
    Blocking::connect(&addresses, time, stage).map_err(|error| {
        Failure::new(format!("cannot connect to {peer}: {error}"))
            .hint("`causeway run` starts a router here; --url amqp://HOST:PORT names another")
    })
}
