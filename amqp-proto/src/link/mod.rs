//! One link: its credit and its states.
//!
//! Declares the modules; never holds logic of its own.
//!
//! Decision: a link knows its own numbers only; whatever needs its session or the wire is in
//! `connection`.

pub(crate) mod credit;
pub(crate) mod state;
