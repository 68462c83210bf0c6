//! What an engine and its owner tell each other while somebody authenticates (amqp-1.0 §5.3).
//!
//! Owns [`SaslStep`] and [`SaslReply`]; never judges anything.
//!
//! Decision: mechanisms need cryptography, files or other hosts, none of which belongs here. The
//! engine keeps the order and the size of frames and asks its owner for everything else; while an
//! answer is awaited it reads nothing, so at most one step of a connection is ever under way.

use std::fmt;

use amqp_codec::{SaslCode, Str, Symbol};
use bytes::Bytes;

/// What the peer did, and the owner has to answer with a [`SaslReply`].
#[derive(Clone, PartialEq, Eq)]
pub enum SaslStep {
    /// Acceptor with [`Sasl::Relayed`](crate::Sasl): somebody begins. Answer with `Offer`.
    Started,
    /// Acceptor: a mechanism was chosen that the engine does not decide itself. Answer with
    /// `Challenge`, `Success` or `Failure`.
    Init {
        /// Which; it was offered.
        mechanism: Symbol,
        /// Its first bytes.
        response: Option<Bytes>,
        /// The host that the peer means.
        hostname: Option<Str>,
    },
    /// Acceptor: the answer to a challenge. Answer as `Init`.
    Response(Bytes),
    /// Initiator with [`Sasl::Asked`](crate::Sasl): the peer offers these. Answer with `Choice` or
    /// `Abort`.
    Offered(Vec<Symbol>),
    /// Initiator: a challenge. Answer with `Response` or `Abort`.
    Challenge(Bytes),
    /// Initiator: the peer is content, and this is its last word. Answer with `Accept` or `Abort`.
    Succeeded(Option<Bytes>),
}

/// What the owner answers. One that does not fit what was asked does nothing.
#[derive(Clone, PartialEq, Eq)]
pub enum SaslReply {
    /// The mechanisms to choose from.
    Offer(Vec<Symbol>),
    /// A question for the client; at most [`SASL_DATA_MAX`] bytes.
    Challenge(Bytes),
    /// The client is who it says.
    Success {
        /// Who that is.
        user: Str,
        /// The mechanism's last bytes.
        data: Option<Bytes>,
    },
    /// It is not, or it cannot be told.
    Failure {
        /// The verdict.
        code: SaslCode,
        /// Who it said it was, for the log.
        user: Option<Str>,
    },
    /// The mechanism, with its first bytes.
    Choice {
        /// One of those offered.
        mechanism: Symbol,
        /// Its first bytes; at most [`SASL_DATA_MAX`].
        response: Option<Bytes>,
    },
    /// The answer to a challenge; at most [`SASL_DATA_MAX`] bytes.
    Response(Bytes),
    /// The server is who it should be; the connection goes on as this user.
    Accept(Str),
    /// It is not, or nothing that it offers will do, for this reason.
    Abort(Str),
}

/// The most that a challenge or response may be, in bytes: what a frame of 512 has room for beside
/// its header and the longest name of a mechanism.
pub const SASL_DATA_MAX: usize = 440;

impl fmt::Debug for SaslStep {
    /// Without what may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("Started"),
            Self::Init { mechanism, .. } => write!(f, "Init({mechanism}, ..)"),
            Self::Response(_) => f.write_str("Response(..)"),
            Self::Offered(mechanisms) => f.debug_tuple("Offered").field(mechanisms).finish(),
            Self::Challenge(_) => f.write_str("Challenge(..)"),
            Self::Succeeded(_) => f.write_str("Succeeded(..)"),
        }
    }
}

impl fmt::Debug for SaslReply {
    /// Without what may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offer(mechanisms) => f.debug_tuple("Offer").field(mechanisms).finish(),
            Self::Challenge(_) => f.write_str("Challenge(..)"),
            Self::Success { user, .. } => write!(f, "Success({user:?}, ..)"),
            Self::Failure { code, user } => write!(f, "Failure({code:?}, {user:?})"),
            Self::Choice { mechanism, .. } => write!(f, "Choice({mechanism}, ..)"),
            Self::Response(_) => f.write_str("Response(..)"),
            Self::Accept(user) => f.debug_tuple("Accept").field(user).finish(),
            Self::Abort(text) => f.debug_tuple("Abort").field(text).finish(),
        }
    }
}
