//! Owns the router annotations: reading them out of a message-annotations section and writing them
//! behind the user's entries.
//! It never decodes or changes a user's entry. Decision: user entries precede router entries, so
//! the user's part of a map is one run of bytes that is copied as it is.

use crate::compound::{self, Budget, Items, MAX_DEPTH};
use crate::cursor::Reader;
use crate::descriptor;
use crate::error::{DecodeError, DecodeErrorKind};
use crate::format;
use crate::primitive::{self, Read as _, Write as _};
use crate::text::{self, Str};
use crate::value::Value;
use bytes::{BufMut as _, Bytes, BytesMut};
use std::fmt;

/// What the keys of router annotations begin with.
const PREFIX: &[u8] = b"x-opt-qd.";
const PHASE: &str = "x-opt-qd.phase";
const STREAM: &str = "x-opt-qd.stream";
const TO: &str = "x-opt-qd.to";
const INGRESS: &str = "x-opt-qd.ingress";
const TRACE: &str = "x-opt-qd.trace";

/// What routers tell each other on a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterAnnotations {
    /// The address to route by, instead of the one in the properties.
    pub to: Option<Str>,
    /// The router at which the message entered the network, as `0/<id>`.
    pub ingress: Option<Str>,
    /// The routers that have sent it, in order, each as `0/<id>`.
    pub trace: Trace,
    /// The phase of the address; none is 0.
    pub phase: Option<i32>,
    /// Whether it is to be forwarded before it is whole.
    pub stream: bool,
}

impl RouterAnnotations {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.to.is_none()
            && self.ingress.is_none()
            && self.trace.is_empty()
            && self.phase.unwrap_or(0) == 0
            && !self.stream
    }
}

/// The routers a message has passed: a list of strings, kept encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Encoded strings, one after the other, checked.
    items: Bytes,
    count: u32,
}

impl Trace {
    /// How many routers it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The routers in order.
    #[must_use]
    pub fn iter(&self) -> TraceIter<'_> {
        TraceIter { items: &self.items }
    }

    /// Whether it names this router, given as `0/<id>`.
    #[must_use]
    pub fn contains(&self, router: &str) -> bool {
        self.iter().any(|passed| passed == router)
    }

    /// The same trace in storage of its own, so that it no longer keeps a larger buffer alive.
    #[must_use]
    pub fn settle(self) -> Self {
        Self {
            items: Bytes::copy_from_slice(&self.items),
            count: self.count,
        }
    }
}

impl<'a> FromIterator<&'a str> for Trace {
    fn from_iter<I: IntoIterator<Item = &'a str>>(routers: I) -> Self {
        let mut items = BytesMut::new();
        let mut count = 0;
        for router in routers {
            primitive::put_variable(&mut items, format::STR8, router.as_bytes());
            count += 1;
        }
        Self {
            items: items.freeze(),
            count,
        }
    }
}

impl<'a> IntoIterator for &'a Trace {
    type Item = &'a str;
    type IntoIter = TraceIter<'a>;
    fn into_iter(self) -> TraceIter<'a> {
        self.iter()
    }
}

/// The routers of a [`Trace`].
#[derive(Clone, Debug)]
pub struct TraceIter<'a> {
    items: &'a [u8],
}

impl<'a> Iterator for TraceIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = match *self.items {
            [format::STR8, length, ref rest @ ..] => (usize::from(length), rest),
            [format::STR32, a, b, c, d, ref rest @ ..] => {
                (u32::from_be_bytes([a, b, c, d]) as usize, rest)
            }
            _ => return None,
        };
        let (text, rest) = rest.split_at_checked(length)?;
        self.items = rest;
        Some(std::str::from_utf8(text).expect("checked when the trace was read"))
    }
}

/// The user's entries of a section, as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserEntries<'a> {
    /// Keys and values, encoded, one after the other.
    pub bytes: &'a [u8],
    /// How many keys and values together.
    pub count: u32,
}

/// A message-annotations section, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split<'a> {
    /// The user's entries.
    pub user: UserEntries<'a>,
    /// The router's.
    pub router: RouterAnnotations,
}

