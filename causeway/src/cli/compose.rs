//! What `causeway send` makes of bodies and options: whole messages.
//!
//! Owns the options that describe a message and the encoding of bodies; it sends nothing.

use std::path::PathBuf;
use std::time::Duration;

use amqp_codec::message::{Body, Header, Message, Properties};
use amqp_codec::{Map, Str, Symbol, Value};
use bytes::Bytes;
use clap::{Args, ValueEnum};

use crate::cli::body::{Bodies, Source};
use crate::cli::failure::Failure;
use crate::cli::json;
use crate::cli::quantity;

/// What a message is made of.
#[derive(Clone, Debug, Args)]
pub struct MessageOptions {
    /// Bodies, one message each.
    #[arg(value_name = "BODY", conflicts_with = "file")]
    pub body: Vec<String>,
    /// Send the content of FILE (`-`: standard input) as one message.
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Send each line of the file as a message of its own.
    #[arg(long, requires = "file")]
    pub lines: bool,
    /// Send all of it N times.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "lines")]
    pub count: u64,
    /// How bodies are encoded; files are data, the rest is text where silent.
    #[arg(long = "as", value_name = "FORM", value_enum)]
    pub form: Option<Form>,
    /// What the message is about.
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,
    /// An application property; NAME:=JSON for one that is no text. May be given again.
    #[arg(long = "property", short = 'p', value_name = "NAME=TEXT")]
    pub properties: Vec<String>,
    /// Ask for the message to survive restarts.
    #[arg(long)]
    pub durable: bool,
    /// The priority, 0 to 255; 4 is ordinary.
    #[arg(long, value_name = "N")]
    pub priority: Option<u8>,
    /// How long the message is wanted.
    #[arg(long, value_name = "TIME", value_parser = quantity::parse_duration)]
    pub ttl: Option<Duration>,
    /// The address in the message itself.
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
    /// Where answers go to.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "reply")]
    pub reply_to: Option<String>,
    /// The id of the message.
    #[arg(long, value_name = "TEXT")]
    pub message_id: Option<String>,
    /// The id of the message this one answers.
    #[arg(long, value_name = "TEXT")]
    pub correlation_id: Option<String>,
    /// The MIME type of the body.
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Form {
    /// A text (amqp-value with a string).
    Text,
    /// Bytes (a data section).
    Data,
    /// The AMQP value that says what the JSON says.
    Json,
}

impl MessageOptions {
    /// Opens the source of bodies.
    ///
    /// # Errors
    /// If there is none, or the file cannot be read.
    pub fn bodies(&self) -> Result<Bodies, Failure> {
        let source = match &self.file {
            Some(file) if self.lines => Source::Lines(file.clone()),
            Some(file) => Source::Whole(file.clone()),
            None if self.body.is_empty() => {
                return Err(Failure::new("there is nothing to send").hint(
                    "give one or more bodies, or --file FILE; `--file -` reads standard input",
                ));
            }
            None => Source::Given(self.body.iter().map(|body| body.clone().into()).collect()),
        };
        Bodies::open(source, self.count)
    }

    fn form(&self) -> Form {
        self.form.unwrap_or(if self.file.is_some() && !self.lines {
            Form::Data
        } else {
            Form::Text
        })
    }
}

/// Makes messages from bodies.
#[derive(Clone, Debug)]
pub struct Composer {
    form: Form,
    message: Message,
}

impl Composer {
    /// A composer for these options. `to` is set in each message that has no other `to`.
    ///
    /// # Errors
    /// If an option cannot be encoded.
    pub fn new(options: &MessageOptions, to: Option<&str>) -> Result<Self, Failure> {
        let mut header = Header {
            durable: options.durable,
            ..Header::default()
        };
        if let Some(priority) = options.priority {
            header.priority = priority;
        }
        if let Some(ttl) = options.ttl {
            let milliseconds = u32::try_from(ttl.as_millis())
                .map_err(|_| Failure::new("--ttl is at most 49 days"))?;
            header.ttl = Some(milliseconds);
        }
        let text = |text: &Option<String>| text.as_deref().map(Str::copy);
        let properties = Properties {
            message_id: text(&options.message_id).map(Value::String),
            to: options.to.as_deref().or(to).map(Str::copy),
            subject: text(&options.subject),
            reply_to: text(&options.reply_to),
            correlation_id: text(&options.correlation_id).map(Value::String),
            content_type: options.content_type.as_deref().map(symbol).transpose()?,
            ..Properties::default()
        };
        let mut application_properties = Map::new();
        for property in &options.properties {
            application_properties.0.push(parse_property(property)?);
        }
        let message = Message {
            header: (header != Header::default()).then_some(header),
            properties,
            application_properties,
            ..Message::default()
        };
        Ok(Self {
            form: options.form(),
            message,
        })
    }

