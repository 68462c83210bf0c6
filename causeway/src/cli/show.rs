//! Messages for people and for programs.
//!
//! Owns the two forms `causeway recv` prints: readable text with every section that is there, and
//! one JSON object a line. It never changes a message, and a message it cannot parse is shown as
//! bytes instead of being hidden.

use amqp_codec::Value;
use amqp_codec::message::{Body, Header, Message, Properties};
use bytes::Bytes;
use serde_json::{Map as Object, Value as Json, json};

use crate::cli::json;

/// The message as text: a line for each section, and an empty one after it. A body alone is printed
/// alone.
#[must_use]
pub fn text(message: &Message) -> String {
    let mut sections = Vec::new();
    if let Some(header) = &message.header {
        sections.push(("header", header_text(header)));
    }
    sections.push((
        "delivery-annotations",
        entries_text(&message.delivery_annotations),
    ));
    sections.push((
        "message-annotations",
        entries_text(&message.message_annotations),
    ));
    sections.push(("properties", properties_text(&message.properties)));
    sections.push((
        "application-properties",
        entries_text(&message.application_properties),
    ));
    let footer = entries_text(&message.footer);
    sections.retain(|(_, text)| !text.is_empty());
    let body = body_text(&message.body);
    if sections.is_empty() && footer.is_empty() {
        return body;
    }
    sections.push(("body", body));
    if !footer.is_empty() {
        sections.push(("footer", footer));
    }
    let lines: Vec<String> = sections
        .iter()
        .map(|(name, section)| format!("{name}: {section}"))
        .collect();
    lines.join("\n") + "\n"
}

/// The message as a JSON object, without the sections that are not there.
#[must_use]
pub fn json(message: &Message) -> Json {
    let mut object = Object::new();
    let mut section = |name: &str, entries: Object<String, Json>| {
        if !entries.is_empty() {
            object.insert(name.into(), Json::Object(entries));
        }
    };
    if let Some(header) = &message.header {
        section("header", header_json(header));
    }
    section(
        "delivery_annotations",
        json::object(&message.delivery_annotations),
    );
    section(
        "message_annotations",
        json::object(&message.message_annotations),
    );
    section("properties", properties_json(&message.properties));
    section(
        "application_properties",
        json::object(&message.application_properties),
    );
    section("footer", json::object(&message.footer));
    let (kind, body) = body_json(&message.body);
    object.insert("body_type".into(), kind.into());
    object.insert("body".into(), body);
    Json::Object(object)
}

/// The bytes of the body and nothing else; values that are no bytes take their written form.
#[must_use]
pub fn bare(message: &Message) -> Vec<u8> {
    match &message.body {
        Body::Data(sections) => sections.concat(),
        Body::Value(Value::Binary(bytes)) => bytes.to_vec(),
        body => body_text(body).into_bytes(),
    }
}

/// What is shown of a message that is none.
#[must_use]
pub fn undecodable(bytes: &Bytes) -> Json {
    json!({ "undecodable": json::hex(bytes) })
}

fn header_text(header: &Header) -> String {
    let mut parts = Vec::new();
    if header.durable {
        parts.push("durable".to_owned());
    }
    if header.priority != Header::default().priority {
        parts.push(format!("priority {}", header.priority));
    }
    if let Some(ttl) = header.ttl {
        parts.push(format!("ttl {ttl} ms"));
    }
    if header.first_acquirer {
        parts.push("first acquirer".to_owned());
    }
    if header.delivery_count > 0 {
        parts.push(format!("delivery count {}", header.delivery_count));
    }
    parts.join(", ")
}

fn header_json(header: &Header) -> Object<String, Json> {
    let mut object = Object::new();
    object.insert("durable".into(), header.durable.into());
    object.insert("priority".into(), header.priority.into());
    if let Some(ttl) = header.ttl {
        object.insert("ttl".into(), ttl.into());
    }
    object.insert("first_acquirer".into(), header.first_acquirer.into());
    object.insert("delivery_count".into(), header.delivery_count.into());
    object
}

/// The properties that are set, in the order of the standard.
fn property_values(properties: &Properties) -> Vec<(&'static str, Value)> {
    let all: [(&str, Value); 13] = [
        ("message-id", properties.message_id.clone().into()),
        ("user-id", properties.user_id.clone().into()),
        ("to", properties.to.clone().into()),
        ("subject", properties.subject.clone().into()),
        ("reply-to", properties.reply_to.clone().into()),
        ("correlation-id", properties.correlation_id.clone().into()),
        ("content-type", properties.content_type.clone().into()),
        (
            "content-encoding",
            properties.content_encoding.clone().into(),
        ),
        (
            "absolute-expiry-time",
            properties.absolute_expiry_time.into(),
        ),
        ("creation-time", properties.creation_time.into()),
        ("group-id", properties.group_id.clone().into()),
        ("group-sequence", properties.group_sequence.into()),
        (
            "reply-to-group-id",
            properties.reply_to_group_id.clone().into(),
        ),
    ];
    all.into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect()
}

