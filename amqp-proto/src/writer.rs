//! Frames on their way into the send queue.
//!
//! Owns the peer's frame size, the note that something was written, and the tap; never decides
//! what to write.
//!
//! Decision: one place ends every frame, so that nothing can leave unseen by the tap, by the idle
//! timer, or larger than the peer accepts.

use amqp_codec::{AmqpError, FrameType, MIN_MAX_FRAME_SIZE, begin_frame, end_frame};
use bytes::{Bytes, BytesMut};

use crate::payload::Payload;
use crate::send::{SHARE_ABOVE, SendQueue};
use crate::tap::{Tap, TapKind};

/// The largest frame we make of a transfer, in bytes, however much the peer would take: one frame
/// must not fill the send queue with what a slow peer has not asked for yet.
const TRANSFER_FRAME_MAX: u32 = 64 * 1024;

/// The frame was not written: the peer would refuse it for its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameTooLarge;

/// Writes frames.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The largest frame the peer accepts.
    pub(crate) max_frame_size: u32,
    /// Something was written since the idle timer last looked.
    pub(crate) wrote: bool,
    pub(crate) tap: Option<Box<Tap>>,
}

/// What is sent behind a performative.
pub(crate) struct Parts<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a Payload,
    /// Bytes of head and body already sent.
    pub(crate) skip: usize,
    /// Bytes to send.
    pub(crate) count: usize,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self {
            max_frame_size: u32::MAX,
            wrote: false,
            tap: None,
        }
    }

    /// Writes a protocol header.
    pub(crate) fn header(&mut self, out: &mut SendQueue, header: &[u8]) {
        out.inline().extend_from_slice(header);
        self.wrote = true;
        if let Some(tap) = &mut self.tap {
            tap.push(false, TapKind::Header, header, b"", 0);
        }
    }

    /// Writes an empty frame (amqp-1.0 §2.4.5).
    pub(crate) fn empty(&mut self, out: &mut SendQueue) {
        let buffer = out.inline();
        let mark = begin_frame(buffer, FrameType::Amqp, 0);
        end_frame(buffer, mark, 0);
        self.wrote = true;
        if let Some(tap) = &mut self.tap {
            tap.push(false, TapKind::Empty(0), b"", b"", 0);
        }
    }

    /// Writes a SASL frame.
    pub(crate) fn sasl(&mut self, out: &mut SendQueue, encode: impl FnOnce(&mut BytesMut)) {
        let buffer = out.inline();
        let start = buffer.len();
        let mark = begin_frame(buffer, FrameType::Sasl, 0);
        encode(buffer);
        end_frame(buffer, mark, 0);
        if let Some(tap) = &mut self.tap {
            tap.push(false, TapKind::Sasl, &buffer[start + HEADER..], b"", 0);
        }
    }

    /// Writes a frame without payload.
    pub(crate) fn frame(
        &mut self,
        out: &mut SendQueue,
        channel: u16,
        encode: impl FnOnce(&mut BytesMut),
    ) -> Result<(), FrameTooLarge> {
        let buffer = out.inline();
        let start = buffer.len();
        let mark = begin_frame(buffer, FrameType::Amqp, channel);
        encode(buffer);
        if buffer.len() - start > self.max_frame_size as usize {
            buffer.truncate(start);
            return Err(FrameTooLarge);
        }
        end_frame(buffer, mark, 0);
        self.wrote = true;
        if let Some(tap) = &mut self.tap {
            tap.push(
                false,
                TapKind::Amqp(channel),
                &buffer[start + HEADER..],
                b"",
                0,
            );
        }
        Ok(())
    }

    /// Writes a frame that is small by construction.
    pub(crate) fn frame_unbounded(
        &mut self,
        out: &mut SendQueue,
        channel: u16,
        encode: impl FnOnce(&mut BytesMut),
    ) {
        let written = self.frame(out, channel, encode);
        debug_assert!(
            written.is_ok(),
            "a frame of known size fits the smallest maximum"
        );
    }

    /// Writes a frame with an error, leaving out as much of the error as is needed to fit.
    pub(crate) fn frame_error(
        &mut self,
        out: &mut SendQueue,
        channel: u16,
        mut error: Option<AmqpError>,
        encode: impl Fn(Option<Box<AmqpError>>, &mut BytesMut),
    ) {
        loop {
            let boxed = error.clone().map(Box::new);
            if self
                .frame(out, channel, |buffer| encode(boxed, buffer))
                .is_ok()
            {
                return;
            }
            error = match error {
                Some(AmqpError {
                    info: Some(_),
                    condition,
                    description,
                }) => Some(AmqpError {
                    condition,
                    description,
                    info: None,
                }),
                Some(AmqpError {
                    description: Some(_),
                    condition,
                    ..
                }) => Some(AmqpError {
                    condition,
                    description: None,
                    info: None,
                }),
                Some(_) => None,
                None => return,
            };
        }
    }

    /// Writes a frame with as much of `parts` as fits and says how many bytes that was. The
    /// performative is encoded by `encode(more)`, where `more` says that the rest did not fit.
    pub(crate) fn frame_with(
        &mut self,
        out: &mut SendQueue,
        channel: u16,
        parts: &Parts<'_>,
        mut encode: impl FnMut(&mut BytesMut, bool),
    ) -> Result<usize, FrameTooLarge> {
        let max = self.max_frame_size.min(TRANSFER_FRAME_MAX) as usize;
        let buffer = out.inline();
        let start = buffer.len();
        let mut whole = parts.count < max;
        loop {
            let mark = begin_frame(buffer, FrameType::Amqp, channel);
            encode(buffer, !whole);
            let used = buffer.len() - start;
            let count = parts.count.min(max.saturating_sub(used));
            if used > max || (!whole && count < ROOM_MIN) {
                buffer.truncate(start);
                return Err(FrameTooLarge);
            }
            if whole && count < parts.count {
                buffer.truncate(start);
                whole = false;
                continue;
            }
            end_frame(buffer, mark, count);
            self.wrote = true;
            if let Some(tap) = &mut self.tap {
                let shown = parts.first_bytes();
                let performative = &buffer[start + HEADER..];
                tap.push(false, TapKind::Amqp(channel), performative, &shown, count);
            }
            parts.copy(count, out);
            return Ok(count);
        }
    }
}

