//! What `causeway stat` can show: where each view comes from and which columns it has.
//!
//! Owns the views; it asks nobody and prints nothing.

use amqp_codec::Value;
use clap::ValueEnum;
use management::client::Table;

use crate::cli::manager::{Manager, Trouble, plain};
use crate::cli::stat::cells::Row;
use crate::cli::stat::columns as of;
use crate::cli::stat::columns::Column;
use crate::cli::stat::sheet::Sheet;

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
    /// Connections with edge routers.
    Edge,
    /// Where the router connects to, and how that goes.
    Connectors,
    /// Links that the router attaches by itself.
    #[value(name = "autolinks")]
    AutoLinks,
    /// Which links are routed to whom.
    #[value(name = "linkroutes")]
    LinkRoutes,
    /// What the router keeps in memory.
    Memory,
    /// What is allowed at all.
    Policy,
    /// Virtual hosts and their limits.
    Vhosts,
    /// Groups of users of virtual hosts.
    #[value(name = "vhostgroups")]
    VhostGroups,
    /// What was denied at virtual hosts.
    #[value(name = "vhoststats")]
    VhostStats,
    /// The latest lines of the log.
    Log,
}

impl View {
    /// All that is worth looking at together.
    pub(super) const ALL: [Self; 12] = [
        Self::Links,
        Self::Addresses,
        Self::Connections,
        Self::Nodes,
        Self::Connectors,
        Self::AutoLinks,
        Self::LinkRoutes,
        Self::General,
        Self::Memory,
        Self::Policy,
        Self::Vhosts,
        Self::VhostStats,
    ];

    /// The entity type whose table it is.
    fn entity_type(self) -> &'static str {
        match self {
            Self::General => "org.apache.qpid.dispatch.router",
            Self::Connections | Self::Edge => "org.apache.qpid.dispatch.connection",
            Self::Links => "org.apache.qpid.dispatch.router.link",
            Self::Addresses => "org.apache.qpid.dispatch.router.address",
            Self::Nodes => "org.apache.qpid.dispatch.router.node",
            Self::Connectors => "org.apache.qpid.dispatch.connector",
            Self::AutoLinks => "org.apache.qpid.dispatch.router.config.autoLink",
            Self::LinkRoutes => "org.apache.qpid.dispatch.router.config.linkRoute",
            Self::Memory => "org.apache.qpid.dispatch.allocator",
            Self::Policy => "org.apache.qpid.dispatch.policy",
            Self::Vhosts | Self::VhostGroups => "org.apache.qpid.dispatch.vhost",
            Self::VhostStats => "org.apache.qpid.dispatch.vhostStats",
            Self::Log => "org.apache.qpid.dispatch.log",
        }
    }

    /// Whether there are routers of this kind without anything of the kind.
    fn is_optional(self) -> bool {
        matches!(
            self,
            Self::Memory | Self::Policy | Self::Vhosts | Self::VhostGroups | Self::VhostStats
        )
    }

    /// Asks for its table, or the first rows of it. What a router does not have at all is empty.
    ///
    /// # Errors
    /// If the router refuses or does not answer.
    pub(in crate::cli) fn ask(
        self,
        manager: &mut Manager,
        limit: Option<usize>,
    ) -> Result<Table, Trouble> {
        if self == Self::Log {
            return log(manager, limit);
        }
        match manager.table(self.entity_type(), &[], limit) {
            Err(Trouble::Refused {
                status: 400 | 404 | 501,
                ..
            }) if self.is_optional() => Ok(Table::default()),
            Ok(mut table) if self == Self::Edge => {
                keep_edge(&mut table);
                Ok(table)
            }
            asked => asked,
        }
    }

    /// Its name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::General => "router",
            Self::Connections => "connections",
            Self::Links => "links",
            Self::Addresses => "addresses",
            Self::Nodes => "nodes",
            Self::Edge => "edge",
            Self::Connectors => "connectors",
            Self::AutoLinks => "autoLinks",
            Self::LinkRoutes => "linkRoutes",
            Self::Memory => "memory",
            Self::Policy => "policy",
            Self::Vhosts => "vhosts",
            Self::VhostGroups => "vhostGroups",
            Self::VhostStats => "vhostStats",
            Self::Log => "log",
        }
    }

    /// The table as text; `verbose` shows more columns.
    pub(super) fn sheet(self, table: &Table, verbose: bool) -> Sheet {
        let any = |attributes: &[&str]| {
            let mut rows = Row::all(table);
            rows.any(|row| attributes.iter().any(|name| !row.text(name).is_empty()))
        };
        let (title, some, more): (&str, &[Column], &[Column]) = match self {
            Self::General => return Sheet::upright("Router", &of::GENERAL, table),
            Self::Policy => return Sheet::upright("Policy", &of::POLICY, table),
            Self::Connections => {
                let more: &[Column] = match any(&["trunk"]) {
                    true => &of::CONNECTIONS_OF_TRUNKS,
                    false => &[],
                };
                return Sheet::new("Connections", of::CONNECTIONS.iter().chain(more), table);
            }
            Self::LinkRoutes => {
                let has_prefixes = any(&["addExternalPrefix", "delExternalPrefix"]);
                let prefixes = of::LINK_ROUTES_PREFIXES.iter().filter(|_| has_prefixes);
                let more = of::LINK_ROUTES_VERBOSE.iter().filter(|_| verbose);
                let all = of::LINK_ROUTES.iter().chain(prefixes).chain(more);
                let mut sheet = Sheet::new("Link Routes", all, table);
                sheet.sort_by_text("address");
                return sheet;
            }
            Self::Links => ("Links", &of::LINKS, &of::LINKS_VERBOSE),
            Self::Addresses => ("Addresses", &of::ADDRESSES, &of::ADDRESSES_VERBOSE),
            Self::Nodes => ("Routers in the Network", &of::NODES, &of::NODES_VERBOSE),
            Self::Edge => ("Edge Connections", &of::EDGE, &[]),
            Self::Connectors => ("Connectors", &of::CONNECTORS, &of::CONNECTORS_VERBOSE),
            Self::AutoLinks => ("AutoLinks", &of::AUTO_LINKS, &of::AUTO_LINKS_VERBOSE),
            Self::Memory => ("Memory Pools", &of::MEMORY, &[]),
            Self::Vhosts => ("Vhosts", &of::VHOSTS, &[]),
            Self::VhostGroups => return groups(table),
            Self::VhostStats => ("Vhost Stats", &of::VHOST_STATS, &[]),
            Self::Log => ("Log", &of::LOG, &[]),
        };
        let more = more.iter().filter(|_| verbose);
        let in_process = [of::IN_PROCESS];
        let before = in_process
            .iter()
            .filter(|_| verbose && self == Self::Addresses);
        let mut sheet = Sheet::new(title, some.iter().chain(before).chain(more), table);
        sheet.sort_by_text(match self {
            Self::Addresses | Self::AutoLinks => "addr",
            Self::Memory => "type",
            _ => "",
        });
        sheet
    }
}

