//! The asking side: requests as messages, responses as values, pages put together.
//!
//! It never sends anything: whoever has a connection does. Decision: a table is asked for in pages
//! of a fixed size, as the incumbent's tools do, and a server that ignores the page is noticed.

use std::fmt;

use amqp_codec::message::{Body, MessageBuilder, Properties, parse};
use amqp_codec::{DecodeError, Map, Str, Value};
use bytes::Bytes;

/// The address of the management node of the router that one is connected to.
pub const MANAGEMENT_ADDRESS: &str = "$management";

/// Rows asked for at once.
pub const PAGE_ROWS: usize = 500;

/// Rows that a table may have: more are not for people.
const TABLE_ROWS: usize = 1_000_000;

/// Makes requests whose answers go to one address.
#[derive(Clone, Debug)]
pub struct Client {
    reply_to: Str,
    last_id: u64,
}

/// A request as a message.
#[derive(Clone, Debug)]
pub struct Call {
    /// The correlation-id that the response will carry.
    pub id: u64,
    /// The message, for `$management`.
    pub message: Bytes,
}

impl Client {
    /// A client that is answered at that address, usually that of a dynamic source.
    #[must_use]
    pub fn new(reply_to: impl Into<String>) -> Self {
        Self {
            reply_to: reply_to.into().into(),
            last_id: 0,
        }
    }

    /// Any request: an operation with application properties and a body.
    #[must_use]
    pub fn call<'a>(
        &mut self,
        operation: &str,
        properties: impl IntoIterator<Item = (&'a str, Value)>,
        body: Value,
    ) -> Call {
        self.last_id += 1;
        let mut application_properties = Map::new();
        application_properties.push("operation", operation.to_owned());
        for (name, value) in properties {
            application_properties.push(name.to_owned(), value);
        }
        let properties = Properties {
            reply_to: Some(self.reply_to.clone()),
            correlation_id: Some(Value::Ulong(self.last_id)),
            ..Properties::default()
        };
        let builder = MessageBuilder::new().properties(properties);
        let message = builder
            .application_properties(application_properties)
            .value(body)
            .build();
        Call {
            id: self.last_id,
            message,
        }
    }

    /// A request to the management node itself, such as GET-MGMT-NODES.
    #[must_use]
    pub fn node_call(
        &mut self,
        operation: &str,
        properties: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Call {
        let node = [
            ("type", Value::from("org.amqp.management")),
            ("name", Value::from("self")),
        ];
        self.call(
            operation,
            node.into_iter().chain(properties),
            Value::Map(Map::new()),
        )
    }
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientError {
    /// The message cannot be decoded.
    Malformed(DecodeError),
    /// The message is no response, or its result is not of the form it must have.
    Unexpected(&'static str),
    /// The router refused.
    Refused {
        /// The status code, 300 or more.
        status: i32,
        /// Its reason.
        description: String,
    },
}

impl fmt::Display for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(formatter, "malformed response: {error}"),
            Self::Unexpected(text) => write!(formatter, "unexpected response: {text}"),
            Self::Refused {
                status,
                description,
            } => write!(formatter, "{description} ({status})"),
        }
    }
}

impl std::error::Error for ClientError {}

/// A response as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The request's correlation-id as it came back.
    pub correlation_id: Option<Value>,
    /// The status code.
    pub status: i32,
    /// What it means.
    pub description: String,
    /// The result.
    pub body: Value,
}

impl Response {
    /// Whether it was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// If it cannot be decoded or has no status.
    pub fn read(message: &Bytes) -> Result<Self, ClientError> {
        let message = parse(message).map_err(ClientError::Malformed)?;
        let status = message
            .application_properties
            .get("statusCode")
            .and_then(Value::as_i64);
        let status = status.and_then(|status| i32::try_from(status).ok());
        let description = message.application_properties.get("statusDescription");
        Ok(Self {
            correlation_id: message.properties.correlation_id,
            status: status.ok_or(ClientError::Unexpected("it has no status"))?,
            description: description
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            body: match message.body {
                Body::Value(value) => value,
                Body::None | Body::Data(_) | Body::Sequence(_) => Value::Null,
            },
        })
    }

    /// Whether it answers that call.
    #[must_use]
    pub fn answers(&self, call: &Call) -> bool {
        self.correlation_id.as_ref().and_then(Value::as_u64) == Some(call.id)
    }

