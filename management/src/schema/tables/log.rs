//! What goes into the log, module by module.

use crate::schema::definition::Kind::{Boolean, Enum, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::CONFIGURATION;

/// The modules that can be configured, in the schema's order.
pub const MODULES: &[&str] = &[
    "ROUTER",
    "ROUTER_CORE",
    "ROUTER_HELLO",
    "ROUTER_LS",
    "ROUTER_MA",
    "MESSAGE",
    "SERVER",
    "AGENT",
    "AUTHSERVICE",
    "CONTAINER",
    "ERROR",
    "POLICY",
    "HTTP",
    "CONN_MGR",
    "PYTHON",
    "PROTOCOL",
    "DEFAULT",
];

/// The settings of one module.
pub static LOG: EntityType = EntityType {
    short: "log",
    extends: Some(&CONFIGURATION),
    operations: &["UPDATE"],
    attributes: &[
        Attribute::new(
            "module",
            Enum(MODULES),
            "The part of the router that writes.",
        )
        .required(),
        Attribute::new(
            "enable",
            String,
            "Levels, such as info+; absent: as module DEFAULT.",
        )
        .update(),
        Attribute::new("includeTimestamp", Boolean, "Lines begin with the time.")
            .update()
            .alias("timestamp"),
        Attribute::new(
            "includeSource",
            Boolean,
            "Lines end with the place in the source.",
        )
        .update()
        .alias("source"),
        Attribute::new("outputFile", String, "stderr, stdout, syslog or a file.")
            .update()
            .alias("output"),
    ],
    section: Some("log"),
    description: "What goes into the log, module by module.",
    ..EntityType::PLAIN
};
