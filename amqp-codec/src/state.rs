//! Owns delivery states (amqp-1.0 §3.4 and §4.5.8).
//! It never decides what a state leads to. Decision: what the router understands is a variant, all
//! else is kept whole as bytes, so that link routes pass on states of any extension.

use crate::composite::{self, composite};
use crate::compound::{Items, ListWriter};
use crate::cursor::Reader;
use crate::definitions::AmqpError;
use crate::descriptor;
use crate::encoded::Encoded;
use crate::error::DecodeError;
use crate::primitive::{Read, Write};
use bytes::{Bytes, BytesMut};

/// Bytes of a state without fields: a descriptor and an empty list.
const EMPTY_LENGTH: usize = 4;

/// The state of a delivery at one end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// How much has arrived; not an outcome (amqp-1.0 §3.4.1).
    Received {
        /// The section up to which data arrived.
        section_number: u32,
        /// The byte in that section up to which data arrived.
        section_offset: u64,
    },
    /// Processed (amqp-1.0 §3.4.2).
    Accepted,
    /// Invalid and not to be sent again (amqp-1.0 §3.4.3).
    Rejected(Option<Box<AmqpError>>),
    /// Not processed (amqp-1.0 §3.4.4).
    Released,
    /// Not processed, and changed (amqp-1.0 §3.4.5).
    Modified(Box<Modified>),
    /// A transaction's id, from a coordinator (amqp-1.0 §4.5.5).
    Declared(Bytes),
    /// The state in a transaction, kept whole (amqp-1.0 §4.5.8).
    Transactional(Encoded),
    /// A described value that the standard does not define, kept whole.
    Other(Encoded),
}

impl DeliveryState {
    /// Whether the state is an outcome, after which it does not change (amqp-1.0 §3.4).
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(
            self,
            Self::Accepted
                | Self::Rejected(_)
                | Self::Released
                | Self::Modified(_)
                | Self::Declared(_)
        )
    }

    /// Appends the state.
    pub fn encode(&self, out: &mut BytesMut) {
        self.write(out);
    }

    /// How long it is when encoded, in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Accepted | Self::Released => EMPTY_LENGTH,
            _ => self.encoded().len(),
        }
    }

    /// The state in memory of its own: what it was read from is let go.
    #[must_use]
    pub fn settle(self) -> Self {
        match self {
            Self::Accepted | Self::Released | Self::Received { .. } | Self::Rejected(None) => self,
            _ => {
                let bytes = self.encoded().freeze();
                // What was encoded here can be read.
                Self::read(&mut Reader::new(&bytes)).unwrap_or(self)
            }
        }
    }

    fn encoded(&self) -> BytesMut {
        let mut bytes = BytesMut::new();
        self.encode(&mut bytes);
        bytes
    }
}

composite! {
    /// The fields of a modified outcome (amqp-1.0 §3.4.5).
    Modified = descriptor::MODIFIED, {
        /// Counts as a failed attempt.
        delivery_failed: bool = default(false),
        /// Not to be sent to this receiver again.
        undeliverable_here: bool = default(false),
        /// Annotations to merge into the message's.
        message_annotations: Option<Encoded> = optional,
    }
}

impl Read for DeliveryState {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.clone();
        Ok(match descriptor::read(reader)? {
            Some(descriptor::RECEIVED) => {
                let mut items = Items::open_list(reader)?;
                let state = Self::Received {
                    section_number: items.required()?,
                    section_offset: items.required()?,
                };
                items.finish()?;
                state
            }
            Some(descriptor::ACCEPTED) => {
                Items::open_list(reader)?.finish()?;
                Self::Accepted
            }
            Some(descriptor::REJECTED) => {
                let mut items = Items::open_list(reader)?;
                let error = items.field()?;
                items.finish()?;
                Self::Rejected(error)
            }
            Some(descriptor::RELEASED) => {
                Items::open_list(reader)?.finish()?;
                Self::Released
            }
            Some(descriptor::MODIFIED) => Self::Modified(Box::new(composite::read_list(reader)?)),
            Some(descriptor::DECLARED) => {
                let mut items = Items::open_list(reader)?;
                let transaction = items.required()?;
                items.finish()?;
                Self::Declared(transaction)
            }
            code => {
                *reader = start;
                let whole = Encoded::read(reader)?;
                match code {
                    Some(descriptor::TRANSACTIONAL_STATE) => Self::Transactional(whole),
                    _ => Self::Other(whole),
                }
            }
        })
    }
}

impl Write for DeliveryState {
    fn write(&self, out: &mut BytesMut) {
        match self {
            Self::Received {
                section_number,
                section_offset,
            } => {
                let mut list = ListWriter::begin_described(out, descriptor::RECEIVED);
                list.required(section_number);
                list.required(section_offset);
                list.finish();
            }
            Self::Accepted => ListWriter::begin_described(out, descriptor::ACCEPTED).finish(),
            Self::Rejected(error) => {
                let mut list = ListWriter::begin_described(out, descriptor::REJECTED);
                list.optional(error.as_ref());
                list.finish();
            }
            Self::Released => ListWriter::begin_described(out, descriptor::RELEASED).finish(),
            Self::Modified(modified) => modified.write(out),
            Self::Declared(transaction) => {
                let mut list = ListWriter::begin_described(out, descriptor::DECLARED);
                list.required(transaction);
                list.finish();
            }
            Self::Transactional(whole) | Self::Other(whole) => whole.write(out),
        }
    }
}
