//! A stage between the socket and the protocol.
//!
//! Owns the trait [`Transform`] and the stage that does nothing; never does I/O.
//!
//! Decision: one virtual call per read or write, not per frame, so TLS and plain connections
//! share every other line of code.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::recv::RecvBuf;
use crate::send::SendQueue;

/// Bytes in, bytes out: TLS, or nothing at all.
pub trait Transform: Send {
    /// Takes bytes as they were read, which it may change where they lie, and appends the plaintext
    /// to `plain`.
    ///
    /// # Errors
    /// The stage cannot go on; what it has to tell the peer comes with the next `seal`.
    fn open(&mut self, wire: &mut [u8], plain: &mut RecvBuf) -> Result<(), TransformError>;

    /// Takes plaintext from `plain`, and whatever the stage itself has to say, into `wire`.
    ///
    /// # Errors
    /// The stage cannot go on; `wire` still has to be flushed.
    fn seal(&mut self, plain: &mut SendQueue, wire: &mut SendQueue) -> Result<(), TransformError>;

    /// How the bytes are protected, once that is agreed; `None` for plain text.
    fn security(&self) -> Option<&Security>;

    /// Whether bytes pass unchanged, so that the caller may skip `seal`.
    fn is_clear(&self) -> bool;

    /// Whether plaintext passes: not during a handshake, and not after a failure.
    fn is_ready(&self) -> bool {
        true
    }

    /// Whether the next `seal` has something to say although there is no plaintext.
    fn has_output(&self) -> bool {
        false
    }

    /// No plaintext follows what `seal` gets next: the stage may take leave of the peer, too.
    fn finish(&mut self) {}

    /// Whether bytes that the peer has sent may be missing if the wire ends here.
    fn is_cut_here(&self) -> bool {
        false
    }
}

/// How a stage protects the bytes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// The protocol and its version, such as `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher suite.
    pub cipher: &'static str,
    /// Bits of the cipher's key.
    pub bits: u32,
    /// Who the peer has proved to be, if it has.
    pub identity: Option<Identity>,
    /// This side has a certificate to show, too.
    pub has_certificate: bool,
}

/// What a peer proved about itself below AMQP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The verified end-entity certificate in DER form.
    pub certificate: Bytes,
    /// Who that is as a user.
    pub user: String,
}

/// Why a stage cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformError {
    /// For the log; not sent to the peer.
    pub text: Cow<'static, str>,
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TransformError {}

/// The stage of an unencrypted connection: bytes pass as they are.
#[derive(Debug, Default)]
pub struct Clear;

impl Transform for Clear {
    fn open(&mut self, wire: &mut [u8], plain: &mut RecvBuf) -> Result<(), TransformError> {
        plain.push(Bytes::copy_from_slice(wire));
        Ok(())
    }

    fn seal(&mut self, plain: &mut SendQueue, wire: &mut SendQueue) -> Result<(), TransformError> {
        wire.append(plain);
        Ok(())
    }

    fn security(&self) -> Option<&Security> {
        None
    }

    fn is_clear(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_passes_bytes_in_order() {
        let (mut plain, mut wire) = (SendQueue::new(), SendQueue::new());
        plain.inline().extend_from_slice(b"one");
        Clear.seal(&mut plain, &mut wire).unwrap();
        plain.push_shared(Bytes::from(vec![b'2'; 5000]));
        Clear.seal(&mut plain, &mut wire).unwrap();
        assert!(plain.is_empty());
        assert_eq!(wire.len(), 5003);
        assert_eq!(&wire.to_bytes()[..4], b"one2");
    }
}
