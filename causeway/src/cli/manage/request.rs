//! What is asked of a management node, from words of a command line.
//!
//! Owns the operations, which of the words each takes, and what becomes of values; prints nothing.
//! Decision: types are sent by their full names, which every router of this kind knows, and a value
//! whose attribute the schema knows goes out in the attribute's type.

use std::io::Read;

use amqp_codec::{Map, Value};
use management::schema::{self, Attribute, EntityType, Kind, PREFIX};
use serde_json::{Map as Object, Value as Json};

use crate::cli::json;
use crate::cli::manager::{Manager, Trouble};

/// The most that is read from standard input, in bytes.
const INPUT_MAX: u64 = 64 << 20;

/// Whose habits are followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Style {
    /// Those of `causeway manage`: what the schema does not know is the router's business.
    Own,
    /// Those of `qdmanage`: an attribute that the schema does not know is an error.
    Incumbent,
}

/// An operation in words.
#[derive(Debug, Default)]
pub struct Request {
    /// Its name, in any case.
    pub operation: String,
    /// Names of attributes, or `name=value`.
    pub arguments: Vec<String>,
    /// The type, short or full.
    pub entity_type: Option<String>,
    /// The entity's name.
    pub name: Option<String>,
    /// The entity's identity.
    pub identity: Option<String>,
    /// Attributes are read from the input.
    pub reads_input: bool,
    /// The body of an operation that is not built in.
    pub body: Option<String>,
    /// Properties of an operation that is not built in.
    pub properties: Option<String>,
    /// What the input said.
    pub given: Option<Json>,
}

/// What is to be printed.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Nothing.
    Nothing,
    /// This text as it is.
    Text(String),
    /// This in JSON.
    Data(Json),
}

