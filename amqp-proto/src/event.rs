//! What a connection tells its owner, and the parts of a transfer.
//!
//! Owns [`Event`], [`InTransfer`], [`OutTransfer`] and [`Sent`]; never holds state.
//!
//! Decision: one flat enum in wire order; rare large variants are boxed so that a transfer, the
//! common event, decides the size.

use amqp_codec::{
    AmqpError, Attach, Begin, DeliveryState, DeliveryTag, Disposition, Open, Str, Symbol,
};

use crate::error::{LinkError, SessionError};
use crate::key::{LinkKey, SessionKey};
use crate::payload::Payload;
use crate::sasl::SaslStep;

/// Something that happened on a connection. Each session's last event is `Ended` or
/// `SessionFailed`; each link's last is `Detached` or `LinkFailed`, or its session's last.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The security layer cannot go on without the owner: until
    /// [`Connection::reply_sasl`](crate::Connection::reply_sasl) no further event comes.
    Sasl(Box<SaslStep>),
    /// The security layer succeeded, and the engine decided that itself.
    Authenticated {
        /// The mechanism both agreed on.
        mechanism: Symbol,
        /// Who the peer is (acceptor) or who we are (initiator).
        user: Str,
    },
    /// The peer's Open. An acceptor now calls [`Connection::open`](crate::Connection::open);
    /// until then no further event comes.
    Opened(Box<Open>),
    /// The peer's Begin.
    Begun {
        /// The session.
        session: SessionKey,
        /// What the peer said.
        begin: Box<Begin>,
        /// Whether it answers ours; if not, call `answer_begin`.
        answer: bool,
    },
    /// The peer's Attach.
    Attached {
        /// Its session.
        session: SessionKey,
        /// The link.
        link: LinkKey,
        /// What the peer said.
        attach: Box<Attach>,
        /// Whether it answers ours; if not, call `answer_attach`.
        answer: bool,
    },
    /// The peer's Flow, already booked: look at `credit`, `drain_requested`, `session_window`.
    Flow {
        /// Its session.
        session: SessionKey,
        /// The link, unless the flow is about the session alone.
        link: Option<LinkKey>,
        /// Whether an answer is asked for and within the budget: call `send_flow`.
        echo: bool,
    },
    /// One frame of a delivery.
    Transfer {
        /// The link.
        link: LinkKey,
        /// What the frame says.
        delivery: InTransfer,
        /// What it carries.
        payload: Payload,
    },
    /// The peer's Disposition: give it to `disposed` for the tokens.
    Disposition {
        /// Its session.
        session: SessionKey,
        /// What the peer said.
        disposition: Disposition,
    },
    /// The peer's Detach. Answer it with `detach` unless it is an answer; then `forget_link`.
    Detached {
        /// The link.
        link: LinkKey,
        /// Closed rather than suspended.
        closed: bool,
        /// Why.
        error: Option<Box<AmqpError>>,
        /// Whether it answers ours.
        answer: bool,
    },
    /// The peer broke the rules of one link; the engine has detached it. Call `forget_link`.
    LinkFailed {
        /// The link.
        link: LinkKey,
        /// What happened.
        error: LinkError,
    },
    /// The peer's End. Forget its links; answer it with `end` unless it is an answer.
    Ended {
        /// The session.
        session: SessionKey,
        /// Why.
        error: Option<Box<AmqpError>>,
        /// Whether it answers ours.
        answer: bool,
    },
    /// The peer broke the rules of one session; the engine has ended it. Forget its links.
    SessionFailed {
        /// The session.
        session: SessionKey,
        /// What happened.
        error: SessionError,
    },
    /// The peer's Close. Answer it with `close` unless it is an answer; then flush and hang up.
    Closed {
        /// Why.
        error: Option<Box<AmqpError>>,
        /// Whether it answers ours.
        answer: bool,
    },
}

/// One frame of an incoming delivery (amqp-1.0 §2.7.5).
#[derive(Debug, Clone, PartialEq)]
pub struct InTransfer {
    /// The delivery, unique in its session while unsettled.
    pub delivery_id: u32,
    /// Whether this is the first frame.
    pub first: bool,
    /// The tag; on the first frame only, else empty.
    pub tag: DeliveryTag,
    /// The message format; on the first frame only, else zero.
    pub message_format: u32,
    /// Whether this or an earlier frame said settled.
    pub settled: bool,
    /// Whether further frames follow.
    pub more: bool,
    /// Whether the sender gave the delivery up; its last frame.
    pub aborted: bool,
    /// The delivery state that came with this frame.
    pub state: Option<DeliveryState>,
    /// Whether the sender resumes an earlier delivery.
    pub resume: bool,
}

/// An outgoing delivery, as given to
/// [`Connection::send_transfer`](crate::Connection::send_transfer).
#[derive(Debug, Clone)]
pub struct OutTransfer<'a> {
    /// Comes back from `disposed` when the peer settles.
    pub token: u64,
    /// The tag; used on the first frame.
    pub tag: DeliveryTag,
    /// The message format; used on the first frame.
    pub message_format: u32,
    /// Whether the delivery is settled. May turn from false to true on a later call.
    pub settled: bool,
    /// The delivery state to send along.
    pub state: Option<&'a DeliveryState>,
    /// Whether more will follow after this body, in a later call.
    pub more: bool,
    /// Whether to give the delivery up; nothing is sent if it had not begun.
    pub aborted: bool,
    /// Whether the peer may delay its disposition.
    pub batchable: bool,
}

impl OutTransfer<'_> {
    /// A whole unsettled delivery of message format 0.
    pub const fn new(token: u64, tag: DeliveryTag) -> Self {
        Self {
            token,
            tag,
            message_format: 0,
            settled: false,
            state: None,
            more: false,
            aborted: false,
            batchable: false,
        }
    }
}

/// What became of a `send_transfer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Everything was taken.
    Whole,
    /// This many bytes of head and body were taken; call again with the rest.
    Part(usize),
    /// Nothing was taken: no credit, no window, or the queue is full.
    Blocked,
}
