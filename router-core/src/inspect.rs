//! What management may ask a shard, and the rows it gets. Shards own the truth; a row is a copy
//! made for the asker at the moment of asking.

use std::sync::Arc;

use amqp_codec::{DeliveryState, Encoded};
use amqp_proto::Security;

use crate::counters::Counter;
use crate::ids::{AddressId, AddressKey, ConnectionId, Direction, LinkId, ShardId};

/// A question to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Returned with the answer.
    pub id: u64,
    /// What is asked.
    pub what: Subject,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// All connections of the shard.
    Connections,
    /// All links of the shard.
    Links,
    /// The counters of all addresses that the shard has served.
    Addresses,
    /// The pools of memory of the shard.
    Pools,
    /// Nothing: that it answers is what is asked.
    Presence,
}

/// A shard's answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The question's.
    pub id: u64,
    /// Who answers.
    pub shard: ShardId,
    /// The rows.
    pub rows: Rows,
}

/// Rows of one kind.
#[derive(Clone, Debug)]
pub enum Rows {
    /// For [`Subject::Connections`].
    Connections(Vec<ConnectionRow>),
    /// For [`Subject::Links`].
    Links(Vec<LinkRow>),
    /// For [`Subject::Addresses`].
    Addresses(Vec<(AddressId, AddressCounters)>),
    /// For [`Subject::Pools`].
    Pools(Vec<PoolRow>),
    /// For [`Subject::Presence`].
    Presence,
}

/// The places for records of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolRow {
    /// What the records are.
    pub name: &'static str,
    /// Bytes of a place.
    pub object_bytes: usize,
    /// Places that a shard keeps when no record is left.
    pub kept: usize,
    /// Places that there are, taken or free.
    pub held: u64,
    /// Places whose memory has gone back.
    pub given_back: u64,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionRow {
    /// Its number.
    pub id: ConnectionId,
    /// `address:port` of the peer.
    pub host: String,
    /// The role that its listener or connector has: `normal`, `inter-router` …
    pub role: &'static str,
    /// `In` if the peer connected to us.
    pub direction: Direction,
    /// The peer's container-id, once it sent Open.
    pub container: Option<String>,
    /// The SASL mechanism, if there was a SASL layer.
    pub sasl: Option<String>,
    /// Whether a SASL exchange succeeded.
    pub authenticated: bool,
    /// The user, where there is one.
    pub user: Option<String>,
    /// What encrypts it, if anything does.
    pub security: Option<Cipher>,
    /// The properties of the peer's Open.
    pub properties: Option<Encoded>,
    /// Whether both Opens have been exchanged.
    pub opened: bool,
    /// An administrator has deleted it and it is going down.
    pub deleted: bool,
    /// Seconds since the transport connected.
    pub uptime_seconds: u64,
    /// Seconds since the last delivery, either way.
    pub last_delivery_seconds: Option<u64>,
    /// Whether its frames are traced.
    pub traced: bool,
    /// The first of the connections to the same neighbour that it belongs to.
    pub trunk: Option<ConnectionId>,
}

/// What encrypts a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cipher {
    /// The protocol and its version, such as `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher suite.
    pub name: &'static str,
    /// Bits of its key.
    pub bits: u32,
}

impl Cipher {
    /// What a transform tells of it.
    #[must_use]
    pub fn of(security: &Security) -> Self {
        Self {
            protocol: security.protocol,
            name: security.cipher,
            bits: security.bits,
        }
    }
}

impl ConnectionRow {
    /// What it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = [&self.container, &self.sasl, &self.user];
        let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
        let properties = self.properties.as_ref();
        let properties = properties.map_or(0, |properties| properties.as_bytes().len());
        size_of::<Self>() + self.host.len() + texts + properties
    }
}

/// One link.
#[derive(Clone, Debug)]
pub struct LinkRow {
    /// Its number.
    pub id: LinkId,
    /// The name that the peer gave it.
    pub name: Arc<str>,
    /// Whom it serves.
    pub kind: LinkType,
    /// Which way messages flow.
    pub direction: Direction,
    /// Its connection.
    pub connection: ConnectionId,
    /// The key of its address; `None` for an anonymous link.
    pub address: Option<AddressKey>,
    /// The other half, if it is one of a routed link.
    pub peer: Option<LinkId>,
    /// `linkCapacity` of its connection.
    pub capacity: u32,
    /// Deliveries waiting to be sent (out) or held until complete or routable (in).
    pub undelivered: u64,
    /// Deliveries sent or forwarded and not settled.
    pub unsettled: u64,
    /// The counters.
    pub counters: LinkCounters,
    /// Seconds without credit, of those in which the router was awake; 0 while there is some.
    pub zero_credit_seconds: u64,
    /// Credit in the hands of whoever sends.
    pub credit: u32,
    /// Deliveries settled a second, over the last five.
    pub settle_rate: u32,
    /// Deliveries older than ten seconds at the moment of asking.
    pub stuck: u64,
    /// Priority of its deliveries between routers.
    pub priority: u8,
    /// Deliveries to a client, by the index of the router where they entered the network, this one
    /// being 0; `None` for other links.
    pub ingress: Option<Vec<(u16, u64)>>,
}

