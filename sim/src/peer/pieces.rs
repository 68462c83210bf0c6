//! A delivery that is sent whole or in pieces, with time between them, or given up half-way.

use amqp_codec::DeliveryTag;
use amqp_proto::{LinkKey, OutTransfer, Payload, Sent, Time};
use bytes::Bytes;

use super::hand::Hand;
use crate::books::Books;

/// How a delivery looks on the wire.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) token: u64,
    pub(super) tag: DeliveryTag,
    pub(super) format: u32,
    pub(super) settled: bool,
}

/// What is left of a delivery.
#[derive(Debug)]
pub(super) struct Pieces {
    pub(super) label: Label,
    begun: bool,
    rest: Bytes,
    /// Bytes of a piece; the last piece may be shorter.
    piece: usize,
    /// What is left of the piece that has begun.
    offered: usize,
    /// It is given up when so many bytes are left.
    aborts_at: Option<usize>,
}

/// How far a delivery was sent.
pub(super) enum Step {
    Blocked,
    Later(Time),
    Done {
        /// Its delivery-id.
        id: u32,
        aborted: bool,
    },
}

impl Pieces {
    pub(super) fn new(label: Label, bytes: Bytes, pieces: usize, aborts_at: Option<usize>) -> Self {
        Self {
            label,
            begun: false,
            piece: bytes.len().div_ceil(pieces),
            rest: bytes,
            offered: 0,
            aborts_at,
        }
    }

    /// Sends a piece, as far as it goes, and may wait for so many microseconds before the next.
    /// `whole` is for the books.
    pub(super) fn send(
        &mut self,
        link: LinkKey,
        pause: u64,
        hand: &mut Hand<'_>,
        whole: impl FnOnce(&mut Books),
    ) -> Step {
        if self.offered == 0 {
            self.offered = self.piece.min(self.rest.len());
        }
        let aborted = self.begun && self.aborts_at.is_some_and(|at| self.rest.len() <= at);
        let more = self.offered < self.rest.len();
        let transfer = OutTransfer {
            settled: self.label.settled,
            message_format: self.label.format,
            more,
            aborted,
            ..OutTransfer::new(self.label.token, self.label.tag)
        };
        let piece = Payload::from(self.rest.slice(..self.offered));
        if !more && !aborted {
            // Before the last byte goes, so that nobody can have it earlier.
            whole(hand.books);
        }
        match hand
            .engine
            .send_transfer(link, &transfer, &[], &piece, hand.output)
        {
            Sent::Blocked => Step::Blocked,
            Sent::Part(count) => {
                self.begun = true;
                self.rest = self.rest.slice(count..);
                self.offered -= count;
                Step::Blocked
            }
            Sent::Whole if more && !aborted => {
                self.begun = true;
                self.rest = self.rest.slice(self.offered..);
                self.offered = 0;
                Step::Later(hand.now + hand.random.micros(pause.max(100)))
            }
            Sent::Whole => {
                let id = hand.engine.last_delivery_id(link);
                Step::Done { id, aborted }
            }
        }
    }
}
