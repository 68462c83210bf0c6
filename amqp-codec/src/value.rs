//! Owns `Value`, the owned tree of any AMQP value, for management, properties and tests.
//! It is never built on the data path. Decision: maps keep their order as a list of pairs, since
//! the order of entries is visible to peers and to people, and they are small.

mod array;
mod decode;
mod display;
mod encode;
mod tree;

pub(crate) use display::Escaped;
pub use tree::{Array, Map, Value};
