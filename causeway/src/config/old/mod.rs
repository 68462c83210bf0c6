//! The words of early releases of `qdrouterd`, which files in the field still use: each is taken as
//! what it is called today, with one warning that shows the modern spelling.
//!
//! Only names that no release of today knows are dealt with here; those that it deprecates are
//! aliases in the schema. Decision: sections are translated before anything reads them, so nothing
//! else in the house knows that there were other words. What is translated is noted as a list of
//! changes to lines, from which `causeway check --upgrade` writes the file anew ([`text`]) with
//! comments and order kept.

mod retired;
pub(super) mod text;
mod words;

use std::sync::Arc;

use serde_json::Value;

use super::error::ConfigError;
use super::section::{Attribute, Section, camel_case};

/// A file's sections in the words of today.
#[derive(Debug, Default)]
pub(super) struct Modern {
    /// The sections.
    pub(super) sections: Vec<Section>,
    /// One for each old word.
    pub(super) warnings: Vec<ConfigError>,
    /// Both the old and the new name of one thing.
    pub(super) errors: Vec<ConfigError>,
    /// What to change in the file.
    pub(super) changes: Vec<Change>,
}

/// A change to a file that makes it modern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// The name of the attribute on that line.
    Name(u32, String),
    /// The value of the attribute on that line.
    Value(u32, String),
    /// The line says nothing any more.
    Drop(u32),
    /// The section that begins on that line gets a further attribute.
    Add(u32, Attribute),
    /// The section that begins on that line becomes these.
    Sections(u32, Vec<Section>),
    /// The section's name on that line.
    Heading(u32, String),
}

/// Translates the sections of a file; of one in the native form, that is its text.
pub(super) fn modernise(file: &Arc<str>, sections: Vec<Section>, text: Option<&str>) -> Modern {
    let mut modern = Modern::default();
    let sections = retired::containers(&mut modern, file, sections);
    let waypoints = retired::Waypoints::of(&sections);
    for section in sections {
        match section.name.as_str() {
            "fixedAddress" => retired::fixed_address(&mut modern, file, &section),
            "linkRoutePattern" => retired::link_route_pattern(&mut modern, file, &section),
            "waypoint" => waypoints.translate(&mut modern, file, &section),
            _ => {
                let section = words::translate(&mut modern, file, section);
                modern.sections.push(section);
            }
        }
    }
    retired::default_distribution(&mut modern);
    if let Some(text) = text {
        spellings(&mut modern, file, text);
    }
    modern
}

/// Warns of names in another spelling than camel case, which are otherwise the names of today.
fn spellings(modern: &mut Modern, file: &Arc<str>, text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let written = |line: u32| {
        let line = lines.get(usize::try_from(line).ok()?.checked_sub(1)?)?;
        text::written_name(line)
    };
    let mut warnings = Vec::new();
    let mut note = |line: u32, entity: &str, attribute: Option<&str>, name: &str| {
        warnings.push(ConfigError {
            file: Arc::clone(file),
            line,
            entity: Some(entity.to_owned()),
            attribute: attribute.map(str::to_owned),
            text: "is the spelling of an early release".to_owned(),
            remedy: Some(format!("write '{name}'")),
        });
    };
    for section in &modern.sections {
        let is_other = |written: &str, name: &str| written != name && camel_case(written) == name;
        if let Some(heading) = written(section.line).filter(|of| is_other(of, &section.name)) {
            note(section.line, heading, None, &section.name);
        }
        for Attribute { name, line, .. } in &section.attributes {
            let spelt = written(*line).filter(|of| is_other(of, name));
            if let Some(spelt) = spelt.filter(|_| !text::is_alias(section, name)) {
                note(*line, &section.name, Some(spelt), name);
            }
        }
    }
    modern.warnings.append(&mut warnings);
}

/// The full form of a section's name that may be short.
fn is_called(section: &Section, short: &str) -> bool {
    section.name == short || section.name.strip_prefix("router.config.") == Some(short)
}

/// The text of an attribute.
fn text_of<'a>(section: &'a Section, name: &str) -> Option<&'a str> {
    section.attribute(name)?.value.as_str()
}

/// An attribute made up for a line of the file.
fn attribute(line: u32, name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        line,
        value: Value::String(value.to_owned()),
    }
}

impl Modern {
    /// Something in the words of an early release.
    fn warn(
        &mut self,
        file: &Arc<str>,
        section: &Section,
        of: Option<&Attribute>,
        remedy: impl Into<String>,
    ) {
        self.warnings.push(ConfigError {
            file: Arc::clone(file),
            line: of.map_or(section.line, |attribute| attribute.line),
            entity: Some(section.name.clone()),
            attribute: of.map(|attribute| attribute.name.clone()),
            text: "is a word of an early release".to_owned(),
            remedy: Some(remedy.into()),
        });
    }

    /// A section that is said by others today.
    fn replace(&mut self, file: &Arc<str>, section: &Section, by: Vec<Section>, remedy: String) {
        self.warn(file, section, None, remedy);
        self.changes
            .push(Change::Sections(section.line, by.clone()));
        self.sections.extend(by);
    }
}

#[cfg(test)]
mod tests;
