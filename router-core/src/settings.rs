//! What the configuration tells shards and control plane: plain values, already checked. Who reads
//! files and who answers CREATE build the same values.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::ConnectionId;
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
    /// Brokers and services.
    RouteContainer,
}

impl ConnectionRole {
    /// The name in configuration and management.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::RouteContainer => "route-container",
        }
    }
}

/// Of a listener: everything its connections need to know.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// The listener's name for the log: its configured name, else `host:port`.
    pub name: String,
    /// What its connections are for.
    pub role: ConnectionRole,
    /// Largest frame accepted, in bytes, at least 512.
    pub max_frame_size: u32,
    /// Sessions a connection may have, 1 to 32768.
    pub max_sessions: u32,
    /// Frames a session may send ahead; `None`: the default of `limits.rs`.
    pub max_session_frames: Option<u32>,
    /// Silence after which the peer is taken for dead; `None`: never.
    pub idle_time_out: Option<Duration>,
    /// Time from the TCP connect to the peer's Open; `None`: for ever.
    pub handshake_time_out: Option<Duration>,
    /// Credit of each producer and lane of each consumer, in deliveries.
    pub link_capacity: u32,
    /// Router annotations.
    pub strip_annotations: StripAnnotations,
    /// A SASL exchange that yields a user is required.
    pub authenticate_peer: bool,
    /// SASL mechanisms offered, already without those that do not apply.
    pub sasl_mechanisms: Vec<String>,
    /// Entries added to the properties of the router's Open, as an encoded map's key/value pairs.
    pub open_properties: Vec<(String, amqp_codec::Value)>,
}

/// A socket that the runtime gives to a shard.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The number dealt to the connection.
    pub connection: ConnectionId,
    /// Its listener's settings.
    pub listener: Arc<ListenerSettings>,
    /// `address:port` of the peer.
    pub peer: String,
    /// Its frames are traced from the first on (the log wants them).
    pub traced: bool,
}
