//! The security layer, both roles (amqp-1.0 §5.3).
//!
//! Owns the SASL exchange; never sees an AMQP frame, and never shows credentials.
//!
//! Decision: ANONYMOUS and EXTERNAL need nothing but what the engine knows, and are decided here.
//! Every other mechanism is the owner's, a step at a time (`crate::sasl`); here is only who may
//! speak, and how much.

use amqp_codec::{FrameType, SaslCode, SaslFrame, Str, Symbol};
use bytes::Bytes;

use crate::config::{Mechanism, Sasl};
use crate::connection::phase::{NO_MECHANISM, Phase};
use crate::connection::state::Connection;
use crate::error::{ConnectionError, Violation};
use crate::event::Event;
use crate::recv::RecvBuf;
use crate::sasl::{SASL_DATA_MAX, SaslReply, SaslStep};
use crate::send::SendQueue;
use crate::tap::TapKind;

/// The largest SASL frame (amqp-1.0 §5.3.1).
const SASL_FRAME_MAX: u32 = 512;

/// The longest name of a mechanism that we would use, in bytes (RFC 4422 §3.1 has 20).
const MECHANISM_MAX: usize = 32;

/// What the encoding of a list of mechanisms adds to their names at most, in bytes.
const MECHANISMS_OVERHEAD: usize = 32;

/// The user of a peer that gave no credentials.
const ANONYMOUS_USER: &str = "anonymous";

const ANONYMOUS: &str = "ANONYMOUS";
const EXTERNAL: &str = "EXTERNAL";
const PLAIN: &str = "PLAIN";

impl Connection {
    /// Takes a SASL frame from the input; `None` if there is no whole one.
    pub(super) fn on_sasl(
        &mut self,
        input: &mut RecvBuf,
        out: &mut SendQueue,
    ) -> Result<Option<Option<Event>>, ConnectionError> {
        let frame = match self.next_sasl(input) {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(None),
            Err(error) => return Err(self.fail(error, out)),
        };
        let result = match (self.phase, frame) {
            (
                Phase::AwaitInit,
                SaslFrame::Init {
                    mechanism,
                    initial_response,
                    hostname,
                },
            ) => self.authenticate(&mechanism, initial_response, hostname, out),
            (Phase::AwaitResponse, SaslFrame::Response(data)) => {
                Ok(Some(self.ask(Phase::Judging, SaslStep::Response(data))))
            }
            (Phase::AwaitMechanisms, SaslFrame::Mechanisms(offered)) => {
                self.on_mechanisms(offered, out)
            }
            (Phase::AwaitTurn, SaslFrame::Challenge(data)) => {
                Ok(Some(self.ask(Phase::Answering, SaslStep::Challenge(data))))
            }
            (
                Phase::AwaitOutcome | Phase::AwaitTurn,
                SaslFrame::Outcome {
                    code,
                    additional_data,
                },
            ) => self.on_outcome(code, additional_data, out),
            _ => Err(ConnectionError::local(
                Violation::SaslSequence,
                "SASL frame out of sequence",
            )),
        };
        result.map(Some).map_err(|error| self.fail(error, out))
    }

    fn next_sasl(&mut self, input: &mut RecvBuf) -> Result<Option<SaslFrame>, ConnectionError> {
        let malformed = |text: String| ConnectionError::local(Violation::SaslSequence, text);
        let next = input
            .next_frame(SASL_FRAME_MAX)
            .map_err(|error| malformed(error.to_string()))?;
        let Some((header, mut body)) = next else {
            return Ok(None);
        };
        self.timers.last_heard = self.now;
        if header.frame_type != FrameType::Sasl {
            return Err(malformed("AMQP frame in the security layer".into()));
        }
        let whole = body.clone();
        let frame = SaslFrame::decode(&mut body).map_err(|error| malformed(error.to_string()))?;
        self.tap_sasl(&whole);
        Ok(Some(frame))
    }

    fn tap_sasl(&mut self, frame: &Bytes) {
        if let Some(tap) = &mut self.writer.tap {
            tap.push(true, TapKind::Sasl, frame, b"", 0);
        }
    }

    /// The owner has the word.
    fn ask(&mut self, phase: Phase, step: SaslStep) -> Event {
        self.phase = phase;
        Event::Sasl(Box::new(step))
    }

    /// Whether what the transport has come to allows a mechanism of the list.
    pub(super) fn may_offer(&self, mechanism: &Symbol) -> bool {
        match mechanism.as_str() {
            EXTERNAL => self.external.is_some(),
            PLAIN => self.encrypted || self.config.plain_in_clear,
            _ => true,
        }
    }

    /// Acceptor: says what there is to choose from.
    pub(super) fn offer(&mut self, mechanisms: Vec<Symbol>, out: &mut SendQueue) {
        let frame = SaslFrame::Mechanisms(mechanisms);
        self.writer.sasl(out, |buffer| frame.encode(buffer));
        self.phase = Phase::AwaitInit;
    }

