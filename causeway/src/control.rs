//! The control thread: gives the control plane its mail and the time, does what it wants done
//! outside, accepts and dials connections and deals them to the workers, takes orders.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::{Time, Transform};
use management::Agent;
use mio::{Events, Poll, Token, Waker};
use router_core::control::{ControlPlane, Dial, Effect, Listen};
use router_core::ids::ShardId;
use router_core::notice::Notice;
use router_core::settings::{ConnectionRole, NewConnection};

use crate::clock::Clock;
use crate::deal::{Dealer, Told};
use crate::dial::{Dialler, Outcome};
use crate::host::Process;
use crate::listen::{Arrival, Listeners, Listening, Rest};
use crate::log::{Level, Log, Module};
use crate::orders::{Order, Orders};
use crate::pipe::Pipes;
use crate::post::{Incoming, Intake, Offices};
use crate::resolve::{Addresses, Resolver};
use crate::stream::Stream;

/// Events taken from the operating system at once.
const EVENTS: usize = 256;

/// Batches of mail taken before listeners have their turn.
const BATCHES_PER_TURN: usize = 256;

/// How long deliveries in flight may take to settle at the end of the program.
const DRAIN: Duration = Duration::from_secs(2);

/// How often it is looked whether they have.
const DRAIN_LOOK: Duration = Duration::from_millis(10);

/// How long nothing must be under way before the end.
const QUIET: Duration = Duration::from_millis(30);

/// The token of the waker.
pub(crate) const WAKER: Token = Token(0);

const FIRST_LISTENER: usize = 1;

/// Listeners never come so far.
const FIRST_DIALLED: usize = usize::MAX / 2;

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
    /// Listeners whose host is being looked up.
    unresolved: Vec<Listen>,
    dialler: Dialler,
    resolver: Resolver,
    pipes: Pipes,
    clock: Clock,
    log: Log,
    connections_max: u64,
    /// The log wants the frames of all connections.
    tracing: bool,
    notices: Vec<Notice>,
    /// What was opened before the router had started.
    listening: Vec<Listening>,
    end: Option<(End, Time)>,
    /// Since when nothing is under way, before the end.
    quiet_since: Option<Time>,
}

