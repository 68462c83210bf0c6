//! Fuzz bodies as library functions, so that plain tests can replay a corpus.
//!
//! Decision: two bodies. One throws bytes at an engine, as a stranger on the network does; the
//! other lets two engines do what a list of operations says, and checks what they promise each
//! other.

use std::sync::Arc;

use amqp_codec::{
    Attach, DeliveryState, DeliveryTag, ReceiverSettleMode, Role, SenderSettleMode, Symbol,
};
use bytes::Bytes;

use crate::config::{Config, Sasl};
use crate::connection::Connection;
use crate::event::{Event, OutTransfer};
use crate::key::{LinkKey, SessionKey};
use crate::payload::Payload;
use crate::recv::RecvBuf;
use crate::send::SendQueue;
use crate::time::Time;

/// Output beyond which an engine is taken to run away, in bytes.
const OUTPUT_MAX: usize = 16 * 1024 * 1024;

fn acceptor() -> Config {
    let mechanisms = vec![Symbol::from("ANONYMOUS")];
    Config {
        sasl: Sasl::Server {
            mechanisms,
            required: false,
        },
        ..Config::default()
    }
}

/// Any bytes, in pieces whose lengths they say themselves, against an acceptor and an initiator: no
/// panic, and nothing kept but one frame in the making.
pub fn fuzz_connection_bytes(data: &[u8]) {
    for config in [
        acceptor(),
        Config {
            initiator: true,
            ..Config::default()
        },
    ] {
        let frame_max = config.max_frame_size as usize;
        let mut side = Side::new(config);
        let mut rest = data;
        while !rest.is_empty() {
            let length = usize::from(rest[0]) + 1;
            let (piece, more) = rest.split_at(length.min(rest.len()));
            rest = more;
            side.input.push(Bytes::copy_from_slice(piece));
            if !side.poll() {
                break;
            }
            assert!(side.input.len() <= frame_max, "more than one frame is kept");
            assert!(side.out.len() <= OUTPUT_MAX, "the engine runs away");
        }
    }
}

/// Two engines that do what the bytes say: neither finds the other at fault.
pub fn fuzz_connection_ops(data: &[u8]) {
    let mut client = Side::new(Config {
        initiator: true,
        ..Config::default()
    });
    let mut server = Side::new(acceptor());
    client.engine.start(&mut client.out);
    exchange(&mut client, &mut server);
    for operation in data.chunks(2) {
        let argument = operation.get(1).copied().unwrap_or(0);
        let side = if operation[0] & 0x80 == 0 {
            &mut client
        } else {
            &mut server
        };
        side.operate(operation[0] & 0x0f, argument);
        if operation[0] & 0x40 == 0 {
            exchange(&mut client, &mut server);
        }
    }
    exchange(&mut client, &mut server);
}

/// One engine and what surrounds it.
struct Side {
    engine: Connection,
    input: RecvBuf,
    out: SendQueue,
    sessions: Vec<SessionKey>,
    links: Vec<LinkKey>,
    received: Vec<(LinkKey, u32)>,
    names: u32,
}

impl Side {
    fn new(config: Config) -> Self {
        Self {
            engine: Connection::new(Arc::new(config), Time::ZERO),
            input: RecvBuf::new(),
            out: SendQueue::new(),
            sessions: Vec::new(),
            links: Vec::new(),
            received: Vec::new(),
            names: 0,
        }
    }

