//! What stands between a socket and the protocol engine: bytes in, bytes out, no I/O.
//!
//! Owns the choice of transform for a connection, and TLS over a kept library. Nothing
//! else in the workspace decides how bytes are protected, and nothing here reads a socket or a
//! file. Decision: the engine never knows whether it is encrypted; the seam is
//! [`Transform`], so plain text, TLS and later WebSocket are one more stage.
#![forbid(unsafe_code)]

#[doc(hidden)]
pub mod fuzz;
mod identity;
mod key;
mod problem;
mod profile;
mod session;
mod suites;
mod transform;
mod verify;

use amqp_proto::{Clear, Transform};

pub use problem::Problem;
pub use profile::{ClientCertificate, Material, Profile};

/// The transform of a connection in plain text: bytes pass as they are.
#[must_use]
pub fn plain() -> Box<dyn Transform> {
    Box::new(Clear)
}

#[cfg(test)]
mod tests {
    use amqp_proto::{RecvBuf, SendQueue};

    #[test]
    fn plain_text_passes_unchanged_and_shows_no_identity() {
        let mut transform = super::plain();
        let (mut received, mut sealed) = (RecvBuf::new(), SendQueue::new());
        transform.open(&mut b"in".to_vec(), &mut received).unwrap();
        assert_eq!(received.len(), 2);
        let mut output = SendQueue::new();
        output.inline().extend_from_slice(b"out");
        transform.seal(&mut output, &mut sealed).unwrap();
        assert!(output.is_empty());
        assert_eq!(sealed.to_bytes(), b"out");
        assert!(transform.is_clear());
        assert!(transform.security().is_none());
    }
}
