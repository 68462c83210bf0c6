//! The values of attributes: from rows of shards, rules, settings and counters to AMQP values.
//!
//! It never asks anybody. Decision: a value is found by its attribute's name, so columns can be
//! asked for in any order and the order of the table is nobody's business but the table's.

use std::sync::Arc;

use amqp_codec::{Map, Value};
use amqp_proto::Time;
use router_core::control::{
    AddressRow, AutoLinkRow, AutoLinkStatus, ControlPlane, Heard, LinkRouteRow,
};
use router_core::counters::Counter;
use router_core::ids::Direction;
use router_core::inspect::{AddressCounters, ConnectionRow, LinkRow, PoolRow};
use router_core::mesh::{NodeRow, RouterIndex};
use router_core::notice::Opened;
use router_core::route::{AddressRule, Treatment};

use crate::host::{Admissions, LogStats};
use crate::schema::{
    ALLOCATOR, AUTO_LINK, CONFIG_ADDRESS, CONNECTION, CONNECTION_LINK_ROUTE, Entity, EntityType,
    LINK_ROUTE, LOG, LOG_STATS, MANAGEMENT, POLICY, ROUTER, ROUTER_ADDRESS, ROUTER_LINK,
    ROUTER_NODE,
};

/// What is shown of a secret.
const SECRET: &str = "*******";

