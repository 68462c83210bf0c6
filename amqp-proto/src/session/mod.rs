//! One session: its windows, its unsettled deliveries, its states.
//!
//! Declares the modules; never holds logic of its own.
//!
//! Decision: a session knows link slots but not links; what needs both is in `connection`.

pub(crate) mod disposition;
pub(crate) mod state;
pub(crate) mod unsettled;
pub(crate) mod window;
