//! An exchange that somebody else decides: frames are passed on to an authentication service and
//! back, and at the end it says in its Open who the peer is.
//!
//! Owns an exchange, on a thread of its own for as long as it lasts; never sees a password in any
//! other form than it passes. Decision: whatever goes wrong is a refusal: a service that is silent,
//! gone, cannot be trusted, or asks for what this router does not do lets nobody in.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use amqp_codec::{Encoded, Map, Open, SaslCode, Str, Symbol, Value};
use amqp_proto::{Config, Event, Sasl, SaslReply, SaslStep, Transform};
use bytes::Bytes;
use router_core::ids::{ConnectionId, ShardId};
use router_core::settings::AuthService;

use super::answer::{FAILURE_DELAY, failure, post};
use super::wire::{Trouble, Wire};
use crate::clock::Clock;
use crate::log::{Level, Log, Module};
use crate::orders::Orders;
use crate::post::Offices;

/// How long the client may take for each of its own.
const CLIENT_PATIENCE: Duration = Duration::from_secs(60);

/// The largest frame that the service may send.
const FRAME_MAX: u32 = 16 * 1024;

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
    pub(super) orders: Arc<Orders>,
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

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused => Self::Refused,
            Trouble::Broken(why) => Self::Broken(why),
        }
    }
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
                        wire.set_config(self.config(&self.service.host));
                        SaslReply::Accept(Str::default())
                    }
                    _ => return Err(End::Broken("it does not act as a server".to_owned())),
                },
                Event::Opened(open) => {
                    let user = identity(&open)?;
                    wire.close();
                    return Ok((user, last));
                }
                _ => continue,
            };
            wire.reply(reply)?;
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
        let AuthService { host, port, .. } = &*self.service;
        let transform = self.transform().map_err(End::Broken)?;
        let realm = self.service.realm.as_deref().unwrap_or_default();
        let config = self.config(realm);
        Ok(Wire::connect(host, port, transform, config, self.clock)?)
    }

    /// What stands between socket and engine: TLS, if the service has a profile.
    fn transform(&self) -> Result<Box<dyn Transform>, String> {
        let Some(tls) = &self.service.tls else {
            return Ok(tls::plain());
        };
        let profile = self.orders.profile(&tls.profile)?;
        profile.connect(&self.service.host, tls.checks_host)
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
