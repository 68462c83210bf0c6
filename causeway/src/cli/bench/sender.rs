//! One thread that sends: a connection with some of the senders of a load.
//!
//! Owns the order of sending: flat out as far as credit reaches, or by the clock. By the clock it
//! is an *open loop*: when a message was due is written into it, and if the router makes the
//! sender late the wait counts as latency, instead of silently slowing the load down.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{DeliveryState, DeliveryTag, Disposition};
use amqp_proto::{
    Connection, Event, LinkKey, OutTransfer, Payload, RecvBuf, SendQueue, Sent, SessionKey, Time,
};

use crate::cli::bench::load::Load;
use crate::cli::bench::socket::Socket;
use crate::cli::bench::stage::{Phase, Stage, Tally, add};
use crate::cli::bench::stamp::{Stamp, Template};
use crate::cli::client::fault;
use crate::cli::client::wire::WireParts;
use crate::cli::failure::Failure;
use crate::clock::Clock;

/// Messages a link sends before the next link has its turn.
const TURN: u32 = 32;
/// How long a thread waits before it looks at the phase and its heartbeat again.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// Waits shorter than this are slept by the clock: the selector counts whole milliseconds.
const SELECTOR_GRAIN: Duration = Duration::from_millis(2);
/// How much later than asked a sending thread may be woken, in nanoseconds.
const TIMER_SLACK: &str = "1000";
/// How long the last outcomes may take.
const DRAIN_TIME_OUT: Duration = Duration::from_secs(3);

/// A sending thread before it starts.
pub(super) struct Sender {
    burst: u64,
    clock: Clock,
    connection: Connection,
    drain_until: Option<Time>,
    input: RecvBuf,
    links: Vec<SendLink>,
    output: SendQueue,
    session: SessionKey,
    settled: bool,
    socket: Socket,
    stage: Arc<Stage>,
    tally: Arc<Tally>,
    template: Template,
    tokens: Vec<u64>,
    unsettled: u64,
}

/// One sender of the load.
struct SendLink {
    due: Time,
    interval: Option<Duration>,
    key: LinkKey,
    number: u64,
    rest: Option<Payload>,
}

/// Why a turn of sending ended.
enum Pause {
    /// More could be sent as soon as the socket takes what there is.
    None,
    /// No credit or no window.
    Peer,
    /// Nothing is due before this time.
    Due(Time),
}

impl Sender {
    /// A thread for these links of a connection. `offset` is when the first message of each is due,
    /// so that the senders of a load do not march in step.
    ///
    /// # Errors
    /// If the socket cannot be made non-blocking.
    pub(super) fn new(
        (parts, session): (WireParts, SessionKey),
        links: &[(LinkKey, Duration)],
        load: &Load,
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
        let interval = load.interval();
        let now = clock.now();
        let link = |&(key, offset): &(LinkKey, Duration)| SendLink {
            due: now + offset,
            interval,
            key,
            number: 0,
            rest: None,
        };
        Ok(Self {
            burst: u64::from(load.burst.max(1)),
            clock,
            connection,
            drain_until: None,
            input,
            links: links.iter().map(link).collect(),
            output,
            session,
            settled: load.settled,
            socket: Socket::new(socket).map_err(lost)?,
            stage,
            tally,
            template: Template::new(load.size),
            tokens: Vec::new(),
            unsettled: 0,
        })
    }

