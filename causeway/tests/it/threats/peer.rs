//! A client under the test's control: any frame, any byte, over a socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};

use amqp_codec::{
    AmqpError, Attach, Begin, DeliveryTag, Disposition, End, Flow, FrameHeader, FrameType, Open,
    Performative, ProtocolHeader, Role, SaslFrame, Source, Str, Symbol, Target, Transfer,
    begin_frame, end_frame,
};
use bytes::{Buf as _, Bytes, BytesMut};

use crate::harness::{PATIENCE, Router};

/// Frames that the router may send ahead to a peer of ours: as many as it likes.
pub(crate) const WIDE: u32 = 1 << 30;

/// Performatives that are shown when one is missed.
const SEEN_MAX: usize = 10;

/// Bytes of a message in each frame: the default frame size, less room for a transfer.
const FRAME_PAYLOAD: usize = 16 * 1024 - 128;

/// The channel on which a peer shows that its connection lives.
const LIFE_SIGN: u16 = 30_000;

/// One connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    read: BytesMut,
}

/// What the router ended, and why: `("close", "amqp:decode-error")`.
pub(crate) type Told = (&'static str, String);

impl Peer {
    /// A TCP connection on which nothing was said.
    pub(crate) fn silent(router: &Router) -> Self {
        Self::silent_at(router.port)
    }

    /// The same at another listener.
    pub(crate) fn silent_at(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let read = BytesMut::new();
        Self { stream, read }
    }

    /// Headers and Opens are exchanged, without a security layer.
    pub(crate) fn opened(router: &Router) -> Self {
        Self::opened_as(router, open())
    }

    pub(crate) fn opened_as(router: &Router, open: Open) -> Self {
        Self::opened_at(router.port, open)
    }

    /// The same at another listener.
    pub(crate) fn opened_at(port: u16, open: Open) -> Self {
        let mut peer = Self::silent_at(port);
        peer.write(ProtocolHeader::Amqp.bytes());
        peer.send(0, &Performative::Open(Box::new(open)));
        peer.until(|performative| matches!(performative, Performative::Open(_)));
        peer
    }

    /// With a session on channel 0.
    pub(crate) fn begun(router: &Router) -> Self {
        Self::begun_as(router, open())
    }

    pub(crate) fn begun_as(router: &Router, open: Open) -> Self {
        let mut peer = Self::opened_as(router, open);
        peer.begin(0);
        peer
    }

    /// With a producer's link of handle 0.
    pub(crate) fn producing(router: &Router, address: &str) -> Self {
        let mut peer = Self::begun(router);
        peer.produce(0, address);
        peer
    }

    /// With a consumer's link of handle 0.
    pub(crate) fn consuming(router: &Router, address: &str, credit: u32) -> Self {
        let mut peer = Self::begun(router);
        peer.consume(0, address, credit);
        peer
    }

    /// Begins a session and waits for the answer.
    pub(crate) fn begin(&mut self, channel: u16) {
        self.send(channel, &Performative::Begin(Box::new(begin())));
        self.until(|performative| matches!(performative, Performative::Begin(_)));
    }

    /// Attaches a producer's link on channel 0 and waits for its first credit.
    pub(crate) fn produce(&mut self, handle: u32, address: &str) {
        let target = Target {
            address: (!address.is_empty()).then(|| Str::copy(address)),
            ..Target::default()
        };
        let attach = attach(handle, Role::Sender, Source::default(), target);
        self.send(0, &Performative::Attach(Box::new(attach)));
        self.until(|performative| {
            matches!(performative, Performative::Flow(flow)
                if flow.handle.is_some() && flow.link_credit.unwrap_or(0) > 0)
        });
    }

    /// Attaches a consumer's link on channel 0, waits for the answer and gives credit.
    pub(crate) fn consume(&mut self, handle: u32, address: &str, credit: u32) {
        let source = Source {
            address: Some(Str::copy(address)),
            ..Source::default()
        };
        let attach = attach(handle, Role::Receiver, source, Target::default());
        self.send(0, &Performative::Attach(Box::new(attach)));
        self.until(|performative| matches!(performative, Performative::Attach(_)));
        self.send(0, &flow_of_link(handle, 0, credit));
    }

    /// Sends a message, in frames as the router takes them.
    pub(crate) fn deliver(&mut self, handle: u32, delivery_id: u32, message: &[u8]) {
        self.deliver_as(&transfer(handle, delivery_id), message);
    }

    pub(crate) fn deliver_as(&mut self, transfer: &Transfer, message: &[u8]) {
        let mut parts = message.chunks(FRAME_PAYLOAD).peekable();
        while let Some(part) = parts.next() {
            let more = parts.peek().is_some();
            let transfer = Transfer {
                more,
                ..transfer.clone()
            };
            self.transfer(transfer, part);
        }
    }

    pub(crate) fn transfer(&mut self, transfer: Transfer, payload: &[u8]) {
        self.write(&frame(0, &Performative::Transfer(transfer), payload));
    }

    pub(crate) fn send(&mut self, channel: u16, performative: &Performative) {
        self.write(&frame(channel, performative, b""));
    }

    /// Accepts a delivery received on channel 0.
    pub(crate) fn accept(&mut self, delivery_id: u32) {
        self.send(0, &accepted(delivery_id, delivery_id));
    }

    /// Writes bytes that the router must take.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes bytes; `false` if the router has ended the connection.
    pub(crate) fn pour(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next performative with its channel and payload; `None` at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<(u16, Performative, Bytes)> {
        self.try_next().unwrap()
    }

    /// The same where it may take too long.
    pub(crate) fn try_next(&mut self) -> io::Result<Option<(u16, Performative, Bytes)>> {
        while self.has_frame()? {
            if self.read.starts_with(b"AMQP") {
                self.read.advance(ProtocolHeader::LENGTH);
                continue;
            }
            let header = FrameHeader::parse(&self.read, u32::MAX).unwrap();
            let mut body = self.read.split_to(header.size as usize).freeze();
            body.advance(header.body_offset());
            if header.frame_type == FrameType::Amqp && !body.is_empty() {
                let performative = Performative::decode(&mut body).unwrap();
                return Ok(Some((header.channel, performative, body)));
            }
        }
        Ok(None)
    }

    /// Reads until a frame or protocol header is there; `false` at the end of the stream.
    fn has_frame(&mut self) -> io::Result<bool> {
        loop {
            if self.read.len() >= FrameHeader::LENGTH {
                let size = match self.read.starts_with(b"AMQP") {
                    true => ProtocolHeader::LENGTH,
                    false => FrameHeader::parse(&self.read, u32::MAX).unwrap().size as usize,
                };
                if self.read.len() >= size {
                    return Ok(true);
                }
            }
            let mut chunk = [0; 16 * 1024];
            let count = match self.stream.read(&mut chunk) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
                Err(error) => return Err(error),
            };
            if count == 0 {
                return Ok(false);
            }
            self.read.extend_from_slice(&chunk[..count]);
        }
    }

    /// Skips to a performative that is wanted.
    pub(crate) fn until(
        &mut self,
        mut wanted: impl FnMut(&Performative) -> bool,
    ) -> (u16, Performative, Bytes) {
        let mut seen = VecDeque::new();
        loop {
            let Some(frame) = self.next() else {
                panic!("the end, after {seen:?}");
            };
            if wanted(&frame.1) {
                return frame;
            }
            if seen.len() >= SEEN_MAX {
                seen.pop_front();
            }
            seen.push_back(frame.1);
        }
    }

    /// The next whole message and its delivery-id.
    pub(crate) fn message(&mut self) -> (u32, Vec<u8>) {
        let mut message = Vec::new();
        let mut id = None;
        loop {
            let (_, performative, payload) =
                self.until(|performative| matches!(performative, Performative::Transfer(_)));
            let Performative::Transfer(transfer) = performative else {
                continue;
            };
            id = transfer.delivery_id.or(id);
            message.extend_from_slice(&payload);
            if !transfer.more {
                return (id.unwrap(), message);
            }
        }
    }

    /// The first thing that the router ends with an error.
    pub(crate) fn told(&mut self) -> Told {
        let (_, performative, _) = self.until(|performative| ended(performative).is_some());
        let (what, error) = ended(&performative).unwrap();
        (what, error.condition.to_string())
    }

    /// The router ends the connection, and says why if it says anything.
    pub(crate) fn is_dropped(&mut self) -> Option<Told> {
        self.until_dropped(|_, _| ())
    }

    /// The same, for one who has something to do with what comes before.
    pub(crate) fn until_dropped(
        &mut self,
        mut meanwhile: impl FnMut(&mut Self, &Performative),
    ) -> Option<Told> {
        let mut told = None;
        while let Some((_, performative, _)) = self.next() {
            if let Some(("close", error)) = ended(&performative) {
                told = Some(("close", error.condition.to_string()));
            }
            meanwhile(self, &performative);
        }
        told
    }

    /// The connection is as good as before: a session begins and ends on it.
    pub(crate) fn is_alive(&mut self) {
        self.shows_life(|_| ());
    }

    /// The same, for one who wants to know what comes before the answer.
    pub(crate) fn shows_life(&mut self, mut meanwhile: impl FnMut(&Performative)) {
        self.send(LIFE_SIGN, &Performative::Begin(Box::new(begin())));
        let (channel, ..) = self.until(|performative| {
            let is_it = matches!(performative, Performative::Begin(begin)
                if begin.remote_channel == Some(LIFE_SIGN));
            if !is_it {
                meanwhile(performative);
            }
            is_it
        });
        self.send(LIFE_SIGN, &Performative::End(End { error: None }));
        loop {
            let (from, performative, _) = self.until(|_| true);
            if from == channel && matches!(performative, Performative::End(_)) {
                return;
            }
            meanwhile(&performative);
        }
    }

    /// Reads and drops all that comes, in a thread, until the end; how many bytes it was.
    pub(crate) fn drain(&self) -> JoinHandle<u64> {
        let mut stream = self.stream.try_clone().unwrap();
        let read = move || {
            let (mut chunk, mut total) = ([0; 16 * 1024], 0);
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                total += count as u64;
            }
            total
        };
        thread::Builder::new().spawn(read).unwrap()
    }

    /// Ends the stream as a crash would.
    pub(crate) fn vanish(self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

fn ended(performative: &Performative) -> Option<(&'static str, &AmqpError)> {
    let (what, error) = match performative {
        Performative::Detach(detach) => ("detach", detach.error.as_ref()),
        Performative::End(end) => ("end", end.error.as_ref()),
        Performative::Close(close) => ("close", close.error.as_ref()),
        _ => return None,
    };
    Some((what, error?))
}

/// What a peer was told, for comparison.
pub(crate) fn told(what: &'static str, condition: &str) -> Told {
    (what, condition.to_owned())
}

pub(crate) fn frame(channel: u16, performative: &Performative, payload: &[u8]) -> Vec<u8> {
    let mut body = BytesMut::new();
    performative.encode(&mut body);
    body.extend_from_slice(payload);
    frame_of(FrameType::Amqp, channel, &body)
}

pub(crate) fn sasl(frame: &SaslFrame) -> Vec<u8> {
    let mut body = BytesMut::new();
    frame.encode(&mut body);
    frame_of(FrameType::Sasl, 0, &body)
}

pub(crate) fn frame_of(frame_type: FrameType, channel: u16, body: &[u8]) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    let mark = begin_frame(&mut buffer, frame_type, channel);
    buffer.extend_from_slice(body);
    end_frame(&mut buffer, mark, 0);
    buffer.to_vec()
}

/// A sasl-init without credentials.
pub(crate) fn anonymous() -> Vec<u8> {
    sasl(&SaslFrame::Init {
        mechanism: Symbol::from("ANONYMOUS"),
        initial_response: None,
        hostname: None,
    })
}

pub(crate) fn open() -> Open {
    Open {
        container_id: "peer".into(),
        max_frame_size: 64 * 1024,
        ..Open::default()
    }
}

pub(crate) fn begin() -> Begin {
    Begin {
        incoming_window: WIDE,
        outgoing_window: WIDE,
        ..Begin::default()
    }
}

/// An attach whose name is its handle.
pub(crate) fn attach(handle: u32, role: Role, source: Source, target: Target) -> Attach {
    Attach {
        name: Str::from(format!("link {handle}")),
        handle,
        role,
        source: Some(source),
        target: Some(target.into()),
        initial_delivery_count: (role == Role::Sender).then_some(0),
        ..Attach::default()
    }
}

/// A consumer's flow: `credit` beyond the first `delivery_count` deliveries.
pub(crate) fn flow_of_link(handle: u32, delivery_count: u32, credit: u32) -> Performative {
    Performative::Flow(Flow {
        handle: Some(handle),
        delivery_count: Some(delivery_count),
        link_credit: Some(credit),
        ..flow_of_session()
    })
}

pub(crate) fn flow_of_session() -> Flow {
    Flow {
        next_incoming_id: Some(0),
        incoming_window: WIDE,
        outgoing_window: WIDE,
        ..Flow::default()
    }
}

/// The only frame of an unsettled delivery.
pub(crate) fn transfer(handle: u32, delivery_id: u32) -> Transfer {
    Transfer {
        handle,
        delivery_id: Some(delivery_id),
        delivery_tag: DeliveryTag::new(&delivery_id.to_be_bytes()),
        message_format: Some(0),
        ..Transfer::default()
    }
}

/// A consumer's acceptance of a range.
pub(crate) fn accepted(first: u32, last: u32) -> Performative {
    Performative::Disposition(Disposition {
        role: Role::Receiver,
        first,
        last: Some(last),
        settled: true,
        state: Some(amqp_codec::DeliveryState::Accepted),
        ..Disposition::default()
    })
}

/// A message with one data section of this length.
pub(crate) fn message(length: usize) -> Vec<u8> {
    let mut message = vec![0x00, 0x53, 0x75, 0xb0];
    message.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    message.resize(8 + length, 0x2a);
    message
}
