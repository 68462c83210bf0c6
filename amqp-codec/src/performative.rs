//! Owns `Performative`, any of the nine (amqp-1.0 §2.7), and the choice by descriptor.
//! It never looks at the payload that follows one. Decision: the three of the data path are matched
//! on their first bytes before anything else is tried; large rare ones are boxed.

mod fields;
mod hot;

pub use fields::{Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Transfer};

use crate::composite;
use crate::cursor::Reader;
use crate::descriptor;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format;
use bytes::{Buf as _, Bytes, BytesMut};

/// What an AMQP frame says (amqp-1.0 §2.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Performative {
    /// Negotiates a connection.
    Open(Box<Open>),
    /// Begins a session.
    Begin(Box<Begin>),
    /// Attaches a link.
    Attach(Box<Attach>),
    /// Updates flow state.
    Flow(Flow),
    /// Carries a message.
    Transfer(Transfer),
    /// Tells the state of deliveries.
    Disposition(Disposition),
    /// Detaches a link.
    Detach(Detach),
    /// Ends a session.
    End(End),
    /// Closes a connection.
    Close(Close),
}

impl Performative {
    /// Reads the performative at the start of a frame's body and advances `body` past it: what is
    /// left is payload. On an error `body` is unchanged.
    pub fn decode(body: &mut Bytes) -> Result<Self, DecodeError> {
        if let [format::DESCRIBED, format::SMALL_ULONG, code, ..] = body[..] {
            match code {
                descriptor::TRANSFER => return decode_transfer(body).map(Self::Transfer),
                descriptor::FLOW => {
                    if let Some((flow, length)) = hot::flow(body) {
                        body.advance(length);
                        return Ok(Self::Flow(flow));
                    }
                }
                descriptor::DISPOSITION => {
                    if let Some((disposition, length)) = hot::disposition(body) {
                        body.advance(length);
                        return Ok(Self::Disposition(disposition));
                    }
                }
                _ => {}
            }
        }
        Self::decode_by_table(body)
    }

    /// Reads any performative without the hand-tuned forms.
    pub(crate) fn decode_by_table(body: &mut Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let list = &mut reader;
        let performative = match descriptor::read(list)? {
            Some(descriptor::OPEN) => Self::Open(Box::new(composite::read_list(list)?)),
            Some(descriptor::BEGIN) => Self::Begin(Box::new(composite::read_list(list)?)),
            Some(descriptor::ATTACH) => Self::Attach(Box::new(composite::read_list(list)?)),
            Some(descriptor::FLOW) => Self::Flow(composite::read_list(list)?),
            Some(descriptor::TRANSFER) => Self::Transfer(composite::read_list(list)?),
            Some(descriptor::DISPOSITION) => Self::Disposition(composite::read_list(list)?),
            Some(descriptor::DETACH) => Self::Detach(composite::read_list(list)?),
            Some(descriptor::END) => Self::End(composite::read_list(list)?),
            Some(descriptor::CLOSE) => Self::Close(composite::read_list(list)?),
            _ => return Err(DecodeError::new(DecodeErrorKind::UnknownDescriptor, 0)),
        };
        let length = reader.at();
        body.advance(length);
        Ok(performative)
    }

    /// Appends the performative.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Open(open) => open.encode(out),
            Self::Begin(begin) => begin.encode(out),
            Self::Attach(attach) => attach.encode(out),
            Self::Flow(flow) => flow.encode(out),
            Self::Transfer(transfer) => transfer.encode(out),
            Self::Disposition(disposition) => disposition.encode(out),
            Self::Detach(detach) => detach.encode(out),
            Self::End(end) => end.encode(out),
            Self::Close(close) => close.encode(out),
        }
    }
}

impl Transfer {
    /// Reads a transfer of the usual form at the start of a frame's body and advances `body` past
    /// it. `None` says nothing of the bytes: leave them to [`Performative::decode`].
    #[inline]
    pub fn decode_plain(body: &mut Bytes) -> Option<Self> {
        let [
            format::DESCRIBED,
            format::SMALL_ULONG,
            descriptor::TRANSFER,
            ..,
        ] = body[..]
        else {
            return None;
        };
        let (transfer, length) = hot::transfer(body)?;
        body.advance(length);
        Some(transfer)
    }
}

/// Reads a transfer at the start of a frame's body and advances `body` past it, as
/// [`Performative::decode`] does; `WrongType` if another performative stands there.
#[inline]
pub fn decode_transfer(body: &mut Bytes) -> Result<Transfer, DecodeError> {
    if let Some(transfer) = Transfer::decode_plain(body) {
        return Ok(transfer);
    }
    let mut rest = body.clone();
    match Performative::decode_by_table(&mut rest)? {
        Performative::Transfer(transfer) => {
            *body = rest;
            Ok(transfer)
        }
        _ => Err(DecodeError::new(DecodeErrorKind::WrongType, 0)),
    }
}
