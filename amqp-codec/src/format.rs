//! Owns the format codes of amqp-1.0 §1.6 and the rule that derives a width from one.
//! It never reads a value. Decision: codes are plain `u8` constants, not an enum, because every
//! decoder matches on the byte it has just read and an enum would need a second match first.

/// Introduces a descriptor (amqp-1.0 §1.2).
pub(crate) const DESCRIBED: u8 = 0x00;
pub(crate) const NULL: u8 = 0x40;
pub(crate) const TRUE: u8 = 0x41;
pub(crate) const FALSE: u8 = 0x42;
pub(crate) const UINT0: u8 = 0x43;
pub(crate) const ULONG0: u8 = 0x44;
pub(crate) const LIST0: u8 = 0x45;
pub(crate) const UBYTE: u8 = 0x50;
pub(crate) const BYTE: u8 = 0x51;
pub(crate) const SMALL_UINT: u8 = 0x52;
pub(crate) const SMALL_ULONG: u8 = 0x53;
pub(crate) const SMALL_INT: u8 = 0x54;
pub(crate) const SMALL_LONG: u8 = 0x55;
pub(crate) const BOOLEAN: u8 = 0x56;
pub(crate) const USHORT: u8 = 0x60;
pub(crate) const SHORT: u8 = 0x61;
pub(crate) const UINT: u8 = 0x70;
pub(crate) const INT: u8 = 0x71;
pub(crate) const FLOAT: u8 = 0x72;
pub(crate) const CHAR: u8 = 0x73;
pub(crate) const DECIMAL32: u8 = 0x74;
pub(crate) const ULONG: u8 = 0x80;
pub(crate) const LONG: u8 = 0x81;
pub(crate) const DOUBLE: u8 = 0x82;
pub(crate) const TIMESTAMP: u8 = 0x83;
pub(crate) const DECIMAL64: u8 = 0x84;
pub(crate) const DECIMAL128: u8 = 0x94;
pub(crate) const UUID: u8 = 0x98;
pub(crate) const VBIN8: u8 = 0xa0;
pub(crate) const STR8: u8 = 0xa1;
pub(crate) const SYM8: u8 = 0xa3;
pub(crate) const VBIN32: u8 = 0xb0;
pub(crate) const STR32: u8 = 0xb1;
pub(crate) const SYM32: u8 = 0xb3;
pub(crate) const LIST8: u8 = 0xc0;
pub(crate) const MAP8: u8 = 0xc1;
pub(crate) const LIST32: u8 = 0xd0;
pub(crate) const MAP32: u8 = 0xd1;
pub(crate) const ARRAY8: u8 = 0xe0;
pub(crate) const ARRAY32: u8 = 0xf0;

/// Between a compound's or variable's narrow code and its wide one (`0xa1` and `0xb1`).
pub(crate) const WIDE: u8 = 0x10;

/// How the bytes after a format code are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// That many bytes.
    Fixed(u8),
    /// A size of one byte, then that many bytes.
    Variable8,
    /// A size of four bytes, then that many bytes.
    Variable32,
    /// A list or a map.
    Compound,
    /// An array.
    Array,
}

/// The layout of a value with this format code; `None` for bytes that are no format code.
pub(crate) fn layout(code: u8) -> Option<Layout> {
    Some(match code {
        NULL | TRUE | FALSE | UINT0 | ULONG0 | LIST0 => Layout::Fixed(0),
        UBYTE | BYTE | SMALL_UINT | SMALL_ULONG | SMALL_INT | SMALL_LONG | BOOLEAN => {
            Layout::Fixed(1)
        }
        USHORT | SHORT => Layout::Fixed(2),
        UINT | INT | FLOAT | CHAR | DECIMAL32 => Layout::Fixed(4),
        ULONG | LONG | DOUBLE | TIMESTAMP | DECIMAL64 => Layout::Fixed(8),
        DECIMAL128 | UUID => Layout::Fixed(16),
        VBIN8 | STR8 | SYM8 => Layout::Variable8,
        VBIN32 | STR32 | SYM32 => Layout::Variable32,
        LIST8 | LIST32 | MAP8 | MAP32 => Layout::Compound,
        ARRAY8 | ARRAY32 => Layout::Array,
        _ => return None,
    })
}
