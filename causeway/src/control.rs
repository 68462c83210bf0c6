//! The control thread: gives the control plane its mail and the time, does what it wants done
//! outside, accepts and dials connections and deals them to the workers, takes orders.

mod operate;
mod parts;

pub use parts::End;
pub(crate) use parts::{Control, ControlParts};

use std::io;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::{Time, Transform};
use mio::{Events, Token};
use router_core::control::{Dial, Effect, Listen};
use router_core::settings::{ConnectionRole, NewConnection};

use crate::deal::Told;
use crate::dial::Outcome;
use crate::drain::{self, Drain};
use crate::http::clerk::Around;
use crate::http::intake::Upgraded;
use crate::listen::{Arrival, Listening, Rest};
use crate::log::{Level, Module};
use crate::orders::Order;
use crate::post::{Incoming, Intake};
use crate::readiness::Readiness;
use crate::resolve::Addresses;
use crate::stream::Stream;

/// Events taken from the operating system at once.
const EVENTS: usize = 256;

/// Batches of mail taken before listeners have their turn.
const BATCHES_PER_TURN: usize = 256;

/// The token of the waker.
pub(crate) const WAKER: Token = Token(0);

impl Control {
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
                self.stage.reach(Readiness::Ready);
                self.service.tell("READY=1");
                started(self.listening.take().unwrap_or_default());
            }
            if let Some(end) = self.ended(now) {
                self.stage.reach(Readiness::Ended);
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
        let drain = self.end.as_ref().map(|_| now + drain::LOOK);
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
                Order::Kill => self.end = Some((End::Killed, Drain::none())),
                Order::Stop => match &mut self.end {
                    None => self.end(self.process.drain_time),
                    Some((_, drain)) => {
                        let text = "Asked to end again: nothing is waited for";
                        self.log.line(Module::Server, Level::Notice, text);
                        drain.hurry();
                    }
                },
                Order::Facts(scope) => self.desk.clerk.ask(scope, &mut self.plane),
                Order::WebSocket(upgraded) => self.upgrade(*upgraded),
                Order::Reload(done) => self.ask_reload(done),
                // Whoever has asked may have given up.
                Order::Profile(name, reply) => drop(reply.send(self.process.profiles().get(&name))),
            }
        }
    }

    fn turn(&mut self, now: Time) {
        for _ in 0..BATCHES_PER_TURN {
            let Some(batch) = self.offices.mailbox(self.own).take() else {
                break;
            };
            self.plane.handle_mail(batch);
        }
        self.plane.turn(now);
        let around = Around {
            process: &self.process,
            workers: &self.intakes,
            in_flight: self.in_flight(),
            is_ending: self.end.is_some(),
        };
        self.desk.turn(&mut self.plane, &around);
        self.process.admissions.current = self.dealer.connections(told(&self.intakes));
        self.agent.turn(&mut self.plane, &mut self.process, now);
        for (name, state) in self.process.look_at_profiles(now) {
            self.agent.profile_changed(&name, &state);
        }
        self.operate(now);
        let tracing = self.log.wants_frames();
        if tracing != self.tracing {
            self.tracing = tracing;
            self.plane.trace_all(tracing);
        }
        self.plane.trace_routing(self.log.wants_routing());
        let showing = self.log.wants_messages();
        if showing != self.showing {
            self.showing = showing;
            self.plane.show_messages(showing);
        }
        // What the agent has asked for or answered goes out at once.
        self.plane.turn(now);
        for (to, batch) in self.plane.outboxes().drain() {
            self.offices.post(to, batch);
        }
        while let Some(effect) = self.plane.poll_effect() {
            self.carry_out(effect, now);
        }
        // Nobody would accept what comes to sockets that a listener has not taken by now.
        self.listeners.forget_staged();
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
                if self.listeners.is_open(&identity) {
                    // Who came before its end is no longer told that nobody is there.
                    self.accept_all(now);
                }
                self.listeners.close(&identity);
                self.desk.listeners_changed(self.listeners.http());
            }
            Effect::HangUp { connection } => self.dialler.hang_up(connection),
            // At the end nobody new is let in, and nobody looked for.
            Effect::Listen(_) | Effect::Dial(_) if self.end.is_some() => {}
            Effect::Listen(listen) if self.listeners.is_staged(&listen.identity) => {
                self.listen(&listen, Ok(Vec::new()));
            }
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
            if settings.http.is_some() {
                self.desk.open()?;
            }
            self.listeners.open(identity, wanted, settings, registry)
        });
        match bound {
            Ok(addresses) => {
                if settings.http.is_some() {
                    self.desk.listeners_changed(self.listeners.http());
                }
                let what = match settings.http {
                    Some(_) => "Listening for HTTP on",
                    None => "Listening on",
                };
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
                    format!("{what} {real}{name}")
                } else {
                    format!("{what} {at}")
                };
                let name = settings.name.clone();
                let place = addresses.first().copied();
                if let Some(listening) = &mut self.listening {
                    listening.extend(place.map(|address| Listening { name, address }));
                }
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
            self.end = Some((End::RequiredListener, Drain::none()));
        }
    }

    fn accept(&mut self, now: Time) {
        let (mut arrivals, mut rests) = (Vec::new(), Vec::new());
        self.listeners.accept(now, &mut arrivals, &mut rests);
        while let Some(pipe) = self.pipes.take() {
            arrivals.extend(self.listeners.accept_pipe(pipe));
        }
        for arrival in arrivals {
            let settings = &arrival.settings;
            match (&settings.http, &settings.tls) {
                (Some(_), None) => self.desk.greet(arrival, Ok(tls::plain())),
                (Some(_), Some(tls)) => {
                    let profiles = self.process.profiles();
                    let transform = profiles.accept_http(tls, settings.authenticate_peer);
                    self.desk.greet(arrival, transform);
                }
                (None, _) => self.deal(arrival, None),
            }
        }
        for Rest { listener, text } in rests {
            let text = format!("Listener {listener} rests: cannot accept connections: {text}");
            self.log.line(Module::Server, Level::Error, text);
        }
    }

    /// A client of an HTTP listener goes on as one of AMQP.
    fn upgrade(&mut self, upgraded: Upgraded) {
        // At the end nobody new is let in.
        if self.end.is_some() {
            return;
        }
        let Upgraded {
            stream,
            peer,
            settings,
            transform,
        } = upgraded;
        let arrival = Arrival {
            stream,
            peer,
            settings,
        };
        self.deal(arrival, Some(transform));
    }

    /// Gives a connection that was accepted a number and a worker, unless there are too many.
    /// `ready` is what stands between it and its shard, if that is there.
    fn deal(&mut self, arrival: Arrival, ready: Option<Box<dyn Transform>>) {
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
            self.process.admissions.denied += 1;
            return;
        }
        self.process.admissions.admitted += 1;
        if ready.is_some() {
            self.desk.upgraded();
        }
        let connection = NewConnection::accepted(self.plane.deal_connection(), settings, peer);
        let transform = ready.map_or_else(|| self.transform_for(&connection), Ok);
        match transform {
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
