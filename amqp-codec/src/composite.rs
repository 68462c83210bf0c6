//! Owns the macro `composite!`, in which a composite type is written as its table in the standard
//! (amqp-1.0 §1.4), and the reading and writing that follow from the table.
//! It never knows a particular type. Decision: a macro over a table instead of generated files:
//! the table is what people compare with the standard, line by line.

use crate::compound::{self, Items, ListWriter};
use crate::cursor::Reader;
use crate::descriptor;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format;
use crate::primitive::{self, Read, Write};
use crate::text::{Str, Symbol};
use crate::value::Value;
use bytes::{BufMut as _, BytesMut};

/// A type encoded as a described list of fields.
pub(crate) trait Composite: Sized {
    /// The number in its descriptor.
    const DESCRIPTOR: u8;
    /// Its fields in Rust's spelling, in order.
    const FIELDS: &'static [&'static str];
    fn read_fields(items: &mut Items<'_>) -> Result<Self, DecodeError>;
    fn write_fields(&self, list: &mut ListWriter<'_>);
}

/// Declares a struct by its table of fields. Each field says how it may be absent:
/// `required`, `optional`, `default(value)`, `explicit(value)` (a default that is always written,
/// as peers are used to), `multiple` (symbols) or `address`.
macro_rules! composite {
    ($(#[$meta:meta])* $name:ident = $code:expr, {
        $($(#[$field_meta:meta])* $field:ident: $type:ty = $kind:ident $(($default:expr))?,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            /// Every field absent; mandatory fields are empty or zero.
            fn default() -> Self {
                Self { $($field: composite!(@default $kind $(($default))?),)* }
            }
        }

        impl $crate::composite::Composite for $name {
            const DESCRIPTOR: u8 = $code;
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read_fields(
                items: &mut $crate::compound::Items<'_>,
            ) -> Result<Self, $crate::error::DecodeError> {
                Ok(Self { $($field: composite!(@read items $kind $(($default))?),)* })
            }

            fn write_fields(&self, list: &mut $crate::compound::ListWriter<'_>) {
                $(composite!(@write list, self.$field, $kind $(($default))?);)*
            }
        }

        impl $crate::primitive::Read for $name {
            fn read(
                reader: &mut $crate::cursor::Reader<'_>,
            ) -> Result<Self, $crate::error::DecodeError> {
                $crate::composite::read(reader)
            }
        }

        impl $crate::primitive::Write for $name {
            fn write(&self, out: &mut bytes::BytesMut) {
                $crate::composite::write(self, out);
            }
        }
    };
    (@default $kind:ident ($default:expr)) => { $default };
    (@default $kind:ident) => { Default::default() };
    (@read $items:ident required) => { $items.required()? };
    (@read $items:ident optional) => { $items.field()? };
    (@read $items:ident $kind:ident ($default:expr)) => { $items.field()?.unwrap_or($default) };
    (@read $items:ident multiple) => { $crate::composite::read_symbols($items)? };
    (@read $items:ident address) => { $crate::composite::read_address($items)? };
    (@write $list:ident, $self:ident.$field:ident, required) => {
        $list.required(&$self.$field)
    };
    (@write $list:ident, $self:ident.$field:ident, default ($default:expr)) => {
        $list.optional(Some(&$self.$field).filter(|value| **value != $default))
    };
    (@write $list:ident, $self:ident.$field:ident, explicit ($default:expr)) => {
        $list.required(&$self.$field)
    };
    (@write $list:ident, $self:ident.$field:ident, multiple) => {
        $list.optional($crate::composite::Symbols::some(&$self.$field).as_ref())
    };
    (@write $list:ident, $self:ident.$field:ident, $kind:ident) => {
        $list.optional($self.$field.as_ref())
    };
}

pub(crate) use composite;

/// Reads a described list from its descriptor on.
pub(crate) fn read<T: Composite>(reader: &mut Reader<'_>) -> Result<T, DecodeError> {
    descriptor::expect(reader, T::DESCRIPTOR)?;
    read_list(reader)
}

/// Reads the list after a descriptor that was read already.
pub(crate) fn read_list<T: Composite>(reader: &mut Reader<'_>) -> Result<T, DecodeError> {
    let mut items = Items::open_list(reader)?;
    let value = T::read_fields(&mut items)?;
    items.finish()?;
    Ok(value)
}

/// Appends a described list.
pub(crate) fn write<T: Composite>(value: &T, out: &mut BytesMut) {
    let mut list = ListWriter::begin_described(out, T::DESCRIPTOR);
    value.write_fields(&mut list);
    list.finish();
}

impl<T: Read> Read for Box<T> {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        T::read(reader).map(Self::new)
    }
}

impl<T: Write> Write for Box<T> {
    fn write(&self, out: &mut BytesMut) {
        T::write(self, out);
    }
}

/// Reads an address (amqp-1.0 §3.5.10): a string; null is none.
pub(crate) fn read_address(items: &mut Items<'_>) -> Result<Option<Str>, DecodeError> {
    items.field().map_err(|mut error: DecodeError| {
        if error.kind == DecodeErrorKind::WrongType {
            error.kind = DecodeErrorKind::InvalidValue;
        }
        error
    })
}

/// Reads a field of one symbol or an array of symbols (amqp-1.0 §1.4); null is none.
pub(crate) fn read_symbols(items: &mut Items<'_>) -> Result<Vec<Symbol>, DecodeError> {
    items
        .field::<SymbolVec>()
        .map(|symbols| symbols.map_or_else(Vec::new, |symbols| symbols.0))
}

/// Symbols on their way in.
pub(crate) struct SymbolVec(pub(crate) Vec<Symbol>);

impl Read for SymbolVec {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = reader.peek()?;
        if matches!(code, format::LIST0 | format::LIST8 | format::LIST32) {
            return Self::read_list(reader);
        }
        if !matches!(code, format::ARRAY8 | format::ARRAY32) {
            return Symbol::read(reader).map(|symbol| Self(vec![symbol]));
        }
        reader.u8()?;
        let mut items = Items::open(reader, code)?;
        let element = items.reader.u8()?;
        let wide = match element {
            format::SYM8 => false,
            format::SYM32 => true,
            code => return Err(primitive::unexpected(&items.reader, code)),
        };
        let mut symbols = Vec::new();
        items = items.bounded()?;
        while items.left > 0 {
            items.left -= 1;
            let reader = &mut items.reader;
            let length = if wide {
                reader.size32()?
            } else {
                usize::from(reader.u8()?)
            };
            symbols.push(primitive::share_symbol(reader, length)?);
        }
        items.finish()?;
        Ok(Self(symbols))
    }
}

impl SymbolVec {
    /// A list in place of an array: some clients write capabilities so. Its symbols count, whatever
    /// else is in it says nothing that anyone asks for.
    fn read_list(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let list = Value::read(reader)?;
        let elements = list.as_list().unwrap_or_default().iter();
        let symbols = elements.filter_map(|element| match element {
            Value::Symbol(symbol) => Some(symbol.clone()),
            _ => None,
        });
        Ok(Self(symbols.collect()))
    }
}

/// Symbols on their way out: one alone, several as an array.
pub(crate) struct Symbols<'a>(&'a [Symbol]);

