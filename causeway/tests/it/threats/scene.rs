//! What is around a misdeed: a router, others who use it, and its memory.

use std::fs;

use super::exchange::{Exchange, wait_until};
use super::manager::Manager;
use crate::harness::{Router, listening_with};

/// How much larger a router may be while an attack lasts: the bound that the consumer who never
/// reads must keep to.
pub(crate) const GROWTH_MAX: u64 = 20 * 1024 * 1024;

/// What an allocator may keep for later once all is over: holes between what still lives.
const RETAINED_MAX: u64 = 64 * 1024 * 1024;

/// A router of two workers with a steady exchange and a manager.
pub(crate) struct Scene {
    // Ends before the router does.
    pub(crate) exchange: Exchange,
    pub(crate) router: Router,
    pub(crate) manager: Manager,
    before: u64,
    connections: u64,
    links: u64,
}

impl Scene {
    /// Peers here are silent while they wait, on a busy machine for longer than is usual: silence
    /// alone ends nobody.
    pub(crate) fn new() -> Self {
        Self::with(&listening_with("idleTimeoutSeconds: 0"))
    }

    /// With a configuration of its own; its first listener is the one that is used.
    pub(crate) fn with(text: &str) -> Self {
        let router = Router::start_with(text, &["--workers", "2"]);
        let exchange = Exchange::start(&router);
        let mut manager = Manager::start(&router);
        exchange.goes_on();
        let connections = manager.figure("connectionCount");
        let links = manager.figure("linkCount");
        let before = resident(&router);
        Self {
            router,
            exchange,
            manager,
            before,
            connections,
            links,
        }
    }

    /// By how many bytes the router has grown since the beginning.
    fn growth(&self) -> u64 {
        resident(&self.router).saturating_sub(self.before)
    }

    /// The others go on, now that something has been done.
    pub(crate) fn goes_on(&mut self) {
        self.exchange.goes_on();
        self.manager.answers();
    }

    /// The others go on, and the router has not grown by more than it may.
    pub(crate) fn stays_small(&mut self) {
        self.stays_below(GROWTH_MAX);
    }

    /// The others go on, and the router holds no more than so many bytes. What it has given up may
    /// take its allocator a moment to return.
    pub(crate) fn stays_below(&mut self, most: u64) {
        self.goes_on();
        wait_until("what the router holds is within its bounds", || {
            self.growth() < most
        });
    }

    /// Nothing of the attackers is left: no connection, no link, no memory.
    pub(crate) fn ends_well(mut self) {
        let (connections, links) = (self.connections, self.links);
        wait_until("only the others' connections and links are left", || {
            self.manager.figure("connectionCount") == connections
                && self.manager.figure("linkCount") == links
        });
        self.goes_on();
        wait_until("memory returns", || self.growth() < RETAINED_MAX);
    }
}

/// The resident memory of a router, in bytes.
fn resident(router: &Router) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", router.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1));
    kibibytes.unwrap().parse::<u64>().unwrap() * 1024
}
