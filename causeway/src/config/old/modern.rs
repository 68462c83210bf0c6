//! What a file of old words is read into: its sections in those of today, with a warning for each
//! and the changes that make the file modern.

use std::sync::Arc;

use serde_json::Value;

use super::super::error::ConfigError;
use super::super::section::{Attribute, Section};

/// A file's sections in the words of today.
#[derive(Debug, Default)]
pub(in super::super) struct Modern {
    /// The sections.
    pub(in super::super) sections: Vec<Section>,
    /// One for each old word.
    pub(in super::super) warnings: Vec<ConfigError>,
    /// Both the old and the new name of one thing.
    pub(in super::super) errors: Vec<ConfigError>,
    /// What to change in the file.
    pub(in super::super) changes: Vec<Change>,
}

/// A change to a file that makes it modern.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Change {
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

/// The full form of a section's name that may be short.
pub(super) fn is_called(section: &Section, short: &str) -> bool {
    section.name == short || section.name.strip_prefix("router.config.") == Some(short)
}

/// The text of an attribute.
pub(super) fn text_of<'a>(section: &'a Section, name: &str) -> Option<&'a str> {
    section.attribute(name)?.value.as_str()
}

/// An attribute made up for a line of the file.
pub(super) fn attribute(line: u32, name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        line,
        value: Value::String(value.to_owned()),
    }
}

impl Modern {
    /// Something in the words of an early release.
    pub(super) fn warn(
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
    pub(super) fn replace(
        &mut self,
        file: &Arc<str>,
        section: &Section,
        by: Vec<Section>,
        remedy: String,
    ) {
        self.warn(file, section, None, remedy);
        self.changes
            .push(Change::Sections(section.line, by.clone()));
        self.sections.extend(by);
    }
}
