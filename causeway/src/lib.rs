//! Causeway's runtime: sockets, threads, the clock, files and the command line.
//!
//! This is the only crate that touches the outside world. What it drives – shards, control plane,
//! management agent – is deterministic and lives in other crates; nothing here decides where a
//! message goes.
//!
//! ```text
//!   cli ─► config ─► daemon: signals, one router a process
//!                       │    cluster: several, and the links between them
//!                       │
//!                     router ─┬─► control: listeners, pipes, orders, ControlPlane, agent
//!                             │      │ Intake: sockets        ▲ mail
//!                             ├─► worker × N: sockets, Shard ─┘
//!                             └─► log: notices in words
//! ```
//!
//! A program can have a router of its own ([`Router`]), or a network of them ([`Cluster`]), on
//! sockets or, as here, on pipes:
//!
//! ```
//! use std::time::Duration;
//!
//! use causeway::{Cluster, ClusterError, ClusterSettings, Topology, Wires};
//!
//! # fn main() -> Result<(), ClusterError> {
//! let patience = Duration::from_secs(60);
//! let mut cluster = Cluster::start(ClusterSettings {
//!     routers: 2,
//!     topology: Topology::Line,
//!     wires: Wires::Pipes,
//!     ..ClusterSettings::default()
//! })?;
//! cluster.add("C", &[("B", 1)])?;
//! cluster.wait_converged(patience)?;
//! println!("send to {}, receive from {}", cluster.url("A")?, cluster.url("C")?);
//! assert_eq!(cluster.report("C")?.neighbours, ["B"]);
//!
//! cluster.cut("B", "C")?;
//! cluster.wait_converged(patience)?;
//! assert!(cluster.report("C")?.neighbours.is_empty());
//! # Ok(())
//! # }
//! ```

mod authority;
pub mod blocking;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
mod control;
mod create;
pub mod daemon;
mod deal;
mod dial;
mod dialogue;
mod drain;
mod host;
mod http;
mod linger;
mod listen;
pub mod log;
mod orders;
mod password;
mod pipe;
mod post;
mod profiles;
mod random;
mod readiness;
mod reload;
mod resolve;
mod router;
mod service;
mod socket;
mod stamp;
mod stream;
mod worker;

pub use cluster::{Cluster, ClusterError, ClusterSettings, LinkState, Topology, Wires};
pub use readiness::Readiness;
pub use router::{End, Listening, Router, RouterHandle, RunSettings, WORKERS_MAX};

/// Bodies of the fuzz targets of this crate.
#[doc(hidden)]
pub mod fuzz {
    pub use crate::config::fuzz_config_text;
}
