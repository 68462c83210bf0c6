//! An entity: a type and the values of its attributes, all of the right kind.
//!
//! Owns the checks that need no more than the table. It never acts on an entity. Decision: a
//! section of a configuration file and the body of a CREATE go through the same function, so both
//! accept the same and say the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use amqp_codec::Value;
use amqp_codec::message::MessageParts;

use crate::schema::coerce::{coerce, number, quoted, shortened};
use crate::schema::definition::{Attribute, EntityType, Fallback, PREFIX, Support};
use crate::schema::failover::failover_list;
use crate::schema::origins::http_origins;
use crate::schema::tables::{
    AUTO_LINK, LISTENER, MECHANISMS, ROUTER, find, is_later, section_type,
};

/// The longest id of a router, in characters.
const ROUTER_ID_MAX: usize = 127;

/// Where attributes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A configuration file: attributes that only the router sets are ignored.
    File,
    /// A management request: they are refused.
    Request,
}

/// Why an attribute, or an entity as a whole, is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeError {
    /// The attribute as it was written; `None` where it is the entity.
    pub attribute: Option<String>,
    /// The reason, with the attribute's name where that helps.
    pub text: String,
}

impl AttributeError {
    /// An error of an attribute.
    #[must_use]
    pub fn new(attribute: &str, text: impl Into<String>) -> Self {
        Self {
            attribute: Some(attribute.to_owned()),
            text: text.into(),
        }
    }

    /// An error of the entity as a whole.
    #[must_use]
    pub fn whole(text: impl Into<String>) -> Self {
        Self {
            attribute: None,
            text: text.into(),
        }
    }
}

impl fmt::Display for AttributeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl std::error::Error for AttributeError {}

/// An entity, and what was odd about how it was written.
#[derive(Clone, Debug)]
pub struct Validated {
    /// The entity.
    pub entity: Entity,
    /// For the log, such as that an attribute is deprecated.
    pub warnings: Vec<Oddity>,
}

/// Something odd about an attribute that is taken all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    /// The attribute, as it was written.
    pub attribute: String,
    /// What is odd, for the log.
    pub text: String,
}

/// A type and the values of its attributes.
#[derive(Clone, Debug)]
pub struct Entity {
    entity_type: &'static EntityType,
    values: BTreeMap<&'static str, Value>,
    given: BTreeSet<&'static str>,
}

impl Entity {
    /// An entity with the defaults of its type.
    #[must_use]
    pub fn new(entity_type: &'static EntityType) -> Self {
        let mut entity = Self {
            entity_type,
            values: BTreeMap::new(),
            given: BTreeSet::new(),
        };
        for attribute in entity_type.all_attributes() {
            if let Some(value) = fallback(attribute) {
                entity.values.insert(attribute.name, value);
            }
        }
        entity.values.insert("type", entity_type.full_name().into());
        entity
    }

    /// The type.
    #[must_use]
    pub fn entity_type(&self) -> &'static EntityType {
        self.entity_type
    }

    /// The value of an attribute, if it has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// The text of an attribute, if it has one.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// The number of an attribute, if it has one.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    /// Whether an attribute is true.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool) == Some(true)
    }

    /// Whether who made it gave the attribute a value, be it the default.
    #[must_use]
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    /// Its identity; empty before it has one.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.text("identity").unwrap_or_default()
    }

    /// Sets an attribute of the type; `None` takes its value away.
    pub fn set(&mut self, name: &'static str, value: Option<Value>) {
        match value {
            Some(value) => self.values.insert(name, value),
            None => self.values.remove(name),
        };
    }

    /// Sets the identity, and the name if it has none.
    pub fn identify(&mut self, identity: String) {
        if self.name().is_none() {
            self.set("name", Some(identity.clone().into()));
        }
        self.set("identity", Some(identity.into()));
    }

    /// All values, in the order of the table.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let names = self
            .entity_type
            .all_attributes()
            .map(|attribute| attribute.name);
        names.filter_map(|name| Some((name, self.get(name)?)))
    }

    /// Gives attributes new values, checked like those of a new entity.
    ///
    /// # Errors
    /// The first attribute that is unknown, may not be changed or has a bad value; then nothing is
    /// changed.
    pub fn update(&mut self, attributes: &[(String, Value)]) -> Result<(), AttributeError> {
        let mut changed = self.clone();
        for (given, value) in attributes {
            let attribute = resolve(self.entity_type, given)?;
            let value = checked(attribute, given, value)?;
            if !attribute.update && value.as_ref() != changed.get(attribute.name) {
                let text = format!("Cannot update attribute '{}' in UPDATE", shortened(given));
                return Err(AttributeError::new(given, text));
            }
            changed.set(attribute.name, value.or_else(|| fallback(attribute)));
        }
        *self = changed;
        Ok(())
    }
}