/// Routers of which there are figures in a list.
const ROUTERS_SHOWN: usize = 128;

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// One thing that can be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    Router(RouterView<'a>),
    Management,
    Entity(&'a Entity),
    Connector(&'a Entity, &'a ControlPlane),
    Rule(&'a AddressRule),
    LinkRoute(LinkRouteRow<'a>),
    AutoLink(AutoLinkRow<'a>),
    Connection(&'a ConnectionRow),
    Link(&'a LinkRow),
    Address(&'a AddressRow, AddressCounters),
    Node(&'a NodeRow),
    LogStats(&'a LogStats),
    Pool(&'a PoolRow),
    Policy(&'a Entity, Admissions),
}

/// The router as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RouterView<'a> {
    pub(crate) control: &'a ControlPlane,
    pub(crate) entity: &'a Entity,
    pub(crate) memory_usage: Option<u64>,
    pub(crate) host_name: Option<&'a str>,
    pub(crate) now: Time,
    /// It is called as what is configured is.
    pub(crate) as_configured: bool,
}

impl<'a> Row<'a> {
    pub(crate) fn entity_type(&self) -> &'static EntityType {
        match self {
            Self::Router(_) => &ROUTER,
            Self::Management => &MANAGEMENT,
            Self::Entity(entity) | Self::Connector(entity, _) => entity.entity_type(),
            Self::Rule(_) => &CONFIG_ADDRESS,
            Self::LinkRoute(row) if row.scope.is_some() => &CONNECTION_LINK_ROUTE,
            Self::LinkRoute(_) => &LINK_ROUTE,
            Self::AutoLink(_) => &AUTO_LINK,
            Self::Connection(_) => &CONNECTION,
            Self::Link(_) => &ROUTER_LINK,
            Self::Address(..) => &ROUTER_ADDRESS,
            Self::Node(_) => &ROUTER_NODE,
            Self::LogStats(_) => &LOG_STATS,
            Self::Pool(_) => &ALLOCATOR,
            Self::Policy(..) => &POLICY,
        }
    }

    /// The value of an attribute; null where it has none.
    pub(crate) fn value(&self, name: &str) -> Value {
        if name == "type" {
            return self.entity_type().full_name().into();
        }
        match *self {
            Self::Router(view) => router(view, name),
            Self::Management => match name {
                "name" | "identity" => "self".into(),
                _ => Value::Null,
            },
            Self::Entity(entity) | Self::Connector(entity, _) if is_secret(entity, name) => {
                SECRET.into()
            }
            Self::Entity(entity) => match entity.get(name) {
                Some(value) => value.clone(),
                None => inherited_by_all(entity, name),
            },
            Self::Connector(entity, control) => connector(entity, control, name),
            Self::Rule(rule) => address_rule(rule, name),
            Self::LinkRoute(row) => link_route(row, name),
            Self::AutoLink(row) => auto_link(row, name),
            Self::Connection(row) => connection(row, name),
            Self::Link(row) => link(row, name),
            Self::Address(row, counters) => address(row, counters, name),
            Self::Node(row) => node(row, name),
            Self::LogStats(row) => log_stats(row, name),
            Self::Pool(row) => pool(row, name),
            Self::Policy(entity, admissions) => policy(entity, admissions, name),
        }
    }

    /// Whether it goes by that name or identity; what is not given does not count.
    pub(crate) fn is_called(&self, name: Option<&str>, identity: Option<&str>) -> bool {
        let is = |attribute: &str, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| match self {
                // Without a copy: a new entity is compared with all that there are.
                Self::Entity(entity) | Self::Connector(entity, _) => {
                    entity.text(attribute) == Some(wanted)
                }
                Self::LinkRoute(row) if attribute == "name" => {
                    row.rule.name.as_deref() == Some(wanted)
                }
                Self::AutoLink(row) if attribute == "name" => {
                    row.rule.name.as_deref() == Some(wanted)
                }
                Self::Rule(rule) if attribute == "name" => rule.name.as_deref() == Some(wanted),
                Self::Router(view) if wanted == router_identity(view.control) => true,
                _ => self.value(attribute).as_str() == Some(wanted),
            })
        };
        is("name", name) && is("identity", identity)
    }

    /// The same, called as what is configured is. Who asks for the router by the short name of its
    /// type, or for all that there is, knows it by that.
    pub(crate) fn as_configured(self) -> Self {
        match self {
            Self::Router(view) => Self::Router(RouterView {
                as_configured: true,
                ..view
            }),
            other => other,
        }
    }

    /// All columns with their values; attributes without one only where the type shows them.
    pub(crate) fn to_map(self) -> Map {
        let entity_type = self.entity_type();
        let mut map = Map::new();
        for name in entity_type.all_columns() {
            let value = self.value(name);
            if entity_type.shows_nulls || !value.is_null() {
                map.push(name, value);
            }
        }
        map
    }
}

/// Whether an attribute has a value that nobody is shown.
fn is_secret(entity: &Entity, name: &str) -> bool {
    let attribute = entity.entity_type().attribute(name);
    attribute.is_some_and(|attribute| attribute.secret) && entity.get(name).is_some()
}

/// What is in force of module `DEFAULT` of the log where nothing is configured.
fn inherited_by_all(entity: &Entity, name: &str) -> Value {
    if *entity.entity_type() != LOG || entity.text("module") != Some("DEFAULT") {
        return Value::Null;
    }
    match name {
        "enable" => "info+".into(),
        "includeTimestamp" => true.into(),
        "includeSource" => false.into(),
        "outputFile" => "stderr".into(),
        _ => Value::Null,
    }
}

fn text(text: Option<&str>) -> Value {
    text.map(str::to_owned).into()
}

fn uint(number: impl TryInto<u32>) -> Value {
    number.try_into().unwrap_or(u32::MAX).into()
}

fn ulong(number: usize) -> Value {
    (number as u64).into()
}

/// What the router is called among what is configured; as a live entity its name is its id, its
/// identity 1.
fn router_identity(control: &ControlPlane) -> String {
    format!("router/{}", control.settings().id)
}

fn router(view: RouterView<'_>, name: &str) -> Value {
    let RouterView {
        control,
        entity,
        memory_usage,
        host_name,
        now,
        as_configured,
    } = view;
    let total = |counter| control.counters().total(counter);
    match name {
        "name" | "identity" if as_configured => router_identity(control).into(),
        "name" | "id" => control.settings().id.to_string().into(),
        "identity" => "1".into(),
        "hostName" => text(host_name),
        "version" => control.settings().version.into(),
        "addrCount" => ulong(control.address_count()),
        "linkRouteCount" => ulong(control.link_routes().count()),
        // This router is among them.
        "nodeCount" => ulong(control.nodes().len().saturating_sub(1)),
        "autoLinkCount" => ulong(control.auto_links().len()),
        "linksBlocked" => uint(total(Counter::LinksBlocked)),
        "blockedLinkCount" => total(Counter::LinksBlocked).into(),
        "uptimeSeconds" => uint(now.saturating_sub(Time::ZERO).as_secs()),
        "memoryUsage" => memory_usage.into(),
        "shards" => uint(control.shards()),
        _ => match Counter::ALL.iter().find(|counter| counter.name() == name) {
            Some(counter) => total(*counter).into(),
            None => entity.get(name).cloned().unwrap_or_default(),
        },
    }
}

fn connector(entity: &Entity, control: &ControlPlane, name: &str) -> Value {
    let row = || control.connector(entity.identity());
    match name {
        "connectionStatus" => row().map(|row| row.status.name()).map(str::to_owned).into(),
        "connectionMsg" => row().and_then(|row| row.heard).map(heard).into(),
        "failoverUrls" => {
            let urls = row().map(|row| {
                let servers = row.servers.iter();
                let scheme = match entity.text("sslProfile") {
                    Some(_) => "amqps",
                    None => "amqp",
                };
                let urls: Vec<_> = servers
                    .map(|server| format!("{scheme}://{server}"))
                    .collect();
                urls.join(", ")
            });
            urls.into()
        }
        _ => entity.get(name).cloned().unwrap_or_default(),
    }
}

/// The last that was heard of a connector, in the words of the incumbent's log.
fn heard(heard: Heard) -> String {
    match heard {
        Heard::Opened(opened) => {
            let Opened {
                connection,
                peer,
                mechanism,
                user,
                container,
                encrypted,
                ..
            } = &*opened;
            let encrypted = encrypted.unwrap_or("no");
            let mechanism = mechanism.as_deref().unwrap_or("no");
            let user = user.as_deref().unwrap_or("anonymous");
            format!(
                "[C{connection}] Connection Opened: dir=out host={peer} vhost= \
                 encrypted={encrypted} auth={mechanism} user={user} container_id={container}"
            )
        }
        Heard::Failed {
            connection,
            server,
            condition,
            description,
        } => format!("[C{connection}] Connection to {server} failed: {condition} {description}"),
    }
}

fn address_rule(rule: &AddressRule, name: &str) -> Value {
    let number = |number: Option<i64>| {
        Value::Int(
            number
                .and_then(|number| i32::try_from(number).ok())
                .unwrap_or_default(),
        )
    };
    match name {
        "name" => text(rule.name.as_deref()),
        "identity" => rule.identity.to_string().into(),
        "prefix" => text(rule.prefix.as_deref()),
        "pattern" => text(rule.pattern.as_deref()),
        "distribution" if rule.treatment == Treatment::Unavailable => Value::Null,
        "distribution" => rule.treatment.name().into(),
        "waypoint" => rule.waypoint.into(),
        "ingressPhase" => number(rule.ingress_phase),
        "egressPhase" => number(rule.egress_phase),
        "priority" => number(rule.priority.or(Some(-1))),
        "fallback" | "enableFallback" => rule.fallback.into(),
        _ => Value::Null,
    }
}

fn link_route(row: LinkRouteRow<'_>, name: &str) -> Value {
    let rule = row.rule;
    match name {
        "name" => text(rule.name.as_deref()),
        "identity" => rule.identity.to_string().into(),
        "prefix" => text(rule.prefix.as_deref()),
        "pattern" => text(rule.pattern.as_deref()),
        "distribution" => "linkBalanced".into(),
        "connection" => text(rule.connection.as_deref()),
        "containerId" => match row.scope {
            Some(scope) => scope.container.to_string().into(),
            None => text(rule.container.as_deref()),
        },
        "direction" | "dir" => direction(rule.direction),
        "operStatus" => if row.active { "active" } else { "inactive" }.into(),
        "addExternalPrefix" => text(rule.add_prefix.as_deref()),
        "delExternalPrefix" => text(rule.del_prefix.as_deref()),
        _ => Value::Null,
    }
}

fn auto_link(row: AutoLinkRow<'_>, name: &str) -> Value {
    let rule = row.rule;
    match name {
        "name" => text(rule.name.as_deref()),
        "identity" => rule.identity.to_string().into(),
        "address" | "addr" => text(Some(&rule.address)),
        "direction" | "dir" => direction(rule.direction),
        "phase" => {
            let phase = rule.phase.and_then(|phase| i32::try_from(phase).ok());
            Value::Int(phase.unwrap_or_default())
        }
        "connection" => text(rule.connection.as_deref()),
        "containerId" => text(rule.container.as_deref()),
        "externalAddress" | "externalAddr" => text(rule.external_address.as_deref()),
        "linkRef" => row.link.map(|link| link.to_string()).into(),
        "operStatus" => match row.status {
            AutoLinkStatus::Inactive => "inactive",
            AutoLinkStatus::Attaching => "attaching",
            AutoLinkStatus::Active => "active",
            AutoLinkStatus::Failed => "failed",
        }
        .into(),
        "lastError" => text(row.last_error),
        "fallback" => rule.fallback.into(),
        _ => Value::Null,
    }
}

fn connection(row: &ConnectionRow, name: &str) -> Value {
    match name {
        "name" => format!("connection/{}", row.host).into(),
        "identity" => row.id.to_string().into(),
        "host" => row.host.clone().into(),
        "role" => row.role.into(),
        "protocol" => "amqp".into(),
        "dir" => direction(row.direction),
        "container" => text(row.container.as_deref()),
        "sasl" => text(row.sasl.as_deref()),
        "isAuthenticated" => row.authenticated.into(),
        "user" => text(Some(row.user.as_deref().unwrap_or("anonymous"))),
        "isEncrypted" | "ssl" => row.security.is_some().into(),
        "sslProto" => text(row.security.map(|cipher| cipher.protocol)),
        "sslCipher" => text(row.security.map(|cipher| cipher.name)),
        // The properties of the peer's Open, its keys as they came; none is an empty map.
        "properties" => {
            let value = row
                .properties
                .as_ref()
                .and_then(|properties| properties.value().ok());
            value
                .filter(|value| value.as_map().is_some())
                .unwrap_or_else(|| Map::new().into())
        }
        "sslSsf" => Value::Long(row.security.map_or(0, |cipher| cipher.bits.into())),
        "opened" => row.opened.into(),
        "active" => true.into(),
        "adminStatus" => if row.deleted { "deleted" } else { "enabled" }.into(),
        "operStatus" => if row.deleted { "closing" } else { "up" }.into(),
        "uptimeSeconds" => uint(row.uptime_seconds),
        "lastDlvSeconds" => row.last_delivery_seconds.map(uint).into(),
        "enableProtocolTrace" => row.traced.into(),
        "trunk" => row.trunk.map(|trunk| trunk.to_string()).into(),
        _ => Value::Null,
    }
}

fn link(row: &LinkRow, name: &str) -> Value {
    let counters = &row.counters;
    match name {
        "name" | "linkName" => row.name.to_string().into(),
        "identity" => row.id.to_string().into(),
        "linkType" => row.kind.name().into(),
        "linkDir" => direction(row.direction),
        "owningAddr" => text(row.address.as_deref()),
        "peer" => row.peer.map(|peer| peer.to_string()).into(),
        "capacity" => row.capacity.into(),
        "undeliveredCount" => row.undelivered.into(),
        "unsettledCount" => row.unsettled.into(),
        "deliveryCount" => counters.deliveries.into(),
        "connectionId" => row.connection.to_string().into(),
        "adminStatus" => "enabled".into(),
        "operStatus" => "up".into(),
        "presettledCount" => counters.presettled.into(),
        "droppedPresettledCount" => counters.dropped_presettled.into(),
        "acceptedCount" => counters.accepted.into(),
        "rejectedCount" => counters.rejected.into(),
        "releasedCount" => counters.released.into(),
        "modifiedCount" => counters.modified.into(),
        "deliveriesDelayed1Sec" => counters.delayed_1s.into(),
        "deliveriesDelayed10Sec" => counters.delayed_10s.into(),
        "deliveriesStuck" => row.stuck.into(),
        "priority" => uint(row.priority),
        "settleRate" => row.settle_rate.into(),
        "creditAvailable" => row.credit.into(),
        "ingressHistogram" => {
            let ingress = row.ingress.as_ref();
            let counts = ingress.map(|counts| by_router(counts, Value::Ulong));
            counts.unwrap_or_default()
        }
        "zeroCreditSeconds" => uint(row.zero_credit_seconds),
        _ => Value::Null,
    }
}

fn address(row: &AddressRow, counters: AddressCounters, name: &str) -> Value {
    match name {
        "name" | "identity" | "key" => row.key.to_string().into(),
        "distribution" => row.treatment.name().into(),
        "inProcess" => uint(row.in_process),
        "subscriberCount" => uint(row.subscribers),
        "containerCount" => uint(row.containers),
        "remoteCount" => uint(row.routers.len()),
        "remoteHostRouters" => ids(&row.routers),
        "deliveriesIngress" => counters.ingress.into(),
        "deliveriesEgress" => counters.egress.into(),
        "deliveriesTransit" => counters.transit.into(),
        "deliveriesToContainer" => counters.to_container.into(),
        "deliveriesFromContainer" => counters.from_container.into(),
        "deliveriesEgressRouteContainer" => counters.egress_route_container.into(),
        "deliveriesIngressRouteContainer" => counters.ingress_route_container.into(),
        "deliveriesRedirectedToFallback" => counters.redirected.into(),
        "trackedDeliveries" => Value::Long(i64::try_from(counters.tracked).unwrap_or(i64::MAX)),
        "transitOutstanding" if row.outstanding.is_empty() => Value::Null,
        "transitOutstanding" => by_router(&row.outstanding, |count: u32| Value::Long(count.into())),
        "priority" => Value::Int(row.priority.map_or(-1, i32::from)),
        _ => Value::Null,
    }
}

/// Figures by the indices of routers, as many as the incumbent shows, and as far beyond that as
/// there are any.
fn by_router<T: Copy + Default>(counts: &[(u16, T)], value: impl Fn(T) -> Value) -> Value {
    let last = counts.iter().map(|(router, _)| usize::from(*router) + 1);
    let length = last.max().unwrap_or(0).max(ROUTERS_SHOWN);
    let mut list = vec![T::default(); length];
    for (router, count) in counts {
        if let Some(place) = list.get_mut(usize::from(*router)) {
            *place = *count;
        }
    }
    Value::List(list.into_iter().map(value).collect())
}

/// The figures of a module of the log.
fn log_stats(row: &LogStats, name: &str) -> Value {
    let levels = [
        "traceCount",
        "debugCount",
        "infoCount",
        "noticeCount",
        "warningCount",
        "errorCount",
        "criticalCount",
    ];
    let mut counts = levels.into_iter().zip(row.lines);
    match name {
        "name" => row.module.into(),
        "identity" => format!("logStats/{}", row.module).into(),
        _ => counts
            .find(|(level, _)| *level == name)
            .map(|(_, count)| count)
            .into(),
    }
}

/// The places for records of one kind. There are no batches: what a thread makes is its own.
fn pool(row: &PoolRow, name: &str) -> Value {
    match name {
        "name" | "identity" => format!("{}/{}", ALLOCATOR.short, row.name).into(),
        "typeName" => row.name.into(),
        "typeSize" => uint(row.object_bytes),
        "transferBatchSize" => uint(1_u32),
        "localFreeListMax" => uint(row.kept),
        "globalFreeListMax" | "batchesRebalancedToThreads" | "batchesRebalancedToGlobal" => {
            uint(0_u32)
        }
        "totalAllocFromHeap" => (row.held + row.given_back).into(),
        "totalFreeToHeap" => row.given_back.into(),
        "heldByThreads" => row.held.into(),
        _ => Value::Null,
    }
}

/// What is let in. Links and messages are never refused by a policy, since one that would is
/// refused itself.
fn policy(entity: &Entity, admissions: Admissions, name: &str) -> Value {
    match name {
        "connectionsProcessed" => (admissions.admitted + admissions.denied).into(),
        "connectionsDenied" | "totalDenials" => admissions.denied.into(),
        "connectionsCurrent" => admissions.current.into(),
        "linksDenied" | "maxMessageSizeDenied" => uint(0_u32),
        // Whatever it is called in a file.
        "name" | "identity" => "policy/None".into(),
        _ => entity.get(name).cloned().unwrap_or_default(),
    }
}

/// A router of the network; of this one's own figures some are shown otherwise.
fn node(row: &NodeRow, name: &str) -> Value {
    let is_own = row.index == RouterIndex::OWN;
    match name {
        "id" => row.id.to_string().into(),
        "name" | "identity" => format!("router.node/{}", row.id).into(),
        "index" => Value::Int(i32::from(row.index.0)),
        "protocolVersion" => Value::Long(row.protocol_version),
        "instance" => Value::Long(row.instance),
        "linkState" => ids(&row.link_state),
        "nextHop" if is_own => "(self)".into(),
        "nextHop" => text(row.next_hop.as_deref()),
        "validOrigins" => ids(&row.valid_origins),
        "address" => node_address(&row.id).into(),
        "routerLink" => row.link.map(|link| uint(link.0)).into(),
        "cost" if is_own => Value::Null,
        "cost" => row.cost.map(uint).into(),
        "lastTopoChange" => {
            let at = row.last_topology_change;
            let second = |at: Time| row.instance.saturating_add_unsigned(at.as_nanos() / NANOS);
            at.map(|at| Value::Long(second(at))).unwrap_or_default()
        }
        _ => Value::Null,
    }
}

/// The address of a router.
pub(crate) fn node_address(id: &str) -> String {
    format!("amqp:/_topo/0/{id}")
}

fn ids(ids: &[Arc<str>]) -> Value {
    Value::List(ids.iter().map(|id| id.to_string().into()).collect())
}

fn direction(direction: Direction) -> Value {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
    .into()
}
