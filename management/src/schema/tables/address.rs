//! Addresses: how they are configured, and how they are used.

use crate::schema::definition::Kind::{Boolean, Enum, Integer, List, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::{CONFIGURATION, OPERATIONAL};
use crate::schema::tables::range::{PATTERN, PREFIX};

/// The configuration of a range of addresses.
pub static CONFIG_ADDRESS: EntityType = EntityType {
    short: "router.config.address",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "DELETE"],
    attributes: &[
        PREFIX,
        PATTERN,
        Attribute::new(
            "distribution",
            Enum(DISTRIBUTIONS),
            "How deliveries are dealt.",
        )
        .text("balanced")
        .create(),
        Attribute::new(
            "waypoint",
            Boolean,
            "Messages go through a broker: phases 0 and 1.",
        )
        .boolean(false)
        .create(),
        Attribute::new("ingressPhase", Integer, "Phase of senders, 0 to 9.").create(),
        Attribute::new("egressPhase", Integer, "Phase of receivers, 0 to 9.").create(),
        Attribute::new(
            "priority",
            Integer,
            "Priority of the messages between routers, 0 to 9.",
        )
        .create(),
        Attribute::new(
            "enableFallback",
            Boolean,
            "What nobody takes goes to a fallback.",
        )
        .boolean(false)
        .create()
        .alias("fallback"),
    ],
    columns: &[
        "name",
        "identity",
        "type",
        "prefix",
        "distribution",
        "waypoint",
        "ingressPhase",
        "egressPhase",
        "pattern",
        "priority",
        "fallback",
    ],
    shows_nulls: true,
    section: Some("address"),
    description: "How a range of addresses is served.",
    ..EntityType::PLAIN
};

const DISTRIBUTIONS: &[&str] = &["multicast", "closest", "balanced", "unavailable"];

/// An address in use.
pub static ROUTER_ADDRESS: EntityType = EntityType {
    short: "router.address",
    extends: Some(&OPERATIONAL),
    attributes: &[
        Attribute::new(
            "distribution",
            Enum(TREATMENTS),
            "How deliveries are dealt.",
        ),
        Attribute::new("inProcess", Integer, "Consumers inside the router."),
        Attribute::graph("subscriberCount", "Consumers on links of this router."),
        Attribute::graph("remoteCount", "Other routers with consumers."),
        Attribute::graph("containerCount", "Containers behind a link route."),
        Attribute::graph("deliveriesIngress", "Deliveries from clients."),
        Attribute::graph("deliveriesEgress", "Deliveries to clients."),
        Attribute::graph("deliveriesTransit", "Deliveries to other routers."),
        Attribute::graph(
            "deliveriesToContainer",
            "Deliveries to consumers inside the router.",
        ),
        Attribute::graph(
            "deliveriesFromContainer",
            "Deliveries from inside the router.",
        ),
        Attribute::graph(
            "deliveriesIngressRouteContainer",
            "Deliveries from route containers.",
        ),
        Attribute::graph(
            "deliveriesEgressRouteContainer",
            "Deliveries to route containers.",
        ),
        Attribute::graph(
            "deliveriesRedirectedToFallback",
            "Deliveries meant for the fallback: they went there or began to wait for it.",
        ),
        Attribute::new(
            "key",
            String,
            "Class letter, phase and text of the address.",
        ),
        Attribute::new(
            "remoteHostRouters",
            List,
            "Ids of the routers with consumers.",
        ),
        Attribute::new(
            "transitOutstanding",
            List,
            "Unsettled deliveries to each router, by its index, 128 numbers or up to the last that \
             has any: of balanced ones with a choice.",
        ),
        Attribute::new(
            "trackedDeliveries",
            Integer,
            "Deliveries that wait for a consumer on a link of this router, or were sent to one and \
             are not settled.",
        ),
        Attribute::new(
            "priority",
            Integer,
            "Priority between routers; -1: the message's own.",
        ),
    ],
    columns: &[
        "name",
        "identity",
        "type",
        "key",
        "distribution",
        "inProcess",
        "subscriberCount",
        "remoteCount",
        "containerCount",
        "remoteHostRouters",
        "deliveriesIngress",
        "deliveriesEgress",
        "deliveriesTransit",
        "deliveriesToContainer",
        "deliveriesFromContainer",
        "deliveriesEgressRouteContainer",
        "deliveriesIngressRouteContainer",
        "transitOutstanding",
        "trackedDeliveries",
        "priority",
        "deliveriesRedirectedToFallback",
    ],
    shows_nulls: true,
    description: "An address in use.",
    ..EntityType::PLAIN
};

const TREATMENTS: &[&str] = &[
    "flood",
    "multicast",
    "closest",
    "balanced",
    "linkBalanced",
    "unavailable",
];
