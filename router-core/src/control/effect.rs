//! What the control plane wants done outside: values that the runtime carries out and reports back.
//! Nothing here acts. Decision: effects are polled like notices instead of called back, so that the
//! simulator sees them in the order in which they were decided.

use std::sync::Arc;

use crate::ids::ConnectionId;
use crate::settings::{ConnectionSettings, Join, NewConnection};

/// The identity of a listener in management: `listener/<host>:<port>[:<name>]`.
pub type ListenerIdentity = Arc<str>;

/// The identity of a connector in management: `connector/<host>:<port>[:<name>]`.
pub type ConnectorIdentity = Arc<str>;

/// One thing to do outside.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Bind a socket and accept connections; answer with `listener_ready` or `listener_failed`.
    Listen(Listen),
    /// Stop accepting; connections that were accepted stay.
    Unlisten {
        /// Which.
        identity: ListenerIdentity,
    },
    /// Connect to a server; answer with `dialled` or `dial_failed`. Whatever it takes – resolving a
    /// name above all – must not delay anything else.
    Dial(Dial),
    /// Give up a [`Dial`] that has not been answered.
    HangUp {
        /// Which.
        connection: ConnectionId,
    },
}

/// A server to connect to.
#[derive(Clone, Debug)]
pub struct Dial {
    /// The number of the connection that it will be.
    pub connection: ConnectionId,
    /// The host's name or address.
    pub host: String,
    /// A port number or the name of a service.
    pub port: String,
    /// For the connection.
    pub settings: Arc<ConnectionSettings>,
    /// The trunk that the connection is to belong to, if it is not the first.
    pub join: Option<Join>,
}

impl Dial {
    /// The connection that was made, of which nothing is traced.
    #[must_use]
    pub fn connected(self) -> NewConnection {
        NewConnection {
            connection: self.connection,
            settings: self.settings,
            peer: format!("{}:{}", self.host, self.port),
            hostname: Some(self.host),
            traced: false,
            join: self.join,
        }
    }
}

/// A connector to keep connected.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Its identity in management.
    pub identity: ConnectorIdentity,
    /// The configured host.
    pub host: String,
    /// The configured port: a number or the name of a service.
    pub port: String,
    /// For its connections.
    pub settings: Arc<ConnectionSettings>,
}

/// A listener to open.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Its identity in management.
    pub identity: ListenerIdentity,
    /// The host to bind; empty: all interfaces.
    pub host: String,
    /// A port number or the name of a service.
    pub port: String,
    /// For its connections.
    pub settings: Arc<ConnectionSettings>,
    /// The program ends if it cannot be bound: it stood in the configuration at the start.
    pub required: bool,
}
