//! One connection: the state machine that joins everything in this crate.
//!
//! Declares the modules; never holds logic of its own.
//!
//! Decision: [`Connection`] is one type whose methods are spread over files by direction (input,
//! command, transfer, timer), because every one of them needs channels, sessions and links at once.

mod command;
mod delivery;
mod flow;
mod header;
mod input;
mod phase;
mod sasl;
mod state;
mod timer;
mod transfer;

pub use state::Connection;
