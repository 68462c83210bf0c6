//! Owns the encoding of values (amqp-1.0 §1.6).
//! It never fails. Decision: what follows a constructor is written by one function whether the
//! constructor stands before each value or once before all elements of an array.

use super::tree::{Array, Map, Value};
use crate::compound;
use crate::format::{self, Layout};
use crate::primitive;
use bytes::{BufMut as _, BytesMut};

impl Value {
    /// Appends the value with its constructor, in the smallest encoding.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::List(elements) if elements.is_empty() => out.put_u8(format::LIST0),
            Self::List(elements) => {
                let start = compound::begin(out, format::LIST8);
                for element in elements {
                    element.encode(out);
                }
                compound::close(out, start, elements.len());
            }
            Self::Map(map) => map.encode(out),
            Self::Array(array) => array.encode(out),
            Self::Described(both) => {
                out.put_u8(format::DESCRIBED);
                both.0.encode(out);
                both.1.encode(out);
            }
            Self::Binary(bytes) => primitive::put_variable(out, format::VBIN8, bytes),
            Self::String(text) => primitive::put_variable(out, format::STR8, text.as_bytes()),
            Self::Symbol(text) => primitive::put_variable(out, format::SYM8, text.as_bytes()),
            scalar => {
                let code = scalar_code(scalar);
                out.put_u8(code);
                put_scalar(scalar, code, out);
            }
        }
    }
}

impl Map {
    /// Appends the map with its constructor.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = compound::begin(out, format::MAP8);
        for (key, value) in &self.0 {
            key.encode(out);
            value.encode(out);
        }
        compound::close(out, start, self.0.len() * 2);
    }
}

impl Array {
    /// Appends the array with its constructor.
    pub fn encode(&self, out: &mut BytesMut) {
        let start = compound::begin(out, format::ARRAY8);
        self.put_elements(out);
        compound::close(out, start, self.elements.len());
    }

    /// Appends the element constructor and the elements.
    fn put_elements(&self, out: &mut BytesMut) {
        for descriptor in &self.descriptors {
            out.put_u8(format::DESCRIBED);
            descriptor.encode(out);
        }
        let start = out.len();
        out.put_u8(self.code);
        if !self
            .elements
            .iter()
            .all(|element| put_body(element, self.code, out))
        {
            // Only a compound can outgrow its constructor, and its wide form holds anything.
            out.truncate(start);
            let code = self.code | format::WIDE;
            out.put_u8(code);
            for element in &self.elements {
                put_body(element, code, out);
            }
        }
    }
}

/// The smallest constructor for a value that is no text and no compound.
fn scalar_code(value: &Value) -> u8 {
    match *value {
        Value::Bool(true) => format::TRUE,
        Value::Bool(false) => format::FALSE,
        Value::Ubyte(_) => format::UBYTE,
        Value::Ushort(_) => format::USHORT,
        Value::Uint(0) => format::UINT0,
        Value::Uint(number) if u8::try_from(number).is_ok() => format::SMALL_UINT,
        Value::Uint(_) => format::UINT,
        Value::Ulong(0) => format::ULONG0,
        Value::Ulong(number) if u8::try_from(number).is_ok() => format::SMALL_ULONG,
        Value::Ulong(_) => format::ULONG,
        Value::Byte(_) => format::BYTE,
        Value::Short(_) => format::SHORT,
        Value::Int(number) if i8::try_from(number).is_ok() => format::SMALL_INT,
        Value::Int(_) => format::INT,
        Value::Long(number) if i8::try_from(number).is_ok() => format::SMALL_LONG,
        Value::Long(_) => format::LONG,
        Value::Float(_) => format::FLOAT,
        Value::Double(_) => format::DOUBLE,
        Value::Decimal32(_) => format::DECIMAL32,
        Value::Decimal64(_) => format::DECIMAL64,
        Value::Decimal128(_) => format::DECIMAL128,
        Value::Char(_) => format::CHAR,
        Value::Timestamp(_) => format::TIMESTAMP,
        Value::Uuid(_) => format::UUID,
        _ => format::NULL,
    }
}

/// Appends a scalar without its constructor `code`.
fn put_scalar(value: &Value, code: u8, out: &mut BytesMut) {
    match *value {
        Value::Bool(truth) => put_low(out, code, &[u8::from(truth)]),
        Value::Ubyte(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Ushort(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Uint(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Ulong(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Byte(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Short(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Int(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Long(number) | Value::Timestamp(number) => {
            put_low(out, code, &number.to_be_bytes());
        }
        Value::Float(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Double(number) => put_low(out, code, &number.to_be_bytes()),
        Value::Decimal32(bytes) => put_low(out, code, &bytes),
        Value::Decimal64(bytes) => put_low(out, code, &bytes),
        Value::Decimal128(bytes) | Value::Uuid(bytes) => put_low(out, code, &bytes),
        Value::Char(letter) => put_low(out, code, &u32::from(letter).to_be_bytes()),
        _ => {}
    }
}

/// Appends as many of the low-order bytes as the constructor `code` asks for.
fn put_low(out: &mut BytesMut, code: u8, bytes: &[u8]) {
    if let Some(Layout::Fixed(width)) = format::layout(code) {
        out.put_slice(&bytes[bytes.len() - usize::from(width)..]);
    }
}

/// Appends an array's element without its constructor `code`; false if a compound outgrew it.
fn put_body(value: &Value, code: u8, out: &mut BytesMut) -> bool {
    let wide = code & format::WIDE != 0;
    match value {
        Value::Binary(bytes) => put_sized(out, wide, bytes),
        Value::String(text) => put_sized(out, wide, text.as_bytes()),
        Value::Symbol(text) => put_sized(out, wide, text.as_bytes()),
        Value::List(_) if code == format::LIST0 => true,
        Value::List(elements) => put_compound(out, wide, elements.len(), |out| {
            for element in elements {
                element.encode(out);
            }
        }),
        Value::Map(map) => put_compound(out, wide, map.0.len() * 2, |out| {
            for (key, value) in map {
                key.encode(out);
                value.encode(out);
            }
        }),
        Value::Array(array) => put_compound(out, wide, array.elements.len(), |out| {
            array.put_elements(out);
        }),
        scalar => {
            put_scalar(scalar, code, out);
            true
        }
    }
}

/// Appends a size of one or four bytes and the bytes; false if the size needs more.
fn put_sized(out: &mut BytesMut, wide: bool, bytes: &[u8]) -> bool {
    match (wide, u8::try_from(bytes.len()), u32::try_from(bytes.len())) {
        (false, Ok(length), _) => out.put_u8(length),
        (true, _, Ok(length)) => out.put_u32(length),
        _ => return false,
    }
    out.put_slice(bytes);
    true
}

/// Appends size, count and contents of a compound; false if they outgrow the narrow form.
fn put_compound(
    out: &mut BytesMut,
    wide: bool,
    count: usize,
    contents: impl FnOnce(&mut BytesMut),
) -> bool {
    let width = if wide { 4 } else { 1 };
    let start = out.len();
    out.put_bytes(0, 2 * width);
    contents(out);
    let size = out.len() - start - width;
    for (at, number) in [(start, size), (start + width, count)] {
        match (wide, u8::try_from(number), u32::try_from(number)) {
            (false, Ok(number), _) => out[at] = number,
            (true, _, Ok(number)) => out[at..at + 4].copy_from_slice(&number.to_be_bytes()),
            _ => return false,
        }
    }
    true
}
