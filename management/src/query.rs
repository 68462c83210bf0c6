//! QUERY: which rows, which columns, which page.
//!
//! It never asks shards. Decision: an answer is bounded by its bytes and the number of its values
//! while it is made, and a request for more is told to ask for smaller pages: a short page would be
//! taken for the last one.

use std::collections::BTreeSet;

use amqp_codec::{Encoded, Map, Value};

use router_core::limits::ANSWER_BYTES;

use crate::rows::Row;
use crate::schema::unknown_type;
use crate::schema::{AMQP_MANAGEMENT, ENTITY_TYPES, EntityType, PREFIX, find, is_later, shortened};
use crate::status::{Failure, Status};
use crate::wire::{Content, Response};

/// Values that one answer may hold.
const VALUES: usize = 1 << 20;

/// Attribute names that one request may hold: more than all types together have.
const NAMES: usize = 256;

/// A query, checked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// All types whose entities are wanted.
    types: Vec<&'static EntityType>,
    columns: Vec<String>,
    offset: Option<usize>,
    count: Option<usize>,
    /// One type is asked for, by its full name.
    in_full: bool,
}

impl Plan {
    /// Reads a query.
    pub(crate) fn read(content: &Content) -> Result<Self, Failure> {
        let filter = filter(content)?;
        let types: Vec<_> = concrete_types(filter).collect();
        let columns = match asked_names(&content.body)? {
            Some(names) => checked_names(names, filter, &types)?,
            None => all_names(&types),
        };
        let offset = content.number("offset")?.unwrap_or(0);
        let count = content.number("count")?.filter(|count| *count > 0);
        Ok(Self {
            types,
            columns,
            offset: usize::try_from(offset).ok(),
            count: count.and_then(|count| usize::try_from(count).ok()),
            in_full: is_in_full(content)?,
        })
    }

    /// The types whose entities are wanted.
    pub(crate) fn types(&self) -> &[&'static EntityType] {
        &self.types
    }

    /// Whether it asks for a page after the first.
    pub(crate) fn is_continued(&self) -> bool {
        self.offset.is_some_and(|offset| offset > 0)
    }

    /// Whether so many rows do not fit its page.
    pub(crate) fn leaves_some(&self, rows: usize) -> bool {
        self.count.is_some_and(|count| count < rows)
    }

    /// The page, out of all rows of the types.
    pub(crate) fn answer<'a>(
        &self,
        rows: impl Iterator<Item = Row<'a>>,
    ) -> Result<Response, Failure> {
        let most = VALUES / self.columns.len().max(1);
        let take = self.count.unwrap_or(usize::MAX);
        let rows = rows.map(|row| match self.in_full {
            true => row,
            false => row.as_configured(),
        });
        let rows = rows.filter(|row| self.has_something(row));
        let (mut results, mut bytes) = (Vec::new(), 0);
        // A negative offset has no page.
        if let Some(offset) = self.offset {
            for row in rows.skip(offset).take(take) {
                let values: Vec<_> = self.values(&row).collect();
                bytes += values.iter().map(encoded_bytes).sum::<usize>();
                if results.len() == most || bytes > ANSWER_BYTES {
                    return Err(too_much(results.len()));
                }
                results.push(Value::List(values));
            }
        }
        let names = self
            .columns
            .iter()
            .map(|name| Value::from(name.clone()))
            .collect();
        let mut body = Map::new();
        body.push("attributeNames", Value::List(names));
        body.push("results", Value::List(results));
        Ok(Response::new(Status::Ok, Value::Map(body)))
    }

    fn values<'a>(&'a self, row: &'a Row<'_>) -> impl Iterator<Item = Value> + 'a {
        self.columns.iter().map(|name| row.value(name))
    }

    /// Rows with nothing but nulls are left out, but for the live tables.
    fn has_something(&self, row: &Row<'_>) -> bool {
        row.entity_type().shows_nulls || self.values(row).any(|value| !value.is_null())
    }
}

/// What a value takes in an answer, or a little more.
fn encoded_bytes(value: &Value) -> usize {
    match value {
        Value::Null => 1,
        Value::String(text) => 5 + text.len(),
        Value::Symbol(text) => 5 + text.as_str().len(),
        Value::Binary(bytes) => 5 + bytes.len(),
        Value::List(_) | Value::Map(_) | Value::Array(_) | Value::Described(_) => {
            Encoded::from_value(value).as_bytes().len()
        }
        _ => 9,
    }
}

