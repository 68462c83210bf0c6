//! What a peer does, dealt to the stages: one arm for each event of the protocol engine.

use amqp_codec::Role;
use amqp_proto::{Event, LinkKey, SessionKey, Time};

use super::conn::{Fault, LinkSlot, Phase};
use super::link::Parting;
use super::state::Shard;
use crate::ids::ConnKey;
use crate::notice::{Notice, cut};

impl Shard {
    /// Acts on one event of a connection.
    pub(super) fn handle_event(&mut self, key: ConnKey, event: Event, now: Time) {
        match event {
            Event::Transfer {
                link,
                delivery,
                payload,
            } => {
                self.take_transfer(key, link, delivery, payload, now);
            }
            Event::Disposition {
                session,
                disposition,
            } => match disposition.role {
                Role::Receiver => self.consumer_disposed(key, session, &disposition),
                Role::Sender => self.producer_disposed(key, session, &disposition),
            },
            Event::Flow {
                session,
                link,
                echo,
            } => self.take_flow(key, session, link, echo),
            Event::Opened(open) => self.open(key, *open),
            Event::Begun {
                session, answer, ..
            } => self.begin(key, session, answer),
            Event::Attached {
                session,
                link,
                attach,
                answer: false,
            } => {
                self.attach(key, session, link, *attach);
            }
            Event::Attached {
                link,
                attach,
                answer: true,
                ..
            } => self.attach_answered(key, link, &attach),
            Event::Detached {
                link,
                closed,
                error,
                answer,
            } => self.take_detach(key, link, Parting { closed, error }, answer),
            Event::LinkFailed { link, error } => {
                let error = error.to_amqp();
                self.note_misdeed(key, &error.condition, error.description.as_deref());
                let (closed, error) = (true, Some(Box::new(error)));
                self.auto_link_detached(key, link, &Parting { closed, error });
                self.drop_link(key, link, crate::notice::LinkEnd::Detached);
            }
            Event::Ended {
                session, answer, ..
            } => self.ended(key, session, answer),
            Event::SessionFailed { session, error } => {
                let error = error.to_amqp();
                self.note_misdeed(key, &error.condition, error.description.as_deref());
                self.drop_session(key, session);
            }
            Event::Closed { answer, error } => self.closed_by_peer(key, answer, error.as_deref()),
            Event::Sasl(step) => self.ask(key, *step),
            // The user is read from the engine when the connection opens.
            Event::Authenticated { .. } => {}
            _ => {}
        }
    }

    /// A link is detached, or an answer to that.
    fn take_detach(&mut self, key: ConnKey, link: LinkKey, parting: Parting, answer: bool) {
        if let Some(error) = &parting.error
            && !answer
            && self.is_own_control(key, link)
        {
            self.refused_as_router(key, error);
            return;
        }
        match self.half_at(key, link) {
            Some(half) => self.half_detached(half, parting),
            None => {
                self.auto_link_detached(key, link, &parting);
                self.detached(key, link, parting.closed, answer);
            }
        }
    }

    /// A flow: credit of a consumer, a drain, an echo, or more room in a session.
    fn take_flow(&mut self, key: ConnKey, session: SessionKey, link: Option<LinkKey>, echo: bool) {
        if let Some(link) = link {
            match self.slot(key, link) {
                Some(LinkSlot::Out(out)) => {
                    self.see_life(out);
                    self.consumer_flow(out);
                }
                Some(LinkSlot::In(in_link)) => {
                    self.mark_credit(in_link, false);
                    self.routed_flow(in_link);
                }
                Some(LinkSlot::Offered(_) | LinkSlot::Refused) | None => {}
            }
        }
        self.wake_session(key, session);
        if echo && let Some(conn) = self.conns.get_mut(key) {
            conn.engine.send_flow(session, link, &mut conn.output);
            self.touch(key);
        }
    }

    /// A connection's input cannot be taken: its links are lost, what the engine queued is sent.
    pub(super) fn fail(&mut self, key: ConnKey, fault: Fault) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let (condition, description) = match fault {
            Fault::Protocol(error) => {
                let error = error.to_amqp();
                (
                    error.condition.to_string(),
                    error
                        .description
                        .map_or_else(String::new, |d| d.to_string()),
                )
            }
            Fault::Transform(text) => ("amqp:connection:framing-error".to_owned(), cut(&text)),
            Fault::Panic => {
                let error = amqp_codec::AmqpError {
                    condition: amqp_codec::Symbol::from("amqp:internal-error"),
                    description: None,
                    info: None,
                };
                conn.engine.close(Some(error), &mut conn.output);
                (
                    "amqp:internal-error".to_owned(),
                    "a defect of this router, fenced".to_owned(),
                )
            }
        };
        self.notices.push(Notice::ConnectionFailed {
            connection: conn.id,
            listener: conn.listener_name(),
            peer: conn.peer.clone(),
            condition: condition.clone(),
            description: description.clone(),
        });
        self.tell_ended(key, Some((condition, description)));
        self.close(key);
    }

    /// A connection ends: its links are lost, what is queued is still sent.
    pub(super) fn close(&mut self, key: ConnKey) {
        self.tell_ended(key, None);
        self.drop_links_of(key);
        self.leave_trunk(key);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.phase = Phase::Closing;
            conn.input.clear();
            conn.finish();
            if conn.is_flushed() {
                self.closed.push(key);
            }
        }
        self.touch(key);
    }

    /// The socket is gone: nothing more can be sent.
    pub(super) fn lose(&mut self, key: ConnKey, error: Option<String>) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let condition = "amqp:connection:framing-error".to_owned();
        let is_cut = conn.transform.is_cut_here();
        let error = error.map(|text| match is_cut {
            true => format!("{text}: TLS was cut off without a farewell"),
            false => text,
        });
        if let Some(description) = &error
            && conn.phase != Phase::Closing
        {
            self.notices.push(Notice::ConnectionFailed {
                connection: conn.id,
                listener: conn.listener_name(),
                peer: conn.peer.clone(),
                condition: condition.clone(),
                description: description.clone(),
            });
        }
        self.tell_ended(key, error.map(|description| (condition, description)));
        self.drop_links_of(key);
        self.leave_trunk(key);
        if let Some(conn) = self.conns.get_mut(key) {
            conn.phase = Phase::Closing;
            self.closed.push(key);
        }
    }

    fn note_misdeed(&mut self, key: ConnKey, condition: &str, description: Option<&str>) {
        if let Some(conn) = self.conns.get(key) {
            self.notices.push(Notice::PeerMisbehaved {
                connection: conn.id,
                condition: cut(condition),
                description: cut(description.unwrap_or_default()),
            });
        }
    }
}
