//! What `causeway stat` shows of each table, and how.
//!
//! Owns the columns; it asks nobody. Heads and their order follow the incumbent's tool, so that an
//! operator reads the same table, and a column the router does not tell stays empty instead of
//! being an error: routers of another version can be asked too.

use amqp_codec::Value;
use clap::ValueEnum;
use management::client::Table;

use crate::cli::manager::plain;
use crate::cli::quantity::bytes;
use crate::cli::table::Layout;

/// A table that can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum View {
    /// The router as a whole.
    General,
    /// Who is connected.
    Connections,
    /// Links with their counters and credit.
    Links,
    /// Addresses with their receivers and counters.
    Addresses,
    /// The routers of the network.
    Nodes,
    /// Where the router connects to, and how that goes.
    Connectors,
    /// Links that the router attaches by itself.
    #[value(name = "autolinks")]
    AutoLinks,
}

type Column = (&'static str, fn(&Row<'_>) -> String);

/// An entity and the names of its attributes.
struct Row<'a> {
    table: &'a Table,
    values: &'a [Value],
}

impl Row<'_> {
    fn value(&self, name: &str) -> &Value {
        self.table.value(self.values, name)
    }

    fn text(&self, name: &str) -> String {
        plain(self.value(name))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.value(name).as_u64()
    }

    fn is(&self, name: &str) -> bool {
        self.value(name).as_bool().unwrap_or(false)
    }
}

impl View {
    /// The entity type whose table it is.
    pub(super) fn entity_type(self) -> &'static str {
        match self {
            Self::General => "org.apache.qpid.dispatch.router",
            Self::Connections => "org.apache.qpid.dispatch.connection",
            Self::Links => "org.apache.qpid.dispatch.router.link",
            Self::Addresses => "org.apache.qpid.dispatch.router.address",
            Self::Nodes => "org.apache.qpid.dispatch.router.node",
            Self::Connectors => "org.apache.qpid.dispatch.connector",
            Self::AutoLinks => "org.apache.qpid.dispatch.router.config.autoLink",
        }
    }

    /// Its name in titles and JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::General => "router",
            Self::Connections => "connections",
            Self::Links => "links",
            Self::Addresses => "addresses",
            Self::Nodes => "nodes",
            Self::Connectors => "connectors",
            Self::AutoLinks => "autoLinks",
        }
    }

    /// The table as text, title included; `verbose` shows more columns.
    pub(super) fn text(self, table: &Table, verbose: bool) -> String {
        let rows = table.rows.iter().map(|values| Row { table, values });
        let (title, layout) = match self {
            Self::General => ("Router", general(rows)),
            Self::Connections => {
                let belongs = |row: Row<'_>| !row.text("trunk").is_empty();
                let more: &[Column] = match rows.clone().any(belongs) {
                    true => &CONNECTIONS_OF_TRUNKS,
                    false => &[],
                };
                ("Connections", columns(&CONNECTIONS, more, rows))
            }
            Self::Links => {
                let more: &[Column] = if verbose { &LINKS_VERBOSE } else { &[] };
                ("Links", columns(&LINKS, more, rows))
            }
            Self::Addresses => {
                let more: &[Column] = if verbose { &ADDRESSES_VERBOSE } else { &[] };
                let mut rows: Vec<Row<'_>> = rows.collect();
                rows.sort_by_cached_key(|row| key_parts(&row.text("key")).1.to_owned());
                ("Addresses", columns(&ADDRESSES, more, rows.into_iter()))
            }
            Self::Nodes => {
                let more: &[Column] = if verbose { &NODES_VERBOSE } else { &[] };
                ("Routers in the Network", columns(&NODES, more, rows))
            }
            Self::Connectors => {
                let more: &[Column] = if verbose { &CONNECTORS_VERBOSE } else { &[] };
                ("Connectors", columns(&CONNECTORS, more, rows))
            }
            Self::AutoLinks => {
                let more: &[Column] = if verbose { &AUTO_LINKS_VERBOSE } else { &[] };
                let mut rows: Vec<Row<'_>> = rows.collect();
                rows.sort_by_cached_key(|row| row.text("address"));
                ("AutoLinks", columns(&AUTO_LINKS, more, rows.into_iter()))
            }
        };
        let mut lines = layout.lines();
        if lines.is_empty() {
            lines.push("  none".into());
        }
        format!("{title}\n{}", lines.join("\n"))
    }
}

fn columns<'a>(some: &[Column], more: &[Column], rows: impl Iterator<Item = Row<'a>>) -> Layout {
    let all: Vec<&Column> = some.iter().chain(more).collect();
    let mut layout = Layout::new(all.iter().map(|(head, _)| *head));
    for row in rows {
        layout.add(all.iter().map(|(_, cell)| cell(&row)).collect());
    }
    layout
}

/// The router's attributes as lines instead of columns.
fn general<'a>(rows: impl Iterator<Item = Row<'a>>) -> Layout {
    let mut layout = Layout::new(["attribute", "value"]);
    for row in rows {
        for (head, cell) in &GENERAL {
            layout.add(vec![(*head).to_owned(), cell(&row)]);
        }
    }
    layout
}

