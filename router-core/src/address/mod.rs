//! Addresses as text: how a name becomes the key of a record, and which configured pattern it
//! matches. Knows no routes, no links.

mod name;
mod pattern;

pub use name::{
    AddressClass, AddressContext, Phase, dynamic_source, dynamic_target, key_text, lookup_key,
    normalise,
};
pub use pattern::{PatternError, PatternTree, trim_separators};
