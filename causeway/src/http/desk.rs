//! The control thread's side: it starts the HTTP thread, hands it what was accepted, and ends it.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use amqp_proto::Transform;
use management::counted;
use mio::{Poll, Waker};
use router_core::control::ControlPlane;
use router_core::settings::ConnectionSettings;
use web::limits::CLIENTS;

use super::clerk::{Around, Clerk};
use super::intake::{Arrived, Incoming, Intake};
use super::seldom::Seldom;
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
    /// Sockets for which the HTTP thread has no time.
    crowd: Seldom,
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
            crowd: Seldom::default(),
        }
    }

    /// Starts the thread, if it does not run: a listener needs it.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn open(&mut self) -> Result<(), String> {
        if let Some((_, thread)) = &self.running {
            if !thread.is_finished() {
                return Ok(());
            }
            let words = "The HTTP thread has ended by a defect of this router: another begins";
            self.log.line(Module::Http, Level::Critical, words);
            self.running = None;
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
            Ok(_) if intake.waiting() >= CLIENTS => {
                if let Some(count) = self.crowd.note(self.clock.now()) {
                    let count = counted(count, "connection");
                    let words = format!(
                        "The HTTP thread is behind: {count} not taken, the last from \
                         {peer}"
                    );
                    self.log.line(Module::Http, Level::Warning, words);
                }
            }
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
        if around.is_ending {
            intake.end();
        }
        for facts in self.clerk.answers() {
            intake.push(Incoming::Facts(Box::new(facts)));
        }
    }
}

impl Desk {
    /// Says that what was handed on as a WebSocket has got a place.
    pub(crate) fn upgraded(&self) {
        if let Some((intake, _)) = &self.running {
            intake.push(Incoming::Upgraded);
        }
    }

    /// Says which listeners there are, after they have changed: who has come by another is answered
    /// once more at most.
    pub(crate) fn listeners_changed(&self, listeners: Vec<Arc<ConnectionSettings>>) {
        if let Some((intake, _)) = &self.running {
            intake.push(Incoming::Listeners(listeners));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::LogSettings;
    use mio::Token;

    #[test]
    fn a_thread_that_has_ended_is_followed_by_another() {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let log = Log::start(&LogSettings::default()).unwrap();
        let mut desk = Desk::new(Arc::new(Orders::new(waker)), Clock::start(), log);
        desk.open().unwrap();
        let is_finished = |desk: &Desk| desk.running.as_ref().unwrap().1.is_finished();
        desk.running.as_ref().unwrap().0.push(Incoming::Stop);
        while !is_finished(&desk) {
            thread::yield_now();
        }
        desk.open().unwrap();
        assert!(!is_finished(&desk));
    }
}
