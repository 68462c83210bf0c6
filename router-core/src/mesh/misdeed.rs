//! What a neighbour can do wrong on a control link, by name.
//!
//! Owns the names. Decision: every refusal is a value that a test can name and a log can put into
//! words; what merely comes late or twice is no misdeed, since every ring of routers makes copies.

use std::fmt;
use std::sync::Arc;

use amqp_codec::DecodeError;

use crate::limits::{
    MESH_ADDRESSES, MESH_ADDRESSES_PER_ROUTER, MESH_HELLOS_PER_SECOND, MESH_MESSAGES_PER_SECOND,
    MESH_ROUTERS,
};
use crate::mesh::names::NeighborLink;

/// A message that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The control link on which it came.
    pub link: NeighborLink,
    /// The router at the other end, if it has said who it is.
    pub neighbor: Option<Arc<str>>,
    /// What was wrong.
    pub why: Misdeed,
}

/// What was wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misdeed {
    /// More addresses than are remembered; those beyond are not.
    Addresses {
        /// The router that has them.
        id: Arc<str>,
    },
    /// It says it comes from another router than the one that has opened the connection.
    Opener {
        /// Who it says it is.
        id: Arc<str>,
        /// The container-id of the connection.
        container: Arc<str>,
    },
    /// Its annotations cannot be read.
    Annotations(&'static str),
    /// Its sections cannot be read.
    Decode(DecodeError),
    /// It is for nothing that routers talk about, or asks all what is asked of one.
    Destination,
    /// It says it comes from a router whose name somebody else here or elsewhere has.
    Duplicate {
        /// The name.
        id: Arc<str>,
    },
    /// More messages than one neighbour may send.
    Flood,
    /// Another router speaks on a link than the one that was there a moment ago, or another life of
    /// it.
    Identity {
        /// Who it says it is.
        id: Arc<str>,
    },
    /// It is larger than a message may be.
    Large,
    /// A mandatory field is not there.
    Missing(&'static str),
    /// The operation is none that is known.
    Opcode,
    /// It comes from another life of a router than the one that is there.
    OtherLife {
        /// The router.
        id: Arc<str>,
    },
    /// It says it comes from us.
    OurIdentity,
    /// A cost below zero or beyond belief.
    Cost,
    /// More routers than are remembered.
    Routers,
    /// A sequence number below zero or beyond belief.
    Sequence(&'static str),
    /// It comes from a router that has not said hello on this link.
    Stranger,
    /// A text or list that is empty or longer than allowed.
    TooLong(&'static str),
    /// The last router in its trace is not the one that sent it.
    Trace,
    /// It is told in the name of another router, by one that may not.
    Speaker,
    /// It came on a link that is not there.
    UnknownLink,
    /// A version of the protocol that is not understood.
    Version {
        /// The router that speaks it.
        id: Arc<str>,
        /// The version.
        version: i64,
    },
    /// A field is of another type than its own.
    WrongType(&'static str),
}

impl fmt::Display for Misdeed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses { id } => write!(
                formatter,
                "router {id} has more addresses than are remembered, {MESH_ADDRESSES_PER_ROUTER} \
                 of one router and {MESH_ADDRESSES} in all: those beyond are out of reach here"
            ),
            Self::Opener { id, container } => write!(
                formatter,
                "it says it is router {id}, on a connection that container {container} has opened"
            ),
            Self::Annotations(what) => write!(formatter, "annotations: {what}"),
            Self::Decode(error) => write!(formatter, "not a message: {error}"),
            Self::Destination => {
                formatter.write_str("not addressed to a part of the routers that may get it")
            }
            Self::Duplicate { id } => write!(
                formatter,
                "another router is called {id}, too: if it is not the same one after a restart, \
                 give one of them another id"
            ),
            Self::Flood => write!(
                formatter,
                "more than {MESH_MESSAGES_PER_SECOND} messages or {MESH_HELLOS_PER_SECOND} hellos \
                 in a second"
            ),
            Self::Identity { id } => write!(formatter, "the link's router now says it is {id}"),
            Self::Large => formatter.write_str("message too large"),
            Self::Missing(field) => write!(formatter, "field {field} is missing"),
            Self::Opcode => formatter.write_str("unknown operation"),
            Self::OtherLife { id } => write!(formatter, "from another life of router {id}"),
            Self::OurIdentity => formatter.write_str("a router says it is this one"),
            Self::Cost => formatter.write_str("cost out of range"),
            Self::Routers => write!(formatter, "more than {MESH_ROUTERS} routers"),
            Self::Sequence(field) => write!(formatter, "sequence {field} out of range"),
            Self::Stranger => formatter.write_str("a message on a link before any hello"),
            Self::TooLong(field) => write!(formatter, "field {field} is empty or too long"),
            Self::Speaker => {
                formatter.write_str("it is told in the name of another router than sent it")
            }
            Self::Trace => formatter.write_str("the trace does not end with its sender"),
            Self::UnknownLink => formatter.write_str("on a link that is not there"),
            Self::Version { id, version } => {
                write!(formatter, "router {id} speaks version {version}")
            }
            Self::WrongType(field) => write!(formatter, "field {field} is of a wrong type"),
        }
    }
}
