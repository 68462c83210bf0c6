//! One TLS session over the library's interface without buffers: records in, plaintext out, and the
//! other way round. Nothing here knows a socket.
//!
//! Bytes of a record that is not whole are kept; an idle session keeps none. Decision: what a peer
//! may send without bringing data is one sum of bytes, which bounds half-finished handshakes, empty
//! records, key updates and whatever else the protocol has, known or not.

use std::fmt;

use amqp_proto::{Security, SendQueue};
use bytes::{Buf as _, Bytes, BytesMut};
use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::CertificateDer;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic,
};

use crate::suites;
use crate::verify::explain;

/// Bytes of a handshake, with all certificates.
pub(crate) const HANDSHAKE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of records that bring no data, one after the other.
const DATALESS_BYTES_MAX: usize = 32 * 1024;

/// Records that are put together with what came before them and bring no data: each may cost as
/// much as all bytes that wait.
const DATALESS_RECORDS_MAX: u32 = 256;

/// Bytes of data in a record.
pub(crate) const RECORD: usize = 16 * 1024;

/// Bytes of data sealed in one go.
const SEALED_AT_ONCE: usize = 4 * RECORD;

/// What a record is longer than its data, at most.
pub(crate) const RECORD_OVERHEAD: usize = 5 + 8 + 16 + 1;

/// Bytes before the body of a record, the last two of which are its length.
const RECORD_HEADER: usize = 5;

/// Up to so many bytes are sealed into the queue's own buffer.
const INLINE: usize = 1024;

/// Slices looked at when data is gathered.
const SLICES: usize = 64;

/// One of the two roles of the library's connection.
pub(crate) trait Side: Send {
    /// What the library keeps for the role.
    type Data;

    /// Goes on with the records in `input`.
    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// What is known of the connection.
    fn common(&self) -> &CommonState;
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, input: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(input)
    }

    fn common(&self) -> &CommonState {
        self
    }
}

/// A session of either role.
pub(crate) struct Session<S> {
    side: S,
    /// Records that are not whole, or whose message is not.
    carry: BytesMut,
    /// What the library has to say.
    pending: Vec<u8>,
    /// Bytes that came since data last did.
    dataless: usize,
    /// Records put together since then.
    joined: u32,
    is_ready: bool,
    has_failed: bool,
    /// The peer has taken leave.
    is_over: bool,
    farewell: Farewell,
}

/// How far taking leave is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Farewell {
    No,
    Due,
    Said,
}

impl<S> fmt::Debug for Session<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = f.debug_struct("Session");
        session
            .field("ready", &self.is_ready)
            .finish_non_exhaustive()
    }
}

impl<S: Side> Session<S> {
    /// A session that begins; a client's has something to say at once.
    ///
    /// # Errors
    /// The library cannot begin.
    pub(crate) fn new(side: S) -> Result<Self, String> {
        let mut session = Self {
            side,
            carry: BytesMut::new(),
            pending: Vec::new(),
            dataless: 0,
            joined: 0,
            is_ready: false,
            has_failed: false,
            is_over: false,
            farewell: Farewell::No,
        };
        session.process(&mut [], &mut BytesMut::new())?;
        Ok(session)
    }

    /// Bytes that it keeps of what has come, and of what it has to say beside data.
    pub(crate) fn kept(&self) -> (usize, usize) {
        (self.carry.capacity(), self.pending.len())
    }

