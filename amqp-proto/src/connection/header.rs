//! Protocol headers (amqp-1.0 §2.2, §5.2, §5.3.2).
//!
//! Owns what a connection does with its first eight bytes, and the first frames that follow from
//! it; never looks at frames.
//!
//! Decision: an acceptor never speaks first. Bytes that are no header we know get an AMQP header,
//! an Open and a Close that quotes them; a peer that leaves out a required security layer gets
//! nothing at all.

use std::fmt::Write as _;

use amqp_codec::{Open, ProtocolHeader, Symbol};

use crate::config::Sasl;
use crate::connection::phase::{NO_MECHANISM, Phase, PhaseStep};
use crate::connection::state::Connection;
use crate::error::{ConnectionError, Violation};
use crate::recv::RecvBuf;
use crate::send::SendQueue;
use crate::tap::TapKind;

/// How many bytes of an unknown protocol are quoted.
const QUOTED_MAX: usize = 1024;

/// The common start of all headers.
const PREFIX: &[u8] = b"AMQP";

/// The start of a TLS handshake record.
const TLS_RECORD: &[u8] = &[0x16, 0x03];

/// What the next bytes are.
enum Sniffed {
    /// Too few to tell.
    Nothing,
    Header(ProtocolHeader),
    /// A TLS handshake without a header before it.
    TlsRecord,
    Unknown,
}

impl Connection {
    /// Initiator: sends the first header; with the SASL settings of the configuration, or else
    /// AMQP and our Open at once. Does nothing on an acceptor or a second time.
    pub fn start(&mut self, out: &mut SendQueue) {
        if self.phase != Phase::Start {
            return;
        }
        match self.config.sasl {
            Sasl::Client { .. } | Sasl::Asked => {
                self.writer.header(out, ProtocolHeader::Sasl.bytes());
                self.phase = Phase::AwaitSaslHeader;
            }
            Sasl::Server { .. } | Sasl::Relayed { .. } | Sasl::ClientNone => self.start_amqp(out),
        }
    }

    /// Initiator: sends the AMQP header and, without waiting for the answer, our Open.
    pub(super) fn start_amqp(&mut self, out: &mut SendQueue) {
        self.writer.header(out, ProtocolHeader::Amqp.bytes());
        let open = self.own_open(None);
        self.write_open(&open, out);
        self.phase = Phase::AwaitAmqpHeader;
    }

    /// Takes a header from the input; `false` if it is not all there yet.
    pub(super) fn on_header(
        &mut self,
        input: &mut RecvBuf,
        out: &mut SendQueue,
    ) -> Result<bool, ConnectionError> {
        let sniffed = sniff(input);
        if let Sniffed::Header(header) = sniffed {
            input.next_header();
            self.timers.last_heard = self.now;
            if let Some(tap) = &mut self.writer.tap {
                tap.push(true, TapKind::Header, header.bytes(), b"", 0);
            }
        }
        let result = match (self.phase, sniffed) {
            (_, Sniffed::Nothing) => return Ok(false),
            (Phase::AwaitHeader, Sniffed::Header(ProtocolHeader::Amqp)) => self.accept_amqp(out),
            (Phase::AwaitHeader, Sniffed::Header(ProtocolHeader::Sasl)) => {
                self.accept_sasl(input, out)
            }
            (Phase::AwaitHeader, Sniffed::Header(ProtocolHeader::Tls) | Sniffed::TlsRecord) => Err(
                ConnectionError::local(Violation::TlsNotOffered, "TLS is not offered here"),
            ),
            (Phase::AwaitHeader, Sniffed::Unknown) => Err(self.unknown_protocol(input, out)),
            (Phase::AwaitInnerHeader, Sniffed::Header(ProtocolHeader::Amqp)) => {
                self.accept_inner_amqp(out)
            }
            (Phase::AwaitAmqpHeader, Sniffed::Header(ProtocolHeader::Amqp)) => {
                self.phase = Phase::OpenSent;
                Ok(())
            }
            (Phase::AwaitSaslHeader, Sniffed::Header(ProtocolHeader::Sasl)) => {
                self.phase = Phase::AwaitMechanisms;
                Ok(())
            }
            _ => Err(ConnectionError::local(
                Violation::HeaderMismatch,
                "The peer answered with another protocol",
            )),
        };
        result.map(|()| true).map_err(|error| self.fail(error, out))
    }

    /// Bare AMQP on a fresh connection.
    fn accept_amqp(&mut self, out: &mut SendQueue) -> Result<(), ConnectionError> {
        self.check_encryption()?;
        if let Sasl::Server { required: true, .. } | Sasl::Relayed { required: true } =
            self.config.sasl
        {
            return Err(ConnectionError::local(
                Violation::SkippedAuthentication,
                "Client skipped authentication - forbidden",
            ));
        }
        self.writer.header(out, ProtocolHeader::Amqp.bytes());
        self.phase = Phase::HeaderExchanged;
        Ok(())
    }