const GENERAL: [Column; 29] = [
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

const CONNECTIONS: [Column; 11] = [
    ("id", |row| row.text("identity")),
    ("host", |row| row.text("host")),
    ("container", |row| row.text("container")),
    ("role", |row| row.text("role")),
    ("proto", |row| row.text("protocol")),
    ("dir", |row| row.text("dir")),
    ("security", security),
    ("authentication", authentication),
    ("tenant", |row| {
        row.text("tenant").trim_end_matches('/').to_owned()
    }),
    ("last dlv", |row| match row.number("lastDlvSeconds") {
        Some(seconds) => long_time(Some(seconds)),
        None => "-".into(),
    }),
    ("uptime", |row| long_time(row.number("uptimeSeconds"))),
];

/// Shown where several connections share the load.
const CONNECTIONS_OF_TRUNKS: [Column; 1] = [("trunk", |row| row.text("trunk"))];

const NODES: [Column; 5] = [
    ("router-id", |row| row.text("id")),
    ("next-hop", |row| or_dash(row.text("nextHop"))),
    ("link", |row| or_dash(row.text("routerLink"))),
    ("cost", |row| row.text("cost")),
    ("neighbors", |row| names(row.value("linkState"))),
];

const NODES_VERBOSE: [Column; 1] = [("valid-origins", |row| names(row.value("validOrigins")))];

const CONNECTORS: [Column; 6] = [
    ("name", |row| row.text("name")),
    ("server", |row| {
        format!("{}:{}", row.text("host"), row.text("port"))
    }),
    ("role", |row| row.text("role")),
    ("cost", |row| row.text("cost")),
    ("status", |row| row.text("connectionStatus")),
    ("last heard", |row| row.text("connectionMsg")),
];

const CONNECTORS_VERBOSE: [Column; 1] = [("servers in turn", |row| row.text("failoverUrls"))];

const AUTO_LINKS: [Column; 7] = [
    ("addr", |row| row.text("address")),
    ("dir", |row| row.text("direction")),
    ("phs", |row| row.text("phase")),
    ("extAddr", |row| row.text("externalAddress")),
    ("link", |row| row.text("linkRef")),
    ("status", |row| row.text("operStatus")),
    ("lastErr", |row| row.text("lastError")),
];

const AUTO_LINKS_VERBOSE: [Column; 3] = [
    ("name", |row| row.text("name")),
    ("connection", |row| row.text("connection")),
    ("container", |row| row.text("containerId")),
];

/// A text, or a sign that there is none.
fn or_dash(text: String) -> String {
    match text.is_empty() {
        true => "-".into(),
        false => text,
    }
}

/// A list of names as a person writes it.
fn names(list: &Value) -> String {
    let names = list.as_list().unwrap_or_default();
    names.iter().map(plain).collect::<Vec<_>>().join(", ")
}

const LINKS: [Column; 24] = [
    ("type", |row| row.text("linkType")),
    ("dir", |row| row.text("linkDir")),
    ("conn id", |row| row.text("connectionId")),
    ("id", |row| row.text("identity")),
    ("peer", |row| row.text("peer")),
    ("class", |row| {
        key_parts(&row.text("owningAddr")).0.to_owned()
    }),
    ("addr", |row| {
        key_parts(&row.text("owningAddr")).1.to_owned()
    }),
    ("phs", |row| key_parts(&row.text("owningAddr")).2.to_owned()),
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
        late.iter()
            .filter_map(|name| row.number(name))
            .sum::<u64>()
            .to_string()
    }),
    ("rate", |row| row.text("settleRate")),
    ("stuck", |row| row.text("deliveriesStuck")),
    ("cred", |row| row.text("creditAvailable")),
    ("blkd", |row| match row.number("zeroCreditSeconds") {
        None | Some(0) => "-".into(),
        Some(seconds) => short_time(seconds),
    }),
];

const LINKS_VERBOSE: [Column; 3] = [
    ("admin", |row| row.text("adminStatus")),
    ("oper", |row| row.text("operStatus")),
    ("name", |row| row.text("linkName")),
];

