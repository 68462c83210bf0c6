//! Owns whole messages as structs (amqp-1.0 §3.2), for the messages a router makes or answers.
//! It never meets a message that passes through. Decision: sections that are absent and sections
//! that are empty are the same here, because no reader of these messages tells them apart.

use crate::composite::composite;
use crate::descriptor;
use crate::primitive::Timestamp;
use crate::text::{Str, Symbol};
use crate::value::{Map, Value};
use bytes::Bytes;

composite! {
    /// How a message is transported (amqp-1.0 §3.2.1).
    Header = descriptor::HEADER, {
        /// Whether it must survive a restart.
        durable: bool = default(false),
        /// Its priority; 4 is ordinary.
        priority: u8 = default(4),
        /// How long it is wanted, in milliseconds.
        ttl: Option<u32> = optional,
        /// Whether nobody acquired it before.
        first_acquirer: bool = default(false),
        /// Failed attempts to deliver it.
        delivery_count: u32 = default(0),
    }
}

composite! {
    /// The immutable properties of a message (amqp-1.0 §3.2.4).
    Properties = descriptor::PROPERTIES, {
        /// A ulong, uuid, binary or string.
        message_id: Option<Value> = optional,
        /// Who made it.
        user_id: Option<Bytes> = optional,
        /// The node it is for.
        to: Option<Str> = address,
        /// What it is about.
        subject: Option<Str> = optional,
        /// The node to answer to.
        reply_to: Option<Str> = address,
        /// A ulong, uuid, binary or string.
        correlation_id: Option<Value> = optional,
        /// The MIME type of its body.
        content_type: Option<Symbol> = optional,
        /// How its body is encoded beyond that.
        content_encoding: Option<Symbol> = optional,
        /// When it expires.
        absolute_expiry_time: Option<Timestamp> = optional,
        /// When it was made.
        creation_time: Option<Timestamp> = optional,
        /// The group it belongs to.
        group_id: Option<Str> = optional,
        /// Its place in the group.
        group_sequence: Option<u32> = optional,
        /// The group that answers belong to.
        reply_to_group_id: Option<Str> = optional,
    }
}

/// The body of a message (amqp-1.0 §3.2.6 to §3.2.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// No body section.
    #[default]
    None,
    /// Sections of opaque bytes.
    Data(Vec<Bytes>),
    /// Sections of values in sequence.
    Sequence(Vec<Vec<Value>>),
    /// One value.
    Value(Value),
}

/// A whole message (amqp-1.0 §3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// How it is transported.
    pub header: Option<Header>,
    /// Annotations for the next hop.
    pub delivery_annotations: Map,
    /// Annotations for all hops.
    pub message_annotations: Map,
    /// Its properties.
    pub properties: Properties,
    /// The application's properties.
    pub application_properties: Map,
    /// What it says.
    pub body: Body,
    /// Annotations that follow the body.
    pub footer: Map,
}