/// Makes an entity of what a section of a file or the body of a request says.
///
/// `name` is a type's name, short or full, or that of a section.
///
/// # Errors
/// Everything that is wrong with it, in the order of the attributes; never an empty list.
pub fn validate(
    name: &str,
    attributes: &[(String, Value)],
    source: Source,
) -> Result<Validated, Vec<AttributeError>> {
    let entity_type = creatable(name, source).map_err(|error| vec![error])?;
    let mut entity = Entity::new(entity_type);
    let (mut errors, mut warnings, mut given) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (written, value) in attributes {
        let modern = modern_value(written, value);
        if let Some(modern) = &modern {
            warnings.push(deprecated_value(entity_type, written, value, modern));
        }
        let value = modern.as_ref().unwrap_or(value);
        match take(&mut entity, written, value, source) {
            Ok(Some(attribute)) => {
                if attribute.alias == Some(written) {
                    warnings.push(deprecated(entity_type, written, attribute.name));
                }
                if !given.insert(attribute.name) {
                    errors.push(doubled(entity_type, attribute, written));
                }
            }
            Ok(None) => {}
            Err(error) => errors.push(error),
        }
    }
    for attribute in entity_type.all_attributes() {
        let is_refused = errors
            .iter()
            .any(|e| e.attribute.as_deref() == Some(attribute.name));
        if attribute.required && entity.get(attribute.name).is_none() && !is_refused {
            let text = match (source, entity_type.missing) {
                (Source::Request, Some(text)) => text.to_owned(),
                _ => format!("Missing required attribute '{}'", attribute.name),
            };
            if errors.iter().all(|error| error.text != text) {
                errors.push(AttributeError::new(attribute.name, text));
            }
        }
    }
    entity.given = given;
    errors.extend(odd(&entity, source));
    warnings.extend(idle(&entity));
    if errors.is_empty() {
        Ok(Validated { entity, warnings })
    } else {
        Err(errors)
    }
}

/// Why an entity that is well written will never do anything.
fn idle(entity: &Entity) -> Option<Oddity> {
    let names = |attribute| entity.get(attribute).is_some();
    let is_idle = *entity.entity_type == AUTO_LINK && !names("connection") && !names("containerId");
    is_idle.then(|| Oddity {
        attribute: "connection".to_owned(),
        text:
            "An autoLink with neither 'connection' nor 'containerId' is never attached: name the \
               listener or connector, or the container-id, of its broker"
                .to_owned(),
    })
}

/// What is wrong with an entity of this type that the table cannot say.
fn odd(entity: &Entity, source: Source) -> Option<AttributeError> {
    if *entity.entity_type == ROUTER {
        return entity.text("id").and_then(odd_router_id);
    }
    if let Some(role @ ("inter-router" | "edge")) = entity.text("role")
        && entity.get("openProperties").is_some()
    {
        let text = format!("openProperties not allowed for role {role}");
        return Some(AttributeError::new("openProperties", text));
    }
    if *entity.entity_type == LISTENER
        && let Some(Err(text)) = entity.text("failoverUrls").map(failover_list)
    {
        return Some(AttributeError::new("failoverUrls", text));
    }
    if let Some(Err(text)) = entity.text("httpOrigins").map(http_origins) {
        return Some(AttributeError::new("httpOrigins", text));
    }
    let list = entity.text("messageLoggingComponents").unwrap_or_default();
    if let Err(name) = MessageParts::from_list(list) {
        let name = shortened(name);
        let known = MessageParts::names().join(", ");
        let text = format!(
            "'{name}' in messageLoggingComponents is no part of a message; give none, all, or a \
             list of these with commas between them: {known}"
        );
        return Some(AttributeError::new("messageLoggingComponents", text));
    }
    // Of a file every mechanism is named, with its line: see the loader.
    if source == Source::Request {
        return entity.text("saslMechanisms").and_then(odd_mechanism);
    }
    None
}

