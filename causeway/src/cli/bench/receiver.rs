//! One thread that receives: a connection with some of the receivers of a load.
//!
//! Owns credit, acceptance and the latency histogram of its links. It serves both ends of a
//! measurement: towards a router it has attached itself; without a router between (a relay is
//! measured) the senders attach to it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{Attach, DeliveryState, Role};
use amqp_proto::{
    Connection, Event, InTransfer, LinkKey, Payload, RecvBuf, SendQueue, SessionKey, Time,
};
use hdrhistogram::Histogram;

use crate::cli::bench::socket::Socket;
use crate::cli::bench::stage::{Phase, Stage, Tally, add};
use crate::cli::bench::stamp::{self, Stamp};
use crate::cli::client::fault;
use crate::cli::client::wire::WireParts;
use crate::cli::failure::Failure;
use crate::clock::Clock;

/// How long a thread waits before it looks at the phase and its heartbeat again.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Silence after which nothing more is expected once the senders have stopped.
const QUIET: Duration = Duration::from_millis(200);
/// The longest latency that is told apart, in nanoseconds: ten minutes.
const LATENCY_MAX: u64 = 600_000_000_000;
/// Digits of a latency that count.
const LATENCY_DIGITS: u8 = 3;

/// Latencies in nanoseconds.
pub(super) type Latencies = Histogram<u64>;

/// An empty histogram of latencies.
#[must_use]
pub(super) fn latencies() -> Latencies {
    Histogram::new_with_bounds(1, LATENCY_MAX, LATENCY_DIGITS).expect("the bounds are in order")
}

/// A receiving thread before it starts.
pub(super) struct Receiver {
    clock: Clock,
    connection: Connection,
    credit: u32,
    done: bool,
    heard: Time,
    input: RecvBuf,
    latencies: Latencies,
    links: Vec<Option<ReceiveLink>>,
    output: SendQueue,
    sessions: Vec<SessionKey>,
    socket: Socket,
    stage: Arc<Stage>,
    tally: Arc<Tally>,
}

/// One receiver of the load.
#[derive(Clone, Copy)]
struct ReceiveLink {
    key: LinkKey,
    next: u64,
    session: SessionKey,
    stamp: Option<Stamp>,
}

impl Receiver {
    /// A thread for a connection. Links are added, or attach by themselves.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking.
    pub(super) fn new(
        parts: WireParts,
        credit: u32,
        clock: Clock,
        stage: Arc<Stage>,
        tally: Arc<Tally>,
    ) -> Result<Self, Failure> {
        let WireParts {
            connection,
            input,
            output,
            socket,
        } = parts;
        Ok(Self {
            clock,
            connection,
            credit,
            done: false,
            heard: clock.now(),
            input,
            latencies: latencies(),
            links: Vec::new(),
            output,
            sessions: Vec::new(),
            socket: Socket::new(socket).map_err(lost)?,
            stage,
            tally,
        })
    }

    /// Adds an attached link and gives it its first credit.
    pub(super) fn add(&mut self, session: SessionKey, key: LinkKey) {
        if self.links.len() <= key.index() {
            self.links.resize(key.index() + 1, None);
        }
        self.links[key.index()] = Some(ReceiveLink {
            key,
            next: 0,
            session,
            stamp: None,
        });
        if !self.sessions.contains(&session) {
            self.sessions.push(session);
        }
        self.connection
            .set_credit(key, self.credit, false, &mut self.output);
    }

