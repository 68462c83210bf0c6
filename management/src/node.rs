//! Operations of the management node itself that need nobody's rows: the schema, the routers of the
//! network, the log.
//! It changes nothing.

use amqp_codec::{Map, Value};
use router_core::control::ControlPlane;
use router_core::mesh::NodeRow;

use crate::describe;
use crate::host::Host;
use crate::query::{filter, is_management, known};
use crate::rows::node_address;
use crate::schema::{MANAGEMENT, number};
use crate::status::Failure;
use crate::store::not_implemented;
use crate::wire::Content;

/// The answer to an operation.
pub(crate) fn body(
    operation: &str,
    content: &Content,
    control: &mut ControlPlane,
    host: &dyn Host,
) -> Result<Value, Failure> {
    let target = content.text("type")?.filter(|name| !is_management(name));
    if let Some(entity_type) = target.map(known).transpose()? {
        return Err(not_implemented(operation, entity_type));
    }
    let body = match operation {
        "GET-TYPES" => describe::types(filter(content)?),
        "GET-OPERATIONS" => describe::operations(filter(content)?),
        "GET-ATTRIBUTES" => describe::attributes(filter(content)?),
        "GET-ANNOTATIONS" => filter(content).map(|_| Value::Map(Map::new()))?,
        // The routers of the network; one that stands alone is in none.
        "GET-MGMT-NODES" => {
            let nodes = control.nodes();
            let agent = |node: &NodeRow| format!("{}/$management", node_address(&node.id)).into();
            Value::List(nodes.iter().map(agent).collect())
        }
        "GET-SCHEMA" => describe::schema(),
        "GET-JSON-SCHEMA" => describe::json_schema(content.number("indent")?),
        "GET-LOG" => log_rows(content.number("limit")?, control, host),
        _ => return Err(not_implemented(operation, &MANAGEMENT)),
    };
    Ok(body)
}

/// The newest lines of the log, what was said of this request among them; a limit of none or less
/// means all.
fn log_rows(limit: Option<i64>, control: &mut ControlPlane, host: &dyn Host) -> Value {
    let limit = limit
        .filter(|limit| *limit > 0)
        .and_then(|limit| usize::try_from(limit).ok());
    let mut said = Vec::new();
    control.drain_notices(&mut said);
    let rows = host.log_rows(limit, &mut said).into_iter().map(|row| {
        Value::List(vec![
            row.module.into(),
            row.level.into(),
            row.text.into(),
            row.file.into(),
            row.line.map(|line| number(line.into())).into(),
            number(row.seconds),
        ])
    });
    Value::List(rows.collect())
}
