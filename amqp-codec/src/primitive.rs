//! Owns the encodings of scalars, binary, strings and symbols (amqp-1.0 §1.6), and the trait
//! `Field` through which tables of fields read and write them.
//! It never reads compounds. Decision: writing always picks the smallest encoding, reading
//! accepts all of them.

use crate::cursor::Reader;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format;
use crate::text::{Str, Symbol};
use bytes::{BufMut as _, Bytes, BytesMut};

/// A type that can be read from a field of a composite.
pub(crate) trait Read: Sized {
    /// Reads a value that is not null, from its constructor on.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// A type that can be written to a field of a composite.
pub(crate) trait Write {
    /// Appends the value with its constructor.
    fn write(&self, out: &mut BytesMut);
}

/// Milliseconds since 1970-01-01 UTC (amqp-1.0 §1.6.17).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Why a format code that was just read does not fit: unknown, or of another type.
#[cold]
pub(crate) fn unexpected(reader: &Reader<'_>, code: u8) -> DecodeError {
    reader.error_before(
        if code == format::DESCRIBED || format::layout(code).is_some() {
            DecodeErrorKind::WrongType
        } else {
            DecodeErrorKind::InvalidFormatCode
        },
    )
}

impl Read for bool {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            format::TRUE => Ok(true),
            format::FALSE => Ok(false),
            format::BOOLEAN => match reader.u8()? {
                0 => Ok(false),
                1 => Ok(true),
                _ => Err(reader.error_before(DecodeErrorKind::InvalidValue)),
            },
            code => Err(unexpected(reader, code)),
        }
    }
}

impl Write for bool {
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(if *self { format::TRUE } else { format::FALSE });
    }
}

impl Read for u8 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            format::UBYTE => reader.u8(),
            code => Err(unexpected(reader, code)),
        }
    }
}

impl Write for u8 {
    fn write(&self, out: &mut BytesMut) {
        out.put_slice(&[format::UBYTE, *self]);
    }
}

impl Read for u16 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            format::USHORT => reader.array().map(Self::from_be_bytes),
            code => Err(unexpected(reader, code)),
        }
    }
}

impl Write for u16 {
    fn write(&self, out: &mut BytesMut) {
        let [high, low] = self.to_be_bytes();
        out.put_slice(&[format::USHORT, high, low]);
    }
}

impl Read for u32 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            format::UINT0 => Ok(0),
            format::SMALL_UINT => reader.u8().map(Self::from),
            format::UINT => reader.u32(),
            code => Err(unexpected(reader, code)),
        }
    }
}

impl Write for u32 {
    fn write(&self, out: &mut BytesMut) {
        match u8::try_from(*self) {
            Ok(0) => out.put_u8(format::UINT0),
            Ok(small) => out.put_slice(&[format::SMALL_UINT, small]),
            Err(_) => {
                out.put_u8(format::UINT);
                out.put_u32(*self);
            }
        }
    }
}

impl Read for u64 {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            format::ULONG0 => Ok(0),
            format::SMALL_ULONG => reader.u8().map(Self::from),
            format::ULONG => reader.array().map(Self::from_be_bytes),
            code => Err(unexpected(reader, code)),
        }
    }
}

impl Write for u64 {
    fn write(&self, out: &mut BytesMut) {
        match u8::try_from(*self) {
            Ok(0) => out.put_u8(format::ULONG0),
            Ok(small) => out.put_slice(&[format::SMALL_ULONG, small]),
            Err(_) => {
                out.put_u8(format::ULONG);
                out.put_u64(*self);
            }
        }
    }
}

impl Read for Timestamp {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            format::TIMESTAMP => reader.array().map(|bytes| Self(i64::from_be_bytes(bytes))),
            code => Err(unexpected(reader, code)),
        }
    }
}

impl Write for Timestamp {
    fn write(&self, out: &mut BytesMut) {
        out.put_u8(format::TIMESTAMP);
        out.put_i64(self.0);
    }
}

impl Read for Bytes {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = read_length(reader, format::VBIN8)?;
        reader.share(length)
    }
}

impl Write for Bytes {
    fn write(&self, out: &mut BytesMut) {
        put_variable(out, format::VBIN8, self);
    }
}

impl Read for Str {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = read_length(reader, format::STR8)?;
        share_str(reader, length)
    }
}

impl Write for Str {
    fn write(&self, out: &mut BytesMut) {
        put_variable(out, format::STR8, self.as_bytes());
    }
}

impl Read for Symbol {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = read_length(reader, format::SYM8)?;
        share_symbol(reader, length)
    }
}

impl Write for Symbol {
    fn write(&self, out: &mut BytesMut) {
        put_variable(out, format::SYM8, self.as_bytes());
    }
}

/// Reads the constructor and length of a variable-width value whose narrow code is `narrow`.
pub(crate) fn read_length(reader: &mut Reader<'_>, narrow: u8) -> Result<usize, DecodeError> {
    let code = reader.u8()?;
    if code == narrow {
        reader.u8().map(usize::from)
    } else if code == narrow | format::WIDE {
        reader.size32()
    } else {
        Err(unexpected(reader, code))
    }
}

/// The next `length` bytes as a string.
pub(crate) fn share_str(reader: &mut Reader<'_>, length: usize) -> Result<Str, DecodeError> {
    let start = reader.at();
    Str::from_bytes(reader.share(length)?).map_err(|error| shifted(error, start))
}

/// The next `length` bytes as a symbol.
pub(crate) fn share_symbol(reader: &mut Reader<'_>, length: usize) -> Result<Symbol, DecodeError> {
    let start = reader.at();
    Symbol::from_bytes(reader.share(length)?).map_err(|error| shifted(error, start))
}

/// Appends a binary, string or symbol; `narrow` is its code for a size of one byte.
///
/// # Panics
/// If the value is 4 GiB or longer: no frame could carry it.
pub(crate) fn put_variable(out: &mut BytesMut, narrow: u8, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length) => out.put_slice(&[narrow, length]),
        Err(_) => {
            out.put_u8(narrow | format::WIDE);
            out.put_u32(u32::try_from(bytes.len()).expect("values are shorter than 4 GiB"));
        }
    }
    out.put_slice(bytes);
}

/// The error of a part that began at `start`, told from the start of the whole.
fn shifted(error: DecodeError, start: usize) -> DecodeError {
    DecodeError::new(error.kind, start.saturating_add(error.at as usize))
}
