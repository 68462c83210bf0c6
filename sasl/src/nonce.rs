//! What is made of random numbers: nonces and salts.
//!
//! Owns their length; never draws a number.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Random numbers that make a nonce, in bytes.
pub const NONCE_BYTES: usize = 18;

/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;

/// A nonce as text, of random numbers.
#[must_use]
pub fn nonce(random: [u8; NONCE_BYTES]) -> String {
    STANDARD_NO_PAD.encode(random)
}
