//! One end of a fuzzed connection with an owner that answers, settles and keeps books.
//!
//! Owns the ledger of tokens and deliveries; never decides what happens next.
//!
//! Decision: messages describe themselves (token, length, pattern), so a receiver can tell whether
//! what it got is what was sent without sharing anything with the sender.

use std::collections::BTreeMap;
use std::sync::Arc;

use amqp_codec::{DeliveryState, DeliveryTag, Disposition, Role, SaslCode, Str, Symbol};
use bytes::Bytes;

use crate::config::Config;
use crate::connection::Connection;
use crate::error::ConnectionError;
use crate::event::{Event, InTransfer, OutTransfer, Sent};
use crate::key::{LinkKey, SessionKey};
use crate::payload::Payload;
use crate::recv::RecvBuf;
use crate::sasl::{SaslReply, SaslStep};
use crate::send::SendQueue;
use crate::time::Time;

/// Length of what a message says about itself: its token and its length.
const PREAMBLE: usize = 16;

/// An unsettled delivery.
pub(super) struct Unsettled {
    pub(super) session: SessionKey,
    pub(super) link: LinkKey,
    pub(super) delivery_id: u32,
}

/// A delivery on its way out.
struct Pending {
    token: u64,
    settled: bool,
    rest: Vec<u8>,
    /// How much of the rest is offered only later.
    held: usize,
    begun: bool,
}

/// One end of a connection, and its owner.
pub(super) struct Peer {
    pub(super) connection: Connection,
    pub(super) input: RecvBuf,
    pub(super) out: SendQueue,
    /// Sessions that this end began.
    pub(super) begun: Vec<SessionKey>,
    /// Links that were not forgotten.
    pub(super) links: Vec<LinkKey>,
    pub(super) incoming: BTreeMap<u64, Unsettled>,
    pub(super) outgoing: BTreeMap<u64, Unsettled>,
    pending: Vec<(LinkKey, Pending)>,
    assembling: Vec<(LinkKey, Vec<u8>)>,
    next_token: u64,
    /// The other end keeps the rules, so whatever looks like a misdeed is our mistake.
    honest: bool,
    pub(super) error: Option<ConnectionError>,
}

impl Peer {
    pub(super) fn new(config: Config, honest: bool) -> Self {
        Self {
            connection: Connection::new(Arc::new(config), Time::ZERO),
            input: RecvBuf::new(),
            out: SendQueue::new(),
            begun: Vec::new(),
            links: Vec::new(),
            incoming: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            pending: Vec::new(),
            assembling: Vec::new(),
            next_token: 1,
            honest,
            error: None,
        }
    }

    /// Takes one event and does what an owner does about it; its text, if there was one.
    pub(super) fn poll(&mut self) -> Option<Event> {
        if self.error.is_some() {
            return None;
        }
        let polled = self
            .connection
            .poll_event(&mut self.input, &mut self.out, Time::ZERO);
        match polled {
            Ok(Some(event)) => {
                self.answer(&event);
                Some(event)
            }
            Ok(None) => None,
            Err(error) => {
                assert!(!self.honest, "an honest peer was blamed: {error}");
                self.error = Some(error);
                None
            }
        }
    }

    /// What an owner does at the end of each turn.
    pub(super) fn flush(&mut self) {
        let mut sessions = Vec::new();
        self.connection.sessions(&mut sessions);
        for session in sessions {
            let booked = self.incoming.values();
            let booked = booked.filter(|entry| entry.session == session).count();
            assert_eq!(
                self.connection.unsettled_in(session),
                booked,
                "the engine remembers what is unsettled and nothing else"
            );
            self.connection.flush_dispositions(session, &mut self.out);
            self.connection.flush_session(session, &mut self.out);
        }
    }

    fn answer(&mut self, event: &Event) {
        match event {
            Event::Sasl(step) => self.answer_sasl(step),
            Event::Opened(_) => self.connection.open(None, &mut self.out),
            Event::Begun {
                session,
                answer: false,
                ..
            } => {
                self.connection.answer_begin(*session, &mut self.out);
            }
            Event::Attached {
                link,
                attach,
                answer: false,
                ..
            } => {
                self.links.push(*link);
                self.connection
                    .answer_attach(*link, (**attach).clone(), &mut self.out);
            }
            Event::Detached {
                link,
                closed,
                answer,
                ..
            } => self.on_detached(*link, *closed, *answer),
            Event::Ended {
                session, answer, ..
            } => {
                if !answer {
                    self.connection.end(*session, None, &mut self.out);
                }
                self.forget_all(*session);
            }
            Event::Closed { answer: false, .. } => self.connection.close(None, &mut self.out),
            Event::Flow {
                session,
                link,
                echo,
            } => self.on_flow(*session, *link, *echo),
            Event::Transfer {
                link,
                delivery,
                payload,
            } => {
                self.on_transfer(*link, delivery, payload);
            }
            Event::Disposition {
                session,
                disposition,
            } => {
                self.on_disposition(*session, disposition);
            }
            Event::LinkFailed { link, error } => {
                assert!(!self.honest, "an honest peer was blamed: {error}");
                self.forget(*link);
            }
            Event::SessionFailed { session, error } => {
                assert!(!self.honest, "an honest peer was blamed: {error}");
                self.forget_all(*session);
            }
            Event::Authenticated { .. }
            | Event::Begun { .. }
            | Event::Attached { .. }
            | Event::Closed { .. } => {}
        }
    }

