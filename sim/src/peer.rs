//! AMQP clients with goals, on the real protocol engine: producers that number their messages,
//! consumers that dispose of them as the seed says.

use std::sync::Arc;

use amqp_codec::{
    Attach, DeliveryState, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode, Source, Str,
    Target, TargetArchetype,
};
use amqp_proto::{
    Config, Connection, Event, LinkKey, OutTransfer, Payload, RecvBuf, SendQueue, Sent, SessionKey,
    Time,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use router_core::ids::ConnKey;

use crate::random::Random;

/// What a peer is there for.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    /// Send so many messages to an address.
    Send {
        /// Messages still to send.
        left: u32,
        /// They are settled.
        settled: bool,
        /// Bytes of body at most.
        size: usize,
    },
    /// Take what comes from an address.
    Receive {
        /// Credit kept up.
        credit: u32,
        /// One in so many messages gets another outcome than accepted; 0: none.
        odd: usize,
        /// Outcome first, settlement later.
        second: bool,
    },
}

/// A client.
pub(crate) struct Peer {
    pub(crate) number: u32,
    pub(crate) shard: usize,
    pub(crate) key: ConnKey,
    pub(crate) goal: Goal,
    pub(crate) address: String,
    pub(crate) engine: Connection,
    pub(crate) input: RecvBuf,
    pub(crate) output: SendQueue,
    pub(crate) gone: bool,
    session: Option<SessionKey>,
    pub(crate) link: Option<LinkKey>,
    attached: bool,
    rest: Option<(u64, Payload)>,
    next: u64,
    /// What became of each message sent, by its number: how often a terminal outcome came.
    pub(crate) outcomes: Vec<(u32, Option<DeliveryState>)>,
    partial: BytesMut,
    to_settle: Vec<u32>,
    /// Messages received whole, in order: producer, number; and whether it was accepted.
    pub(crate) received: Vec<(u32, u64, bool)>,
}

impl Peer {
    pub(crate) fn new(number: u32, goal: Goal, address: &str, frame: u32, now: Time) -> Self {
        let config = Config {
            initiator: true,
            container_id: Str::from(format!("peer {number}")),
            max_frame_size: frame,
            session_window: 64,
            ..Config::default()
        };
        let mut output = SendQueue::new();
        let mut engine = Connection::new(Arc::new(config), now);
        engine.start(&mut output);
        Self {
            number,
            shard: 0,
            key: ConnKey(router_core::ids::Key::NONE),
            goal,
            address: address.to_owned(),
            engine,
            input: RecvBuf::new(),
            output,
            gone: false,
            session: None,
            link: None,
            attached: false,
            rest: None,
            next: 0,
            outcomes: Vec::new(),
            partial: BytesMut::new(),
            to_settle: Vec::new(),
            received: Vec::new(),
        }
    }

    /// Pursues the goal as far as the protocol lets it. True if anything was done.
    pub(crate) fn act(&mut self, random: &mut Random) -> bool {
        if self.gone || !self.engine.is_open() {
            return false;
        }
        let Some(session) = self.session else {
            self.session = self.engine.begin(&mut self.output).ok();
            return true;
        };
        let Some(link) = self.link else {
            let attach = self.attach();
            self.link = self.engine.attach(session, attach, &mut self.output).ok();
            return true;
        };
        self.engine.flush_session(session, &mut self.output);
        if !self.attached {
            return false;
        }
        match self.goal.clone() {
            Goal::Send {
                left,
                settled,
                size,
            } => self.send(link, left, settled, size, random),
            Goal::Receive { credit, second, .. } => {
                if self.engine.credit(link) * 2 <= credit {
                    self.engine
                        .set_credit(link, credit, false, &mut self.output);
                }
                let settle = std::mem::take(&mut self.to_settle);
                for id in &settle {
                    let state = (!second).then_some(DeliveryState::Accepted);
                    let role = Role::Receiver;
                    self.engine
                        .queue_disposition(session, role, *id, true, state);
                }
                self.engine.flush_dispositions(session, &mut self.output);
                !settle.is_empty()
            }
        }
    }

    fn send(
        &mut self,
        link: LinkKey,
        left: u32,
        settled: bool,
        size: usize,
        random: &mut Random,
    ) -> bool {
        if self.rest.is_none() {
            if left == 0 || self.engine.credit(link) == 0 {
                return false;
            }
            let body = message(self.number, self.next, random.below(size + 1));
            self.rest = Some((self.next, Payload::from(body)));
        }
        let Some((number, payload)) = &mut self.rest else {
            return false;
        };
        let Some(tag) = DeliveryTag::new(&number.to_be_bytes()) else {
            return false;
        };
        let transfer = OutTransfer {
            settled,
            ..OutTransfer::new(*number, tag)
        };
        match self
            .engine
            .send_transfer(link, &transfer, &[], payload, &mut self.output)
        {
            Sent::Whole => {
                self.rest = None;
                self.next += 1;
                self.outcomes.push((0, None));
                if let Goal::Send { left, .. } = &mut self.goal {
                    *left -= 1;
                }
                true
            }
            Sent::Part(count) => {
                payload.advance(count);
                true
            }
            Sent::Blocked => false,
        }
    }

