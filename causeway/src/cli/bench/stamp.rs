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
pub(super) struct Stamp {
    /// When it was meant to be sent.
    pub(super) due: Time,
    /// Its number on its link.
    pub(super) number: u64,
}

/// Messages of one size.
#[derive(Clone, Debug)]
pub(super) struct Template {
    head: [u8; HEAD_LENGTH_MAX],
    section: usize,
    stamped: bool,
    filler: Payload,
}

impl Template {
    /// Messages whose body is `size` bytes.
    #[must_use]
    pub(super) fn new(size: usize) -> Self {
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
        Self {
            head,
            section,
            stamped,
            filler: Bytes::from(filler).into(),
        }
    }

    /// The message with this stamp: its head, and the body that is the same for each message.
    pub(super) fn message(&mut self, stamp: Stamp) -> (&[u8], &Payload) {
        if !self.stamped {
            return (&self.head[..self.section], &self.filler);
        }
        let end = self.section + STAMP_LENGTH;
        let (due, number) = self.head[self.section..end].split_at_mut(8);
        due.copy_from_slice(&stamp.due.as_nanos().to_be_bytes());
        number.copy_from_slice(&stamp.number.to_be_bytes());
        (&self.head[..end], &self.filler)
    }
}

/// Reads the stamp from the first frame of a message; `None` if it has none. What a router put
/// before the data section is skipped.
#[must_use]
pub(super) fn read(frame: &Payload) -> Option<Stamp> {
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
    Some(Stamp {
        due,
        number: u64::from_be_bytes(*number),
    })
}

#[cfg(test)]
mod tests {
    use amqp_codec::message::{Body, MessageBuilder, parse};

    use super::*;

    const STAMP: Stamp = Stamp {
        due: Time::from_nanos(123_456_789_012),
        number: 77,
    };

    fn whole(size: usize) -> Bytes {
        let mut template = Template::new(size);
        let (head, body) = template.message(STAMP);
        [head, &body.chunks().concat()].concat().into()
    }

    #[test]
    fn a_message_has_the_size_that_was_asked_for() {
        for size in [0, 1, 15, 16, 100, 255, 256, 100_000] {
            let Body::Data(data) = parse(&whole(size)).unwrap().body else {
                panic!("no data")
            };
            assert_eq!(data.concat().len(), size);
        }
    }

    #[test]
    fn the_stamp_comes_back() {
        for size in [16, 100, 255, 256, 100_000] {
            assert_eq!(read(&whole(size).into()), Some(STAMP));
        }
        assert_eq!(read(&whole(15).into()), None);
        assert_eq!(read(&Payload::new()), None);
    }

    #[test]
    fn sections_of_a_router_do_not_hide_it() {
        let annotations = [("x-opt-qd.ingress", "0/A")].into_iter().collect();
        let first = MessageBuilder::new()
            .message_annotations(annotations)
            .build();
        let message: Bytes = [&first[..], &whole(100)].concat().into();
        assert_eq!(read(&message.into()), Some(STAMP));
    }
}
