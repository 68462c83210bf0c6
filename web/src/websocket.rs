//! AMQP in WebSocket frames, over plain text or TLS, as a stage between socket and engine.
//!
//! ```text
//!   wire ─► inner stage ─► frames ─► data ─► engine
//!   wire ◄─ inner stage ◄─ a binary frame for all that there is ◄─ engine
//! ```
//!
//! It comes to be when the handshake is over, and the answer to that is the first that it says.

use amqp_proto::{RecvBuf, Security, SendQueue, Transform, TransformError};
use bytes::{BufMut as _, Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::frames::{Frames, Said};
use crate::response::Head;

/// Our side has nothing more to say (RFC 6455 §7.4.1).
const NORMAL: u16 = 1000;

/// How far saying good-bye is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    /// Nobody has.
    No,
    /// Ours comes after what there is to say, with this code.
    Due(u16),
    /// Ours is said.
    Said,
}

/// A WebSocket whose handshake is over.
pub struct WebSocket {
    inner: Box<dyn Transform>,
    opened: RecvBuf,
    frames: Frames,
    said: Vec<Said>,
    /// The payload of the ping that is to be answered.
    ping: Option<Bytes>,
    /// Frames for the inner stage.
    framed: SendQueue,
    farewell: Farewell,
    /// The peer has said good-bye, and the engine does not know yet.
    is_left: bool,
    /// The engine has nothing more to say.
    is_finished: bool,
}

impl WebSocket {
    /// Goes on over the stage by which the handshake came; `answer` is still to be said.
    #[must_use]
    pub fn new(inner: Box<dyn Transform>, answer: Head) -> Self {
        let mut framed = SendQueue::new();
        framed
            .inline()
            .extend_from_slice(answer.finish().as_bytes());
        Self {
            inner,
            opened: RecvBuf::new(),
            frames: Frames::default(),
            said: Vec::new(),
            ping: None,
            framed,
            farewell: Farewell::No,
            is_left: false,
            is_finished: false,
        }
    }

    /// Reads frames out of what the inner stage has opened.
    fn read(&mut self, bytes: &[u8], data: &mut BytesMut) -> Result<(), TransformError> {
        let read = self.frames.take(bytes, data, &mut self.said);
        for said in self.said.drain(..) {
            match said {
                Said::Ping(words) => self.ping = Some(words),
                Said::Close => {
                    self.is_left = true;
                    if self.farewell == Farewell::No {
                        self.farewell = Farewell::Due(NORMAL);
                    }
                }
            }
        }
        read.map_err(|wrong| {
            self.farewell = Farewell::Due(wrong.code);
            TransformError {
                text: format!("WebSocket: {}", wrong.text).into(),
            }
        })
    }

    /// Frames what there is to say.
    fn frame(&mut self, plain: &mut SendQueue) {
        if self.farewell == Farewell::Said {
            plain.consume(plain.len());
            return;
        }
        if let Some(words) = self.ping.take() {
            put(&mut self.framed, OpCode::Control(Control::Pong), &words);
        }
        if !plain.is_empty() {
            let length = plain.len() as u64;
            header(&mut self.framed, OpCode::Data(Data::Binary), length);
            self.framed.append(plain);
        }
        if let Farewell::Due(code) = self.farewell {
            let close = OpCode::Control(Control::Close);
            put(&mut self.framed, close, &code.to_be_bytes());
            self.farewell = Farewell::Said;
            self.inner.finish();
        }
    }
}

/// Appends a short frame.
fn put(queue: &mut SendQueue, opcode: OpCode, payload: &[u8]) {
    header(queue, opcode, payload.len() as u64);
    queue.inline().extend_from_slice(payload);
}

/// Appends the header of a frame.
fn header(queue: &mut SendQueue, opcode: OpCode, length: u64) {
    let header = FrameHeader {
        opcode,
        ..FrameHeader::default()
    };
    let written = header.format(length, &mut queue.inline().writer());
    debug_assert!(written.is_ok(), "a buffer takes what it is given");
}

impl Transform for WebSocket {
    fn open(&mut self, wire: &mut [u8], plain: &mut RecvBuf) -> Result<(), TransformError> {
        let mut data = BytesMut::with_capacity(wire.len());
        let read = if self.inner.is_clear() {
            self.read(wire, &mut data)
        } else {
            let mut opened = std::mem::take(&mut self.opened);
            let mut read = self.inner.open(wire, &mut opened);
            while read.is_ok()
                && let Some(bytes) = opened.pop()
            {
                read = self.read(&bytes, &mut data);
            }
            opened.clear();
            self.opened = opened;
            read
        };
        if !data.is_empty() {
            plain.push(data.freeze());
        }
        read
    }

    fn seal(&mut self, plain: &mut SendQueue, wire: &mut SendQueue) -> Result<(), TransformError> {
        if !self.framed.is_empty() {
            self.inner.seal(&mut self.framed, wire)?;
        }
        // What does not fit yet stays with the engine, which then stops.
        if self.farewell == Farewell::Said || (self.framed.is_empty() && !wire.is_full()) {
            self.frame(plain);
        }
        self.inner.seal(&mut self.framed, wire)?;
        if std::mem::take(&mut self.is_left) && !self.is_finished {
            return Err(TransformError {
                text: "the peer has closed its WebSocket".into(),
            });
        }
        Ok(())
    }

