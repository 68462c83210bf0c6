//! A look at the frames of one connection, for whoever traces.
//!
//! Owns [`Tapped`] and the bounded queue behind `poll_tap`; never formats anything.
//!
//! Decision: whole performatives and the first bytes of the payload are copied out, and only
//! while the tap is on; when nobody collects, frames are counted instead of kept.

use std::collections::VecDeque;

use bytes::Bytes;

/// How many frames are kept for a collector that is late.
const TAP_FRAMES: usize = 1024;

/// How many bytes of payload are shown.
const TAP_PAYLOAD: usize = 64;

/// What kind of thing passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapKind {
    /// A performative on this channel.
    Amqp(u16),
    /// A SASL performative.
    Sasl,
    /// A protocol header, all eight bytes.
    Header,
    /// An empty frame on this channel.
    Empty(u16),
}

/// One thing that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// From the peer, else to it.
    pub incoming: bool,
    /// What kind of thing it is.
    pub kind: TapKind,
    /// The encoded performative, or the header.
    pub performative: Bytes,
    /// The first bytes (at most 64) of the payload.
    pub payload: Bytes,
    /// The length of the whole payload.
    pub payload_len: usize,
    /// How many earlier ones were lost because nobody collected them.
    pub lost: u32,
}

/// The queue between engine and collector.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    queue: VecDeque<Tapped>,
    lost: u32,
}

impl Tap {
    pub(crate) fn push(
        &mut self,
        incoming: bool,
        kind: TapKind,
        performative: &[u8],
        payload: &[u8],
        payload_len: usize,
    ) {
        if self.queue.len() >= TAP_FRAMES {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        self.queue.push_back(Tapped {
            incoming,
            kind,
            performative: Bytes::copy_from_slice(performative),
            payload: Bytes::copy_from_slice(&payload[..payload.len().min(TAP_PAYLOAD)]),
            payload_len,
            lost: std::mem::take(&mut self.lost),
        });
    }

    pub(crate) fn pop(&mut self) -> Option<Tapped> {
        self.queue.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_collector_learns_how_much_it_lost() {
        let mut tap = Tap::default();
        for _ in 0..TAP_FRAMES + 3 {
            tap.push(true, TapKind::Sasl, b"p", &[0; 100], 100);
        }
        let first = tap.pop().unwrap();
        assert_eq!(
            (first.payload.len(), first.payload_len, first.lost),
            (64, 100, 0)
        );
        tap.push(false, TapKind::Header, b"AMQP\0\x01\0\0", b"", 0);
        let last = std::iter::from_fn(|| tap.pop()).last().unwrap();
        assert_eq!((last.lost, last.kind), (3, TapKind::Header));
    }
}