    /// Receives until the measurement ends and nothing more comes; gives the latencies.
    ///
    /// # Errors
    /// If the connection is lost or a link is detached.
    pub(super) fn run(mut self) -> Result<Latencies, Failure> {
        loop {
            let phase = self.stage.phase();
            match self.socket.read(&mut self.input) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.may_end() => {
                    return Ok(self.latencies);
                }
                Err(error) => return Err(lost(error)),
            }
            let now = self.clock.now();
            if self.connection.poll_timeout().is_some_and(|due| due <= now) {
                self.connection
                    .handle_timeout(now, &mut self.output)
                    .map_err(broken)?;
            }
            self.receive(now, phase)?;
            self.answer();
            self.socket.write(&mut self.output).map_err(lost)?;
            if self.done {
                return Ok(self.latencies);
            }
            if phase == Phase::Stop && now.saturating_sub(self.heard) > QUIET {
                return self.close();
            }
            if !self.socket.is_readable() || !self.output.is_empty() {
                self.socket.wait(WAIT_MAX).map_err(lost)?;
            }
        }
    }

    /// Takes in what the peer has sent.
    fn receive(&mut self, now: Time, phase: Phase) -> Result<(), Failure> {
        let mut received = 0;
        loop {
            let polled = self
                .connection
                .poll_event(&mut self.input, &mut self.output, now);
            match polled.map_err(broken)? {
                None => break,
                Some(Event::Transfer {
                    link,
                    delivery,
                    payload,
                }) => {
                    self.heard = now;
                    received += u64::from(self.transfer(link, &delivery, &payload, now, phase));
                }
                Some(event) => self.other(event)?,
            }
        }
        add(&self.tally.received, received);
        Ok(())
    }

    /// Takes one frame of a message; `true` if the message is whole.
    fn transfer(
        &mut self,
        link: LinkKey,
        delivery: &InTransfer,
        payload: &Payload,
        now: Time,
        phase: Phase,
    ) -> bool {
        let Some(Some(state)) = self.links.get_mut(link.index()) else {
            return false;
        };
        if delivery.first {
            state.stamp = stamp::read(payload);
        }
        if delivery.more || delivery.aborted {
            return false;
        }
        if let Some(stamp) = state.stamp.take() {
            if stamp.number != state.next {
                add(&self.tally.disordered, 1);
            }
            state.next = stamp.number + 1;
            if phase == Phase::Measure {
                let nanoseconds = now.saturating_sub(stamp.due).as_nanos();
                let nanoseconds = u64::try_from(nanoseconds).unwrap_or(LATENCY_MAX);
                self.latencies.saturating_record(nanoseconds.max(1));
            }
        }
        if !delivery.settled {
            let accepted = Some(DeliveryState::Accepted);
            self.connection.queue_disposition(
                state.session,
                Role::Receiver,
                delivery.delivery_id,
                true,
                accepted,
            );
        }
        true
    }

    /// Anything but a transfer. The attaching events come only where there is no router between.
    fn other(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Opened(_) if !self.connection.config().initiator => {
                self.connection.open(None, &mut self.output);
            }
            Event::Begun {
                session,
                answer: false,
                ..
            } => {
                self.connection.answer_begin(session, &mut self.output);
            }
            Event::Attached {
                session,
                link,
                attach,
                answer: false,
            } => {
                let answer = Attach {
                    snd_settle_mode: attach.snd_settle_mode,
                    rcv_settle_mode: attach.rcv_settle_mode,
                    source: attach.source,
                    target: attach.target,
                    ..Attach::default()
                };
                self.connection
                    .answer_attach(link, answer, &mut self.output);
                self.add(session, link);
            }
            Event::Detached {
                link,
                answer: false,
                ..
            } if self.is_acceptor() => {
                self.connection.detach(link, true, None, &mut self.output);
            }
            Event::Closed { answer: false, .. } if self.is_acceptor() => {
                self.connection.close(None, &mut self.output);
                self.done = true;
            }
            event => return fault::of_event("the router", &event).map_or(Ok(()), Err),
        }
        Ok(())
    }

    /// Settles what was received and renews credit and windows, once for all that was read.
    fn answer(&mut self) {
        for &session in &self.sessions {
            self.connection
                .flush_dispositions(session, &mut self.output);
            self.connection.flush_session(session, &mut self.output);
        }
        for link in self.links.iter().flatten() {
            if self.connection.credit(link.key) <= self.credit / 2 {
                self.connection
                    .set_credit(link.key, self.credit, false, &mut self.output);
            }
        }
    }

    /// Says goodbye; nobody waits for the answer.
    fn close(mut self) -> Result<Latencies, Failure> {
        for link in self.links.iter().flatten() {
            self.connection
                .detach(link.key, true, None, &mut self.output);
        }
        self.connection.close(None, &mut self.output);
        self.socket.write(&mut self.output).map_err(lost)?;
        Ok(self.latencies)
    }

    fn is_acceptor(&self) -> bool {
        !self.connection.config().initiator
    }

    /// Whether the peer may hang up without a word: a probe of the port that never opened, or a
    /// sender that has closed.
    fn may_end(&self) -> bool {
        self.is_acceptor() && (self.links.is_empty() || self.stage.phase() >= Phase::Drain)
    }
}

fn lost(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::new("the router hung up on a receiver"),
        _ => Failure::new(format!("a receiver's connection was lost: {error}")),
    }
}

fn broken(error: amqp_proto::ConnectionError) -> Failure {
    Failure::new(format!("a receiver's connection failed: {error}"))
}