    /// AMQP after the security layer.
    fn accept_inner_amqp(&mut self, out: &mut SendQueue) -> Result<(), ConnectionError> {
        self.check_encryption()?;
        self.writer.header(out, ProtocolHeader::Amqp.bytes());
        self.phase = Phase::HeaderExchanged;
        Ok(())
    }

    fn check_encryption(&self) -> Result<(), ConnectionError> {
        if self.config.encryption_missing && !self.encrypted {
            return Err(ConnectionError::local(
                Violation::EncryptionMissing,
                "Client connection unencrypted - forbidden",
            ));
        }
        Ok(())
    }

    /// SASL on a fresh connection.
    fn accept_sasl(&mut self, input: &RecvBuf, out: &mut SendQueue) -> Result<(), ConnectionError> {
        let offer = match &self.config.sasl {
            Sasl::Server { mechanisms, .. } => {
                let offered = mechanisms.iter().filter(|name| self.may_offer(name));
                Some(offered.cloned().collect())
            }
            Sasl::Relayed { .. } => None,
            Sasl::ClientNone | Sasl::Client { .. } | Sasl::Asked => {
                return Err(self.unknown_protocol(input, out));
            }
        };
        self.writer.header(out, ProtocolHeader::Sasl.bytes());
        match offer {
            Some(mechanisms) => self.offer(mechanisms, out),
            None => {
                self.asked = Some(Symbol::from_static(NO_MECHANISM));
                self.phase = Phase::Offering;
            }
        }
        Ok(())
    }

    /// Prepares for telling the peer that it speaks something else.
    fn unknown_protocol(&mut self, input: &RecvBuf, out: &mut SendQueue) -> ConnectionError {
        self.writer.header(out, ProtocolHeader::Amqp.bytes());
        self.phase = Phase::HeaderExchanged;
        let text = format!(
            "Unknown protocol detected: {}",
            quote(&input.peek(QUOTED_MAX))
        );
        ConnectionError::local(Violation::UnknownProtocol, text)
    }

    /// Acceptor: answers [`Event::Opened`](crate::Event::Opened). `properties` replace those of
    /// the configuration.
    pub fn open(&mut self, properties: Option<amqp_codec::Encoded>, out: &mut SendQueue) {
        if self.phase != Phase::OpenReceived && self.phase != Phase::HeaderExchanged {
            return;
        }
        let open = self.own_open(properties);
        self.write_open(&open, out);
        self.step(PhaseStep::OpenOut);
    }

    /// Our Open (amqp-1.0 §2.7.1).
    fn own_open(&self, properties: Option<amqp_codec::Encoded>) -> Open {
        let config = &*self.config;
        let idle_time_out = config.idle_time_out.and_then(|full| {
            let half = u32::try_from(full.as_millis() / 2).unwrap_or(u32::MAX);
            (half > 0).then_some(half)
        });
        Open {
            container_id: config.container_id.clone(),
            hostname: config.hostname.clone(),
            max_frame_size: config.max_frame_size,
            channel_max: config.channel_max,
            idle_time_out,
            outgoing_locales: Vec::new(),
            incoming_locales: Vec::new(),
            offered_capabilities: config.offered_capabilities.clone(),
            desired_capabilities: config.desired_capabilities.clone(),
            properties: properties.or_else(|| config.properties.clone()),
        }
    }

    /// Writes our Open; without its properties if the peer would not take it with them.
    fn write_open(&mut self, open: &Open, out: &mut SendQueue) {
        if self
            .writer
            .frame(out, 0, |buffer| open.encode(buffer))
            .is_err()
        {
            let smaller = Open {
                properties: None,
                ..open.clone()
            };
            if self
                .writer
                .frame(out, 0, |buffer| smaller.encode(buffer))
                .is_err()
            {
                self.write_bare_open(out);
            }
        }
        self.timers.idle_in = self.config.idle_time_out;
        self.timers.last_heard = self.now;
    }
}

/// Tells what the next bytes are as early as possible.
fn sniff(input: &RecvBuf) -> Sniffed {
    let bytes = input.peek(ProtocolHeader::LENGTH);
    if let Ok(header) = <&[u8; ProtocolHeader::LENGTH]>::try_from(&bytes[..]) {
        if let Some(header) = ProtocolHeader::parse(header) {
            return Sniffed::Header(header);
        }
        return if bytes.starts_with(TLS_RECORD) {
            Sniffed::TlsRecord
        } else {
            Sniffed::Unknown
        };
    }
    let known = bytes.len().min(PREFIX.len());
    if bytes[..known] == PREFIX[..known] || TLS_RECORD.starts_with(&bytes) {
        Sniffed::Nothing
    } else if bytes.starts_with(TLS_RECORD) {
        Sniffed::TlsRecord
    } else {
        Sniffed::Unknown
    }
}

/// Bytes as text: printable ones as they are, the others as `\xNN`.
fn quote(bytes: &[u8]) -> String {
    let mut text = String::from("'");
    for &byte in bytes {
        if byte == b' ' || byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            write!(text, "\\x{byte:02x}").expect("writing to a string cannot fail");
        }
    }
    text.push('\'');
    text
}
