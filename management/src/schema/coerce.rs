//! Values as people and programs write them, made into values of an attribute's kind.
//!
//! It knows no attribute by name. Decision: what cannot be meant (a fraction for a whole number, a
//! list for a flag) is refused; the incumbent takes it for "nothing said", which hides mistakes.

use amqp_codec::{Encoded, Map, Value};
use router_core::limits::ATTRIBUTE_BYTES;

use crate::schema::definition::Kind;

/// Longest piece of a refused value that an error repeats, in characters.
const QUOTED: usize = 120;

/// Keys of an Open's properties that are the router's own.
const RESERVED: &[&str] = &[
    "product",
    "version",
    "failover-server-list",
    "network-host",
    "port",
    "scheme",
    "hostname",
];

/// The same for prefixes of keys.
const RESERVED_PREFIXES: &[&str] = &["qd.", "x-opt-qd."];

/// The value of that kind; `None` for null, which means that nothing was said.
///
/// # Errors
/// The reason, without the attribute's name.
pub fn coerce(kind: Kind, value: &Value) -> Result<Option<Value>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let coerced = match kind {
        Kind::String | Kind::Path | Kind::EntityId => Value::from(short(text(value)?)?),
        Kind::Integer => integer(value)?,
        Kind::Boolean => boolean(value)?,
        Kind::Enum(tags) => Value::from(tag(tags, value)?),
        Kind::Map => own(map(value, "Value must be a map")?.clone().into())?,
        Kind::Properties => own(properties(value)?.into())?,
        Kind::List => match value {
            Value::List(_) => own(value.clone())?,
            _ => return Err("Value must be a list".to_owned()),
        },
    };
    Ok(Some(coerced))
}

/// A whole number as management sends it: 32 bits if it fits, else 64.
#[must_use]
pub fn number(number: i64) -> Value {
    i32::try_from(number).map_or(Value::Long(number), Value::Int)
}

fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::Bool(truth) => Ok(if *truth { "True" } else { "False" }.to_owned()),
        _ => match (value.as_str(), whole(value)) {
            (Some(text), _) => Ok(text.to_owned()),
            (None, Some(number)) => Ok(number.to_string()),
            (None, None) => Err("Value must be text".to_owned()),
        },
    }
}

/// A text that is not too long for an attribute.
fn short(text: String) -> Result<String, String> {
    fits(text.len()).map(|()| text)
}

/// A value that is not too long for an attribute, in storage of its own: it must not keep the
/// request alive in which it came.
fn own(value: Value) -> Result<Value, String> {
    let encoded = Encoded::from_value(&value);
    fits(encoded.as_bytes().len())?;
    Ok(encoded.value().unwrap_or(value))
}

fn fits(bytes: usize) -> Result<(), String> {
    if bytes <= ATTRIBUTE_BYTES {
        return Ok(());
    }
    Err(format!(
        "Value of {bytes} bytes is too long for an attribute: the limit is {ATTRIBUTE_BYTES}"
    ))
}

fn integer(value: &Value) -> Result<Value, String> {
    let found = match value {
        Value::Bool(truth) => Some(i64::from(*truth)),
        _ => match value.as_str() {
            Some(text) => parse(text),
            None => whole(value).and_then(|number| i64::try_from(number).ok()),
        },
    };
    found
        .map(number)
        .ok_or_else(|| format!("invalid literal for int() with base 10: {}", quoted(value)))
}

/// A decimal or hexadecimal number.
fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with(['+', '-']) => i64::from_str_radix(digits, 16).ok(),
        Some(_) => None,
        None => text.parse().ok(),
    }
}

/// The value of any integer type.
fn whole(value: &Value) -> Option<i128> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}

fn boolean(value: &Value) -> Result<Value, String> {
    if let Some(text) = value.as_str() {
        return match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(Value::Bool(true)),
            "false" | "no" | "off" => Ok(Value::Bool(false)),
            _ => Err(format!("Invalid Boolean value '{}'", quoted(value))),
        };
    }
    match value {
        Value::Bool(truth) => Ok(Value::Bool(*truth)),
        _ => match whole(value) {
            Some(number) => Ok(Value::Bool(number != 0)),
            None => Err(format!("Invalid Boolean value '{}'", quoted(value))),
        },
    }
}

/// A tag by its text or by its index, a negative one counting from the end.
fn tag(tags: &'static [&'static str], value: &Value) -> Result<&'static str, String> {
    let by_text = value
        .as_str()
        .and_then(|text| tags.iter().find(|tag| **tag == text));
    if let Some(tag) = by_text {
        return Ok(tag);
    }
    let count = i64::try_from(tags.len()).expect("tags are few");
    let index = value
        .as_str()
        .map_or_else(|| value.as_i64(), |text| text.trim().parse().ok());
    let index = index.map(|index| if index < 0 { index + count } else { index });
    let by_index = index.and_then(|index| usize::try_from(index).ok());
    by_index
        .and_then(|index| tags.get(index))
        .copied()
        .ok_or_else(|| {
            let tags: Vec<_> = tags.iter().map(|tag| format!("'{tag}'")).collect();
            format!(
                "Invalid value for enum[{}]: {}",
                tags.join(", "),
                quoted(value)
            )
        })
}

