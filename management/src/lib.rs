//! The management schema, agent and client of the router.
//!
//! ```text
//!   ControlPlane ──request──► agent ──► query, target, create ──► store, work ──► rows ──► wire
//!        ▲                      │                                   │
//!        └──response, ask───────┘                         schema: one table
//! ```
//!
//! Everything here is sans-I/O: the agent takes messages from the control plane and gives messages
//! back, the client makes and reads messages. Nothing here reads a file or a clock; what only the
//! program around the router knows comes through [`Host`].
//!
//! Decision: one table of entity types ([`schema`]) feeds validation, the agent, the configuration
//! loader, columns and documentation.
#![forbid(unsafe_code)]

mod agent;
mod amend;
mod asked;
pub mod client;
mod configured;
mod counted;
mod create;
mod describe;
mod docs;
mod dummy;
#[doc(hidden)]
pub mod fuzz;
mod host;
pub mod json;
mod made;
mod node;
mod operate;
mod pages;
mod permit;
mod query;
mod rows;
pub mod schema;
pub mod settings;
mod snapshot;
mod status;
mod store;
mod target;
mod wire;
mod work;

pub use agent::Agent;
pub use amend::Amend;
pub use configured::Configured;
pub use counted::counted;
pub use docs::docs_markdown;
pub use host::{Admissions, Host, LogRow, LogStats, ProfileState, Ticket};
pub use made::Origin;
pub use operate::Reloaded;
pub use status::{Failure, Status};
