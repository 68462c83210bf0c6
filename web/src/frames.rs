//! WebSocket frames as they arrive from a client (RFC 6455 §5): their data at once, whatever part
//! of a frame or of a message it is, and what control frames say.
//!
//! ```text
//!   header, up to 14 bytes ──► payload, unmasked where it comes ──► header …
//! ```

use std::io::Cursor;

use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::limits::{CONTROL_BYTES, IDLE_FRAMES};

/// The longest header.
const HEADER: usize = 14;

/// What a control frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// To be answered with the same payload.
    Ping(Bytes),
    /// The client says good-bye; nothing that follows counts.
    Close,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The code to close with (RFC 6455 §7.4.1).
    pub(crate) code: u16,
    /// For the log.
    pub(crate) text: &'static str,
}

const fn protocol(text: &'static str) -> Wrong {
    Wrong { code: 1002, text }
}

/// Reads a client's frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The beginning of a header.
    header: [u8; HEADER],
    have: usize,
    payload: Option<Payload>,
    /// A message has begun and is to be continued.
    is_fragmented: bool,
    /// Frames in a row that were for data and brought none.
    idle: u32,
    /// The payload of a control frame.
    control: BytesMut,
    is_closed: bool,
}

/// The rest of a frame.
#[derive(Clone, Copy, Debug)]
struct Payload {
    /// What kind of control frame it is, if it is one.
    control: Option<Control>,
    left: u64,
    mask: [u8; 4],
    /// Which byte of the mask comes next.
    at: usize,
}

impl Frames {
    /// Takes what has come: its data into `data`, what else it says into `said`.
    ///
    /// # Errors
    /// The client does not keep to the standard, or sends what is not taken here.
    pub(crate) fn take(
        &mut self,
        mut bytes: &[u8],
        data: &mut BytesMut,
        said: &mut Vec<Said>,
    ) -> Result<(), Wrong> {
        while !bytes.is_empty() && !self.is_closed {
            let Some(payload) = &mut self.payload else {
                bytes = self.read_header(bytes)?;
                self.end_payload(said);
                continue;
            };
            let count = bytes
                .len()
                .min(usize::try_from(payload.left).unwrap_or(usize::MAX));
            let (part, rest) = bytes.split_at(count);
            let into = match payload.control {
                Some(_) => &mut self.control,
                None => &mut *data,
            };
            let start = into.len();
            into.extend_from_slice(part);
            unmask(&mut into[start..], payload.mask, payload.at);
            payload.at = (payload.at + count) % 4;
            payload.left -= count as u64;
            bytes = rest;
            self.end_payload(said);
        }
        Ok(())
    }

    /// Reads as much of a header as is there; what follows it.
    fn read_header<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Wrong> {
        let had = self.have;
        let room = &mut self.header[had..];
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.have += count;
        let mut cursor = Cursor::new(&self.header[..self.have]);
        let parsed = FrameHeader::parse(&mut cursor)
            .map_err(|_| protocol("a frame of a kind that is not defined"))?;
        let Some((header, length)) = parsed else {
            return Ok(&bytes[count..]);
        };
        let read = usize::try_from(cursor.position()).unwrap_or(HEADER);
        self.have = 0;
        self.begin_payload(&header, length)?;
        Ok(&bytes[read.saturating_sub(had)..])
    }

