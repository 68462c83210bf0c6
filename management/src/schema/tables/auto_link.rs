//! Auto-links: links that the router attaches by itself, to a broker in the path of an address.

use crate::schema::definition::Kind::{Boolean, Enum, Integer, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::CONFIGURATION;

/// The configuration of an auto-link.
pub static AUTO_LINK: EntityType = EntityType {
    short: "router.config.autoLink",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "DELETE"],
    attributes: &[
        Attribute::new("address", String, "The address in this network.")
            .required()
            .create()
            .alias("addr"),
        Attribute::new(
            "direction",
            Enum(&["in", "out"]),
            "in: the router receives from the container; out: it sends there.",
        )
        .required()
        .create()
        .alias("dir"),
        Attribute::new(
            "phase",
            Integer,
            "Phase of the address, 0 to 9; where silent, 1 for in and 0 for out.",
        )
        .create(),
        Attribute::new(
            "containerId",
            String,
            "The container-id of the peers that it is for.",
        )
        .create(),
        Attribute::new(
            "connection",
            String,
            "Name of the listener or connector whose connections it is for.",
        )
        .create(),
        Attribute::new(
            "externalAddress",
            String,
            "The address as the container knows it, if that differs.",
        )
        .create()
        .alias("externalAddr"),
        Attribute::new(
            "fallback",
            Boolean,
            "Out: it gets what nobody else takes. In: what comes from there is not to go back.",
        )
        .boolean(false)
        .create(),
        Attribute::new(
            "linkRef",
            String,
            "Identity of its link while it is active.",
        ),
        Attribute::new(
            "operStatus",
            Enum(&["inactive", "attaching", "failed", "active"]),
            "inactive: no container is connected; failed: it is tried again after two seconds, \
             then every five.",
        ),
        Attribute::new(
            "lastError",
            String,
            "Why it failed; nothing once it is active.",
        ),
    ],
    columns: &[
        "name",
        "identity",
        "type",
        "address",
        "addr",
        "direction",
        "dir",
        "phase",
        "connection",
        "containerId",
        "externalAddress",
        "externalAddr",
        "linkRef",
        "operStatus",
        "lastError",
        "fallback",
    ],
    shows_nulls: true,
    section: Some("autoLink"),
    missing: Some("address and direction fields are mandatory"),
    description: "A link that the router attaches to each of its containers, as a producer or \
                  consumer of an address.",
    ..EntityType::PLAIN
};
