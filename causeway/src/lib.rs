//! Causeway's runtime: sockets, threads, the clock, files and the command line.
//!
//! This is the only crate that touches the outside world. What it drives – shards, control plane,
//! management agent – is deterministic and lives in other crates; nothing here decides where a
//! message goes.

pub mod cli;
pub mod clock;
pub mod log;