    /// Takes all events; false once the connection is over.
    fn poll(&mut self) -> bool {
        loop {
            match self
                .engine
                .poll_event(&mut self.input, &mut self.out, Time::ZERO)
            {
                Ok(Some(event)) => self.handle(event),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Opened(_) => self.engine.open(None, &mut self.out),
            Event::Begun {
                session, answer, ..
            } => {
                if !answer {
                    self.engine.answer_begin(session, &mut self.out);
                }
                self.sessions.push(session);
            }
            Event::Attached {
                link,
                attach,
                answer,
                ..
            } => {
                if !answer {
                    self.engine.answer_attach(link, *attach, &mut self.out);
                }
                self.links.push(link);
            }
            Event::Transfer { link, delivery, .. } if delivery.first && !delivery.settled => {
                self.engine.track(link, delivery.delivery_id, 1);
                self.received.push((link, delivery.delivery_id));
            }
            Event::Disposition {
                session,
                disposition,
            } => {
                self.engine.disposed(session, &disposition, &mut Vec::new());
            }
            Event::Detached {
                link,
                closed,
                answer,
                ..
            } => {
                if !answer {
                    self.engine.detach(link, closed, None, &mut self.out);
                }
                self.forget(link);
            }
            Event::LinkFailed { link, .. } => self.forget(link),
            Event::Ended {
                session, answer, ..
            } => {
                self.end(session);
                if !answer {
                    self.engine.end(session, None, &mut self.out);
                }
            }
            Event::SessionFailed { session, .. } => self.end(session),
            Event::Closed { answer: false, .. } => self.engine.close(None, &mut self.out),
            _ => {}
        }
    }

    fn end(&mut self, session: SessionKey) {
        let mut links = Vec::new();
        self.engine.links_of(session, &mut links);
        for link in links {
            self.forget(link);
        }
        self.sessions.retain(|&of| of != session);
    }

    fn forget(&mut self, link: LinkKey) {
        self.engine
            .forget_link(link, &mut Vec::new(), &mut Vec::new());
        self.links.retain(|&of| of != link);
    }

    fn operate(&mut self, operation: u8, argument: u8) {
        let pick = usize::from(argument);
        let session = self
            .sessions
            .get(pick % self.sessions.len().max(1))
            .copied();
        let link = self.links.get(pick % self.links.len().max(1)).copied();
        match (operation, session, link) {
            (0, _, _) => {
                self.engine.begin(&mut self.out).ok();
            }
            (1, Some(session), _) => self.attach(session, argument),
            (2, _, Some(link)) => {
                let drain = argument & 1 == 1;
                self.engine
                    .set_credit(link, u32::from(argument), drain, &mut self.out);
            }
            (3..=6, _, Some(link)) => self.transfer(link, operation, argument),
            (7, Some(session), _) => self.settle(session),
            (8, _, Some(link)) => self
                .engine
                .detach(link, argument & 1 == 1, None, &mut self.out),
            (9, Some(session), _) => self.engine.end(session, None, &mut self.out),
            (10, _, Some(link)) => self.engine.drained(link, &mut self.out),
            (11, Some(session), _) => {
                self.engine.set_withheld(session, u32::from(argument));
                self.engine.flush_session(session, &mut self.out);
            }
            (12, Some(session), link) => self.engine.send_flow(session, link, &mut self.out),
            (13, _, _) => self.engine.close(None, &mut self.out),
            _ => {}
        }
    }

    fn attach(&mut self, session: SessionKey, argument: u8) {
        self.names += 1;
        let role = if argument & 1 == 0 {
            Role::Sender
        } else {
            Role::Receiver
        };
        let attach = Attach {
            name: format!("link {}", self.names).into(),
            handle: 0,
            role,
            snd_settle_mode: SenderSettleMode::Mixed,
            rcv_settle_mode: ReceiverSettleMode::First,
            source: None,
            target: None,
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: (role == Role::Sender).then_some(0),
            max_message_size: None,
            offered_capabilities: Vec::new(),
            desired_capabilities: Vec::new(),
            properties: None,
        };
        // At a limit there is no link, and that is fine.
        self.engine.attach(session, attach, &mut self.out).ok();
    }

    fn transfer(&mut self, link: LinkKey, operation: u8, argument: u8) {
        let Some(tag) = DeliveryTag::new(b"tag") else {
            return;
        };
        let transfer = OutTransfer {
            settled: operation == 4,
            more: operation == 5,
            aborted: operation == 6,
            ..OutTransfer::new(u64::from(argument), tag)
        };
        let body = Payload::from(Bytes::from(vec![0x75; usize::from(argument) * 97 + 1]));
        let before = self.engine.credit(link);
        self.engine
            .send_transfer(link, &transfer, &[], &body, &mut self.out);
        assert!(
            self.engine.credit(link) <= before,
            "sending makes no credit"
        );
    }

    fn settle(&mut self, session: SessionKey) {
        for (link, id) in std::mem::take(&mut self.received) {
            if self.engine.session_of(link) == Some(session) {
                let state = Some(DeliveryState::Accepted);
                self.engine
                    .queue_disposition(session, Role::Receiver, id, true, state);
            } else {
                self.received.push((link, id));
            }
        }
        self.engine.flush_dispositions(session, &mut self.out);
    }
}

/// Lets bytes pass until both are silent; no engine may find the other at fault.
fn exchange(client: &mut Side, server: &mut Side) {
    loop {
        let up = take(&mut client.out);
        let down = take(&mut server.out);
        if up.is_empty() && down.is_empty() {
            return;
        }
        for (side, bytes) in [(&mut *server, up), (&mut *client, down)] {
            side.input.push(bytes);
            assert!(
                side.poll() || side.engine.is_closed(),
                "an engine blames its like"
            );
        }
    }
}

fn take(out: &mut SendQueue) -> Bytes {
    let bytes = out.to_bytes();
    out.consume(bytes.len());
    Bytes::from(bytes)
}
