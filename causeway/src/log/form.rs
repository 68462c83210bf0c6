//! How a line is written: as text, in the form that scripts know, or as an object of JSON.
//!
//! It opens nothing and decides about no level. Decision: characters that control a terminal, line
//! feeds above all, are written as escapes in both forms. What peers call themselves is in many
//! lines, and one with a line feed in its name could write lines of its own.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::panic::Location;
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::level::Level;
use super::module::Module;

/// The form of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// `MODULE (level) text`, behind the time.
    #[default]
    Text,
    /// An object a line: time, module, level, text, and connection and link where known.
    Json,
}

/// A line to be written.
pub(super) struct Line<'a> {
    pub(super) time: SystemTime,
    pub(super) module: Module,
    pub(super) level: Level,
    /// It is written whatever levels its module has.
    pub(super) wanted: bool,
    pub(super) text: &'a str,
    pub(super) source: &'static Location<'static>,
}

/// A text without control characters.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    // All of them are in ASCII but a few, whose first byte is this.
    let may_be = |byte: u8| byte.is_ascii_control() || byte == 0xC2;
    if !text.bytes().any(may_be) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped.into()
}

/// A line as an object, the time always with it; the text without control characters.
pub(super) fn object(line: &Line<'_>, text: &str, with_source: bool) -> String {
    let mut object = Map::new();
    object.insert("time".to_owned(), stamp(line.time).into());
    object.insert("module".to_owned(), line.module.name().into());
    object.insert("level".to_owned(), line.level.name().into());
    object.insert("text".to_owned(), text.into());
    let (connection, link) = place(text);
    for (name, number) in [("connection", connection), ("link", link)] {
        if let Some(number) = number {
            object.insert(name.to_owned(), number.into());
        }
    }
    if with_source {
        object.insert("file".to_owned(), line.source.file().into());
        object.insert("line".to_owned(), line.source.line().into());
    }
    Value::Object(object).to_string()
}

/// The time in UTC, to the microsecond.
fn stamp(time: SystemTime) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.6}")
}

/// The connection and the link that a text begins with: `[C7][L3] …`.
fn place(text: &str) -> (Option<u64>, Option<u64>) {
    let Some((connection, rest)) = number(text, "[C") else {
        return (None, None);
    };
    (Some(connection), number(rest, "[L").map(|(link, _)| link))
}

fn number<'a>(text: &'a str, before: &str) -> Option<(u64, &'a str)> {
    let (digits, rest) = text.strip_prefix(before)?.split_once(']')?;
    Some((digits.parse().ok()?, rest))
}

/// Appends what a line of text says after its time.
pub(super) fn write_text(line: &Line<'_>, text: &str, with_source: bool, into: &mut String) {
    let (module, level) = (line.module.name(), line.level.name());
    write!(into, "{module} ({level}) {text}").expect("a string takes whatever is written");
    if with_source {
        let (file, number) = (line.source.file(), line.source.line());
        write!(into, " ({file}:{number})").expect("a string takes whatever is written");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn said(text: &str, with_source: bool) -> Value {
        let line = Line {
            time: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_217_330_047_523),
            module: Module::RouterCore,
            level: Level::Info,
            wanted: false,
            text,
            source: Location::caller(),
        };
        serde_json::from_str(&object(&line, text, with_source)).unwrap()
    }

    #[test]
    fn an_object_says_what_is_known() {
        let said = said("[C7][L3] Link attached: \"q\"", false);
        let expected = serde_json::json!({
            "time": "2026-11-20T23:28:50.047523Z",
            "module": "ROUTER_CORE",
            "level": "info",
            "text": "[C7][L3] Link attached: \"q\"",
            "connection": 7,
            "link": 3,
        });
        assert_eq!(said, expected);
    }

    #[test]
    fn only_what_stands_at_the_beginning_is_a_place() {
        assert_eq!(place("[C7]:FRAME: 0 <- @open"), (Some(7), None));
        for text in ["", "by [C7]", "[C]", "[Cx] y", "[C7", "[L3] z"] {
            assert_eq!(place(text), (None, None), "{text}");
        }
        let with_source = said("x", true);
        assert!(with_source["file"].as_str().unwrap().ends_with("form.rs"));
        assert!(with_source["line"].is_u64());
    }

    #[test]
    fn nobody_writes_lines_of_their_own() {
        assert_eq!(
            printable("container_id=x\nSERVER (critical) \u{1b}[2Jé"),
            "container_id=x\\nSERVER (critical) \\u{1b}[2Jé"
        );
        assert!(matches!(printable("plain"), Cow::Borrowed("plain")));
    }
}
