//! Link routes that belong to a connection: a container makes them for itself.

use crate::schema::definition::Kind::{Enum, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::OPERATIONAL;

/// A link route that leads to the connection by which it was made, and goes with it.
pub static CONNECTION_LINK_ROUTE: EntityType = EntityType {
    short: "router.connection.linkRoute",
    extends: Some(&OPERATIONAL),
    operations: &["CREATE", "DELETE"],
    attributes: &[
        Attribute::new(
            "pattern",
            String,
            "Tokens, * for one and # for any number of them.",
        )
        .required()
        .create(),
        Attribute::new(
            "direction",
            Enum(&["in", "out"]),
            "in: clients that send; out: clients that receive.",
        )
        .required()
        .create(),
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
