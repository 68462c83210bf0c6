//! Addresses as text: how a name becomes the key of a record, and which configured pattern it
//! matches. Knows no routes, no links.

mod name;
mod pattern;

pub use name::{
    AddressContext, Phase, dynamic_source, dynamic_target, fallback_key, is_of_routers, lookup_key,
    normalise, primary_key,
};
pub use pattern::{PatternError, PatternTree, trim_separators};
