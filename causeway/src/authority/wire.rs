//! A connection to an authentication service, in clear or by TLS, with a socket that blocks.
//!
//! Owns socket and engine; never decides anything. What it says of TLS that has failed
//! names what is wrong, and no text of the exchange.

use std::sync::Arc;
use std::time::Duration;

use amqp_proto::{Config, Connection, Event, RecvBuf, SaslReply, SendQueue, Time, Transform};

use crate::blocking::{Blocking, Loss};
use crate::clock::Clock;
use crate::resolve::addresses;

/// How long the service may take for each answer.
const SERVICE_PATIENCE: Duration = Duration::from_secs(10);

/// How long the router may wait for it in all.
const SERVICE_TIME_MAX: Duration = Duration::from_secs(30);

/// Why a connection is of no use any more.
pub(super) enum Trouble {
    /// The service refuses.
    Refused,
    /// The service does not do its part.
    Broken(String),
}

/// A connection.
pub(super) struct Wire {
    engine: Connection,
    input: RecvBuf,
    output: SendQueue,
    socket: Blocking,
    clock: Clock,
    /// How long was waited for the service.
    waited: Duration,
}

impl Wire {
    /// Connects; nothing is said yet.
    pub(super) fn connect(
        host: &str,
        port: &str,
        transform: Box<dyn Transform>,
        config: Arc<Config>,
        clock: Clock,
    ) -> Result<Self, Trouble> {
        let places = addresses(host, port).map_err(Trouble::Broken)?;
        let socket = Blocking::connect(&places, SERVICE_PATIENCE, transform);
        let socket = socket.map_err(|error| Trouble::Broken(error.to_string()))?;
        let mut engine = Connection::new(config, clock.now());
        let mut output = SendQueue::new();
        engine.start(&mut output);
        Ok(Self {
            engine,
            input: RecvBuf::new(),
            output,
            socket,
            clock,
            waited: Duration::ZERO,
        })
    }

    /// The settings with which the connection is opened after the exchange.
    pub(super) fn set_config(&mut self, config: Arc<Config>) {
        self.engine.set_config(config);
    }

    /// A step of the exchange.
    pub(super) fn reply(&mut self, reply: SaslReply) -> Result<(), Trouble> {
        let replied = self.engine.reply_sasl(reply, &mut self.output);
        replied.map_err(|error| Trouble::Broken(error.to_string()))
    }

    /// The next thing that the service does.
    pub(super) fn event(&mut self) -> Result<Event, Trouble> {
        let begun = self.clock.now();
        let left = SERVICE_TIME_MAX.saturating_sub(self.waited);
        let event = self.event_until(begun + SERVICE_PATIENCE.min(left));
        self.waited += self.clock.now().saturating_sub(begun);
        event
    }

    fn event_until(&mut self, deadline: Time) -> Result<Event, Trouble> {
        loop {
            let now = self.clock.now();
            let polled = self
                .engine
                .poll_event(&mut self.input, &mut self.output, now);
            match polled {
                Ok(Some(event @ Event::Closed { .. })) => {
                    let text = format!("it closes the connection: {event:?}");
                    return Err(Trouble::Broken(text));
                }
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                // Only an outcome is the peer's word before AMQP begins.
                Err(error) if error.violation().is_none() => return Err(Trouble::Refused),
                Err(error) => return Err(Trouble::Broken(error.to_string())),
            }
            self.flush()?;
            self.read(deadline, now)?;
        }
    }

    /// Closes the connection, whose peer has said what it had to say.
    pub(super) fn close(mut self) {
        self.engine.close(None, &mut self.output);
        self.socket.finish(&mut self.output);
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        let flushed = self.socket.flush(&mut self.output);
        flushed.map_err(|loss| self.broken(&loss))
    }

    fn read(&mut self, deadline: Time, now: Time) -> Result<(), Trouble> {
        let wait = deadline.saturating_sub(now);
        let heard = match wait.is_zero() {
            true => Ok(false),
            false => self
                .socket
                .read(wait, &mut self.input, &mut self.output)
                .map_err(|loss| self.broken(&loss)),
        };
        match heard? {
            true => Ok(()),
            false => Err(Trouble::Broken(
                match self.socket.stage.is_ready() {
                    true => "no answer",
                    false => "no answer by TLS: does it speak TLS on this port?",
                }
                .to_owned(),
            )),
        }
    }

    fn broken(&self, loss: &Loss) -> Trouble {
        Trouble::Broken(match loss {
            Loss::Socket(error) => error.to_string(),
            Loss::Stage(error) => error.to_string(),
            Loss::HungUp if self.socket.stage.is_ready() => "no details available".to_owned(),
            Loss::HungUp => {
                "it hung up before TLS was agreed: does it speak TLS on this port?".to_owned()
            }
        })
    }
}
