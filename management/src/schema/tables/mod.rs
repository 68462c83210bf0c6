//! The one table of everything that can be managed, one file an area, and the look-up of types by
//! name.
//! Decision: what the incumbent has and this version has not is listed by name, so that it is
//! refused as "not yet" instead of as unknown.

mod address;
mod auth_service;
mod auto_link;
mod base;
mod common;
mod connection;
mod connector;
mod dummy;
mod link;
mod link_route;
mod listener;
mod log;
mod node;
mod policy;
mod profile;
mod range;
mod router;
mod scoped_route;
mod stats;

pub use address::{CONFIG_ADDRESS, ROUTER_ADDRESS};
pub use auth_service::AUTH_SERVICE;
pub use auto_link::AUTO_LINK;
pub use base::{AMQP_MANAGEMENT, ENTITY, MANAGEMENT};
pub use connection::CONNECTION;
pub use connector::CONNECTOR;
pub use dummy::DUMMY;
pub use link::ROUTER_LINK;
pub use link_route::LINK_ROUTE;
pub use listener::{LISTENER, MECHANISMS};
pub use log::{LOG, MODULES};
pub use node::ROUTER_NODE;
pub use policy::POLICY;
pub use profile::SSL_PROFILE;
pub use router::ROUTER;
pub use scoped_route::CONNECTION_LINK_ROUTE;
pub use stats::{ALLOCATOR, LOG_STATS};

use crate::schema::definition::{EntityType, PREFIX};

/// All types, in the order in which they are listed.
pub static ENTITY_TYPES: &[&EntityType] = &[
    &ENTITY,
    &AMQP_MANAGEMENT,
    &MANAGEMENT,
    &base::CONFIGURATION,
    &base::OPERATIONAL,
    &ROUTER,
    &AUTH_SERVICE,
    &LISTENER,
    &CONNECTOR,
    &LOG,
    &SSL_PROFILE,
    &CONFIG_ADDRESS,
    &LINK_ROUTE,
    &AUTO_LINK,
    &CONNECTION_LINK_ROUTE,
    &ROUTER_LINK,
    &ROUTER_ADDRESS,
    &ROUTER_NODE,
    &CONNECTION,
    &LOG_STATS,
    &ALLOCATOR,
    &POLICY,
    &policy::VHOST,
    &policy::VHOST_STATS,
    &DUMMY,
];

/// Types of the incumbent, by short name, that this version does not have.
const LATER: &[&str] = &[
    "router.config.exchange",
    "router.config.binding",
    "console",
    "vhostUserGroupSettings",
];

/// Sections of a configuration file whose name is not that of a type.
const SECTIONS: &[(&str, &str)] = &[
    ("address", "router.config.address"),
    ("linkRoute", "router.config.linkRoute"),
    ("autoLink", "router.config.autoLink"),
    ("exchange", "router.config.exchange"),
    ("binding", "router.config.binding"),
];

/// The type of that name, short or full.
#[must_use]
pub fn find(name: &str) -> Option<&'static EntityType> {
    let short = name.strip_prefix(PREFIX).unwrap_or(name);
    ENTITY_TYPES
        .iter()
        .copied()
        .find(|entity_type| entity_type.short == short)
}

/// Whether a type of that name, short or full, is planned.
#[must_use]
pub fn is_later(name: &str) -> bool {
    LATER.contains(&name.strip_prefix(PREFIX).unwrap_or(name))
}

/// The name of the type that a section of a configuration file stands for.
#[must_use]
pub(in crate::schema) fn section_type(section: &str) -> &str {
    SECTIONS
        .iter()
        .find(|(name, _)| *name == section)
        .map_or(section, |(_, full)| full)
}
