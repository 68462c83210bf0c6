//! Owns how frames look in a protocol trace.
//! It never runs unless someone traces. Decision: a trace is made from a frame's bytes through
//! `Value`, not from the structs, so that it shows what was on the wire, unknown fields included.

use crate::composite::Composite as _;
use crate::definitions::AmqpError;
use crate::descriptor;
use crate::message::{Header, Properties};
use crate::performative::{Attach, Begin, Close, Detach, Disposition, End, Flow, Open, Transfer};
use crate::state::Modified;
use crate::terminus::{Coordinator, Source, Target};
use crate::value::{Escaped, Map, Value};
use bytes::Bytes;
use std::fmt::{self, Display, Formatter};

/// The performative at the start of `bytes`, in the notation of the incumbent's frame tracer:
/// `@begin(17) [next-outgoing-id=0x0, …]`. Null fields are left out, unsigned numbers are
/// hexadecimal. What SASL responses carry is hidden. Bytes that are no value are shown as they are.
#[must_use]
pub fn describe_performative(bytes: &Bytes) -> String {
    match Value::decode(bytes) {
        Ok((value, _)) => Shown(&value).to_string(),
        Err(error) => format!("<{error}> {}", Escaped(bytes)),
    }
}

/// A frame's body: its performative and, if there is one, its payload with its length in bytes,
/// of which at most `payload_bytes_max` are shown.
#[must_use]
pub fn describe_frame(body: &Bytes, payload_bytes_max: usize) -> String {
    let Ok((value, length)) = Value::decode(body) else {
        return describe_performative(body);
    };
    let payload = &body[length..];
    if payload.is_empty() {
        return Shown(&value).to_string();
    }
    let shown = &payload[..payload.len().min(payload_bytes_max)];
    let rest = if shown.len() < payload.len() {
        "..."
    } else {
        ""
    };
    format!(
        "{} ({}) {}{rest}",
        Shown(&value),
        payload.len(),
        Escaped(shown)
    )
}

/// A value in which described lists of the standard show their names.
struct Shown<'a>(&'a Value);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Described(both) => match (both.0.as_u64().and_then(composite), &both.1) {
                (Some(known), Value::List(fields)) => show_composite(f, &known, fields),
                _ => write!(f, "@{} {}", both.0, Shown(&both.1)),
            },
            Value::List(elements) => show_all(f, elements.iter()),
            Value::Map(map) => show_map(f, map),
            scalar => write!(f, "{scalar:#}"),
        }
    }
}

/// What the trace knows of a composite type.
struct Known {
    code: u8,
    name: &'static str,
    fields: &'static [&'static str],
    /// Its binary fields carry credentials.
    secret: bool,
}

fn show_composite(f: &mut Formatter<'_>, known: &Known, fields: &[Value]) -> fmt::Result {
    write!(f, "@{}({}) [", known.name, known.code)?;
    let mut separator = "";
    for (index, field) in fields
        .iter()
        .enumerate()
        .filter(|(_, field)| !field.is_null())
    {
        f.write_str(separator)?;
        separator = ", ";
        if let Some(name) = known.fields.get(index) {
            write!(f, "{}=", name.replace('_', "-"))?;
        }
        match field {
            Value::Binary(bytes) if known.secret => write!(f, "<{} bytes>", bytes.len())?,
            field => Display::fmt(&Shown(field), f)?,
        }
    }
    f.write_str("]")
}

fn show_all<'a>(f: &mut Formatter<'_>, values: impl Iterator<Item = &'a Value>) -> fmt::Result {
    f.write_str("[")?;
    for (index, value) in values.enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(f, "{separator}{}", Shown(value))?;
    }
    f.write_str("]")
}

fn show_map(f: &mut Formatter<'_>, map: &Map) -> fmt::Result {
    f.write_str("{")?;
    for (index, (key, value)) in map.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        write!(f, "{separator}{}={}", Shown(key), Shown(value))?;
    }
    f.write_str("}")
}

/// The name and the fields behind a descriptor.
fn composite(code: u64) -> Option<Known> {
    let code = u8::try_from(code).ok()?;
    let (name, fields): (_, &'static [&'static str]) = match code {
        descriptor::OPEN => ("open", Open::FIELDS),
        descriptor::BEGIN => ("begin", Begin::FIELDS),
        descriptor::ATTACH => ("attach", Attach::FIELDS),
        descriptor::FLOW => ("flow", Flow::FIELDS),
        descriptor::TRANSFER => ("transfer", Transfer::FIELDS),
        descriptor::DISPOSITION => ("disposition", Disposition::FIELDS),
        descriptor::DETACH => ("detach", Detach::FIELDS),
        descriptor::END => ("end", End::FIELDS),
        descriptor::CLOSE => ("close", Close::FIELDS),
        descriptor::ERROR => ("error", AmqpError::FIELDS),
        descriptor::RECEIVED => ("received", &["section_number", "section_offset"]),
        descriptor::ACCEPTED => ("accepted", &[]),
        descriptor::REJECTED => ("rejected", &["error"]),
        descriptor::RELEASED => ("released", &[]),
        descriptor::MODIFIED => ("modified", Modified::FIELDS),
        descriptor::SOURCE => ("source", Source::FIELDS),
        descriptor::TARGET => ("target", Target::FIELDS),
        descriptor::COORDINATOR => ("coordinator", Coordinator::FIELDS),
        descriptor::DECLARED => ("declared", &["txn_id"]),
        descriptor::TRANSACTIONAL_STATE => ("transactional-state", &["txn_id", "outcome"]),
        descriptor::SASL_MECHANISMS => ("sasl-mechanisms", &["sasl_server_mechanisms"]),
        descriptor::SASL_INIT => ("sasl-init", &["mechanism", "initial_response", "hostname"]),
        descriptor::SASL_CHALLENGE => ("sasl-challenge", &["challenge"]),
        descriptor::SASL_RESPONSE => ("sasl-response", &["response"]),
        descriptor::SASL_OUTCOME => ("sasl-outcome", &["code", "additional_data"]),
        descriptor::HEADER => ("header", Header::FIELDS),
        descriptor::PROPERTIES => ("properties", Properties::FIELDS),
        _ => return None,
    };
    let secret = (descriptor::SASL_INIT..=descriptor::SASL_OUTCOME).contains(&code);
    Some(Known {
        code,
        name,
        fields,
        secret,
    })
}
