//! The HTTP thread: it gives each client its turn, asks the control thread what is to be known of
//! the router, and hands on what has become a WebSocket.
//!
//! Decision: one answer of the control thread is for all who ask at that time, and good for half a
//! second. So however often somebody asks, the workers are asked twice a second at most.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use mio::{Events, Poll, Token};
use web::limits::{CLIENTS, FACTS_AGE, FACTS_TIME};

use super::client::{Client, Told, Turn};
use super::facts::{Facts, Scope};
use super::intake::{Arrived, Incoming, Intake};
use super::series::Own;
use crate::clock::Clock;
use crate::linger::Lingering;
use crate::log::{Level, Log, Module};
use crate::orders::{Order, Orders};

/// Events taken from the operating system at once.
const EVENTS: usize = 256;

/// The token of the waker; clients have numbers from 0 on.
pub(super) const WAKER: Token = Token(usize::MAX);

/// Answers of the control thread that are kept: one for each scope that is asked for.
const ANSWERS: usize = 4;

/// What the thread is made of.
pub(super) struct ServerParts {
    pub(super) poll: Poll,
    pub(super) intake: Arc<Intake>,
    pub(super) orders: Arc<Orders>,
    pub(super) clock: Clock,
    pub(super) log: Log,
}

/// The thread's own.
pub(super) struct Server {
    parts: ServerParts,
    clients: BTreeMap<usize, Client>,
    next: usize,
    lingering: Lingering,
    /// What the control thread has said, and when.
    answers: Vec<(Time, Facts)>,
    /// What it has been asked, and when.
    asked: Vec<(Time, Scope)>,
    own: Own,
    is_over: bool,
}

impl Server {
    pub(super) fn new(parts: ServerParts) -> Self {
        Self {
            parts,
            clients: BTreeMap::new(),
            next: 0,
            lingering: Lingering::default(),
            answers: Vec::new(),
            asked: Vec::new(),
            own: Own::default(),
            is_over: false,
        }
    }

    /// Runs until it is told that the router has ended. Without it the router goes on.
    pub(super) fn run(mut self) {
        if let Err(error) = self.rounds() {
            let words = format!("HTTP ends: {error}");
            self.parts.log.line(Module::Http, Level::Critical, words);
        }
    }

    fn rounds(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut scratch = vec![0; 4096];
        while !self.is_over {
            let sleep = self.sleep();
            match self.parts.poll.poll(&mut events, sleep) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            let now = self.parts.clock.now();
            for event in &events {
                if event.token() == WAKER || self.lingering.note_ready(event, &mut scratch) {
                    continue;
                }
                if let Some(client) = self.clients.get_mut(&event.token().0) {
                    client.note_ready(event);
                }
            }
            self.take_intake(now);
            let numbers: Vec<_> = self.clients.keys().copied().collect();
            for number in numbers {
                self.turn(number, &mut scratch, now);
            }
            self.answer_late(now);
            self.lingering.expire(now);
        }
        Ok(())
    }

    fn sleep(&self) -> Option<Duration> {
        if self.clients.values().any(Client::is_runnable) {
            return Some(Duration::ZERO);
        }
        let deadlines = self.clients.values().map(Client::deadline);
        let earliest = deadlines.chain(self.lingering.next_deadline()).min()?;
        Some(earliest.saturating_sub(self.parts.clock.now()))
    }

    fn take_intake(&mut self, now: Time) {
        while let Some(incoming) = self.parts.intake.take() {
            match incoming {
                Incoming::Client(arrived) => self.adopt(arrived, now),
                Incoming::Facts(facts) => {
                    self.asked.retain(|(_, scope)| *scope != facts.scope);
                    self.answers.retain(|(_, old)| old.scope != facts.scope);
                    self.answers.truncate(ANSWERS - 1);
                    self.answers.push((now, *facts));
                    self.answer_all(now);
                }
                Incoming::Stop => self.is_over = true,
            }
        }
    }

    /// Takes a new client; for one too many, one that only keeps its place has to go.
    fn adopt(&mut self, arrived: Arrived, now: Time) {
        if self.clients.len() >= CLIENTS {
            self.own.refused += 1;
            let idle = self.clients.iter().filter(|(_, client)| client.is_idle());
            let longest = idle.min_by_key(|(_, client)| client.deadline());
            let Some(number) = longest.map(|(number, _)| *number) else {
                return;
            };
            self.clients.remove(&number);
        }
        let number = self.next;
        self.next += 1;
        let registry = self.parts.poll.registry();
        match Client::new(arrived, registry, Token(number), now) {
            Ok(client) => {
                self.clients.insert(number, client);
            }
            Err(error) => {
                let words = format!("cannot take a connection: {error}");
                self.parts.log.line(Module::Http, Level::Error, words);
            }
        }
    }

