//! The shard's one receive window: a socket reads into its free part, and what was read is split
//! off without a copy. Idle connections hold no receive buffer.
//!
//! When less than [`LEAST`] bytes are free the window is renewed: in place if nobody holds a slice
//! of it any more, in fresh memory otherwise.

use bytes::BytesMut;

use crate::limits;

/// A read is never offered less room than this, in bytes.
const LEAST: usize = 16 * 1024;

/// The window.
#[derive(Debug)]
pub(super) struct ReadWindow {
    free: BytesMut,
}

impl ReadWindow {
    /// A window that takes memory when it is first used.
    pub(super) fn new() -> Self {
        Self {
            free: BytesMut::new(),
        }
    }

    /// The free part, at least 16 KiB.
    pub(super) fn free(&mut self) -> &mut [u8] {
        if self.free.len() < LEAST {
            self.free.clear();
            self.free.reserve(limits::RECEIVE_WINDOW);
            self.free.resize(limits::RECEIVE_WINDOW, 0);
        }
        let room = self.free.len().min(limits::READ_BYTES_PER_TURN);
        &mut self.free[..room]
    }

    /// The first `count` bytes of what [`free`](Self::free) gave, which have been read.
    pub(super) fn take(&mut self, count: usize) -> BytesMut {
        self.free.split_to(count.min(self.free.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_stays_while_the_window_goes_on() {
        let mut window = ReadWindow::new();
        let mut kept = Vec::new();
        for round in 0..100u8 {
            let free = window.free();
            assert!(free.len() >= LEAST);
            free[..10_000].fill(round);
            kept.push(window.take(10_000).freeze());
        }
        for (round, bytes) in kept.iter().enumerate() {
            assert!(bytes.iter().all(|&byte| usize::from(byte) == round));
        }
    }
}
