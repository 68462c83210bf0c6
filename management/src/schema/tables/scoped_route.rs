//! Link routes that belong to a connection: a container makes them for itself.

use crate::schema::definition::Kind::String;
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::OPERATIONAL;
use crate::schema::tables::range::{DIRECTION, PATTERN};

/// A link route that leads to the connection by which it was made, and goes with it.
pub static CONNECTION_LINK_ROUTE: EntityType = EntityType {
    short: "router.connection.linkRoute",
    extends: Some(&OPERATIONAL),
    operations: &["CREATE", "DELETE"],
    attributes: &[
        PATTERN.required(),
        DIRECTION,
        Attribute::new("containerId", String, "The container-id of the peer."),
    ],
    columns: &[
        "name",
        "identity",
        "type",
        "pattern",
        "direction",
        "containerId",
    ],
    shows_nulls: true,
    description: "Links to a range of addresses go to the connection that says so.",
    ..EntityType::PLAIN
};
