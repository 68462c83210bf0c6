//! The control thread: gives the control plane its mail and the time, does what it wants done
//! outside, accepts connections and deals them to the workers, takes orders.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use management::Agent;
use mio::{Events, Poll, Token};
use router_core::control::{ControlPlane, Effect, Listen};
use router_core::ids::ShardId;
use router_core::notice::Notice;
use router_core::settings::NewConnection;

use crate::clock::Clock;
use crate::deal::{Dealer, Told};
use crate::host::Process;
use crate::listen::{Arrival, Listeners, Listening, Rest};
use crate::log::{Level, Log, Module};
use crate::orders::{Order, Orders};
use crate::post::{Incoming, Intake, Offices};

/// Events taken from the operating system at once.
const EVENTS: usize = 256;

/// Batches of mail taken before listeners have their turn.
const BATCHES_PER_TURN: usize = 256;

/// How long deliveries in flight may take to settle at the end of the program.
const DRAIN: Duration = Duration::from_secs(2);

/// How often it is looked whether they have.
const DRAIN_LOOK: Duration = Duration::from_millis(10);

/// The token of the waker.
pub(crate) const WAKER: Token = Token(0);

const FIRST_LISTENER: usize = 1;

/// Why the router has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its owner asked for it.
    Stopped,
    /// Its owner killed it.
    Killed,
    /// A listener that it cannot do without could not be opened.
    RequiredListener,
}

/// The control plane with all it needs to run.
pub(crate) struct Control {
    plane: ControlPlane,
    agent: Agent,
    process: Process,
    own: ShardId,
    poll: Poll,
    orders: Arc<Orders>,
    offices: Arc<Offices>,
    intakes: Vec<Arc<Intake>>,
    dealer: Dealer,
    listeners: Listeners,
    clock: Clock,
    log: Log,
    connections_max: u64,
    /// The log wants the frames of all connections.
    tracing: bool,
    notices: Vec<Notice>,
    /// What was opened before the router had started.
    listening: Vec<Listening>,
    end: Option<(End, Time)>,
}

/// What the control thread is made of.
pub(crate) struct ControlParts {
    pub(crate) plane: ControlPlane,
    pub(crate) agent: Agent,
    pub(crate) process: Process,
    pub(crate) poll: Poll,
    pub(crate) orders: Arc<Orders>,
    pub(crate) offices: Arc<Offices>,
    pub(crate) intakes: Vec<Arc<Intake>>,
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    /// Connections taken at the same time.
    pub(crate) connections_max: u64,
}

impl Control {
    pub(crate) fn new(parts: ControlParts) -> Self {
        let ControlParts {
            plane,
            agent,
            process,
            poll,
            orders,
            offices,
            intakes,
            clock,
            log,
            connections_max,
        } = parts;
        Self {
            own: ShardId(plane.shards()),
            plane,
            agent,
            process,
            poll,
            orders,
            offices,
            dealer: Dealer::new(intakes.len()),
            intakes,
            listeners: Listeners::new(FIRST_LISTENER),
            clock,
            log,
            connections_max,
            tracing: false,
            notices: Vec::new(),
            listening: Vec::new(),
            end: None,
        }
    }

    /// Runs until an order or a lost listener ends the router, deliveries in flight have settled or
    /// had time enough, and the workers have been told. `started` is called once the listeners of
    /// the configuration are open, with what they listen on.
    ///
    /// # Errors
    ///
    /// The operating system no longer tells of events: nothing can be done without them.
    pub(crate) fn run(mut self, started: impl FnOnce(Vec<Listening>)) -> io::Result<End> {
        let mut events = Events::with_capacity(EVENTS);
        let mut started = Some(started);
        loop {
            let now = self.clock.now();
            self.turn(now);
            if self.end.is_none()
                && let Some(started) = started.take()
            {
                started(std::mem::take(&mut self.listening));
            }
            if let Some((end, until)) = self.end
                && (now >= until || self.in_flight() == 0)
            {
                self.tell_workers(end);
                return Ok(end);
            }
            let sleep = self.sleep(now);
            match self.poll.poll(&mut events, sleep) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            self.offices.mailbox(self.own).unpark();
            self.note_events(&events);
            self.take_orders();
        }
    }

    fn tell_workers(&self, end: End) {
        for intake in &self.intakes {
            intake.push(match end {
                End::Killed => Incoming::Abandon,
                End::Stopped | End::RequiredListener => Incoming::Stop,
            });
        }
    }

    fn sleep(&self, now: Time) -> Option<Duration> {
        let runnable = self.plane.is_runnable() || self.agent.is_runnable(&self.plane);
        if runnable || !self.offices.mailbox(self.own).park() {
            return Some(Duration::ZERO);
        }
        let drain = self.end.map(|_| now + DRAIN_LOOK);
        let deadlines = [
            self.plane.next_deadline(),
            self.agent.next_deadline(),
            self.listeners.next_deadline(now),
            drain,
        ];
        let earliest = deadlines.into_iter().flatten().min()?;
        Some(earliest.saturating_sub(now))
    }

