//! The protocol that routers speak among themselves: who is there, which way leads to whom, who has
//! consumers of what.
//!
//! Owns the engine and its parts. It knows no connections and moves no messages but its own.
//! Decision: on the wire it is the incumbent's protocol, byte for byte, so that a network can be
//! moved router by router; where that protocol leaves room – when to react, what to believe, how
//! much – the engine is quicker, harder to fool and bounded; and neighbours of our kind tell each
//! other what the others would have to be asked for.

mod damp;
mod engine;
mod envelope;
mod event;
mod flood;
mod hearsay;
mod hello;
mod lsdb;
mod misdeed;
mod mobile;
mod names;
mod paths;
mod read;
mod receive;
mod room;
mod spf;
mod spread;
mod state;
mod step;
mod tell;
#[cfg(test)]
mod tests;
mod untold;
mod wire;
mod write;

pub use engine::{Engine, NodeRow};
pub use event::{MeshEvent, Outgoing};
pub use misdeed::{Misdeed, Refused};
pub use names::{NeighborLink, RouterIndex};
pub use paths::{Paths, RouterPath};
pub use state::MeshSettings;
pub use wire::VERSION;
