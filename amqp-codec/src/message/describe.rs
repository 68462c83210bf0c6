//! Owns how properties and application properties of a message look in a log.
//! It never runs unless somebody wants to see messages. Decision: it works on sections that may be
//! cut off anywhere, because whoever keeps them for a log keeps only so much of each; what is there
//! is shown, and `...` where something is missing.

use crate::compound::{Budget, MAX_DEPTH, skip_value};
use crate::cursor::Reader;
use crate::primitive::{Read as _, Timestamp};
use crate::value::Value;
use crate::{descriptor, format};
use bytes::Bytes;
use std::fmt::Write as _;

/// The parts by the names of the configuration: the properties in their order (amqp-1.0 §3.2.4),
/// then the application properties.
const NAMES: [&str; 14] = [
    "message-id",
    "user-id",
    "to",
    "subject",
    "reply-to",
    "correlation-id",
    "content-type",
    "content-encoding",
    "absolute-expiry-time",
    "creation-time",
    "group-id",
    "group-sequence",
    "reply-to-group-id",
    "app-properties",
];

/// The place of the application properties among them.
const APPLICATION: usize = NAMES.len() - 1;

/// Which parts of messages somebody wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageParts(u16);

impl MessageParts {
    /// None.
    pub const NONE: Self = Self(0);

    /// All.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// What `none`, `all` or names with commas between them stand for. The error is the name that
    /// is none.
    pub fn from_list(list: &str) -> Result<Self, &str> {
        match list.trim() {
            "" | "none" => return Ok(Self::NONE),
            "all" => return Ok(Self::ALL),
            _ => {}
        }
        let mut parts = Self::NONE;
        for name in list.split(',').map(str::trim) {
            match NAMES.iter().position(|known| *known == name) {
                Some(place) => parts.0 |= 1 << place,
                None => return Err(name),
            }
        }
        Ok(parts)
    }

    /// What a list may name beside `none` and `all`.
    #[must_use]
    pub fn names() -> &'static [&'static str] {
        &NAMES
    }

    /// Whether there is nothing to see.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has(self, place: usize) -> bool {
        self.0 & (1 << place) != 0
    }
}

/// Parts of a message in the notation that readers of the incumbent's log know:
/// `Message{message-id="7", subject="x", app-properties={"k"=[1, 2]}}`, up to `limit` bytes of it.
/// What is not there or null is left out.
///
/// Each section begins at its descriptor, may be cut off, and is empty if there is none; `time`
/// puts milliseconds since 1970 into words.
#[must_use]
pub fn describe_message(
    parts: MessageParts,
    properties: &Bytes,
    application: &Bytes,
    limit: usize,
    time: &dyn Fn(i64) -> String,
) -> String {
    let mut teller = Teller {
        text: "Message{".to_owned(),
        limit,
        time,
        separator: "",
    };
    let told = [
        teller.properties(properties, parts),
        teller.application(application, parts),
    ];
    if told.contains(&None) {
        teller.text.push_str("...");
    }
    teller.text.push('}');
    teller.text
}

/// `None`: something is missing, or there is no room for it.
type Told = Option<()>;

struct Teller<'a> {
    text: String,
    limit: usize,
    time: &'a dyn Fn(i64) -> String,
    /// What stands before the next part.
    separator: &'static str,
}

