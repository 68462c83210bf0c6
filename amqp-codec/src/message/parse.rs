//! Owns the parsing of whole messages (amqp-1.0 §3.2).
//! It never meets a message that passes through. Decision: it is strict where the scanner is
//! lenient, since a message for the router itself must be understood entirely.

use super::whole::{Body, Message};
use crate::composite;
use crate::cursor::Reader;
use crate::descriptor;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::primitive::Read as _;
use crate::value::{Map, Value};
use bytes::Bytes;

/// Parses a whole message. Every byte must belong to a section of the standard, in its order; an
/// empty message is an error.
pub fn parse(message: &Bytes) -> Result<Message, DecodeError> {
    let mut reader = Reader::new(message);
    if reader.is_empty() {
        return Err(reader.error(DecodeErrorKind::Empty));
    }
    let mut parsed = Message::default();
    let mut last = 0;
    while !reader.is_empty() {
        let at = reader.at();
        let Some(code @ descriptor::HEADER..=descriptor::FOOTER) = descriptor::read(&mut reader)?
        else {
            return Err(DecodeError::new(DecodeErrorKind::UnknownDescriptor, at));
        };
        check_order(last, code, at)?;
        last = code;
        read_section(code, &mut reader, &mut parsed)?;
    }
    Ok(parsed)
}

/// Sections come in the order of their codes and once, but for data and sequences; a body is of
/// one kind.
fn check_order(last: u8, code: u8, at: usize) -> Result<(), DecodeError> {
    let repeats = matches!(code, descriptor::DATA | descriptor::AMQP_SEQUENCE);
    let body = descriptor::DATA..=descriptor::AMQP_VALUE;
    let kind = if code == last && !repeats {
        DecodeErrorKind::DuplicateSection
    } else if code < last || (code > last && body.contains(&last) && body.contains(&code)) {
        DecodeErrorKind::SectionOrder
    } else {
        return Ok(());
    };
    Err(DecodeError::new(kind, at))
}

fn read_section(
    code: u8,
    reader: &mut Reader<'_>,
    parsed: &mut Message,
) -> Result<(), DecodeError> {
    match code {
        descriptor::HEADER => parsed.header = Some(composite::read_list(reader)?),
        descriptor::DELIVERY_ANNOTATIONS => parsed.delivery_annotations = read_map(reader)?,
        descriptor::MESSAGE_ANNOTATIONS => parsed.message_annotations = read_map(reader)?,
        descriptor::PROPERTIES => parsed.properties = composite::read_list(reader)?,
        descriptor::APPLICATION_PROPERTIES => parsed.application_properties = read_map(reader)?,
        descriptor::DATA => {
            let data = Bytes::read(reader)?;
            match &mut parsed.body {
                Body::Data(sections) => sections.push(data),
                body => *body = Body::Data(vec![data]),
            }
        }
        descriptor::AMQP_SEQUENCE => {
            let at = reader.at();
            let Value::List(sequence) = Value::read(reader)? else {
                return Err(DecodeError::new(DecodeErrorKind::WrongType, at));
            };
            match &mut parsed.body {
                Body::Sequence(sections) => sections.push(sequence),
                body => *body = Body::Sequence(vec![sequence]),
            }
        }
        descriptor::AMQP_VALUE => parsed.body = Body::Value(Value::read(reader)?),
        _ => parsed.footer = read_map(reader)?,
    }
    Ok(())
}

fn read_map(reader: &mut Reader<'_>) -> Result<Map, DecodeError> {
    let at = reader.at();
    match Value::read(reader)? {
        Value::Map(map) => Ok(map),
        _ => Err(DecodeError::new(DecodeErrorKind::WrongType, at)),
    }
}
