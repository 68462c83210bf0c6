//! The type with which management is tried out.

use crate::schema::definition::Kind::{Integer, String};
use crate::schema::definition::{Attribute, EntityType};
use crate::schema::tables::base::ENTITY;

/// An entity that does nothing.
pub static DUMMY: EntityType = EntityType {
    short: "dummy",
    extends: Some(&ENTITY),
    operations: &["CREATE", "READ", "UPDATE", "DELETE", "CALLME"],
    attributes: &[
        Attribute::new("arg1", String, "Any text.")
            .create()
            .update(),
        Attribute::new("arg2", String, "Any text.")
            .create()
            .update(),
        Attribute::new("num1", Integer, "Any number.")
            .create()
            .update(),
        Attribute::new("num2", Integer, "Any number.")
            .create()
            .update(),
    ],
    section: Some("dummy"),
    description: "Does nothing and is looked at by nothing: scripts and client libraries try \
                  management with it. CALLME answers with the application properties of the \
                  request.",
    ..EntityType::PLAIN
};
