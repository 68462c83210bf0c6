//! TLS as a stage between socket and engine, for either role; a listener's stage finds out first
//! whether its peer speaks TLS at all.
//!
//! ```text
//!   listener: Unknown ─┬─ a handshake begins ──► Server ─► (plaintext passes once it is ready)
//!                      └─ anything else ───────► Clear, or refused
//!   connector: Client
//! ```

use std::sync::Arc;

use amqp_proto::{RecvBuf, Security, SendQueue, Transform, TransformError};
use bytes::{Bytes, BytesMut};
use rustls::ServerConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;

use crate::identity::Naming;
use crate::session::{Session, Side};

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 22;

/// The protocol header with which AMQP announces TLS (amqp-1.0 §5.2.1).
const TLS_HEADER: &[u8; 8] = b"AMQP\x02\x01\x00\x00";

/// What is shown of a first word that was none of TLS.
const SHOWN: usize = 16;

/// TLS, or what comes before it.
pub(crate) struct TlsTransform {
    stage: Stage,
    security: Option<Security>,
    naming: Arc<Naming>,
    /// This side has a certificate to show.
    has_certificate: bool,
}

enum Stage {
    /// Nothing decisive has come yet.
    Unknown {
        config: Arc<ServerConfig>,
        is_required: bool,
        first: BytesMut,
    },
    /// The peer speaks plain text and may.
    Clear,
    /// The peer spoke plain text where it may not, or its TLS failed at once.
    Refused,
    Server {
        session: Box<Session<UnbufferedServerConnection>>,
        /// The answer to a protocol header.
        header: Option<&'static [u8]>,
    },
    Client(Box<Session<UnbufferedClientConnection>>),
}

impl TlsTransform {
    /// The stage of a listener.
    pub(crate) fn server(
        config: Arc<ServerConfig>,
        is_required: bool,
        naming: Arc<Naming>,
    ) -> Self {
        Self {
            stage: Stage::Unknown {
                config,
                is_required,
                first: BytesMut::new(),
            },
            security: None,
            naming,
            has_certificate: true,
        }
    }

    /// The stage of a connector, which speaks first and may have a certificate to show.
    pub(crate) fn client(
        connection: UnbufferedClientConnection,
        naming: Arc<Naming>,
        has_certificate: bool,
    ) -> Result<Self, String> {
        Ok(Self {
            stage: Stage::Client(Box::new(Session::new(connection)?)),
            security: None,
            naming,
            has_certificate,
        })
    }

    /// Looks at the first bytes; what of them is for the next stage. `None` if that is known.
    fn find_out(&mut self, wire: &[u8]) -> Result<Option<BytesMut>, TransformError> {
        let Stage::Unknown {
            config,
            is_required,
            first,
        } = &mut self.stage
        else {
            return Ok(None);
        };
        let mut bytes = std::mem::take(first);
        bytes.extend_from_slice(wire);
        let announced = bytes.len().min(TLS_HEADER.len());
        let is_announced = bytes[..announced] == TLS_HEADER[..announced];
        if is_announced && announced < TLS_HEADER.len() {
            *first = bytes;
            return Ok(Some(BytesMut::new()));
        }
        if is_announced || bytes.first() == Some(&HANDSHAKE) {
            let config = Arc::clone(config);
            let begun = UnbufferedServerConnection::new(config).map_err(|error| error.to_string());
            let session = begun.and_then(Session::new).map_err(|text| {
                self.stage = Stage::Refused;
                failure(text)
            })?;
            self.stage = Stage::Server {
                session: Box::new(session),
                header: is_announced.then_some(TLS_HEADER.as_slice()),
            };
            return Ok(Some(match is_announced {
                true => bytes.split_off(TLS_HEADER.len()),
                false => bytes,
            }));
        }
        if *is_required {
            let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
            let text = format!(
                "the peer speaks plain text where TLS is required (requireSsl): it began with \
                 '{shown}'"
            );
            self.stage = Stage::Refused;
            return Err(failure(text));
        }
        self.stage = Stage::Clear;
        Ok(Some(bytes))
    }