    /// Acceptor: the client has chosen.
    fn authenticate(
        &mut self,
        mechanism: &Symbol,
        response: Option<Bytes>,
        hostname: Option<Str>,
        out: &mut SendQueue,
    ) -> Result<Option<Event>, ConnectionError> {
        let is_offered = match &self.config.sasl {
            Sasl::Server { mechanisms, .. } => {
                mechanisms.contains(mechanism) && self.may_offer(mechanism)
            }
            // Whoever is asked knows what it offered.
            Sasl::Relayed { .. } => true,
            Sasl::ClientNone | Sasl::Client { .. } | Sasl::Asked => false,
        };
        let is_ours = matches!(self.config.sasl, Sasl::Server { .. });
        let user = match mechanism.as_str() {
            _ if !is_offered => None,
            ANONYMOUS if is_ours => Some(Str::from_static(ANONYMOUS_USER)),
            EXTERNAL if is_ours => self.external_user(response.as_ref()),
            _ => {
                let mechanism = mechanism.clone().settle();
                self.asked = Some(mechanism.clone());
                let step = SaslStep::Init {
                    mechanism,
                    response,
                    hostname,
                };
                return Ok(Some(self.ask(Phase::Judging, step)));
            }
        };
        let Some(user) = user else {
            self.write_outcome(SaslCode::Auth, None, out);
            let text = format!("Authentication failed [mech={mechanism}]");
            return Err(ConnectionError::local(
                Violation::AuthenticationFailed,
                text,
            ));
        };
        self.write_outcome(SaslCode::Ok, None, out);
        self.phase = Phase::AwaitInnerHeader;
        Ok(Some(self.authenticated(mechanism.clone().settle(), user)))
    }

    /// Who the transport has proved the peer to be, unless it wants to act as somebody else
    /// (RFC 4422 appendix A).
    fn external_user(&self, authorization: Option<&Bytes>) -> Option<Str> {
        let user = self.external.as_ref()?;
        let acts_as = authorization.map_or(&b""[..], |bytes| bytes);
        (acts_as.is_empty() || acts_as == user.as_bytes()).then(|| user.clone())
    }

    fn write_outcome(&mut self, code: SaslCode, data: Option<Bytes>, out: &mut SendQueue) {
        let outcome = SaslFrame::Outcome {
            code,
            additional_data: data,
        };
        self.writer.sasl(out, |buffer| outcome.encode(buffer));
    }

    /// Initiator: the server has offered.
    fn on_mechanisms(
        &mut self,
        offered: Vec<Symbol>,
        out: &mut SendQueue,
    ) -> Result<Option<Event>, ConnectionError> {
        if self.config.sasl == Sasl::Asked {
            let step = SaslStep::Offered(offered);
            return Ok(Some(self.ask(Phase::Choosing, step)));
        }
        let mechanism = self.client_mechanism()?;
        let name = Symbol::from_static(mechanism.name());
        if !offered.contains(&name) {
            let text = format!("Authentication failed [mech={name}]: the peer does not offer it");
            return Err(ConnectionError::local(Violation::NoMechanism, text));
        }
        let response = match mechanism {
            Mechanism::Anonymous => Bytes::from_static(ANONYMOUS_USER.as_bytes()),
        };
        self.write_init(name, Some(response), out);
        self.phase = Phase::AwaitOutcome;
        Ok(None)
    }

    fn write_init(&mut self, mechanism: Symbol, response: Option<Bytes>, out: &mut SendQueue) {
        // What else is in the frame is bounded; a host name that is not has to stay away.
        let hostname = self.config.hostname.clone().filter(|host| {
            let data = response.as_ref().map_or(0, Bytes::len);
            host.len() + data <= SASL_DATA_MAX
        });
        let init = SaslFrame::Init {
            mechanism,
            initial_response: response,
            hostname,
        };
        self.writer.sasl(out, |buffer| init.encode(buffer));
    }

    /// Initiator: the server has judged.
    fn on_outcome(
        &mut self,
        code: SaslCode,
        data: Option<Bytes>,
        out: &mut SendQueue,
    ) -> Result<Option<Event>, ConnectionError> {
        let name = match &self.asked {
            Some(mechanism) => mechanism.clone(),
            None => Symbol::from_static(self.client_mechanism()?.name()),
        };
        if code != SaslCode::Ok {
            let text = format!("Authentication failed [mech={name}]");
            return Err(ConnectionError::remote("amqp:unauthorized-access", text));
        }
        if self.asked.is_some() {
            let step = SaslStep::Succeeded(data);
            return Ok(Some(self.ask(Phase::Checking, step)));
        }
        let event = self.authenticated(name, ANONYMOUS_USER.into());
        self.start_amqp(out);
        Ok(Some(event))
    }

    fn client_mechanism(&self) -> Result<Mechanism, ConnectionError> {
        match &self.config.sasl {
            Sasl::Client { mechanism } => Ok(mechanism.clone()),
            // Only reached if the settings were replaced in the middle of the exchange.
            Sasl::Server { .. } | Sasl::Relayed { .. } | Sasl::ClientNone | Sasl::Asked => Err(
                ConnectionError::local(Violation::NoMechanism, "no mechanism is configured"),
            ),
        }
    }