    /// Takes bytes from the router.
    pub(crate) fn take(&mut self, bytes: Bytes, random: &mut Random, now: Time) {
        self.input.push(bytes);
        loop {
            match self
                .engine
                .poll_event(&mut self.input, &mut self.output, now)
            {
                Ok(Some(event)) => self.handle(event, random),
                Ok(None) => return,
                Err(error) => panic!("the router broke the protocol: {error}"),
            }
        }
    }

    fn handle(&mut self, event: Event, random: &mut Random) {
        match event {
            Event::Attached { .. } => self.attached = true,
            Event::Transfer {
                link,
                delivery,
                payload,
            } => {
                for chunk in payload.chunks() {
                    self.partial.extend_from_slice(chunk);
                }
                if delivery.first && !delivery.settled {
                    self.engine.track(link, delivery.delivery_id, 0);
                }
                if delivery.aborted {
                    self.partial.clear();
                } else if !delivery.more {
                    self.whole(delivery.delivery_id, delivery.settled, random);
                }
            }
            Event::Disposition {
                session,
                disposition,
            } => {
                let mut tokens = Vec::new();
                self.engine.disposed(session, &disposition, &mut tokens);
                if disposition.role == Role::Receiver {
                    self.told(&tokens, disposition.state.as_ref(), disposition.settled);
                }
            }
            Event::LinkFailed { error, .. } => panic!("the router broke a link's rules: {error}"),
            Event::SessionFailed { error, .. } => panic!("a session's rules: {error}"),
            Event::Detached { error, .. } => panic!("detached without a reason of ours: {error:?}"),
            _ => {}
        }
    }

    /// A message is complete: it is what its producer made, and gets its outcome.
    fn whole(&mut self, id: u32, settled: bool, random: &mut Random) {
        let bytes = std::mem::take(&mut self.partial).freeze();
        let (producer, number) = check_message(&bytes);
        let Goal::Receive { odd, second, .. } = self.goal else {
            return;
        };
        let Some(session) = self.session else { return };
        let strange = odd > 0 && random.one_in(odd);
        self.received.push((producer, number, settled || !strange));
        if settled {
            return;
        }
        if strange {
            let state = match random.below(3) {
                0 => DeliveryState::Released,
                1 => DeliveryState::Rejected(None),
                _ => DeliveryState::Modified(Box::default()),
            };
            self.engine
                .queue_disposition(session, Role::Receiver, id, true, Some(state));
        } else {
            if second {
                let state = Some(DeliveryState::Accepted);
                self.engine
                    .queue_disposition(session, Role::Receiver, id, false, state);
            }
            self.to_settle.push(id);
        }
        self.engine.flush_dispositions(session, &mut self.output);
    }

    /// Outcomes of messages this peer has sent.
    fn told(&mut self, tokens: &[u64], state: Option<&DeliveryState>, settled: bool) {
        for &token in tokens {
            let place = usize::try_from(token).unwrap_or(usize::MAX);
            let Some(outcome) = self.outcomes.get_mut(place) else {
                continue;
            };
            if let Some(state) = state.filter(|state| state.is_terminal()) {
                outcome.1 = Some(state.clone());
            }
            outcome.0 += u32::from(settled);
        }
    }

    fn attach(&self) -> Attach {
        let (role, source, target) = match self.goal {
            Goal::Send { .. } => (Role::Sender, None, Some(self.address.as_str())),
            Goal::Receive { .. } => (Role::Receiver, Some(self.address.as_str()), None),
        };
        Attach {
            name: Str::from(format!("link of {}", self.number)),
            handle: 0,
            role,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: Some(Source {
                address: source.map(Str::copy),
                ..Source::default()
            }),
            target: Some(TargetArchetype::Target(Box::new(Target {
                address: target.map(Str::copy),
                ..Target::default()
            }))),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: (role == Role::Sender).then_some(0),
            max_message_size: None,
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: None,
        }
    }
}

/// A message that says who made it, and whose bytes follow from that.
fn message(producer: u32, number: u64, size: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(size + 20);
    bytes.put_slice(&[0x00, 0x53, 0x75, 0xb0]);
    bytes.put_u32(u32::try_from(12 + size).unwrap_or(u32::MAX));
    bytes.put_u32(producer);
    bytes.put_u64(number);
    bytes.put_bytes(number.to_be_bytes()[7], size);
    bytes.freeze()
}

/// Who made a message, and which it was. Panics if a byte is not as it was made.
fn check_message(bytes: &Bytes) -> (u32, u64) {
    let field = |from: usize| {
        let bytes: [u8; 4] = bytes[from..from + 4].try_into().unwrap_or_default();
        u64::from(u32::from_be_bytes(bytes))
    };
    let (length, producer) = (field(4), field(8));
    let number = field(12) << 32 | field(16);
    assert_eq!(
        length + 8,
        bytes.len() as u64,
        "a message has lost or gained bytes"
    );
    let last = number.to_be_bytes()[7];
    assert!(
        bytes[20..].iter().all(|&byte| byte == last),
        "a message's bytes have changed"
    );
    (u32::try_from(producer).unwrap_or(u32::MAX), number)
}
