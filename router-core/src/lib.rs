//! The deterministic router: shards that own connections, links and deliveries, mail between them,
//! and a control plane that owns the truth about addresses.
//!
//! Nothing here has a socket, a clock, a thread or randomness of its own: time, seeds and bytes
//! come in through arguments, bytes, mail and notices go out. `causeway` drives it with sockets and
//! threads, `sim` with virtual time and faulty wires.

pub mod address;
pub mod control;
pub mod counters;
pub mod delivery;
#[doc(hidden)]
pub mod fuzz;
pub mod ids;
pub mod inspect;
pub mod keyed;
pub mod latency;
pub mod limits;
pub mod mail;
pub mod mesh;
pub mod notice;
pub mod route;
pub mod settings;
pub mod shard;
#[cfg(test)]
mod transcript;