/// Why a message-annotations section is refused; the text is what the sender is told with
/// `amqp:invalid-field`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotationError {
    /// The ingress router is no string.
    Ingress,
    /// The section is not well formed.
    Malformed(DecodeError),
    /// A key without a value.
    OddCount,
    /// The address to route by is no string.
    To,
    /// The trace is no list.
    Trace,
    /// The trace lists something that is no string.
    TraceElement,
}

impl fmt::Display for AnnotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress router not a string type",
            Self::Malformed(_) => "invalid message annotations",
            Self::OddCount => "Invalid MA map count (odd number of fields)",
            Self::To => "to-override not a valid string type",
            Self::Trace => "trace annotation is not a list",
            Self::TraceElement => "trace list contains non-string entries",
        })
    }
}

impl std::error::Error for AnnotationError {}

impl From<DecodeError> for AnnotationError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

/// Takes a message-annotations section, descriptor included, apart.
///
/// What follows the first router key is not the user's. If the router annotations are not
/// honoured, nothing behind that key is looked at and they come back empty.
pub fn split(section: &Bytes, honour: bool) -> Result<Split<'_>, AnnotationError> {
    let mut reader = Reader::new(section);
    descriptor::expect(&mut reader, descriptor::MESSAGE_ANNOTATIONS)?;
    let mut items = match reader.u8()? {
        code @ (format::MAP8 | format::MAP32) => Items::open(&mut reader, code)?,
        code => return Err(primitive::unexpected(&reader, code).into()),
    };
    if items.left % 2 != 0 {
        return Err(AnnotationError::OddCount);
    }
    items = items.bounded()?;
    let (start, all) = (items.reader.at(), items.left);
    let mut user_end = start;
    let mut user_count = 0;
    let mut router = RouterAnnotations::default();
    let mut budget = Budget::new();
    while items.left > 0 {
        items.left -= 2;
        match router_key(&mut items.reader, &mut budget)? {
            Some(_) if !honour => break,
            Some(key) => read_router_value(key, &mut items.reader, &mut router, &mut budget)?,
            None => {
                compound::skip_value(&mut items.reader, MAX_DEPTH, &mut budget)?;
                if user_count + items.left + 2 == all {
                    user_count += 2;
                    user_end = items.reader.at();
                }
            }
        }
    }
    if items.left == 0 && !items.reader.is_empty() && (honour || user_count == all) {
        return Err(items.reader.error(DecodeErrorKind::InvalidLength).into());
    }
    let user = UserEntries {
        bytes: &section[start..user_end],
        count: user_count,
    };
    Ok(Split { user, router })
}

/// Moves past a key; if it is a router's, what follows the prefix.
fn router_key<'a>(
    reader: &mut Reader<'a>,
    budget: &mut Budget,
) -> Result<Option<&'a [u8]>, DecodeError> {
    if !matches!(reader.peek()?, format::SYM8 | format::SYM32) {
        compound::skip_value(reader, MAX_DEPTH, budget)?;
        return Ok(None);
    }
    let length = primitive::read_length(reader, format::SYM8)?;
    Ok(reader.take(length)?.strip_prefix(PREFIX))
}

/// Reads the value of a router key; an unknown key's is skipped.
fn read_router_value(
    key: &[u8],
    reader: &mut Reader<'_>,
    router: &mut RouterAnnotations,
    budget: &mut Budget,
) -> Result<(), AnnotationError> {
    match key {
        b"to" => router.to = Some(read_text(reader, AnnotationError::To)?),
        b"ingress" => router.ingress = Some(read_text(reader, AnnotationError::Ingress)?),
        b"trace" => router.trace = read_trace(reader)?,
        b"phase" => {
            let phase = Value::read(reader)?.as_i64();
            router.phase = phase.and_then(|phase| i32::try_from(phase).ok());
        }
        b"stream" => {
            router.stream = true;
            compound::skip_value(reader, MAX_DEPTH, budget)?;
        }
        _ => compound::skip_value(reader, MAX_DEPTH, budget)?,
    }
    Ok(())
}

fn read_text(reader: &mut Reader<'_>, wrong: AnnotationError) -> Result<Str, AnnotationError> {
    Str::read(reader).map_err(|error| match error.kind {
        DecodeErrorKind::WrongType => wrong,
        _ => error.into(),
    })
}

