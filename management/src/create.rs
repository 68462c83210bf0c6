//! CREATE: from the body of a request to an entity that has been checked.

use amqp_codec::Value;

use crate::query::known;
use crate::schema::{CONNECTION, Entity, MANAGEMENT, ROUTER, Source, validate};
use crate::status::{Failure, Status};
use crate::store::not_implemented;
use crate::wire::Content;

/// Errors of one request that its answer tells one by one.
const ERRORS_TOLD: usize = 10;

/// The entity that a request describes; its name and type may stand in the application properties
/// or in the body.
pub(crate) fn read(content: &Content) -> Result<Entity, Failure> {
    let mut attributes = attributes(&content.body)?;
    let of_type = in_either(content, "type", &attributes)?;
    let of_type = of_type.ok_or_else(|| Failure::bad_request("No 'type' attribute in request"))?;
    let entity_type = known(&of_type)?;
    if *entity_type == ROUTER {
        return Err(Status::Forbidden.into());
    }
    if entity_type.is_a(&MANAGEMENT) || *entity_type == CONNECTION {
        return Err(not_implemented("CREATE", entity_type));
    }
    if !entity_type
        .all_operations()
        .any(|operation| operation == "CREATE")
    {
        return Err(not_implemented("CREATE", entity_type));
    }
    let name = in_either(content, "name", &attributes)?;
    attributes.retain(|(attribute, _)| attribute != "name" && attribute != "type");
    let is_pattern = |attribute: &str| matches!(attribute, "prefix" | "pattern");
    for (attribute, value) in &attributes {
        if is_pattern(attribute) && !value.is_null() && value.as_str().is_none() {
            let text = format!("'{attribute}' must be a non-empty string type");
            return Err(Failure::bad_request(text));
        }
    }
    if let Some(name) = name {
        attributes.push(("name".to_owned(), name.into()));
    }
    match validate(&of_type, &attributes, Source::Request) {
        Ok(validated) => Ok(validated.entity),
        Err(errors) => {
            let more = errors.len().saturating_sub(ERRORS_TOLD);
            let errors = errors.into_iter().take(ERRORS_TOLD);
            let mut texts: Vec<_> = errors.map(|error| error.text).collect();
            if more > 0 {
                texts.push(format!("and {more} more"));
            }
            Err(Failure::bad_request(texts.join("; ")))
        }
    }
}

/// The attributes in a body.
pub(crate) fn attributes(body: &Value) -> Result<Vec<(String, Value)>, Failure> {
    let refused = || Failure::bad_request("Body of request must be a map");
    let map = body.as_map().ok_or_else(refused)?;
    let entries = map.iter().map(|(key, value)| {
        let key = key
            .as_str()
            .ok_or_else(|| Failure::bad_request("Keys must be strings"))?;
        Ok((key.to_owned(), value.clone()))
    });
    entries.collect()
}

/// A text that may stand in the properties, in the body, or, if it is the same, in both.
fn in_either(
    content: &Content,
    name: &str,
    attributes: &[(String, Value)],
) -> Result<Option<String>, Failure> {
    let in_body = attributes.iter().find(|(attribute, _)| attribute == name);
    let in_body = match in_body {
        None | Some((_, Value::Null)) => None,
        Some((_, value)) => match value.as_str() {
            Some(text) => Some(text),
            None => return Err(Failure::bad_request(format!("'{name}' must be a string"))),
        },
    };
    match (content.text(name)?, in_body) {
        (Some(one), Some(other)) if one != other => Err(Failure::bad_request(format!(
            "Conflicting values for '{name}'"
        ))),
        (one, other) => Ok(one.or(other).map(str::to_owned)),
    }
}
