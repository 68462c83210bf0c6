//! What the incumbent said on real connections, recorded, for tests.
//!
//! Each file holds the bytes of one scene as qdrouterd 1.19.0 sent them to a router of ours, with
//! the name of each step. A line is a time in milliseconds, the letter of a wire, and a frame or a
//! header: hexadecimal digits, text in quotes, `61*200` for a byte so many times; `end` where the
//! socket ended. Nothing else was done to the bytes, so link names, sequence numbers and ids are
//! those of that day. What our side said is not kept: the tests have a router say it anew.

use std::iter::Peekable;
use std::str::Chars;

use bytes::Bytes;

use amqp_codec::{FrameHeader, FrameType, Performative};

/// A line, of which the incumbent is in the middle: our side of it is one end, which it dialled.
pub(crate) const LEAF: &str = include_str!("transcript/leaf.txt");

/// A line, of which we are in the middle: one end dialled us, the other one was dialled.
pub(crate) const BETWEEN: &str = include_str!("transcript/between.txt");

/// A router of ours has dialled a listener that is for clients.
pub(crate) const REFUSED: &str = include_str!("transcript/refused.txt");

/// What was said in one step of a scene.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) said: Vec<Said>,
}

/// Something that was said at once.
pub(crate) struct Said {
    pub(crate) millis: u64,
    pub(crate) wire: char,
    /// Nothing if the socket ended.
    pub(crate) bytes: Option<Vec<u8>>,
}

/// The steps of a scene.
pub(crate) fn steps(text: &'static str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix("= ") {
            let said = Vec::new();
            steps.push(Step { name, said });
        } else if !line.is_empty() {
            steps.last_mut().unwrap().said.push(said(line));
        }
    }
    steps
}

fn said(line: &str) -> Said {
    let mut parts = line.splitn(3, ' ');
    let mut part = || parts.next().unwrap();
    let (millis, wire) = (part().parse().unwrap(), part().parse().unwrap());
    let bytes = match part() {
        "end" => None,
        text => Some(read(&mut text.chars().peekable())),
    };
    Said {
        millis,
        wire,
        bytes,
    }
}

fn read(text: &mut Peekable<Chars<'_>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(next) = text.next() {
        match next {
            ' ' => {}
            '"' => bytes.extend(text.by_ref().take_while(|c| *c != '"').map(|c| c as u8)),
            '*' => {
                let mut digits = String::new();
                while let Some(digit) = text.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                let byte = bytes.pop().unwrap();
                bytes.extend(std::iter::repeat_n(byte, digits.parse().unwrap()));
            }
            high => {
                let low = text.next().unwrap();
                let nibble = |digit: char| digit.to_digit(16).unwrap();
                bytes.push(u8::try_from(nibble(high) << 4 | nibble(low)).unwrap());
            }
        }
    }
    bytes
}

/// The channel of a frame, its performative and what follows that; nothing if it is a header, a
/// frame of SASL or an empty one.
pub(crate) fn frame(bytes: &[u8]) -> Option<(u16, Performative, Bytes)> {
    let header = FrameHeader::parse(bytes, u32::MAX).ok()?;
    if header.frame_type != FrameType::Amqp || header.body_length() == 0 {
        return None;
    }
    assert_eq!(header.size as usize, bytes.len(), "a frame is a line");
    let mut body = Bytes::copy_from_slice(&bytes[header.body_offset()..]);
    let performative = Performative::decode(&mut body).unwrap();
    Some((header.channel, performative, body))
}

/// The messages of the routing protocol in a scene, as they came.
pub(crate) fn control_messages(text: &'static str) -> Vec<Bytes> {
    let said = steps(text).into_iter().flat_map(|step| step.said);
    let messages = said.filter_map(|said| {
        let (channel, performative, payload) = frame(&said.bytes?)?;
        let Performative::Transfer(transfer) = performative else {
            return None;
        };
        assert!(!transfer.more || channel != 0, "each is a frame");
        (channel == 0).then_some(payload)
    });
    messages.collect()
}

#[test]
fn all_frames_mean_the_same_when_they_are_written_anew() {
    let steps = [LEAF, BETWEEN, REFUSED].into_iter().flat_map(steps);
    let all = steps.flat_map(|step| step.said);
    let mut kinds = std::collections::BTreeSet::new();
    for bytes in all.filter_map(|said| said.bytes) {
        let Some((_, performative, _)) = frame(&bytes) else {
            continue;
        };
        let mut anew = bytes::BytesMut::new();
        performative.encode(&mut anew);
        let read = Performative::decode(&mut anew.freeze()).unwrap();
        assert_eq!(read, performative);
        kinds.insert(
            format!("{performative:?}")
                .split('(')
                .next()
                .unwrap()
                .to_owned(),
        );
    }
    let expected = [
        "Attach",
        "Begin",
        "Close",
        "Detach",
        "Disposition",
        "Flow",
        "Open",
        "Transfer",
    ];
    assert!(kinds.iter().eq(expected), "{kinds:?}");
}
