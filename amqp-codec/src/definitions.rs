//! Owns the small types of amqp-1.0 §2.8 that performatives are made of.
//! It never holds a performative. Decision: a delivery tag is stored in place, since 32 bytes in a
//! copyable struct cost less than a counted reference for every transfer.

use crate::composite::composite;
use crate::cursor::Reader;
use crate::descriptor;
use crate::encoded::Encoded;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format;
use crate::primitive::{self, Read, Write};
use crate::text::{Str, Symbol};
use bytes::BytesMut;
use std::fmt;

/// Which end of a link a peer is (amqp-1.0 §2.8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Sends messages; `false` on the wire.
    #[default]
    Sender,
    /// Receives messages; `true` on the wire.
    Receiver,
}

impl Role {
    /// The role of the other end.
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

impl Read for Role {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        bool::read(reader).map(|receiver| {
            if receiver {
                Self::Receiver
            } else {
                Self::Sender
            }
        })
    }
}

impl Write for Role {
    fn write(&self, out: &mut BytesMut) {
        (*self == Self::Receiver).write(out);
    }
}

/// Declares an enumeration whose values are unsigned bytes.
macro_rules! choices {
    (
        $(#[$meta:meta])* $name:ident {
            $($(#[$choice_meta:meta])* $choice:ident = $byte:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$choice_meta])* $choice = $byte,)*
        }

        impl $name {
            /// The choice with this number, if there is one.
            #[must_use]
            pub fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($byte => Some(Self::$choice),)*
                    _ => None,
                }
            }

            /// Its number on the wire.
            #[must_use]
            pub fn byte(self) -> u8 {
                self as u8
            }
        }

        impl $crate::primitive::Read for $name {
            fn read(
                reader: &mut $crate::cursor::Reader<'_>,
            ) -> Result<Self, $crate::error::DecodeError> {
                let byte = u8::read(reader)?;
                let kind = $crate::error::DecodeErrorKind::InvalidValue;
                Self::from_byte(byte).ok_or_else(|| reader.error_before(kind))
            }
        }

        impl $crate::primitive::Write for $name {
            fn write(&self, out: &mut bytes::BytesMut) {
                self.byte().write(out);
            }
        }
    };
}

pub(crate) use choices;

choices! {
    /// What a sender may do about settling (amqp-1.0 §2.8.2).
    SenderSettleMode {
        /// It sends everything unsettled.
        Unsettled = 0,
        /// It sends everything settled.
        Settled = 1,
        /// It decides for each delivery.
        #[default]
        Mixed = 2,
    }
}

choices! {
    /// When a receiver settles (amqp-1.0 §2.8.3).
    ReceiverSettleMode {
        /// At once.
        #[default]
        First = 0,
        /// After the sender has settled.
        Second = 1,
    }
}

/// A delivery's tag: at most 32 bytes (amqp-1.0 §2.8.7).
#[derive(Clone, Copy, Default)]
pub struct DeliveryTag {
    length: u8,
    bytes: [u8; Self::MAX_LENGTH],
}

impl DeliveryTag {
    /// The longest tag the standard allows, in bytes.
    pub const MAX_LENGTH: usize = 32;

    /// Copies a tag; `None` if it is longer than 32 bytes.
    #[must_use]
    #[inline]
    pub fn new(tag: &[u8]) -> Option<Self> {
        let length = u8::try_from(tag.len()).ok()?;
        let mut bytes = [0; Self::MAX_LENGTH];
        bytes.get_mut(..tag.len())?.copy_from_slice(tag);
        Some(Self { length, bytes })
    }

    /// Its length, and its bytes padded to the longest.
    #[inline]
    pub(crate) fn parts(&self) -> (u8, &[u8; Self::MAX_LENGTH]) {
        (self.length, &self.bytes)
    }

    /// The tag's bytes.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl PartialEq for DeliveryTag {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for DeliveryTag {}

impl fmt::Debug for DeliveryTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.as_slice().escape_ascii())
    }
}

impl Read for DeliveryTag {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = primitive::read_length(reader, format::VBIN8)?;
        let error = reader.error(DecodeErrorKind::TagTooLong);
        Self::new(reader.take(length)?).ok_or(error)
    }
}

impl Write for DeliveryTag {
    fn write(&self, out: &mut BytesMut) {
        primitive::put_variable(out, format::VBIN8, self.as_slice());
    }
}

composite! {
    /// Why something was closed or refused (amqp-1.0 §2.8.14, `error`).
    AmqpError = descriptor::ERROR, {
        /// A symbol that names the condition; see [`condition`](crate::condition).
        condition: Symbol = required,
        /// Text for people.
        description: Option<Str> = optional,
        /// A map with more about the condition.
        info: Option<Encoded> = optional,
    }
}

impl AmqpError {
    /// An error with a condition and a text for people.
    #[must_use]
    pub fn new(condition: impl Into<Symbol>, description: impl Into<Str>) -> Self {
        Self {
            condition: condition.into(),
            description: Some(description.into()),
            info: None,
        }
    }
}

impl fmt::Display for AmqpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.description {
            Some(description) => write!(f, "{}: {description}", self.condition),
            None => write!(f, "{}", self.condition),
        }
    }
}
