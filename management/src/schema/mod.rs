//! The schema: one table of entity types and attributes that everything about configuration and
//! management is read from, and the checks that follow from it.
//!
//! ```text
//!   configuration file ─┐                      ┌─► loader, agent: CREATE
//!                       ├─► validate ► Entity ─┤
//!   body of a request ──┘      ▲               └─► settings of router, listeners, log
//!                            tables ─► GET-SCHEMA, columns, docs_markdown
//! ```

mod coerce;
mod definition;
mod entity;
mod failover;
mod origins;
mod tables;

pub use coerce::{coerce, number, shortened};
pub use definition::{Attribute, EntityType, Fallback, Kind, PREFIX, Support};
pub use entity::{
    AttributeError, Entity, Oddity, Source, Validated, refused_role, unknown_type,
    unusable_profile, validate,
};
pub use failover::failover_list;
pub use origins::http_origins;
pub use tables::{
    ALLOCATOR, AMQP_MANAGEMENT, AUTH_SERVICE, AUTO_LINK, CONFIG_ADDRESS, CONNECTION,
    CONNECTION_LINK_ROUTE, CONNECTOR, DUMMY, ENTITY, ENTITY_TYPES, LINK_ROUTE, LISTENER, LOG,
    LOG_STATS, MANAGEMENT, MECHANISMS, MODULES, POLICY, ROUTER, ROUTER_ADDRESS, ROUTER_LINK,
    ROUTER_NODE, SSL_PROFILE, find, is_later,
};