impl LinkRow {
    /// What it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let address = self.address.as_ref().map_or(0, |address| address.len());
        let ingress = self.ingress.as_ref().map_or(0, Vec::len) * size_of::<(u16, u64)>();
        size_of::<Self>() + self.name.len() + address + ingress
    }
}

/// Whom a link serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// A client, or whoever else produces or consumes.
    Endpoint,
    /// Messages between this router and a neighbour.
    InterRouter,
    /// The routing protocol between this router and a neighbour.
    RouterControl,
}

impl LinkType {
    /// The name that management shows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::InterRouter => "inter-router",
            Self::RouterControl => "router-control",
        }
    }
}

/// What a link has done, as management shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Handed to routing (in) or completely sent (out).
    pub deliveries: u64,
    /// Settled by the sender, also those that were dropped.
    pub presettled: u64,
    /// Settled deliveries dropped.
    pub dropped_presettled: u64,
    /// Ended accepted.
    pub accepted: u64,
    /// Ended rejected.
    pub rejected: u64,
    /// Ended released.
    pub released: u64,
    /// Ended modified.
    pub modified: u64,
    /// Ended more than 1 and at most 10 seconds after they came in.
    pub delayed_1s: u64,
    /// Ended more than 10 seconds after they came in. What the router slept is not counted.
    pub delayed_10s: u64,
}

impl LinkCounters {
    /// Counts how a delivery ended; the router's counter of the same kind, if there is one.
    pub fn count(&mut self, settled: bool, state: Option<&DeliveryState>) -> Option<Counter> {
        let (cell, counter) = match (settled, state) {
            (true, _) => (&mut self.presettled, Counter::PresettledDeliveries),
            (_, Some(DeliveryState::Accepted)) => (&mut self.accepted, Counter::AcceptedDeliveries),
            (_, Some(DeliveryState::Rejected(_))) => {
                (&mut self.rejected, Counter::RejectedDeliveries)
            }
            (_, Some(DeliveryState::Released)) => (&mut self.released, Counter::ReleasedDeliveries),
            (_, Some(DeliveryState::Modified(_))) => {
                (&mut self.modified, Counter::ModifiedDeliveries)
            }
            _ => return None,
        };
        *cell += 1;
        Some(counter)
    }

    /// Counts a delivery that took this many seconds, if that is long.
    pub fn count_delay(&mut self, seconds: u32) -> Option<Counter> {
        let (cell, counter) = match seconds {
            0 | 1 => return None,
            2..=10 => (&mut self.delayed_1s, Counter::DeliveriesDelayed1Sec),
            _ => (&mut self.delayed_10s, Counter::DeliveriesDelayed10Sec),
        };
        *cell += 1;
        Some(counter)
    }
}

/// What an address has carried in one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressCounters {
    /// From endpoint links of this shard.
    pub ingress: u64,
    /// To endpoint links of this shard.
    pub egress: u64,
    /// Of those that came in, from connections of role route-container.
    pub ingress_route_container: u64,
    /// Of those that went out to one consumer alone, to such connections.
    pub egress_route_container: u64,
    /// To other routers.
    pub transit: u64,
    /// To in-process consumers.
    pub to_container: u64,
    /// From in-process producers.
    pub from_container: u64,
    /// Meant for the address's fallback when they went there, or began to wait for it.
    pub redirected: u64,
    /// Waiting for a consumer, or sent to one and not settled, at this moment.
    pub tracked: u64,
}

impl AddressCounters {
    /// Adds another shard's figures.
    pub fn add(&mut self, other: &Self) {
        self.ingress += other.ingress;
        self.egress += other.egress;
        self.ingress_route_container += other.ingress_route_container;
        self.egress_route_container += other.egress_route_container;
        self.transit += other.transit;
        self.to_container += other.to_container;
        self.from_container += other.from_container;
        self.redirected += other.redirected;
        self.tracked += other.tracked;
    }
}