    /// Whether data passes.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready && !self.has_failed
    }

    /// Whether the end of the wire would come as a surprise.
    pub(crate) fn is_cut_here(&self) -> bool {
        self.is_ready() && !self.is_deaf()
    }

    /// Whether what the peer says from now on is for nobody: either side has taken leave.
    ///
    /// The library takes its own farewell for its last word. It must not be shown what comes after
    /// it, since it would answer an error with another one.
    fn is_deaf(&self) -> bool {
        self.has_failed || self.is_over || self.farewell == Farewell::Said
    }

    /// Whether there is something to say beside data.
    pub(crate) fn has_output(&self) -> bool {
        !self.pending.is_empty() || (self.farewell == Farewell::Due && self.is_ready())
    }

    /// No data follows what is sealed next. Before the handshake has ended there is nobody to take
    /// leave of: then it does not go on.
    pub(crate) fn finish(&mut self) {
        if self.farewell == Farewell::No {
            self.farewell = match self.is_ready() {
                true => Farewell::Due,
                false => Farewell::Said,
            };
        }
    }

    /// What was agreed, without the peer's identity; only once it is ready.
    pub(crate) fn security(&self) -> Security {
        let common = self.side.common();
        let suite = common.negotiated_cipher_suite();
        let (cipher, bits) = suite.map_or(("unknown", 0), |suite| suites::name_of(suite.suite()));
        let protocol = match common.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        };
        Security {
            protocol,
            cipher,
            bits,
            identity: None,
            has_certificate: false,
        }
    }

    /// The certificate that the peer has shown.
    pub(crate) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.side.common().peer_certificates()?.first()
    }

    /// Takes bytes from the wire; gives the data in them. Whoever has taken leave hears no more.
    ///
    /// # Errors
    /// The session is at its end. What has to be told to the peer comes with the next `seal`.
    pub(crate) fn open(&mut self, wire: &mut [u8]) -> Result<Bytes, String> {
        if self.is_deaf() {
            return Ok(Bytes::new());
        }
        let count = wire.len();
        let mut plain = BytesMut::new();
        let result = self.open_all(wire, &mut plain);
        self.dataless = match plain.is_empty() {
            true => self.dataless.saturating_add(count),
            false => {
                self.joined = 0;
                0
            }
        };
        let limit = match self.is_ready {
            true => DATALESS_BYTES_MAX + count.min(RECORD + RECORD_OVERHEAD),
            false => HANDSHAKE_BYTES_MAX,
        };
        let result = result.and_then(|()| match self.dataless > limit {
            true => Err(format!("{} bytes of TLS brought no data", self.dataless)),
            false => Ok(()),
        });
        if let Err(text) = result {
            return Err(self.fail(text));
        }
        let is_ready = !self.side.common().is_handshaking();
        if is_ready && !self.is_ready {
            self.is_ready = true;
            self.dataless = 0;
        }
        Ok(plain.freeze())
    }

    /// Records are opened where they lie; of the bytes of the wire only those of one that is not
    /// whole are copied.
    fn open_all(&mut self, wire: &mut [u8], plain: &mut BytesMut) -> Result<(), String> {
        let mut wire = wire;
        while !self.carry.is_empty() && !wire.is_empty() {
            let wanted = missing(&self.carry);
            let taken = wanted.min(wire.len());
            self.carry.extend_from_slice(&wire[..taken]);
            wire = &mut wire[taken..];
            if self.carry.len() > HANDSHAKE_BYTES_MAX {
                return Err("a TLS message is too long".to_owned());
            }
            if taken < wanted {
                continue;
            }
            // A header is looked at without the rest: it may show already that it is none.
            if missing(&self.carry) == RECORD_HEADER {
                self.joined += 1;
            }
            if self.joined > DATALESS_RECORDS_MAX {
                return Err("a TLS message comes in too many pieces".to_owned());
            }
            let mut carry = std::mem::take(&mut self.carry);
            // Once for all that has come: to grow it would be to copy what is in it.
            plain.reserve(carry.len() + wire.len());
            let done = self.process(&mut carry, plain)?;
            carry.advance(done);
            // A clean buffer keeps no memory.
            if !carry.is_empty() {
                self.carry = carry;
            }
        }
        if !wire.is_empty() {
            plain.reserve(wire.len());
            let done = self.process(wire, plain)?;
            if done < wire.len() && !self.is_over {
                self.carry = self.carried(&wire[done..]);
            }
        }
        Ok(())
    }

    /// What is kept of a record that is not whole; with room for the rest, if its sender has come
    /// as far as to be believed.
    fn carried(&self, rest: &[u8]) -> BytesMut {
        let room = match self.is_ready {
            true => missing(rest).min(RECORD + RECORD_OVERHEAD),
            false => 0,
        };
        let mut carry = BytesMut::with_capacity(rest.len() + room);
        carry.extend_from_slice(rest);
        carry
    }

    /// Lets the library go on until it needs more bytes; how many of these it is done with.
    fn process(&mut self, input: &mut [u8], plain: &mut BytesMut) -> Result<usize, String> {
        let mut done = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.side.process(&mut input[done..]);
            let goes_on = match state.map_err(|error| explain(&error))? {
                ConnectionState::EncodeTlsData(mut said) => {
                    append(&mut self.pending, |room| said.encode(room))?;
                    true
                }
                ConnectionState::TransmitTlsData(said) => {
                    said.done();
                    true
                }
                ConnectionState::ReadTraffic(mut records) => {
                    while let Some(record) = records.next_record() {
                        let record = record.map_err(|error| explain(&error))?;
                        plain.extend_from_slice(record.payload);
                        discard += record.discard;
                    }
                    true
                }
                ConnectionState::PeerClosed => {
                    self.is_over = true;
                    true
                }
                _ => false,
            };
            done = input.len().min(done + discard);
            if !goes_on {
                return Ok(done);
            }
        }
    }

    /// The session is at its end; gives `text` back.
    ///
    /// The library is asked for nothing but what it has to tell the peer about it: shown its input
    /// once more, it would find the same error again; and as long as it has something to say, it
    /// looks at no input.
    fn fail(&mut self, text: String) -> String {
        self.has_failed = true;
        self.carry = BytesMut::new();
        while self.side.common().wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut said)) = self.side.process(&mut []).state
            else {
                break;
            };
            if append(&mut self.pending, |room| said.encode(room)).is_err() {
                break;
            }
        }
        text
    }

    /// Seals data, and says what there is to say beside it. Before the handshake has ended, data
    /// waits; after a failure it is dropped.
    ///
    /// # Errors
    /// The keys are used up.
    pub(crate) fn seal(
        &mut self,
        plain: &mut SendQueue,
        wire: &mut SendQueue,
    ) -> Result<(), String> {
        let sealed = self.seal_all(plain, wire).map_err(|text| self.fail(text));
        wire.push_shared(std::mem::take(&mut self.pending).into());
        sealed
    }

    fn seal_all(&mut self, plain: &mut SendQueue, wire: &mut SendQueue) -> Result<(), String> {
        wire.push_shared(std::mem::take(&mut self.pending).into());
        if self.has_failed || self.farewell == Farewell::Said {
            plain.consume(plain.len());
        }
        if plain.is_empty() && self.farewell != Farewell::Due || !self.is_ready() {
            return Ok(());
        }
        let takes_leave = self.farewell == Farewell::Due;
        loop {
            let state = self.side.process(&mut self.carry[..]).state;
            match state.map_err(|error| explain(&error))? {
                ConnectionState::EncodeTlsData(mut said) => {
                    let mut bytes = Vec::new();
                    append(&mut bytes, |room| said.encode(room))?;
                    wire.push_shared(bytes.into());
                }
                ConnectionState::TransmitTlsData(said) => said.done(),
                ConnectionState::WriteTraffic(mut writer) => {
                    seal_data(&mut writer, plain, wire)?;
                    if takes_leave && plain.is_empty() {
                        let mut bytes = Vec::new();
                        append(&mut bytes, |room| writer.queue_close_notify(room))?;
                        wire.push_shared(bytes.into());
                        self.farewell = Farewell::Said;
                        self.carry = BytesMut::new();
                    }
                    return Ok(());
                }
                _ => {
                    // Both sides have taken leave.
                    plain.consume(plain.len());
                    self.farewell = Farewell::Said;
                    return Ok(());
                }
            }
        }
    }
}