/// Why a listener, a connector or a service cannot have the profile for TLS that it names, which is
/// `profile` if there is one; the attribute that is at fault, and why.
#[must_use]
pub fn unusable_profile(entity: &Entity, profile: Option<&Entity>) -> Option<AttributeError> {
    let is_listener = entity.entity_type().short == "listener";
    let refused = |attribute, text: String| Some(AttributeError::new(attribute, text));
    let Some(name) = entity.text("sslProfile") else {
        let mut demands = ["requireSsl", "requireEncryption"].into_iter();
        let demand = demands.find(|demand| entity.is_true(demand))?;
        return refused(
            demand,
            format!("{demand} needs an sslProfile, there is none here"),
        );
    };
    let Some(profile) = profile else {
        return refused(
            "sslProfile",
            format!("There is no sslProfile of the name '{}'", shortened(name)),
        );
    };
    let lacks = |attribute| profile.get(attribute).is_none();
    if is_listener && lacks("certFile") {
        let text = format!("sslProfile '{name}' has no certFile, which a listener needs");
        return refused("sslProfile", text);
    }
    let mechanisms = entity.text("saslMechanisms").unwrap_or_default();
    if is_listener && mechanisms.contains("EXTERNAL") && lacks("caCertFile") {
        let text = format!("EXTERNAL needs sslProfile '{name}' to have a caCertFile");
        return refused("saslMechanisms", text);
    }
    None
}

/// Why a router of this mode cannot have a listener or connector (`what`) of this role; `None` if
/// it can. An entity does not know its router, so whoever knows both asks.
#[must_use]
pub fn refused_role(mode: &str, what: &str, role: &str) -> Option<String> {
    match (mode, role) {
        ("standalone", "inter-router" | "edge") => Some(
            "role='standalone' not allowed to connect to or accept connections from other \
             routers."
                .to_owned(),
        ),
        ("edge", "inter-router") => Some(interior_only(what, role)),
        ("edge", "edge") if what == "listener" => Some(interior_only(what, role)),
        (_, "edge") => Some(format!(
            "Value '{role}' of 'role' is not supported by this version yet"
        )),
        _ => None,
    }
}

fn interior_only(what: &str, role: &str) -> String {
    format!("role='{role}' only allowed with router mode='interior' for {what}")
}

fn odd_mechanism(list: &str) -> Option<AttributeError> {
    let odd = list
        .split_whitespace()
        .find(|mechanism| !MECHANISMS.contains(mechanism))?;
    let odd = shortened(odd);
    let text = format!("SASL mechanism '{odd}' is not supported by this version yet");
    Some(AttributeError::new("saslMechanisms", text))
}

fn odd_router_id(id: &str) -> Option<AttributeError> {
    let text = if id.chars().count() > ROUTER_ID_MAX {
        let id = shortened(id);
        format!("Router ID \"{id}\" exceeds the maximum allowed length (127 characters)")
    } else {
        let odd = id
            .chars()
            .find(|character| character.is_control() || *character == ' ')?;
        format!(
            "Router id attribute containing character {odd:?} in id {} is disallowed.",
            quoted(&id.to_owned().into())
        )
    };
    Some(AttributeError::new("id", text))
}

/// The type, if an entity of it may be made.
fn creatable(name: &str, source: Source) -> Result<&'static EntityType, AttributeError> {
    let name = match source {
        Source::File => section_type(name),
        Source::Request => name,
    };
    let known = find(name).filter(|entity_type| match source {
        Source::File => entity_type.section.is_some(),
        Source::Request => !entity_type.is_abstract,
    });
    known.ok_or_else(|| AttributeError::whole(unknown_type(name)))
}

/// What is said about a type that does not exist.
#[must_use]
pub fn unknown_type(name: &str) -> String {
    let short = shortened(name.strip_prefix(PREFIX).unwrap_or(name));
    if is_later(name) {
        format!("Entity type '{PREFIX}{short}' is not supported by this version yet")
    } else {
        format!("No such entity type '{PREFIX}{short}'")
    }
}