    /// The result.
    ///
    /// # Errors
    /// If the router refused.
    pub fn result(self) -> Result<Value, ClientError> {
        match self.is_success() {
            true => Ok(self.body),
            false => Err(ClientError::Refused {
                status: self.status,
                description: self.description,
            }),
        }
    }
}

/// Rows of entities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The names of the attributes.
    pub columns: Vec<String>,
    /// The values, in the order of the columns; each row is as long as these.
    pub rows: Vec<Vec<Value>>,
}

impl Table {
    /// The place of an attribute.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The value of an attribute in a row; null where there is none.
    #[must_use]
    pub fn value<'a>(&self, row: &'a [Value], name: &str) -> &'a Value {
        self.column(name)
            .and_then(|column| row.get(column))
            .unwrap_or(&Value::Null)
    }
}

/// A QUERY, page by page.
#[derive(Clone, Debug)]
pub struct Query {
    entity_type: String,
    attributes: Vec<String>,
    limit: usize,
    asked: usize,
    table: Table,
}

impl Query {
    /// All entities of a type (an empty name: of any), or the first `limit`; no attributes means
    /// all.
    #[must_use]
    pub fn new<'a>(
        entity_type: impl Into<String>,
        attributes: impl IntoIterator<Item = &'a str>,
        limit: Option<usize>,
    ) -> Self {
        Self {
            entity_type: entity_type.into(),
            attributes: attributes.into_iter().map(str::to_owned).collect(),
            limit: limit.unwrap_or(TABLE_ROWS).min(TABLE_ROWS),
            asked: 0,
            table: Table::default(),
        }
    }

    /// The request for the next page.
    pub fn next_page(&mut self, client: &mut Client) -> Call {
        self.asked = PAGE_ROWS.min(self.limit - self.table.rows.len());
        let names = self
            .attributes
            .iter()
            .map(|name| Value::from(name.clone()))
            .collect();
        let mut body = Map::new();
        body.push("attributeNames", Value::List(names));
        let count = |number: usize| Value::Ulong(number as u64);
        let all = [
            ("type", Value::from("org.amqp.management")),
            ("name", Value::from("self")),
            ("entityType", self.entity_type.clone().into()),
            ("offset", count(self.table.rows.len())),
            ("count", count(self.asked)),
        ];
        let is_filtered = !self.entity_type.is_empty();
        let properties = all.into_iter();
        let properties = properties.filter(|(name, _)| *name != "entityType" || is_filtered);
        client.call("QUERY", properties, Value::Map(body))
    }

    /// Takes a page; true if there may be another.
    ///
    /// # Errors
    /// If the router refused, or the page is none.
    pub fn take(&mut self, response: Response) -> Result<bool, ClientError> {
        let body = response.result()?;
        let member = |name| {
            body.as_map()
                .and_then(|map| map.get(name))
                .and_then(Value::as_list)
        };
        let columns = member("attributeNames").ok_or(ClientError::Unexpected("no columns"))?;
        let results = member("results").ok_or(ClientError::Unexpected("no rows"))?;
        let columns: Vec<String> = columns
            .iter()
            .map(|name| name.as_str().unwrap_or_default().to_owned())
            .collect();
        let page: Vec<Vec<Value>> = results
            .iter()
            .map(|row| row.as_list().unwrap_or_default().to_vec())
            .collect();
        if page.iter().any(|row| row.len() != columns.len()) {
            return Err(ClientError::Unexpected(
                "a row is not as long as the columns",
            ));
        }
        if page.len() > self.asked {
            return Err(ClientError::Unexpected(
                "the router gives more rows than were asked for",
            ));
        }
        if self.is_last_page(&columns, &page) {
            return Err(ClientError::Unexpected(
                "the router gives the same page again",
            ));
        }
        let is_full = page.len() >= self.asked;
        self.table.columns = columns;
        self.table.rows.extend(page);
        Ok(is_full && self.table.rows.len() < self.limit)
    }

    /// Whether those are the entities that came last. Only an identity tells: other attributes may
    /// be the same for many.
    fn is_last_page(&self, columns: &[String], page: &[Vec<Value>]) -> bool {
        let Some(identity) = columns.iter().position(|name| name == "identity") else {
            return false;
        };
        let known = self.table.rows.iter().rev();
        let pairs = known.zip(page.iter().rev());
        let is_same = |(one, other): (&Vec<Value>, &Vec<Value>)| {
            let one = one.get(identity).filter(|value| **value != Value::Null);
            one.is_some() && one == other.get(identity)
        };
        !page.is_empty() && self.table.rows.len() >= page.len() && pairs.into_iter().all(is_same)
    }

    /// The rows of all pages.
    #[must_use]
    pub fn into_table(self) -> Table {
        self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(rows: impl IntoIterator<Item = u64>) -> Response {
        let rows = rows
            .into_iter()
            .map(|id| Value::List(vec![Value::Ulong(id)]))
            .collect();
        let mut body = Map::new();
        body.push("attributeNames", Value::List(vec!["identity".into()]));
        body.push("results", Value::List(rows));
        let body = Value::Map(body);
        Response {
            correlation_id: None,
            status: 200,
            description: "OK".to_owned(),
            body,
        }
    }

    fn asked(call: &Call, name: &str) -> Option<u64> {
        let message = parse(&call.message).expect("a request");
        message
            .application_properties
            .get(name)
            .and_then(Value::as_u64)
    }

    #[test]
    fn pages_follow_each_other_until_one_is_short() {
        let mut client = Client::new("here");
        let mut query = Query::new("router.link", ["identity"], None);
        let first = query.next_page(&mut client);
        assert_eq!(
            (asked(&first, "offset"), asked(&first, "count")),
            (Some(0), Some(500))
        );
        assert_eq!(query.take(response(0..500)), Ok(true));
        let second = query.next_page(&mut client);
        assert_ne!(first.id, second.id);
        assert_eq!(asked(&second, "offset"), Some(500));
        assert_eq!(query.take(response(500..501)), Ok(false));
        assert_eq!(query.into_table().rows.len(), 501);
    }

    #[test]
    fn a_limit_ends_the_table() {
        let mut client = Client::new("here");
        let mut query = Query::new("router.link", [], Some(510));
        assert_eq!(asked(&query.next_page(&mut client), "count"), Some(500));
        assert_eq!(query.take(response(0..500)), Ok(true));
        assert_eq!(asked(&query.next_page(&mut client), "count"), Some(10));
        assert_eq!(query.take(response(500..510)), Ok(false));
        assert_eq!(query.into_table().rows.len(), 510);
    }

    #[test]
    fn a_router_that_ignores_the_page_does_not_hold_the_client_for_ever() {
        let mut client = Client::new("here");
        let mut query = Query::new("log", [], None);
        query.next_page(&mut client);
        assert_eq!(query.take(response(0..500)), Ok(true));
        query.next_page(&mut client);
        assert!(query.take(response(0..500)).is_err());
        let mut query = Query::new("log", [], None);
        query.next_page(&mut client);
        assert!(query.take(response(0..600)).is_err());
    }

    #[test]
    fn pages_of_equal_values_are_not_taken_for_the_same_page() {
        let balanced = |rows| {
            let mut page = response((0..rows).map(|_| 7));
            if let Value::Map(map) = &mut page.body {
                map.0[0].1 = Value::List(vec!["distribution".into()]);
            }
            page
        };
        let mut client = Client::new("here");
        let mut query = Query::new("address", ["distribution"], None);
        query.next_page(&mut client);
        assert_eq!(query.take(balanced(500)), Ok(true));
        query.next_page(&mut client);
        assert_eq!(query.take(balanced(500)), Ok(true));
        query.next_page(&mut client);
        assert_eq!(query.take(balanced(2)), Ok(false));
        assert_eq!(query.into_table().rows.len(), 1002);
    }

    #[test]
    fn a_refusal_is_an_error_with_its_reason() {
        let description = "No such entity type 'x'".to_owned();
        let refused = Response {
            status: 400,
            description,
            ..response([])
        };
        let error = Query::new("x", [], None).take(refused).expect_err("400");
        assert_eq!(error.to_string(), "No such entity type 'x' (400)");
    }

    #[test]
    fn rows_of_another_length_than_the_columns_are_refused() {
        let mut bad = response([1]);
        if let Value::Map(map) = &mut bad.body {
            map.0[0].1 = Value::List(Vec::new());
        }
        assert!(Query::new("x", [], None).take(bad).is_err());
        let empty = Response {
            body: Value::Null,
            ..response([])
        };
        assert!(Query::new("x", [], None).take(empty).is_err());
    }

    #[test]
    fn a_message_without_a_status_is_no_response() {
        let message = MessageBuilder::new().value("hello").build();
        assert!(matches!(
            Response::read(&message),
            Err(ClientError::Unexpected(_))
        ));
        assert!(matches!(
            Response::read(&Bytes::new()),
            Err(ClientError::Malformed(_))
        ));
    }
}
