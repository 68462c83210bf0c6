//! The engine as its owner and its peer see it: two engines in a pair, or raw frames against one.
#![cfg(test)]

mod classes;
mod corpus;
mod handshake;
mod idle;
mod links;
mod misdeeds;
mod pair;
mod random;
mod raw;
mod sasl;
mod settlement;
mod tapped;
mod transfers;