fn map<'a>(value: &'a Value, refusal: &str) -> Result<&'a Map, String> {
    value.as_map().ok_or_else(|| refusal.to_owned())
}

fn properties(value: &Value) -> Result<Map, String> {
    let map = map(value, "Properties must be a map")?;
    for (key, _) in map {
        let Some(key) = key.as_str().filter(|key| key.is_ascii()) else {
            return Err("Property keys must be ASCII encoded".to_owned());
        };
        if RESERVED.contains(&key)
            || RESERVED_PREFIXES
                .iter()
                .any(|prefix| key.starts_with(prefix))
        {
            let key = shortened(key);
            return Err(format!(
                "Reserved key '{key}' not allowed in openProperties"
            ));
        }
    }
    Ok(map.clone())
}

/// A value as an error repeats it: text in quotes, cut off where it gets long.
#[must_use]
pub(super) fn quoted(value: &Value) -> String {
    match value.as_str() {
        Some(text) => format!("'{}'", shortened(text)),
        None => shortened(&value.to_string()).into_owned(),
    }
}

/// Text, cut off where it gets too long for an error.
#[must_use]
pub fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: Kind = Kind::Enum(&["standalone", "interior", "edge"]);

    fn ok(kind: Kind, value: impl Into<Value>) -> Value {
        coerce(kind, &value.into())
            .expect("a good value")
            .expect("not null")
    }

    fn refused(kind: Kind, value: impl Into<Value>) -> String {
        coerce(kind, &value.into()).expect_err("a bad value")
    }

    #[test]
    fn flags_have_many_spellings() {
        for yes in ["yes", "TRUE", "On"] {
            assert_eq!(ok(Kind::Boolean, yes), Value::Bool(true));
        }
        for no in ["no", "False", "off"] {
            assert_eq!(ok(Kind::Boolean, no), Value::Bool(false));
        }
        assert_eq!(ok(Kind::Boolean, 7_i32), Value::Bool(true));
        assert_eq!(
            refused(Kind::Boolean, "maybe"),
            "Invalid Boolean value ''maybe''"
        );
    }

    #[test]
    fn numbers_come_as_any_integer_and_as_text() {
        assert_eq!(ok(Kind::Integer, "16384"), Value::Int(16_384));
        assert_eq!(ok(Kind::Integer, "0x10"), Value::Int(16));
        assert_eq!(ok(Kind::Integer, 5_u64), Value::Int(5));
        assert_eq!(ok(Kind::Integer, 1_i64 << 40), Value::Long(1 << 40));
        assert_eq!(ok(Kind::Integer, true), Value::Int(1));
        let text = "invalid literal for int() with base 10: 'abc'";
        assert_eq!(refused(Kind::Integer, "abc"), text);
        refused(Kind::Integer, u64::MAX);
        refused(Kind::Integer, 12.7_f64);
        refused(Kind::Integer, "0x-5");
    }

    #[test]
    fn a_tag_may_be_given_by_its_index() {
        assert_eq!(ok(TAGS, "edge"), Value::from("edge"));
        assert_eq!(ok(TAGS, 1_i32), Value::from("interior"));
        assert_eq!(ok(TAGS, "-1"), Value::from("edge"));
        let text = "Invalid value for enum['standalone', 'interior', 'edge']: 'foo'";
        assert_eq!(refused(TAGS, "foo"), text);
        refused(TAGS, 3_i32);
        refused(TAGS, i64::MIN);
    }

    #[test]
    fn text_takes_what_has_an_obvious_spelling() {
        assert_eq!(ok(Kind::String, 5672_i32), Value::from("5672"));
        assert_eq!(ok(Kind::String, true), Value::from("True"));
        refused(Kind::String, Value::List(Vec::new()));
    }

    #[test]
    fn nothing_said_is_no_value() {
        assert_eq!(coerce(Kind::Integer, &Value::Null), Ok(None));
    }

    #[test]
    fn properties_of_open_keep_off_the_routers_keys() {
        let map = |key: &'static str| Value::Map([(key, "x")].into_iter().collect());
        assert_eq!(ok(Kind::Properties, map("mine")), map("mine"));
        assert_eq!(
            refused(Kind::Properties, map("qd.conn-id")),
            "Reserved key 'qd.conn-id' not allowed in openProperties"
        );
        assert_eq!(refused(Kind::Properties, "x"), "Properties must be a map");
        assert_eq!(
            refused(Kind::Properties, map("ü")),
            "Property keys must be ASCII encoded"
        );
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        assert!(refused(Kind::Boolean, "x".repeat(1 << 20)).len() < 300);
    }
}