fn too_much(rows: usize) -> Failure {
    Failure::bad_request(format!(
        "Too many rows for one answer, {rows} fit: use 'offset' and 'count'"
    ))
}

/// The type that the request asks about; `None`: all.
///
/// # Errors
/// An unknown type.
pub(crate) fn filter(content: &Content) -> Result<Option<&'static EntityType>, Failure> {
    let name = match content.text("entityType")? {
        Some(name) => Some(name),
        // Every node request of the stock client has the node's own type there.
        None => content.text("type")?.filter(|name| !is_management(name)),
    };
    name.map(known).transpose()
}

/// Whether the type is given by its full name.
fn is_in_full(content: &Content) -> Result<bool, Failure> {
    let name = match content.text("entityType")? {
        Some(name) => Some(name),
        None => content.text("type")?,
    };
    Ok(name.is_some_and(|name| name.starts_with(PREFIX)))
}

/// The type of that name.
///
/// # Errors
/// 400 for an unknown one, 501 for one that is planned.
pub(crate) fn known(name: &str) -> Result<&'static EntityType, Failure> {
    let status = if is_later(name) {
        Status::NotImplemented
    } else {
        Status::BadRequest
    };
    find(name).ok_or_else(|| Failure::new(status, unknown_type(name)))
}

/// Whether the name is that of the management node's type or of one it extends.
pub(crate) fn is_management(name: &str) -> bool {
    find(name).is_some_and(|entity_type| entity_type.is_a(&AMQP_MANAGEMENT))
}

/// The types that have entities and extend a type, itself included.
fn concrete_types(
    filter: Option<&'static EntityType>,
) -> impl Iterator<Item = &'static EntityType> {
    let is_wanted = move |entity_type: &EntityType| {
        !entity_type.is_abstract && filter.is_none_or(|filter| entity_type.is_a(filter))
    };
    ENTITY_TYPES
        .iter()
        .copied()
        .filter(move |entity_type| is_wanted(entity_type))
}

/// The attribute names in the body; `None` for all.
fn asked_names(body: &Value) -> Result<Option<&[Value]>, Failure> {
    let map = match body {
        Value::Null => return Ok(None),
        Value::Map(map) => map,
        _ => return Err(Failure::bad_request("Body of request must be a map")),
    };
    match map.get("attributeNames") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::List(names)) if names.len() > NAMES => Err(Failure::bad_request(format!(
            "More than {NAMES} attribute names"
        ))),
        Some(Value::List(names)) => Ok(Some(&**names).filter(|names| !names.is_empty())),
        Some(_) => Err(Failure::bad_request("'attributeNames' must be a list")),
    }
}

fn checked_names(
    names: &[Value],
    filter: Option<&'static EntityType>,
    types: &[&'static EntityType],
) -> Result<Vec<String>, Failure> {
    let mut checked = Vec::new();
    let mut unknown = Vec::new();
    for name in names {
        match name.as_str() {
            Some(name)
                if types
                    .iter()
                    .any(|entity_type| has_attribute(entity_type, name)) =>
            {
                checked.push(name.to_owned());
            }
            Some(name) => unknown.push(format!("'{}'", shortened(name))),
            None => return Err(Failure::bad_request("Attribute names must be strings")),
        }
    }
    let Some(first) = unknown.first() else {
        return Ok(checked);
    };
    let of_type = filter.map(|filter| format!(" for type {}", filter.full_name()));
    let text = format!(
        "Unknown attributes [{first}]{}.",
        of_type.unwrap_or_default()
    );
    Err(Failure::new(Status::NotFound, text))
}

fn has_attribute(entity_type: &EntityType, name: &str) -> bool {
    entity_type.attribute(name).is_some() || entity_type.columns.contains(&name)
}

/// The columns of all types, each once.
fn all_names(types: &[&'static EntityType]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = types
        .iter()
        .flat_map(|entity_type| entity_type.all_columns());
    names
        .filter(|name| seen.insert(*name))
        .map(str::to_owned)
        .collect()
}
