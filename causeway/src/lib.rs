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
//!                     router ─┬─► control: listeners, orders, ControlPlane, agent
//!                             │      │ Intake: sockets        ▲ mail
//!                             ├─► worker × N: sockets, Shard ─┘
//!                             └─► log: notices in words
//! ```

pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
mod control;
pub mod daemon;
mod deal;
mod dial;
mod host;
mod linger;
mod listen;
pub mod log;
mod orders;
mod post;
mod resolve;
mod router;
mod socket;
mod worker;

pub use cluster::{Cluster, ClusterError, ClusterSettings, LinkState, Topology};
pub use router::{End, Listening, Router, RouterHandle, RunSettings, WORKERS_MAX};

/// Bodies of the fuzz targets of this crate.
#[doc(hidden)]
pub mod fuzz {
    pub use crate::config::fuzz_config_text;
}
