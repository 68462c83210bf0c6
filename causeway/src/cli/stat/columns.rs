//! The columns of the tables, by view.
//!
//! Owns heads and what stands below them. Heads and their order are those of the incumbent's tool,
//! and a column that the router does not tell stays empty instead of being an error: routers of
//! another version can be asked too.

use crate::cli::quantity::bytes;
use crate::cli::stat::cells::{
    Row, authentication, key_parts, long_time, moment, names, or_dash, security, short_time,
};

/// A head, and what stands below it.
pub(in crate::cli) type Column = (&'static str, fn(&Row<'_>) -> String);

/// The head and the attribute of a column that shows it as it is.
macro_rules! plain {
    ($($head:literal $attribute:literal),* $(,)?) => {
        [$(($head, |row: &Row<'_>| row.text($attribute))),*]
    };
}

pub(in crate::cli) const GENERAL: [Column; 29] = [
    ("Version", |row| row.text("version")),
    ("Mode", |row| row.text("mode")),
    ("Router Id", |row| row.text("id")),
    ("Worker Threads", |row| row.text("workerThreads")),
    ("Uptime", |row| long_time(row.number("uptimeSeconds"))),
    ("VmSize", |row| {
        row.number("memoryUsage").map_or(String::new(), bytes)
    }),
    ("Area", |row| row.text("area")),
    ("Link Routes", |row| row.text("linkRouteCount")),
    ("Auto Links", |row| row.text("autoLinkCount")),
    ("Links", |row| row.text("linkCount")),
    ("Nodes", |row| row.text("nodeCount")),
    ("Addresses", |row| row.text("addrCount")),
    ("Connections", |row| row.text("connectionCount")),
    ("Presettled Count", |row| row.text("presettledDeliveries")),
    ("Dropped Presettled Count", |row| {
        row.text("droppedPresettledDeliveries")
    }),
    ("Accepted Count", |row| row.text("acceptedDeliveries")),
    ("Rejected Count", |row| row.text("rejectedDeliveries")),
    ("Released Count", |row| row.text("releasedDeliveries")),
    ("Modified Count", |row| row.text("modifiedDeliveries")),
    ("Deliveries Delayed > 1sec", |row| {
        row.text("deliveriesDelayed1Sec")
    }),
    ("Deliveries Delayed > 10sec", |row| {
        row.text("deliveriesDelayed10Sec")
    }),
    ("Deliveries Stuck > 10sec", |row| {
        row.text("deliveriesStuck")
    }),
    ("Deliveries to Fallback", |row| {
        row.text("deliveriesRedirectedToFallback")
    }),
    ("Links Blocked", |row| row.text("linksBlocked")),
    ("Ingress Count", |row| row.text("deliveriesIngress")),
    ("Egress Count", |row| row.text("deliveriesEgress")),
    ("Transit Count", |row| row.text("deliveriesTransit")),
    ("Deliveries from Route Container", |row| {
        row.text("deliveriesIngressRouteContainer")
    }),
    ("Deliveries to Route Container", |row| {
        row.text("deliveriesEgressRouteContainer")
    }),
];

pub(in crate::cli) const CONNECTIONS: [Column; 11] = [
    ("id", |row| row.text("identity")),
    ("host", |row| row.text("host")),
    ("container", |row| row.text("container")),
    ("role", |row| row.text("role")),
    ("proto", |row| row.text("protocol")),
    ("dir", |row| row.text("dir")),
    ("security", security),
    ("authentication", authentication),
    ("tenant", tenant),
    ("last dlv", |row| match row.number("lastDlvSeconds") {
        Some(seconds) => long_time(Some(seconds)),
        None => "-".into(),
    }),
    ("uptime", |row| long_time(row.number("uptimeSeconds"))),
];

fn tenant(row: &Row<'_>) -> String {
    let tenant = row.text("tenant");
    tenant.strip_suffix('/').unwrap_or(&tenant).to_owned()
}

/// Shown where several connections share the load.
pub(super) const CONNECTIONS_OF_TRUNKS: [Column; 1] = plain!["trunk" "trunk"];

/// Connections with edge routers.
pub(in crate::cli) const EDGE: [Column; 9] = [
    ("id", |row| row.text("identity")),
    ("host", |row| row.text("host")),
    ("container", |row| row.text("container")),
    ("role", |row| row.text("role")),
    ("dir", |row| row.text("dir")),
    ("security", security),
    ("authentication", authentication),
    ("tenant", tenant),
    ("active", |row| match row.is("active") {
        true => "yes".into(),
        false => "no".into(),
    }),
];

pub(super) const NODES: [Column; 5] = [
    ("router-id", |row| row.text("id")),
    ("next-hop", |row| or_dash(row.text("nextHop"))),
    ("link", |row| or_dash(row.text("routerLink"))),
    ("cost", |row| row.text("cost")),
    ("neighbors", |row| names(row.value("linkState"))),
];

pub(super) const NODES_VERBOSE: [Column; 1] =
    [("valid-origins", |row| names(row.value("validOrigins")))];

pub(super) const CONNECTORS: [Column; 6] = [
    ("name", |row| row.text("name")),
    ("server", |row| {
        format!("{}:{}", row.text("host"), row.text("port"))
    }),
    ("role", |row| row.text("role")),
    ("cost", |row| row.text("cost")),
    ("status", |row| row.text("connectionStatus")),
    ("last heard", |row| row.text("connectionMsg")),
];

pub(super) const CONNECTORS_VERBOSE: [Column; 1] = plain!["servers in turn" "failoverUrls"];

pub(in crate::cli) const AUTO_LINKS: [Column; 7] = plain![
    "addr" "address", "dir" "direction", "phs" "phase", "extAddr" "externalAddress",
    "link" "linkRef", "status" "operStatus", "lastErr" "lastError",
];

pub(super) const AUTO_LINKS_VERBOSE: [Column; 3] =
    plain!["name" "name", "connection" "connection", "container" "containerId"];

pub(in crate::cli) const LINK_ROUTES: [Column; 4] = [
    ("address", |row| {
        let prefix = row.text("prefix");
        match prefix.is_empty() {
            true => row.text("pattern"),
            false => prefix,
        }
    }),
    ("dir", |row| row.text("direction")),
    ("distrib", |row| row.text("distribution")),
    ("status", |row| row.text("operStatus")),
];

/// Shown where a link route has any of them.
pub(in crate::cli) const LINK_ROUTES_PREFIXES: [Column; 2] =
    plain!["add-ext-prefix" "addExternalPrefix", "del-ext-prefix" "delExternalPrefix"];

pub(super) const LINK_ROUTES_VERBOSE: [Column; 3] =
    plain!["name" "name", "connection" "connection", "container" "containerId"];

pub(in crate::cli) const LINKS: [Column; 24] = [
    ("type", |row| row.text("linkType")),
    ("dir", |row| row.text("linkDir")),
    ("conn id", |row| row.text("connectionId")),
    ("id", |row| row.text("identity")),
    ("peer", |row| row.text("peer")),
    ("class", |row| key_parts(&row.text("owningAddr")).0),
    ("addr", |row| key_parts(&row.text("owningAddr")).1),
    ("phs", |row| key_parts(&row.text("owningAddr")).2),
    ("cap", |row| row.text("capacity")),
    ("pri", |row| row.text("priority")),
    ("undel", |row| row.text("undeliveredCount")),
    ("unsett", |row| row.text("unsettledCount")),
    ("deliv", |row| row.text("deliveryCount")),
    ("presett", |row| row.text("presettledCount")),
    ("psdrop", |row| row.text("droppedPresettledCount")),
    ("acc", |row| row.text("acceptedCount")),
    ("rej", |row| row.text("rejectedCount")),
    ("rel", |row| row.text("releasedCount")),
    ("mod", |row| row.text("modifiedCount")),
    ("delay", |row| {
        let late = ["deliveriesDelayed1Sec", "deliveriesDelayed10Sec"];
        let late = late.iter().filter_map(|name| row.number(name));
        late.sum::<u64>().to_string()
    }),
    ("rate", |row| row.text("settleRate")),
    ("stuck", |row| row.text("deliveriesStuck")),
    ("cred", |row| row.text("creditAvailable")),
    ("blkd", |row| match row.number("zeroCreditSeconds") {
        None | Some(0) => "-".into(),
        Some(seconds) => short_time(seconds),
    }),
];

pub(in crate::cli) const LINKS_VERBOSE: [Column; 3] =
    plain!["admin" "adminStatus", "oper" "operStatus", "name" "linkName"];

pub(in crate::cli) const ADDRESSES: [Column; 11] = [
    ("class", |row| key_parts(&row.text("key")).0),
    ("addr", |row| key_parts(&row.text("key")).1),
    ("phs", |row| key_parts(&row.text("key")).2),
    ("distrib", |row| row.text("distribution")),
    ("pri", |row| {
        row.number("priority")
            .map_or("-".into(), |priority| priority.to_string())
    }),
    ("local", |row| {
        let class = row.text("key");
        let container = class.starts_with(['C', 'D', 'E', 'F']);
        row.text(if container {
            "containerCount"
        } else {
            "subscriberCount"
        })
    }),
    ("remote", |row| row.text("remoteCount")),
    ("in", |row| row.text("deliveriesIngress")),
    ("out", |row| row.text("deliveriesEgress")),
    ("thru", |row| row.text("deliveriesTransit")),
    ("fallback", |row| row.text("deliveriesRedirectedToFallback")),
];

/// Handlers within the router.
pub(in crate::cli) const IN_PROCESS: Column = ("in-proc", |row| row.text("inProcess"));

pub(in crate::cli) const ADDRESSES_VERBOSE: [Column; 2] =
    plain!["to-proc" "deliveriesToContainer", "from-proc" "deliveriesFromContainer"];

pub(in crate::cli) const MEMORY: [Column; 8] = [
    ("type", |row| {
        let identity = row.text("identity");
        match identity.split_once('/') {
            Some((_, name)) => name.to_owned(),
            None => or_dash(identity),
        }
    }),
    ("size", |row| row.text("typeSize")),
    ("batch", |row| row.text("transferBatchSize")),
    ("thread-max", |row| row.text("localFreeListMax")),
    ("total", |row| row.text("totalAllocFromHeap")),
    ("in-threads", |row| row.text("heldByThreads")),
    ("rebal-in", |row| row.text("batchesRebalancedToThreads")),
    ("rebal-out", |row| row.text("batchesRebalancedToGlobal")),
];

pub(super) const POLICY: [Column; 11] = plain![
    "Maximum Concurrent Connections" "maxConnections",
    "Maximum Message Size" "maxMessageSize",
    "Enable Vhost Policy" "enableVhostPolicy",
    "Enable Vhost Name Patterns" "enableVhostNamePatterns",
    "Policy Directory" "policyDir",
    "Default Vhost" "defaultVhost",
    "Connections Processed" "connectionsProcessed",
    "Connections Denied" "connectionsDenied",
    "Connections Current" "connectionsCurrent",
    "Links Denied" "linksDenied",
    "Total Denials" "totalDenials",
];

pub(in crate::cli) const VHOST_STATS: [Column; 8] = plain![
    "hostname" "hostname", "connectionsApproved" "connectionsApproved",
    "connectionsDenied" "connectionsDenied", "connectionsCurrent" "connectionsCurrent",
    "sessionDenied" "sessionDenied", "senderDenied" "senderDenied",
    "receiverDenied" "receiverDenied", "maxMessageSizeDenied" "maxMessageSizeDenied",
];

pub(super) const VHOSTS: [Column; 7] = [
    ("hostname", |row| row.text("hostname")),
    ("maxConnections", |row| row.text("maxConnections")),
    ("maxMessageSize", |row| row.text("maxMessageSize")),
    ("maxConnectionsPerUser", |row| {
        row.text("maxConnectionsPerUser")
    }),
    ("maxConnectionsPerHost", |row| {
        row.text("maxConnectionsPerHost")
    }),
    ("allowUnknownUser", |row| row.text("allowUnknownUser")),
    ("groups", |row| {
        let groups = row.value("groups").as_map();
        groups.map_or(0, |groups| groups.iter().count()).to_string()
    }),
];

/// The columns of the answer to GET-LOG.
pub(in crate::cli) const LOG: [Column; 4] = [
    ("time", |row| {
        let seconds = row.value("time").as_i64().unwrap_or_default();
        moment(seconds, "%Y-%m-%d %H:%M:%S", true)
    }),
    ("module", |row| row.text("module")),
    ("level", |row| row.text("level")),
    ("text", |row| row.text("text")),
];
