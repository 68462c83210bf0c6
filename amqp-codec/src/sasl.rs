//! Owns the five SASL frames (amqp-1.0 §5.3.3).
//! It never judges credentials, and never shows them: `Debug` hides what responses carry.
//! Decision: mechanisms are always written as an array, even one or none, because peers exist that
//! read nothing else.

use crate::composite::{self, SymbolVec};
use crate::compound::{Items, ListWriter};
use crate::cursor::Reader;
use crate::definitions::choices;
use crate::descriptor;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::text::{Str, Symbol};
use bytes::{Buf as _, Bytes, BytesMut};
use std::fmt;

/// What a SASL frame says (amqp-1.0 §5.3.3).
#[derive(Clone, PartialEq, Eq)]
pub enum SaslFrame {
    /// The mechanisms a server offers (amqp-1.0 §5.3.3.1).
    Mechanisms(Vec<Symbol>),
    /// A client's choice (amqp-1.0 §5.3.3.2).
    Init {
        /// The mechanism.
        mechanism: Symbol,
        /// Its first bytes.
        initial_response: Option<Bytes>,
        /// The host the server is meant to be.
        hostname: Option<Str>,
    },
    /// A server's question (amqp-1.0 §5.3.3.3).
    Challenge(Bytes),
    /// A client's answer (amqp-1.0 §5.3.3.4).
    Response(Bytes),
    /// How it ended (amqp-1.0 §5.3.3.6).
    Outcome {
        /// The verdict.
        code: SaslCode,
        /// The mechanism's last bytes.
        additional_data: Option<Bytes>,
    },
}

choices! {
    /// The verdict on an authentication (amqp-1.0 §5.3.3.6).
    SaslCode {
        /// It succeeded.
        #[default]
        Ok = 0,
        /// The credentials were refused.
        Auth = 1,
        /// A system error.
        Sys = 2,
        /// A system error that will persist.
        SysPerm = 3,
        /// A system error that may pass.
        SysTemp = 4,
    }
}

impl SaslFrame {
    /// Reads the frame body and advances `body` past it. On an error `body` is unchanged.
    pub fn decode(body: &mut Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let code = descriptor::read(&mut reader)?;
        let unknown = DecodeError::new(DecodeErrorKind::UnknownDescriptor, 0);
        if !matches!(
            code,
            Some(descriptor::SASL_MECHANISMS..=descriptor::SASL_OUTCOME)
        ) {
            return Err(unknown);
        }
        let mut items = Items::open_list(&mut reader)?;
        let frame = match code {
            Some(descriptor::SASL_MECHANISMS) => Self::Mechanisms(items.required::<SymbolVec>()?.0),
            Some(descriptor::SASL_INIT) => Self::Init {
                mechanism: items.required()?,
                initial_response: items.field()?,
                hostname: items.field()?,
            },
            Some(descriptor::SASL_CHALLENGE) => Self::Challenge(items.required()?),
            Some(descriptor::SASL_RESPONSE) => Self::Response(items.required()?),
            Some(descriptor::SASL_OUTCOME) => Self::Outcome {
                code: items.required()?,
                additional_data: items.field()?,
            },
            _ => return Err(unknown),
        };
        items.finish()?;
        let length = reader.at();
        body.advance(length);
        Ok(frame)
    }

    /// Appends the frame body.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Mechanisms(mechanisms) => {
                let mut list = ListWriter::begin_described(out, descriptor::SASL_MECHANISMS);
                list.required(&composite::SymbolArray(mechanisms));
                list.finish();
            }
            Self::Init {
                mechanism,
                initial_response,
                hostname,
            } => {
                let mut list = ListWriter::begin_described(out, descriptor::SASL_INIT);
                list.required(mechanism);
                list.optional(initial_response.as_ref());
                list.optional(hostname.as_ref());
                list.finish();
            }
            Self::Challenge(bytes) => {
                let mut list = ListWriter::begin_described(out, descriptor::SASL_CHALLENGE);
                list.required(bytes);
                list.finish();
            }
            Self::Response(bytes) => {
                let mut list = ListWriter::begin_described(out, descriptor::SASL_RESPONSE);
                list.required(bytes);
                list.finish();
            }
            Self::Outcome {
                code,
                additional_data,
            } => {
                let mut list = ListWriter::begin_described(out, descriptor::SASL_OUTCOME);
                list.required(code);
                list.optional(additional_data.as_ref());
                list.finish();
            }
        }
    }
}

impl fmt::Debug for SaslFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mechanisms(mechanisms) => f.debug_tuple("Mechanisms").field(mechanisms).finish(),
            Self::Init {
                mechanism,
                initial_response: _,
                hostname,
            } => f
                .debug_struct("Init")
                .field("mechanism", mechanism)
                .field("hostname", hostname)
                .finish_non_exhaustive(),
            Self::Challenge(_) => f.write_str("Challenge(..)"),
            Self::Response(_) => f.write_str("Response(..)"),
            Self::Outcome {
                code,
                additional_data: _,
            } => f
                .debug_struct("Outcome")
                .field("code", code)
                .finish_non_exhaustive(),
        }
    }
}
