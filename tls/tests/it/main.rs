//! TLS from end to end in memory: profiles of made-up authorities, both ends of a connection, and
//! peers that do not keep to the rules.
#![cfg(test)]

mod bad;
mod certificates;
mod corpus;
mod pair;
mod sessions;
