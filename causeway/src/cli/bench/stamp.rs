//! The message of the load generator: one data section with a stamp and filler.
//!
//! Owns its bytes. The stamp – when the message was meant to leave, and its number – stands at the
//! start of the body, so that a receiver finds it in the first frame however long the message is.

use amqp_codec::message::{self, Depth};
use amqp_proto::{Payload, Time};
use bytes::Bytes;

use crate::cli::bench::load::STAMP_LENGTH;

/// The longest head: section header and stamp.
const HEAD_LENGTH_MAX: usize = 8 + STAMP_LENGTH;

/// What a message says about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// When it was meant to be sent.
    pub due: Time,
    /// Its number on its link.
    pub number: u64,
}

/// Messages of one size.
#[derive(Clone, Debug)]
pub struct Template {
    head: [u8; HEAD_LENGTH_MAX],
    section: usize,
    stamped: bool,
    filler: Payload,
}

impl Template {
    /// Messages whose body is `size` bytes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let mut head = [0; HEAD_LENGTH_MAX];
        head[..3].copy_from_slice(&[0x00, 0x53, 0x75]);
        let section = if let Ok(short) = u8::try_from(size) {
            head[3..5].copy_from_slice(&[0xa0, short]);
            5
        } else {
            head[3] = 0xb0;
            // The options take no size above 4 GB.
            let long = u32::try_from(size).unwrap_or(u32::MAX);
            head[4..8].copy_from_slice(&long.to_be_bytes());
            8
        };
        let stamped = size >= STAMP_LENGTH;
        let filler = if stamped { size - STAMP_LENGTH } else { size };
        let filler: Vec<u8> = (b'a'..=b'z').cycle().take(filler).collect();
        Self { head, section, stamped, filler: Bytes::from(filler).into() }
    }

    /// What follows the head; the same for each message.
    #[must_use]
    pub fn body(&self) -> &Payload {
        &self.filler
    }

    /// The head of the message with this stamp.
    pub fn head(&mut self, stamp: Stamp) -> &[u8] {
        if !self.stamped {
            return &self.head[..self.section];
        }
        let end = self.section + STAMP_LENGTH;
        let (due, number) = self.head[self.section..end].split_at_mut(8);
        due.copy_from_slice(&stamp.due.as_nanos().to_be_bytes());
        number.copy_from_slice(&stamp.number.to_be_bytes());
        &self.head[..end]
    }
}

/// Reads the stamp from the first frame of a message; `None` if it has none. What a router put
/// before the data section is skipped.
#[must_use]
pub fn read(frame: &Payload) -> Option<Stamp> {
    let first = frame.chunks().first()?;
    let mut rest: &[u8] = first;
    if !rest.starts_with(&[0x00, 0x53, 0x75]) {
        let sections = message::scan(frame.chunks(), Depth::ApplicationProperties).ok()?;
        rest = first.get(usize::try_from(sections.rest).ok()?..)?;
    }
    let body = match rest {
        [0x00, 0x53, 0x75, 0xa0, _, body @ ..] => body,
        [0x00, 0x53, 0x75, 0xb0, _, _, _, _, body @ ..] => body,
        _ => return None,
    };
    let (due, body) = body.split_first_chunk()?;
    let (number, _) = body.split_first_chunk()?;
    let due = Time::from_nanos(u64::from_be_bytes(*due));
    Some(Stamp { due, number: u64::from_be_bytes(*number) })
}
