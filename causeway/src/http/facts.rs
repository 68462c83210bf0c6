//! What the threads of the router say of it, as plain values.

use std::sync::Arc;
use std::time::Duration;

use router_core::control::{AddressRow, ConnectorStatus, ControlPlane, Gathered, Heard};
use router_core::counters::Counter;
use router_core::ids::AddressId;
use router_core::inspect::{AddressCounters, ConnectionRow, LinkRow, Rows};
use router_core::latency::Latencies;
use router_core::settings::{ConnectionRole, HttpSettings};

use crate::profiles::Expiry;

/// What is asked beyond what is at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    /// What each address has carried.
    pub(crate) addresses: bool,
    /// What each connection has.
    pub(crate) connections: bool,
}

impl Scope {
    /// What the metrics of a listener need.
    pub(crate) fn of(settings: &HttpSettings) -> Self {
        Self {
            addresses: settings.address_series > 0,
            connections: settings.connection_series > 0,
        }
    }

    /// How many there are.
    pub(crate) const COUNT: usize = 4;

    /// Its place among them.
    pub(crate) fn index(self) -> usize {
        usize::from(self.addresses) + 2 * usize::from(self.connections)
    }

    /// Whether an answer to this is one to the other, too.
    pub(crate) fn covers(self, other: Self) -> bool {
        (self.addresses || !other.addresses) && (self.connections || !other.connections)
    }
}

/// What is known at one moment.
#[derive(Debug)]
pub(crate) struct Facts {
    /// What was asked.
    pub(crate) scope: Scope,
    pub(crate) id: Arc<str>,
    pub(crate) mode: &'static str,
    pub(crate) version: &'static str,
    /// Every worker has answered.
    pub(crate) workers_answer: bool,
    /// Nobody new is let in.
    pub(crate) is_ending: bool,
    /// The figures of the router as a whole.
    pub(crate) totals: Totals,
    /// Each listener, and whether it is open.
    pub(crate) listeners: Vec<(String, bool)>,
    pub(crate) connectors: Vec<Connector>,
    /// Routers to which a way leads and that have not been heard yet.
    pub(crate) unheard: Vec<Arc<str>>,
    /// Each profile for TLS, and the ends of its certificates.
    pub(crate) profiles: Vec<(String, Expiry)>,
    /// For how long each worker has worked.
    pub(crate) worker_busy: Vec<Duration>,
    /// Deliveries that the workers hold or wait for the settlement of.
    pub(crate) in_flight: usize,
    pub(crate) latencies: Latencies,
    /// Rows of what was asked beyond.
    pub(crate) rows: Detail,
}

/// Sums over the whole router.
#[derive(Debug)]
pub(crate) struct Totals {
    /// In the order of [`Counter::ALL`].
    pub(crate) counters: Vec<u64>,
    pub(crate) addresses: usize,
    pub(crate) routers: usize,
    pub(crate) link_routes: usize,
    pub(crate) auto_links: usize,
}

/// How a connector is doing.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    pub(crate) name: String,
    pub(crate) is_open: bool,
    /// Between routers: the router at its other end, as long as no way leads there.
    pub(crate) unreached: Option<String>,
}

/// Rows that were asked of the shards.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    pub(crate) addresses: Vec<AddressRow>,
    pub(crate) carried: Vec<(AddressId, AddressCounters)>,
    pub(crate) connections: Vec<ConnectionRow>,
    pub(crate) links: Vec<LinkRow>,
}

impl Detail {
    /// Takes an answer; false if not every worker has given one.
    pub(crate) fn take(&mut self, gathered: Gathered) -> bool {
        match gathered.rows {
            Rows::Connections(rows) => self.connections = rows,
            Rows::Links(rows) => self.links = rows,
            Rows::Addresses(rows) => self.carried = rows,
            Rows::Pools(_) | Rows::Presence => {}
        }
        gathered.complete
    }

    /// Adds what the control plane knows of addresses.
    pub(crate) fn add_addresses(&mut self, plane: &ControlPlane) {
        self.addresses = plane.addresses();
    }
}

impl Totals {
    pub(crate) fn of(plane: &ControlPlane) -> Self {
        let counters = plane.counters();
        Self {
            counters: Counter::ALL.map(|counter| counters.total(counter)).into(),
            addresses: plane.address_count(),
            // This router is among them.
            routers: plane.nodes().len().saturating_sub(1),
            link_routes: plane.link_routes().count(),
            auto_links: plane.auto_links().len(),
        }
    }

    /// The sum of one counter.
    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        let value = self.counters.get(counter as usize);
        value.copied().unwrap_or_default()
    }
}

/// How the connectors are doing.
pub(crate) fn connectors(plane: &ControlPlane) -> Vec<Connector> {
    let nodes = plane.nodes();
    let is_reached = |id: &str| {
        let mut nodes = nodes.iter();
        nodes.any(|node| &*node.id == id && node.cost.is_some())
    };
    let states = plane.connector_states().map(|(connect, row)| {
        let is_open = row.status == ConnectorStatus::Success;
        let peer = match row.heard {
            Some(Heard::Opened(opened)) if is_open => Some(opened.container.clone()),
            _ => None,
        };
        let is_for_routers = connect.settings.role == ConnectionRole::InterRouter;
        Connector {
            name: connect.settings.name.clone(),
            is_open,
            unreached: peer.filter(|id| is_for_routers && !is_reached(id)),
        }
    });
    states.collect()
}

#[cfg(test)]
impl Facts {
    /// Of a router in which nothing is.
    pub(crate) fn of_nobody(scope: Scope, workers_answer: bool) -> Self {
        Self {
            scope,
            id: "Tested".into(),
            mode: "standalone",
            version: "0",
            workers_answer,
            is_ending: false,
            totals: Totals {
                counters: Vec::new(),
                addresses: 0,
                routers: 0,
                link_routes: 0,
                auto_links: 0,
            },
            listeners: Vec::new(),
            connectors: Vec::new(),
            unheard: Vec::new(),
            profiles: Vec::new(),
            worker_busy: Vec::new(),
            in_flight: 0,
            latencies: Latencies::default(),
            rows: Detail::default(),
        }
    }
}
