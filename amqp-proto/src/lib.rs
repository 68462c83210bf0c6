//! One AMQP 1.0 connection as a state machine: bytes in, events out; commands in, bytes out.
//!
//! The crate owns what the standard assigns to a single connection: protocol headers, SASL,
//! channels, handles, windows, credit, delivery ids, settlement and idle time. It knows no
//! addresses, opens no sockets, reads no clock and starts no threads.
//!
//! Decision: a *pull parser* ([`Connection::poll_event`]) instead of an event queue. The caller
//! takes one event at a time, so nothing is buffered twice and the caller's budget bounds the
//! work. Commands encode straight into a [`SendQueue`].
#![forbid(unsafe_code)]

mod arena;
mod budget;
mod config;
mod connection;
mod error;
mod event;
#[doc(hidden)]
pub mod fuzz;
mod key;
mod link;
mod payload;
mod recv;
mod sasl;
mod send;
mod serial;
mod session;
mod table;
mod tap;
mod time;
mod transform;
mod writer;

pub use config::{Config, Limits, Mechanism, Sasl};
pub use connection::Connection;
pub use error::{By, ConnectionError, LimitError, LinkError, SessionError, Violation};
pub use event::{Event, InTransfer, OutTransfer, Sent};
pub use key::{LinkKey, SessionKey};
pub use payload::Payload;
pub use recv::RecvBuf;
pub use sasl::{SASL_DATA_MAX, SaslReply, SaslStep};
pub use send::SendQueue;
pub use tap::{TapKind, Tapped};
pub use time::Time;
pub use transform::{Clear, Identity, Security, Transform, TransformError};