    /// The data in what has come from the wire.
    pub(crate) fn opened(&mut self, wire: &mut [u8]) -> Result<Bytes, TransformError> {
        match self.find_out(wire)? {
            Some(mut first) => self.opened_by_stage(&mut first),
            None => self.opened_by_stage(wire),
        }
    }

    fn opened_by_stage(&mut self, wire: &mut [u8]) -> Result<Bytes, TransformError> {
        if wire.is_empty() {
            return Ok(Bytes::new());
        }
        let Self {
            stage,
            security,
            naming,
            has_certificate,
        } = self;
        let opened = match stage {
            Stage::Unknown { .. } | Stage::Refused => return Ok(Bytes::new()),
            Stage::Clear => Bytes::copy_from_slice(wire),
            Stage::Server { session, .. } => open_through(session, security, naming, wire)?,
            Stage::Client(session) => open_through(session, security, naming, wire)?,
        };
        if let Some(security) = security {
            security.has_certificate = *has_certificate;
        }
        Ok(opened)
    }

    /// Bytes that it keeps of what has come, and of what it has to say beside data.
    pub(crate) fn kept(&self) -> (usize, usize) {
        match &self.stage {
            Stage::Unknown { first, .. } => (first.len(), 0),
            Stage::Clear | Stage::Refused => (0, 0),
            Stage::Server { session, .. } => session.kept(),
            Stage::Client(session) => session.kept(),
        }
    }
}

/// Opens what has come, and notes what was agreed as soon as it is.
fn open_through<S: Side>(
    session: &mut Session<S>,
    security: &mut Option<Security>,
    naming: &Naming,
    wire: &mut [u8],
) -> Result<Bytes, TransformError> {
    let plain = session.open(wire).map_err(failure)?;
    if security.is_none() && session.is_ready() {
        let identity = session
            .certificate()
            .and_then(|shown| naming.identify(shown));
        *security = Some(Security {
            identity,
            ..session.security()
        });
    }
    Ok(plain)
}

fn failure(text: String) -> TransformError {
    TransformError { text: text.into() }
}

impl Transform for TlsTransform {
    fn open(&mut self, wire: &mut [u8], plain: &mut RecvBuf) -> Result<(), TransformError> {
        let opened = self.opened(wire)?;
        if !opened.is_empty() {
            plain.push(opened);
        }
        Ok(())
    }

    fn seal(&mut self, plain: &mut SendQueue, wire: &mut SendQueue) -> Result<(), TransformError> {
        match &mut self.stage {
            Stage::Unknown { .. } => Ok(()),
            Stage::Refused => {
                plain.consume(plain.len());
                Ok(())
            }
            Stage::Clear => {
                wire.append(plain);
                Ok(())
            }
            Stage::Server { session, header } => {
                if let Some(header) = header.take() {
                    wire.inline().extend_from_slice(header);
                }
                session.seal(plain, wire).map_err(failure)
            }
            Stage::Client(session) => session.seal(plain, wire).map_err(failure),
        }
    }

    fn security(&self) -> Option<&Security> {
        self.security.as_ref()
    }

    fn is_clear(&self) -> bool {
        matches!(self.stage, Stage::Clear)
    }

    fn is_ready(&self) -> bool {
        match &self.stage {
            Stage::Unknown { .. } | Stage::Refused => false,
            Stage::Clear => true,
            Stage::Server { session, .. } => session.is_ready(),
            Stage::Client(session) => session.is_ready(),
        }
    }

    fn has_output(&self) -> bool {
        match &self.stage {
            Stage::Unknown { .. } | Stage::Refused | Stage::Clear => false,
            Stage::Server { session, header } => header.is_some() || session.has_output(),
            Stage::Client(session) => session.has_output(),
        }
    }

    fn finish(&mut self) {
        match &mut self.stage {
            Stage::Unknown { .. } => self.stage = Stage::Refused,
            Stage::Refused | Stage::Clear => {}
            Stage::Server { session, .. } => session.finish(),
            Stage::Client(session) => session.finish(),
        }
    }

    fn is_cut_here(&self) -> bool {
        match &self.stage {
            Stage::Unknown { .. } | Stage::Refused | Stage::Clear => false,
            Stage::Server { session, .. } => session.is_cut_here(),
            Stage::Client(session) => session.is_cut_here(),
        }
    }
}