    fn on_detached(&mut self, link: LinkKey, closed: bool, answer: bool) {
        if !answer {
            self.connection.detach(link, closed, None, &mut self.out);
        }
        self.forget(link);
    }

    fn answer_sasl(&mut self, step: &SaslStep) {
        let replied = self.connection.reply_sasl(sasl_reply(step), &mut self.out);
        self.error = replied.err();
    }

    fn on_flow(&mut self, session: SessionKey, link: Option<LinkKey>, echo: bool) {
        if echo {
            self.connection.send_flow(session, link, &mut self.out);
        }
        if let Some(link) = link
            && self.connection.drain_requested(link)
            && !self.connection.is_delivering(link)
            && self.connection.link_role(link) == Some(Role::Sender)
        {
            self.connection.drained(link, &mut self.out);
            assert_eq!(
                self.connection.credit(link),
                0,
                "credit is given back whole"
            );
        }
    }

    fn on_transfer(&mut self, link: LinkKey, delivery: &InTransfer, payload: &Payload) {
        if self.honest {
            let bytes = self.assembled(link, delivery, payload);
            if let Some(bytes) = bytes {
                check_message(&bytes);
            }
        }
        if delivery.settled || delivery.aborted {
            let id = delivery.delivery_id;
            self.incoming
                .retain(|_, entry| entry.link != link || entry.delivery_id != id);
        }
        if !delivery.first || delivery.aborted || delivery.settled {
            return;
        }
        let token = self.token();
        self.connection.track(link, delivery.delivery_id, token);
        let session = self
            .connection
            .session_of(link)
            .expect("a link with a transfer lives");
        let delivery_id = delivery.delivery_id;
        self.incoming.insert(
            token,
            Unsettled {
                session,
                link,
                delivery_id,
            },
        );
    }

    /// All of a delivery's bytes, when its last frame is here.
    fn assembled(
        &mut self,
        link: LinkKey,
        delivery: &InTransfer,
        payload: &Payload,
    ) -> Option<Vec<u8>> {
        let at = self.assembling.iter().position(|(other, _)| *other == link);
        assert_eq!(
            delivery.first,
            at.is_none(),
            "only a first frame starts a delivery"
        );
        let mut bytes = at.map_or_else(Vec::new, |at| self.assembling.swap_remove(at).1);
        payload
            .chunks()
            .iter()
            .for_each(|chunk| bytes.extend_from_slice(chunk));
        if delivery.more {
            self.assembling.push((link, bytes));
            return None;
        }
        (!delivery.aborted).then_some(bytes)
    }

    fn on_disposition(&mut self, session: SessionKey, disposition: &Disposition) {
        let mut tokens = Vec::new();
        self.connection.disposed(session, disposition, &mut tokens);
        let books = match disposition.role {
            Role::Receiver => &mut self.outgoing,
            Role::Sender => &mut self.incoming,
        };
        for token in tokens {
            let entry = books
                .get(&token)
                .expect("a token comes back while it is unsettled");
            assert_eq!(entry.session, session, "a token comes back on its session");
            let past = entry.delivery_id.wrapping_sub(disposition.first);
            let span = disposition
                .last
                .unwrap_or(disposition.first)
                .wrapping_sub(disposition.first);
            assert!(past <= span, "only what the range names comes back");
            let delivery_id = entry.delivery_id;
            if disposition.settled {
                books.remove(&token);
            } else if disposition.role == Role::Receiver {
                books.remove(&token);
                let state = Some(DeliveryState::Accepted);
                self.connection
                    .queue_disposition(session, Role::Sender, delivery_id, true, state);
            }
        }
    }

    pub(super) fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// Offers what is left of the link's delivery, or begins one of `length` bytes.
    pub(super) fn send(&mut self, link: LinkKey, length: usize, settled: bool, held: usize) {
        let at = self.pending.iter().position(|(other, _)| *other == link);
        let mut pending = match at {
            Some(at) => self.pending.swap_remove(at).1,
            None => {
                let token = self.token();
                let rest = message(token, length);
                let held = held.min(rest.len());
                Pending {
                    token,
                    settled,
                    rest,
                    held,
                    begun: false,
                }
            }
        };
        let offered = pending.rest.len() - pending.held;
        let (head, body) = pending.rest[..offered].split_at(offered.min(3));
        let body = Payload::from(Bytes::copy_from_slice(body));
        let more = pending.held > 0;
        let credit = self.connection.credit(link);
        let sent = self.offer(link, &pending, more, head, &body);
        if !pending.begun && sent != Sent::Blocked {
            assert_eq!(
                self.connection.credit(link) + 1,
                credit,
                "a delivery takes one credit"
            );
            pending.begun = true;
            self.book(link, &pending);
        }
        let done = match sent {
            Sent::Whole => offered,
            Sent::Part(taken) => taken,
            Sent::Blocked => 0,
        };
        pending.rest.drain(..done);
        if sent == Sent::Whole {
            pending.held = 0;
        }
        if pending.begun && (sent != Sent::Whole || more) {
            self.pending.push((link, pending));
        }
    }

