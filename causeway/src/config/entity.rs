//! A section made into an entity: its attributes checked by the schema, each complaint put to the
//! line of the attribute it is about.

use std::sync::Arc;

use amqp_codec::{Map, Str, Value};
use management::schema::{self, Entity, Source, Validated};
use serde_json::Value as Json;

use super::error::ConfigError;
use super::section::Section;

/// An entity and the section it came from.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The entity.
    pub entity: Entity,
    /// The section.
    pub section: Section,
}

impl Placed {
    /// Whether the entity's type has that short name.
    #[must_use]
    pub fn is_of_type(&self, short: &str) -> bool {
        self.entity.entity_type().short == short
    }

    /// The line of an attribute, or of the section if it does not say that attribute.
    #[must_use]
    pub fn line_of(&self, attribute: &str) -> u32 {
        let known = self.entity.entity_type().attribute(attribute);
        let alias = known.and_then(|known| known.alias);
        let written = self
            .section
            .attribute(attribute)
            .or_else(|| self.section.attribute(alias?));
        written.map_or(self.section.line, |written| written.line)
    }

    /// A complaint about one of its attributes.
    pub(crate) fn error(&self, file: &Arc<str>, attribute: &str, text: String) -> ConfigError {
        ConfigError {
            file: Arc::clone(file),
            line: self.line_of(attribute),
            entity: Some(self.section.name.clone()),
            attribute: Some(attribute.to_owned()),
            text,
            remedy: None,
        }
    }
}

/// Makes the entity; `None` if anything is wrong with the section.
pub(super) fn make(
    file: &Arc<str>,
    section: Section,
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<ConfigError>,
) -> Option<Placed> {
    let attributes: Vec<(String, Value)> = section
        .attributes
        .iter()
        .map(|attribute| (attribute.name.clone(), amqp_value(&attribute.value)))
        .collect();
    let about = |attribute: Option<&str>, text: &str| ConfigError {
        file: Arc::clone(file),
        line: attribute
            .and_then(|name| section.attribute(name))
            .map_or(section.line, |attribute| attribute.line),
        entity: Some(section.name.clone()),
        attribute: attribute.map(str::to_owned),
        text: text.to_owned(),
        remedy: None,
    };
    match schema::validate(&section.name, &attributes, Source::File) {
        Ok(Validated {
            entity,
            warnings: odd,
        }) => {
            warnings.extend(odd.iter().map(|odd| about(Some(&odd.attribute), &odd.text)));
            Some(Placed { entity, section })
        }
        Err(refused) => {
            errors.extend(refused.iter().map(|refusal| {
                let mut error = about(refusal.attribute.as_deref(), &refusal.text);
                error.remedy = remedy(&section, refusal.attribute.as_deref(), &refusal.text);
                error
            }));
            None
        }
    }
}

/// The router of a file without a section for it.
pub(super) fn default_router() -> Entity {
    Entity::new(&schema::ROUTER)
}

/// What to do about a refusal, where that does not follow from its text.
pub(super) fn remedy(section: &Section, attribute: Option<&str>, text: &str) -> Option<String> {
    if text.contains("not supported by this version yet") {
        let what = if attribute.is_some() {
            "line"
        } else {
            "section"
        };
        return Some(format!(
            "remove the {what}, or stay with the router that serves it"
        ));
    }
    let guess = |name: &str, known: Vec<&'static str>| {
        let near = nearest(name, known)?;
        Some(format!("did you mean '{near}'?"))
    };
    match attribute {
        Some(name) if text.starts_with("Unknown attribute") => {
            let mut types = schema::ENTITY_TYPES.iter();
            let entity_type = types.find(|known| known.section == Some(&section.name))?;
            let settable = entity_type
                .all_attributes()
                .filter(|attribute| attribute.create);
            guess(name, settable.map(|attribute| attribute.name).collect())
        }
        None if text.starts_with("No such entity type") => {
            let types = schema::ENTITY_TYPES
                .iter()
                .filter_map(|entity_type| entity_type.section);
            guess(&section.name, types.collect())
        }
        _ => None,
    }
}

/// The known name that a misspelt one most likely stands for.
fn nearest(name: &str, known: Vec<&'static str>) -> Option<&'static str> {
    let name: Vec<char> = name.to_lowercase().chars().take(64).collect();
    let distances = known
        .into_iter()
        .map(|known| (distance(&name, &known.to_lowercase()), known));
    let (least, known) = distances.min()?;
    (least <= 1 + name.len() / 4).then_some(known)
}

/// How many characters must be added, taken away or changed to make one of the other.
fn distance(one: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=one.len()).collect();
    for (line, wanted) in other.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, have) in one.iter().enumerate() {
            let changed = diagonal + usize::from(*have != wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[one.len()]
}

/// A value of a file as management takes it.
pub(super) fn amqp_value(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => schema::number(number),
            (None, Some(number), _) => Value::Ulong(number),
            (None, None, number) => Value::Double(number.unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(Str::copy(text)),
        Json::Array(elements) => Value::List(elements.iter().map(amqp_value).collect()),
        Json::Object(members) => {
            let pairs = members.iter();
            Value::Map(Map(pairs
                .map(|(key, value)| (Value::String(Str::copy(key)), amqp_value(value)))
                .collect()))
        }
    }
}
