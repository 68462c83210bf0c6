//! A crowd that comes at once: connections that have all said hello before any of them goes on.
//!
//! Owns opening them beside a load. Decision: one thread does it all, so that the crowd takes one
//! core from the machine at most, and what is measured beside it is how fair the router is.

use std::sync::Arc;
use std::time::Duration;

use crate::cli::bench::process::allow_open_files;
use crate::cli::client::endpoint::Endpoint;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::client::wire::Wire;
use crate::cli::client::{await_open, config};
use crate::cli::failure::Failure;
use crate::clock::Clock;

/// Opens `connections` connections to `endpoint` and drops them when all are open; tells how long
/// that took, from the first hello on.
///
/// # Errors
/// If one of them fails.
pub(super) fn come(
    endpoint: &Endpoint,
    connections: usize,
    max_frame_size: u32,
    interrupt: &Interrupt,
) -> Result<Duration, Failure> {
    allow_open_files()?;
    let clock = Clock::start();
    let begun = clock.now();
    let greeted: Result<Vec<_>, _> = (0..connections)
        .map(|number| greet(endpoint, number, clock, max_frame_size, interrupt))
        .collect();
    let opened = greeted.and_then(|mut wires| {
        let opened = wires.iter_mut().try_for_each(await_open);
        opened.map(|()| clock.now().saturating_sub(begun))
    });
    opened
        .map_err(|failure| Failure::new(format!("of {connections} connections at once: {failure}")))
}

/// Connects, and says what the first side says: inside TLS its hello.
fn greet(
    endpoint: &Endpoint,
    number: usize,
    clock: Clock,
    max_frame_size: u32,
    interrupt: &Interrupt,
) -> Result<Wire, Failure> {
    let name = format!("bench-crowd-{number}");
    let config = config(&name, &endpoint.host, endpoint.sasl(), max_frame_size);
    let interrupt = interrupt.clone();
    let mut wire = Wire::connect(endpoint, Arc::new(config), clock, interrupt, false)?;
    wire.flush()?;
    Ok(wire)
}
