//! What the control plane wants done outside: values that the runtime carries out and reports back.
//! Nothing here acts. Decision: effects are polled like notices instead of called back, so that the
//! simulator sees them in the order in which they were decided.

use std::sync::Arc;

use crate::settings::ConnectionSettings;

/// The identity of a listener in management: `listener/<host>:<port>[:<name>]`.
pub type ListenerIdentity = Arc<str>;

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
