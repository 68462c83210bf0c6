//! The views of `qdstat`: which table each prints, under which title, and what if there is nothing.
//!
//! Owns what is particular to that tool; columns that `causeway stat` has as well are taken from
//! there.

use amqp_codec::{Map, Value};
use management::client::Table;

use super::layout::{lines, list, memory, with_commas};
use crate::cli::manager::{Manager, Trouble, plain};
use crate::cli::stat::cells::{Row, moment};
use crate::cli::stat::columns as of;
use crate::cli::stat::columns::Column;
use crate::cli::stat::sheet::Sheet;
use crate::cli::stat::view::{View, keep_edge};
use crate::cli::table::harmless;

/// How the views are to be printed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub(super) is_verbose: bool,
    pub(super) is_csv: bool,
    pub(super) limit: Option<usize>,
    /// The date and the router come before each view.
    pub(super) has_header: bool,
}

/// The views that are printed where all are asked for.
pub(super) const ALL: [View; 10] = [
    View::Links,
    View::Addresses,
    View::Connections,
    View::AutoLinks,
    View::LinkRoutes,
    View::General,
    View::Memory,
    View::Policy,
    View::Vhosts,
    View::VhostStats,
];

impl Print {
    /// The lines of a view.
    pub(super) fn view(self, view: View, manager: &mut Manager) -> Result<Vec<String>, Trouble> {
        let has_limit = matches!(
            view,
            View::Connections
                | View::Links
                | View::Nodes
                | View::Addresses
                | View::AutoLinks
                | View::LinkRoutes
                | View::Log
        );
        let limit = self.limit.filter(|_| has_limit);
        let table = match view {
            // Whether there are any connections at all counts.
            View::Edge => View::Connections.ask(manager, self.limit)?,
            view => view.ask(manager, limit)?,
        };
        let body = match view {
            View::Memory => {
                let router = View::General.ask(manager, None)?;
                self.memory(&table, &router)
            }
            view => self.body(view, &table),
        };
        let is_bare = matches!(
            view,
            View::Vhosts | View::VhostGroups | View::VhostStats | View::Log
        );
        let mut all = Vec::new();
        if self.has_header && !is_bare {
            all.extend(header(manager)?);
        }
        all.extend(body);
        Ok(all)
    }

    fn body(self, view: View, table: &Table) -> Vec<String> {
        let columns = |title: &str, columns: &[Column]| {
            lines(&Sheet::new(title, columns, table), self.is_csv)
        };
        let is_empty = table.rows.is_empty();
        match view {
            View::General => self.general(table),
            View::Connections => columns("Connections", &of::CONNECTIONS),
            View::Links => {
                let more = of::LINKS_VERBOSE.iter().filter(|_| self.is_verbose);
                let all = of::LINKS.iter().chain(more);
                lines(&Sheet::new("Router Links", all, table), self.is_csv)
            }
            View::Addresses => self.addresses(table),
            View::Nodes => self.nodes(table),
            View::Edge => self.edge(table),
            View::AutoLinks if is_empty => said(&["AutoLinks", "No AutoLinks found"]),
            View::AutoLinks => {
                let mut sheet = Sheet::new("AutoLinks", &of::AUTO_LINKS, table);
                sheet.sort_by_text("addr");
                lines(&sheet, self.is_csv)
            }
            View::LinkRoutes if is_empty => said(&["Link Routes", "No Link Routes found"]),
            View::LinkRoutes => self.link_routes(table),
            View::Policy => self.policy(table),
            View::Vhosts | View::VhostGroups if is_empty => said(&["No Vhosts"]),
            View::Vhosts => columns("Vhosts", &VHOSTS),
            View::VhostGroups => self.groups(table),
            View::VhostStats if is_empty => said(&["No Vhost Stats"]),
            View::VhostStats => {
                let mut all = columns("Vhost Stats", &of::VHOST_STATS);
                all.extend(lines(&users(table), self.is_csv));
                all
            }
            View::Log => Row::all(table)
                .map(|row| harmless(&log_line(&row)))
                .collect(),
            View::Memory | View::Connectors => Vec::new(),
        }
    }