/// Why there is nothing to print.
#[derive(Debug)]
pub enum Problem {
    /// The command line makes no sense.
    Usage(String),
    /// A value makes no sense.
    Value {
        /// What `qdmanage` calls an error of this kind.
        class: &'static str,
        /// What is wrong.
        text: String,
    },
    /// The router did not do it.
    Trouble(Trouble),
    /// An element of a list could not be done; those before it are.
    Element {
        /// Which, counted from 1.
        number: usize,
        /// What has come of those before.
        written: Json,
        /// Why it could not.
        problem: Box<Self>,
    },
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

fn bad(class: &'static str, text: impl Into<String>) -> Problem {
    let text = text.into();
    Problem::Value { class, text }
}

impl Request {
    /// Reads the input, if the operation takes any: before a router waits for it.
    ///
    /// # Errors
    /// If that is not JSON.
    pub fn read_input(&mut self, input: &mut impl Read) -> Result<(), Problem> {
        let is_written = ["CREATE", "UPDATE"].contains(&self.operation.to_uppercase().as_str());
        if self.reads_input && is_written {
            self.given = Some(read_json(input)?);
        }
        Ok(())
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// If words make no sense, or the router refuses or does not answer.
    pub fn perform(mut self, manager: &mut Manager, style: Style) -> Result<Answer, Problem> {
        self.entity_type = self.entity_type.map(|name| full_name(&name));
        let operation = self.operation.to_uppercase();
        match operation.as_str() {
            "QUERY" => self.query(manager),
            "CREATE" | "UPDATE" => self.write(manager, &operation, style),
            "READ" => {
                self.nothing_more(0)?;
                let entity = manager.call("READ", &self.target(), empty())?;
                Ok(Answer::Data(json::from_amqp(&entity)))
            }
            "DELETE" => {
                self.nothing_more(0)?;
                manager.call("DELETE", &self.target(), empty())?;
                Ok(Answer::Nothing)
            }
            "GET-TYPES" | "GET-OPERATIONS" | "GET-ATTRIBUTES" | "GET-ANNOTATIONS" => {
                let filter = match self.entity_type.take() {
                    Some(filter) => Some(filter),
                    None => {
                        self.nothing_more(1)?;
                        self.arguments.first().map(|name| full_name(name))
                    }
                };
                let filter = filter.map(|name| ("entityType", Value::from(name)));
                let types = manager.call_node(&operation, filter)?;
                Ok(Answer::Data(json::from_amqp(&types)))
            }
            "GET-MGMT-NODES" => {
                self.nothing_more(0)?;
                let nodes = manager.call_node(&operation, [])?;
                Ok(Answer::Data(json::from_amqp(&nodes)))
            }
            _ => self.other(manager, style),
        }
    }

    /// Words that the operation has no use for are an error.
    fn nothing_more(&self, most: usize) -> Result<(), Problem> {
        match self.arguments.get(most..) {
            None | Some([]) => Ok(()),
            Some(more) => {
                let text = format!("Unexpected arguments: {}", more.join(" "));
                Err(Problem::Usage(text))
            }
        }
    }

    /// The properties that say which entity is meant; the identity is enough where both are given.
    fn target(&self) -> Vec<(String, Value)> {
        let name = match self.identity {
            Some(_) => &None,
            None => &self.name,
        };
        let all = [
            ("type", &self.entity_type),
            ("name", name),
            ("identity", &self.identity),
        ];
        let given = all.into_iter().filter_map(|(key, text)| {
            let text = text.clone()?;
            Some((key.to_owned(), text.into()))
        });
        given.collect()
    }

    fn query(&self, manager: &mut Manager) -> Result<Answer, Problem> {
        let names: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let entity_type = self.entity_type.as_deref().unwrap_or_default();
        let table = manager.table(entity_type, &names, None)?;
        let entity = |row: &Vec<Value>| {
            let attributes = table.columns.iter().zip(row);
            let present = attributes.filter(|(_, value)| !value.is_null());
            Json::Object(
                present
                    .map(|(name, value)| (name.clone(), json::from_amqp(value)))
                    .collect(),
            )
        };
        Ok(Answer::Data(table.rows.iter().map(entity).collect()))
    }

    /// CREATE and UPDATE: one entity from the command line, or as many as the input has.
    fn write(
        &self,
        manager: &mut Manager,
        operation: &str,
        style: Style,
    ) -> Result<Answer, Problem> {
        if self.given.is_some() && style == Style::Own {
            self.nothing_more(0)?;
        }
        let Some(given) = self.given.clone() else {
            let attributes = self.attributes(style)?;
            return Ok(Answer::Data(
                self.write_one(manager, operation, attributes, style)?,
            ));
        };
        match given {
            Json::Object(attributes) => {
                let written = self.write_one(manager, operation, attributes, style)?;
                Ok(Answer::Data(written))
            }
            Json::Array(entities) => {
                let mut written = Vec::new();
                for (entity, number) in entities.into_iter().zip(1..) {
                    let done = match entity {
                        Json::Object(entity) => self.write_one(manager, operation, entity, style),
                        _ => {
                            let text = "an element of the list from stdin is not a JSON map";
                            Err(bad("ValueError", text))
                        }
                    };
                    match done {
                        Ok(entity) => written.push(entity),
                        Err(problem) => {
                            return Err(Problem::Element {
                                number,
                                written: Json::Array(written),
                                problem: Box::new(problem),
                            });
                        }
                    }
                }
                Ok(Answer::Data(Json::Array(written)))
            }
            _ => Err(bad("ValueError", "stdin is not a JSON map or list")),
        }
    }

    fn write_one(
        &self,
        manager: &mut Manager,
        operation: &str,
        mut attributes: Object<String, Json>,
        style: Style,
    ) -> Result<Json, Problem> {
        if let Some(Json::String(name)) = attributes.get_mut("type") {
            *name = full_name(name);
        }
        let given = |name: &str| attributes.get(name)?.as_str().map(str::to_owned);
        let mut request = Self {
            entity_type: self.entity_type.clone().or_else(|| given("type")),
            name: self.name.clone().or_else(|| given("name")),
            identity: None,
            ..Self::default()
        };
        if operation == "UPDATE" {
            request.identity = self.identity.clone().or_else(|| given("identity"));
            if style == Style::Incumbent {
                attributes.values_mut().for_each(as_truth);
            }
        }
        let body = json::to_amqp(&Json::Object(attributes));
        let entity = manager.call(operation, &request.target(), body)?;
        Ok(json::from_amqp(&entity))
    }

    /// The attributes of the command line.
    fn attributes(&self, style: Style) -> Result<Object<String, Json>, Problem> {
        let known = self.entity_type.as_deref().and_then(schema::find);
        let mut attributes = Object::new();
        for argument in &self.arguments {
            let (name, value) = match argument.split_once('=') {
                None => (argument.as_str(), Json::Null),
                Some((name, text)) => {
                    let entity_type = self.entity_type.as_deref();
                    let attribute = find(known, entity_type, name, style);
                    let truth = text.parse::<bool>().ok();
                    let attribute = match truth {
                        Some(_) => attribute.ok().flatten(),
                        None => attribute?,
                    };
                    // A text may well be one of these words.
                    let is_text = |it: &Attribute| {
                        matches!(it.kind, Kind::String | Kind::Path | Kind::EntityId)
                    };
                    let is_text = attribute.is_some_and(is_text);
                    match truth.filter(|_| !is_text) {
                        Some(truth) => (name, Json::Bool(truth)),
                        None => (name, converted(attribute, text, style)?),
                    }
                }
            };
            attributes.insert(name.to_owned(), value);
        }
        Ok(attributes)
    }

    /// An operation that is not built in: words are properties of the request.
    fn other(&self, manager: &mut Manager, style: Style) -> Result<Answer, Problem> {
        let mut properties = self.target();
        let mut more = self.attributes(style)?;
        if let Some(text) = &self.properties {
            match json_or_text(text)? {
                Json::Object(given) => more.extend(given),
                _ => return Err(bad("ValueError", "--properties is not a JSON map")),
            }
        }
        let more = more.iter().filter(|(_, value)| !value.is_null());
        properties.extend(more.map(|(name, value)| (name.clone(), json::to_amqp(value))));
        let body = self.body.as_deref().map(json_or_text).transpose()?;
        let body = body.filter(|body| !is_empty(body));
        let body = body.map_or_else(empty, |body| json::to_amqp(&body));
        let operation = match style {
            Style::Own => self.operation.to_uppercase(),
            Style::Incumbent => self.operation.clone(),
        };
        let result = manager.call(&operation, &properties, body)?;
        Ok(match json::from_amqp(&result) {
            result if is_empty(&result) => Answer::Nothing,
            Json::String(text) => Answer::Text(text),
            result => Answer::Data(result),
        })
    }
}

fn empty() -> Value {
    Value::Map(Map::new())
}

/// Whether there is nothing in it.
fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Bool(truth) => !truth,
        Json::Number(number) => number.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty(),
        Json::Array(elements) => elements.is_empty(),
        Json::Object(entries) => entries.is_empty(),
    }
}

