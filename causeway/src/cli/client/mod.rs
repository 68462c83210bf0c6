//! A small blocking AMQP client for the verbs of the command line: one connection, one session.
//!
//! Owns connecting, attaching and sending with the errors a person can act on; it decides nothing
//! about messages. It waits for one thing at a time and keeps what comes meanwhile for the caller,
//! which is all a command line tool needs; programs that need more use an AMQP library.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{
    AmqpError, Attach, ReceiverSettleMode, Role, SenderSettleMode, Source, Str, Symbol, Target,
};
use amqp_proto::{Config, Event, LinkKey, OutTransfer, Payload, Sasl, Sent, SessionKey, Time};
use clap::Args;

use crate::cli::client::endpoint::Endpoint;
use crate::cli::client::fault::said;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::secure::TlsOptions;
use crate::cli::client::wire::{Wire, WireParts};
use crate::cli::failure::Failure;
use crate::cli::secret;
use crate::clock::Clock;

pub mod endpoint;
pub mod fault;
pub mod interrupt;
pub mod secure;
mod trace;
pub mod wire;

/// How long a peer may take to answer open, begin, attach or detach.
const ANSWER_TIME_OUT: Duration = Duration::from_secs(10);
/// Silence after which the connection is given up.
const IDLE_TIME_OUT: Duration = Duration::from_secs(60);
/// The largest frame a client takes, in bytes.
pub const FRAME_SIZE_DEFAULT: u32 = 64 * 1024;
/// Frames a peer may send ahead.
const SESSION_WINDOW: u32 = 2048;

/// How to reach the router: the options that all client verbs have.
#[derive(Clone, Debug, Args)]
pub struct ConnectOptions {
    /// Where the router listens: amqp://HOST:PORT, or any part of it; amqps:// inside TLS.
    #[arg(
        long,
        value_name = "URL",
        default_value = "amqp://127.0.0.1:5672",
        global = false
    )]
    pub url: Endpoint,
    /// Authenticate as this user.
    #[arg(long, visible_alias = "user", value_name = "USER")]
    pub sasl_username: Option<String>,
    /// Authenticate with this password; other programs of this machine can see it.
    #[arg(long, value_name = "PASSWORD")]
    pub sasl_password: Option<String>,
    /// Take the password from the first line of a file.
    #[arg(
        long,
        visible_alias = "password-file",
        value_name = "FILE",
        conflicts_with = "sasl_password"
    )]
    pub sasl_password_file: Option<PathBuf>,
    /// Authenticate by one of these mechanisms, separated by blanks; PLAIN must be named to be used
    /// without TLS.
    #[arg(long, value_name = "MECHANISMS")]
    pub sasl_mechanisms: Option<String>,
    /// Open the connection without a SASL layer.
    #[arg(long)]
    pub no_sasl: bool,
    /// TLS.
    #[command(flatten)]
    pub tls: TlsOptions,
    /// Print each AMQP frame on standard error.
    #[arg(long)]
    pub trace: bool,
    /// A password that is nowhere is not asked for: it is empty.
    #[arg(skip)]
    pub asks_nobody: bool,
    /// How long the peer may take to answer; none: ten seconds.
    #[arg(skip)]
    pub time_out: Option<Duration>,
}

impl ConnectOptions {
    /// Options that say where to connect to, and nothing else.
    #[must_use]
    pub fn to(url: Endpoint) -> Self {
        Self {
            url,
            sasl_username: None,
            sasl_password: None,
            sasl_password_file: None,
            sasl_mechanisms: None,
            no_sasl: false,
            tls: TlsOptions::default(),
            trace: false,
            asks_nobody: false,
            time_out: None,
        }
    }

    /// Where to connect to, and as whom: options win over what stands in the URL. A password that
    /// is nowhere is asked for.
    ///
    /// # Errors
    /// If the password, or a file for TLS, cannot be read.
    pub fn endpoint(&self) -> Result<Endpoint, Failure> {
        let mut endpoint = self.url.clone();
        let credentials = &mut endpoint.login.credentials;
        if let Some(user) = &self.sasl_username {
            credentials.get_or_insert_default().user.clone_from(user);
        }
        if let Some(credentials) = credentials {
            if let Some(password) = &self.sasl_password {
                credentials.password.clone_from(password);
            } else if let Some(path) = &self.sasl_password_file {
                credentials.password = secret::from_file(path)?;
            } else if credentials.password.is_empty() && !self.asks_nobody {
                let question = format!("Password of {}: ", credentials.user);
                credentials.password = secret::from_person(&question, false)?;
            }
        }
        let names = self.sasl_mechanisms.as_deref().map(str::split_whitespace);
        endpoint.login.mechanisms = names.map(|names| names.map(str::to_owned).collect());
        endpoint.prepare(&self.tls)?;
        Ok(endpoint)
    }

