//! The abstract types, and the management node itself.
//! They have no section in a configuration file.

use crate::schema::definition::{Attribute, EntityType, Kind};

/// The root of all types.
pub static ENTITY: EntityType = EntityType {
    short: "entity",
    is_abstract: true,
    attributes: &[
        Attribute::new(
            "name",
            Kind::String,
            "Name of the entity, unique over all types.",
        )
        .create()
        .unique(),
        Attribute::new(
            "identity",
            Kind::String,
            "Identity of the entity, set by the router.",
        )
        .unique(),
        Attribute::new("type", Kind::String, "Full name of the entity's type.")
            .create()
            .required(),
    ],
    description: "Base of all entities.",
    ..EntityType::PLAIN
};

/// What may stand in a configuration file.
pub(super) static CONFIGURATION: EntityType = EntityType {
    short: "configurationEntity",
    extends: Some(&ENTITY),
    operations: &["READ"],
    is_abstract: true,
    description: "Base of the entities that a configuration file may hold.",
    ..EntityType::PLAIN
};

/// What only the running router has.
pub(super) static OPERATIONAL: EntityType = EntityType {
    short: "operationalEntity",
    extends: Some(&ENTITY),
    operations: &["READ"],
    is_abstract: true,
    description: "Base of the entities that show the state of the running router.",
    ..EntityType::PLAIN
};

/// The management node of the standard's management draft.
pub static AMQP_MANAGEMENT: EntityType = EntityType {
    short: "org.amqp.management",
    extends: Some(&OPERATIONAL),
    operations: &[
        "QUERY",
        "GET-TYPES",
        "GET-ANNOTATIONS",
        "GET-OPERATIONS",
        "GET-ATTRIBUTES",
        "GET-MGMT-NODES",
    ],
    is_abstract: true,
    description: "A management node.",
    ..EntityType::PLAIN
};

/// This router's management node.
pub static MANAGEMENT: EntityType = EntityType {
    short: "management",
    extends: Some(&AMQP_MANAGEMENT),
    operations: &[
        "GET-SCHEMA",
        "GET-JSON-SCHEMA",
        "GET-LOG",
        "RELOAD",
        "DRAIN",
    ],
    singleton: true,
    description: "The management node of this router.",
    ..EntityType::PLAIN
};
