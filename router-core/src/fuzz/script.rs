//! Bytes of a fuzzer read as what peers do.
//!
//! Owns the reading: which frames are written with which fields. It never knows whether a frame is
//! due; that most are not is the point. Decision: few channels, handles, names and addresses, so
//! that acts meet.

use amqp_codec::{
    AmqpError, Attach, Begin, Close, DeliveryState, DeliveryTag, Detach, Disposition, End, Flow,
    FrameType, Modified, Open, Performative, ProtocolHeader, ReceiverSettleMode, Role,
    SenderSettleMode, Source, Str, Target, TargetArchetype, Transfer, begin_frame, end_frame,
};
use bytes::{BufMut as _, BytesMut};

/// The addresses of links; none, and the last asks for a dynamic one.
const ADDRESSES: [Option<&str>; 6] = [
    Some("a"),
    Some("b/c"),
    Some("multicast/m"),
    Some("$management"),
    None,
    None,
];

/// One thing a peer does.
pub(super) enum Act {
    /// It connects, unless it is connected, to a shard.
    Connect { shard: usize },
    /// It writes.
    Write(Vec<u8>),
    /// It reads no more, or again.
    Stall,
    /// Its socket breaks.
    Vanish,
    /// So many milliseconds pass.
    Pass(u64),
}

/// What is left of the fuzzer's bytes.
pub(super) struct Script<'a> {
    left: &'a [u8],
}

