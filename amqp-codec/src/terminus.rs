//! Owns sources, targets and coordinators (amqp-1.0 §3.5 and §4.5.1).
//! It never resolves an address. Decision: filters, outcomes and node properties stay encoded: a
//! router passes them on or echoes them, and the few it looks into it parses on demand.

use crate::composite::{self, composite};
use crate::cursor::Reader;
use crate::descriptor;
use crate::encoded::Encoded;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::primitive::{Read, Write};
use crate::text::{Str, Symbol};
use bytes::BytesMut;

composite! {
    /// Where a link's messages come from (amqp-1.0 §3.5.3).
    Source = descriptor::SOURCE, {
        /// The node's address; none with `dynamic`, or for no node.
        address: Option<Str> = address,
        /// 0 nothing, 1 configuration, 2 unsettled state survives (amqp-1.0 §3.5.5).
        durable: u32 = explicit(0),
        /// When the terminus expires; none means at the session's end (amqp-1.0 §3.5.6).
        expiry_policy: Option<Symbol> = optional,
        /// Seconds until it expires thereafter.
        timeout: u32 = explicit(0),
        /// Whether the peer is asked to make a node.
        dynamic: bool = explicit(false),
        /// A map of properties for such a node.
        dynamic_node_properties: Option<Encoded> = optional,
        /// `move` or `copy` (amqp-1.0 §3.5.7).
        distribution_mode: Option<Symbol> = optional,
        /// A map of filters (amqp-1.0 §3.5.8).
        filter: Option<Encoded> = optional,
        /// The outcome of deliveries that have none.
        default_outcome: Option<Encoded> = optional,
        /// Descriptors of the outcomes that can be chosen.
        outcomes: Vec<Symbol> = multiple,
        /// Extension capabilities.
        capabilities: Vec<Symbol> = multiple,
    }
}

composite! {
    /// Where a link's messages go (amqp-1.0 §3.5.4).
    Target = descriptor::TARGET, {
        /// The node's address; none with `dynamic`, or for the anonymous relay.
        address: Option<Str> = address,
        /// 0 nothing, 1 configuration, 2 unsettled state survives (amqp-1.0 §3.5.5).
        durable: u32 = explicit(0),
        /// When the terminus expires; none means at the session's end (amqp-1.0 §3.5.6).
        expiry_policy: Option<Symbol> = optional,
        /// Seconds until it expires thereafter.
        timeout: u32 = explicit(0),
        /// Whether the peer is asked to make a node.
        dynamic: bool = explicit(false),
        /// A map of properties for such a node.
        dynamic_node_properties: Option<Encoded> = optional,
        /// Extension capabilities.
        capabilities: Vec<Symbol> = multiple,
    }
}

composite! {
    /// The target of a link that controls transactions (amqp-1.0 §4.5.1).
    Coordinator = descriptor::COORDINATOR, {
        /// What the coordinator supports.
        capabilities: Vec<Symbol> = multiple,
    }
}

/// What can stand in an attach's target (amqp-1.0 §2.7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetArchetype {
    /// A node for messages.
    Target(Box<Target>),
    /// A transaction coordinator.
    Coordinator(Coordinator),
}

impl TargetArchetype {
    /// The target, if it is one for messages.
    #[must_use]
    pub fn as_target(&self) -> Option<&Target> {
        match self {
            Self::Target(target) => Some(target),
            Self::Coordinator(_) => None,
        }
    }
}

impl From<Target> for TargetArchetype {
    fn from(target: Target) -> Self {
        Self::Target(Box::new(target))
    }
}

impl Read for TargetArchetype {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let error = reader.error(DecodeErrorKind::UnknownDescriptor);
        match descriptor::read(reader)? {
            Some(descriptor::TARGET) => {
                composite::read_list(reader).map(|target| Self::Target(Box::new(target)))
            }
            Some(descriptor::COORDINATOR) => composite::read_list(reader).map(Self::Coordinator),
            _ => Err(error),
        }
    }
}

impl Write for TargetArchetype {
    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Target(target) => target.write(out),
            Self::Coordinator(coordinator) => coordinator.write(out),
        }
    }
}
