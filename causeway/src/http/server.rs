//! The HTTP thread: it gives each client its turn, asks the control thread what is to be known of
//! the router, and hands on what has become a WebSocket.
//!
//! Decision: one answer of the control thread is for all who ask at that time, and good for half a
//! second, or some seconds where the workers have to go through all their links for it. So however
//! often somebody asks, the workers have little of it.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::Time;
use mio::{Events, Poll, Token};
use router_core::settings::ConnectionSettings;
use web::Status;
use web::limits::CLIENTS;

use super::client::{Client, Told, Turn, WebSocketHandshake};
use super::crowd::{Place, origin, who_goes};
use super::intake::{Arrived, Incoming, Intake};
use super::seldom::Seldom;
use super::series::Own;
use super::site::Answer;
use super::slots::Slots;
use crate::clock::Clock;
use crate::linger::Lingering;
use crate::log::{Level, Log, Module};
use crate::orders::{Order, Orders};

/// Events taken from the operating system at once.
const EVENTS: usize = 256;

/// The token of the waker; clients have numbers from 0 on.
pub(super) const WAKER: Token = Token(usize::MAX);

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
    /// What the control thread has been asked, and has said.
    slots: Slots,
    /// Listeners as they are now; `None`: that has not been said.
    listeners: Option<Vec<Arc<ConnectionSettings>>>,
    own: Own,
    /// Clients that were one too many.
    crowd: Seldom,
    is_over: bool,
}

impl Server {
    pub(super) fn new(parts: ServerParts) -> Self {
        Self {
            parts,
            clients: BTreeMap::new(),
            next: 0,
            lingering: Lingering::default(),
            slots: Slots::default(),
            listeners: None,
            own: Own::default(),
            crowd: Seldom::default(),
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
            self.slots.expire(now);
            self.lingering.expire(now);
        }
        Ok(())
    }

    fn sleep(&self) -> Option<Duration> {
        if self.clients.values().any(Client::is_runnable) {
            return Some(Duration::ZERO);
        }
        let deadlines = self.clients.values().map(Client::deadline);
        let others = [self.lingering.next_deadline(), self.slots.next_deadline()];
        let earliest = deadlines.chain(others.into_iter().flatten()).min()?;
        Some(earliest.saturating_sub(self.parts.clock.now()))
    }

    fn take_intake(&mut self, now: Time) {
        while let Some(incoming) = self.parts.intake.take() {
            match incoming {
                Incoming::Client(arrived) => self.adopt(arrived, now),
                Incoming::Facts(facts) => {
                    self.slots.take(*facts, now);
                    self.answer_all(now);
                }
                Incoming::Upgraded => *self.own.answers.entry(101).or_default() += 1,
                Incoming::Listeners(listeners) => {
                    self.listeners = Some(listeners);
                    self.end_outdated();
                }
                Incoming::Stop => self.is_over = true,
            }
        }
    }

    /// Clients of listeners that are gone, or have other settings now, get no further answer.
    fn end_outdated(&mut self) {
        let Some(listeners) = &self.listeners else {
            return;
        };
        self.clients.retain(|_, client| {
            let mut now = listeners.iter();
            if now.any(|settings| Arc::ptr_eq(settings, &client.settings)) {
                return true;
            }
            client.note_last();
            !client.is_idle()
        });
    }

    /// Makes place for one more, if there is none; false if nobody has to go for it.
    fn make_place(&mut self, peer: &str, now: Time) -> bool {
        if self.clients.len() < CLIENTS {
            return true;
        }
        self.own.refused += 1;
        let place = |(number, client): (&usize, &Client)| Place {
            number: *number,
            from: client.from,
            idle: client.is_idle().then(|| client.deadline()),
            is_listening: client.is_listening(),
        };
        let places: Vec<_> = self.clients.iter().map(place).collect();
        let goes = who_goes(&places, origin(peer));
        if let Some(count) = self.crowd.note(now) {
            let words = format!(
                "More than {CLIENTS} HTTP connections: {count} closed or not taken, the last for \
                 {peer}"
            );
            self.parts.log.line(Module::Http, Level::Warning, words);
        }
        goes.and_then(|number| self.clients.remove(&number))
            .is_some()
    }

    /// Takes a new client.
    fn adopt(&mut self, arrived: Arrived, now: Time) {
        if !self.make_place(&arrived.peer, now) {
            return;
        }
        let number = self.next;
        self.next += 1;
        let registry = self.parts.poll.registry();
        match Client::new(arrived, registry, Token(number), now) {
            Ok(mut client) => {
                let mut known = self.listeners.iter().flatten();
                let is_known = known.any(|settings| Arc::ptr_eq(settings, &client.settings));
                if self.listeners.is_some() && !is_known {
                    client.note_last();
                }
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
            Turn::Asks(scope) if self.slots.known(scope, now).is_some() => self.answer(number, now),
            Turn::Asks(scope) => {
                if self.slots.ask(scope, now) {
                    self.parts.orders.push(Order::Facts(scope));
                }
            }
            Turn::Gone(text) => self.dismiss(number, text, scratch, now),
            Turn::Upgrades(handshake) => self.upgrade(number, *handshake, now),
        }
    }

    /// Hands on what goes on as a WebSocket, unless nobody new is let in.
    fn upgrade(&mut self, number: usize, handshake: WebSocketHandshake, now: Time) {
        let Some(client) = self.clients.get_mut(&number) else {
            return;
        };
        if client.is_last() || self.parts.intake.is_ending() {
            client.refuse(Status::Unavailable, now);
            self.note_told(number);
            return;
        }
        let Some(client) = self.clients.remove(&number) else {
            return;
        };
        let registry = self.parts.poll.registry();
        if let Ok(upgraded) = client.leave(handshake, registry) {
            // It is answered, and counted, if there is a place for it.
            let order = Order::WebSocket(Box::new(upgraded));
            self.parts.orders.push(order);
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

    /// Answers all for whom enough is known.
    fn answer_all(&mut self, now: Time) {
        let waiting = self.clients.iter().filter_map(|(number, client)| {
            let scope = client.waits_for()?;
            self.slots.known(scope, now).map(|_| *number)
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

    /// Answers a client. A defect in what makes the answer is an answer, too.
    fn answer(&mut self, number: usize, now: Time) {
        self.own.clients = self.clients.len();
        let Self {
            clients,
            slots,
            own,
            ..
        } = self;
        let Some(client) = clients.get_mut(&number) else {
            return;
        };
        client.answer(
            |wanted, request, site| fenced(|| wanted.answer(request, site, (slots, own, now))),
            now,
        );
        let has_metrics = client.reads().is_some();
        self.note_told(number);
        if has_metrics {
            self.end_slow(now);
        }
    }

    /// Ends those who still read metrics since which much has been made.
    fn end_slow(&mut self, now: Time) {
        let slow = self.clients.iter().filter(|(_, client)| {
            let made = client.reads();
            made.is_some_and(|made| self.slots.is_outdated(made))
        });
        let text = "metrics were read too slowly: there are others by now";
        for number in slow.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.dismiss(number, Some(text.to_owned()), &mut [0; 64], now);
        }
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

/// What is made, or that it could not be.
fn fenced(make: impl FnOnce() -> Answer) -> Answer {
    let made = catch_unwind(AssertUnwindSafe(make));
    made.unwrap_or_else(|_| Answer::plain(Status::InternalError))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_in_an_answer_is_an_answer() {
        let answer = fenced(|| panic!("a defect"));
        assert_eq!(answer.status, Status::InternalError);
    }
}
