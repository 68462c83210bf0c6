//! AMQP values as JSON and back: for configuration files, GET-JSON-SCHEMA and output for programs.
//!
//! Decision: what JSON cannot say becomes text that a person can read (binary as its bytes'
//! escapes, a described value without its descriptor), since nobody reads it back.

use amqp_codec::{Map, Value};
use serde_json::{Number, Value as Json};

use crate::schema::number;

/// A value as JSON.
#[must_use]
pub fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Float(of) => Number::from_f64((*of).into()).map_or(Json::Null, Json::Number),
        Value::Double(of) => Number::from_f64(*of).map_or(Json::Null, Json::Number),
        Value::Timestamp(milliseconds) => (*milliseconds).into(),
        Value::String(text) => text.as_str().into(),
        Value::Symbol(text) => text.as_str().into(),
        Value::Char(character) => character.to_string().into(),
        Value::List(elements) => elements.iter().map(to_json).collect(),
        Value::Array(array) => array.elements().iter().map(to_json).collect(),
        Value::Map(map) => Json::Object(map.iter().map(entry).collect()),
        Value::Described(described) => to_json(&described.1),
        _ => match (value.as_i64(), value.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => value.to_string().into(),
        },
    }
}

fn entry((key, value): &(Value, Value)) -> (String, Json) {
    (
        key.as_str().map_or_else(|| key.to_string(), str::to_owned),
        to_json(value),
    )
}

/// JSON as a value: numbers in the smallest of the types that management uses.
#[must_use]
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => (*truth).into(),
        Json::Number(of) => match (of.as_i64(), of.as_u64()) {
            (Some(of), _) => number(of),
            (None, Some(of)) => of.into(),
            (None, None) => of.as_f64().into(),
        },
        Json::String(text) => text.clone().into(),
        Json::Array(elements) => Value::List(elements.iter().map(from_json).collect()),
        Json::Object(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.clone(), from_json(value)));
            Value::Map(entries.collect::<Map>())
        }
    }
}