    /// The options and the address of a verb that takes a whole URL for an address: what stands in
    /// the address wins over `--url`.
    ///
    /// # Errors
    /// If the address is a URL that cannot be read, or has no address in it.
    pub fn with_address(&self, address: &str) -> Result<(Self, String), Failure> {
        if !address.starts_with("amqp://") && !address.starts_with("amqps://") {
            return Ok((self.clone(), address.to_owned()));
        }
        let url: Endpoint = address
            .parse()
            .map_err(|error| Failure::new(format!("`{address}` cannot be used: {error}")))?;
        match url.address.clone() {
            Some(inner) => Ok((
                Self {
                    url,
                    ..self.clone()
                },
                inner,
            )),
            None => Err(
                Failure::new(format!("`{address}` names a router and no address"))
                    .hint("write amqp://HOST:PORT/ADDRESS, or --url amqp://HOST:PORT ADDRESS"),
            ),
        }
    }
}

/// A connection with one session.
pub struct Client {
    wire: Wire,
    session: SessionKey,
    waiting: VecDeque<Event>,
    links: u32,
    name: String,
    time_out: Duration,
}

/// A link the peer has agreed to.
#[derive(Debug)]
pub struct Link {
    /// The engine's name for it.
    pub key: LinkKey,
    /// What the peer answered.
    pub attach: Box<Attach>,
}

impl Client {
    /// Connects to `options.url` as `name` and begins a session.
    ///
    /// # Errors
    /// If the peer cannot be reached, refuses or does not answer in time.
    pub fn connect(
        options: &ConnectOptions,
        name: &str,
        interrupt: Interrupt,
    ) -> Result<Self, Failure> {
        let endpoint = options.endpoint()?;
        let sasl = match options.no_sasl {
            true => Sasl::ClientNone,
            false => endpoint.sasl(),
        };
        let time_out = options.time_out.unwrap_or(ANSWER_TIME_OUT);
        let mut config = config(name, &endpoint.host, sasl, FRAME_SIZE_DEFAULT);
        // Who waits gives up first, and says for what.
        config.handshake_time_out = Some(time_out + ANSWER_TIME_OUT);
        let clock = Clock::start();
        let config = Arc::new(config);
        let wire =
            Wire::connect_within(time_out, &endpoint, config, clock, interrupt, options.trace)?;
        Self::begin(wire, name, time_out)
    }