    /// The message with this body as bytes. With `reply_to` it is a request: it gets that address
    /// and, unless the person has chosen one, its number as correlation id.
    ///
    /// # Errors
    /// If the body is not what its form demands.
    pub fn message(
        &self,
        body: &Bytes,
        number: u64,
        reply_to: Option<&Str>,
    ) -> Result<Bytes, Failure> {
        let mut message = Message {
            body: encode(self.form, body)?,
            ..self.message.clone()
        };
        if let Some(reply_to) = reply_to {
            message.properties.reply_to = Some(reply_to.clone());
            message
                .properties
                .correlation_id
                .get_or_insert(Value::Ulong(number));
        }
        Ok(message.encode())
    }
}

/// The body in its form.
fn encode(form: Form, body: &Bytes) -> Result<Body, Failure> {
    match form {
        Form::Data => Ok(Body::Data(vec![body.clone()])),
        Form::Text => match Str::from_bytes(body.clone()) {
            Ok(text) => Ok(Body::Value(Value::String(text))),
            Err(_) => Err(Failure::new("a body is no UTF-8 text").hint("--as data sends bytes")),
        },
        Form::Json => match serde_json::from_slice(body) {
            Ok(value) => Ok(Body::Value(json::to_amqp(&value))),
            Err(error) => Err(Failure::new(format!("a body is no JSON: {error}"))),
        },
    }
}

/// Reads `NAME=TEXT` or `NAME:=JSON`.
fn parse_property(property: &str) -> Result<(Value, Value), Failure> {
    let Some((name, text)) = property.split_once('=') else {
        return Err(Failure::new(format!("`{property}` is no property"))
            .hint("write NAME=TEXT, or NAME:=JSON for a number, true, false or null"));
    };
    match name.strip_suffix(':') {
        None => Ok((Str::copy(name).into(), Str::copy(text).into())),
        Some(name) => match serde_json::from_str(text) {
            Ok(value) => Ok((Str::copy(name).into(), json::to_amqp(&value))),
            Err(error) => Err(Failure::new(format!(
                "property `{name}` is no JSON: {error}"
            ))),
        },
    }
}

fn symbol(text: &str) -> Result<Symbol, Failure> {
    Symbol::try_copy(text).ok_or_else(|| Failure::new(format!("`{text}` is not ASCII")))
}

#[cfg(test)]
mod tests {
    use amqp_codec::message;
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        message: MessageOptions,
        #[arg(long)]
        reply: bool,
    }

    fn options(words: &[&str]) -> MessageOptions {
        let line = Line::parse_from(["test"].iter().chain(words));
        assert!(!line.reply);
        line.message
    }

    fn sent(words: &[&str], body: &'static str) -> Message {
        let composer = Composer::new(&options(words), None).unwrap();
        message::parse(&composer.message(&body.into(), 0, None).unwrap()).unwrap()
    }

    #[test]
    fn a_plain_body_is_a_text_without_further_sections() {
        let expected = Message {
            body: Body::Value("hello".into()),
            ..Message::default()
        };
        assert_eq!(sent(&["x"], "hello"), expected);
    }

    #[test]
    fn options_end_in_their_sections() {
        let words = [
            "--durable",
            "--priority",
            "7",
            "--ttl",
            "2s",
            "--subject",
            "s",
            "-p",
            "a=b=c",
            "-p",
            "n:=5",
            "--to",
            "q",
            "--message-id",
            "m",
            "--content-type",
            "text/plain",
            "--as",
            "data",
        ];
        let message = sent(&words, "x");
        let header = message.header.unwrap();
        assert_eq!(
            (header.durable, header.priority, header.ttl),
            (true, 7, Some(2000))
        );
        assert_eq!(message.properties.subject.unwrap().as_str(), "s");
        assert_eq!(message.properties.to.unwrap().as_str(), "q");
        assert_eq!(
            message.application_properties.get("a"),
            Some(&Value::from("b=c"))
        );
        assert_eq!(
            message.application_properties.get("n"),
            Some(&Value::Long(5))
        );
        assert_eq!(message.body, Body::Data(vec!["x".into()]));
    }

    #[test]
    fn a_request_says_where_the_answer_goes() {
        let composer = Composer::new(&options(&["x"]), Some("there")).unwrap();
        let bytes = composer
            .message(&"x".into(), 3, Some(&"back".into()))
            .unwrap();
        let properties = message::parse(&bytes).unwrap().properties;
        assert_eq!(properties.reply_to.unwrap().as_str(), "back");
        assert_eq!(properties.correlation_id, Some(Value::Ulong(3)));
        assert_eq!(properties.to.unwrap().as_str(), "there");
    }

    #[test]
    fn what_cannot_be_encoded_is_said() {
        let text = Composer::new(&options(&["x"]), None).unwrap();
        let failure = text
            .message(&Bytes::from_static(b"\xff"), 0, None)
            .unwrap_err();
        assert!(failure.hint_text().unwrap().contains("--as data"));
        let json = Composer::new(&options(&["x", "--as", "json"]), None).unwrap();
        assert!(
            json.message(&"{".into(), 0, None)
                .unwrap_err()
                .to_string()
                .contains("no JSON")
        );
        let failure = |words: &[&str]| Composer::new(&options(words), None).unwrap_err();
        assert!(
            failure(&["-p", "alone"])
                .hint_text()
                .unwrap()
                .contains("NAME=TEXT")
        );
        assert!(failure(&["-p", "a:=x"]).to_string().contains("no JSON"));
        assert!(
            failure(&["--ttl", "80000m"])
                .to_string()
                .contains("49 days")
        );
    }

    #[test]
    fn nothing_to_send_is_an_error_that_says_how() {
        let failure = options(&[]).bodies().unwrap_err();
        assert!(failure.hint_text().unwrap().contains("--file -"));
    }
}
