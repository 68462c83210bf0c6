//! Answers to what management asks: rows made on the spot from the shard's own records.

use std::collections::BTreeMap;
use std::sync::Arc;

use amqp_proto::Time;

use super::conn::{Conn, Phase, Trunking};
use super::link::{InLink, InTarget, OutLink};
use super::state::{Shard, Table};
use crate::delivery::Place;
use crate::ids::{AddressId, AddressKey, Direction, InLinkKey, Key, OutKey};
use crate::inspect::{
    AddressCounters, Answer, Cipher, ConnectionRow, LinkRow, LinkType, PoolRow, Query, Rows,
    Subject,
};
use crate::mail::Mail;
use crate::route::DEFAULT_PRIORITY;
use crate::settings::ConnectionRole;

/// Deliveries of one link.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    undelivered: u64,
    unsettled: u64,
    old: u64,
}

impl Shard {
    /// Answers a question of the control plane.
    pub(super) fn inspect(&mut self, query: Query, now: Time) {
        let rows = match query.what {
            Subject::Connections => {
                // Whose peer has not said its Open is nobody yet.
                let known = self
                    .conns
                    .iter()
                    .filter(|(_, conn)| conn.phase != Phase::Opening);
                Rows::Connections(known.map(|(_, conn)| connection_row(conn, now)).collect())
            }
            Subject::Links => Rows::Links(self.link_rows()),
            Subject::Addresses => {
                self.collect_address_counters();
                let mut rows: BTreeMap<_, _> = self
                    .carried
                    .iter()
                    .map(|(&id, &counters)| (id, counters))
                    .collect();
                self.add_tracked(&mut rows);
                Rows::Addresses(rows.into_iter().collect())
            }
            Subject::Pools => Rows::Pools(self.pools()),
            Subject::Presence => Rows::Presence,
        };
        let answer = Answer {
            id: query.id,
            shard: self.id,
            rows,
        };
        self.post(self.control(), Mail::Answer(Box::new(answer)));
    }

    /// The slabs of records.
    fn pools(&self) -> Vec<PoolRow> {
        vec![
            self.conns.pool("connection"),
            self.in_links.pool("incoming_link"),
            self.out_links.pool("outgoing_link"),
            self.inbound.pool("incoming_delivery"),
            self.outbound.pool("outgoing_delivery"),
            self.copies.pool("multicast_delivery"),
        ]
    }

    /// Adds what is under way now: in lines, in lanes, and sent.
    fn add_tracked(&self, rows: &mut BTreeMap<AddressId, AddressCounters>) {
        let mut add = |address: AddressId, count: usize| {
            if count > 0 {
                rows.entry(address).or_default().tracked += count as u64;
            }
        };
        for (key, line) in &self.lines {
            if let Some(route) = self.table.lookup(key) {
                add(route.id, line.len());
            }
        }
        for (_, link) in self.out_links.iter() {
            if let Some(address) = link.address {
                add(address, link.lane.len());
            }
        }
        for (_, outbound) in self.outbound.iter() {
            let link = self.out_links.get(outbound.link);
            if let Some(address) = link.and_then(|link| link.address) {
                add(address, 1);
            }
        }
    }

    fn collect_address_counters(&mut self) {
        let Self {
            in_links,
            out_links,
            carried,
            ..
        } = self;
        for (_, link) in in_links.iter_mut() {
            report_ingress(link, carried);
        }
        for (_, link) in out_links.iter_mut() {
            report_egress(link, carried);
        }
    }

    fn link_rows(&self) -> Vec<LinkRow> {
        let mut rows = Vec::with_capacity(self.in_links.len() + self.out_links.len());
        let mut loads = self.loads_in();
        for (key, link) in self.in_links.iter() {
            rows.extend(self.in_row(link, loads.remove(&key).unwrap_or_default()));
        }
        let mut loads = self.loads_out();
        for (key, link) in self.out_links.iter() {
            rows.extend(self.out_row(link, loads.remove(&key).unwrap_or_default()));
        }
        rows
    }

    /// What producers' links have under way.
    fn loads_in(&self) -> BTreeMap<Key, Load> {
        let mut loads = BTreeMap::<Key, Load>::new();
        for (_, inbound) in self.inbound.iter() {
            let Some(InLinkKey(link)) = inbound.link else {
                continue;
            };
            let load = loads.entry(link).or_default();
            match &inbound.place {
                Place::Hold(_) | Place::Line(_) => load.undelivered += 1,
                _ => load.unsettled += 1,
            }
            load.old += u64::from(self.is_stuck(inbound));
        }
        loads
    }

