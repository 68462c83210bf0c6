//! An exchange that somebody else decides: frames are passed on to an authentication service and
//! back, and at the end it says in its Open who the peer is.
//!
//! Owns one connection to the service, on a thread of its own for as long as the exchange lasts;
//! never sees a password in any other form than it passes. Decision: whatever goes wrong is a
//! refusal: a service that is silent, gone, or asks for what this router does not do lets nobody
//! in.

use std::io::{ErrorKind, IoSlice, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use amqp_codec::{Encoded, Map, Open, SaslCode, Str, Symbol, Value};
use amqp_proto::{Config, Connection, Event, RecvBuf, Sasl, SaslReply, SaslStep, SendQueue, Time};
use bytes::Bytes;
use router_core::ids::{ConnectionId, ShardId};
use router_core::settings::AuthService;

use super::answer::{FAILURE_DELAY, failure, post};
use crate::clock::Clock;
use crate::log::{Level, Log, Module};
use crate::post::Offices;
use crate::resolve::addresses;

/// How long the service may take for each answer.
const SERVICE_PATIENCE: Duration = Duration::from_secs(10);

/// How long the client may take for each of its own.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);

/// The largest frame that the service may send.
const FRAME_MAX: u32 = 16 * 1024;

/// Bytes read at once.
const READ_LENGTH: usize = 4096;

/// Pieces of output written at once.
const SLICES: usize = 8;

/// What the router asks the service for.
const ADDRESS_AUTHZ: &str = "ADDRESS-AUTHZ";

/// The property of the service's Open that says who the peer is.
const IDENTITY: &str = "authenticated-identity";

/// The property of the service's Open that says what the peer may do.
const ADDRESSES: &str = "address-authz";

/// One exchange.
pub(super) struct Relay {
    pub(super) service: Arc<AuthService>,
    pub(super) connection: ConnectionId,
    pub(super) shard: ShardId,
    /// The client may show its password: nobody else can read it, or that was said not to matter.
    pub(super) may_show_password: bool,
    /// What the client does, after it has begun.
    pub(super) steps: Receiver<SaslStep>,
    pub(super) offices: Arc<Offices>,
    pub(super) clock: Clock,
    pub(super) log: Log,
}

/// Why an exchange ends without a user.
enum End {
    /// The service refuses.
    Refused,
    /// The client is gone, or says nothing more.
    Left,
    /// The service does not do its part.
    Broken(String),
}

/// The connection to the service.
struct Wire {
    engine: Connection,
    input: RecvBuf,
    output: SendQueue,
    stream: TcpStream,
    clock: Clock,
}

impl Relay {
    /// Passes an exchange on until it is decided.
    pub(super) fn run(self) {
        let reply = match self.exchange() {
            Ok((user, data)) => {
                let text = format!("authenticated as {user}");
                self.log.line(Module::AuthService, Level::Info, text);
                let user = Str::copy(&user);
                SaslReply::Success { user, data }
            }
            Err(End::Left) => return,
            Err(End::Refused) => failure(SaslCode::Auth, None),
            Err(End::Broken(why)) => {
                let name = &self.service.name;
                let text = format!("Downstream disconnected: {why} (SASL plugin {name})");
                self.log.line(Module::AuthService, Level::Warning, text);
                failure(SaslCode::Auth, None)
            }
        };
        if matches!(reply, SaslReply::Failure { .. }) {
            thread::sleep(FAILURE_DELAY);
        }
        post(&self.offices, self.shard, self.connection, reply);
    }

    /// The user, and the last bytes for the client.
    fn exchange(&self) -> Result<(String, Option<Bytes>), End> {
        let mut wire = self.connect()?;
        let mut last = None;
        loop {
            let reply = match wire.event()? {
                Event::Sasl(step) => match *step {
                    SaslStep::Offered(names) => self.choose(names)?,
                    SaslStep::Challenge(data) => match self.ask(SaslReply::Challenge(data))? {
                        SaslStep::Response(data) => SaslReply::Response(data),
                        _ => return Err(End::Left),
                    },
                    SaslStep::Succeeded(data) => {
                        last = data;
                        wire.engine.set_config(self.config(&self.service.host));
                        SaslReply::Accept(Str::default())
                    }
                    _ => return Err(End::Broken("it does not act as a server".to_owned())),
                },
                Event::Opened(open) => {
                    let user = identity(&open)?;
                    wire.engine.close(None, &mut wire.output);
                    // The service has said what it had to say.
                    drop(wire.flush());
                    return Ok((user, last));
                }
                _ => continue,
            };
            let replied = wire.engine.reply_sasl(reply, &mut wire.output);
            replied.map_err(|error| End::Broken(error.to_string()))?;
        }
    }

    /// Lets the client choose among what the service offers.
    fn choose(&self, mut names: Vec<Symbol>) -> Result<SaslReply, End> {
        // What a certificate says here, it says of the router.
        names.retain(|name| name.as_str() != "EXTERNAL");
        names.retain(|name| self.may_show_password || name.as_str() != "PLAIN");
        match self.ask(SaslReply::Offer(names.clone()))? {
            SaslStep::Init {
                mechanism,
                response,
                ..
            } if names.contains(&mechanism) => Ok(SaslReply::Choice {
                mechanism,
                response,
            }),
            _ => Err(End::Refused),
        }
    }

    /// Asks the client, and waits for what it does.
    fn ask(&self, question: SaslReply) -> Result<SaslStep, End> {
        post(&self.offices, self.shard, self.connection, question);
        let step = self.steps.recv_timeout(CLIENT_PATIENCE);
        step.map_err(|_| End::Left)
    }

    fn connect(&self) -> Result<Wire, End> {
        let broken = |error: std::io::Error| End::Broken(error.to_string());
        let AuthService { host, port, .. } = &*self.service;
        let places = addresses(host, port).map_err(End::Broken)?;
        let mut failed = End::Broken(format!("{host}:{port} has no address"));
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
            let realm = self.service.realm.as_deref().unwrap_or_default();
            let config = self.config(realm);
            let mut engine = Connection::new(config, self.clock.now());
            let mut output = SendQueue::new();
            engine.start(&mut output);
            return Ok(Wire {
                engine,
                input: RecvBuf::new(),
                output,
                stream,
                clock: self.clock,
            });
        }
        Err(failed)
    }

    /// The settings of the connection, with the host that is named: that which clients mean, then
    /// the service's own.
    fn config(&self, host: &str) -> Arc<Config> {
        let text = |text: &'static str| Value::String(Str::from_static(text));
        let mut properties = Map::new();
        properties.push(Value::symbol("product"), text("causeway"));
        let version = text(env!("CARGO_PKG_VERSION"));
        properties.push(Value::symbol("version"), version);
        Arc::new(Config {
            initiator: true,
            hostname: Some(host).filter(|host| !host.is_empty()).map(Str::copy),
            max_frame_size: FRAME_MAX,
            desired_capabilities: vec![Symbol::from_static(ADDRESS_AUTHZ)],
            properties: Some(Encoded::from_value(&Value::Map(properties))),
            sasl: Sasl::Asked,
            ..Config::default()
        })
    }
}

