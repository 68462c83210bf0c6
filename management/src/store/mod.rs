//! The entities that configuration and requests have made.

mod dummies;
mod entities;
mod rules;

pub(crate) use entities::{DUMMIES, Store, not_implemented};