impl Teller<'_> {
    fn properties(&mut self, section: &Bytes, parts: MessageParts) -> Told {
        if section.is_empty() {
            return Some(());
        }
        let mut reader = Reader::new(section);
        descriptor::expect(&mut reader, descriptor::PROPERTIES).ok()?;
        let mut list = Elements::open(&mut reader)?;
        for (place, name) in NAMES[..APPLICATION].iter().enumerate() {
            if !list.next()? {
                break;
            }
            let wanted = parts.has(place) && list.reader.peek() != Ok(format::NULL);
            if wanted {
                self.name(name)?;
                self.value(&mut list.reader, MAX_DEPTH)?;
            } else {
                skip_value(&mut list.reader, MAX_DEPTH, &mut Budget::new()).ok()?;
            }
        }
        Some(())
    }

    fn application(&mut self, section: &Bytes, parts: MessageParts) -> Told {
        if section.is_empty() || !parts.has(APPLICATION) {
            return Some(());
        }
        let mut reader = Reader::new(section);
        descriptor::expect(&mut reader, descriptor::APPLICATION_PROPERTIES).ok()?;
        self.name(NAMES[APPLICATION])?;
        self.value(&mut reader, MAX_DEPTH)
    }

    fn name(&mut self, name: &str) -> Told {
        let separator = std::mem::replace(&mut self.separator, ", ");
        self.push(separator)?;
        self.push(name)?;
        self.push("=")
    }

    fn value(&mut self, reader: &mut Reader<'_>, depth: u8) -> Told {
        match reader.peek().ok()? {
            format::VBIN8 | format::VBIN32 => self.quoted("b", reader),
            format::STR8 | format::STR32 => self.quoted("", reader),
            format::SYM8 | format::SYM32 => self.quoted(":", reader),
            format::LIST0 | format::LIST8 | format::LIST32 => self.list(reader, depth),
            format::MAP8 | format::MAP32 => self.map(reader, depth),
            format::TIMESTAMP => {
                let Timestamp(millis) = Timestamp::read(reader).ok()?;
                let time = (self.time)(millis);
                self.push(&format!("\"{time}\""))
            }
            _ => {
                let value = Value::read(reader).ok()?;
                self.push(&value.to_string())
            }
        }
    }

    fn list(&mut self, reader: &mut Reader<'_>, depth: u8) -> Told {
        let depth = depth.checked_sub(1)?;
        let mut list = Elements::open(reader)?;
        self.push("[")?;
        let mut separator = "";
        while list.next()? {
            self.push(separator)?;
            self.value(&mut list.reader, depth)?;
            separator = ", ";
        }
        self.push("]")
    }

    fn map(&mut self, reader: &mut Reader<'_>, depth: u8) -> Told {
        let depth = depth.checked_sub(1)?;
        let mut map = Elements::open(reader)?;
        self.push("{")?;
        let mut separator = "";
        while map.next()? {
            self.push(separator)?;
            self.value(&mut map.reader, depth)?;
            self.push("=")?;
            map.next()?.then(|| self.value(&mut map.reader, depth))??;
            separator = ", ";
        }
        self.push("}")
    }

    /// A text, or what there is of it. What is not printable ASCII, and what would end the quotes,
    /// is shown as two hexadecimal digits.
    fn quoted(&mut self, kind: &str, reader: &mut Reader<'_>) -> Told {
        let code = reader.u8().ok()?;
        let length = match code & format::WIDE {
            0 => usize::from(reader.u8().ok()?),
            _ => reader.size32().ok()?,
        };
        let there = reader.take(length.min(reader.remaining())).ok()?;
        self.push(kind)?;
        self.push("\"")?;
        for &byte in there {
            if self.text.len() >= self.limit {
                break;
            }
            match byte {
                b'"' | b'\\' => self.escape(byte),
                b' '..=b'~' => self.text.push(char::from(byte)),
                _ => self.escape(byte),
            }
        }
        self.text.push('"');
        (there.len() == length && self.text.len() <= self.limit).then_some(())
    }

    fn escape(&mut self, byte: u8) {
        write!(self.text, "\\{byte:02x}").expect("a string takes whatever is written");
    }

    fn push(&mut self, text: &str) -> Told {
        if self.text.len() + text.len() > self.limit {
            return None;
        }
        self.text.push_str(text);
        Some(())
    }
}

/// The elements of a list or a map, as far as they are there.
struct Elements<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> Elements<'a> {
    fn open(reader: &mut Reader<'a>) -> Option<Self> {
        let code = reader.u8().ok()?;
        let (size, width) = match code {
            format::LIST0 => (0, 0),
            format::LIST8 | format::MAP8 => (usize::from(reader.u8().ok()?), 1),
            format::LIST32 | format::MAP32 => (reader.size32().ok()?, 4),
            _ => return None,
        };
        let mut reader = reader.part(size.min(reader.remaining())).ok()?;
        let left = match width {
            0 => 0,
            1 => u32::from(reader.u8().ok()?),
            _ => reader.u32().ok()?,
        };
        Some(Self { reader, left })
    }

    /// Whether there is another one; `None`: there should be.
    fn next(&mut self) -> Option<bool> {
        if self.left == 0 {
            return Some(false);
        }
        self.left -= 1;
        (!self.reader.is_empty()).then_some(true)
    }
}