    /// Sends until the measurement ends and the last outcomes have come.
    ///
    /// # Errors
    /// If the connection is lost or a link is detached.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        if self.links.iter().any(|link| link.interval.is_some()) {
            sleep_exactly();
        }
        loop {
            let now = self.clock.now();
            self.receive(now)?;
            let draining = self.stage.phase() >= Phase::Drain;
            if draining && self.is_drained(now) {
                return self.close();
            }
            let pause = self.send(now, draining);
            self.connection
                .flush_session(self.session, &mut self.output);
            self.socket.write(&mut self.output).map_err(lost)?;
            self.wait(&pause)?;
        }
    }

    /// Takes in what the peer has said.
    fn receive(&mut self, now: Time) -> Result<(), Failure> {
        self.socket.read_unasked(&mut self.input).map_err(lost)?;
        if self.connection.poll_timeout().is_some_and(|due| due <= now) {
            self.connection
                .handle_timeout(now, &mut self.output)
                .map_err(broken)?;
        }
        loop {
            let polled = self
                .connection
                .poll_event(&mut self.input, &mut self.output, now);
            match polled.map_err(broken)? {
                None => return Ok(()),
                Some(Event::Disposition { disposition, .. }) => self.settle(&disposition),
                Some(event) => fault::of_event("the router", &event).map_or(Ok(()), Err)?,
            }
        }
    }

    /// Counts outcomes.
    fn settle(&mut self, disposition: &Disposition) {
        self.tokens.clear();
        self.connection
            .disposed(self.session, disposition, &mut self.tokens);
        let count = self.tokens.len() as u64;
        self.unsettled = self.unsettled.saturating_sub(count);
        let counter = match disposition.state {
            Some(DeliveryState::Accepted) => &self.tally.accepted,
            Some(DeliveryState::Rejected(_)) => &self.tally.rejected,
            Some(DeliveryState::Released) => &self.tally.released,
            _ => &self.tally.modified,
        };
        add(counter, count);
    }

    /// Sends what may be sent, the links in turn; `finish` sends only the rest of what was begun.
    fn send(&mut self, now: Time, finish: bool) -> Pause {
        let mut sent = 0;
        let mut next_due: Option<Time> = None;
        let mut more = false;
        for index in 0..self.links.len() {
            for turn in 0..TURN {
                let link = &self.links[index];
                if link.rest.is_none() {
                    if finish {
                        break;
                    }
                    if link.interval.is_some() && link.due > now {
                        next_due = Some(next_due.map_or(link.due, |due| due.min(link.due)));
                        break;
                    }
                }
                if !self.send_one(index, now) {
                    break;
                }
                sent += 1;
                more |= turn + 1 == TURN;
            }
        }
        add(&self.tally.sent, sent);
        match next_due {
            _ if more || self.output.is_full() => Pause::None,
            Some(due) => Pause::Due(due),
            None => Pause::Peer,
        }
    }

    /// Sends the next message of a link, or the rest of it; `false` if it is not whole yet.
    fn send_one(&mut self, index: usize, now: Time) -> bool {
        let link = &mut self.links[index];
        let transfer = OutTransfer {
            settled: self.settled,
            ..OutTransfer::new(link.number, tag(link.number))
        };
        let (sent, mut rest) = if let Some(rest) = link.rest.take() {
            let Self {
                connection, output, ..
            } = self;
            (
                connection.send_transfer(link.key, &transfer, &[], &rest, output),
                rest,
            )
        } else {
            let due = if link.interval.is_some() {
                link.due
            } else {
                now
            };
            let (head, body) = self.template.message(Stamp {
                due,
                number: link.number,
            });
            let sent =
                self.connection
                    .send_transfer(link.key, &transfer, head, body, &mut self.output);
            match sent {
                Sent::Whole => (sent, Payload::new()),
                Sent::Blocked => return false,
                Sent::Part(_) => {
                    let mut whole = Payload::from(bytes::Bytes::copy_from_slice(head));
                    whole.append(body.clone());
                    (sent, whole)
                }
            }
        };
        match sent {
            Sent::Whole => {
                link.number += 1;
                if let Some(interval) = link.interval
                    && link.number.is_multiple_of(self.burst)
                {
                    link.due = link.due + interval;
                }
                self.unsettled += u64::from(!self.settled);
                true
            }
            Sent::Part(taken) => {
                rest.advance(taken);
                link.rest = Some(rest);
                false
            }
            Sent::Blocked => {
                link.rest = Some(rest);
                false
            }
        }
    }

    /// Waits for what stopped the sending.
    fn wait(&mut self, pause: &Pause) -> Result<(), Failure> {
        match pause {
            Pause::None if self.output.is_empty() => Ok(()),
            Pause::None | Pause::Peer => self.socket.wait(WAIT_MAX).map_err(lost),
            Pause::Due(due) => {
                let ahead = due.saturating_sub(self.clock.now()).min(WAIT_MAX);
                if ahead > SELECTOR_GRAIN || !self.output.is_empty() {
                    let grain = Duration::from_millis(1);
                    return self.socket.wait(ahead.saturating_sub(grain)).map_err(lost);
                }
                std::thread::sleep(ahead);
                Ok(())
            }
        }
    }

    /// Whether all outcomes have come, or have had their time.
    fn is_drained(&mut self, now: Time) -> bool {
        let until = *self.drain_until.get_or_insert(now + DRAIN_TIME_OUT);
        let whole = self.output.is_empty() && self.links.iter().all(|link| link.rest.is_none());
        now >= until || (whole && self.unsettled == 0)
    }

    /// Says goodbye; nobody waits for the answer.
    fn close(mut self) -> Result<(), Failure> {
        for link in &self.links {
            self.connection
                .detach(link.key, true, None, &mut self.output);
        }
        self.connection.close(None, &mut self.output);
        self.socket.write(&mut self.output).map_err(lost)
    }
}

/// Asks Linux to wake this thread when it wants to wake, not up to 50 µs later: by the clock, that
/// delay would count as the router's. Where it cannot be asked the delay stays, and that is all.
fn sleep_exactly() {
    if let Ok(link) = std::fs::read_link("/proc/thread-self")
        && let Some(thread) = link.file_name()
    {
        let slack = Path::new("/proc").join(thread).join("timerslack_ns");
        drop(std::fs::write(slack, TIMER_SLACK));
    }
}

/// A tag for each message of a link.
fn tag(number: u64) -> DeliveryTag {
    DeliveryTag::new(&number.to_be_bytes()).expect("eight bytes are a tag")
}

fn lost(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Failure::new("the router hung up on a sender"),
        _ => Failure::new(format!("a sender's connection was lost: {error}")),
    }
}

fn broken(error: amqp_proto::ConnectionError) -> Failure {
    Failure::new(format!("a sender's connection failed: {error}"))
}