    fn general(self, table: &Table) -> Vec<String> {
        let Some(row) = Row::all(table).next() else {
            return said(&["Router Statistics"]);
        };
        let mut sheet = Sheet::empty("Router Statistics", &["attr", "value"]);
        for (head, cell) in &of::GENERAL {
            let value = match *head {
                "VmSize" => match row.number("memoryUsage") {
                    None | Some(0) => continue,
                    Some(bytes) => memory(bytes),
                },
                _ => cell(&row),
            };
            sheet.add(vec![(*head).to_owned(), value]);
        }
        lines(&sheet, self.is_csv)
    }

    fn addresses(self, table: &Table) -> Vec<String> {
        let [before @ .., _, _, _, _, _, _] = &of::ADDRESSES;
        let after = &of::ADDRESSES[before.len()..];
        let in_process = [of::IN_PROCESS];
        let in_process = in_process.iter().filter(|_| self.is_verbose);
        let more = of::ADDRESSES_VERBOSE.iter().filter(|_| self.is_verbose);
        let all = before.iter().chain(in_process).chain(after).chain(more);
        let mut sheet = Sheet::new("Router Addresses", all, table);
        for row in &mut sheet.rows {
            for cell in row.cells.iter_mut().skip(before.len()) {
                *cell = with_commas(cell);
            }
        }
        sheet.sort_by_text("addr");
        lines(&sheet, self.is_csv)
    }

    fn nodes(self, table: &Table) -> Vec<String> {
        if table.rows.is_empty() {
            return said(&["Router is Standalone - No Router List"]);
        }
        let more = NODES_VERBOSE.iter().filter(|_| self.is_verbose);
        let all = NODES.iter().chain(more);
        let mut sheet = Sheet::new("Routers in the Network", all, table);
        sheet.sort_by_text("router-id");
        let changes = Row::all(table).filter_map(|row| row.number("lastTopoChange"));
        if let Some(last) = changes.max().and_then(|last| i64::try_from(last).ok())
            && last > 1
        {
            let moment = moment(last, "%A %b %d %H:%M:%S %Y", false);
            sheet.title += &format!("\nLast Topology Change: {moment} GMT");
        }
        lines(&sheet, self.is_csv)
    }

    fn edge(self, table: &Table) -> Vec<String> {
        if table.rows.is_empty() {
            return said(&["No Edge Router Connections"]);
        }
        let mut edge = table.clone();
        keep_edge(&mut edge);
        if edge.rows.is_empty() {
            return Vec::new();
        }
        lines(&Sheet::new("Connections", &of::EDGE, &edge), self.is_csv)
    }

