//! Requests and responses as messages.
//!
//! Owns what is read from a request before anything is known to be right about it. It never
//! answers. Decision: properties are read apart from the rest, so that a request whose body or
//! application properties are broken still gets an answer instead of silence.

use amqp_codec::message::{
    Body, Depth, Header, MessageBuilder, Properties, application_properties, parse, properties,
    scan_one,
};
use amqp_codec::{DecodeError, Map, Str, Value};
use bytes::Bytes;

use crate::schema::{Kind, coerce};
use crate::status::{Failure, Status};

/// Where an answer goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) to: Option<Str>,
    pub(crate) correlation_id: Option<Value>,
}

/// A request, as far as it can be read.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) reply: Reply,
    /// The rest, or what is wrong with it.
    pub(crate) content: Result<Content, Failure>,
}

/// The readable rest of a request.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) properties: Map,
    pub(crate) body: Value,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: Status,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Response {
    pub(crate) fn new(status: Status, body: Value) -> Self {
        Self {
            status,
            text: status.text().to_owned(),
            body,
        }
    }
}

impl From<Failure> for Response {
    fn from(failure: Failure) -> Self {
        Self {
            status: failure.status,
            text: failure.text,
            body: Value::Map(Map::new()),
        }
    }
}

impl Request {
    /// Reads a message; an error if not even its properties can be read.
    pub(crate) fn read(message: &Bytes) -> Result<Self, DecodeError> {
        let chunks = std::slice::from_ref(message);
        let sections = scan_one(message, Depth::Properties)?;
        let properties = properties(chunks, &sections)?.unwrap_or_default();
        let reply = Reply {
            to: properties.reply_to,
            correlation_id: properties.correlation_id,
        };
        let content = read_content(message)
            .map_err(|error| Failure::bad_request(format!("Malformed request: {error}")));
        Ok(Self { reply, content })
    }
}

fn read_content(message: &Bytes) -> Result<Content, DecodeError> {
    let chunks = std::slice::from_ref(message);
    let sections = scan_one(message, Depth::ApplicationProperties)?;
    let properties = application_properties(chunks, &sections)?.unwrap_or_default();
    let body = match parse(message)?.body {
        Body::None => Value::Null,
        Body::Value(value) => value,
        // Neither is a map, which is all that matters.
        Body::Data(mut sections) => Value::Binary(sections.swap_remove(0)),
        Body::Sequence(mut sections) => Value::List(sections.swap_remove(0)),
    };
    Ok(Content { properties, body })
}

impl Content {
    /// The text of an application property; null and empty text count as nothing.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.properties.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
                None => Err(Failure::bad_request(format!(
                    "'{name}' property must be a string"
                ))),
            },
        }
    }

    /// The truth of an application property, also given as text.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        let value = self.properties.get(name).unwrap_or(&Value::Null);
        coerce(Kind::Boolean, value)
            .map(|value| value.and_then(|value| value.as_bool()))
            .map_err(|_| Failure::bad_request(format!("'{name}' property must be a boolean")))
    }

    /// The number of an application property, also given as text.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Failure> {
        let value = match self.properties.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let number = value.as_str().map_or_else(|| value.as_i64(), numeric);
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(Failure::bad_request(format!(
                "'{name}' property must be an integer"
            ))),
        }
    }
}

/// A number in decimal, hexadecimal or, with a leading zero, octal digits.
fn numeric(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (radix, digits) = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(digits) => (16, digits),
        None if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        None => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// An answer as a message.
pub(crate) fn encode_response(reply: &Reply, response: Response) -> Bytes {
    let mut status = Map::new();
    status.push("statusDescription", response.text);
    status.push("statusCode", response.status.code());
    MessageBuilder::new()
        .header(Header::default())
        .properties(Properties {
            to: reply.to.clone(),
            correlation_id: reply.correlation_id.clone(),
            ..Properties::default()
        })
        .application_properties(status)
        .value(response.body)
        .build()
}
