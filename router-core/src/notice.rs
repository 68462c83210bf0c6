//! What happened, as values: the log, the tests and the simulator read them. Nothing is noted per
//! delivery unless somebody asked for that. The deterministic crates write no text; `causeway` puts
//! notices into words.
//!
//! Decision: what peers say is cut here, where a notice is made, since notices may wait for a disk.

mod network;

use std::sync::Arc;

use amqp_codec::Encoded;
use amqp_codec::message::MessageParts;
use amqp_proto::Tapped;
use bytes::Bytes;

use crate::ids::{AddressKey, ConnectionId, Direction, LinkId};
use crate::inspect::LinkCounters;
use crate::limits;

pub use self::network::{Computed, Few, NetworkNotice, RoutingText, Said};

/// One event worth a line in a log.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A peer connected.
    ConnectionAccepted {
        /// Its number.
        connection: ConnectionId,
        /// The listener's name.
        listener: String,
        /// `address:port` of the peer.
        peer: String,
    },
    /// Both Opens were exchanged.
    ConnectionOpened(Arc<Opened>),
    /// The connection is gone.
    ConnectionClosed {
        /// Its number.
        connection: ConnectionId,
    },
    /// The connection ended for a reason: a misdeed, a time-out, a lost transport.
    ConnectionFailed {
        /// Its number.
        connection: ConnectionId,
        /// The listener's name; `None` if the router dialled.
        listener: Option<String>,
        /// `address:port` of the peer.
        peer: String,
        /// The AMQP error condition.
        condition: String,
        /// The description.
        description: String,
    },
    /// An administrator deleted a connection.
    ConnectionForced {
        /// Its number.
        connection: ConnectionId,
        /// The connection by which that was asked for, if it is known.
        by: Option<ConnectionId>,
    },
    /// A link was attached.
    LinkAttached {
        /// Its connection.
        connection: ConnectionId,
        /// Its number.
        link: LinkId,
        /// Which way messages flow.
        direction: Direction,
        /// The peer's termini, for the line's braces.
        source: Box<TerminusText>,
        /// The peer's termini, for the line's braces.
        target: Box<TerminusText>,
    },
    /// A link ended.
    LinkEnded {
        /// Its connection.
        connection: ConnectionId,
        /// Its number.
        link: LinkId,
        /// How.
        how: LinkEnd,
        /// What it carried.
        counters: Box<LinkCounters>,
        /// Whether it counted as blocked.
        blocked: bool,
    },
    /// A delivery of a link does not end. Told once as long as the link has such.
    LinkStuck {
        /// Its connection.
        connection: ConnectionId,
        /// Its number.
        link: LinkId,
        /// For how long, at least.
        seconds: u32,
    },
    /// A link has had no credit for long. Told once until it gets some.
    LinkBlocked {
        /// Its connection.
        connection: ConnectionId,
        /// Its number.
        link: LinkId,
        /// For how long.
        seconds: u32,
    },
    /// An attach was refused.
    LinkRefused {
        /// Its connection.
        connection: ConnectionId,
        /// The link's name.
        name: String,
        /// The AMQP error condition.
        condition: &'static str,
        /// The description.
        description: &'static str,
    },
    /// A peer broke the protocol on a link or session; the connection goes on.
    PeerMisbehaved {
        /// The connection.
        connection: ConnectionId,
        /// What it did, in the standard's condition.
        condition: String,
        /// What it did, in words.
        description: String,
    },
    /// A frame, for the protocol trace.
    Frame {
        /// The connection.
        connection: ConnectionId,
        /// The frame.
        frame: Box<Tapped>,
    },
    /// A message has come or begins to go, where that is to be shown.
    Message(Box<MessageText>),
    /// A management request has come, or has changed something.
    ManagementAsked {
        /// What was asked for, in upper case.
        operation: String,
        /// Of what: type, name and identity, as far as they were said.
        target: String,
        /// The connection that asked, if it is known.
        connection: Option<ConnectionId>,
        /// The user who asked, if it is known.
        user: Option<String>,
        /// Something is not as it was before; else this is told before anything is done.
        changed: bool,
    },
    /// A management request was answered with an error.
    ManagementFailed {
        /// What was asked for, in upper case; empty if that was unclear.
        operation: String,
        /// The answer's description.
        description: String,
    },
    /// A message of the routing protocol, where those are traced.
    Routing {
        /// `In` if the neighbour sent it.
        direction: Direction,
        /// What it says.
        text: Box<RoutingText>,
    },
    /// The routing protocol has found something out.
    Network(NetworkNotice),
    /// A container of a link route has come, or has gone.
    LinkRouteActive {
        /// The link route's name, or its number.
        name: String,
        /// The listener or connector that it is for; `None`: for a container.
        connection: Option<String>,
        /// The container-id.
        container: String,
        /// It has come.
        active: bool,
    },
    /// An auto-link has become active, or has ceased to be.
    AutoLink {
        /// Its name, or its number.
        name: String,
        /// The listener or connector that it is for; `None`: for a container.
        connection: Option<String>,
        /// The container-id.
        container: String,
        /// What happened.
        news: AutoLinkNews,
    },
    /// An address record was made.
    AddressAdded {
        /// Its key.
        key: AddressKey,
    },
    /// An address record is gone.
    AddressRemoved {
        /// Its key.
        key: AddressKey,
    },
}

/// What happened to an auto-link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AutoLinkNews {
    /// Its container has taken it.
    Activated,
    /// Its container has gone, or its entry has.
    Deactivated,
    /// Its container has refused or detached it.
    Failed(String),
}