    fn security(&self) -> Option<&Security> {
        self.inner.security()
    }

    fn is_clear(&self) -> bool {
        false
    }

    fn has_output(&self) -> bool {
        let has_own = self.ping.is_some() || !self.framed.is_empty();
        has_own || matches!(self.farewell, Farewell::Due(_)) || self.inner.has_output()
    }

    fn finish(&mut self) {
        self.is_finished = true;
        if self.farewell == Farewell::No {
            self.farewell = Farewell::Due(NORMAL);
        }
    }

    fn is_cut_here(&self) -> bool {
        self.inner.is_cut_here()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::tests::frame;
    use amqp_proto::Clear;
    use std::io::Cursor;
    use tungstenite::protocol::{CloseFrame, Role};
    use tungstenite::{Message, WebSocket as Client};

    fn begun() -> (WebSocket, SendQueue) {
        let answer = Head::new(crate::response::Status::SwitchingProtocols);
        let expected = answer.clone().finish();
        let mut stage = WebSocket::new(Box::new(Clear), answer);
        assert!(stage.has_output());
        let mut wire = SendQueue::new();
        stage.seal(&mut SendQueue::new(), &mut wire).unwrap();
        assert_eq!(drained(&mut wire), expected.as_bytes());
        assert!(!stage.has_output());
        (stage, wire)
    }

    fn drained(queue: &mut SendQueue) -> Vec<u8> {
        let bytes = queue.to_bytes();
        queue.consume(bytes.len());
        bytes
    }

    /// What another implementation makes of it.
    fn messages(bytes: Vec<u8>) -> Vec<Message> {
        let mut client = Client::from_raw_socket(Cursor::new(bytes), Role::Client, None);
        std::iter::from_fn(|| client.read().ok()).collect()
    }

    #[test]
    fn what_the_engine_says_is_heard_by_a_client() {
        let (mut stage, mut wire) = begun();
        let mut plain = SendQueue::new();
        for size in [1_usize, 125, 126, 65_535, 65_536, 200_000] {
            let bytes = Bytes::from(vec![b'x'; size]);
            plain.inline().extend_from_slice(b"begin ");
            plain.push_shared(bytes.clone());
            stage.seal(&mut plain, &mut wire).unwrap();
            let heard = messages(drained(&mut wire));
            let expected = [b"begin ", &bytes[..]].concat();
            assert!(heard == [Message::binary(expected)], "{size}");
        }
        plain.inline().extend_from_slice(b"last");
        stage.finish();
        stage.seal(&mut plain, &mut wire).unwrap();
        let close = CloseFrame {
            code: 1000.into(),
            reason: "".into(),
        };
        let heard = messages(drained(&mut wire));
        assert_eq!(
            heard,
            [Message::binary("last"), Message::Close(Some(close))]
        );
        plain.inline().extend_from_slice(b"too late");
        stage.seal(&mut plain, &mut wire).unwrap();
        assert!(plain.is_empty() && wire.is_empty());
    }

    #[test]
    fn a_wire_that_is_full_takes_no_more() {
        let (mut stage, mut wire) = begun();
        let mut plain = SendQueue::new();
        plain.push_shared(vec![0; 2 * SendQueue::HIGH_MARK].into());
        stage.seal(&mut plain, &mut wire).unwrap();
        plain.inline().extend_from_slice(b"waits");
        stage.seal(&mut plain, &mut wire).unwrap();
        assert_eq!(plain.len(), 5);
        drained(&mut wire);
        stage.seal(&mut plain, &mut wire).unwrap();
        assert_eq!(messages(drained(&mut wire)), [Message::binary("waits")]);
    }

    #[test]
    fn a_ping_is_answered_and_a_good_bye_ends_it() {
        let (mut stage, mut wire) = begun();
        let (mut input, mut plain) = (RecvBuf::new(), SendQueue::new());
        let mut bytes = [frame(0x89, b"1"), frame(0x89, b"2"), frame(0x82, b"data")].concat();
        stage.open(&mut bytes, &mut input).unwrap();
        assert_eq!(input.pop().as_deref(), Some(&b"data"[..]));
        assert!(stage.has_output());
        stage.seal(&mut plain, &mut wire).unwrap();
        assert_eq!(messages(drained(&mut wire)), [Message::Pong("2".into())]);
        let mut bytes = [frame(0x82, b"last"), frame(0x88, &[3, 232])].concat();
        stage.open(&mut bytes, &mut input).unwrap();
        assert_eq!(input.pop().as_deref(), Some(&b"last"[..]));
        let ended = stage.seal(&mut plain, &mut wire).unwrap_err();
        assert_eq!(ended.text, "the peer has closed its WebSocket");
        assert!(matches!(
            messages(drained(&mut wire))[..],
            [Message::Close(_)]
        ));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_code() {
        let (mut stage, mut wire) = begun();
        let mut input = RecvBuf::new();
        let error = stage
            .open(&mut frame(0x81, b"AMQP"), &mut input)
            .unwrap_err();
        assert_eq!(error.text, "WebSocket: text, where AMQP is bytes");
        stage.finish();
        stage.seal(&mut SendQueue::new(), &mut wire).unwrap();
        let heard = messages(drained(&mut wire));
        let [Message::Close(Some(close))] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert_eq!(u16::from(close.code), 1003);
    }
}
