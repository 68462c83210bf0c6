//! Owns the rule by which values may share an array (amqp-1.0 §1.6.24).
//! It never encodes. Decision: the rule is checked when an array is made, so that encoding cannot
//! fail; only a compound that outgrows its narrow constructor is left to the encoder to widen.

use super::tree::{Array, Value};
use crate::format;
use crate::text::Symbol;

impl Array {
    /// An array whose elements have the constructor `code`; `None` if one of them is of another
    /// type or too large for it.
    #[must_use]
    pub fn new(code: u8, elements: Vec<Value>) -> Option<Self> {
        Self::described(Vec::new(), code, elements)
    }

    /// An array of described values: `descriptors`, outermost first, apply to each element.
    /// `None` if an element does not fit the constructor `code`.
    #[must_use]
    pub fn described(descriptors: Vec<Value>, code: u8, elements: Vec<Value>) -> Option<Self> {
        format::layout(code)?;
        elements
            .iter()
            .all(|element| fits(element, code))
            .then_some(Self {
                descriptors,
                code,
                elements,
            })
    }

    /// An array of symbols.
    #[must_use]
    pub fn of_symbols(symbols: impl IntoIterator<Item = Symbol>) -> Self {
        let elements: Vec<_> = symbols.into_iter().map(Value::Symbol).collect();
        let narrow = elements.iter().all(|element| fits(element, format::SYM8));
        let code = if narrow { format::SYM8 } else { format::SYM32 };
        Self {
            descriptors: Vec::new(),
            code,
            elements,
        }
    }

    /// The format code of the elements.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.code
    }

    /// The descriptors of each element, outermost first; mostly none.
    #[must_use]
    pub fn descriptors(&self) -> &[Value] {
        &self.descriptors
    }

    /// The elements, without their descriptors.
    #[must_use]
    pub fn elements(&self) -> &[Value] {
        &self.elements
    }
}

/// Whether a value's type is the one of `code`, and its size or range too where that is known
/// without encoding it.
fn fits(value: &Value, code: u8) -> bool {
    match (value, code) {
        (Value::Bool(truth), format::TRUE) => *truth,
        (Value::Bool(truth), format::FALSE) => !*truth,
        (Value::Uint(number), format::UINT0) => *number == 0,
        (Value::Uint(number), format::SMALL_UINT) => u8::try_from(*number).is_ok(),
        (Value::Ulong(number), format::ULONG0) => *number == 0,
        (Value::Ulong(number), format::SMALL_ULONG) => u8::try_from(*number).is_ok(),
        (Value::Int(number), format::SMALL_INT) => i8::try_from(*number).is_ok(),
        (Value::Long(number), format::SMALL_LONG) => i8::try_from(*number).is_ok(),
        (Value::Binary(bytes), format::VBIN8) => u8::try_from(bytes.len()).is_ok(),
        (Value::String(text), format::STR8) => u8::try_from(text.as_bytes().len()).is_ok(),
        (Value::Symbol(text), format::SYM8) => u8::try_from(text.as_bytes().len()).is_ok(),
        (Value::List(elements), format::LIST0) => elements.is_empty(),
        (Value::Null, format::NULL)
        | (Value::Bool(_), format::BOOLEAN)
        | (Value::Ubyte(_), format::UBYTE)
        | (Value::Ushort(_), format::USHORT)
        | (Value::Uint(_), format::UINT)
        | (Value::Ulong(_), format::ULONG)
        | (Value::Byte(_), format::BYTE)
        | (Value::Short(_), format::SHORT)
        | (Value::Int(_), format::INT)
        | (Value::Long(_), format::LONG)
        | (Value::Float(_), format::FLOAT)
        | (Value::Double(_), format::DOUBLE)
        | (Value::Decimal32(_), format::DECIMAL32)
        | (Value::Decimal64(_), format::DECIMAL64)
        | (Value::Decimal128(_), format::DECIMAL128)
        | (Value::Char(_), format::CHAR)
        | (Value::Timestamp(_), format::TIMESTAMP)
        | (Value::Uuid(_), format::UUID)
        | (Value::Binary(_), format::VBIN32)
        | (Value::String(_), format::STR32)
        | (Value::Symbol(_), format::SYM32)
        | (Value::List(_), format::LIST8 | format::LIST32)
        | (Value::Map(_), format::MAP8 | format::MAP32)
        | (Value::Array(_), format::ARRAY8 | format::ARRAY32) => true,
        _ => false,
    }
}