    fn link_routes(self, table: &Table) -> Vec<String> {
        let of_row = |row: &Row<'_>| {
            let mut prefixes = of::LINK_ROUTES_PREFIXES.iter();
            prefixes.any(|(_, cell)| !cell(row).is_empty())
        };
        let has_any = Row::all(table).any(|row| of_row(&row));
        let more = of::LINK_ROUTES_PREFIXES.iter().filter(|_| has_any);
        let all = of::LINK_ROUTES.iter().chain(more);
        let mut sheet = Sheet::new("Link Routes", all, table);
        sheet.sort_by_text("address");
        let prefixes = of::LINK_ROUTES.len();
        for row in sheet.rows.iter_mut().filter(|_| self.is_csv) {
            // In this form, and in this table alone, a row ends where it has nothing more to say.
            let mut last = row.cells.iter().skip(prefixes);
            if last.all(String::is_empty) {
                row.cells.truncate(prefixes);
            }
        }
        lines(&sheet, self.is_csv)
    }

    fn policy(self, table: &Table) -> Vec<String> {
        let Some(row) = Row::all(table).next() else {
            return said(&["Policy Configuration", "", "Policy Status"]);
        };
        let mut all = Vec::new();
        for (title, attributes) in [
            ("Policy Configuration", &POLICY_CONFIGURATION),
            ("\nPolicy Status", &POLICY_STATUS),
        ] {
            let mut sheet = Sheet::empty(title, &["attr", "value"]);
            for (head, attribute) in attributes {
                let is_new = attribute.starts_with("maxMessageSize");
                if is_new && table.column(attribute).is_none() {
                    continue;
                }
                let value = match *attribute {
                    "policyDir" | "defaultVhost" if row.text(attribute).is_empty() => {
                        "(nil)".into()
                    }
                    attribute => in_python(row.value(attribute)),
                };
                sheet.add(vec![(*head).to_owned(), value]);
            }
            all.extend(lines(&sheet, self.is_csv));
        }
        all
    }

    fn memory(self, table: &Table, router: &Table) -> Vec<String> {
        let total = |row: &Row<'_>| row.number("totalAllocFromHeap");
        let counts = |row: Row<'_>| Some(total(&row)?.saturating_mul(row.number("typeSize")?));
        let pooled: Option<u64> = Row::all(table).map(counts).sum();
        let Some(pooled) = pooled.filter(|_| !table.rows.is_empty()) else {
            return said(&["No memory statistics available"]);
        };
        let mut sheet = Sheet::new("Memory Pools", &of::MEMORY, table);
        let batch = sheet.heads.iter().position(|head| *head == "batch");
        for row in &mut sheet.rows {
            for (place, cell) in row.cells.iter_mut().enumerate().skip(1) {
                if Some(place) != batch {
                    *cell = with_commas(cell);
                }
            }
        }
        sheet.sort_by_text("type");
        let mut all = lines(&sheet, self.is_csv);
        let used = Row::all(router)
            .next()
            .and_then(|row| row.number("memoryUsage"));
        let mut summary = Sheet::empty("\nMemory Summary", &["VmSize", "Pooled"]);
        summary.add(vec![used.map_or("-".into(), memory), memory(pooled)]);
        all.extend(lines(&summary, self.is_csv));
        all
    }

    fn groups(self, table: &Table) -> Vec<String> {
        let mut sheet = Sheet::empty("Vhost Groups", &["vhost", "group"]);
        sheet
            .heads
            .extend(GROUP_LIMITS.iter().map(|(name, _)| *name));
        let mut details = Vec::new();
        for row in Row::all(table) {
            let vhost = row.text("hostname");
            let groups = row.value("groups").as_map().into_iter();
            for (name, group) in groups.flat_map(Map::iter) {
                let name = plain(name);
                let of_group = |name: &str, otherwise: &str| {
                    let value = group.as_map().and_then(|group| group.get(name));
                    value.map_or_else(|| otherwise.to_owned(), in_python)
                };
                let mut cells = vec![vhost.clone(), name.clone()];
                let limits = GROUP_LIMITS.iter();
                cells.extend(limits.map(|(name, otherwise)| of_group(name, otherwise)));
                sheet.add(cells);
                let title = format!("\nVhost '{vhost}' UserGroup '{name}'");
                let mut detail = Sheet::empty(&title, &["attr", "value"]);
                detail.add(vec!["vhost".into(), vhost.clone()]);
                detail.add(vec!["group".into(), name]);
                for attribute in GROUP_TEXTS {
                    detail.add(vec![attribute.into(), of_group(attribute, "(nil)")]);
                }
                details.extend(lines(&detail, self.is_csv));
            }
        }
        let mut all = lines(&sheet, self.is_csv);
        all.extend(details);
        all
    }
}

/// The date, and which router it is.
pub(super) fn header(manager: &mut Manager) -> Result<Vec<String>, Trouble> {
    let router = View::General.ask(manager, None)?;
    let id = Row::all(&router).next().map(|row| row.text("id"));
    Ok(vec![date(), id.unwrap_or_default(), String::new()])
}

/// The date in universal time.
pub(super) fn date() -> String {
    let now = jiff::Timestamp::try_from(crate::clock::time_of_day());
    let now = now.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    now.strftime("%Y-%m-%d %H:%M:%S.%6f UTC").to_string()
}

fn said(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A value in Python notation.
fn in_python(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::List(values) => list(&values.iter().map(plain).collect::<Vec<_>>()),
        value => plain(value),
    }
}

fn texts(value: &Value) -> String {
    let values = value.as_list().unwrap_or_default();
    list(&values.iter().map(plain).collect::<Vec<_>>())
}

