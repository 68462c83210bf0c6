//! CALLME: a request that an entity answers with what it was asked.
//! It changes nothing.

use amqp_codec::Value;

use crate::rows::Row;
use crate::schema::DUMMY;
use crate::status::{Failure, Status};
use crate::store::not_implemented;
use crate::target::Target;
use crate::wire::{Content, Response};

/// The answer, if what is called can be called.
pub(crate) fn callme<'a>(
    content: &Content,
    target: &Target,
    rows: impl Iterator<Item = Row<'a>>,
) -> Result<Response, Failure> {
    if let Some(entity_type) = target.entity_type().filter(|of| **of != DUMMY) {
        return Err(not_implemented("CALLME", entity_type));
    }
    target.check()?;
    let entity_type = target.find(rows)?.entity_type();
    if *entity_type != DUMMY {
        return Err(not_implemented("CALLME", entity_type));
    }
    let body = Value::Map(content.properties.clone());
    Ok(Response::new(Status::Ok, body))
}