/// Sets one attribute; `None` if it is to be ignored.
fn take(
    entity: &mut Entity,
    written: &str,
    value: &Value,
    source: Source,
) -> Result<Option<&'static Attribute>, AttributeError> {
    let attribute = resolve(entity.entity_type, written)?;
    if attribute.name == "identity" || (attribute.name == "type" && source == Source::File) {
        let text = format!("Cannot set attribute '{written}' in CREATE");
        return Err(AttributeError::new(written, text));
    }
    if attribute.name == "type" {
        return Ok(None);
    }
    // The log's attributes may be updated, and a file is where they begin.
    let is_settable = attribute.create || (source == Source::File && is_of_file(attribute));
    if !is_settable {
        let text = format!("Cannot set attribute '{written}' in CREATE");
        return match source {
            Source::File => Ok(None),
            Source::Request => Err(AttributeError::new(written, text)),
        };
    }
    if let Some(value) = checked(attribute, written, value)? {
        entity.set(attribute.name, Some(value));
    }
    Ok(Some(attribute))
}

fn is_of_file(attribute: &Attribute) -> bool {
    attribute.update || attribute.required
}

/// The attribute of that name or deprecated name.
fn resolve(
    entity_type: &'static EntityType,
    written: &str,
) -> Result<&'static Attribute, AttributeError> {
    let mut attributes = entity_type.all_attributes();
    let found = attributes.find(|a| a.name == written || a.alias == Some(written));
    found.ok_or_else(|| {
        let written = shortened(written);
        let text = format!(
            "Unknown attribute '{written}' for '{}'",
            entity_type.full_name()
        );
        AttributeError::new(&written, text)
    })
}

/// The value, if it is of the right kind and within what this version can do.
fn checked(
    attribute: &'static Attribute,
    written: &str,
    value: &Value,
) -> Result<Option<Value>, AttributeError> {
    let refused = |text: String| AttributeError::new(written, text);
    let Some(value) = coerce(attribute.kind, value).map_err(refused)? else {
        return Ok(None);
    };
    if let (Some((least, most)), Some(number)) = (attribute.range, value.as_i64())
        && !(least..=most).contains(&number)
    {
        let name = attribute.name;
        return Err(refused(format!(
            "Value {number} of '{name}' is not in {least} to {most}"
        )));
    }
    match attribute.support {
        Support::Later if Some(&value) != fallback(attribute).as_ref() => {
            let text = format!(
                "Attribute '{}' is not supported by this version yet",
                written
            );
            Err(refused(text))
        }
        Support::LaterTags(tags) if value.as_str().is_some_and(|tag| tags.contains(&tag)) => {
            let (tag, name) = (quoted(&value), attribute.name);
            Err(refused(format!(
                "Value {tag} of '{name}' is not supported by this version yet"
            )))
        }
        _ => Ok(Some(value)),
    }
}

fn fallback(attribute: &Attribute) -> Option<Value> {
    match attribute.fallback {
        Fallback::Nothing => None,
        Fallback::Text(text) => Some(text.into()),
        Fallback::Integer(of) => Some(number(of)),
        Fallback::Boolean(truth) => Some(truth.into()),
    }
}

fn deprecated(entity_type: &EntityType, old: &str, new: &str) -> Oddity {
    let entity = section_name(entity_type);
    Oddity {
        attribute: old.to_owned(),
        text: format!(
            "Attribute '{old}' of entity '{entity}' has been deprecated. Use '{new}' instead"
        ),
    }
}

/// What stands today for a value of early releases.
fn modern_value(written: &str, value: &Value) -> Option<Value> {
    match (written, value.as_str()) {
        ("role", Some("on-demand")) => Some("route-container".into()),
        _ => None,
    }
}

fn deprecated_value(entity_type: &EntityType, written: &str, old: &Value, new: &Value) -> Oddity {
    let (entity, old, new) = (section_name(entity_type), quoted(old), quoted(new));
    Oddity {
        attribute: written.to_owned(),
        text: format!(
            "Value {old} of attribute '{written}' of entity '{entity}' has been deprecated. \
             Use {new} instead"
        ),
    }
}

fn doubled(
    entity_type: &EntityType,
    attribute: &'static Attribute,
    written: &str,
) -> AttributeError {
    let (old, new) = (attribute.alias.unwrap_or(attribute.name), attribute.name);
    let entity = section_name(entity_type);
    let text = format!("Both '{old}' and '{new}' cannot be specified for entity '{entity}'");
    AttributeError::new(written, text)
}

fn section_name(entity_type: &EntityType) -> &'static str {
    entity_type.section.unwrap_or(entity_type.short)
}
