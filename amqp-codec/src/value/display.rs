//! Owns how values look to people: the notation of the frame tracer.
//! It never parses its own output. Decision: one notation serves logs, tools and traces, the one
//! that users of this kind of router already read: `"text"`, `:symbol`, `b"bytes"`, `{k=v}`,
//! `[a, b]`, `@descriptor value`. With `{:#}` unsigned numbers are hexadecimal, as in frame traces.

use super::tree::{Array, Map, Value};
use crate::format;
use std::fmt::{self, Display, Formatter, LowerExp, Write as _};

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => Display::fmt(truth, f),
            Self::Ubyte(number) => unsigned(f, u64::from(*number)),
            Self::Ushort(number) => unsigned(f, u64::from(*number)),
            Self::Uint(number) => unsigned(f, u64::from(*number)),
            Self::Ulong(number) => unsigned(f, *number),
            Self::Byte(number) => Display::fmt(number, f),
            Self::Short(number) => Display::fmt(number, f),
            Self::Int(number) => Display::fmt(number, f),
            Self::Long(number) | Self::Timestamp(number) => Display::fmt(number, f),
            Self::Float(number) => float(f, number, f64::from(number.abs())),
            Self::Double(number) => float(f, number, number.abs()),
            Self::Decimal32(bytes) => hex(f, "D32(", bytes, ")"),
            Self::Decimal64(bytes) => hex(f, "D64(", bytes, ")"),
            Self::Decimal128(bytes) => hex(f, "D128(", bytes, ")"),
            Self::Char(letter) => f.write_char(*letter),
            Self::Uuid(bytes) => uuid(f, bytes),
            Self::Binary(bytes) => {
                f.write_char('b')?;
                quoted(f, bytes)
            }
            Self::String(text) => quoted(f, text.as_bytes()),
            Self::Symbol(text) => symbol(f, text),
            Self::List(elements) => sequence(f, elements),
            Self::Map(map) => Display::fmt(map, f),
            Self::Array(array) => Display::fmt(array, f),
            Self::Described(both) => {
                write!(f, "@{} ", both.0)?;
                Display::fmt(&both.1, f)
            }
        }
    }
}

impl Display for Map {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (index, (key, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            Display::fmt(key, f)?;
            f.write_char('=')?;
            Display::fmt(value, f)?;
        }
        f.write_char('}')
    }
}

impl Display for Array {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "@<{}>", type_name(self.code()))?;
        sequence(f, self.elements())
    }
}

fn sequence(f: &mut Formatter<'_>, elements: &[Value]) -> fmt::Result {
    f.write_char('[')?;
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        Display::fmt(element, f)?;
    }
    f.write_char(']')
}

fn unsigned(f: &mut Formatter<'_>, number: u64) -> fmt::Result {
    if f.alternate() {
        write!(f, "{number:#x}")
    } else {
        write!(f, "{number}")
    }
}

/// Very large and very small numbers with an exponent, others without.
fn float(f: &mut Formatter<'_>, number: &(impl Display + LowerExp), size: f64) -> fmt::Result {
    if size == 0.0 || !size.is_finite() || (1e-5..1e17).contains(&size) {
        write!(f, "{number}")
    } else {
        write!(f, "{number:e}")
    }
}

/// What the elements of an array with this constructor are called.
fn type_name(code: u8) -> &'static str {
    match code {
        format::NULL => "null",
        format::TRUE | format::FALSE | format::BOOLEAN => "bool",
        format::UBYTE => "ubyte",
        format::USHORT => "ushort",
        format::UINT0 | format::SMALL_UINT | format::UINT => "uint",
        format::ULONG0 | format::SMALL_ULONG | format::ULONG => "ulong",
        format::BYTE => "byte",
        format::SHORT => "short",
        format::SMALL_INT | format::INT => "int",
        format::SMALL_LONG | format::LONG => "long",
        format::FLOAT => "float",
        format::DOUBLE => "double",
        format::DECIMAL32 => "decimal32",
        format::DECIMAL64 => "decimal64",
        format::DECIMAL128 => "decimal128",
        format::CHAR => "char",
        format::TIMESTAMP => "timestamp",
        format::UUID => "uuid",
        format::VBIN8 | format::VBIN32 => "binary",
        format::STR8 | format::STR32 => "string",
        format::SYM8 | format::SYM32 => "symbol",
        format::LIST0 | format::LIST8 | format::LIST32 => "list",
        format::MAP8 | format::MAP32 => "map",
        _ => "array",
    }
}

/// A symbol needs quotes unless it is a letter followed by letters, digits and `-` only.
fn symbol(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(plain) {
        f.write_str(text)
    } else {
        quoted(f, text.as_bytes())
    }
}

fn quoted(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    write!(f, "\"{}\"", Escaped(bytes))
}

/// Bytes as text: whatever is not printable ASCII, and quotes and backslashes, as `\x` and two
/// hexadecimal digits.
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'"' | b'\\' => write!(f, "\\x{byte:02x}")?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

fn hex(f: &mut Formatter<'_>, before: &str, bytes: &[u8], after: &str) -> fmt::Result {
    f.write_str(before)?;
    for byte in bytes {
        write!(f, "{byte:02x}")?;
    }
    f.write_str(after)
}

fn uuid(f: &mut Formatter<'_>, bytes: &[u8; 16]) -> fmt::Result {
    hex(f, "UUID(", &bytes[..4], "-")?;
    hex(f, "", &bytes[4..6], "-")?;
    hex(f, "", &bytes[6..8], "-")?;
    hex(f, "", &bytes[8..10], "-")?;
    hex(f, "", &bytes[10..], ")")
}
