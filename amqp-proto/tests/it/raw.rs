//! An engine facing a peer under the test's control: any frame, any byte.

use std::sync::Arc;

use amqp_codec::{
    Attach, Begin, DeliveryTag, FrameHeader, FrameType, Open, Performative, ProtocolHeader, Role,
    Str, Symbol, Transfer, begin_frame, end_frame,
};
use amqp_proto::{
    Config, Connection, ConnectionError, Event, LinkKey, RecvBuf, Sasl, SendQueue, SessionKey, Time,
};
use bytes::{Bytes, BytesMut};

pub(crate) struct Raw {
    pub(crate) connection: Connection,
    pub(crate) input: RecvBuf,
    pub(crate) out: SendQueue,
    pub(crate) events: Vec<Event>,
    pub(crate) error: Option<ConnectionError>,
    pub(crate) now: Time,
}

pub(crate) fn server() -> Config {
    Config {
        container_id: "server".into(),
        sasl: Sasl::Server {
            mechanisms: vec![Symbol::from("ANONYMOUS")],
            required: false,
        },
        ..Config::default()
    }
}

impl Raw {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            connection: Connection::new(Arc::new(config), Time::ZERO),
            input: RecvBuf::new(),
            out: SendQueue::new(),
            events: Vec::new(),
            error: None,
            now: Time::ZERO,
        }
    }

    /// Headers and Opens are exchanged; what was written for that is gone.
    pub(crate) fn opened(config: Config) -> Self {
        let mut raw = Self::new(config);
        raw.bytes(ProtocolHeader::Amqp.bytes());
        raw.send(0, Performative::Open(Box::new(open())));
        raw.connection.open(None, &mut raw.out);
        raw.events.clear();
        raw.written();
        raw
    }

    /// With a session on channel 0.
    pub(crate) fn begun(config: Config) -> (Self, SessionKey) {
        let mut raw = Self::opened(config);
        let session = raw.begin(0);
        (raw, session)
    }

    /// With a link on handle 0 where the raw peer has this role.
    pub(crate) fn attached(config: Config, role: Role) -> (Self, SessionKey, LinkKey) {
        let (mut raw, session) = Self::begun(config);
        let link = raw.attach(0, 0, "link", role);
        (raw, session, link)
    }

    pub(crate) fn begin(&mut self, channel: u16) -> SessionKey {
        self.send(channel, Performative::Begin(Box::new(begin(None))));
        let Some(Event::Begun {
            session,
            answer: false,
            ..
        }) = self.events.pop()
        else {
            panic!("no begin: {:?} {:?}", self.events, self.error);
        };
        self.connection.answer_begin(session, &mut self.out);
        self.written();
        session
    }

    pub(crate) fn attach(&mut self, channel: u16, handle: u32, name: &str, role: Role) -> LinkKey {
        self.send(
            channel,
            Performative::Attach(Box::new(attach(name, handle, role))),
        );
        let Some(Event::Attached {
            link,
            attach,
            answer: false,
            ..
        }) = self.events.pop()
        else {
            panic!("no attach: {:?} {:?}", self.events, self.error);
        };
        self.connection.answer_attach(link, *attach, &mut self.out);
        self.written();
        link
    }

    /// Gives bytes to the engine and lets it work.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.input.push(Bytes::copy_from_slice(bytes));
        self.poll();
    }

    pub(crate) fn poll(&mut self) {
        loop {
            match self
                .connection
                .poll_event(&mut self.input, &mut self.out, self.now)
            {
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => return,
                Err(error) => self.error = Some(error),
            }
        }
    }

    pub(crate) fn send(&mut self, channel: u16, performative: Performative) {
        self.bytes(&frame(channel, &performative, b""));
    }

    /// Everything the engine wrote since it was last asked, as frames.
    pub(crate) fn written(&mut self) -> Vec<(u16, Performative, Bytes)> {
        let mut bytes = Bytes::from(self.out.to_bytes());
        self.out.consume(bytes.len());
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            if bytes.starts_with(b"AMQP") {
                drop(bytes.split_to(8));
                continue;
            }
            let header = FrameHeader::parse(&bytes, u32::MAX).expect("what the scene needs");
            let mut body = bytes
                .split_to(header.size as usize)
                .split_off(header.body_offset());
            if header.frame_type == FrameType::Amqp && !body.is_empty() {
                let performative = Performative::decode(&mut body).expect("what the scene needs");
                frames.push((header.channel, performative, body));
            }
        }
        frames
    }

    /// The one error the engine told the peer: its condition and text, and what it closed.
    pub(crate) fn told(&mut self) -> (&'static str, String, String) {
        let mut told = Vec::new();
        for (_, performative, _) in self.written() {
            let (what, error) = match performative {
                Performative::Detach(detach) => ("detach", detach.error),
                Performative::End(end) => ("end", end.error),
                Performative::Close(close) => ("close", close.error),
                _ => continue,
            };
            let error = error.expect("a reason");
            let text = error
                .description
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            told.push((what, error.condition.to_string(), text));
        }
        assert_eq!(told.len(), 1, "{told:?}");
        told.remove(0)
    }
}

pub(crate) fn frame(channel: u16, performative: &Performative, payload: &[u8]) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    let mark = begin_frame(&mut buffer, FrameType::Amqp, channel);
    performative.encode(&mut buffer);
    buffer.extend_from_slice(payload);
    end_frame(&mut buffer, mark, 0);
    buffer.to_vec()
}

pub(crate) fn open() -> Open {
    Open {
        container_id: "peer".into(),
        max_frame_size: 4096,
        channel_max: 10,
        ..Open::default()
    }
}

pub(crate) fn begin(remote_channel: Option<u16>) -> Begin {
    Begin {
        remote_channel,
        next_outgoing_id: 5,
        incoming_window: 100,
        outgoing_window: 100,
        handle_max: 7,
        ..Begin::default()
    }
}

pub(crate) fn attach(name: &str, handle: u32, role: Role) -> Attach {
    Attach {
        name: Str::copy(name),
        handle,
        role,
        initial_delivery_count: (role == Role::Sender).then_some(0),
        ..Attach::default()
    }
}

/// The only frame of a delivery.
pub(crate) fn transfer(handle: u32, delivery_id: u32) -> Transfer {
    Transfer {
        handle,
        delivery_id: Some(delivery_id),
        delivery_tag: DeliveryTag::new(&delivery_id.to_be_bytes()),
        message_format: Some(0),
        ..Transfer::default()
    }
}