    fn offer(
        &mut self,
        link: LinkKey,
        pending: &Pending,
        more: bool,
        head: &[u8],
        body: &Payload,
    ) -> Sent {
        let tag = DeliveryTag::new(&pending.token.to_be_bytes()).expect("eight bytes fit");
        let settled = pending.settled;
        let transfer = OutTransfer {
            settled,
            more,
            ..OutTransfer::new(pending.token, tag)
        };
        self.connection
            .send_transfer(link, &transfer, head, body, &mut self.out)
    }

    fn book(&mut self, link: LinkKey, pending: &Pending) {
        if !pending.settled {
            let session = self
                .connection
                .session_of(link)
                .expect("the link has just been used");
            let delivery_id = self.connection.last_delivery_id(link);
            self.outgoing.insert(
                pending.token,
                Unsettled {
                    session,
                    link,
                    delivery_id,
                },
            );
        }
    }

    /// Gives up the delivery that the link is in the middle of.
    pub(super) fn abort(&mut self, link: LinkKey) {
        let Some(at) = self.pending.iter().position(|(other, _)| *other == link) else {
            return;
        };
        let token = self.pending[at].1.token;
        let tag = DeliveryTag::default();
        let transfer = OutTransfer {
            aborted: true,
            ..OutTransfer::new(token, tag)
        };
        let sent =
            self.connection
                .send_transfer(link, &transfer, b"", &Payload::new(), &mut self.out);
        if sent == Sent::Whole {
            self.pending.swap_remove(at);
            self.outgoing.remove(&token);
        }
    }

    /// Takes a link from the books: every token still unsettled on it must come back, once.
    pub(super) fn forget(&mut self, link: LinkKey) {
        let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
        self.connection
            .forget_link(link, &mut incoming, &mut outgoing);
        for (books, tokens) in [
            (&mut self.incoming, incoming),
            (&mut self.outgoing, outgoing),
        ] {
            for token in tokens {
                let entry = books.remove(&token);
                assert!(
                    entry.is_some_and(|entry| entry.link == link),
                    "token {token} is known"
                );
            }
            let left = books.values().filter(|entry| entry.link == link).count();
            assert_eq!(left, 0, "all tokens of a forgotten link come back");
        }
        self.links.retain(|other| *other != link);
        self.pending.retain(|(other, _)| *other != link);
        self.assembling.retain(|(other, _)| *other != link);
    }

    pub(super) fn forget_all(&mut self, session: SessionKey) {
        let mut links = Vec::new();
        self.connection.links_of(session, &mut links);
        links.into_iter().for_each(|link| self.forget(link));
    }
}

/// A message that describes itself.
fn message(token: u64, length: usize) -> Vec<u8> {
    let mut bytes = token.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(length as u64).to_be_bytes());
    bytes.extend((0..length).map(|place| pattern(token, place)));
    bytes
}

fn pattern(token: u64, place: usize) -> u8 {
    token
        .wrapping_mul(31)
        .wrapping_add(place as u64)
        .to_le_bytes()[0]
}

/// # Panics
/// If the bytes are not those that [`message`] made.
fn check_message(bytes: &[u8]) {
    let (preamble, rest) = bytes.split_at_checked(PREAMBLE).expect("a whole preamble");
    let token = u64::from_be_bytes(preamble[..8].try_into().expect("eight bytes"));
    assert_eq!(
        bytes,
        message(token, rest.len()),
        "what arrives is what was sent"
    );
}

/// What an owner may answer, as the first byte says.
fn sasl_reply(step: &SaslStep) -> SaslReply {
    let user = Str::from_static("user");
    let judge = |data: &[u8]| match data.first().map(|byte| byte % 3) {
        Some(0) => SaslReply::Challenge(Bytes::copy_from_slice(data)),
        Some(1) => SaslReply::Failure {
            code: SaslCode::Auth,
            user: None,
        },
        Some(_) | None => SaslReply::Success {
            user: user.clone(),
            data: None,
        },
    };
    match step {
        SaslStep::Started => SaslReply::Offer(vec![Symbol::from_static("PLAIN")]),
        SaslStep::Init { response, .. } => judge(response.as_deref().unwrap_or_default()),
        SaslStep::Response(data) => judge(data),
        SaslStep::Offered(mechanisms) => match mechanisms.first() {
            Some(mechanism) => SaslReply::Choice {
                mechanism: mechanism.clone(),
                response: None,
            },
            None => SaslReply::Abort(Str::from_static("no mechanism")),
        },
        SaslStep::Challenge(data) => SaslReply::Response(data.clone()),
        SaslStep::Succeeded(_) => SaslReply::Accept(user),
    }
}
