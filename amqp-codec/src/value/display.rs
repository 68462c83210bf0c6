//! Owns how values look to people: the notation of the frame tracer.
//! It never parses its own output. Decision: one notation serves logs, tools and traces, the one
//! that users of this kind of router already read: `"text"`, `:symbol`, `b"bytes"`, `{k=v}`,
//! `[a, b]`, `@<descriptor> value`.

use super::tree::{Array, Map, Value};
use std::fmt::{self, Display, Formatter, Write as _};

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(truth) => Display::fmt(truth, f),
            Self::Ubyte(number) => Display::fmt(number, f),
            Self::Ushort(number) => Display::fmt(number, f),
            Self::Uint(number) => Display::fmt(number, f),
            Self::Ulong(number) => Display::fmt(number, f),
            Self::Byte(number) => Display::fmt(number, f),
            Self::Short(number) => Display::fmt(number, f),
            Self::Int(number) => Display::fmt(number, f),
            Self::Long(number) | Self::Timestamp(number) => Display::fmt(number, f),
            Self::Float(number) => Display::fmt(number, f),
            Self::Double(number) => Display::fmt(number, f),
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
            Self::List(elements) => sequence(f, '[', elements, ']'),
            Self::Map(map) => Display::fmt(map, f),
            Self::Array(array) => Display::fmt(array, f),
            Self::Described(both) => write!(f, "@{} {}", both.0, both.1),
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
            write!(f, "{key}={value}")?;
        }
        f.write_char('}')
    }
}

impl Display for Array {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for descriptor in self.descriptors() {
            write!(f, "@{descriptor} ")?;
        }
        f.write_str("@<array>")?;
        sequence(f, '[', self.elements(), ']')
    }
}

fn sequence(f: &mut Formatter<'_>, open: char, elements: &[Value], close: char) -> fmt::Result {
    f.write_char(open)?;
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        Display::fmt(element, f)?;
    }
    f.write_char(close)
}

/// A symbol needs quotes unless it is made of letters, digits, `-` and `_` only.
fn symbol(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !text.is_empty() && text.bytes().all(plain) {
        f.write_str(text)
    } else {
        quoted(f, text.as_bytes())
    }
}

/// Bytes in quotes; whatever is not printable ASCII as `\x` and two hexadecimal digits.
fn quoted(f: &mut Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_char('"')?;
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
            b' '..=b'~' => f.write_char(char::from(byte))?,
            _ => write!(f, "\\x{byte:02x}")?,
        }
    }
    f.write_char('"')
}

fn hex(f: &mut Formatter<'_>, before: &str, bytes: &[u8], after: &str) -> fmt::Result {
    f.write_str(before)?;
    for byte in bytes {
        write!(f, "{byte:02x}")?;
    }
    f.write_str(after)
}

fn uuid(f: &mut Formatter<'_>, bytes: &[u8; 16]) -> fmt::Result {
    hex(f, "", &bytes[..4], "-")?;
    hex(f, "", &bytes[4..6], "-")?;
    hex(f, "", &bytes[6..8], "-")?;
    hex(f, "", &bytes[8..10], "-")?;
    hex(f, "", &bytes[10..], "")
}
