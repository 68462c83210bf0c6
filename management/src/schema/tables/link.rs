//! A link of a connection.

use crate::schema::definition::Kind::{Enum, Integer, List, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::OPERATIONAL;

/// A link.
pub static ROUTER_LINK: EntityType = EntityType {
    short: "router.link",
    extends: Some(&OPERATIONAL),
    operations: &["UPDATE"],
    attributes: ATTRIBUTES,
    columns: &[
        "name",
        "identity",
        "type",
        "linkName",
        "linkType",
        "linkDir",
        "owningAddr",
        "capacity",
        "peer",
        "undeliveredCount",
        "unsettledCount",
        "deliveryCount",
        "connectionId",
        "adminStatus",
        "operStatus",
        "presettledCount",
        "droppedPresettledCount",
        "acceptedCount",
        "rejectedCount",
        "releasedCount",
        "modifiedCount",
        "deliveriesDelayed1Sec",
        "deliveriesDelayed10Sec",
        "deliveriesStuck",
        "ingressHistogram",
        "priority",
        "settleRate",
        "creditAvailable",
        "zeroCreditSeconds",
    ],
    shows_nulls: true,
    description: "A link of a connection.",
    ..EntityType::PLAIN
};

const ATTRIBUTES: &[Attribute] = &[
    Attribute::new(
        "adminStatus",
        Enum(&["enabled", "disabled"]),
        "What the administrator wants.",
    )
    .text("enabled")
    .update(),
    Attribute::new(
        "operStatus",
        Enum(&["up", "down", "quiescing", "idle"]),
        "How the link is.",
    ),
    Attribute::new("linkName", String, "Name that the peer gave the link."),
    Attribute::new("linkType", Enum(LINK_TYPES), "What the link is for."),
    Attribute::new("linkDir", Enum(&["in", "out"]), "Which way messages flow."),
    Attribute::new("owningAddr", String, "Key of the address of the link."),
    Attribute::new("capacity", Integer, "Deliveries that may be under way."),
    Attribute::new(
        "peer",
        String,
        "Identity of the other half of a routed link.",
    ),
    Attribute::graph("undeliveredCount", "Deliveries that wait."),
    Attribute::graph("unsettledCount", "Deliveries that are not settled."),
    Attribute::graph("deliveryCount", "Deliveries so far."),
    Attribute::new("connectionId", String, "Identity of the connection."),
    Attribute::graph("presettledCount", "Deliveries that were sent settled."),
    Attribute::graph("droppedPresettledCount", "Settled deliveries dropped."),
    Attribute::graph("acceptedCount", "Deliveries that ended accepted."),
    Attribute::graph("rejectedCount", "Deliveries that ended rejected."),
    Attribute::graph("releasedCount", "Deliveries that ended released."),
    Attribute::graph("modifiedCount", "Deliveries that ended modified."),
    Attribute::graph(
        "deliveriesDelayed1Sec",
        "Deliveries under way for 1 to 10 seconds.",
    ),
    Attribute::graph(
        "deliveriesDelayed10Sec",
        "Deliveries under way for over 10 seconds.",
    ),
    Attribute::graph("deliveriesStuck", "Deliveries that are stuck now."),
    Attribute::graph("creditAvailable", "Credit of whoever sends."),
    Attribute::new("zeroCreditSeconds", Integer, "Seconds without credit."),
    Attribute::graph(
        "settleRate",
        "Deliveries settled a second, over the last five.",
    ),
    Attribute::new(
        "ingressHistogram",
        List,
        "Deliveries to a client by the router where they entered the network: by its index, 0 for \
         this one, 128 numbers or up to the last that has any.",
    ),
    Attribute::new(
        "priority",
        Integer,
        "Priority of the deliveries between routers.",
    ),
];

const LINK_TYPES: &[&str] = &[
    "endpoint",
    "router-control",
    "inter-router",
    "edge-downlink",
];