/// Who uses the virtual hosts.
fn users(table: &Table) -> Sheet {
    let mut sheet = Sheet::empty("\nVhost User Stats", &["vhost", "user", "remote hosts"]);
    for row in Row::all(table) {
        let users = row.value("perUserState").as_map().into_iter();
        for (user, hosts) in users.flat_map(Map::iter) {
            sheet.add(vec![row.text("hostname"), plain(user), in_python(hosts)]);
        }
    }
    sheet
}

fn log_line(row: &Row<'_>) -> String {
    let seconds = row.value("time").as_i64().unwrap_or_default();
    let time = moment(seconds, "%a %b %e %H:%M:%S %Y", true);
    let (module, level) = (row.text("module"), row.text("level"));
    format!("{time} {module} ({level}) {}", row.text("text"))
}

const NODES: [Column; 3] = [
    ("router-id", |row| row.text("id")),
    ("next-hop", |row| match row.value("nextHop") {
        Value::Null => "-".into(),
        next => plain(next),
    }),
    ("link", |row| match row.value("nextHop") {
        Value::Null => in_python(row.value("routerLink")),
        _ => "-".into(),
    }),
];

const NODES_VERBOSE: [Column; 4] = [
    ("ver", |row| in_python(row.value("protocolVersion"))),
    ("cost", |row| match row.number("cost") {
        None | Some(0) => String::new(),
        Some(cost) => cost.to_string(),
    }),
    ("neighbors", |row| texts(row.value("linkState"))),
    ("valid-origins", |row| texts(row.value("validOrigins"))),
];

const VHOSTS: [Column; 7] = [
    ("hostname", |row| row.text("hostname")),
    ("maxConnections", |row| {
        in_python(row.value("maxConnections"))
    }),
    ("maxMessageSize", |row| {
        in_python(row.value("maxMessageSize"))
    }),
    ("maxConnectionsPerUser", |row| {
        in_python(row.value("maxConnectionsPerUser"))
    }),
    ("maxConnectionsPerHost", |row| {
        in_python(row.value("maxConnectionsPerHost"))
    }),
    ("allowUnknownUser", |row| {
        in_python(row.value("allowUnknownUser"))
    }),
    ("groups", |row| {
        let groups = row.value("groups").as_map();
        groups.map_or(0, |groups| groups.iter().count()).to_string()
    }),
];

const POLICY_CONFIGURATION: [(&str, &str); 6] = [
    ("Maximum Concurrent Connections", "maxConnections"),
    ("Maximum Message Size", "maxMessageSize"),
    ("Enable Vhost Policy", "enableVhostPolicy"),
    ("Enable Vhost Name Patterns", "enableVhostNamePatterns"),
    ("Policy Directory", "policyDir"),
    ("Default Vhost", "defaultVhost"),
];

const POLICY_STATUS: [(&str, &str); 6] = [
    ("Connections Processed", "connectionsProcessed"),
    ("Connections Denied", "connectionsDenied"),
    ("Connections Current", "connectionsCurrent"),
    ("Links Denied", "linksDenied"),
    ("Maximum Message Size Denied", "maxMessageSizeDenied"),
    ("Total Denials", "totalDenials"),
];

/// Limits of a group of users, and what they are where the group does not say.
const GROUP_LIMITS: [(&str, &str); 15] = [
    ("maxConnectionsPerUser", "(nil)"),
    ("maxConnectionsPerHost", "(nil)"),
    ("maxMessageSize", "(nil)"),
    ("maxFrameSize", "(nil)"),
    ("maxSessionWindow", "(nil)"),
    ("maxSessions", "(nil)"),
    ("maxSenders", "2147483647"),
    ("maxReceivers", "2147483647"),
    ("allowDynamicSource", "False"),
    ("allowAnonymousSender", "False"),
    ("allowUserIdProxy", "False"),
    ("allowWaypointLinks", "True"),
    ("allowDynamicLinkRoutes", "True"),
    ("allowAdminStatusUpdate", "True"),
    ("allowFallbackLinks", "True"),
];

const GROUP_TEXTS: [&str; 6] = [
    "users",
    "remoteHosts",
    "sources",
    "targets",
    "sourcePattern",
    "targetPattern",
];
