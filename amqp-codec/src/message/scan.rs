//! Owns the scanner: where a message's leading sections are (amqp-1.0 §3.2), over one or several
//! chunks.
//! It never builds anything and never looks behind the depth it was asked for. Decision: a known
//! section must be complete and of its type, unknown bytes are the end of what is known: a router
//! passes them on, as the body is none of its business.

use crate::descriptor;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format;
use bytes::{Bytes, BytesMut};
use std::ops::Range;

/// How far a scan goes: to this section and no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The header only.
    Header,
    /// Header, delivery annotations, message annotations.
    MessageAnnotations,
    /// All these and properties.
    Properties,
    /// All these and application properties.
    ApplicationProperties,
}

/// Where sections are: offsets in bytes from the message's start, over all chunks; each range
/// begins at the section's descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sections {
    /// The header (amqp-1.0 §3.2.1).
    pub header: Option<Range<u32>>,
    /// The delivery annotations (amqp-1.0 §3.2.2).
    pub delivery_annotations: Option<Range<u32>>,
    /// The message annotations (amqp-1.0 §3.2.3).
    pub message_annotations: Option<Range<u32>>,
    /// The properties (amqp-1.0 §3.2.4).
    pub properties: Option<Range<u32>>,
    /// The application properties (amqp-1.0 §3.2.5).
    pub application_properties: Option<Range<u32>>,
    /// The first byte that was not scanned.
    pub rest: u32,
    /// The header's priority, if it has one.
    pub priority: Option<u8>,
    /// The header's durability; false without a header.
    pub durable: bool,
    /// The bytes ended before it was clear whether a wanted section follows. If more of the
    /// message is to come, scan again with it; at the end of a message this means nothing.
    pub undecided: bool,
}

/// Scans a message given in chunks.
///
/// `Truncated` means that a wanted section has begun and its end is missing: if more of the message
/// is to come, scan again with it. `Empty` means that there is not one byte. A section that
/// appears twice, after a later one, or as neither list nor map is an error too.
pub fn scan(chunks: &[Bytes], depth: Depth) -> Result<Sections, DecodeError> {
    match chunks {
        [one] => scan_one(one, depth),
        _ => walk(&Chunks(chunks), depth),
    }
}

/// Scans a message that is whole in one chunk, as [`scan`] does.
#[inline]
pub fn scan_one(message: &[u8], depth: Depth) -> Result<Sections, DecodeError> {
    walk(&message, depth)
}

/// The bytes of a range that lie over several chunks; shared if they lie in one, else copied.
/// What reaches beyond the chunks is left out.
#[must_use]
pub fn gather(chunks: &[Bytes], range: &Range<u32>) -> Bytes {
    let (mut start, mut end) = (range.start as usize, range.end as usize);
    let mut joined = BytesMut::new();
    for chunk in chunks {
        let part = start.min(chunk.len())..end.min(chunk.len());
        if joined.is_empty() && end <= chunk.len() {
            return chunk.slice(part);
        }
        joined.extend_from_slice(&chunk[part]);
        start = start.saturating_sub(chunk.len());
        end = end.saturating_sub(chunk.len());
    }
    joined.freeze()
}

/// Bytes that can be looked at by their offset.
trait Look {
    fn length(&self) -> usize;
    fn byte(&self, at: usize) -> Option<u8>;
}

impl Look for &[u8] {
    #[inline(always)]
    fn length(&self) -> usize {
        self.len()
    }

    #[inline(always)]
    fn byte(&self, at: usize) -> Option<u8> {
        self.get(at).copied()
    }
}

struct Chunks<'a>(&'a [Bytes]);

impl Look for Chunks<'_> {
    fn length(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        let mut at = at;
        for chunk in self.0 {
            match chunk.get(at) {
                Some(&byte) => return Some(byte),
                None => at -= chunk.len(),
            }
        }
        None
    }
}

impl Depth {
    #[inline(always)]
    fn descriptor(self) -> u8 {
        match self {
            Self::Header => descriptor::HEADER,
            Self::MessageAnnotations => descriptor::MESSAGE_ANNOTATIONS,
            Self::Properties => descriptor::PROPERTIES,
            Self::ApplicationProperties => descriptor::APPLICATION_PROPERTIES,
        }
    }
}