/// Groups of users: one line for each.
fn groups(table: &Table) -> Sheet {
    let mut sheet = Sheet::new("Vhost Groups", &[], table);
    sheet.heads = vec!["vhost", "group", "users", "remoteHosts"];
    let rows = Row::all(table).enumerate().flat_map(|(entity, row)| {
        let groups = row.value("groups").as_map().into_iter();
        let groups = groups.flat_map(amqp_codec::Map::iter);
        groups.map(move |(name, group)| {
            let of_group = |name: &str| {
                let value = group.as_map().and_then(|group| group.get(name));
                value.map(plain).unwrap_or_default()
            };
            let name = plain(name);
            let cells = vec![
                row.text("hostname"),
                name,
                of_group("users"),
                of_group("remoteHosts"),
            ];
            super::sheet::Line { cells, entity }
        })
    });
    sheet.rows = rows.collect();
    sheet
}

/// The latest lines of the log, as a table.
fn log(manager: &mut Manager, limit: Option<usize>) -> Result<Table, Trouble> {
    let limit = limit.map(|limit| ("limit", Value::Long(i64::try_from(limit).unwrap_or(0))));
    let lines = manager.call_node("GET-LOG", limit)?;
    let columns = ["module", "level", "text", "file", "line", "time"];
    let rows = lines.as_list().unwrap_or_default().iter().map(|line| {
        let mut row = line.as_list().unwrap_or_default().to_vec();
        row.resize(columns.len(), Value::Null);
        row
    });
    Ok(Table {
        rows: rows.collect(),
        columns: columns.map(str::to_owned).to_vec(),
    })
}

/// Leaves connections with edge routers only.
pub(in crate::cli) fn keep_edge(table: &mut Table) {
    let role = table.column("role");
    let is_edge = |row: &Vec<Value>| {
        let role = role.and_then(|role| row.get(role)?.as_str());
        role == Some("edge")
    };
    table.rows.retain(is_edge);
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

    fn last_row(view: View, table: &Table, verbose: bool) -> Vec<String> {
        let text = view.sheet(table, verbose).text();
        let row = text.lines().last().unwrap();
        row.split_whitespace().map(str::to_owned).collect()
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
        let expected = [
            "7",
            "127.0.0.1:5",
            "no-security",
            "alice(x.509)",
            "-",
            "000:00:01:01",
        ];
        assert_eq!(last_row(View::Connections, &table, false), expected);
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
        let expected = ["C", "B", "-", "2", "B,", "D"];
        assert_eq!(last_row(View::Nodes, &table, false), expected);
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
            ("connectionStatus", "CONNECTING".into()),
            ("connectionMsg", said.into()),
        ]);
        let text = View::Connectors.sheet(&table, false).text();
        let row = text.lines().last().unwrap();
        let (cells, last) = row.split_once("[C3]").unwrap();
        let cells: Vec<&str> = cells.split_whitespace().collect();
        assert_eq!(cells, ["up", "b:1", "inter-router", "4", "CONNECTING"]);
        assert_eq!(format!("[C3]{last}").trim_end(), said);
    }

    #[test]
    fn a_blocked_link_says_for_how_long() {
        let table = table(&[
            ("zeroCreditSeconds", 5_u32.into()),
            ("owningAddr", "M1q".into()),
        ]);
        let sheet = View::Links.sheet(&table, true);
        assert_eq!(sheet.heads.last(), Some(&"name"));
        let cells = last_row(View::Links, &table, true);
        assert_eq!(cells, ["mobile", "q", "1", "0", "00:00:05"]);
    }

    #[test]
    fn external_prefixes_show_where_a_link_route_has_them() {
        let heads = |prefix: Value| {
            let table = table(&[("prefix", "a".into()), ("addExternalPrefix", prefix)]);
            View::LinkRoutes.sheet(&table, false).heads
        };
        assert_eq!(heads(Value::Null).last(), Some(&"status"));
        assert_eq!(heads("x.".into()).last(), Some(&"del-ext-prefix"));
    }

    #[test]
    fn an_empty_table_says_so() {
        let sheet = View::Addresses.sheet(&Table::default(), false);
        assert_eq!(sheet.text(), "Addresses\n  none");
    }
}
