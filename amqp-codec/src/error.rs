//! Owns `DecodeError`: what was wrong with some bytes, and where.
//! It never holds bytes, text or a source: it is `Copy` and eight bytes long.
//! Decision: one flat kind for every layer of the codec, since a peer that sends bad bytes gets
//! the same `amqp:decode-error` whichever layer noticed; the kinds exist for logs and tests.

use std::fmt;

/// Why bytes could not be decoded, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DecodeError {
    /// What was wrong.
    pub kind: DecodeErrorKind,
    /// Offset in bytes from the start of the input given to the decoding function.
    pub at: u32,
}

impl DecodeError {
    /// An error at `at` bytes from the start of the input; an offset beyond 4 GiB saturates.
    #[must_use]
    pub fn new(kind: DecodeErrorKind, at: usize) -> Self {
        Self {
            kind,
            at: u32::try_from(at).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.at)
    }
}

impl std::error::Error for DecodeError {}

/// The ways in which bytes can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DecodeErrorKind {
    /// A compound's count is odd for a map, or larger than its bytes can hold.
    InvalidCount,
    /// A frame's data offset is below two words or beyond the frame (amqp-1.0 §2.3.1).
    InvalidDataOffset,
    /// A section appears twice in one message (amqp-1.0 §3.2).
    DuplicateSection,
    /// A message of no bytes.
    Empty,
    /// A frame larger than the limit in force.
    FrameTooLarge,
    /// A frame size below the eight bytes of its own header (amqp-1.0 §2.3.1).
    FrameTooSmall,
    /// A byte that is no format code (amqp-1.0 §1.2).
    InvalidFormatCode,
    /// A frame type that is neither AMQP nor SASL (amqp-1.0 §2.3.1).
    InvalidFrameType,
    /// A compound's size disagrees with its contents.
    InvalidLength,
    /// A symbol with a byte that is not ASCII (amqp-1.0 §1.6.21).
    InvalidSymbol,
    /// A string that is not UTF-8 (amqp-1.0 §1.6.20).
    InvalidUtf8,
    /// A value outside the choices of its type.
    InvalidValue,
    /// A mandatory field is null or absent.
    MissingField,
    /// A message section after one that must follow it (amqp-1.0 §3.2).
    SectionOrder,
    /// A delivery tag longer than 32 bytes (amqp-1.0 §2.8.7).
    TagTooLong,
    /// Values nested deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
    TooDeep,
    /// More array elements without bytes than
    /// [`MAX_ZERO_WIDTH_ELEMENTS`](crate::MAX_ZERO_WIDTH_ELEMENTS).
    TooManyZeroWidth,
    /// The bytes end before the value does.
    Truncated,
    /// A descriptor that has no meaning here.
    UnknownDescriptor,
    /// A well-formed value of another type than the one required.
    WrongType,
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidCount => "impossible element count",
            Self::InvalidDataOffset => "invalid data offset",
            Self::DuplicateSection => "duplicate message section",
            Self::Empty => "empty message",
            Self::FrameTooLarge => "frame larger than allowed",
            Self::FrameTooSmall => "frame smaller than its header",
            Self::InvalidFormatCode => "unknown format code",
            Self::InvalidFrameType => "unknown frame type",
            Self::InvalidLength => "size disagrees with contents",
            Self::InvalidSymbol => "symbol is not ASCII",
            Self::InvalidUtf8 => "string is not UTF-8",
            Self::InvalidValue => "value out of range",
            Self::MissingField => "mandatory field missing",
            Self::SectionOrder => "message section out of order",
            Self::TagTooLong => "delivery tag longer than 32 bytes",
            Self::TooDeep => "values nested too deeply",
            Self::TooManyZeroWidth => "too many array elements without bytes",
            Self::Truncated => "bytes end too early",
            Self::UnknownDescriptor => "unknown descriptor",
            Self::WrongType => "value of the wrong type",
        })
    }
}
