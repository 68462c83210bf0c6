//! AMQP 1.0: bytes to typed values and back.
//!
//! Owns every encoding of the standard that a router meets: values, frames, performatives, message
//! sections. It never does I/O and keeps no state: each function is total on its bytes, and bad
//! input is a [`DecodeError`]. Decision: what the router does not interpret it does not parse; such
//! parts stay slices of the buffer they arrived in.
#![forbid(unsafe_code)]

mod composite;
mod compound;
pub mod condition;
mod cursor;
mod definitions;
mod descriptor;
mod encoded;
mod error;
mod format;
mod frame;
#[doc(hidden)]
pub mod fuzz;
pub mod message;
mod performative;
mod primitive;
mod sasl;
mod state;
mod terminus;
mod text;
mod trace;
mod value;

pub use compound::{MAX_DEPTH, MAX_ZERO_WIDTH_ELEMENTS};
pub use definitions::{AmqpError, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode};
pub use encoded::Encoded;
pub use error::{DecodeError, DecodeErrorKind};
pub use frame::{
    FrameHeader, FrameMark, FrameType, MIN_MAX_FRAME_SIZE, ProtocolHeader, begin_frame, end_frame,
};
pub use performative::{
    Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Performative, Transfer,
    decode_transfer,
};
pub use primitive::Timestamp;
pub use sasl::{SaslCode, SaslFrame};
pub use state::{DeliveryState, Modified};
pub use terminus::{Coordinator, Source, Target, TargetArchetype};
pub use text::{Str, Symbol};
pub use trace::{describe_frame, describe_performative};
pub use value::{Array, Map, Value};