impl<'a> Symbols<'a> {
    /// The symbols, if there are any.
    pub(crate) fn some(symbols: &'a [Symbol]) -> Option<Self> {
        (!symbols.is_empty()).then_some(Self(symbols))
    }
}

impl Write for Symbols<'_> {
    fn write(&self, out: &mut BytesMut) {
        match self.0 {
            [symbol] => symbol.write(out),
            symbols => SymbolArray(symbols).write(out),
        }
    }
}

/// Symbols on their way out as an array, however many there are.
pub(crate) struct SymbolArray<'a>(pub(crate) &'a [Symbol]);

impl Write for SymbolArray<'_> {
    fn write(&self, out: &mut BytesMut) {
        let symbols = self.0;
        let narrow = symbols
            .iter()
            .all(|symbol| u8::try_from(symbol.as_bytes().len()).is_ok());
        let start = compound::begin(out, format::ARRAY8);
        out.put_u8(if narrow { format::SYM8 } else { format::SYM32 });
        for symbol in symbols {
            let bytes = symbol.as_bytes();
            match u8::try_from(bytes.len()) {
                Ok(length) if narrow => out.put_u8(length),
                _ => out.put_u32(u32::try_from(bytes.len()).expect("symbols are below 4 GiB")),
            }
            out.put_slice(bytes);
        }
        compound::close(out, start, symbols.len());
    }
}
