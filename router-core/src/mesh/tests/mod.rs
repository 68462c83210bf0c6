//! The messages against those of the incumbent, the paths against a slow search, and engines among
//! their like.

mod addresses;
mod believe;
mod floods;
mod hearsay;
mod lone;
mod losses;
mod messages;
mod network;
mod paths;
mod recorded;
mod reference;
mod room;
mod telling;
mod told;
mod topologies;
mod vectors;
