//! Owns the descriptors of the standard's types, numeric and symbolic, and how they are read.
//! It never reads what they describe. Decision: symbolic descriptors are turned into their numbers
//! here, so that no other file knows there are two spellings (amqp-1.0 §1.3).

use crate::cursor::Reader;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format;
use crate::primitive::{self, Read as _};
use crate::text::Symbol;

pub(crate) const OPEN: u8 = 0x10;
pub(crate) const BEGIN: u8 = 0x11;
pub(crate) const ATTACH: u8 = 0x12;
pub(crate) const FLOW: u8 = 0x13;
pub(crate) const TRANSFER: u8 = 0x14;
pub(crate) const DISPOSITION: u8 = 0x15;
pub(crate) const DETACH: u8 = 0x16;
pub(crate) const END: u8 = 0x17;
pub(crate) const CLOSE: u8 = 0x18;
pub(crate) const ERROR: u8 = 0x1d;
pub(crate) const RECEIVED: u8 = 0x23;
pub(crate) const ACCEPTED: u8 = 0x24;
pub(crate) const REJECTED: u8 = 0x25;
pub(crate) const RELEASED: u8 = 0x26;
pub(crate) const MODIFIED: u8 = 0x27;
pub(crate) const SOURCE: u8 = 0x28;
pub(crate) const TARGET: u8 = 0x29;
pub(crate) const COORDINATOR: u8 = 0x30;
pub(crate) const DECLARED: u8 = 0x33;
pub(crate) const TRANSACTIONAL_STATE: u8 = 0x34;
pub(crate) const SASL_MECHANISMS: u8 = 0x40;
pub(crate) const SASL_INIT: u8 = 0x41;
pub(crate) const SASL_CHALLENGE: u8 = 0x42;
pub(crate) const SASL_RESPONSE: u8 = 0x43;
pub(crate) const SASL_OUTCOME: u8 = 0x44;
pub(crate) const HEADER: u8 = 0x70;
pub(crate) const DELIVERY_ANNOTATIONS: u8 = 0x71;
pub(crate) const MESSAGE_ANNOTATIONS: u8 = 0x72;
pub(crate) const PROPERTIES: u8 = 0x73;
pub(crate) const APPLICATION_PROPERTIES: u8 = 0x74;
pub(crate) const DATA: u8 = 0x75;
pub(crate) const AMQP_SEQUENCE: u8 = 0x76;
pub(crate) const AMQP_VALUE: u8 = 0x77;
pub(crate) const FOOTER: u8 = 0x78;

const SYMBOLS: [(&str, u8); 34] = [
    ("amqp:open:list", OPEN),
    ("amqp:begin:list", BEGIN),
    ("amqp:attach:list", ATTACH),
    ("amqp:flow:list", FLOW),
    ("amqp:transfer:list", TRANSFER),
    ("amqp:disposition:list", DISPOSITION),
    ("amqp:detach:list", DETACH),
    ("amqp:end:list", END),
    ("amqp:close:list", CLOSE),
    ("amqp:error:list", ERROR),
    ("amqp:received:list", RECEIVED),
    ("amqp:accepted:list", ACCEPTED),
    ("amqp:rejected:list", REJECTED),
    ("amqp:released:list", RELEASED),
    ("amqp:modified:list", MODIFIED),
    ("amqp:source:list", SOURCE),
    ("amqp:target:list", TARGET),
    ("amqp:coordinator:list", COORDINATOR),
    ("amqp:declared:list", DECLARED),
    ("amqp:transactional-state:list", TRANSACTIONAL_STATE),
    ("amqp:sasl-mechanisms:list", SASL_MECHANISMS),
    ("amqp:sasl-init:list", SASL_INIT),
    ("amqp:sasl-challenge:list", SASL_CHALLENGE),
    ("amqp:sasl-response:list", SASL_RESPONSE),
    ("amqp:sasl-outcome:list", SASL_OUTCOME),
    ("amqp:header:list", HEADER),
    ("amqp:delivery-annotations:map", DELIVERY_ANNOTATIONS),
    ("amqp:message-annotations:map", MESSAGE_ANNOTATIONS),
    ("amqp:properties:list", PROPERTIES),
    ("amqp:application-properties:map", APPLICATION_PROPERTIES),
    ("amqp:data:binary", DATA),
    ("amqp:amqp-sequence:list", AMQP_SEQUENCE),
    ("amqp:amqp-value:*", AMQP_VALUE),
    ("amqp:footer:map", FOOTER),
];

/// Reads the descriptor of a described value. A number or symbol that is none of the standard's
/// is `None`; a value that is not described, or described by another type, is an error.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Option<u8>, DecodeError> {
    let code = reader.u8()?;
    if code != format::DESCRIBED {
        return Err(primitive::unexpected(reader, code));
    }
    if matches!(reader.peek()?, format::SYM8 | format::SYM32) {
        let symbol = Symbol::read(reader)?;
        return Ok(SYMBOLS
            .iter()
            .find(|(name, _)| symbol == *name)
            .map(|&(_, code)| code));
    }
    let number = u64::read(reader)?;
    Ok(u8::try_from(number).ok())
}

/// Reads a descriptor that must be `wanted`.
pub(crate) fn expect(reader: &mut Reader<'_>, wanted: u8) -> Result<(), DecodeError> {
    let at = reader.at();
    if read(reader)? == Some(wanted) {
        Ok(())
    } else {
        Err(DecodeError::new(DecodeErrorKind::UnknownDescriptor, at))
    }
}