#[inline(always)]
fn walk<L: Look>(bytes: &L, depth: Depth) -> Result<Sections, DecodeError> {
    if bytes.length() == 0 {
        return Err(DecodeError::new(DecodeErrorKind::Empty, 0));
    }
    let mut sections = Sections::default();
    let (mut at, mut last) = (0, 0);
    loop {
        let (code, body) = match next_section(bytes, at) {
            Next::Section(code, body) => (code, body),
            Next::Other => break,
            Next::End => {
                sections.undecided = last < depth.descriptor();
                break;
            }
        };
        if code <= last {
            let kind = if code == last {
                DecodeErrorKind::DuplicateSection
            } else {
                DecodeErrorKind::SectionOrder
            };
            return Err(DecodeError::new(kind, at));
        }
        if code > depth.descriptor() {
            break;
        }
        let (contents, end) = section_contents(bytes, body, is_list(code))?;
        let range = Some(offset(at)?..offset(end)?);
        match code {
            descriptor::HEADER => {
                sections.header = range;
                read_header(bytes, contents, end, &mut sections)?;
            }
            descriptor::DELIVERY_ANNOTATIONS => sections.delivery_annotations = range,
            descriptor::MESSAGE_ANNOTATIONS => sections.message_annotations = range,
            descriptor::PROPERTIES => sections.properties = range,
            _ => sections.application_properties = range,
        }
        (at, last) = (end, code);
    }
    sections.rest = offset(at)?;
    Ok(sections)
}

/// What stands at an offset.
enum Next {
    /// A section: its code and the offset after its descriptor.
    Section(u8, usize),
    /// Something else.
    Other,
    /// The end, before it was clear.
    End,
}

/// Recognises a section's descriptor, in its short form or its long one.
#[inline(always)]
fn next_section<L: Look>(bytes: &L, at: usize) -> Next {
    match (bytes.byte(at), bytes.byte(at + 1)) {
        (None, _) | (Some(format::DESCRIBED), None) => Next::End,
        (Some(format::DESCRIBED), Some(format::SMALL_ULONG)) => section_code(bytes, at + 2),
        (Some(format::DESCRIBED), Some(format::ULONG)) => {
            for at in at + 2..at + 9 {
                match bytes.byte(at) {
                    None => return Next::End,
                    Some(0) => {}
                    Some(_) => return Next::Other,
                }
            }
            section_code(bytes, at + 9)
        }
        _ => Next::Other,
    }
}

#[inline(always)]
fn section_code<L: Look>(bytes: &L, at: usize) -> Next {
    match bytes.byte(at) {
        None => Next::End,
        Some(code @ descriptor::HEADER..=descriptor::FOOTER) => Next::Section(code, at + 1),
        Some(_) => Next::Other,
    }
}

#[inline(always)]
fn is_list(code: u8) -> bool {
    matches!(code, descriptor::HEADER | descriptor::PROPERTIES)
}

/// Where the elements of a section's list or map begin and end.
#[inline(always)]
fn section_contents<L: Look>(
    bytes: &L,
    at: usize,
    list: bool,
) -> Result<(usize, usize), DecodeError> {
    let truncated = DecodeError::new(DecodeErrorKind::Truncated, at);
    let code = bytes.byte(at).ok_or(truncated)?;
    let (contents, end) = match (code, list) {
        (format::LIST0, true) => (at + 1, at + 1),
        (format::LIST8, true) | (format::MAP8, false) => {
            let size = bytes.byte(at + 1).ok_or(truncated)?;
            (at + 3, at + 2 + usize::from(size))
        }
        (format::LIST32, true) | (format::MAP32, false) => {
            let mut size = 0_u32;
            for at in at + 1..at + 5 {
                size = size << 8 | u32::from(bytes.byte(at).ok_or(truncated)?);
            }
            (at + 9, (at + 5).saturating_add(size as usize))
        }
        _ if format::layout(code).is_some() || code == format::DESCRIBED => {
            return Err(DecodeError::new(DecodeErrorKind::WrongType, at));
        }
        _ => return Err(DecodeError::new(DecodeErrorKind::InvalidFormatCode, at)),
    };
    if contents > end {
        return Err(DecodeError::new(DecodeErrorKind::InvalidLength, at));
    }
    if end > bytes.length() {
        return Err(truncated);
    }
    Ok((contents, end))
}

/// Reads durable and priority, the header's first two fields.
#[inline(always)]
fn read_header<L: Look>(
    bytes: &L,
    contents: usize,
    end: usize,
    sections: &mut Sections,
) -> Result<(), DecodeError> {
    let byte = |at: usize| if at < end { bytes.byte(at) } else { None };
    let wrong = |at: usize| Err(DecodeError::new(DecodeErrorKind::WrongType, at));
    let (durable, at) = match (byte(contents), byte(contents + 1)) {
        (None, _) => return Ok(()),
        (Some(format::NULL | format::FALSE), _) => (false, contents + 1),
        (Some(format::TRUE), _) => (true, contents + 1),
        (Some(format::BOOLEAN), Some(truth @ 0..=1)) => (truth == 1, contents + 2),
        _ => return wrong(contents),
    };
    sections.durable = durable;
    match (byte(at), byte(at + 1)) {
        (None | Some(format::NULL), _) => Ok(()),
        (Some(format::UBYTE), Some(priority)) => {
            sections.priority = Some(priority);
            Ok(())
        }
        _ => wrong(at),
    }
}

/// An offset as it is kept; a message of 4 GiB has sections no one can point at.
#[inline(always)]
fn offset(at: usize) -> Result<u32, DecodeError> {
    u32::try_from(at).map_err(|_| DecodeError::new(DecodeErrorKind::InvalidLength, at))
}
