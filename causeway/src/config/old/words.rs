//! Names and values of attributes that were others in early releases, in sections that are still
//! called as they were.

use std::sync::Arc;

use super::super::entity::amqp_value;
use super::super::error::ConfigError;
use super::super::policy::flag;
use super::super::section::{Attribute, Section};
use super::modern::{Change, Modern, attribute, is_called, text_of};

/// Section, old name, new name.
const NAMES: [(&str, &str, &str); 8] = [
    ("listener", "addr", "host"),
    ("connector", "addr", "host"),
    ("listener", "requirePeerAuth", "authenticatePeer"),
    ("router", "routerId", "id"),
    ("linkRoute", "connector", "connection"),
    ("linkRoute", "container", "containerId"),
    ("autoLink", "connector", "connection"),
    ("autoLink", "container", "containerId"),
];

/// Section, attribute, old value, new value.
const VALUES: [(&str, &str, &str, &str); 4] = [
    ("listener", "role", "on-demand", "route-container"),
    ("connector", "role", "on-demand", "route-container"),
    ("listener", "role", "onDemand", "route-container"),
    ("connector", "role", "onDemand", "route-container"),
];

/// Section, attribute, and what says the same today.
const NEEDLESS: [(&str, &str, &str); 1] = [(
    "listener",
    "allowNoSasl",
    "remove it: who need not authenticate need not speak SASL either",
)];

/// Puts a section into the words of today.
pub(super) fn translate(modern: &mut Modern, file: &Arc<str>, section: Section) -> Section {
    let mut result = Section::new(section.name.clone(), section.line);
    for old in &section.attributes {
        if let Some(new) = translate_one(modern, file, &section, old) {
            result.set(new);
        }
    }
    if goes_both_ways(&section) {
        modern.warn(
            file,
            &section,
            None,
            "write a 'linkRoute' for each direction",
        );
        return both_ways(modern, result);
    }
    result
}

fn translate_one(
    modern: &mut Modern,
    file: &Arc<str>,
    section: &Section,
    old: &Attribute,
) -> Option<Attribute> {
    let of_section =
        |(name, of, ..): &(&str, &str, &str)| is_called(section, name) && *of == old.name;
    if let Some((_, _, remedy)) = NEEDLESS.iter().find(|entry| of_section(entry)) {
        modern.warn(file, section, Some(old), *remedy);
        modern.changes.push(Change::Drop(old.line));
        return None;
    }
    if let Some((_, _, new)) = NAMES.iter().find(|entry| of_section(entry)) {
        if section.attribute(new).is_some() {
            modern.errors.push(both(file, section, old, new));
            return None;
        }
        modern.warn(file, section, Some(old), format!("write '{new}'"));
        modern
            .changes
            .push(Change::Name(old.line, (*new).to_owned()));
        return Some(Attribute {
            name: (*new).to_owned(),
            ..old.clone()
        });
    }
    let value = old.value.as_str().unwrap_or_default();
    let new = match (section.name.as_str(), old.name.as_str()) {
        ("listener", "allowUnsecured") => {
            let is_allowed = flag(&amqp_value(&old.value)) == Some(true);
            let secured = if is_allowed { "no" } else { "yes" };
            Some(("requireSsl", secured.to_owned()))
        }
        ("log", "level") => Some(("enable", format!("{value}+"))),
        _ => VALUES
            .iter()
            .find(|(name, of, was, _)| is_called(section, name) && *of == old.name && *was == value)
            .map(|(_, of, _, now)| (*of, (*now).to_owned())),
    };
    let Some((name, value)) = new else {
        return Some(old.clone());
    };
    if name != old.name && section.attribute(name).is_some() {
        modern.errors.push(both(file, section, old, name));
        return None;
    }
    modern.warn(file, section, Some(old), format!("write '{name}: {value}'"));
    if name != old.name {
        modern.changes.push(Change::Name(old.line, name.to_owned()));
    }
    modern.changes.push(Change::Value(old.line, value.clone()));
    Some(attribute(old.line, name, &value))
}

/// Whether a link route is for both directions, which early releases made of one that says none.
fn goes_both_ways(section: &Section) -> bool {
    let says = |name| text_of(section, name);
    is_called(section, "linkRoute")
        && match says("dir").or_else(|| says("direction")) {
            None => section.attribute("connector").is_some(),
            Some(direction) => direction == "both",
        }
}

/// The section for the way out; the one for the way in is put before it.
fn both_ways(modern: &mut Modern, mut section: Section) -> Section {
    section
        .attributes
        .retain(|of| !matches!(of.name.as_str(), "dir" | "direction"));
    // Two entities of one name cannot be.
    let name = text_of(&section, "name").map(str::to_owned);
    let directed = |direction: &str| {
        let mut one = section.clone();
        one.set(attribute(one.line, "direction", direction));
        if let Some(name) = &name {
            one.set(attribute(one.line, "name", &format!("{name}.{direction}")));
        }
        one
    };
    let (inward, outward) = (directed("in"), directed("out"));
    let both = vec![inward.clone(), outward.clone()];
    modern.changes.push(Change::Sections(section.line, both));
    modern.sections.push(inward);
    outward
}

/// Both names of one thing.
pub(super) fn both(file: &Arc<str>, section: &Section, old: &Attribute, new: &str) -> ConfigError {
    let (name, entity) = (&old.name, &section.name);
    ConfigError {
        file: Arc::clone(file),
        line: old.line,
        entity: Some(entity.clone()),
        attribute: Some(name.clone()),
        text: format!("Both '{name}' and '{new}' cannot be specified for entity '{entity}'"),
        remedy: Some(format!("keep '{new}'")),
    }
}