    /// A client's turn. A defect in what it leads to ends that client alone.
    fn turn(&mut self, number: usize, scratch: &mut [u8], now: Time) {
        let Some(client) = self.clients.get_mut(&number) else {
            return;
        };
        if client.deadline() <= now && client.waits_for().is_none() && !client.expire(now) {
            self.clients.remove(&number);
            return;
        }
        let Some(client) = self.clients.get_mut(&number) else {
            return;
        };
        let turn = catch_unwind(AssertUnwindSafe(|| client.turn(now)));
        self.note_told(number);
        match turn.unwrap_or_else(|_| Turn::Gone(Some("a defect of this router, fenced".into()))) {
            Turn::Stays => {}
            Turn::Answers => self.answer(number, now),
            Turn::Asks(scope) => match known(&self.answers, scope, now) {
                Some(_) => self.answer(number, now),
                None => self.ask(scope, now),
            },
            Turn::Gone(text) => self.dismiss(number, text, scratch, now),
            Turn::Upgrades(handshake) => {
                let Some(client) = self.clients.remove(&number) else {
                    return;
                };
                let registry = self.parts.poll.registry();
                if let Ok(upgraded) = client.leave(*handshake, registry) {
                    *self.own.answers.entry(101).or_default() += 1;
                    let order = Order::WebSocket(Box::new(upgraded));
                    self.parts.orders.push(order);
                }
            }
        }
    }

    /// Ends a client: its socket is closed when it has heard all.
    fn dismiss(&mut self, number: usize, text: Option<String>, scratch: &mut [u8], now: Time) {
        let Some(mut client) = self.clients.remove(&number) else {
            return;
        };
        if let Some(text) = text {
            let words = format!("Error on HTTP connection from {}: {text}", client.peer);
            self.parts.log.line(Module::Server, Level::Info, words);
            // There may be a last word.
            drop(catch_unwind(AssertUnwindSafe(|| client.turn(now))));
        }
        let registry = self.parts.poll.registry();
        self.lingering
            .take(client.into_socket(), registry, scratch, now);
    }

    /// Asks the control thread, unless that is done.
    fn ask(&mut self, scope: Scope, now: Time) {
        let is_asked = |(at, asked): &(Time, Scope)| {
            asked.covers(scope) && now.saturating_sub(*at) < FACTS_TIME
        };
        if !self.asked.iter().any(is_asked) {
            self.asked.retain(|(_, asked)| *asked != scope);
            self.asked.push((now, scope));
            self.parts.orders.push(Order::Facts(scope));
        }
    }

    /// Answers all for whom enough is known.
    fn answer_all(&mut self, now: Time) {
        let waiting = self.clients.iter().filter_map(|(number, client)| {
            let scope = client.waits_for()?;
            known(&self.answers, scope, now).map(|_| *number)
        });
        for number in waiting.collect::<Vec<_>>() {
            self.answer(number, now);
        }
    }

    /// Answers those who have waited for long that nobody says anything.
    fn answer_late(&mut self, now: Time) {
        let late = self.clients.iter();
        let late = late.filter(|(_, client)| client.waits_for().is_some());
        let late = late.filter(|(_, client)| client.deadline() <= now);
        for number in late.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.answer(number, now);
        }
    }

    fn answer(&mut self, number: usize, now: Time) {
        self.own.clients = self.clients.len();
        let Self {
            clients,
            answers,
            own,
            ..
        } = self;
        let Some(client) = clients.get_mut(&number) else {
            return;
        };
        let scope = client.waits_for();
        let facts = scope.and_then(|scope| known(answers, scope, now));
        client.answer(
            |wanted, request, site| wanted.answer(request, site, (facts, own)),
            now,
        );
        self.note_told(number);
    }

    /// Counts how requests were answered, and tells the log.
    fn note_told(&mut self, number: usize) {
        let Some(client) = self.clients.get_mut(&number) else {
            return;
        };
        for Told { status, path } in client.take_told() {
            *self.own.answers.entry(status.code()).or_default() += 1;
            let path = path
                .as_deref()
                .map_or_else(|| "no request".to_owned(), web::shown);
            let words = format!("{}: {path}: {}", client.peer, status.code());
            self.parts.log.line(Module::Http, Level::Debug, words);
        }
    }
}

/// What was said lately.
fn known(answers: &[(Time, Facts)], scope: Scope, now: Time) -> Option<&Facts> {
    let is_good = |(at, facts): &&(Time, Facts)| {
        facts.scope.covers(scope) && now.saturating_sub(*at) < FACTS_AGE
    };
    answers.iter().find(is_good).map(|(_, facts)| facts)
}
