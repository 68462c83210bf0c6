//! Classes of attack on a running router, over real sockets.
//!
//! Each test is named after its class: 1 sizes from the wire, 2 counts, 3 nesting, 4 names that are
//! kept, 5 endless deliveries, 6 windows and tables, 7 ranges, 8 reflection, 9 slow handshakes, 10
//! order of layers, 11 guessed passwords and weaker mechanisms, 14 annotations and
//! identities, 20 anything at all, 23 forms of the same thing.
//!
//! A [`Scene`](scene::Scene) is around every one of them: a router, a client whose steady exchange
//! goes on, management that answers, and the router's memory before and after. What a test adds is
//! the misdeed, and what it ends. Nothing is said about speed: waits are bounded so that a broken
//! router ends the test.

pub(crate) mod exchange;
mod floods;
mod forms;
mod guesses;
mod handshake;
mod malformed;
pub(crate) mod manager;
mod neighbors;
pub(crate) mod peer;
mod pump;
mod scene;
mod slow;
mod tables;