impl Wire {
    /// The next thing that the service does.
    fn event(&mut self) -> Result<Event, End> {
        let deadline = self.clock.now() + SERVICE_PATIENCE;
        loop {
            let now = self.clock.now();
            let polled = self
                .engine
                .poll_event(&mut self.input, &mut self.output, now);
            match polled {
                Ok(Some(event @ Event::Closed { .. })) => {
                    return Err(End::Broken(format!("it closes the connection: {event:?}")));
                }
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                // Only an outcome is the peer's word before AMQP begins.
                Err(error) if error.violation().is_none() => return Err(End::Refused),
                Err(error) => return Err(End::Broken(error.to_string())),
            }
            self.flush()?;
            self.read(deadline, now)?;
        }
    }

    fn read(&mut self, deadline: Time, now: Time) -> Result<(), End> {
        let silent = || End::Broken("no answer".to_owned());
        let wait = deadline.saturating_sub(now);
        if wait.is_zero() {
            return Err(silent());
        }
        let mut window = [0; READ_LENGTH];
        let read = self
            .stream
            .set_read_timeout(Some(wait))
            .and_then(|()| self.stream.read(&mut window));
        match read {
            Ok(0) => Err(End::Broken("no details available".to_owned())),
            Ok(length) => {
                self.input.push(Bytes::copy_from_slice(&window[..length]));
                Ok(())
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(()),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Err(silent()),
                _ => Err(End::Broken(error.to_string())),
            },
        }
    }

    fn flush(&mut self) -> Result<(), End> {
        while !self.output.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let used = self.output.io_slices(&mut slices);
            match self.stream.write_vectored(&slices[..used]) {
                Ok(written) if written > 0 => self.output.consume(written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(_) => return Err(End::Broken("nothing can be written".to_owned())),
                Err(error) => return Err(End::Broken(error.to_string())),
            }
        }
        Ok(())
    }
}

/// Who the peer is, as the service's Open has it; nobody in particular if it does not say.
fn identity(open: &Open) -> Result<String, End> {
    let properties = open.properties.as_ref();
    let properties = properties.and_then(|encoded| encoded.value().ok());
    let entries = properties.as_ref().and_then(Value::as_map);
    let find = |name: &str| {
        let mut entries = entries.into_iter().flatten();
        entries.find(|(key, _)| is_called(key, name))
    };
    if find(ADDRESSES).is_some() {
        let text = "it restricts addresses (address-authz), which this version does not do";
        return Err(End::Broken(text.to_owned()));
    }
    let identity = find(IDENTITY).and_then(|(_, value)| value.as_map());
    let mut parts = identity.into_iter().flatten();
    let user = parts.find(|(key, _)| is_called(key, "sub"));
    let user = user.and_then(|(_, user)| user.as_str());
    Ok(user.unwrap_or_default().to_owned())
}

fn is_called(key: &Value, name: &str) -> bool {
    match key {
        Value::Symbol(symbol) => symbol.as_str() == name,
        key => key.as_str() == Some(name),
    }
}