    /// Connects with settings of one's own.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_with(
        peer: &Endpoint,
        config: Arc<Config>,
        name: &str,
        clock: Clock,
        interrupt: Interrupt,
        trace: bool,
    ) -> Result<Self, Failure> {
        let wire = Wire::connect(peer, config, clock, interrupt, trace)?;
        Self::begin(wire, name, ANSWER_TIME_OUT)
    }

    fn begin(mut wire: Wire, name: &str, time_out: Duration) -> Result<Self, Failure> {
        await_opened(&mut wire, time_out)?;
        let session = wire
            .connection
            .begin(&mut wire.output)
            .map_err(|error| Failure::new(format!("cannot begin a session: {error}")))?;
        await_event(
            &mut wire,
            "begin a session",
            time_out,
            |event| matches!(event, Event::Begun { session: begun, .. } if *begun == session),
        )?;
        let waiting = VecDeque::new();
        Ok(Self {
            wire,
            session,
            waiting,
            links: 0,
            name: name.to_owned(),
            time_out,
        })
    }

    /// The session all links are in.
    #[must_use]
    pub fn session(&self) -> SessionKey {
        self.session
    }

    /// The connection below.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Whether the person wants to stop.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.wire.interrupted()
    }

    /// The time this far ahead.
    #[must_use]
    pub fn deadline(&self, ahead: Duration) -> Time {
        self.wire.now() + ahead
    }

    /// Attaches a sender to `address` (`None`: the anonymous terminus, each message says where to).
    ///
    /// # Errors
    /// If the peer refuses or does not answer.
    pub fn attach_sender(&mut self, address: Option<&str>, settled: bool) -> Result<Link, Failure> {
        let mode = if settled {
            SenderSettleMode::Settled
        } else {
            SenderSettleMode::Unsettled
        };
        let target = Target {
            address: address.map(Str::copy),
            ..Target::default()
        };
        let attach = Attach {
            name: self.link_name(),
            role: Role::Sender,
            snd_settle_mode: mode,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(Source::default()),
            target: Some(target.into()),
            initial_delivery_count: Some(0),
            ..Attach::default()
        };
        let where_to = address.map_or("any address".into(), |address| format!("`{address}`"));
        self.attach(attach, &format!("send to {where_to}"))
    }

    /// Attaches a receiver from `source`.
    ///
    /// # Errors
    /// If the peer refuses or does not answer.
    pub fn attach_receiver(&mut self, source: Source, settled: bool) -> Result<Link, Failure> {
        let mode = if settled {
            SenderSettleMode::Settled
        } else {
            SenderSettleMode::Mixed
        };
        let purpose = match &source.address {
            Some(address) => format!("receive from `{address}`"),
            None => "receive from an address of its own".into(),
        };
        let attach = Attach {
            name: self.link_name(),
            role: Role::Receiver,
            snd_settle_mode: mode,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(source),
            target: Some(Target::default().into()),
            ..Attach::default()
        };
        self.attach(attach, &purpose)
    }

    /// The next event, waiting until `deadline`; `None` if none came, or the person wants to stop.
    ///
    /// # Errors
    /// If connection or session are lost.
    pub fn next_event(&mut self, deadline: Option<Time>) -> Result<Option<Event>, Failure> {
        if let Some(event) = self.waiting.pop_front() {
            return Ok(Some(event));
        }
        let Some(event) = self.wire.next_event(deadline)? else {
            return Ok(None);
        };
        session_lives(&event, &self.wire)?;
        Ok(Some(event))
    }

    /// Sends a whole message as soon as the windows allow. `false` if the link has no credit.
    ///
    /// # Errors
    /// If connection or session are lost, or the peer takes nothing for ten seconds.
    pub fn send(
        &mut self,
        link: LinkKey,
        transfer: &OutTransfer<'_>,
        mut message: Payload,
    ) -> Result<bool, Failure> {
        let deadline = self.deadline(ANSWER_TIME_OUT);
        let mut begun = false;
        loop {
            if !begun && self.wire.connection.credit(link) == 0 {
                return Ok(false);
            }
            let Wire {
                connection, output, ..
            } = &mut self.wire;
            match connection.send_transfer(link, transfer, &[], &message, output) {
                Sent::Whole => return Ok(true),
                Sent::Part(taken) => {
                    begun = true;
                    message.advance(taken);
                    self.wire.flush()?;
                }
                Sent::Blocked if self.wire.output.is_full() => self.wire.flush()?,
                Sent::Blocked => match self.wire.next_event(Some(deadline))? {
                    Some(event) => {
                        session_lives(&event, &self.wire)?;
                        self.waiting.push_back(event);
                    }
                    None => {
                        let peer = self.wire.peer();
                        let text = format!("{peer} takes no more frames (session window shut)");
                        return Err(Failure::new(text));
                    }
                },
            }
        }
    }

    /// Detaches a link for good and waits for the answer.
    ///
    /// # Errors
    /// If connection or session are lost, or the answer is an error.
    pub fn detach(&mut self, link: LinkKey) -> Result<(), Failure> {
        self.wire
            .connection
            .detach(link, true, None, &mut self.wire.output);
        let deadline = self.deadline(self.time_out);
        while let Some(event) = self.wire.next_event(Some(deadline))? {
            session_lives(&event, &self.wire)?;
            match event {
                Event::Detached {
                    link: gone, error, ..
                } if gone == link => {
                    self.forget(link);
                    let Some(error) = error else { return Ok(()) };
                    let peer = self.wire.peer().to_string();
                    return Err(fault::done(&peer, "detached the link", Some(&error)));
                }
                event => self.waiting.push_back(event),
            }
        }
        Ok(())
    }

    /// Frees what the engine keeps of a link that is gone.
    pub fn forget(&mut self, link: LinkKey) {
        self.wire
            .connection
            .forget_link(link, &mut Vec::new(), &mut Vec::new());
    }

    /// Closes the connection.
    pub fn close(self) {
        self.wire.close();
    }

    /// Takes the client apart, for an owner that waits in another way.
    #[must_use]
    pub fn into_parts(self) -> (WireParts, SessionKey) {
        (self.wire.into_parts(), self.session)
    }

    /// Attaches and waits for the answer. A peer refuses a link by an attach without terminus, soon
    /// followed by a detach that says why (amqp-1.0 §2.6.3).
    fn attach(&mut self, attach: Attach, purpose: &str) -> Result<Link, Failure> {
        let role = attach.role;
        let Wire {
            connection, output, ..
        } = &mut self.wire;
        let key = connection
            .attach(self.session, attach, output)
            .map_err(|error| Failure::new(format!("cannot attach to {purpose}: {error}")))?;
        let deadline = self.deadline(self.time_out);
        let mut refused = false;
        while let Some(event) = self.wire.next_event(Some(deadline))? {
            session_lives(&event, &self.wire)?;
            match event {
                Event::Attached { link, attach, .. } if link == key => {
                    refused = match role {
                        Role::Sender => attach.target.is_none(),
                        Role::Receiver => attach.source.is_none(),
                    };
                    if !refused {
                        return Ok(Link { key, attach });
                    }
                }
                Event::Detached { link, error, .. } if link == key => {
                    return Err(self.refused(key, purpose, error.as_deref()));
                }
                event => self.waiting.push_back(event),
            }
        }
        if refused {
            return Err(self.refused(key, purpose, None));
        }
        Err(unanswered(
            &self.wire,
            &format!("attach a link to {purpose}"),
            self.time_out,
        ))
    }

    /// The peer will not have the link.
    fn refused(&mut self, link: LinkKey, purpose: &str, error: Option<&AmqpError>) -> Failure {
        self.wire
            .connection
            .detach(link, true, None, &mut self.wire.output);
        self.forget(link);
        let peer = self.wire.peer();
        let Some(error) = error else {
            return Failure::new(format!("{peer} refuses to {purpose}"));
        };
        let failure = Failure::new(format!("{peer} refuses to {purpose}: {}", said(error)));
        match error.condition.as_str() {
            "amqp:unauthorized-access" => {
                failure.hint("the router's policy does not allow it to this client")
            }
            "amqp:not-found" => failure.hint("`causeway stat -a` lists the addresses there are"),
            _ => failure,
        }
    }

    fn link_name(&mut self) -> Str {
        self.links += 1;
        format!("{}-{}", self.name, self.links).into()
    }
}

