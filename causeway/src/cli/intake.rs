//! The receiving end of a link for people: whole messages out of frames, credit, settlement.
//!
//! Owns the message under construction and the credit of one link; it prints nothing. Credit never
//! exceeds the number of messages still wanted: what a person did not ask for stays with the
//! sender.

use amqp_codec::message::{self, Message};
use amqp_codec::{DecodeError, DeliveryState, Role};
use amqp_proto::{InTransfer, LinkKey, Payload};
use bytes::{Bytes, BytesMut};

use crate::cli::client::Client;
use crate::cli::failure::Failure;

/// Messages that may be on their way to a person at once.
pub const WINDOW: u32 = 100;
/// The longest message that is taken, in bytes.
const MESSAGE_LENGTH_MAX: usize = 1 << 30;

/// A message that has arrived whole.
pub struct Arrival {
    /// Its bytes.
    pub bytes: Bytes,
    /// What they say.
    pub message: Result<Message, DecodeError>,
    /// Its id in the session.
    pub delivery_id: u32,
    /// Whether the sender wants no outcome.
    pub settled: bool,
}

/// One receiving link.
#[derive(Debug)]
pub struct Intake {
    link: LinkKey,
    parts: Payload,
    length: usize,
    wanted: u64,
}

impl Intake {
    /// The intake of an attached link that wants `wanted` messages; no credit is given yet.
    #[must_use]
    pub fn new(link: LinkKey, wanted: u64) -> Self {
        Self {
            link,
            parts: Payload::new(),
            length: 0,
            wanted,
        }
    }

    /// The link.
    #[must_use]
    pub fn link(&self) -> LinkKey {
        self.link
    }

    /// Messages still wanted.
    #[must_use]
    pub fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Credit to give at once.
    #[must_use]
    pub fn window(&self) -> u32 {
        u32::try_from(self.wanted).unwrap_or(WINDOW).min(WINDOW)
    }

    /// Gives the first credit, or renews it when half of it is used up.
    pub fn renew(&self, client: &mut Client) {
        let wire = client.wire();
        let window = self.window();
        let credit = wire.connection.credit(self.link);
        if credit < window && credit <= WINDOW / 2 {
            wire.connection
                .set_credit(self.link, window, false, &mut wire.output);
        }
    }

    /// Takes one frame; the message if that makes it whole.
    ///
    /// # Errors
    /// If the message is too long.
    pub fn take(
        &mut self,
        delivery: &InTransfer,
        payload: Payload,
    ) -> Result<Option<Arrival>, Failure> {
        if delivery.aborted {
            self.parts = Payload::new();
            return Ok(None);
        }
        self.length = if delivery.first { 0 } else { self.length } + payload.len();
        if self.length > MESSAGE_LENGTH_MAX {
            let limit = MESSAGE_LENGTH_MAX >> 30;
            return Err(Failure::new(format!(
                "a message is longer than {limit} GiB"
            )));
        }
        self.parts.append(payload);
        if delivery.more {
            return Ok(None);
        }
        let parts = std::mem::take(&mut self.parts);
        let bytes = match parts.chunks() {
            [one] => one.clone(),
            many => many
                .iter()
                .fold(BytesMut::with_capacity(self.length), |mut whole, part| {
                    whole.extend_from_slice(part);
                    whole
                })
                .freeze(),
        };
        self.wanted = self.wanted.saturating_sub(1);
        let message = message::parse(&bytes);
        let (delivery_id, settled) = (delivery.delivery_id, delivery.settled);
        Ok(Some(Arrival {
            bytes,
            message,
            delivery_id,
            settled,
        }))
    }
}

/// Settles a message with an outcome, unless the sender wants none.
pub fn settle(client: &mut Client, arrival: &Arrival, outcome: DeliveryState) {
    if !arrival.settled {
        let session = client.session();
        let wire = client.wire();
        let (id, role) = (arrival.delivery_id, Role::Receiver);
        wire.connection
            .queue_disposition(session, role, id, true, Some(outcome));
        wire.connection
            .flush_dispositions(session, &mut wire.output);
        wire.connection.flush_session(session, &mut wire.output);
    }
}
