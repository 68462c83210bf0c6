//! A file in the words of today: its own text with what is old in it changed, so that comments,
//! order and empty lines stay.

use std::collections::BTreeMap;

use management::schema::{ENTITY_TYPES, EntityType};
use serde_json::{Value, json};

use super::super::native::{before_comment, is_attribute_name};
use super::super::section::{Attribute, Section, camel_case};
use super::modern::{Change, is_called};

/// Writes the native form anew.
pub(crate) fn native(text: &str, changes: &[Change], sections: &[Section]) -> String {
    let mut by_line: BTreeMap<u32, Vec<&Change>> = BTreeMap::new();
    let aliases = aliases(sections);
    for change in changes.iter().chain(&aliases) {
        by_line.entry(change.line()).or_default().push(change);
    }
    let mut result = String::with_capacity(text.len());
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        let changes = by_line.get(&number).map(Vec::as_slice).unwrap_or_default();
        let retired = changes.iter().find_map(|change| match change {
            Change::Sections(_, by) => Some(by),
            _ => None,
        });
        if let Some(by) = retired {
            // No old section has a map in it: the first brace that closes ends it.
            let _ = lines.find(|(_, line)| before_comment(line).trim() == "}");
            by.iter()
                .for_each(|section| write_section(&mut result, section));
            continue;
        }
        write_line(&mut result, line, changes);
    }
    result
}

/// Writes the JSON form anew.
pub(crate) fn json(sections: &[Section]) -> String {
    let sections = sections.iter().map(|section| {
        let of_section = entity_type(section);
        let members = section.attributes.iter().map(|attribute| {
            let name = of_section.and_then(|of| modern_name(of, &attribute.name));
            let name = name.unwrap_or(&attribute.name).to_owned();
            (name, attribute.value.clone())
        });
        json!([section.name, members.collect::<serde_json::Map<_, _>>()])
    });
    let list = Value::Array(sections.collect());
    let mut text = serde_json::to_string_pretty(&list).unwrap_or_default();
    text.push('\n');
    text
}

impl Change {
    fn line(&self) -> u32 {
        match self {
            Self::Name(line, _)
            | Self::Value(line, _)
            | Self::Drop(line)
            | Self::Add(line, _)
            | Self::Sections(line, _)
            | Self::Heading(line, _) => *line,
        }
    }
}

/// Names that the schema deprecates.
fn aliases(sections: &[Section]) -> Vec<Change> {
    let mut changes = Vec::new();
    for section in sections {
        let Some(of_section) = entity_type(section) else {
            continue;
        };
        for attribute in &section.attributes {
            if let Some(name) = modern_name(of_section, &attribute.name) {
                changes.push(Change::Name(attribute.line, name.to_owned()));
            }
        }
    }
    changes
}

fn entity_type(section: &Section) -> Option<&'static EntityType> {
    let mut types = ENTITY_TYPES.iter().copied();
    types.find(|known| known.section.is_some_and(|name| is_called(section, name)))
}

/// What an attribute is called today, if the name is one that the schema deprecates.
pub(super) fn modern_name(of: &'static EntityType, name: &str) -> Option<&'static str> {
    let mut attributes = of.all_attributes();
    let found = attributes.find(|attribute| attribute.alias == Some(name));
    found.map(|attribute| attribute.name)
}

/// Whether the schema has that name as a deprecated one.
pub(super) fn is_alias(section: &Section, name: &str) -> bool {
    entity_type(section).is_some_and(|of| modern_name(of, name).is_some())
}

/// The name on a line of the native form, as it is written: that of an attribute or of a section.
pub(super) fn written_name(line: &str) -> Option<&str> {
    let construct = before_comment(line).trim();
    let name = match construct.split_once(':') {
        Some((name, _)) => name,
        None => construct.strip_suffix('{')?,
    };
    let name = name.trim_end();
    is_attribute_name(name).then_some(name)
}

fn write_line(result: &mut String, line: &str, changes: &[&Change]) {
    let mut line = line.to_owned();
    let mut further = Vec::new();
    if let Some(written) = written_name(&line).map(str::to_owned) {
        let mut name = camel_case(&written);
        let mut value = None;
        for change in changes {
            match change {
                Change::Name(_, to) | Change::Heading(_, to) => name.clone_from(to),
                Change::Value(_, to) => value = Some(to),
                Change::Drop(_) => return,
                Change::Add(_, attribute) => further.push(attribute),
                Change::Sections(..) => {}
            }
        }
        line = line.replacen(&written, &name, 1);
        if let Some(value) = value {
            line = with_value(&line, value);
        }
    }
    result.push_str(&line);
    result.push('\n');
    for attribute in further {
        write_attribute(result, attribute);
    }
}

/// A line with another value: what stands before and behind the old one stays.
fn with_value(line: &str, value: &str) -> String {
    let Some((name, rest)) = line.split_once(':') else {
        return line.to_owned();
    };
    let old = before_comment(rest);
    let behind = &rest[old.trim_end().len()..];
    format!("{name}: {value}{behind}")
}

fn write_section(result: &mut String, section: &Section) {
    result.push_str(&format!("{} {{\n", section.name));
    for attribute in &section.attributes {
        write_attribute(result, attribute);
    }
    result.push_str("}\n");
}

fn write_attribute(result: &mut String, attribute: &Attribute) {
    let value = attribute.value.as_str().map_or_else(
        || attribute.value.to_string(),
        |text| text.replace('\\', "\\\\"),
    );
    result.push_str(&format!("    {}: {value}\n", attribute.name));
}
