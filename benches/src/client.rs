//! A client in memory: a protocol engine with one session and one link.
//!
//! Owns what it says. It never knows which router it is connected to, nor carries bytes there.

use std::sync::Arc;

use amqp_codec::{Attach, DeliveryState, DeliveryTag, Role, Str};
use amqp_proto::{
    Config, Connection, Event, LinkKey, OutTransfer, Payload, RecvBuf, SendQueue, Sent, SessionKey,
    Time,
};
use bytes::Bytes;

/// Credit of a consumer: more than any round sends.
const CREDIT: u32 = 1_000;

/// A client with one session and one link.
pub(crate) struct Client {
    engine: Connection,
    session: Option<SessionKey>,
    link: Option<LinkKey>,
    input: RecvBuf,
    output: SendQueue,
    /// What is left of the message being sent.
    left: Payload,
    /// Messages not yet begun.
    unsent: u32,
    /// What it sends is settled.
    pub(crate) settled: bool,
    /// Whole messages received, or outcomes heard of.
    pub(crate) concluded: u64,
}

impl Client {
    /// One that begins to connect.
    pub(crate) fn new(number: usize, now: Time) -> Self {
        let config = Config {
            initiator: true,
            container_id: Str::copy(&format!("client-{number}")),
            session_window: 10_000,
            ..Config::default()
        };
        let mut client = Self {
            engine: Connection::new(Arc::new(config), now),
            session: None,
            link: None,
            input: RecvBuf::new(),
            output: SendQueue::new(),
            left: Payload::default(),
            unsent: 0,
            settled: false,
            concluded: 0,
        };
        client.engine.start(&mut client.output);
        client
    }

    /// Attaches its link.
    pub(crate) fn attach(&mut self, attach: Attach) {
        let session = self.engine.begin(&mut self.output);
        let session = session.expect("it is the first session");
        let link = self.engine.attach(session, attach, &mut self.output);
        self.session = Some(session);
        self.link = Some(link.expect("it is the first link"));
    }

    /// Lets messages come.
    pub(crate) fn grant(&mut self) {
        if let Some(link) = self.link {
            self.engine
                .set_credit(link, CREDIT, false, &mut self.output);
        }
    }

    /// Has so many messages to send, if it sends.
    pub(crate) fn load(&mut self, count: u32) {
        if self.is_producer() {
            self.unsent = count;
        }
    }

    /// What it has written.
    pub(crate) fn written(&mut self) -> Vec<u8> {
        let bytes = self.output.to_bytes();
        self.output.consume(bytes.len());
        bytes
    }

    fn is_producer(&self) -> bool {
        self.link.and_then(|link| self.engine.link_role(link)) == Some(Role::Sender)
    }

    /// Sends what credit, window and queue let. False: nothing was sent.
    pub(crate) fn send(&mut self, message: &Bytes) -> bool {
        let Some(link) = self.link else { return false };
        let mut moved = false;
        while self.unsent > 0 || !self.left.is_empty() {
            if self.left.is_empty() {
                self.left = Payload::from(message.clone());
                self.unsent -= 1;
            }
            let transfer = OutTransfer {
                settled: self.settled,
                ..OutTransfer::new(0, DeliveryTag::default())
            };
            match self
                .engine
                .send_transfer(link, &transfer, &[], &self.left, &mut self.output)
            {
                Sent::Whole => self.left = Payload::default(),
                Sent::Part(count) => self.left.advance(count),
                Sent::Blocked => return moved,
            }
            moved = true;
        }
        moved
    }

    /// Reads what the router has written: accepts messages, hears of outcomes.
    pub(crate) fn take(&mut self, bytes: Bytes, now: Time) {
        self.input.push(bytes);
        let mut tokens = Vec::new();
        while let Ok(Some(event)) = self
            .engine
            .poll_event(&mut self.input, &mut self.output, now)
        {
            match event {
                Event::Transfer { link, delivery, .. } => {
                    if delivery.first && !delivery.settled {
                        self.engine.track(link, delivery.delivery_id, 0);
                    }
                    if delivery.more {
                        continue;
                    }
                    self.concluded += 1;
                    if let (Some(session), false) = (self.session, delivery.settled) {
                        let accepted = Some(DeliveryState::Accepted);
                        let id = delivery.delivery_id;
                        self.engine
                            .queue_disposition(session, Role::Receiver, id, true, accepted);
                    }
                    if self.engine.credit(link) < CREDIT / 2 {
                        self.grant();
                    }
                }
                Event::Begun {
                    session,
                    answer: false,
                    ..
                } => {
                    self.engine.answer_begin(session, &mut self.output);
                    self.session = Some(session);
                }
                Event::Attached {
                    link,
                    attach,
                    answer: false,
                    ..
                } => self.admit(link, *attach),
                Event::Disposition {
                    session,
                    disposition,
                } => {
                    self.engine.disposed(session, &disposition, &mut tokens);
                }
                _ => {}
            }
        }
        self.concluded += tokens.len() as u64;
        if let Some(session) = self.session {
            self.engine.flush_dispositions(session, &mut self.output);
            self.engine.flush_session(session, &mut self.output);
        }
    }

    /// Takes a link on which the router sends.
    fn admit(&mut self, link: LinkKey, asked: Attach) {
        let answer = Attach {
            source: asked.source,
            target: asked.target,
            ..Attach::default()
        };
        self.engine.answer_attach(link, answer, &mut self.output);
        self.link = Some(link);
        self.grant();
    }
}
