//! A connection to an authentication service, in clear or by TLS, with a socket that blocks.
//!
//! Owns socket, transform and engine; never decides anything. What it says of TLS that has failed
//! names what is wrong, and no text of the exchange.

use std::io::{ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use amqp_proto::{Config, Connection, Event, RecvBuf, SaslReply, SendQueue, Time, Transform};
use bytes::BytesMut;

use crate::clock::Clock;
use crate::resolve::addresses;

/// How long the service may take for each answer.
const SERVICE_PATIENCE: Duration = Duration::from_secs(10);

/// How long the router may wait for it in all.
const SERVICE_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes read at once.
const READ_LENGTH: usize = 4096;

/// Pieces of output written at once.
const SLICES: usize = 8;

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
    /// Output that is ready for the socket.
    sealed: SendQueue,
    stream: TcpStream,
    transform: Box<dyn Transform>,
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
        let broken = |error: std::io::Error| Trouble::Broken(error.to_string());
        let places = addresses(host, port).map_err(Trouble::Broken)?;
        let mut failed = Trouble::Broken(format!("{host}:{port} has no address"));
        for place in places {
            let stream = match TcpStream::connect_timeout(&place, SERVICE_PATIENCE) {
                Ok(stream) => stream,
                Err(error) => {
                    failed = broken(error);
                    continue;
                }
            };
            stream.set_nodelay(true).map_err(broken)?;
            let patience = Some(SERVICE_PATIENCE);
            stream.set_write_timeout(patience).map_err(broken)?;
            let mut engine = Connection::new(config, clock.now());
            let mut output = SendQueue::new();
            engine.start(&mut output);
            return Ok(Self {
                engine,
                input: RecvBuf::new(),
                output,
                sealed: SendQueue::new(),
                stream,
                transform,
                clock,
                waited: Duration::ZERO,
            });
        }
        Err(failed)
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
        self.transform.finish();
        drop(self.flush());
    }

    fn read(&mut self, deadline: Time, now: Time) -> Result<(), Trouble> {
        let wait = deadline.saturating_sub(now);
        if wait.is_zero() {
            return Err(self.silent());
        }
        let mut window = [0; READ_LENGTH];
        let read = self
            .stream
            .set_read_timeout(Some(wait))
            .and_then(|()| self.stream.read(&mut window));
        match read {
            Ok(0) => Err(self.gone()),
            Ok(length) => {
                let bytes = BytesMut::from(&window[..length]);
                let opened = self.transform.open(bytes, &mut self.input);
                opened.map_err(|error| {
                    // The service may hear why; that it does not changes nothing.
                    drop(self.flush());
                    Trouble::Broken(error.to_string())
                })
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(()),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(self.silent()),
                _ => Err(Trouble::Broken(error.to_string())),
            },
        }
    }

    fn silent(&self) -> Trouble {
        let text = match self.transform.is_ready() {
            true => "no answer",
            false => "no answer by TLS: does it speak TLS on this port?",
        };
        Trouble::Broken(text.to_owned())
    }

    fn gone(&self) -> Trouble {
        let text = match self.transform.is_ready() {
            true => "no details available",
            false => "it hung up before TLS was agreed: does it speak TLS on this port?",
        };
        Trouble::Broken(text.to_owned())
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        loop {
            let waiting = self.output.len();
            let sealed = self.transform.seal(&mut self.output, &mut self.sealed);
            self.write()?;
            sealed.map_err(|error| Trouble::Broken(error.to_string()))?;
            // During a handshake it waits; what is large is sealed in rounds.
            if self.output.is_empty() || self.output.len() == waiting {
                return Ok(());
            }
        }
    }

    fn write(&mut self) -> Result<(), Trouble> {
        while !self.sealed.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let used = self.sealed.io_slices(&mut slices);
            match self.stream.write_vectored(&slices[..used]) {
                Ok(written) if written > 0 => self.sealed.consume(written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) => return Err(Trouble::Broken("nothing can be written".to_owned())),
                Err(error) => return Err(Trouble::Broken(error.to_string())),
            }
        }
        Ok(())
    }
}