fn read_trace(reader: &mut Reader<'_>) -> Result<Trace, AnnotationError> {
    let mut items = Items::open_list(reader).map_err(|error| match error.kind {
        DecodeErrorKind::WrongType => AnnotationError::Trace,
        _ => error.into(),
    })?;
    let (start, count) = (items.reader.at(), items.left);
    for _ in 0..count {
        let at = items.reader.at();
        let length = match primitive::read_length(&mut items.reader, format::STR8) {
            Ok(length) => length,
            Err(error) if error.kind == DecodeErrorKind::WrongType => {
                return Err(AnnotationError::TraceElement);
            }
            Err(error) => return Err(error.into()),
        };
        let router = items.reader.take(length)?;
        if text::check_utf8(router).is_err() {
            return Err(DecodeError::new(DecodeErrorKind::InvalidUtf8, at).into());
        }
    }
    let trace = Trace {
        items: items.reader.share_from(start),
        count,
    };
    items.left = 0;
    items.finish()?;
    Ok(trace)
}

/// As many bytes as [`compose`] appends, or a few more.
#[must_use]
pub fn room(user: UserEntries<'_>, router: &RouterAnnotations, own_id: Option<&str>) -> usize {
    /// Descriptor, sizes and counts in their wide forms, phase and stream.
    const FRAME: usize = 3 + 9 + 9 + 2 * 5;
    /// Format code and length of a key or a text.
    const TEXT: usize = 5;
    let keys = [PHASE, STREAM, TO, INGRESS, TRACE];
    let keys: usize = keys.iter().map(|key| TEXT + key.len()).sum();
    let texts = [&router.to, &router.ingress];
    let texts: usize = texts
        .into_iter()
        .flatten()
        .map(|text| TEXT + text.as_bytes().len())
        .sum();
    // The own id may be there twice.
    let own = own_id.map_or(0, |id| 2 * (TEXT + id.len()));
    FRAME + keys + user.bytes.len() + texts + router.trace.items.len() + own
}

/// Appends a message-annotations section: the user's entries as they came, then the router's in
/// the order phase, stream, to, ingress, trace. Appends nothing if there is no entry.
///
/// With `own_id`, this router's id as `0/<id>`, the message is sent by a router of the network: the
/// id is added to the trace, and is the ingress if there is none. Without, ingress and trace are
/// written as they are in `router`.
pub fn compose(
    user: UserEntries<'_>,
    router: &RouterAnnotations,
    own_id: Option<&str>,
    out: &mut BytesMut,
) {
    if user.count == 0 && own_id.is_none() && router.is_empty() {
        return;
    }
    out.reserve(room(user, router, own_id));
    out.put_slice(&[
        format::DESCRIBED,
        format::SMALL_ULONG,
        descriptor::MESSAGE_ANNOTATIONS,
    ]);
    let start = compound::begin(out, format::MAP8);
    let mut count = user.count as usize;
    out.put_slice(user.bytes);
    let mut key = |name: &'static str, out: &mut BytesMut| {
        primitive::put_variable(out, format::SYM8, name.as_bytes());
        count += 2;
    };
    if let Some(phase) = router.phase.filter(|phase| *phase != 0) {
        key(PHASE, out);
        Value::Int(phase).encode(out);
    }
    if router.stream {
        key(STREAM, out);
        Value::Int(1).encode(out);
    }
    if let Some(to) = &router.to {
        key(TO, out);
        to.write(out);
    }
    if let Some(ingress) = router
        .ingress
        .as_ref()
        .map(Str::as_bytes)
        .or(own_id.map(str::as_bytes))
    {
        key(INGRESS, out);
        primitive::put_variable(out, format::STR8, ingress);
    }
    if own_id.is_some() || !router.trace.is_empty() {
        key(TRACE, out);
        put_trace(&router.trace, own_id, out);
    }
    compound::close(out, start, count);
}

fn put_trace(trace: &Trace, own_id: Option<&str>, out: &mut BytesMut) {
    let start = compound::begin(out, format::LIST8);
    out.put_slice(&trace.items);
    if let Some(own_id) = own_id {
        primitive::put_variable(out, format::STR8, own_id.as_bytes());
    }
    compound::close(out, start, trace.len() + usize::from(own_id.is_some()));
}
