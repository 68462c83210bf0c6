//! What the shards have said, and every row that a request may be about.
//!
//! It never asks anybody. Decision: rows borrow what they show, so a table of a hundred thousand
//! links costs only the page that is asked for.

use std::collections::BTreeMap;

use router_core::control::{AddressRow, Gathered};
use router_core::ids::AddressId;
use router_core::inspect::{AddressCounters, ConnectionRow, LinkRow, PoolRow, Rows, Subject};

use crate::rows::Row;
use crate::schema::{ALLOCATOR, CONNECTION, EntityType, ROUTER_ADDRESS, ROUTER_LINK};

/// Rows of the shards, by what was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    connections: Vec<ConnectionRow>,
    links: Vec<LinkRow>,
    addresses: Vec<AddressRow>,
    counters: BTreeMap<AddressId, AddressCounters>,
    pools: Vec<PoolRow>,
}

impl Live {
    pub(crate) fn add(&mut self, gathered: Gathered) {
        match gathered.rows {
            Rows::Connections(rows) => self.connections = rows,
            Rows::Links(rows) => self.links = rows,
            Rows::Addresses(rows) => self.counters = rows.into_iter().collect(),
            Rows::Pools(rows) => self.pools = rows,
            Rows::Presence => {}
        }
    }

    /// Joins the control plane's records with the shards' counters; `own` is what the control plane
    /// itself has carried.
    pub(crate) fn add_addresses(
        &mut self,
        addresses: Vec<AddressRow>,
        own: impl Fn(AddressId) -> AddressCounters,
    ) {
        for row in &addresses {
            self.counters.entry(row.id).or_default().add(&own(row.id));
        }
        self.addresses = addresses;
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.connections.len() + self.links.len() + self.addresses.len() + self.pools.len()
    }

    /// What the rows take in memory.
    pub(crate) fn bytes(&self) -> usize {
        let connections = self.connections.iter().map(ConnectionRow::bytes);
        let links = self.links.iter().map(LinkRow::bytes);
        let addresses = self.addresses.iter().map(AddressRow::bytes);
        let counters = self.counters.len() * size_of::<(AddressId, AddressCounters)>();
        let pools = self.pools.len() * size_of::<PoolRow>();
        connections.chain(links).chain(addresses).sum::<usize>() + counters + pools
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = Row<'_>> {
        self.connections.iter().map(Row::Connection)
    }

    pub(crate) fn connections_mut(&mut self) -> impl Iterator<Item = &mut ConnectionRow> {
        self.connections.iter_mut()
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = Row<'_>> {
        self.links.iter().map(Row::Link)
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = Row<'_>> {
        self.pools.iter().map(Row::Pool)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = Row<'_>> {
        self.addresses
            .iter()
            .map(|row| Row::Address(row, self.counters.get(&row.id).copied().unwrap_or_default()))
    }
}

/// What must be asked of the shards to show entities of a type.
pub(crate) fn subject(entity_type: &EntityType) -> Option<Subject> {
    if *entity_type == CONNECTION {
        Some(Subject::Connections)
    } else if *entity_type == ROUTER_LINK {
        Some(Subject::Links)
    } else if *entity_type == ROUTER_ADDRESS {
        Some(Subject::Addresses)
    } else if *entity_type == ALLOCATOR {
        Some(Subject::Pools)
    } else {
        None
    }
}
