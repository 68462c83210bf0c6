//! Bytes on their way out.
//!
//! Owns [`SendQueue`]: small things copied into one buffer, large chunks by reference. Never
//! writes to anything.
//!
//! Decision: copying beats a vectored write below about 1 KiB, so only larger chunks are kept by
//! reference. Memory is given back whenever the queue runs dry; what was needed last time is
//! remembered, so a busy queue allocates once a flush and an idle one holds nothing.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes, BytesMut};

/// Chunks up to this size are copied.
pub(crate) const SHARE_ABOVE: usize = 1024;

/// The first inline buffer of a queue with no history.
const INLINE_FIRST: usize = 512;

/// A queue of bytes to be written to a socket or into a transform.
#[derive(Debug, Default)]
pub struct SendQueue {
    /// What comes first.
    segments: VecDeque<Bytes>,
    /// Bytes in `segments`.
    segments_len: usize,
    /// What comes last; the place for new bytes.
    tail: BytesMut,
    /// How much inline room the last fillings took.
    room: u32,
    /// Bytes put inline since the queue was last dry.
    filled: u32,
}

impl SendQueue {
    /// Above this length, in bytes, nobody should add what can wait.
    pub const HIGH_MARK: usize = 64 * 1024;

    /// An empty queue; holds no memory.
    pub fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            segments_len: 0,
            tail: BytesMut::new(),
            room: 0,
            filled: 0,
        }
    }

    /// The number of bytes queued.
    pub fn len(&self) -> usize {
        self.segments_len + self.tail.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the high mark is reached.
    pub fn is_full(&self) -> bool {
        self.len() >= Self::HIGH_MARK
    }

    /// The buffer at the end of the queue: append to it, and do nothing else to it.
    #[inline]
    pub fn inline(&mut self) -> &mut BytesMut {
        if self.tail.capacity() == 0 {
            let room = (self.room as usize).clamp(INLINE_FIRST, Self::HIGH_MARK);
            self.tail = BytesMut::with_capacity(room);
        }
        &mut self.tail
    }

    /// Appends a chunk, by reference if it is large.
    pub fn push_shared(&mut self, chunk: Bytes) {
        if chunk.len() <= SHARE_ABOVE {
            self.inline().extend_from_slice(&chunk);
            return;
        }
        self.seal_tail();
        self.segments_len += chunk.len();
        self.segments.push_back(chunk);
    }

    /// Moves everything out of `other` to the end of this queue.
    pub fn append(&mut self, other: &mut Self) {
        if other.is_empty() {
            return;
        }
        if other.len() <= SHARE_ABOVE {
            for segment in &other.segments {
                self.inline().extend_from_slice(segment);
            }
            self.inline().extend_from_slice(&other.tail);
        } else {
            self.seal_tail();
            other.seal_tail();
            self.segments_len += other.segments_len;
            self.segments.append(&mut other.segments);
        }
        other.segments.clear();
        other.segments_len = 0;
        other.tail.clear();
        other.give_back();
    }

    /// Points `slices` at what comes first and says how many it used.
    pub fn io_slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let tail = (!self.tail.is_empty()).then_some(&self.tail[..]);
        let all = self.segments.iter().map(|segment| &segment[..]).chain(tail);
        let mut used = 0;
        for (slice, bytes) in slices.iter_mut().zip(all) {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        used
    }

    /// Drops the first `count` bytes (at most all): they have been written.
    pub fn consume(&mut self, mut count: usize) {
        while let Some(first) = self.segments.front_mut() {
            if count < first.len() {
                first.advance(count);
                self.segments_len -= count;
                return;
            }
            count -= first.len();
            self.segments_len -= first.len();
            self.segments.pop_front();
        }
        self.filled = self
            .filled
            .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.tail.advance(count.min(self.tail.len()));
        if self.tail.is_empty() {
            self.give_back();
        }
    }

    /// A copy of everything queued.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        self.segments
            .iter()
            .for_each(|segment| bytes.extend_from_slice(segment));
        bytes.extend_from_slice(&self.tail);
        bytes
    }

    /// Closes the inline buffer so that something can be queued behind it by reference.
    fn seal_tail(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let sealed = self.tail.split().freeze();
        self.filled = self
            .filled
            .saturating_add(u32::try_from(sealed.len()).unwrap_or(u32::MAX));
        self.segments_len += sealed.len();
        self.segments.push_back(sealed);
    }

    /// Frees all memory of a dry queue and remembers how much it took.
    fn give_back(&mut self) {
        let filled = std::mem::take(&mut self.filled);
        self.room = filled.max(self.room / 2);
        self.tail = BytesMut::new();
        self.segments = VecDeque::new();
    }
}