    /// Judges a header.
    fn begin_payload(&mut self, header: &FrameHeader, length: u64) -> Result<(), Wrong> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(protocol("a frame with an extension that was not agreed on"));
        }
        let Some(mask) = header.mask else {
            return Err(protocol("a frame without a mask"));
        };
        let control = match header.opcode {
            OpCode::Control(_) if !header.is_final => {
                return Err(protocol("a control frame in fragments"));
            }
            OpCode::Control(_) if length > CONTROL_BYTES => {
                return Err(protocol("a control frame that is too long"));
            }
            OpCode::Control(kind) => Some(kind),
            OpCode::Data(kind) => {
                self.begin_data(kind, length)?;
                self.is_fragmented = !header.is_final;
                None
            }
        };
        self.payload = Some(Payload {
            control,
            left: length,
            mask,
            at: 0,
        });
        Ok(())
    }

    fn begin_data(&mut self, kind: Data, length: u64) -> Result<(), Wrong> {
        match kind {
            Data::Text => {
                return Err(Wrong {
                    code: 1003,
                    text: "text, where AMQP is bytes",
                });
            }
            Data::Continue if !self.is_fragmented => {
                return Err(protocol("a fragment without a beginning"));
            }
            Data::Binary if self.is_fragmented => {
                return Err(protocol("a message within another"));
            }
            _ => {}
        }
        if length >> 63 != 0 {
            return Err(protocol("a frame that is too long"));
        }
        self.idle = match length {
            0 => self.idle + 1,
            _ => 0,
        };
        match self.idle > IDLE_FRAMES {
            true => Err(Wrong {
                code: 1008,
                text: "too many frames without data",
            }),
            false => Ok(()),
        }
    }

    /// Goes on to the next header if nothing is left of a frame.
    fn end_payload(&mut self, said: &mut Vec<Said>) {
        let Some(payload) = self.payload.take_if(|payload| payload.left == 0) else {
            return;
        };
        let Some(kind) = payload.control else { return };
        let words = self.control.split().freeze();
        match kind {
            // Only the newest has to be answered (§5.5.3), so one is all that is kept.
            Control::Ping => {
                said.retain(|other| !matches!(other, Said::Ping(_)));
                said.push(Said::Ping(words));
            }
            Control::Close => {
                self.is_closed = true;
                said.push(Said::Close);
            }
            _ => {}
        }
    }

    /// Bytes that are kept.
    pub(crate) fn kept(&self) -> usize {
        self.have + self.control.len()
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4], at: usize) {
    let mut turned = mask;
    turned.rotate_left(at);
    let mut words = bytes.chunks_exact_mut(4);
    for word in &mut words {
        word.iter_mut()
            .zip(turned)
            .for_each(|(byte, mask)| *byte ^= mask);
    }
    let rest = words.into_remainder().iter_mut();
    rest.zip(turned).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A frame as a client sends it.
    pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
            long @ 126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend(u16::try_from(long).unwrap().to_be_bytes());
            }
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        bytes.extend(mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
        bytes
    }

    fn read(bytes: &[u8], size: usize) -> Result<(Vec<u8>, Vec<Said>), Wrong> {
        let mut frames = Frames::default();
        let (mut data, mut said) = (BytesMut::new(), Vec::new());
        for piece in bytes.chunks(size) {
            frames.take(piece, &mut data, &mut said)?;
            assert!(frames.kept() <= HEADER + 125);
        }
        Ok((data.to_vec(), said))
    }

    #[test]
    fn data_comes_out_as_it_was_whatever_the_pieces() {
        let large = vec![7; 70_000];
        let mut bytes = frame(0x02, b"one");
        bytes.extend(frame(0x00, b""));
        bytes.extend(frame(0x89, b"are you there"));
        bytes.extend(frame(0x80, b" two"));
        bytes.extend(frame(0x82, &large[..200]));
        bytes.extend(frame(0x82, &large));
        bytes.extend(frame(0x8a, b"unasked"));
        bytes.extend(frame(0x88, &[3, 232]));
        bytes.extend(frame(0x82, b"too late"));
        let mut expected = b"one two".to_vec();
        expected.extend(&large[..200]);
        expected.extend(&large);
        for size in [1, 3, 4, 5, 1000, bytes.len()] {
            let (data, said) = read(&bytes, size).unwrap();
            assert!(data == expected, "{size}");
            let ping = Said::Ping(Bytes::from_static(b"are you there"));
            assert_eq!(said, [ping, Said::Close], "{size}");
        }
    }

    #[test]
    fn what_the_standard_forbids_has_its_code() {
        let text = |bytes: &[u8]| read(bytes, 1).unwrap_err();
        assert_eq!(text(&frame(0x81, b"text")).code, 1003);
        for (bytes, words) in [
            (vec![0x82, 3, 1, 2, 3], "a frame without a mask"),
            (
                frame(0xc2, b"x"),
                "a frame with an extension that was not agreed on",
            ),
            (frame(0x83, b"x"), "a frame of a kind that is not defined"),
            (frame(0x09, b"x"), "a control frame in fragments"),
            (frame(0x89, &[0; 126]), "a control frame that is too long"),
            (frame(0x80, b"x"), "a fragment without a beginning"),
            (
                [frame(0x02, b"x"), frame(0x82, b"y")].concat(),
                "a message within another",
            ),
            (
                [&[0x82, 0xff][..], &[0xff; 12]].concat(),
                "a frame that is too long",
            ),
        ] {
            let wrong = text(&bytes);
            assert_eq!((wrong.code, wrong.text), (1002, words));
        }
    }

    #[test]
    fn fragments_without_data_come_to_an_end() {
        let mut bytes = frame(0x02, b"");
        for _ in 0..IDLE_FRAMES {
            bytes.extend(frame(0x00, b""));
        }
        assert_eq!(read(&bytes, 4096).unwrap_err().code, 1008);
        let mut bytes = frame(0x02, b"");
        for _ in 0..10 {
            for _ in 0..IDLE_FRAMES - 1 {
                bytes.extend(frame(0x00, b""));
            }
            bytes.extend(frame(0x00, b"x"));
        }
        assert_eq!(read(&bytes, 4096).unwrap().0.len(), 10);
    }

    #[test]
    fn a_flood_of_pings_leaves_one() {
        let mut bytes = Vec::new();
        for number in 0..10_000_u16 {
            bytes.extend(frame(0x89, &number.to_be_bytes()));
        }
        let (_, said) = read(&bytes, bytes.len()).unwrap();
        assert_eq!(
            said,
            [Said::Ping(Bytes::copy_from_slice(&9999_u16.to_be_bytes()))]
        );
    }

    #[test]
    fn a_frame_of_any_announced_length_costs_what_has_come_of_it() {
        let mut bytes = vec![0x82, 0xff];
        bytes.extend((u64::MAX >> 1).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(b"AMQP");
        assert_eq!(read(&bytes, 5).unwrap().0, b"AMQP");
    }
}
