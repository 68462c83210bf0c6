//! Owns the decoding of values (amqp-1.0 §1.6) within limits of depth and size.
//! It never reserves memory by a count read from the wire. Decision: recursion, bounded by
//! `MAX_DEPTH`, because a stack of our own would only rename the same limit.

use super::tree::{Array, Map, Value};
use crate::compound::{self, Budget, Items, MAX_DEPTH};
use crate::cursor::Reader;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format;
use crate::primitive::{self, Read, Write};
use bytes::{Bytes, BytesMut};

impl Value {
    /// Reads the value at the start of `bytes` and tells how many bytes it occupies.
    ///
    /// Texts and binaries share the storage of `bytes`. Nesting is limited to
    /// [`MAX_DEPTH`], array elements without bytes to
    /// [`MAX_ZERO_WIDTH_ELEMENTS`](crate::MAX_ZERO_WIDTH_ELEMENTS).
    pub fn decode(bytes: &Bytes) -> Result<(Self, usize), DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::read(&mut reader)?;
        Ok((value, reader.at()))
    }
}

impl Read for Value {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_value(reader, MAX_DEPTH, &mut Budget::new())
    }
}

impl Write for Value {
    fn write(&self, out: &mut BytesMut) {
        self.encode(out);
    }
}

fn read_value(
    reader: &mut Reader<'_>,
    depth: u8,
    budget: &mut Budget,
) -> Result<Value, DecodeError> {
    let code = reader.u8()?;
    if code == format::DESCRIBED {
        let depth = compound::deeper(reader, depth)?;
        let descriptor = read_value(reader, depth, budget)?;
        let value = read_value(reader, depth, budget)?;
        return Ok(Value::Described(Box::new((descriptor, value))));
    }
    read_body(reader, code, depth, budget)
}

/// Reads what follows the format code `code`.
fn read_body(
    reader: &mut Reader<'_>,
    code: u8,
    depth: u8,
    budget: &mut Budget,
) -> Result<Value, DecodeError> {
    Ok(match code {
        format::NULL => Value::Null,
        format::TRUE => Value::Bool(true),
        format::FALSE => Value::Bool(false),
        format::BOOLEAN => match reader.u8()? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            _ => return Err(reader.error_before(DecodeErrorKind::InvalidValue)),
        },
        format::UBYTE => Value::Ubyte(reader.u8()?),
        format::USHORT => Value::Ushort(u16::from_be_bytes(reader.array()?)),
        format::UINT0 => Value::Uint(0),
        format::SMALL_UINT => Value::Uint(reader.u8()?.into()),
        format::UINT => Value::Uint(reader.u32()?),
        format::ULONG0 => Value::Ulong(0),
        format::SMALL_ULONG => Value::Ulong(reader.u8()?.into()),
        format::ULONG => Value::Ulong(u64::from_be_bytes(reader.array()?)),
        format::BYTE => Value::Byte(i8::from_be_bytes(reader.array()?)),
        format::SHORT => Value::Short(i16::from_be_bytes(reader.array()?)),
        format::SMALL_INT => Value::Int(i8::from_be_bytes(reader.array()?).into()),
        format::INT => Value::Int(i32::from_be_bytes(reader.array()?)),
        format::SMALL_LONG => Value::Long(i8::from_be_bytes(reader.array()?).into()),
        format::LONG => Value::Long(i64::from_be_bytes(reader.array()?)),
        format::FLOAT => Value::Float(f32::from_be_bytes(reader.array()?)),
        format::DOUBLE => Value::Double(f64::from_be_bytes(reader.array()?)),
        format::DECIMAL32 => Value::Decimal32(reader.array()?),
        format::DECIMAL64 => Value::Decimal64(reader.array()?),
        format::DECIMAL128 => Value::Decimal128(reader.array()?),
        format::CHAR => read_char(reader)?,
        format::TIMESTAMP => Value::Timestamp(i64::from_be_bytes(reader.array()?)),
        format::UUID => Value::Uuid(reader.array()?),
        format::VBIN8
        | format::VBIN32
        | format::STR8
        | format::STR32
        | format::SYM8
        | format::SYM32 => return read_text(reader, code),
        format::LIST0 => Value::List(Vec::new()),
        format::LIST8 | format::LIST32 => {
            let items = Items::open(reader, code)?.bounded()?;
            Value::List(read_items(items, compound::deeper(reader, depth)?, budget)?)
        }
        format::MAP8 | format::MAP32 => return read_map(reader, code, depth, budget),
        format::ARRAY8 | format::ARRAY32 => return read_array(reader, code, depth, budget),
        _ => return Err(reader.error_before(DecodeErrorKind::InvalidFormatCode)),
    })
}

fn read_char(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let error = reader.error(DecodeErrorKind::InvalidValue);
    char::from_u32(reader.u32()?).map(Value::Char).ok_or(error)
}

fn read_text(reader: &mut Reader<'_>, code: u8) -> Result<Value, DecodeError> {
    let wide = code & format::WIDE != 0;
    let length = if wide {
        reader.size32()?
    } else {
        usize::from(reader.u8()?)
    };
    match code & !format::WIDE {
        format::STR8 => primitive::share_str(reader, length).map(Value::String),
        format::SYM8 => primitive::share_symbol(reader, length).map(Value::Symbol),
        _ => reader.share(length).map(Value::Binary),
    }
}

fn read_items(
    mut items: Items<'_>,
    depth: u8,
    budget: &mut Budget,
) -> Result<Vec<Value>, DecodeError> {
    let mut values = Vec::new();
    while items.left > 0 {
        items.left -= 1;
        values.push(read_value(&mut items.reader, depth, budget)?);
    }
    items.finish()?;
    Ok(values)
}

fn read_map(
    reader: &mut Reader<'_>,
    code: u8,
    depth: u8,
    budget: &mut Budget,
) -> Result<Value, DecodeError> {
    let depth = compound::deeper(reader, depth)?;
    let mut items = Items::open(reader, code)?.bounded()?;
    if items.left % 2 != 0 {
        return Err(items.reader.error_before(DecodeErrorKind::InvalidCount));
    }
    let mut entries = Vec::new();
    while items.left > 0 {
        items.left -= 2;
        let key = read_value(&mut items.reader, depth, budget)?;
        entries.push((key, read_value(&mut items.reader, depth, budget)?));
    }
    items.finish()?;
    Ok(Value::Map(Map(entries)))
}

fn read_array(
    reader: &mut Reader<'_>,
    code: u8,
    depth: u8,
    budget: &mut Budget,
) -> Result<Value, DecodeError> {
    let depth = compound::deeper(reader, depth)?;
    let mut items = Items::open(reader, code)?;
    let mut descriptors = Vec::new();
    let mut inner = depth;
    let element = loop {
        match items.reader.u8()? {
            format::DESCRIBED => {
                inner = compound::deeper(&items.reader, inner)?;
                descriptors.push(read_value(&mut items.reader, inner, budget)?);
            }
            code => break code,
        }
    };
    compound::check_array_count(&items, element, budget)?;
    let mut elements = Vec::new();
    while items.left > 0 {
        items.left -= 1;
        elements.push(read_body(&mut items.reader, element, depth, budget)?);
    }
    items.finish()?;
    Ok(Value::Array(Array {
        descriptors,
        code: element,
        elements,
    }))
}
