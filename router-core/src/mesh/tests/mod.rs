//! The messages against those of the incumbent, the paths against a slow search, and engines among
//! their like.

mod believe;
mod messages;
mod network;
mod paths;
mod recorded;
mod reference;
mod telling;
mod topologies;
mod vectors;
