//! Owns `Encoded`: one well-formed encoded value that nobody has looked into.
//! It never holds more or less than one value. Decision: maps that a router only passes on
//! (properties, filters, error info) stay as bytes, so they leave exactly as they came.

use crate::compound::{self, Budget, MAX_DEPTH};
use crate::cursor::Reader;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::primitive::{Read, Write};
use crate::value::Value;
use bytes::{Bytes, BytesMut};

/// Exactly one well-formed encoded AMQP value, kept as bytes.
///
/// Well formed means: format codes are known, sizes and counts agree with the bytes, nesting and
/// zero-width elements are within their limits. Texts inside are not checked until
/// [`Encoded::value`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Takes bytes that must be one value and nothing else.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(&bytes);
        compound::skip_value(&mut reader, MAX_DEPTH, &mut Budget::new())?;
        if !reader.is_empty() {
            return Err(reader.error(DecodeErrorKind::InvalidLength));
        }
        Ok(Self(bytes))
    }

    /// Encodes a value.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        let mut out = BytesMut::new();
        value.encode(&mut out);
        Self(out.freeze())
    }

    /// Parses the value.
    pub fn value(&self) -> Result<Value, DecodeError> {
        Value::decode(&self.0).map(|(value, _)| value)
    }

    /// The encoded value, its constructor included.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The shared bytes behind the value.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The same value in storage of its own, so that it no longer keeps a larger buffer alive.
    #[must_use]
    pub fn settle(self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl From<&Value> for Encoded {
    fn from(value: &Value) -> Self {
        Self::from_value(value)
    }
}

impl Read for Encoded {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = reader.at();
        compound::skip_value(reader, MAX_DEPTH, &mut Budget::new())?;
        Ok(Self(reader.share_from(start)))
    }
}

impl Write for Encoded {
    fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }
}