const ADDRESSES: [Column; 11] = [
    ("class", |row| key_parts(&row.text("key")).0.to_owned()),
    ("addr", |row| key_parts(&row.text("key")).1.to_owned()),
    ("phs", |row| key_parts(&row.text("key")).2.to_owned()),
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

const ADDRESSES_VERBOSE: [Column; 3] = [
    ("in-proc", |row| row.text("inProcess")),
    ("to-proc", |row| row.text("deliveriesToContainer")),
    ("from-proc", |row| row.text("deliveriesFromContainer")),
];

/// How a connection is encrypted.
fn security(row: &Row<'_>) -> String {
    if !row.is("isEncrypted") {
        return "no-security".into();
    }
    format!("{}({})", row.text("sslProto"), row.text("sslCipher"))
}

/// Who is at the other end of a connection, and how that is known.
fn authentication(row: &Row<'_>) -> String {
    if !row.is("isAuthenticated") {
        return "no-auth".into();
    }
    let user = row.text("user");
    match (row.text("sasl").as_str(), user.is_empty()) {
        ("ANONYMOUS", _) => "anonymous-user".into(),
        (mechanism, true) => mechanism.to_owned(),
        ("EXTERNAL", false) => format!("{user}(x.509)"),
        (mechanism, false) => format!("{user}({mechanism})"),
    }
}

/// Class, address and phase of an internal key: `M0q` is the mobile address `q` in phase 0.
fn key_parts(key: &str) -> (&'static str, &str, &str) {
    let Some(class) = key.chars().next() else {
        return ("", "", "");
    };
    let rest = &key[class.len_utf8()..];
    match class {
        'M' => match rest.chars().next() {
            Some(phase) => {
                let (phase, address) = rest.split_at(phase.len_utf8());
                ("mobile", address, phase)
            }
            None => ("mobile", "", ""),
        },
        'R' => ("router", rest, ""),
        'A' => ("area", rest, ""),
        'L' => ("local", rest, ""),
        'T' => ("topo", rest, ""),
        'C' | 'E' => ("link-in", rest, ""),
        'D' | 'F' => ("link-out", rest, ""),
        'H' => ("edge", rest, ""),
        _ => ("unknown", key, ""),
    }
}

/// `DDD:HH:MM:SS`.
fn long_time(seconds: Option<u64>) -> String {
    seconds.map_or_else(String::new, |seconds| {
        format!("{:03}:{}", seconds / 86_400, short_time(seconds % 86_400))
    })
}

/// `HH:MM:SS`.
fn short_time(seconds: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, Value)]) -> Table {
        Table {
            columns: entries.iter().map(|(name, _)| (*name).to_owned()).collect(),
            rows: vec![entries.iter().map(|(_, value)| value.clone()).collect()],
        }
    }

    #[test]
    fn keys_come_apart() {
        assert_eq!(key_parts("M0$management"), ("mobile", "$management", "0"));
        assert_eq!(key_parts("Ltemp.x"), ("local", "temp.x", ""));
        assert_eq!(key_parts("Clr"), ("link-in", "lr", ""));
        assert_eq!(key_parts("Hedge"), ("edge", "edge", ""));
        assert_eq!(key_parts("?x"), ("unknown", "?x", ""));
        assert_eq!(key_parts("M"), ("mobile", "", ""));
        assert_eq!(key_parts(""), ("", "", ""));
    }

    #[test]
    fn times_are_written_as_operators_know_them() {
        assert_eq!(long_time(Some(90_061)), "001:01:01:01");
        assert_eq!(short_time(86_399), "23:59:59");
        assert_eq!(long_time(None), "");
    }

    #[test]
    fn a_connection_says_who_and_how() {
        let table = table(&[
            ("identity", "7".into()),
            ("host", "127.0.0.1:5".into()),
            ("isAuthenticated", true.into()),
            ("sasl", "EXTERNAL".into()),
            ("user", "alice".into()),
            ("lastDlvSeconds", Value::Null),
            ("uptimeSeconds", 61_u32.into()),
        ]);
        let text = View::Connections.text(&table, false);
        let row = text.lines().last().unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        let expected = [
            "7",
            "127.0.0.1:5",
            "no-security",
            "alice(x.509)",
            "-",
            "000:00:01:01",
        ];
        assert_eq!(cells, expected);
    }

    #[test]
    fn a_router_behind_a_neighbor_says_which() {
        let neighbors = Value::List(vec!["B".into(), "D".into()]);
        let table = table(&[
            ("id", "C".into()),
            ("nextHop", "B".into()),
            ("routerLink", Value::Null),
            ("cost", 2_u32.into()),
            ("linkState", neighbors),
        ]);
        let text = View::Nodes.text(&table, false);
        let row = text.lines().last().unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["C", "B", "-", "2", "B,", "D"]);
    }

    #[test]
    fn a_connector_says_why_it_has_no_connection() {
        let said = "[C3] Connection to b:1 failed: proton:io Connection refused";
        let table = table(&[
            ("name", "up".into()),
            ("host", "b".into()),
            ("port", "1".into()),
            ("role", "inter-router".into()),
            ("cost", 4_u32.into()),
            ("connectionStatus", "FAILED".into()),
            ("connectionMsg", said.into()),
        ]);
        let text = View::Connectors.text(&table, false);
        let row = text.lines().last().unwrap();
        let (cells, last) = row.split_once("[C3]").unwrap();
        let cells: Vec<&str> = cells.split_whitespace().collect();
        assert_eq!(cells, ["up", "b:1", "inter-router", "4", "FAILED"]);
        assert_eq!(format!("[C3]{last}").trim_end(), said);
    }

    #[test]
    fn a_blocked_link_says_for_how_long() {
        let table = table(&[
            ("zeroCreditSeconds", 5_u32.into()),
            ("owningAddr", "M1q".into()),
        ]);
        let text = View::Links.text(&table, true);
        let heads: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(heads.last(), Some(&"name"));
        let cells: Vec<&str> = text.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(cells, ["mobile", "q", "1", "0", "00:00:05"]);
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(
            View::Addresses.text(&Table::default(), false),
            "Addresses\n  none"
        );
    }
}
