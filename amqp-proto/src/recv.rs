//! Plaintext on its way in.
//!
//! Owns [`RecvBuf`]: chunks as they were read, and a carry for a frame that is not yet whole.
//! Never decodes more than a frame header.
//!
//! Decision: whole frames are cut from the chunk without a copy; only the start of an incomplete
//! one is copied, so that the chunk is free for reuse and an idle connection holds nothing.

use std::collections::VecDeque;

use amqp_codec::{DecodeError, FrameHeader};
use bytes::{Bytes, BytesMut};

/// A carry starts with room for at most this much, however large the announced frame.
const CARRY_FIRST: usize = 64 * 1024;

/// Length of a protocol header (amqp-1.0 §2.2).
pub(crate) const PROTOCOL_HEADER: usize = 8;

/// Plaintext that has arrived and was not yet taken.
#[derive(Debug, Default)]
pub struct RecvBuf {
    /// The start of an incomplete frame; comes before `front`.
    carry: BytesMut,
    front: Bytes,
    rest: VecDeque<Bytes>,
}

impl RecvBuf {
    /// An empty buffer; holds no memory.
    pub fn new() -> Self {
        Self {
            carry: BytesMut::new(),
            front: Bytes::new(),
            rest: VecDeque::new(),
        }
    }

    /// Appends a freshly read chunk.
    pub fn push(&mut self, chunk: Bytes) {
        if self.front.is_empty() {
            self.front = chunk;
        } else if !chunk.is_empty() {
            self.rest.push_back(chunk);
        }
    }

    /// The number of bytes not yet taken.
    pub fn len(&self) -> usize {
        self.carry.len() + self.front.len() + self.rest.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether every byte was taken.
    pub fn is_empty(&self) -> bool {
        self.carry.is_empty() && self.front.is_empty()
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Takes what comes next, as long as no frame has been asked for: for who reads something else
    /// than AMQP.
    pub fn pop(&mut self) -> Option<Bytes> {
        if !self.carry.is_empty() {
            return Some(std::mem::take(&mut self.carry).freeze());
        }
        let next = self.rest.pop_front().unwrap_or_default();
        let chunk = std::mem::replace(&mut self.front, next);
        (!chunk.is_empty()).then_some(chunk)
    }

    /// Up to `max` of the bytes that come next, without taking them.
    pub(crate) fn peek(&self, max: usize) -> Vec<u8> {
        let chunks = [&self.carry[..], &self.front[..]];
        let all = chunks
            .into_iter()
            .chain(self.rest.iter().map(|chunk| &chunk[..]));
        all.flatten().take(max).copied().collect()
    }

    /// Takes a protocol header's worth of bytes, if there.
    pub(crate) fn next_header(&mut self) -> Option<[u8; PROTOCOL_HEADER]> {
        let header = <[u8; PROTOCOL_HEADER]>::try_from(self.peek(PROTOCOL_HEADER)).ok()?;
        self.fill_carry(PROTOCOL_HEADER);
        self.carry = BytesMut::new();
        Some(header)
    }

    /// Takes a whole frame of at most `max` bytes: its header, and all that follows the header
    /// and extended header.
    #[inline]
    pub(crate) fn next_frame(
        &mut self,
        max: u32,
    ) -> Result<Option<(FrameHeader, Bytes)>, DecodeError> {
        if self.carry.is_empty() && self.front.len() >= FrameHeader::LENGTH {
            let header = FrameHeader::parse(&self.front, max)?;
            let size = header.size as usize;
            if self.front.len() >= size {
                let mut frame = if self.front.len() == size {
                    let frame = std::mem::take(&mut self.front);
                    self.front = self.rest.pop_front().unwrap_or_default();
                    frame
                } else {
                    self.front.split_to(size)
                };
                bytes::Buf::advance(&mut frame, usize::from(header.data_offset) * 4);
                return Ok(Some((header, frame)));
            }
        }
        self.next_carried(max)
    }

    #[cold]
    fn next_carried(&mut self, max: u32) -> Result<Option<(FrameHeader, Bytes)>, DecodeError> {
        self.fill_carry(FrameHeader::LENGTH);
        if self.carry.len() < FrameHeader::LENGTH {
            return Ok(None);
        }
        let header = FrameHeader::parse(&self.carry, max)?;
        let size = header.size as usize;
        self.fill_carry(size);
        if self.carry.len() < size {
            return Ok(None);
        }
        let mut frame = std::mem::take(&mut self.carry).freeze();
        bytes::Buf::advance(&mut frame, usize::from(header.data_offset) * 4);
        Ok(Some((header, frame)))
    }

    /// Moves bytes into the carry until it holds `size` or nothing is left to move. Reserves
    /// what is needed exactly, but never much more than has arrived.
    fn fill_carry(&mut self, size: usize) {
        while self.carry.len() < size && !self.front.is_empty() {
            let missing = size - self.carry.len();
            let count = missing.min(self.front.len());
            if self.carry.capacity() < size {
                let room = (2 * (self.carry.len() + count)).max(CARRY_FIRST).min(size);
                let mut larger = BytesMut::with_capacity(room);
                larger.extend_from_slice(&self.carry);
                self.carry = larger;
            }
            self.carry.extend_from_slice(&self.front[..count]);
            bytes::Buf::advance(&mut self.front, count);
            if self.front.is_empty() {
                self.front = self.rest.pop_front().unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of this size, all of it zeros behind its header.
    fn frame(size: u32) -> Vec<u8> {
        let mut bytes = size.to_be_bytes().to_vec();
        bytes.extend_from_slice(&[2, 0, 0, 0]);
        bytes.resize(size as usize, 0);
        bytes
    }

    #[test]
    fn class_1_what_is_announced_takes_no_memory_before_it_arrives() {
        let mut input = RecvBuf::new();
        input.push(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 2, 0, 0, 0]));
        assert_eq!(input.next_frame(u32::MAX), Ok(None));
        assert!(input.carry.capacity() <= CARRY_FIRST);
        for _ in 0..100 {
            input.push(Bytes::from(vec![0; 10_000]));
            assert_eq!(input.next_frame(u32::MAX), Ok(None));
            assert!(input.carry.capacity() <= CARRY_FIRST.max(2 * input.len()));
        }
        assert_eq!(input.len(), 1_000_008);
    }

    #[test]
    fn whole_frames_are_cut_without_a_copy_and_leave_nothing() {
        let mut input = RecvBuf::new();
        let chunk = Bytes::from([frame(100), frame(20)].concat());
        input.push(chunk.clone());
        let (_, body) = input.next_frame(512).unwrap().unwrap();
        assert_eq!(body.as_ptr(), chunk[8..].as_ptr());
        assert_eq!(input.next_frame(512).unwrap().unwrap().1.len(), 12);
        assert!(input.is_empty() && input.carry.capacity() == 0);
    }

    #[test]
    fn frames_in_pieces_of_any_size_come_out_whole() {
        let bytes = [frame(8), frame(300), frame(9), frame(64)].concat();
        for piece in 1..bytes.len() {
            let (mut input, mut sizes) = (RecvBuf::new(), Vec::new());
            for chunk in bytes.chunks(piece) {
                input.push(Bytes::copy_from_slice(chunk));
                while let Some((header, body)) = input.next_frame(300).unwrap() {
                    assert_eq!(body.len() + 8, header.size as usize);
                    sizes.push(header.size);
                }
            }
            assert_eq!(sizes, [8, 300, 9, 64], "pieces of {piece}");
            assert!(input.is_empty());
        }
    }
}
