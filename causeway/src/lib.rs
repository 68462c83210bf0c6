//! Causeway's runtime: sockets, threads, the clock, files and the command line.
//!
//! This is the only crate that touches the outside world. What it drives – shards, control plane,
//! management agent – is deterministic and lives in other crates; nothing here decides where a
//! message goes.
//!
//! ```text
//!   cli ─► config ─► daemon ─┬─► control: listeners, signals, ControlPlane, agent
//!                            │      │ Intake: sockets        ▲ mail
//!                            ├─► worker × N: sockets, Shard ─┘
//!                            └─► log: notices in words
//! ```

pub mod cli;
pub mod clock;
pub mod config;
mod control;
pub mod daemon;
mod deal;
mod host;
mod linger;
mod listen;
pub mod log;
mod post;
mod socket;
mod worker;

/// Bodies of the fuzz targets of this crate.
#[doc(hidden)]
pub mod fuzz {
    pub use crate::config::fuzz_config_text;
}
