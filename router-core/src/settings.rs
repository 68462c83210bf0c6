//! What the configuration tells shards and control plane: plain values, already checked. Who reads
//! files and who answers CREATE build the same values.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use amqp_codec::message::MessageParts;

use crate::ids::{ConnectionId, TrunkToken};
use crate::limits;
use crate::route::Treatment;

/// Of the router as a whole.
#[derive(Clone, Debug)]
pub struct RouterSettings {
    /// The router's id, at most 127 characters.
    pub id: Arc<str>,
    /// The distribution of addresses without configuration.
    pub default_treatment: Treatment,
    /// Text after `product` in the router's Open.
    pub version: &'static str,
    /// The part it plays in a network.
    pub mode: RouterMode,
    /// The intervals of the routing protocol.
    pub timers: MeshTimers,
    /// Routed links may ask for termini that outlive their connection.
    pub resumable_link_routes: bool,
    /// The most connections to one neighbour that belong together, 1 or more; the neighbour, the
    /// number of shards and `limits.rs` may say less.
    pub trunk_connections: u16,
}

/// The part a router plays in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterMode {
    /// None: it knows no other router.
    Standalone,
    /// One of the routers that know the whole network.
    Interior,
    /// A leaf: it knows one interior router.
    Edge,
}

impl RouterMode {
    /// The name in configuration and management.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Interior => "interior",
            Self::Edge => "edge",
        }
    }
}

/// The intervals of the routing protocol; every router of a network should have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeshTimers {
    /// From one HELLO to the next.
    pub hello_interval: Duration,
    /// Silence after which a neighbour is taken for lost.
    pub hello_max_age: Duration,
    /// From one advertisement to the next while the network is stable.
    pub ra_interval: Duration,
    /// From one advertisement to the next while it is not.
    pub ra_interval_flux: Duration,
    /// Silence after which the link state of a router is forgotten.
    pub remote_ls_max_age: Duration,
    /// Silence after which a neighbour of our kind is taken for lost and its connection dropped,
    /// where listener and connector do not say; `None`: as with other neighbours.
    pub loss_detection: Option<Duration>,
}

impl Default for MeshTimers {
    fn default() -> Self {
        Self {
            hello_interval: Duration::from_secs(1),
            hello_max_age: Duration::from_secs(3),
            ra_interval: Duration::from_secs(30),
            ra_interval_flux: Duration::from_secs(4),
            remote_ls_max_age: Duration::from_secs(60),
            loss_detection: None,
        }
    }
}

/// Which router annotations are dropped on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StripAnnotations {
    /// Arriving ones are ignored and removed.
    pub inbound: bool,
    /// None are added to departing messages.
    pub outbound: bool,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionRole {
    /// Clients.
    Normal,
    /// Another interior router.
    InterRouter,
    /// Brokers and services.
    RouteContainer,
    /// An edge router below, or the interior router above.
    Edge,
}

impl ConnectionRole {
    /// The name in configuration and management.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::InterRouter => "inter-router",
            Self::RouteContainer => "route-container",
            Self::Edge => "edge",
        }
    }

    /// Whether the peer is a router, as far as the configuration knows.
    #[must_use]
    pub fn is_between_routers(self) -> bool {
        matches!(self, Self::InterRouter | Self::Edge)
    }
}

/// What may be done by management, the least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ManagementAccess {
    /// Nothing.
    None,
    /// Looking.
    Read,
    /// Changing, too.
    #[default]
    Full,
}

/// How peers of a listener authenticate, or the router does by a connector, beside the mechanisms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaslSettings {
    /// PLAIN, which shows the password, may be used where there is no encryption.
    pub plain_in_clear: bool,
    /// Of a listener: the authentication service that decides; `None`: the router does.
    pub plugin: Option<Arc<AuthService>>,
    /// Of a connector: who the router is there.
    pub user: Option<Arc<str>>,
    /// Of a connector: where its password is to be found.
    pub password: Option<Secret>,
}

/// A service to which exchanges are relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthService {
    /// Its name in the configuration.
    pub name: String,
    /// Where it is.
    pub host: String,
    /// Port number or service name.
    pub port: String,
    /// The host name that it is given as the one that clients mean.
    pub realm: Option<String>,
    /// How the connection to it is encrypted; `None`: not at all.
    pub tls: Option<TlsSettings>,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Arc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a listener gives out by HTTP; AMQP is spoken there by WebSocket only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpSettings {
    /// The folder of files that are given out; `None`: none are.
    pub root: Option<String>,
    /// Metrics are.
    pub metrics: bool,
    /// How the router is doing is.
    pub health: bool,
    /// AMQP may be spoken by WebSocket.
    pub websockets: bool,
    /// The host by which it is configured.
    pub host: String,
    /// Origins of pages that may do so, in lower case; empty: none are listed.
    pub origins: Vec<String>,
    /// Addresses that may have series of their own in the metrics; 0: none has.
    pub address_series: usize,
    /// Connections that may.
    pub connection_series: usize,
}

