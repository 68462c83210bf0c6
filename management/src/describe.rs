//! The operations that describe the schema itself: GET-TYPES, GET-ATTRIBUTES, GET-OPERATIONS,
//! GET-SCHEMA.
//! It reads nothing but the table.

use amqp_codec::{Map, Value};

use crate::json::to_json;
use crate::schema::{Attribute, ENTITY_TYPES, EntityType, Fallback, Kind, PREFIX, number};

/// The most blanks that JSON is indented by.
const INDENT_MAX: i64 = 16;

/// The blanks by which the library indents.
const PRETTY_INDENT: usize = 2;

/// Each type with the types it extends, nearest first.
pub(crate) fn types(filter: Option<&EntityType>) -> Value {
    let is_wanted =
        |entity_type: &&&EntityType| filter.is_none_or(|filter| entity_type.is_a(filter));
    let ancestors = |entity_type: &&EntityType| {
        let names = entity_type
            .ancestors()
            .map(|ancestor| Value::from(ancestor.full_name()));
        (entity_type.full_name(), Value::List(names.collect()))
    };
    Value::Map(
        ENTITY_TYPES
            .iter()
            .filter(is_wanted)
            .map(ancestors)
            .collect(),
    )
}

/// Each type with its operations.
pub(crate) fn operations(filter: Option<&EntityType>) -> Value {
    each(filter, |entity_type| {
        entity_type.all_operations().map(Value::from).collect()
    })
}

/// Each type with the names of its attributes.
pub(crate) fn attributes(filter: Option<&EntityType>) -> Value {
    each(filter, |entity_type| {
        entity_type
            .all_attributes()
            .map(|attribute| Value::from(attribute.name))
            .collect()
    })
}

fn each(filter: Option<&EntityType>, list: impl Fn(&'static EntityType) -> Vec<Value>) -> Value {
    let is_wanted =
        |entity_type: &&&'static EntityType| filter.is_none_or(|filter| **entity_type == filter);
    let entry = |entity_type: &&'static EntityType| {
        (entity_type.full_name(), Value::List(list(entity_type)))
    };
    Value::Map(ENTITY_TYPES.iter().filter(is_wanted).map(entry).collect())
}

/// The whole table. Members that are false, zero or empty are left out.
pub(crate) fn schema() -> Value {
    let types = ENTITY_TYPES.iter().map(|entity_type| {
        (
            schema_key(entity_type.short),
            Value::Map(schema_of(entity_type)),
        )
    });
    let mut schema = Map::new();
    schema.push("prefix", PREFIX.trim_end_matches('.'));
    schema.push("entityTypes", Value::Map(types.collect()));
    Value::Map(schema)
}

/// The whole table as JSON text.
pub(crate) fn json_schema(indent: Option<i64>) -> Value {
    let json = to_json(&schema());
    let indent = indent.filter(|indent| (1..=INDENT_MAX).contains(indent));
    let Some(indent) = indent.and_then(|indent| usize::try_from(indent).ok()) else {
        return json.to_string().into();
    };
    let text = format!("{json:#}");
    let lines = text.lines().map(|line| {
        let bare = line.trim_start();
        let depth = (line.len() - bare.len()) / PRETTY_INDENT;
        " ".repeat(depth * indent) + bare
    });
    lines.collect::<Vec<_>>().join("\n").into()
}

fn schema_key(short: &'static str) -> &'static str {
    short.strip_prefix("router.config.").unwrap_or(short)
}

fn schema_of(entity_type: &'static EntityType) -> Map {
    let attributes = entity_type
        .all_attributes()
        .filter(|attribute| attribute.name != "type");
    let attributes = attributes.map(|attribute| (attribute.name, Value::Map(member(attribute))));
    let operations: Vec<_> = entity_type.all_operations().map(Value::from).collect();
    let mut map = Map::new();
    map.push("attributes", Value::Map(attributes.collect()));
    if !operations.is_empty() {
        map.push("operations", Value::List(operations));
    }
    if let Some(base) = entity_type.extends {
        map.push("extends", base.full_name());
    }
    if entity_type.singleton {
        map.push("singleton", true);
    }
    map.push("description", entity_type.description);
    map.push("fullyQualifiedType", entity_type.full_name());
    map
}

fn member(attribute: &Attribute) -> Map {
    let mut map = Map::new();
    match attribute.kind {
        Kind::Enum(tags) => {
            map.push(
                "type",
                Value::List(tags.iter().copied().map(Value::from).collect()),
            );
        }
        kind => map.push("type", kind.name()),
    }
    match attribute.fallback {
        Fallback::Text(text) if !text.is_empty() => map.push("default", text),
        Fallback::Integer(default) if default != 0 => map.push("default", number(default)),
        Fallback::Boolean(true) => map.push("default", true),
        _ => {}
    }
    for (name, truth) in [
        ("required", attribute.required),
        ("unique", attribute.unique),
        ("graph", attribute.graph),
        ("deprecated", attribute.deprecated),
    ] {
        if truth {
            map.push(name, true);
        }
    }
    map.push("description", attribute.description);
    map
}