/// Seals what is in `plain`, as long as `wire` is not full.
fn seal_data<D>(
    writer: &mut WriteTraffic<'_, D>,
    plain: &mut SendQueue,
    wire: &mut SendQueue,
) -> Result<(), String> {
    let mut gathered = Vec::new();
    while !plain.is_empty() && !wire.is_full() {
        let mut slices = [std::io::IoSlice::new(&[]); SLICES];
        let count = plain.io_slices(&mut slices);
        let first: &[u8] = &slices[0];
        let data = if count == 1 || first.len() >= RECORD {
            &first[..first.len().min(SEALED_AT_ONCE)]
        } else {
            gathered.clear();
            for slice in &slices[..count] {
                let room = RECORD - gathered.len();
                gathered.extend_from_slice(&slice[..slice.len().min(room)]);
            }
            &gathered[..]
        };
        let taken = data.len();
        let room = taken + taken.div_ceil(RECORD) * RECORD_OVERHEAD;
        if room <= INLINE {
            let inline = wire.inline();
            let start = inline.len();
            inline.resize(start + room, 0);
            encrypt(writer, data, inline, start)?;
        } else {
            let mut sealed = BytesMut::zeroed(room);
            encrypt(writer, data, &mut sealed, 0)?;
            wire.push_shared(sealed.freeze());
        }
        plain.consume(taken);
    }
    Ok(())
}

/// Encrypts data to where `start` is in `bytes`, and cuts off what is not needed of them.
fn encrypt<D>(
    writer: &mut WriteTraffic<'_, D>,
    data: &[u8],
    bytes: &mut BytesMut,
    start: usize,
) -> Result<(), String> {
    let mut written = writer.encrypt(data, &mut bytes[start..]);
    // It has new keys to announce first: the peer may ask for them at any time.
    if let Err(EncryptError::InsufficientSize(size)) = &written {
        bytes.resize(start + size.required_size, 0);
        written = writer.encrypt(data, &mut bytes[start..]);
    }
    bytes.truncate(start + written.as_ref().map_or(0, |count| *count));
    written.map_err(|_| "the keys of the connection are used up".to_owned())?;
    Ok(())
}

/// Something of the library that is written into a buffer and says how large that must be.
trait Room {
    fn needed(&self) -> Option<usize>;
}

impl Room for EncodeError {
    fn needed(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(size) => Some(size.required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl Room for EncryptError {
    fn needed(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(size) => Some(size.required_size),
            Self::EncryptExhausted => None,
        }
    }
}

/// Appends what `encode` writes, with as much room as it asks for.
fn append<E: Room>(
    bytes: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), String> {
    let start = bytes.len();
    let written = encode(&mut []).or_else(|error| {
        bytes.resize(start + error.needed().unwrap_or_default(), 0);
        encode(&mut bytes[start..])
    });
    let written = written.map_err(|_| "a TLS message cannot be written".to_owned())?;
    bytes.truncate(start + written);
    Ok(())
}

/// How many bytes the last record of a buffer lacks; a header's worth if that is not whole.
fn missing(records: &[u8]) -> usize {
    let mut rest = records;
    loop {
        if rest.len() < RECORD_HEADER {
            return RECORD_HEADER - rest.len();
        }
        let length = RECORD_HEADER + usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        match rest.len().checked_sub(length) {
            None => return length - rest.len(),
            Some(_) => rest = &rest[length..],
        }
    }
}
