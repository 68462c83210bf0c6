//! The control thread's side: it starts the HTTP thread, hands it what was accepted, and ends it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use amqp_proto::Transform;
use mio::{Poll, Waker};
use router_core::control::ControlPlane;
use web::limits::CLIENTS;

use super::clerk::{Around, Clerk};
use super::intake::{Arrived, Incoming, Intake};
use super::server::{Server, ServerParts, WAKER};
use crate::clock::Clock;
use crate::listen::Arrival;
use crate::log::{Level, Log, Module};
use crate::orders::Orders;
use crate::socket::error_text;

/// What the control thread has of the HTTP thread.
pub(crate) struct Desk {
    /// Questions of the HTTP thread.
    pub(crate) clerk: Clerk,
    orders: Arc<Orders>,
    clock: Clock,
    log: Log,
    running: Option<(Arc<Intake>, JoinHandle<()>)>,
}

impl Desk {
    /// No thread yet.
    pub(crate) fn new(orders: Arc<Orders>, clock: Clock, log: Log) -> Self {
        Self {
            clerk: Clerk::default(),
            orders,
            clock,
            log,
            running: None,
        }
    }

    /// Starts the thread, if it does not run: a listener needs it.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn open(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        let text = |error: std::io::Error| error_text(&error);
        let poll = Poll::new().map_err(text)?;
        let waker = Waker::new(poll.registry(), WAKER).map_err(text)?;
        let intake = Arc::new(Intake::new(waker));
        let server = Server::new(ServerParts {
            poll,
            intake: Arc::clone(&intake),
            orders: Arc::clone(&self.orders),
            clock: self.clock,
            log: self.log.clone(),
        });
        let thread = thread::Builder::new().name("http".to_owned());
        let thread = thread.spawn(move || server.run()).map_err(text)?;
        self.running = Some((intake, thread));
        Ok(())
    }

    /// Hands over a socket that was accepted; one too many is dropped.
    pub(crate) fn greet(
        &mut self,
        arrival: Arrival,
        transform: Result<Box<dyn Transform>, String>,
    ) {
        let Arrival {
            stream,
            peer,
            settings,
        } = arrival;
        // A listener may have begun to speak HTTP while it was open.
        let begun = self.open();
        let Some((intake, _)) = &self.running else {
            let text = begun.err().unwrap_or_default();
            let words = format!("Error on HTTP connection from {peer}: {text}");
            self.log.line(Module::Server, Level::Error, words);
            return;
        };
        match transform {
            Ok(_) if intake.waiting() >= CLIENTS => {}
            Ok(transform) => intake.push(Incoming::Client(Arrived {
                stream,
                peer,
                settings,
                transform,
            })),
            Err(text) => {
                let words = format!("Error on HTTP connection from {peer}: {text}");
                self.log.line(Module::Server, Level::Info, words);
            }
        }
    }

    /// Gives the HTTP thread the answers that are there; to be called before others look for what
    /// the shards have answered.
    pub(crate) fn turn(&mut self, plane: &mut ControlPlane, around: &Around<'_>) {
        self.clerk.turn(plane, around);
        let Some((intake, _)) = &self.running else {
            return;
        };
        for facts in self.clerk.answers() {
            intake.push(Incoming::Facts(Box::new(facts)));
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some((intake, thread)) = self.running.take() {
            intake.push(Incoming::Stop);
            drop(thread.join());
        }
    }
}
