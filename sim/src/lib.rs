//! A router and its peers on virtual time: the real shards and the real control plane, wires that
//! cut bytes where they like, peers with goals of their own, all from one seed.
//!
//! Nothing here has a clock, a thread or a socket. Which shard turns next, when mail is seen and
//! where a stream of bytes is cut are drawn from the seed, so a run repeats exactly and
//! interleavings are explored without threads. What must hold is checked while the world runs and
//! when it has come to rest; see [`World`].

mod node;
mod peer;
mod random;
mod world;

pub use random::Random;
pub use world::{Report, World, run};