/// The full name of a type; a few short ones mean those that people ask for most.
fn full_name(name: &str) -> String {
    match name {
        "" => String::new(),
        name if name.contains('.') => name.to_owned(),
        "link" | "node" => format!("{PREFIX}router.{name}"),
        "linkRoute" | "address" | "autoLink" => format!("{PREFIX}router.config.{name}"),
        name => format!("{PREFIX}{name}"),
    }
}

/// The attribute of that name, if the schema knows it.
fn find(
    known: Option<&'static EntityType>,
    entity_type: Option<&str>,
    name: &str,
    style: Style,
) -> Result<Option<&'static Attribute>, Problem> {
    let attribute = known.and_then(|known| {
        let mut all = known.all_attributes();
        all.find(|attribute| attribute.name == name || attribute.alias == Some(name))
    });
    match (style, entity_type) {
        (Style::Incumbent, Some(given)) if known.is_none() && !schema::is_later(given) => {
            let text = format!("No such entity type '{given}'");
            Err(bad("ValidationError", text))
        }
        (Style::Incumbent, Some(given)) if known.is_some() && attribute.is_none() => {
            let text = format!("Unknown attribute '{name}' for '{given}'");
            Err(bad("ValidationError", text))
        }
        _ => Ok(attribute),
    }
}

/// The value of an attribute, in its type where that is known.
fn converted(
    attribute: Option<&'static Attribute>,
    text: &str,
    style: Style,
) -> Result<Json, Problem> {
    let kind = attribute.map(|attribute| attribute.kind);
    match (kind, style) {
        (Some(Kind::Integer), _) => text.trim().parse::<i64>().map(Json::from).map_err(|_| {
            let text = format!("invalid literal for int() with base 10: '{text}'");
            match style {
                Style::Incumbent => bad("ValueError", text),
                Style::Own => {
                    let name = attribute.map_or("it", |attribute| attribute.name);
                    bad("ValueError", format!("{name}: a whole number is wanted"))
                }
            }
        }),
        (Some(Kind::Map | Kind::List | Kind::Properties), Style::Own) => {
            Ok(serde_json::from_str(text).unwrap_or_else(|_| Json::from(text)))
        }
        _ => Ok(Json::from(text)),
    }
}

