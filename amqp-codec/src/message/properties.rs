//! Owns reading single fields out of sections that a scan has found.
//! It never scans. Decision: fields are read on demand and by position, so that a message routed
//! by its `to` costs no more than the fields before it.

use super::scan::{Sections, gather};
use super::whole::Properties;
use crate::compound::Items;
use crate::cursor::Reader;
use crate::descriptor;
use crate::error::DecodeError;
use crate::primitive::Read;
use crate::text::Str;
use crate::value::{Map, Value};
use bytes::Bytes;
use std::ops::Range;

/// Positions of fields in the properties (amqp-1.0 §3.2.4).
const USER_ID: u32 = 1;
const TO: u32 = 2;
const SUBJECT: u32 = 3;

/// The address a message is sent to; none if it has none. The sections must come from a scan of
/// these chunks to [`Depth::Properties`](super::Depth::Properties) or deeper. Offsets in errors
/// count from the section's start.
pub fn to_address(chunks: &[Bytes], sections: &Sections) -> Result<Option<Str>, DecodeError> {
    property(chunks, sections, TO)
}

/// The id of the user who made the message; see [`to_address`].
pub fn user_id(chunks: &[Bytes], sections: &Sections) -> Result<Option<Bytes>, DecodeError> {
    property(chunks, sections, USER_ID)
}

/// The message's subject; see [`to_address`].
pub fn subject(chunks: &[Bytes], sections: &Sections) -> Result<Option<Str>, DecodeError> {
    property(chunks, sections, SUBJECT)
}

/// All properties; see [`to_address`].
pub fn properties(
    chunks: &[Bytes],
    sections: &Sections,
) -> Result<Option<Properties>, DecodeError> {
    let Some(range) = &sections.properties else {
        return Ok(None);
    };
    let section = gather(chunks, range);
    Properties::read(&mut Reader::new(&section)).map(Some)
}

/// All application properties, after a scan to
/// [`Depth::ApplicationProperties`](super::Depth::ApplicationProperties).
pub fn application_properties(
    chunks: &[Bytes],
    sections: &Sections,
) -> Result<Option<Map>, DecodeError> {
    let Some(range) = &sections.application_properties else {
        return Ok(None);
    };
    let section = gather(chunks, range);
    let mut reader = Reader::new(&section);
    descriptor::expect(&mut reader, descriptor::APPLICATION_PROPERTIES)?;
    match Value::read(&mut reader)? {
        Value::Map(map) => Ok(Some(map)),
        _ => Ok(None),
    }
}

fn property<T: Read>(
    chunks: &[Bytes],
    sections: &Sections,
    index: u32,
) -> Result<Option<T>, DecodeError> {
    let Some(Range { start, end }) = sections.properties else {
        return Ok(None);
    };
    let section = gather(chunks, &(start..end));
    let mut reader = Reader::new(&section);
    descriptor::expect(&mut reader, descriptor::PROPERTIES)?;
    let mut items = Items::open_list(&mut reader)?;
    items.skip(index)?;
    items.field()
}