    fn authenticated(&mut self, mechanism: Symbol, user: Str) -> Event {
        self.mechanism = Some(mechanism.clone());
        self.user = Some(user.clone());
        Event::Authenticated { mechanism, user }
    }

    /// Answers [`Event::Sasl`]; afterwards [`poll_event`](Self::poll_event) goes on. An answer to
    /// something else does nothing.
    ///
    /// # Errors
    /// The connection is over, as the answer says or because it is too long for a frame. Whatever
    /// the peer may be told is in `out`.
    pub fn reply_sasl(
        &mut self,
        reply: SaslReply,
        out: &mut SendQueue,
    ) -> Result<(), ConnectionError> {
        if !self.phase.asks_owner() {
            return Ok(());
        }
        if !fits(&reply) {
            let text = "A SASL frame of 512 bytes has no room for what is to be said";
            let error = ConnectionError::local(Violation::AuthenticationFailed, text);
            return Err(self.fail(error, out));
        }
        match (self.phase, reply) {
            (Phase::Offering, SaslReply::Offer(mechanisms)) => self.offer(mechanisms, out),
            (Phase::Judging, SaslReply::Challenge(data)) => {
                let frame = SaslFrame::Challenge(data);
                self.writer.sasl(out, |buffer| frame.encode(buffer));
                self.phase = Phase::AwaitResponse;
            }
            (Phase::Judging, SaslReply::Success { user, data }) => {
                self.write_outcome(SaslCode::Ok, data, out);
                self.mechanism = self.asked.take();
                self.user = Some(user);
                self.phase = Phase::AwaitInnerHeader;
            }
            // Nobody has chosen anything yet in `Offering`, but there is no other frame for it.
            (Phase::Judging | Phase::Offering, SaslReply::Failure { code, user }) => {
                return Err(self.refuse(code, user.as_ref(), out));
            }
            (
                Phase::Choosing,
                SaslReply::Choice {
                    mechanism,
                    response,
                },
            ) => {
                self.asked = Some(mechanism.clone());
                self.write_init(mechanism, response, out);
                self.phase = Phase::AwaitTurn;
            }
            (Phase::Answering, SaslReply::Response(data)) => {
                let frame = SaslFrame::Response(data);
                self.writer.sasl(out, |buffer| frame.encode(buffer));
                self.phase = Phase::AwaitTurn;
            }
            (Phase::Checking, SaslReply::Accept(user)) => {
                self.mechanism = self.asked.take();
                self.user = Some(user);
                self.start_amqp(out);
            }
            (Phase::Choosing | Phase::Answering | Phase::Checking, SaslReply::Abort(text)) => {
                let violation = match self.phase {
                    Phase::Choosing => Violation::NoMechanism,
                    _ => Violation::AuthenticationFailed,
                };
                return Err(self.fail(ConnectionError::local(violation, text), out));
            }
            _ => {}
        }
        Ok(())
    }

    /// Acceptor: the client is not let in.
    fn refuse(
        &mut self,
        code: SaslCode,
        user: Option<&Str>,
        out: &mut SendQueue,
    ) -> ConnectionError {
        self.write_outcome(code.max(SaslCode::Auth), None, out);
        let mechanism = self.asked.take();
        let mechanism = mechanism.as_ref().map_or(NO_MECHANISM, Symbol::as_str);
        let text = match user {
            Some(user) => {
                format!("Failed to authenticate client [mech={mechanism}] [user={user}]")
            }
            None => format!("Failed to authenticate client [mech={mechanism}]"),
        };
        self.fail(
            ConnectionError::local(Violation::AuthenticationFailed, text),
            out,
        )
    }
}

/// Whether the frame of a reply is one that every peer must take (amqp-1.0 §5.3.1).
fn fits(reply: &SaslReply) -> bool {
    let data = |data: &Option<Bytes>| data.as_ref().map_or(0, Bytes::len);
    match reply {
        SaslReply::Offer(mechanisms) => {
            // The longest width of each length, besides the names themselves.
            let names: usize = mechanisms
                .iter()
                .map(|name| name.as_bytes().len() + 4)
                .sum();
            names + MECHANISMS_OVERHEAD <= SASL_FRAME_MAX as usize
        }
        SaslReply::Challenge(bytes) | SaslReply::Response(bytes) => bytes.len() <= SASL_DATA_MAX,
        SaslReply::Success { data: bytes, .. } => data(bytes) <= SASL_DATA_MAX,
        SaslReply::Choice {
            mechanism,
            response,
        } => data(response) <= SASL_DATA_MAX && mechanism.as_bytes().len() <= MECHANISM_MAX,
        SaslReply::Failure { .. } | SaslReply::Accept(_) | SaslReply::Abort(_) => true,
    }
}
