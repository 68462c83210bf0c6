//! A count of everything a shard holds, for who checks that nothing is left over and that nothing
//! has grown beyond its bound: the simulator. Walks every table, so nobody asks in production.

use std::collections::BTreeMap;

use super::link::InTarget;
use super::state::Shard;
use crate::ids::{ConnectionId, Key, ShardId};
use crate::inspect::LinkType;

/// What a shard holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Connections.
    pub connections: usize,
    /// Links on which producers send, and auto-links that nobody has taken.
    pub in_links: usize,
    /// Links on which consumers receive.
    pub out_links: usize,
    /// Deliveries received and not finished with.
    pub inbound: usize,
    /// Deliveries sent and not settled.
    pub outbound: usize,
    /// Deliveries that wait in lanes.
    pub queued: usize,
    /// Sets of multicast copies.
    pub copies: usize,
    /// Deliveries of which more is to come from another shard, and sets of copies, by origin.
    pub origins: usize,
    /// Sending ends of pipes.
    pub pipes: usize,
    /// Entries of the tables that find links by address.
    pub addresses: usize,
    /// Deliveries in the lines of addresses, or waiting for mail.
    pub waiting: usize,
    /// Entries that stand for what is gone: in quiet there are none.
    pub strays: usize,
    /// The most bytes that are queued for one connection.
    pub output_bytes: usize,
    /// The most bytes of deliveries that are held for one connection.
    pub held_bytes: u64,
    /// The most bytes of settled deliveries in one lane.
    pub lane_bytes: u64,
    /// The most bytes of settled deliveries in the lanes of one connection.
    pub connection_lane_bytes: u64,
    /// The most settled deliveries in one lane beyond its capacity.
    pub lane_excess: usize,
    /// The most bytes under way to another thread without a window.
    pub transit: u64,
    /// Deliveries in lanes beyond what their pipes' windows allow.
    pub window_excess: usize,
    /// How far running sums are from what they sum up, all differences together.
    pub drift: u64,
    /// Credit that producers and neighbours lack of what their links may have. Links of the routing
    /// protocol, on which there is never quiet, do not count.
    pub credit_missing: u64,
    /// Credit that neighbours have on the data links on which they send.
    pub credit_given: u64,
    /// Credit that neighbours have given on the data links on which this shard sends.
    pub credit_held: u64,
}

impl Census {
    /// Whether a delivery is on its way.
    #[must_use]
    pub fn has_deliveries(&self) -> bool {
        self.inbound + self.outbound + self.queued + self.copies + self.waiting > 0
    }

    /// Whether nothing is left that belongs to a peer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let kept = [
            self.connections,
            self.in_links,
            self.out_links,
            self.inbound,
            self.outbound,
            self.queued,
            self.copies,
            self.origins,
            self.pipes,
            self.addresses,
            self.waiting,
            self.strays,
        ];
        kept.iter().all(|&count| count == 0)
    }
}

/// What is held for a connection that holds more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub connection: ConnectionId,
    /// Bytes of deliveries that came by it.
    pub bytes: u64,
    /// Sessions by which one link sends.
    pub alone: usize,
    /// Sessions by which several links send.
    pub shared: usize,
}

