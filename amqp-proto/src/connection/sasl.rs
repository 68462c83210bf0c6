//! The security layer, both roles (amqp-1.0 §5.3).
//!
//! Owns the SASL exchange; never sees an AMQP frame, and never shows credentials.
//!
//! Decision: a mechanism is an arm of one `match` by name, asked only if the configuration offers
//! it. There is ANONYMOUS so far; one that takes several steps adds a phase between init and
//! outcome.

use amqp_codec::{FrameType, SaslCode, SaslFrame, Str, Symbol};
use bytes::Bytes;

use crate::config::{Mechanism, Sasl};
use crate::connection::phase::Phase;
use crate::connection::state::Connection;
use crate::error::{ConnectionError, Violation};
use crate::event::Event;
use crate::recv::RecvBuf;
use crate::send::SendQueue;
use crate::tap::TapKind;

/// The largest SASL frame (amqp-1.0 §5.3.1).
const SASL_FRAME_MAX: u32 = 512;

/// The user of a peer that gave no credentials.
const ANONYMOUS_USER: &str = "anonymous";

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
            (Phase::AwaitInit, SaslFrame::Init { mechanism, .. }) => {
                self.authenticate(&mechanism, out)
            }
            (Phase::AwaitMechanisms, SaslFrame::Mechanisms(offered)) => {
                self.choose_mechanism(&offered, out).map(|()| None)
            }
            (Phase::AwaitOutcome, SaslFrame::Outcome { code, .. }) => self.on_outcome(code, out),
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

    /// Acceptor: the client has chosen.
    fn authenticate(
        &mut self,
        mechanism: &Symbol,
        out: &mut SendQueue,
    ) -> Result<Option<Event>, ConnectionError> {
        let offered = match &self.config.sasl {
            Sasl::Server { mechanisms, .. } => mechanisms.contains(mechanism),
            Sasl::ClientNone | Sasl::Client { .. } => false,
        };
        let user = match mechanism.as_bytes() {
            b"ANONYMOUS" if offered => Some(Str::from_static(ANONYMOUS_USER)),
            _ => None,
        };
        let Some(user) = user else {
            self.write_outcome(SaslCode::Auth, out);
            let text = format!("Authentication failed [mech={mechanism}]");
            return Err(ConnectionError::local(
                Violation::AuthenticationFailed,
                text,
            ));
        };
        self.write_outcome(SaslCode::Ok, out);
        self.phase = Phase::AwaitInnerHeader;
        Ok(Some(self.authenticated(mechanism.clone().settle(), user)))
    }

    fn write_outcome(&mut self, code: SaslCode, out: &mut SendQueue) {
        let outcome = SaslFrame::Outcome {
            code,
            additional_data: None,
        };
        self.writer.sasl(out, |buffer| outcome.encode(buffer));
    }

    /// Initiator: the server has offered.
    fn choose_mechanism(
        &mut self,
        offered: &[Symbol],
        out: &mut SendQueue,
    ) -> Result<(), ConnectionError> {
        let mechanism = self.client_mechanism()?;
        let name = Symbol::from_static(mechanism.name());
        if !offered.contains(&name) {
            let text = format!("Authentication failed [mech={name}]: the peer does not offer it");
            return Err(ConnectionError::local(Violation::NoMechanism, text));
        }
        let initial_response = match mechanism {
            Mechanism::Anonymous => Bytes::from_static(ANONYMOUS_USER.as_bytes()),
        };
        let init = SaslFrame::Init {
            mechanism: name,
            initial_response: Some(initial_response),
            hostname: self.config.hostname.clone(),
        };
        self.writer.sasl(out, |buffer| init.encode(buffer));
        self.phase = Phase::AwaitOutcome;
        Ok(())
    }

    /// Initiator: the server has judged.
    fn on_outcome(
        &mut self,
        code: SaslCode,
        out: &mut SendQueue,
    ) -> Result<Option<Event>, ConnectionError> {
        let name = self.client_mechanism()?.name();
        if code != SaslCode::Ok {
            let text = format!("Authentication failed [mech={name}]");
            return Err(ConnectionError::remote("amqp:unauthorized-access", text));
        }
        let event = self.authenticated(Symbol::from_static(name), ANONYMOUS_USER.into());
        self.start_amqp(out);
        Ok(Some(event))
    }

    fn client_mechanism(&self) -> Result<Mechanism, ConnectionError> {
        match &self.config.sasl {
            Sasl::Client { mechanism } => Ok(mechanism.clone()),
            // Only reached if the settings were replaced in the middle of the exchange.
            Sasl::Server { .. } | Sasl::ClientNone => Err(ConnectionError::local(
                Violation::NoMechanism,
                "no mechanism is configured",
            )),
        }
    }

    fn authenticated(&mut self, mechanism: Symbol, user: Str) -> Event {
        self.mechanism = Some(mechanism.clone());
        self.user = Some(user.clone());
        Event::Authenticated { mechanism, user }
    }
}
