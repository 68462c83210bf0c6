//! Owns protocol headers and frame headers (amqp-1.0 §2.2 and §2.3).
//! It never reads a frame's body. Decision: a frame's size is judged against the limit the moment
//! its header is known, before anyone reserves memory for it.

use crate::error::{DecodeError, DecodeErrorKind};
use bytes::{BufMut as _, BytesMut};

/// The largest frame every peer must accept, in bytes (amqp-1.0 §2.8.19).
pub const MIN_MAX_FRAME_SIZE: u32 = 512;

/// What each side sends first (amqp-1.0 §2.2, §5.2, §5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProtocolHeader {
    /// AMQP 1.0.0.
    Amqp,
    /// TLS inside the connection, 1.0.0.
    Tls,
    /// SASL 1.0.0.
    Sasl,
}

impl ProtocolHeader {
    /// Length on the wire, in bytes.
    pub const LENGTH: usize = 8;

    /// The header that these bytes are, if any.
    #[must_use]
    pub fn parse(bytes: &[u8; Self::LENGTH]) -> Option<Self> {
        [Self::Amqp, Self::Tls, Self::Sasl]
            .into_iter()
            .find(|header| header.bytes() == bytes)
    }

    /// The bytes on the wire.
    #[must_use]
    pub const fn bytes(self) -> &'static [u8; Self::LENGTH] {
        match self {
            Self::Amqp => b"AMQP\x00\x01\x00\x00",
            Self::Tls => b"AMQP\x02\x01\x00\x00",
            Self::Sasl => b"AMQP\x03\x01\x00\x00",
        }
    }
}

/// Whose frames these are (amqp-1.0 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FrameType {
    /// A frame of a connection.
    Amqp = 0,
    /// A frame of the SASL layer.
    Sasl = 1,
}

/// The first eight bytes of a frame (amqp-1.0 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The whole frame, this header included, in bytes.
    pub size: u32,
    /// Where the body begins, in words of four bytes.
    pub data_offset: u8,
    /// Whose frame it is.
    pub frame_type: FrameType,
    /// The channel; without meaning in SASL frames.
    pub channel: u16,
}

impl FrameHeader {
    /// Length on the wire, in bytes.
    pub const LENGTH: usize = 8;

    /// Reads a frame header and checks it: the size against `max` (and against
    /// [`MIN_MAX_FRAME_SIZE`] for SASL, amqp-1.0 §5.3.1), the data offset against the size.
    #[inline]
    pub fn parse(bytes: &[u8], max: u32) -> Result<Self, DecodeError> {
        let Some(&[a, b, c, d, data_offset, frame_type, high, low]) = bytes.first_chunk() else {
            return Err(DecodeError::new(DecodeErrorKind::Truncated, bytes.len()));
        };
        let size = u32::from_be_bytes([a, b, c, d]);
        let (frame_type, max) = match frame_type {
            0 => (FrameType::Amqp, max),
            1 => (FrameType::Sasl, max.min(MIN_MAX_FRAME_SIZE)),
            _ => return Err(DecodeError::new(DecodeErrorKind::InvalidFrameType, 5)),
        };
        if size > max {
            return Err(DecodeError::new(DecodeErrorKind::FrameTooLarge, 0));
        }
        if size < 8 {
            return Err(DecodeError::new(DecodeErrorKind::FrameTooSmall, 0));
        }
        if data_offset < 2 || u32::from(data_offset) * 4 > size {
            return Err(DecodeError::new(DecodeErrorKind::InvalidDataOffset, 4));
        }
        let channel = u16::from_be_bytes([high, low]);
        Ok(Self {
            size,
            data_offset,
            frame_type,
            channel,
        })
    }

    /// Where the body begins, in bytes from the frame's start.
    #[must_use]
    pub fn body_offset(&self) -> usize {
        usize::from(self.data_offset) * 4
    }

    /// The length of the body in bytes; 0 for a frame that only breaks silence.
    #[must_use]
    pub fn body_length(&self) -> usize {
        (self.size as usize).saturating_sub(self.body_offset())
    }
}

/// Where a frame was begun.
#[derive(Clone, Copy, Debug)]
#[must_use = "a frame that was begun must be ended"]
pub struct FrameMark(usize);

/// Appends a frame header whose size [`end_frame`] fills in.
#[inline]
pub fn begin_frame(out: &mut BytesMut, frame_type: FrameType, channel: u16) -> FrameMark {
    let mark = FrameMark(out.len());
    let [high, low] = channel.to_be_bytes();
    out.put_slice(&[0, 0, 0, 0, 2, frame_type as u8, high, low]);
    mark
}

/// Fills in the size of the frame that began at `mark`; `extra_payload` bytes of it follow by
/// reference, not in `out`.
///
/// # Panics
/// If the frame reaches 4 GiB.
#[inline]
pub fn end_frame(out: &mut BytesMut, mark: FrameMark, extra_payload: usize) {
    let size = u32::try_from(out.len() - mark.0 + extra_payload).expect("frames are below 4 GiB");
    out[mark.0..mark.0 + 4].copy_from_slice(&size.to_be_bytes());
}
