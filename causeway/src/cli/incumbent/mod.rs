//! The incumbent's tools under their own names, so that scripts need not change.

mod common;
mod layout;
pub(super) mod qdmanage;
pub(super) mod qdstat;
mod tables;