impl<'a> Script<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { left: data }
    }

    /// How many shards the router has: one or two.
    pub(super) fn shards(&mut self) -> u16 {
        u16::from(self.byte() % 2) + 1
    }

    /// Where what is written is cut in two; 0: nowhere.
    pub(super) fn cut(&mut self) -> usize {
        usize::from(self.byte())
    }

    /// The next act, and who performs it.
    pub(super) fn next(&mut self) -> Option<(usize, Act)> {
        let (&first, rest) = self.left.split_first()?;
        self.left = rest;
        let act = match first & 0x1f {
            0 | 1 => Act::Connect {
                shard: usize::from(self.byte()),
            },
            2 => Act::Vanish,
            3 => Act::Stall,
            4 => Act::Pass(u64::from(self.byte()) * 50),
            5 => {
                let length = usize::from(self.byte()).min(self.left.len());
                let (bytes, rest) = self.left.split_at(length);
                self.left = rest;
                Act::Write(bytes.to_vec())
            }
            6 | 7 => Act::Write(self.opening()),
            8 => Act::Write(frame(0, None, 0)),
            kind => Act::Write(self.frame(kind)),
        };
        Some((usize::from(first >> 5), act))
    }

    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.left.split_first() else {
            return 0;
        };
        self.left = rest;
        byte
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// A small number, sometimes one near the end of the range.
    fn number(&mut self) -> u32 {
        match self.byte() {
            byte @ 0..=239 => u32::from(byte),
            byte => u32::MAX - u32::from(255 - byte),
        }
    }

    /// Header, Open and Begin at once: what most scripts begin with.
    fn opening(&mut self) -> Vec<u8> {
        let open = Open {
            container_id: Str::from("hostile"),
            max_frame_size: if self.flag() { 512 } else { u32::MAX },
            idle_time_out: self.flag().then_some(1000),
            ..Open::default()
        };
        let mut bytes = ProtocolHeader::Amqp.bytes().to_vec();
        bytes.extend(frame(0, Some(&Performative::Open(Box::new(open))), 0));
        bytes.extend(frame(0, Some(&self.begin()), 0));
        bytes
    }

    fn frame(&mut self, kind: u8) -> Vec<u8> {
        let channel = u16::from(self.byte() % 3);
        let mut payload = 0;
        let performative = match kind {
            9 => self.begin(),
            10..=13 => self.attach(),
            14..=17 => self.flow(),
            18..=24 => {
                payload = match self.byte() {
                    byte @ 0..=249 => usize::from(byte),
                    byte => usize::from(byte - 249) * 100_000,
                };
                self.transfer()
            }
            25..=28 => self.disposition(),
            29 => Performative::Detach(Detach {
                handle: u32::from(self.byte() % 4),
                closed: self.flag(),
                error: self.error(),
            }),
            30 => Performative::End(End {
                error: self.error(),
            }),
            _ => Performative::Close(Close {
                error: self.error(),
            }),
        };
        frame(channel, Some(&performative), payload)
    }

    fn begin(&mut self) -> Performative {
        Performative::Begin(Box::new(Begin {
            next_outgoing_id: self.number(),
            incoming_window: self.number(),
            outgoing_window: self.number(),
            handle_max: if self.flag() { 3 } else { u32::MAX },
            ..Begin::default()
        }))
    }

    fn attach(&mut self) -> Performative {
        let role = if self.flag() {
            Role::Sender
        } else {
            Role::Receiver
        };
        let choice = usize::from(self.byte()) % ADDRESSES.len();
        let address = ADDRESSES[choice].map(Str::from);
        let dynamic = choice + 1 == ADDRESSES.len();
        let (near, far) = (Some(Str::from("here")), address);
        let (source, target) = if role == Role::Sender {
            (near, far)
        } else {
            (far, near)
        };
        let handle = u32::from(self.byte() % 4);
        Performative::Attach(Box::new(Attach {
            name: Str::copy(&format!("link-{}", self.byte() % 6)),
            handle,
            role,
            snd_settle_mode: SenderSettleMode::from_byte(self.byte() % 3).unwrap_or_default(),
            rcv_settle_mode: ReceiverSettleMode::from_byte(self.byte() % 2).unwrap_or_default(),
            source: Some(Source {
                address: source,
                dynamic: dynamic && role == Role::Receiver,
                ..Source::default()
            }),
            target: Some(TargetArchetype::Target(Box::new(Target {
                address: target,
                dynamic: dynamic && role == Role::Sender,
                ..Target::default()
            }))),
            initial_delivery_count: (role == Role::Sender).then(|| self.number()),
            ..Attach::default()
        }))
    }

    fn flow(&mut self) -> Performative {
        let handle = self.byte() % 5;
        let of_link = handle < 4;
        Performative::Flow(Flow {
            next_incoming_id: self.flag().then(|| self.number()),
            incoming_window: self.number(),
            next_outgoing_id: self.number(),
            outgoing_window: self.number(),
            handle: of_link.then_some(u32::from(handle)),
            delivery_count: of_link.then(|| self.number()),
            link_credit: of_link.then(|| self.number()),
            available: None,
            drain: self.flag(),
            echo: self.flag(),
            properties: None,
        })
    }

    fn transfer(&mut self) -> Performative {
        let handle = u32::from(self.byte() % 4);
        let flags = self.byte();
        let is = |bit: u8| flags >> bit & 1 == 1;
        Performative::Transfer(Transfer {
            handle,
            delivery_id: (!is(0)).then(|| self.number()),
            delivery_tag: (!is(1)).then(|| DeliveryTag::new(&[flags]).unwrap_or_default()),
            message_format: Some(0),
            settled: is(2).then_some(true),
            more: is(3) || is(4),
            state: if is(5) { self.state() } else { None },
            aborted: is(6) && is(7),
            ..Transfer::default()
        })
    }

    fn disposition(&mut self) -> Performative {
        let first = self.number();
        Performative::Disposition(Disposition {
            role: if self.flag() {
                Role::Sender
            } else {
                Role::Receiver
            },
            first,
            last: self.flag().then(|| first.wrapping_add(self.number())),
            settled: self.flag(),
            state: self.state(),
            ..Disposition::default()
        })
    }

    fn state(&mut self) -> Option<DeliveryState> {
        Some(match self.byte() % 6 {
            0 => DeliveryState::Accepted,
            1 => DeliveryState::Released,
            2 => DeliveryState::Rejected(self.error()),
            3 => DeliveryState::Modified(Box::new(Modified {
                delivery_failed: self.flag(),
                undeliverable_here: self.flag(),
                message_annotations: None,
            })),
            4 => DeliveryState::Received {
                section_number: self.number(),
                section_offset: 1,
            },
            _ => return None,
        })
    }

    fn error(&mut self) -> Option<Box<AmqpError>> {
        self.flag()
            .then(|| Box::new(AmqpError::new("amqp:internal-error", "of the script")))
    }
}

/// A frame with a performative, or an empty one, and a payload that begins as a message does.
fn frame(channel: u16, performative: Option<&Performative>, payload: usize) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mark = begin_frame(&mut out, FrameType::Amqp, channel);
    if let Some(performative) = performative {
        performative.encode(&mut out);
    }
    if payload > 0 {
        out.put_slice(&[0x00, 0x53, 0x75, 0xb0, 0x00, 0x01, 0x00, 0x00]);
        out.put_bytes(b'x', payload);
    }
    end_frame(&mut out, mark, 0);
    out.to_vec()
}