fn properties_text(properties: &Properties) -> String {
    let parts: Vec<String> = property_values(properties)
        .iter()
        .map(|(name, value)| format!("{name}={}", readable(value)))
        .collect();
    parts.join(", ")
}

fn properties_json(properties: &Properties) -> Object<String, Json> {
    property_values(properties)
        .iter()
        .map(|(name, value)| (name.replace('-', "_"), json::from_amqp(value)))
        .collect()
}

fn entries_text(map: &amqp_codec::Map) -> String {
    let parts: Vec<String> = map
        .iter()
        .map(|(key, value)| match key.as_str() {
            Some(key) => format!("{key}={}", readable(value)),
            None => format!("{key}={}", readable(value)),
        })
        .collect();
    parts.join(", ")
}

/// A value as a person reads it: the usual notation, but text stays text in every script.
fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.as_str()),
        Value::Timestamp(milliseconds) => format!("{milliseconds} ms"),
        value => value.to_string(),
    }
}

fn body_text(body: &Body) -> String {
    match body {
        Body::None => String::new(),
        Body::Data(sections) => match String::from_utf8(sections.concat()) {
            Ok(text) => text,
            Err(error) => Value::Binary(error.into_bytes().into()).to_string(),
        },
        Body::Sequence(sections) => {
            let lists: Vec<String> = sections
                .iter()
                .map(|list| Value::List(list.clone()).to_string())
                .collect();
            lists.join(" ")
        }
        Body::Value(Value::String(text)) => text.to_string(),
        Body::Value(value) => value.to_string(),
    }
}

fn body_json(body: &Body) -> (&'static str, Json) {
    match body {
        Body::None => ("none", Json::Null),
        Body::Data(sections) => ("data", json::binary(&sections.concat().into())),
        Body::Sequence(sections) => {
            let lists = sections
                .iter()
                .map(|list| list.iter().map(json::from_amqp).collect());
            ("sequence", Json::Array(lists.collect()))
        }
        Body::Value(value) => ("value", json::from_amqp(value)),
    }
}

#[cfg(test)]
mod tests {
    use amqp_codec::{Map, Symbol};

    use super::*;

    fn full() -> Message {
        Message {
            header: Some(Header {
                durable: true,
                ttl: Some(50),
                ..Header::default()
            }),
            message_annotations: [(Symbol::from("x-opt-a"), 1_u32)].into_iter().collect(),
            properties: Properties {
                message_id: Some(Value::Ulong(7)),
                subject: Some("s".into()),
                ..Properties::default()
            },
            application_properties: [("k", "v")].into_iter().collect(),
            body: Body::Data(vec![Bytes::from_static(b"he"), Bytes::from_static(b"llo")]),
            footer: [("f", true)].into_iter().collect(),
            ..Message::default()
        }
    }

    #[test]
    fn a_body_alone_is_printed_alone() {
        let message = Message {
            body: Body::Value("text".into()),
            ..Message::default()
        };
        assert_eq!(text(&message), "text");
        let message = Message {
            body: Body::Data(vec![b"\xff".to_vec().into()]),
            ..message
        };
        assert!(text(&message).starts_with("b\""), "{}", text(&message));
    }

    #[test]
    fn every_section_that_is_there_is_printed() {
        let expected = "header: durable, ttl 50 ms\nmessage-annotations: x-opt-a=1\n\
                        properties: message-id=7, subject=\"s\"\n\
                        application-properties: k=\"v\"\nbody: hello\nfooter: f=true\n";
        assert_eq!(text(&full()), expected);
    }

    #[test]
    fn json_has_the_sections_by_name() {
        let expected = json!({
            "header": {"durable": true, "priority": 4, "ttl": 50, "first_acquirer": false,
                       "delivery_count": 0},
            "message_annotations": {"x-opt-a": 1},
            "properties": {"message_id": 7, "subject": "s"},
            "application_properties": {"k": "v"},
            "footer": {"f": true},
            "body_type": "data",
            "body": "hello",
        });
        assert_eq!(json(&full()), expected);
        let empty = Message {
            body: Body::Value(Value::Null),
            ..Message::default()
        };
        assert_eq!(json(&empty), json!({"body_type": "value", "body": null}));
    }

    #[test]
    fn a_bare_body_is_its_bytes() {
        assert_eq!(bare(&full()), b"hello");
        let map: Map = [("a", 1_i32)].into_iter().collect();
        let message = Message {
            body: Body::Value(map.into()),
            ..Message::default()
        };
        assert_eq!(bare(&message), b"{\"a\"=1}");
    }
}
