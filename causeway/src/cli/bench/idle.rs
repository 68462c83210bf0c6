//! What idle connections cost a router in memory.
//!
//! Owns opening them – a session and two links each, one of either direction – and the three looks
//! at the router's resident memory: before, with them, and after they have closed. The last shows
//! whether memory comes back, which the figure in the middle cannot.

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::{Source, Str};
use serde_json::{Value as Json, json};

use crate::cli::bench::measure::Settings;
use crate::cli::bench::process::{Usage, allow_open_files};
use crate::cli::client::endpoint::Endpoint;
use crate::cli::client::{Client, config};
use crate::cli::failure::Failure;
use crate::cli::quantity::bytes;
use crate::clock::Clock;

/// How long a router may take to come to rest before its memory is read: allocators give back with
/// a delay.
const REST: Duration = Duration::from_secs(6);
/// Time between two rounds of heartbeats meanwhile.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// Resident memory of a router, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cost {
    /// Connections that were open.
    pub(super) connections: usize,
    /// Before the first.
    pub(super) before: u64,
    /// With all of them.
    pub(super) open: u64,
    /// After the last.
    pub(super) closed: u64,
}

impl Cost {
    /// What one connection costs, in bytes.
    #[must_use]
    pub(super) fn each(&self) -> u64 {
        self.open.saturating_sub(self.before) / (self.connections.max(1) as u64)
    }

    /// What is kept of each connection after it has closed, in bytes.
    #[must_use]
    pub(super) fn kept(&self) -> u64 {
        self.closed.saturating_sub(self.before) / (self.connections.max(1) as u64)
    }

    /// The figures as text.
    #[must_use]
    pub(super) fn text(&self) -> String {
        format!(
            "{} idle connections, a session and two links each\n  \
             resident     {} before, {} open, {} closed\n  \
             each         {} open, {} kept after it has closed",
            self.connections,
            bytes(self.before),
            bytes(self.open),
            bytes(self.closed),
            bytes(self.each()),
            bytes(self.kept()),
        )
    }

    /// The figures as JSON.
    #[must_use]
    pub(super) fn json(&self) -> Json {
        json!({
            "idle_connections": self.connections,
            "resident_bytes": {
                "before": self.before, "open": self.open, "closed": self.closed,
            },
            "bytes_per_connection": self.each(),
            "bytes_kept_per_connection": self.kept(),
        })
    }
}

/// Opens `connections` connections to `endpoint`, waits, closes them, and reads the memory of
/// process `pid` in between.
///
/// # Errors
/// If a connection fails; a limit on open files is the usual reason.
pub(super) fn measure(
    endpoint: &Endpoint,
    pid: u32,
    connections: usize,
    settings: &Settings,
) -> Result<Cost, Failure> {
    allow_open_files()?;
    let clock = Clock::start();
    let before = Usage::of(pid)?.resident_bytes;
    let mut clients = Vec::with_capacity(connections);
    for number in 0..connections {
        let client = open(endpoint, number, clock, settings).map_err(|failure| {
            Failure::new(format!("connection {number} of {connections}: {failure}"))
                .hint("each needs an open file here and at the router: `ulimit -n`")
        })?;
        clients.push(client);
    }
    let mut waited = Duration::ZERO;
    while waited < REST {
        for client in &mut clients {
            let wire = client.wire();
            wire.keep_alive(wire.now())?;
        }
        std::thread::sleep(HEARTBEAT_INTERVAL);
        waited += HEARTBEAT_INTERVAL;
    }
    let open = Usage::of(pid)?.resident_bytes;
    clients.into_iter().for_each(Client::close);
    std::thread::sleep(REST);
    let closed = Usage::of(pid)?.resident_bytes;
    Ok(Cost {
        connections,
        before,
        open,
        closed,
    })
}

/// One idle connection.
fn open(
    endpoint: &Endpoint,
    number: usize,
    clock: Clock,
    settings: &Settings,
) -> Result<Client, Failure> {
    let name = format!("bench-idle-{number}");
    let sasl = endpoint.sasl();
    let config = Arc::new(config(&name, &endpoint.host, sasl, settings.max_frame_size));
    let interrupt = settings.interrupt.clone();
    let mut client = Client::connect_with(endpoint, config, &name, clock, interrupt, false)?;
    let address = format!("{}.{number}", settings.address);
    client.attach_sender(Some(&address), false)?;
    let source = Source {
        address: Some(Str::from(address)),
        ..Source::default()
    };
    client.attach_receiver(source, false)?;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_told_apart_from_what_is_used() {
        let cost = Cost {
            connections: 100,
            before: 1000,
            open: 401_000,
            closed: 51_000,
        };
        assert_eq!((cost.each(), cost.kept()), (4000, 500));
        let text = cost.text();
        assert!(text.contains("4 kB open, 500 B kept"), "{text}");
        let shrunk = Cost { closed: 0, ..cost };
        assert_eq!(shrunk.kept(), 0);
    }
}
