//! A router of the network.

use crate::schema::definition::Kind::{EntityId, Integer, List, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::OPERATIONAL;

/// A router of the network; a standalone router shows none.
pub static ROUTER_NODE: EntityType = EntityType {
    short: "router.node",
    extends: Some(&OPERATIONAL),
    attributes: &[
        Attribute::new("id", String, "Id of the router."),
        Attribute::new(
            "protocolVersion",
            Integer,
            "Version of the routing protocol.",
        ),
        Attribute::new("instance", Integer, "Second in which the router started."),
        Attribute::new("linkState", List, "Ids of the router's neighbours."),
        Attribute::new(
            "nextHop",
            String,
            "Id of the neighbour on the way to the router.",
        ),
        Attribute::new(
            "validOrigins",
            List,
            "Routers whose messages come this way.",
        ),
        Attribute::new("address", String, "Address of the router."),
        Attribute::new(
            "routerLink",
            EntityId,
            "Link to the router, if it is a neighbour.",
        ),
        Attribute::new("cost", Integer, "Cost of the way to the router."),
        Attribute::new("lastTopoChange", Integer, "When the network last changed."),
        Attribute::new("index", Integer, "Index of the router."),
    ],
    description: "A router of the network.",
    ..EntityType::PLAIN
};