    /// What consumers' links have under way and has been sent.
    fn loads_out(&self) -> BTreeMap<Key, Load> {
        let mut loads = BTreeMap::<Key, Load>::new();
        for (key, outbound) in self.outbound.iter() {
            let load = loads.entry(outbound.link).or_default();
            load.unsettled += 1;
            load.old += u64::from(self.is_stuck_out(OutKey(key), outbound));
        }
        loads
    }

    fn in_row(&self, link: &InLink, load: Load) -> Option<LinkRow> {
        let conn = self.conns.get(link.conn)?;
        Some(LinkRow {
            id: link.id,
            name: Arc::clone(&link.name),
            kind: link.kind,
            direction: Direction::In,
            connection: conn.id,
            address: match &link.target {
                InTarget::Anonymous { .. } | InTarget::Control => None,
                InTarget::Routed(routed) => routed.key.clone(),
                InTarget::Address { key, .. } => Some(AddressKey::clone(key)),
            },
            peer: match &link.target {
                InTarget::Routed(routed) => routed.peer,
                InTarget::Anonymous { .. } | InTarget::Control | InTarget::Address { .. } => None,
            },
            capacity: link.capacity,
            undelivered: load.undelivered,
            unsettled: load.unsettled,
            counters: link.counters,
            zero_credit_seconds: self.zero_seconds(link.zero_since),
            credit: conn.engine.credit(link.link),
            settle_rate: link.rate.per_second(self.second),
            stuck: load.old,
            priority: DEFAULT_PRIORITY,
            ingress: None,
        })
    }

    fn out_row(&self, link: &OutLink, load: Load) -> Option<LinkRow> {
        let conn = self.conns.get(link.conn)?;
        Some(LinkRow {
            id: link.id,
            name: Arc::clone(&link.name),
            kind: link.kind,
            direction: Direction::Out,
            connection: conn.id,
            address: match &link.routed {
                Some(routed) => routed.key.clone(),
                None => (!link.key.is_empty()).then(|| AddressKey::clone(&link.key)),
            },
            peer: link.routed.as_ref().and_then(|routed| routed.peer),
            capacity: link.capacity,
            undelivered: link.lane.len() as u64,
            unsettled: load.unsettled,
            counters: link.counters,
            zero_credit_seconds: self.zero_seconds(link.zero_since),
            credit: conn.engine.credit(link.link),
            settle_rate: link.rate.per_second(self.second),
            stuck: load.old + link.stuck_in_lane(self.second),
            priority: link.priority,
            ingress: (link.kind == LinkType::Endpoint
                && conn.settings.role != ConnectionRole::InterRouter)
                .then(|| link.histogram.rows()),
        })
    }

    fn zero_seconds(&self, since: Option<u32>) -> u64 {
        since.map_or(0, |since| self.since(since))
    }
}

fn connection_row(conn: &Conn, now: Time) -> ConnectionRow {
    ConnectionRow {
        id: conn.id,
        host: conn.peer.clone(),
        role: conn.settings.role.name(),
        direction: conn.direction(),
        container: conn.container.clone(),
        sasl: conn.engine.mechanism().map(ToString::to_string),
        authenticated: conn.engine.is_authenticated(),
        user: conn.engine.user().map(ToString::to_string),
        security: conn.transform.security().map(Cipher::of),
        properties: conn.properties.clone(),
        opened: conn.phase == Phase::Open,
        deleted: conn.deleted,
        uptime_seconds: now.saturating_sub(conn.since).as_secs(),
        last_delivery_seconds: conn
            .last_delivery
            .map(|at| now.saturating_sub(at).as_secs()),
        traced: conn.engine.is_tapped(),
        trunk: match conn.trunk {
            Trunking::Of(trunk) => Some(trunk),
            _ => None,
        },
    }
}

/// Moves what a producer's link has taken in to the counters of its address.
pub(super) fn report_ingress(link: &mut InLink, carried: &mut Table<AddressId, AddressCounters>) {
    if let InTarget::Address {
        route: Some(route), ..
    } = &link.target
    {
        let carried = carried.entry(route.id).or_default();
        let ingress = std::mem::take(&mut link.ingress);
        if !link.fallback {
            carried.ingress += ingress;
        }
        if link.of_container {
            carried.ingress_route_container += ingress;
        }
    }
}

/// Moves what a consumer's link has sent to the counters of its address.
pub(super) fn report_egress(link: &mut OutLink, carried: &mut Table<AddressId, AddressCounters>) {
    if let Some(address) = link.address {
        let carried = carried.entry(address).or_default();
        carried.egress += std::mem::take(&mut link.egress);
        carried.egress_route_container += std::mem::take(&mut link.egress_alone);
    }
}