impl Notice {
    /// The bytes that it keeps in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let beside = match self {
            Self::ConnectionAccepted { listener, peer, .. } => listener.len() + peer.len(),
            Self::ConnectionOpened(opened) => opened.bytes(),
            Self::ConnectionClosed { .. }
            | Self::ConnectionForced { .. }
            | Self::LinkStuck { .. }
            | Self::LinkBlocked { .. } => 0,
            Self::ConnectionFailed {
                listener,
                peer,
                condition,
                description,
                ..
            } => length(listener.as_deref()) + peer.len() + condition.len() + description.len(),
            Self::LinkAttached { source, target, .. } => source.bytes() + target.bytes(),
            Self::LinkEnded { .. } => size_of::<LinkCounters>(),
            Self::LinkRefused { name, .. } => name.len(),
            Self::PeerMisbehaved {
                condition,
                description,
                ..
            } => condition.len() + description.len(),
            Self::Frame { frame, .. } => {
                size_of::<Tapped>() + frame.performative.len() + frame.payload.len()
            }
            Self::Message(message) => message.bytes(),
            Self::Routing { text, .. } => text.bytes(),
            Self::ManagementAsked {
                operation,
                target,
                user,
                ..
            } => operation.len() + target.len() + length(user.as_deref()),
            Self::ManagementFailed {
                operation,
                description,
            } => operation.len() + description.len(),
            Self::Network(NetworkNotice::RouterMisbehaved { why, .. }) => why.len(),
            Self::Network(NetworkNotice::AddressUntold { key }) => key.len(),
            Self::Network(NetworkNotice::Computed(computed)) => computed.bytes(),
            // Ids, which the rest of the router keeps as well.
            Self::Network(_) => 0,
            Self::LinkRouteActive {
                name,
                connection,
                container,
                ..
            } => name.len() + length(connection.as_deref()) + container.len(),
            Self::AutoLink {
                name,
                connection,
                container,
                news,
            } => {
                let said = match news {
                    AutoLinkNews::Activated | AutoLinkNews::Deactivated => 0,
                    AutoLinkNews::Failed(why) => why.len(),
                };
                name.len() + length(connection.as_deref()) + container.len() + said
            }
            Self::AddressAdded { key } | Self::AddressRemoved { key } => key.len(),
        };
        size_of::<Self>() + beside
    }
}

/// A peer's text as a notice has it: cut where it is longer than
/// [`NOTICE_TEXT_BYTES`](limits::NOTICE_TEXT_BYTES).
#[must_use]
pub fn cut(text: &str) -> String {
    if text.len() <= limits::NOTICE_TEXT_BYTES {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limits::NOTICE_TEXT_BYTES);
    format!("{}...", &text[..end])
}

fn length(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

/// A connection that has been opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its number.
    pub connection: ConnectionId,
    /// `In` if the peer connected to us.
    pub direction: Direction,
    /// `address:port` of the peer.
    pub peer: String,
    /// The SASL mechanism; `None` where the peer skipped SASL.
    pub mechanism: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The version of TLS; `None` for plain text.
    pub encrypted: Option<&'static str>,
    /// The peer's container-id.
    pub container: String,
    /// The properties of the peer's Open.
    pub properties: Option<Encoded>,
}

impl Opened {
    fn bytes(&self) -> usize {
        let properties = self.properties.as_ref().map_or(0, |p| p.as_bytes().len());
        let optional = length(self.mechanism.as_deref()) + length(self.user.as_deref());
        size_of::<Self>() + self.peer.len() + optional + self.container.len() + properties
    }
}

/// A terminus as the log shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminusText {
    /// The address; `None` where there is none.
    pub address: Option<String>,
    /// `dynamic` was asked for.
    pub dynamic: bool,
    /// It is a coordinator.
    pub coordinator: bool,
    /// Durability, 0 to 2.
    pub durable: u32,
    /// The expiry policy, abbreviated: `link`, `sess`, `conn`, `never`.
    pub expiry: Option<&'static str>,
    /// Seconds until an expired terminus is forgotten.
    pub timeout: u32,
    /// Its capabilities, up to [`NOTICE_CAPABILITIES`](limits::NOTICE_CAPABILITIES).
    pub capabilities: Vec<String>,
    /// Further capabilities that it has.
    pub more_capabilities: usize,
}

impl TerminusText {
    fn bytes(&self) -> usize {
        let capabilities = self.capabilities.iter();
        let capabilities = capabilities.map(|text| size_of::<String>() + text.len());
        size_of::<Self>() + length(self.address.as_deref()) + capabilities.sum::<usize>()
    }
}

/// A message as the log shows it.
#[derive(Clone, Debug)]
pub struct MessageText {
    /// Its connection.
    pub connection: ConnectionId,
    /// `In` if the peer sent it.
    pub direction: Direction,
    /// Its link.
    pub link: Arc<LinkText>,
    /// What is to be seen of it.
    pub parts: MessageParts,
    /// Its properties, as they came; cut off behind
    /// [`NOTICE_SECTION_BYTES`](limits::NOTICE_SECTION_BYTES), empty if there are none.
    pub properties: Bytes,
    /// The same of its application properties.
    pub application_properties: Bytes,
    /// The peer has taken it back before it was whole.
    pub aborted: bool,
}

impl MessageText {
    fn bytes(&self) -> usize {
        let sections = self.properties.len() + self.application_properties.len();
        size_of::<Self>() + sections + self.link.bytes()
    }
}

/// A link as the log shows it beside a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkText {
    /// Its name.
    pub name: String,
    /// The address of its source; empty if it has none.
    pub source: String,
    /// The address of its target; empty if it has none.
    pub target: String,
}

impl LinkText {
    /// Counted with each message, since what waits may be all that keeps it.
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.source.len() + self.target.len()
    }
}

/// How a link ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEnd {
    /// The peer detached it, or was answered.
    Detached,
    /// Its session ended.
    Lost,
    /// Its connection ended.
    ConnectionLost,
}