/// What the control thread is made of.
pub(crate) struct ControlParts {
    pub(crate) plane: ControlPlane,
    pub(crate) agent: Agent,
    pub(crate) process: Process,
    pub(crate) poll: Poll,
    /// Of that poll.
    pub(crate) waker: Arc<Waker>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) offices: Arc<Offices>,
    pub(crate) intakes: Vec<Arc<Intake>>,
    pub(crate) pipes: Pipes,
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
            waker,
            orders,
            offices,
            intakes,
            pipes,
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
            unresolved: Vec::new(),
            dialler: Dialler::new(FIRST_DIALLED),
            resolver: Resolver::new(waker),
            pipes,
            clock,
            log,
            connections_max,
            tracing: false,
            notices: Vec::new(),
            listening: Vec::new(),
            end: None,
            quiet_since: None,
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
                && !self.unresolved.iter().any(|listen| listen.required)
                && let Some(started) = started.take()
            {
                started(std::mem::take(&mut self.listening));
            }
            if let Some((end, until)) = self.end
                && (now >= until || self.is_quiet(now))
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
            self.dialler.next_deadline(),
            self.process.profiles().next_deadline(),
            drain,
        ];
        let earliest = deadlines.into_iter().flatten().min()?;
        Some(earliest.saturating_sub(now))
    }

    fn note_events(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                WAKER => {}
                token if self.dialler.note_ready(token) => {}
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
                // Whoever has asked may have given up.
                Order::Profile(name, reply) => drop(reply.send(self.process.profiles().get(&name))),
            }
        }
    }

    /// Begins the end: nobody new is let in.
    fn end(&mut self, end: End) {
        self.log.line(Module::Server, Level::Notice, "Shut Down");
        self.listeners.close_all();
        self.unresolved.clear();
        self.dialler.hang_up_all();
        self.plane.retire();
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
        for (name, state) in self.process.look_at_profiles(now) {
            self.agent.profile_changed(&name, &state);
        }
        let tracing = self.log.wants_frames();
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
            self.carry_out(effect, now);
        }
        self.take_resolved();
        self.connect(now);
        self.dealer.sample(now, told(&self.intakes));
        self.accept(now);
        self.plane.drain_notices(&mut self.notices);
        self.log.notices(&mut self.notices);
    }

    fn carry_out(&mut self, effect: Effect, now: Time) {
        match effect {
            Effect::Unlisten { identity } => {
                self.unresolved.retain(|listen| listen.identity != identity);
                self.listeners.close(&identity);
            }
            Effect::HangUp { connection } => self.dialler.hang_up(connection),
            // At the end nobody new is let in, and nobody looked for.
            Effect::Listen(_) | Effect::Dial(_) if self.end.is_some() => {}
            Effect::Listen(listen) if self.pipes.stands_for_pipes(&listen.port) => {
                self.listen_for_pipes(&listen);
            }
            Effect::Listen(listen) => match self.resolver.ask(&listen.host, &listen.port) {
                Ok(Some(addresses)) => self.listen(&listen, Ok(addresses)),
                Ok(None) => self.unresolved.push(listen),
                Err(text) => self.listen(&listen, Err(text)),
            },
            Effect::Dial(dial) => self.dial(dial, now),
        }
    }

    fn dial(&mut self, dial: Dial, now: Time) {
        match self.pipes.connect(&dial.host, &dial.port) {
            Some(Ok(stream)) => self.finish(Outcome::Connected(dial, stream), now),
            Some(Err(text)) => self.finish(Outcome::Failed(dial, text), now),
            None => match self.resolver.ask(&dial.host, &dial.port) {
                Ok(addresses) => self.dialler.dial(dial, addresses),
                Err(text) => self.finish(Outcome::Failed(dial, text), now),
            },
        }
    }

    /// Goes on with what has waited for the address of a host.
    fn take_resolved(&mut self) {
        while let Some((place, answer)) = self.resolver.poll() {
            self.dialler.resolved(&place, &answer);
            let is_there = |listen: &Listen| (&listen.host, &listen.port) == (&place.0, &place.1);
            let (found, others) = std::mem::take(&mut self.unresolved)
                .into_iter()
                .partition::<Vec<_>, _>(is_there);
            self.unresolved = others;
            for listen in found {
                self.listen(&listen, answer.clone());
            }
        }
    }

    /// Goes on with what is being dialled.
    fn connect(&mut self, now: Time) {
        for outcome in self.dialler.turn(now, self.poll.registry()) {
            self.finish(outcome, now);
        }
    }

    /// What was dialled is connected, or cannot be.
    fn finish(&mut self, outcome: Outcome, now: Time) {
        match outcome {
            Outcome::Failed(dial, text) => self.plane.dial_failed(dial.connection, text, now),
            Outcome::Connected(dial, stream) => {
                let (number, connection) = (dial.connection, dial.connected());
                match self.transform_for(&connection) {
                    Err(text) => self.plane.dial_failed(number, text, now),
                    Ok(transform) if self.plane.dialled(number) => {
                        self.hand_over(stream, connection, transform);
                    }
                    Ok(_) => {}
                }
            }
        }
    }

    /// What stands between a new socket and its shard.
    fn transform_for(&self, connection: &NewConnection) -> Result<Box<dyn Transform>, String> {
        let profiles = self.process.profiles();
        match (&connection.settings.tls, &connection.hostname) {
            (None, _) => Ok(tls::plain()),
            (Some(tls), None) => profiles.accept(tls),
            (Some(tls), Some(host)) => profiles.connect(tls, host),
        }
    }

    fn listen(&mut self, listen: &Listen, wanted: Addresses) {
        let Listen {
            identity,
            host,
            port,
            settings,
            ..
        } = listen;
        let at = format!("{host}:{port}");
        let registry = self.poll.registry();
        let bound = wanted.and_then(|wanted| {
            let wanted = (&*wanted, host.is_empty());
            self.listeners.open(identity, wanted, settings, registry)
        });
        match bound {
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
                let name = settings.name.clone();
                let place = addresses.first().copied();
                self.listening
                    .extend(place.map(|address| Listening { name, address }));
                self.can_listen(identity, text);
            }
            Err(text) => self.cannot_listen(listen, &text),
        }
    }

    /// Opens the listener whose connections are pipes.
    fn listen_for_pipes(&mut self, listen: &Listen) {
        let Listen { identity, .. } = listen;
        match self.listeners.open_for_pipes(identity, &listen.settings) {
            Ok(()) => {
                let text = format!("Listening on {}:{}", listen.host, listen.port);
                self.can_listen(identity, text);
            }
            Err(text) => self.cannot_listen(listen, &text),
        }
    }

    fn can_listen(&mut self, identity: &Arc<str>, text: String) {
        self.log.line(Module::Server, Level::Notice, text);
        self.plane.listener_ready(identity);
    }

    fn cannot_listen(&mut self, listen: &Listen, text: &str) {
        let at = format!("{}:{}", listen.host, listen.port);
        let text = format!("Listener error on {at}: {text} - listen on {at} (proton:io)");
        self.log.line(Module::Server, Level::Error, text);
        self.plane.listener_failed(&listen.identity);
        if listen.required {
            let text = format!("Shutting down, required listener failed {at}");
            self.log.line(Module::Server, Level::Critical, text);
            self.end = Some((End::RequiredListener, Time::ZERO));
        }
    }

    fn accept(&mut self, now: Time) {
        let (mut arrivals, mut rests) = (Vec::new(), Vec::new());
        self.listeners.accept(now, &mut arrivals, &mut rests);
        while let Some(pipe) = self.pipes.take() {
            arrivals.extend(self.listeners.accept_pipe(pipe));
        }
        for arrival in arrivals {
            self.deal(arrival);
        }
        for Rest { listener, text } in rests {
            let text = format!("Listener {listener} rests: cannot accept connections: {text}");
            self.log.line(Module::Server, Level::Error, text);
        }
    }

    /// Gives a connection that was accepted a number and a worker, unless there are too many.
    fn deal(&mut self, arrival: Arrival) {
        let Arrival {
            stream,
            peer,
            settings,
        } = arrival;
        let present = self.dealer.connections(told(&self.intakes));
        if present >= self.connections_max {
            let text = format!(
                "DENY Connection '{peer}' based on global connection count. nConnections= {present}"
            );
            self.log.line(Module::Policy, Level::Info, text);
            return;
        }
        let connection = NewConnection::accepted(self.plane.deal_connection(), settings, peer);
        match self.transform_for(&connection) {
            Ok(transform) => self.hand_over(stream, connection, transform),
            Err(text) => {
                let NewConnection {
                    connection: number,
                    settings,
                    peer,
                    ..
                } = connection;
                let words = format!(
                    "[C{number}] Connection from {peer} (to {}) failed: amqp:internal-error {text}",
                    settings.name
                );
                self.log.line(Module::Server, Level::Info, words);
            }
        }
    }

    /// Gives a connection to the worker that has least to do; further connections to one router are
    /// for further workers.
    fn hand_over(
        &mut self,
        stream: Stream,
        connection: NewConnection,
        transform: Box<dyn Transform>,
    ) {
        let beside = self.plane.shards_beside(&connection);
        let is_router = connection.settings.role == ConnectionRole::InterRouter;
        let told = told(&self.intakes);
        let worker = self.dealer.deal(is_router, &beside, told);
        self.intakes[worker].push(Incoming::Socket {
            stream,
            connection,
            transform,
        });
    }

    /// Whether nothing has been under way for long enough that no letter between two workers can
    /// have been missed.
    fn is_quiet(&mut self, now: Time) -> bool {
        if self.in_flight() > 0 {
            self.quiet_since = None;
            return false;
        }
        let since = *self.quiet_since.get_or_insert(now);
        now.saturating_sub(since) >= QUIET
    }

    fn in_flight(&self) -> usize {
        self.intakes
            .iter()
            .map(|intake| intake.load().in_flight())
            .sum()
    }
}

/// What the workers tell of themselves.
fn told(intakes: &[Arc<Intake>]) -> impl Fn(usize) -> Told {
    |index| {
        let load = intakes[index].load();
        Told {
            busy: load.busy(),
            closed: load.closed(),
        }
    }
}