/// Length of a frame header without extended header.
const HEADER: usize = 8;

/// A performative that leaves less room than this for payload is too large.
const ROOM_MIN: usize = MIN_MAX_FRAME_SIZE as usize / 4;

impl Parts<'_> {
    /// Appends `count` bytes to the queue: small pieces copied, large ones by reference.
    fn copy(&self, count: usize, out: &mut SendQueue) {
        let mut left = count;
        let mut skip = self.skip;
        if skip < self.head.len() {
            let piece = left.min(self.head.len() - skip);
            out.inline()
                .extend_from_slice(&self.head[skip..skip + piece]);
            left -= piece;
            skip = 0;
        } else {
            skip -= self.head.len();
        }
        for chunk in self.body.chunks() {
            if left == 0 {
                return;
            }
            if skip >= chunk.len() {
                skip -= chunk.len();
                continue;
            }
            let piece = left.min(chunk.len() - skip);
            if piece <= SHARE_ABOVE {
                out.inline().extend_from_slice(&chunk[skip..skip + piece]);
            } else {
                out.push_shared(chunk.slice(skip..skip + piece));
            }
            left -= piece;
            skip = 0;
        }
    }

    /// The first piece, for the tap.
    fn first_bytes(&self) -> Bytes {
        let mut rest = Payload::from(Bytes::copy_from_slice(self.head));
        rest.append(self.body.clone());
        rest.advance(self.skip);
        rest.chunks().first().cloned().unwrap_or_default()
    }
}
