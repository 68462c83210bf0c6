//! AMQP values as JSON and back.
//!
//! Owns the mapping; it knows no messages. JSON has fewer types, so the way out loses some (a
//! symbol becomes a string, every integer a number) and the way in chooses the widest (`long`,
//! `double`, `string`, `list`, `map`). What JSON cannot say at all – bytes that are no text,
//! decimals, described values – comes as an object with one telling key instead of being dropped.

use amqp_codec::{Map, Str, Value};
use bytes::Bytes;
use serde_json::{Map as Object, Number, Value as Json, json};

/// The value in JSON.
#[must_use]
pub fn from_amqp(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Ubyte(_) | Value::Ushort(_) | Value::Uint(_) | Value::Ulong(_) => {
            value.as_u64().map_or(Json::Null, Json::from)
        }
        Value::Byte(_) | Value::Short(_) | Value::Int(_) | Value::Long(_) => {
            value.as_i64().map_or(Json::Null, Json::from)
        }
        Value::Float(number) => float(f64::from(*number)),
        Value::Double(number) => float(*number),
        Value::Decimal32(bytes) => json!({ "decimal32": hex(bytes) }),
        Value::Decimal64(bytes) => json!({ "decimal64": hex(bytes) }),
        Value::Decimal128(bytes) => json!({ "decimal128": hex(bytes) }),
        Value::Char(character) => Json::String(character.to_string()),
        Value::Timestamp(milliseconds) => Json::from(*milliseconds),
        Value::Uuid(bytes) => Json::String(uuid(bytes)),
        Value::Binary(bytes) => binary(bytes),
        Value::String(text) => Json::String(text.to_string()),
        Value::Symbol(text) => Json::String(text.to_string()),
        Value::List(elements) => elements.iter().map(from_amqp).collect(),
        Value::Map(map) => Json::Object(object(map)),
        Value::Array(array) => array.elements().iter().map(from_amqp).collect(),
        Value::Described(described) => {
            let (descriptor, value) = &**described;
            json!({ "descriptor": from_amqp(descriptor), "value": from_amqp(value) })
        }
    }
}

/// The entries of a map as a JSON object. A key that is no text takes its written form.
#[must_use]
pub fn object(map: &Map) -> Object<String, Json> {
    map.iter()
        .map(|(key, value)| {
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            (key, from_amqp(value))
        })
        .collect()
}

/// Bytes: text where they are UTF-8, else `{"binary": "hexadecimal"}`.
#[must_use]
pub fn binary(bytes: &Bytes) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::String(text.to_owned()),
        Err(_) => json!({ "binary": hex(bytes) }),
    }
}

/// The AMQP value that says the same: integers become `long` (`ulong` beyond), fractions `double`,
/// arrays `list`, objects `map`.
#[must_use]
pub fn to_amqp(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => number
            .as_i64()
            .map(Value::Long)
            .or_else(|| number.as_u64().map(Value::Ulong))
            .or_else(|| number.as_f64().map(Value::Double))
            .unwrap_or_default(),
        Json::String(text) => Value::String(Str::copy(text)),
        Json::Array(elements) => Value::List(elements.iter().map(to_amqp).collect()),
        Json::Object(entries) => Value::Map(
            entries
                .iter()
                .map(|(key, value)| (Str::copy(key), to_amqp(value)))
                .collect(),
        ),
    }
}

/// Two digits a byte.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The usual form, `8-4-4-4-12`.
#[must_use]
pub fn uuid(bytes: &[u8; 16]) -> String {
    let digits = hex(bytes);
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    parts.join("-")
}

/// A number, or text for what JSON has no number for (`NaN`, `inf`).
fn float(number: f64) -> Json {
    Number::from_f64(number).map_or_else(|| Json::String(number.to_string()), Json::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_back_as_it_went() {
        let json = json!({
            "null": null, "yes": true, "int": -5, "big": u64::MAX, "half": 0.5,
            "text": "ä\"", "list": [1, [2], {"k": []}],
        });
        assert_eq!(from_amqp(&to_amqp(&json)), json);
    }

    #[test]
    fn what_json_lacks_is_named() {
        assert_eq!(
            from_amqp(&Value::Binary(Bytes::from_static(b"\xff\x01"))),
            json!({"binary": "ff01"})
        );
        assert_eq!(
            from_amqp(&Value::Binary(Bytes::from_static(b"text"))),
            json!("text")
        );
        assert_eq!(from_amqp(&Value::Double(f64::NAN)), json!("NaN"));
        assert_eq!(
            from_amqp(&Value::Decimal32([1, 2, 3, 4])),
            json!({"decimal32": "01020304"})
        );
        let described = Value::Described(Box::new((Value::Ulong(7), Value::Bool(true))));
        assert_eq!(
            from_amqp(&described),
            json!({"descriptor": 7, "value": true})
        );
    }

    #[test]
    fn keys_that_are_no_text_take_their_written_form() {
        let map: Map = [(Value::Uint(7), Value::Null)].into_iter().collect();
        assert_eq!(from_amqp(&Value::Map(map)), json!({"7": null}));
    }

    #[test]
    fn a_uuid_has_dashes() {
        let bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        assert_eq!(uuid(&bytes), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