/// A name for this process' container, from the verb it runs.
#[must_use]
pub fn container_name(verb: &str) -> String {
    format!("causeway-{verb}-{}", std::process::id())
}

/// Settings of a client's connection.
#[must_use]
pub fn config(name: &str, host: &str, sasl: Sasl, max_frame_size: u32) -> Config {
    Config {
        initiator: true,
        container_id: Str::copy(name),
        hostname: Some(Str::copy(host)),
        max_frame_size,
        idle_time_out: Some(IDLE_TIME_OUT),
        handshake_time_out: Some(ANSWER_TIME_OUT),
        session_window: SESSION_WINDOW,
        desired_capabilities: vec![Symbol::from_static("ANONYMOUS-RELAY")],
        sasl,
        ..Config::default()
    }
}

/// Waits until the peer has opened the connection.
///
/// # Errors
/// If it refuses or does not answer.
pub fn await_open(wire: &mut Wire) -> Result<(), Failure> {
    await_opened(wire, ANSWER_TIME_OUT)
}

fn await_opened(wire: &mut Wire, time_out: Duration) -> Result<(), Failure> {
    let is_open = |event: &Event| matches!(event, Event::Opened(_));
    await_event(wire, "open the connection", time_out, is_open).map(|_| ())
}

/// Waits for an event that `wanted` recognises; others are of no use before it.
fn await_event(
    wire: &mut Wire,
    purpose: &str,
    time_out: Duration,
    wanted: impl Fn(&Event) -> bool,
) -> Result<Event, Failure> {
    let deadline = wire.now() + time_out;
    while let Some(event) = wire.next_event(Some(deadline))? {
        session_lives(&event, wire)?;
        if wanted(&event) {
            return Ok(event);
        }
    }
    Err(unanswered(wire, purpose, time_out))
}

/// The peer does not answer, or the person does not want to wait.
fn unanswered(wire: &Wire, purpose: &str, time_out: Duration) -> Failure {
    if wire.interrupted() {
        return Failure::new("stopped");
    }
    let seconds = time_out.as_secs_f64();
    Failure::new(format!(
        "{} did not {purpose} within {seconds} s",
        wire.peer()
    ))
}

/// An error if `event` ends the session.
fn session_lives(event: &Event, wire: &Wire) -> Result<(), Failure> {
    match event {
        Event::Ended { .. } | Event::SessionFailed { .. } | Event::LinkFailed { .. } => {
            fault::of_event(&wire.peer().to_string(), event).map_or(Ok(()), Err)
        }
        _ => Ok(()),
    }
}
