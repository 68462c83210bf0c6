//! The shard's receive window: a socket reads into its free block, and what was read is handed on.
//! Idle connections hold no receive buffer.
//!
//! A long read leaves with its block, by reference; a handle to the block stays here, and once
//! nobody else has a slice of it, it is read into again as it is: memory is zeroed when it is taken
//! from the system and never after. As many handles stay as consumers leave blocks waiting, up to a
//! limit: taking a block from the system costs more than to fill it. What is not needed any more is
//! given back within seconds. A short read is copied to where other short ones are, and the block
//! is free again: it would keep more memory alive than it has bytes. What is not clear is opened
//! where it lies, and the block is free at once.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::limits;

/// A read is never offered less room than this, in bytes.
const LEAST: usize = 16 * 1024;

/// Bytes of a block: the longest read.
const BLOCK: usize = limits::READ_BYTES_PER_TURN;

/// Blocks handed on that may be read into again later, however long that takes.
const BLOCKS_KEPT: usize = limits::RECEIVE_WINDOW / BLOCK;

/// The same while many are handed on and come back.
const BLOCKS_KEPT_BUSY: usize = limits::RECEIVE_WINDOW_BUSY / BLOCK;

/// Blocks that are looked at to find one that nobody has any more: to look at more costs as much as
/// to take another from the system.
const LOOKED_AT: usize = 32;

/// Reads up to this many bytes are copied out of their block: half of it.
const SHORT: usize = BLOCK / 2;

/// The window.
#[derive(Debug)]
pub(super) struct ReadWindow {
    /// What the next read goes into. All of it is initialised, and nobody else has any of it.
    free: BytesMut,
    /// Blocks that were handed on, those first that were not looked at for the longest time.
    given: VecDeque<Bytes>,
    /// Room for short reads.
    short: BytesMut,
}

impl ReadWindow {
    /// A window that takes memory when it is first used.
    pub(super) fn new() -> Self {
        Self {
            free: BytesMut::new(),
            given: VecDeque::new(),
            short: BytesMut::new(),
        }
    }

    /// The free block, at least 16 KiB of it.
    pub(super) fn free(&mut self) -> &mut [u8] {
        if self.free.len() < LEAST {
            self.free = self.next_block();
        }
        &mut self.free
    }

    /// The first `count` bytes of what [`free`](Self::free) gave, which have been read.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        let count = count.min(self.free.len());
        if count <= SHORT {
            return self.take_short(count);
        }
        let block = std::mem::take(&mut self.free).freeze();
        let read = block.slice(..count);
        if self.given.len() == BLOCKS_KEPT_BUSY {
            self.given.pop_front();
        }
        self.given.push_back(block);
        read
    }

    /// The same bytes for one who is done with the bytes at once: they stay where they are.
    pub(super) fn read_mut(&mut self, count: usize) -> &mut [u8] {
        let count = count.min(self.free.len());
        &mut self.free[..count]
    }

    /// Whether there are more blocks than an idle shard should have.
    pub(super) fn has_surplus(&self) -> bool {
        self.given.len() > BLOCKS_KEPT
    }

    /// Gives back half of the blocks that nobody has; to be called once a second.
    pub(super) fn relax(&mut self) {
        let unused = self.given.iter().filter(|block| block.is_unique()).count();
        let surplus = self.given.len().saturating_sub(BLOCKS_KEPT);
        let mut over = unused.div_ceil(2).min(surplus);
        self.given.retain(|block| {
            let goes = over > 0 && block.is_unique();
            over -= usize::from(goes);
            !goes
        });
    }

    fn take_short(&mut self, count: usize) -> Bytes {
        if self.short.capacity() < count {
            self.short.reserve(BLOCK);
        }
        self.short.extend_from_slice(&self.free[..count]);
        self.short.split().freeze()
    }

    /// A block that is free again, or a new one.
    fn next_block(&mut self) -> BytesMut {
        for _ in 0..self.given.len().min(LOOKED_AT) {
            match self.given.pop_front().map(Bytes::try_into_mut) {
                Some(Ok(block)) => return block,
                Some(Err(held)) => self.given.push_back(held),
                None => break,
            }
        }
        BytesMut::zeroed(BLOCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_stays_while_the_window_goes_on() {
        for length in [10, SHORT, SHORT + 1, BLOCK] {
            let mut window = ReadWindow::new();
            let mut kept = Vec::new();
            for round in 0..100u8 {
                let free = window.free();
                assert!(free.len() >= LEAST);
                let length = length.min(free.len());
                free[..length].fill(round);
                kept.push(match round % 3 {
                    0 => Bytes::copy_from_slice(window.read_mut(length)),
                    _ => window.take(length),
                });
            }
            for (round, bytes) in kept.iter().enumerate() {
                assert!(bytes.len() == length || bytes.len() >= LEAST);
                assert!(bytes.iter().all(|&byte| usize::from(byte) == round));
            }
        }
    }

    #[test]
    fn a_block_is_read_into_again_once_nobody_has_a_slice_of_it() {
        let mut window = ReadWindow::new();
        let mut blocks = std::collections::BTreeSet::new();
        for _ in 0..100 {
            blocks.insert(window.free().as_ptr());
            let first = window.take(BLOCK);
            blocks.insert(window.free().as_ptr());
            let second = window.take(BLOCK).slice(100..200);
            drop((first, second));
        }
        assert_eq!(blocks.len(), 2);
    }

    #[test]
    fn short_reads_share_memory() {
        let mut window = ReadWindow::new();
        let block = window.free().as_ptr();
        let reads: Vec<_> = (0..100).map(|_| window.take(100)).collect();
        assert_eq!(window.free().as_ptr(), block);
        let span = reads[99].as_ptr() as usize - reads[0].as_ptr() as usize;
        assert_eq!(span, 99 * 100);
    }

    #[test]
    fn no_more_blocks_are_kept_than_the_limit_says() {
        let mut window = ReadWindow::new();
        let held: Vec<_> = (0..BLOCKS_KEPT_BUSY + 6)
            .map(|_| {
                window.free();
                window.take(BLOCK)
            })
            .collect();
        assert_eq!(window.given.len(), BLOCKS_KEPT_BUSY);
        assert_eq!(held.iter().filter(|bytes| bytes.is_unique()).count(), 6);
    }

    #[test]
    fn what_is_not_needed_any_more_is_given_back() {
        let mut window = ReadWindow::new();
        let read = |window: &mut ReadWindow| {
            window.free();
            window.take(BLOCK)
        };
        let held: Vec<_> = (0..40).map(|_| read(&mut window)).collect();
        window.relax();
        assert_eq!(window.given.len(), 40, "all are needed");
        drop(held);
        let mut kept = Vec::new();
        while window.has_surplus() {
            window.relax();
            kept.push(window.given.len());
        }
        assert_eq!(kept, [20, 10, 5, 4]);
    }
}
