//! The engine as its owner and its peer see it: two engines in a pair, or raw frames against one.

mod handshake;
mod idle;
mod pair;
mod raw;
mod tapped;
