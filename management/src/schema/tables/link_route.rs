//! Link routes: ranges of addresses whose links go to a container.

use crate::schema::definition::Kind::{Enum, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::CONFIGURATION;
use crate::schema::tables::range::{DIRECTION, PATTERN, PREFIX};

/// The configuration of a link route.
pub static LINK_ROUTE: EntityType = EntityType {
    short: "router.config.linkRoute",
    extends: Some(&CONFIGURATION),
    operations: &["CREATE", "DELETE"],
    attributes: &[
        PREFIX,
        PATTERN,
        Attribute::new(
            "addExternalPrefix",
            String,
            "What addresses get in front on the way to the container.",
        )
        .create(),
        Attribute::new(
            "delExternalPrefix",
            String,
            "What addresses lose in front on the way to the container.",
        )
        .create(),
        Attribute::new(
            "containerId",
            String,
            "The container-id of the peers that it leads to.",
        )
        .create(),
        Attribute::new(
            "connection",
            String,
            "Name of the listener or connector that it leads to.",
        )
        .create(),
        Attribute::new(
            "distribution",
            Enum(&["linkBalanced"]),
            "How links are dealt.",
        )
        .text("linkBalanced")
        .create(),
        DIRECTION.alias("dir"),
        Attribute::new(
            "operStatus",
            Enum(&["inactive", "active"]),
            "Whether a container that it leads to is connected.",
        ),
    ],
    columns: &[
        "name",
        "identity",
        "type",
        "prefix",
        "distribution",
        "connection",
        "containerId",
        "direction",
        "dir",
        "operStatus",
        "pattern",
        "addExternalPrefix",
        "delExternalPrefix",
    ],
    shows_nulls: true,
    section: Some("linkRoute"),
    missing: Some("No 'direction' attribute provided - it is mandatory"),
    description: "Links to a range of addresses go to a container.",
    ..EntityType::PLAIN
};