    fn note_events(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                WAKER => {}
                token => self.listeners.note_ready(token),
            }
        }
    }

    fn take_orders(&mut self) {
        while let Some(order) = self.orders.take() {
            match order {
                Order::Kill => self.end = Some((End::Killed, Time::ZERO)),
                // Asked twice: whoever waits is in a hurry.
                Order::Stop if self.end.is_some() => self.end = Some((End::Stopped, Time::ZERO)),
                Order::Stop => self.end(End::Stopped),
            }
        }
    }

    /// Begins the end: nobody new is let in.
    fn end(&mut self, end: End) {
        self.log.line(Module::Server, Level::Notice, "Shut Down");
        self.listeners.close_all();
        self.end = Some((end, self.clock.now() + DRAIN));
    }

    fn turn(&mut self, now: Time) {
        for _ in 0..BATCHES_PER_TURN {
            let Some(batch) = self.offices.mailbox(self.own).take() else {
                break;
            };
            self.plane.handle_mail(batch);
        }
        self.plane.turn(now);
        self.agent.turn(&mut self.plane, &mut self.process, now);
        let tracing = self.log.is_enabled(Module::Protocol, Level::Trace);
        if tracing != self.tracing {
            self.tracing = tracing;
            self.plane.trace_all(tracing);
        }
        // What the agent has asked for or answered goes out at once.
        self.plane.turn(now);
        for (to, batch) in self.plane.outboxes().drain() {
            self.offices.post(to, batch);
        }
        while let Some(effect) = self.plane.poll_effect() {
            match effect {
                Effect::Listen(listen) => self.listen(&listen),
                Effect::Unlisten { identity } => self.listeners.close(&identity),
                Effect::Dial(dial) => {
                    let text = "not supported by this version yet".to_owned();
                    self.plane.dial_failed(dial.connection, text, now);
                }
                Effect::HangUp { .. } => {}
            }
        }
        self.accept(now);
        self.plane.drain_notices(&mut self.notices);
        self.log.notices(&mut self.notices);
    }

    fn listen(&mut self, listen: &Listen) {
        if self.end.is_some() {
            return;
        }
        let Listen {
            identity,
            host,
            port,
            settings,
            required,
        } = listen;
        let place = (host.as_str(), port.as_str());
        let at = format!("{host}:{port}");
        match self
            .listeners
            .open(identity, place, settings, self.poll.registry())
        {
            Ok(addresses) => {
                let text = if port == "0" {
                    let real = addresses
                        .first()
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    let name = &settings.name;
                    let name = if *name == at {
                        String::new()
                    } else {
                        format!(" ({name})")
                    };
                    format!("Listening on {real}{name}")
                } else {
                    format!("Listening on {at}")
                };
                self.log.line(Module::Server, Level::Notice, text);
                let name = settings.name.clone();
                let place = addresses.first().copied();
                self.listening
                    .extend(place.map(|address| Listening { name, address }));
                self.plane.listener_ready(identity);
            }
            Err(text) => {
                let text = format!("Listener error on {at}: {text} - listen on {at} (proton:io)");
                self.log.line(Module::Server, Level::Error, text);
                self.plane.listener_failed(identity);
                if *required {
                    let text = format!("Shutting down, required listener failed {at}");
                    self.log.line(Module::Server, Level::Critical, text);
                    self.end = Some((End::RequiredListener, Time::ZERO));
                }
            }
        }
    }

    fn accept(&mut self, now: Time) {
        let (mut arrivals, mut rests) = (Vec::new(), Vec::new());
        self.listeners.accept(now, &mut arrivals, &mut rests);
        for arrival in arrivals {
            self.deal(arrival, now);
        }
        for Rest { listener, text } in rests {
            let text = format!("Listener {listener} rests: cannot accept connections: {text}");
            self.log.line(Module::Server, Level::Error, text);
        }
    }

    /// Gives a connection a number and a worker, unless there are too many.
    fn deal(&mut self, arrival: Arrival, now: Time) {
        let Arrival {
            stream,
            peer,
            settings,
        } = arrival;
        let intakes = &self.intakes;
        let told = |index: usize| {
            let load = intakes[index].load();
            Told {
                bytes: load.bytes(),
                closed: load.closed(),
            }
        };
        let present = self.dealer.connections(told);
        if present >= self.connections_max {
            let text = format!(
                "DENY Connection '{peer}' based on global connection count. nConnections= {present}"
            );
            self.log.line(Module::Policy, Level::Info, text);
            return;
        }
        let worker = self.dealer.deal(now, told);
        let connection = NewConnection {
            connection: self.plane.deal_connection(),
            settings,
            peer: peer.to_string(),
            hostname: None,
            traced: false,
        };
        self.intakes[worker].push(Incoming::Socket { stream, connection });
    }

    fn in_flight(&self) -> usize {
        self.intakes
            .iter()
            .map(|intake| intake.load().in_flight())
            .sum()
    }
}