/// How the connections of a listener or a connector are encrypted, or those to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The name of the profile with certificates and the like.
    pub profile: Arc<str>,
    /// Of a listener: plain text is refused. A connector never speaks it.
    pub is_required: bool,
    /// Of a listener: peers are asked for a certificate.
    pub asks_certificate: bool,
    /// Of a listener: who has none is refused.
    pub needs_certificate: bool,
    /// Of whoever dials: the certificate must be for the host that was dialled.
    pub checks_host: bool,
}

/// Of a listener or a connector: everything its connections need to know.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// Its name for the log: its configured name, else `host:port`.
    pub name: String,
    /// The identity of the connector that dials; `None` for a listener, whose peers do.
    pub connector: Option<Arc<str>>,
    /// What its connections are for.
    pub role: ConnectionRole,
    /// What a message pays for this way to another router, at least 1; the peer may ask for more.
    pub cost: u32,
    /// Largest frame accepted, in bytes, at least 512.
    pub max_frame_size: u32,
    /// Sessions a connection may have, 1 to 32768.
    pub max_sessions: u32,
    /// Frames a session may send ahead; `None`: the default of `limits.rs`.
    pub max_session_frames: Option<u32>,
    /// Silence after which the peer is taken for dead; `None`: never.
    pub idle_time_out: Option<Duration>,
    /// The same for a neighbour of our kind, which is asked to show signs of life more often;
    /// `None`: as [`MeshTimers::loss_detection`].
    pub loss_detection: Option<Duration>,
    /// Time from the TCP connect to the peer's Open; `None`: for ever.
    pub handshake_time_out: Option<Duration>,
    /// Credit of each producer and lane of each consumer, in deliveries.
    pub link_capacity: u32,
    /// Bytes of deliveries held for a connection beyond which its sessions get no window back.
    pub held_bytes: u64,
    /// Router annotations.
    pub strip_annotations: StripAnnotations,
    /// How its connections are encrypted; `None`: not at all.
    pub tls: Option<TlsSettings>,
    /// Of a listener that speaks HTTP: what it gives out; `None`: it speaks AMQP.
    pub http: Option<HttpSettings>,
    /// A SASL exchange that yields a user is required.
    pub authenticate_peer: bool,
    /// SASL mechanisms offered or, by a connector, consented to; already without those that do not
    /// apply.
    pub sasl_mechanisms: Vec<String>,
    /// What else is said of authentication.
    pub sasl: SaslSettings,
    /// What its peers may do by management.
    pub management: ManagementAccess,
    /// What the log shows of the messages on its connections.
    pub shown_parts: MessageParts,
    /// Entries added to the properties of the router's Open, as an encoded map's key/value pairs.
    pub open_properties: Vec<(String, amqp_codec::Value)>,
}

impl Default for ConnectionSettings {
    /// A listener for clients without a name, which waits for ever and offers no mechanism.
    fn default() -> Self {
        Self {
            name: String::new(),
            connector: None,
            role: ConnectionRole::Normal,
            cost: 1,
            max_frame_size: 16_384,
            max_sessions: 32_768,
            max_session_frames: None,
            idle_time_out: None,
            loss_detection: None,
            handshake_time_out: None,
            link_capacity: 250,
            held_bytes: limits::CONNECTION_BYTES,
            strip_annotations: StripAnnotations {
                inbound: true,
                outbound: true,
            },
            tls: None,
            http: None,
            authenticate_peer: false,
            sasl_mechanisms: Vec::new(),
            sasl: SaslSettings::default(),
            management: ManagementAccess::Full,
            shown_parts: MessageParts::NONE,
            open_properties: Vec::new(),
        }
    }
}

impl ConnectionSettings {
    /// Whether the router connects and speaks first.
    #[must_use]
    pub fn is_initiator(&self) -> bool {
        self.connector.is_some()
    }
}

/// A connected socket that the runtime gives to a shard.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// The number dealt to the connection.
    pub connection: ConnectionId,
    /// The settings of its listener or connector.
    pub settings: Arc<ConnectionSettings>,
    /// `address:port` of the peer; of a dialled one `host:port` as configured.
    pub peer: String,
    /// The host that was dialled, for the router's Open; `None` if the peer connected.
    pub hostname: Option<String>,
    /// Its frames are traced from the first on (the log wants them).
    pub traced: bool,
    /// It was dialled to belong to a connection that is there already.
    pub join: Option<Join>,
}

impl NewConnection {
    /// A connection that a peer made, of which nothing is traced.
    #[must_use]
    pub fn accepted(
        connection: ConnectionId,
        settings: Arc<ConnectionSettings>,
        peer: String,
    ) -> Self {
        Self {
            connection,
            settings,
            peer,
            hostname: None,
            traced: false,
            join: None,
        }
    }
}

/// The trunk that a connection is to belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The trunk, by its first connection.
    pub trunk: ConnectionId,
    /// What the neighbour gave.
    pub token: TrunkToken,
    /// The neighbour's container-id: whoever answers must have it, too.
    pub container: String,
}
