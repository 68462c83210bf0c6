//! Errors by blast radius.
//!
//! Owns [`LinkError`], [`SessionError`], [`ConnectionError`] and the list of misdeeds; never
//! decides what is a misdeed.
//!
//! Decision: the *type* says what ends with the error. A function that returns a [`LinkError`]
//! cannot close a connection.

use std::fmt;

use amqp_codec::{AmqpError, Str, Symbol};

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// We found the peer at fault.
    Local(Violation),
    /// The peer told us.
    Remote,
}

macro_rules! violations {
    ($($(#[$doc:meta])* $name:ident => $condition:literal,)*) => {
        /// Each way a peer can break the rules.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Violation { $($(#[$doc])* $name,)* }

        impl Violation {
            /// The error condition the peer is told.
            pub const fn condition(self) -> &'static str {
                match self { $(Self::$name => $condition,)* }
            }
        }
    };
}

violations! {
    // Before AMQP: the transport just closes.
    /// The first bytes are no protocol header we know (amqp-1.0 §2.2).
    UnknownProtocol => "amqp:connection:framing-error",
    /// TLS was asked for where none is configured.
    TlsNotOffered => "amqp:connection:framing-error",
    /// AMQP was asked for in clear where encryption is required.
    EncryptionMissing => "amqp:connection:policy-error",
    /// SASL is required and was left out.
    SkippedAuthentication => "amqp:connection:policy-error",
    /// A SASL frame that does not fit the state, or not a SASL frame at all.
    SaslSequence => "amqp:connection:framing-error",
    /// The credentials do not hold.
    AuthenticationFailed => "amqp:unauthorized-access",
    /// No mechanism in common.
    NoMechanism => "amqp:unauthorized-access",
    /// The peer answered with another protocol than was asked for.
    HeaderMismatch => "amqp:connection:framing-error",
    /// No Open in time.
    HandshakeTimeout => "amqp:not-allowed",

    // Connection.
    /// A frame that cannot be decoded.
    Decode => "amqp:decode-error",
    /// A frame with a bad size, data offset or type (amqp-1.0 §2.3).
    Framing => "amqp:connection:framing-error",
    /// A frame that does not fit the state of the connection.
    Sequence => "amqp:not-allowed",
    /// Silence for longer than the idle time-out (amqp-1.0 §2.4.5).
    IdleTimeout => "amqp:resource-limit-exceeded",
    /// No Close in answer to ours.
    CloseTimeout => "amqp:connection:forced",
    /// A channel beyond channel-max (amqp-1.0 §2.7.1).
    ChannelBeyondMax => "amqp:connection:framing-error",
    /// A Begin on a channel in use.
    ChannelInUse => "amqp:not-allowed",
    /// A frame for a channel without session.
    ChannelUnmapped => "amqp:not-allowed",
    /// A Begin that answers nothing.
    BeginUnasked => "amqp:invalid-field",
    /// A handle beyond handle-max (amqp-1.0 §2.7.2).
    HandleBeyondMax => "amqp:connection:framing-error",
    /// A frame for a handle without link.
    HandleUnattached => "amqp:invalid-field",
    /// The name of a live link of the same session and direction.
    LinkNameInUse => "amqp:invalid-field",
    /// More empty frames or empty transfers than the budget pays for.
    TooManyEmptyFrames => "amqp:resource-limit-exceeded",

    // Session.
    /// More transfers than the incoming window allows (amqp-1.0 §2.5.6).
    WindowExceeded => "amqp:session:window-violation",
    /// An Attach on a handle in use.
    HandleInUse => "amqp:session:handle-in-use",
    /// More links than the peer left handles for the answers.
    HandlesExhausted => "amqp:resource-limit-exceeded",
    /// A delivery-id out of sequence, or none where there must be one.
    DeliveryIdOutOfSequence => "amqp:invalid-field",
    /// A disposition whose range runs backwards.
    DispositionRange => "amqp:invalid-field",
    /// States of deliveries that stay unsettled, told oftener than the budget pays for.
    TooManyStates => "amqp:resource-limit-exceeded",
    /// More unsettled deliveries than the session may hold.
    TooManyUnsettled => "amqp:resource-limit-exceeded",

    // Link.
    /// More deliveries than credit (amqp-1.0 §2.6.7).
    CreditExceeded => "amqp:link:transfer-limit-exceeded",
    /// A transfer towards the sender of a link.
    TransferToSender => "amqp:not-allowed",
    /// A delivery without a tag (amqp-1.0 §2.7.5).
    DeliveryTagMissing => "amqp:invalid-field",
    /// A delivery of more frames than allowed.
    TooManyTransfers => "amqp:resource-limit-exceeded",
}

macro_rules! errors {
    ($(
        $(#[$doc:meta])*
        $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }
    )*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// The error condition (amqp-1.0 §2.8.14 ff.).
            pub condition: Symbol,
            /// For people: goes to the peer as description and into the log.
            pub text: Str,
            /// Who found what.
            pub by: By,
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $name {
            pub(crate) fn local(violation: Violation, text: impl Into<Str>) -> Self {
                let condition = Symbol::from(violation.condition());
                let by = By::Local(violation);
                Self { condition, text: text.into(), by, $($field: Default::default(),)* }
            }

            /// The error in the form it takes on the wire.
            pub fn to_amqp(&self) -> AmqpError {
                AmqpError {
                    condition: self.condition.clone(),
                    description: Some(self.text.clone()),
                    info: None,
                }
            }

            /// The misdeed, if we found one.
            pub const fn violation(&self) -> Option<Violation> {
                match self.by {
                    By::Local(violation) => Some(violation),
                    By::Remote => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} {}", self.condition, self.text)
            }
        }

        impl std::error::Error for $name {}
    )* };
}

errors! {
    /// Ends one link; the engine has queued the detach.
    LinkError {}
    /// Ends one session; the engine has queued the end.
    SessionError {}
    /// Ends the connection; the engine has queued whatever the peer may be told.
    ConnectionError {
        /// Whether the peer was told nothing: the transport just closes.
        quiet: bool,
    }
}

impl ConnectionError {
    pub(crate) fn remote(condition: &'static str, text: impl Into<Str>) -> Self {
        Self {
            condition: Symbol::from(condition),
            text: text.into(),
            by: By::Remote,
            quiet: true,
        }
    }
}

/// Why a command cannot be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitError {
    /// No channel is free up to the lower channel-max of both sides.
    Channels,
    /// No handle is free up to the peer's handle-max.
    Handles,
    /// The session has a live link of that name and direction.
    NameInUse,
    /// The connection is not open, or the session or link is gone.
    Closed,
    /// The frame would exceed the peer's max-frame-size.
    FrameSize,
}

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channels => "no channel is free",
            Self::Handles => "no handle is free",
            Self::NameInUse => "the link name is in use",
            Self::Closed => "connection, session or link is not open",
            Self::FrameSize => "the frame exceeds the peer's max-frame-size",
        })
    }
}

impl std::error::Error for LimitError {}