impl Shard {
    /// What is held for connections that hold more than they may.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        let conns = self.conns.iter().map(|(_, conn)| conn);
        let over = conns.filter(|conn| conn.held_bytes > conn.settings.held_bytes);
        over.map(|conn| {
            let sessions = conn.sessions.iter();
            let producers = sessions.map(|&(session, _)| conn.producers(session).len());
            let (mut alone, mut shared) = (0, 0);
            for count in producers {
                alone += usize::from(count == 1);
                shared += usize::from(count > 1);
            }
            Held {
                connection: conn.id,
                bytes: conn.held_bytes,
                alone,
                shared,
            }
        })
    }

    /// Counts what the shard holds.
    #[must_use]
    pub fn census(&self) -> Census {
        let mut census = Census {
            connections: self.conns.len(),
            in_links: self.in_links.len() + self.offers.len(),
            out_links: self.out_links.len(),
            inbound: self.inbound.len(),
            outbound: self.outbound.len(),
            copies: self.copies.len(),
            origins: self.by_origin.len(),
            pipes: self.pipes.to.len(),
            addresses: self.producers.len() + self.consumers.len(),
            waiting: self.doubtful.len(),
            transit: self.transit.most(),
            ..Census::default()
        };
        let mut windows = BTreeMap::<(Key, ShardId), usize>::new();
        census.waiting += self.lines.values().map(|line| line.len()).sum::<usize>();
        for (_, conn) in self.conns.iter() {
            census.output_bytes = census.output_bytes.max(conn.output.len());
            census.held_bytes = census.held_bytes.max(conn.held_bytes);
            census.connection_lane_bytes = census.connection_lane_bytes.max(conn.lane_bytes);
        }
        for (_, link) in self.out_links.iter() {
            census.queued += link.lane.len();
            census.lane_bytes = census.lane_bytes.max(link.lane_bytes);
            let settled = link.lane_settled.saturating_sub(link.capacity as usize);
            census.lane_excess = census.lane_excess.max(settled);
            for queued in &link.lane {
                if let Some(pipe) = queued.window {
                    *windows
                        .entry((pipe, queued.forward.origin.shard))
                        .or_insert(0) += 1;
                }
            }
        }
        census.strays = self.strays();
        census.drift = self.held_drift() + self.lane_drift() + self.pin_drift();
        self.count_credit(&mut census);
        for ((key, from), queued) in windows {
            let link = self.out_links.get(key);
            let pipe = link.and_then(|link| link.pipes.iter().find(|pipe| pipe.from == from));
            let window = pipe.map_or(0, |pipe| pipe.window() as usize);
            census.window_excess += queued.saturating_sub(window);
        }
        census
    }

    fn count_credit(&self, census: &mut Census) {
        for (_, link) in self.in_links.iter() {
            let reachable = match &link.target {
                InTarget::Control | InTarget::Routed(_) => false,
                InTarget::Anonymous { .. } => true,
                InTarget::Address { route, .. } => route
                    .as_ref()
                    .is_some_and(|route| route.is_reachable(&self.paths)),
            };
            if let Some(conn) = self.conns.get(link.conn)
                && reachable
            {
                let credit = conn.engine.credit(link.link);
                census.credit_missing += u64::from(link.capacity.saturating_sub(credit));
                if link.kind == LinkType::InterRouter {
                    census.credit_given += u64::from(credit);
                }
            }
        }
        for (_, link) in self.out_links.iter() {
            if let Some(conn) = self.conns.get(link.conn)
                && link.kind == LinkType::InterRouter
            {
                census.credit_held += u64::from(conn.engine.credit(link.link));
            }
        }
    }

    /// Producers' accounts: what links hold against their deliveries, connections against their
    /// links.
    fn held_drift(&self) -> u64 {
        let mut of_links = BTreeMap::<Key, u64>::new();
        for (_, inbound) in self.inbound.iter() {
            if let Some(link) = inbound.link {
                *of_links.entry(link.0).or_insert(0) += inbound.bytes;
            }
        }
        let mut of_conns = BTreeMap::<Key, u64>::new();
        let mut drift = 0;
        for (key, link) in self.in_links.iter() {
            *of_conns.entry(link.conn.0).or_insert(0) += link.bytes;
            // Messages of the routing protocol are on nobody's account.
            if link.kind != LinkType::RouterControl {
                let orphaned = match &link.target {
                    InTarget::Routed(routed) => routed.orphaned,
                    InTarget::Anonymous { .. } | InTarget::Control | InTarget::Address { .. } => 0,
                };
                let held = of_links.remove(&key).unwrap_or(0);
                drift += link.bytes.abs_diff(held + orphaned);
            }
        }
        for (key, conn) in self.conns.iter() {
            let held = of_conns.remove(&key).unwrap_or(0);
            drift += conn.held_bytes.abs_diff(held);
        }
        drift
    }

    /// Consumers' accounts: what lanes say of settled deliveries against those in them.
    fn lane_drift(&self) -> u64 {
        let mut drift = 0;
        let mut of_conns = BTreeMap::<Key, u64>::new();
        for (_, link) in self.out_links.iter() {
            *of_conns.entry(link.conn.0).or_insert(0) += link.lane_bytes;
            let settled = link.lane.iter().filter(|queued| queued.forward.settled);
            let bytes: u64 = link.lane.iter().map(|queued| queued.weight()).sum();
            drift += link.lane_bytes.abs_diff(bytes);
            drift += link.lane_settled.abs_diff(settled.count()) as u64;
        }
        for (key, conn) in self.conns.iter() {
            let waiting = of_conns.remove(&key).unwrap_or(0);
            drift += conn.lane_bytes.abs_diff(waiting);
        }
        drift
    }
}