/// Words that mean yes or no.
fn as_truth(value: &mut Json) {
    match value.as_str() {
        Some("yes" | "true" | "on") => *value = Json::Bool(true),
        Some("no" | "false" | "off") => *value = Json::Bool(false),
        _ => {}
    }
}

fn read_json(input: &mut impl Read) -> Result<Json, Problem> {
    let read = serde_json::from_reader(input.take(INPUT_MAX));
    read.map_err(|error| bad("JSONDecodeError", format!("stdin is not JSON: {error}")))
}

/// JSON, or text that does not look as if it were meant to be.
fn json_or_text(text: &str) -> Result<Json, Problem> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(_) if !text.contains(['"', '{', '}', '[', ']']) => Ok(Json::from(text)),
        Err(error) => {
            let text = format!("Invalid JSON '{text}': {error}");
            Err(bad("ValueError", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attributes(
        entity_type: Option<&str>,
        arguments: &[&str],
        style: Style,
    ) -> Result<Json, String> {
        let request = Request {
            entity_type: entity_type.map(full_name),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            ..Request::default()
        };
        request
            .attributes(style)
            .map(Json::Object)
            .map_err(|problem| match problem {
                Problem::Usage(text) => text,
                Problem::Value { class, text } => format!("{class}: {text}"),
                Problem::Trouble(_) | Problem::Element { .. } => unreachable!(),
            })
    }

    #[test]
    fn short_types_mean_what_people_ask_for() {
        for (short, full) in [
            ("link", "router.link"),
            ("node", "router.node"),
            ("address", "router.config.address"),
            ("autoLink", "router.config.autoLink"),
            ("linkRoute", "router.config.linkRoute"),
            ("listener", "listener"),
        ] {
            assert_eq!(full_name(short), format!("{PREFIX}{full}"));
        }
        assert_eq!(full_name("router.link"), "router.link");
    }

    #[test]
    fn values_go_out_in_the_type_of_their_attribute() {
        let written = ["cost=5", "http=true", "host=7", "name"];
        let expected = json!({"cost": 5, "http": true, "host": "7", "name": null});
        for style in [Style::Own, Style::Incumbent] {
            assert_eq!(
                attributes(Some("listener"), &written, style).unwrap(),
                expected
            );
        }
        // Nobody knows the type: all is text.
        let plain = attributes(None, &["port=5", "x=y=z"], Style::Own).unwrap();
        assert_eq!(plain, json!({"port": "5", "x": "y=z"}));
    }

    #[test]
    fn what_cannot_be_is_refused_in_known_words() {
        let refused = |entity_type: &str, argument: &str| {
            attributes(Some(entity_type), &[argument], Style::Incumbent).unwrap_err()
        };
        let expected = "ValidationError: Unknown attribute 'foo' for \
                        'org.apache.qpid.dispatch.listener'";
        assert_eq!(refused("listener", "foo=1"), expected);
        assert_eq!(
            refused("linkRoute", "foo=1").split(" for ").nth(1),
            Some("'org.apache.qpid.dispatch.router.config.linkRoute'")
        );
        assert_eq!(
            refused("address", "egressPhase=abc"),
            "ValueError: invalid literal for int() with base 10: 'abc'"
        );
        assert_eq!(
            refused("bogus", "a=b"),
            "ValidationError: No such entity type 'org.apache.qpid.dispatch.bogus'"
        );
        // The router may know more than we do.
        assert!(attributes(Some("listener"), &["foo=1"], Style::Own).is_ok());
    }

    #[test]
    fn maps_can_be_given_in_json() {
        let argument = "openProperties={\"a\": [1]}";
        let given = attributes(Some("listener"), &[argument], Style::Own).unwrap();
        assert_eq!(given, json!({"openProperties": {"a": [1]}}));
    }

    #[test]
    fn a_body_is_json_or_plain_text() {
        assert_eq!(json_or_text("5").unwrap(), json!(5));
        assert_eq!(json_or_text("some text").unwrap(), json!("some text"));
        let Err(Problem::Value { class, text }) = json_or_text("{a}") else {
            panic!("that is no JSON");
        };
        assert_eq!(class, "ValueError");
        assert!(text.starts_with("Invalid JSON '{a}': "), "{text}");
    }
}
