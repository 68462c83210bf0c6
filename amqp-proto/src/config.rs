//! What a connection is told before it starts.
//!
//! Owns [`Config`] and [`Limits`]; never changes after the connection was made, except as a whole
//! by [`Connection::set_config`](crate::Connection::set_config).
//!
//! Decision: shared by `Arc`, so that thousands of connections of one listener hold one copy.

use std::time::Duration;

use amqp_codec::{Encoded, Str, Symbol};

/// The settings of one connection, usually shared by all of a listener or connector.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether this side opened the transport and therefore speaks first.
    pub initiator: bool,
    /// Our container-id.
    pub container_id: Str,
    /// The hostname in our Open.
    pub hostname: Option<Str>,
    /// The largest frame we accept, in bytes (at least 512).
    pub max_frame_size: u32,
    /// The highest channel number we accept (amqp-1.0 §2.7.1).
    pub channel_max: u16,
    /// The highest handle we accept (amqp-1.0 §2.7.2).
    pub handle_max: u32,
    /// Silence of this length ends the connection; half of it is advertised. `None`: never.
    pub idle_time_out: Option<Duration>,
    /// The peer's Open must arrive this long after the start. `None`: no limit.
    pub handshake_time_out: Option<Duration>,
    /// Incoming window of each session, in frames.
    pub session_window: u32,
    /// Extensions we offer.
    pub offered_capabilities: Vec<Symbol>,
    /// Extensions we would use.
    pub desired_capabilities: Vec<Symbol>,
    /// The properties map of our Open, unless overridden by `open`.
    pub properties: Option<Encoded>,
    /// The security layer.
    pub sasl: Sasl,
    /// Whether the mechanism PLAIN, which shows the password, may be used where the transport is
    /// not encrypted.
    pub plain_in_clear: bool,
    /// Whether AMQP is refused while the transport is not encrypted.
    pub encryption_missing: bool,
    /// Bounds on what a peer may make us do.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            initiator: false,
            container_id: Str::default(),
            hostname: None,
            max_frame_size: 16 * 1024,
            channel_max: 32_767,
            handle_max: 65_535,
            idle_time_out: None,
            handshake_time_out: None,
            session_window: 128,
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: None,
            sasl: Sasl::ClientNone,
            plain_in_clear: false,
            encryption_missing: false,
            limits: Limits::default(),
        }
    }
}

/// The security layer of one connection (amqp-1.0 §5.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sasl {
    /// Acceptor: what it offers.
    Server {
        /// In order of preference. Of these, EXTERNAL is offered to whom the transport has proved
        /// who he is, and PLAIN as [`Config::plain_in_clear`] says.
        mechanisms: Vec<Symbol>,
        /// Whether a peer that skips SASL is turned away.
        required: bool,
    },
    /// Acceptor: what is offered, and everything after it, is the owner's to say.
    Relayed {
        /// Whether a peer that skips SASL is turned away.
        required: bool,
    },
    /// Initiator: no security layer. An acceptor with this setting takes only bare AMQP.
    ClientNone,
    /// Initiator: authenticate.
    Client {
        /// How.
        mechanism: Mechanism,
    },
    /// Initiator: the owner chooses a mechanism when it sees what is offered, and speaks it.
    Asked,
}

/// A way to authenticate, with what it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// No credentials (RFC 4505).
    Anonymous,
}

impl Mechanism {
    /// The registered name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "ANONYMOUS",
        }
    }
}

/// Bounds on what a peer may make us do; every one answers a class of attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Frames one delivery may consist of.
    pub transfers_per_delivery: u32,
    /// Empty frames, and transfers without payload that announce more, a second.
    pub empty_frames: u32,
    /// Requests for an answering flow served a second; more are ignored.
    pub echoes: u32,
    /// Deliveries a second of which the peer may tell a state without settling them.
    pub states: u32,
    /// Unsettled deliveries of one session and direction.
    pub unsettled_per_session: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transfers_per_delivery: 262_144,
            empty_frames: 1000,
            echoes: 100,
            states: 4_000_000,
            unsettled_per_session: 1 << 20,
        }
    }
}
