//! What a router says of itself and of the others, asked over AMQP management as anybody would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use amqp_codec::Value;
use management::client::Table;

use crate::cli::client::ConnectOptions;
use crate::cli::client::endpoint::Endpoint;
use crate::cli::client::interrupt::Interrupt;
use crate::cli::failure::Failure;
use crate::cli::manager::Manager;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a router says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterReport {
    /// The ways to the other routers that it can reach.
    pub routers: Vec<Way>,
    /// The routers at the other ends of its open connections, sorted.
    pub neighbours: Vec<String>,
    /// How many open connections there are to each of them.
    pub connections: BTreeMap<String, usize>,
    /// The addresses of clients that it knows, by name.
    pub addresses: BTreeMap<String, AddressReport>,
}

/// The way from one router to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The name of the router that it leads to.
    pub to: String,
    /// The neighbour that it begins with; none for a neighbour itself.
    pub next: Option<String>,
    /// What it costs.
    pub cost: u64,
    /// The routers whose messages are passed on along it.
    pub origins: Vec<String>,
}

/// An address as one router sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressReport {
    /// Receivers attached to this router.
    pub receivers: u64,
    /// Other routers that have receivers.
    pub routers: u64,
    /// Deliveries that came from clients.
    pub entered: u64,
    /// Deliveries that went to clients.
    pub left: u64,
    /// Deliveries that went to other routers.
    pub passed_on: u64,
}

/// Asks one router, over one connection as long as it lasts.
#[derive(Default)]
pub(super) struct Reporter {
    manager: Option<Manager>,
}

impl Reporter {
    /// What the router of that id says, which listens at that address.
    pub(super) fn report(&mut self, id: &str, at: SocketAddr) -> Result<RouterReport, Failure> {
        // A connection that was idle for too long has ended; a new one tells whether it was that.
        if let Some(manager) = &mut self.manager
            && let Ok(report) = ask(id, manager)
        {
            return Ok(report);
        }
        self.manager = None;
        let options = ConnectOptions::to(Endpoint::plain(at.ip().to_string(), at.port()));
        let mut manager = Manager::connect_with(&options, None, PATIENCE, Interrupt::default())?;
        let report = ask(id, &mut manager)?;
        self.manager = Some(manager);
        Ok(report)
    }
}

fn ask(id: &str, manager: &mut Manager) -> Result<RouterReport, Failure> {
    let routers = manager.query("org.apache.qpid.dispatch.router.node", None)?;
    let connections = manager.query("org.apache.qpid.dispatch.connection", None)?;
    let addresses = manager.query("org.apache.qpid.dispatch.router.address", None)?;
    Ok(read(id, &routers, &connections, &addresses))
}

fn read(id: &str, routers: &Table, connections: &Table, addresses: &Table) -> RouterReport {
    let text = |table: &Table, row: &[Value], name: &str| {
        let text = table.value(row, name).as_str();
        text.map(str::to_owned).unwrap_or_default()
    };
    // One that was lost is remembered for a while, without a cost.
    let ways = routers.rows.iter().filter_map(|row| {
        let next = text(routers, row, "nextHop");
        Some(Way {
            to: text(routers, row, "id"),
            next: Some(next).filter(|next| !next.is_empty()),
            cost: routers.value(row, "cost").as_u64()?,
            origins: texts(routers.value(row, "validOrigins")),
        })
    });
    let mut connected = BTreeMap::new();
    for row in &connections.rows {
        let is_open = connections.value(row, "opened").as_bool() == Some(true);
        if is_open && text(connections, row, "role") == "inter-router" {
            let neighbour = text(connections, row, "container");
            *connected.entry(neighbour).or_insert(0) += 1;
        }
    }
    let mut names = BTreeMap::new();
    for row in &addresses.rows {
        let Some(name) = of_clients(&text(addresses, row, "key")) else {
            continue;
        };
        let number = |column| addresses.value(row, column).as_u64().unwrap_or_default();
        let report = AddressReport {
            receivers: number("subscriberCount"),
            routers: number("remoteCount"),
            entered: number("deliveriesIngress"),
            left: number("deliveriesEgress"),
            passed_on: number("deliveriesTransit"),
        };
        names.insert(name, report);
    }
    RouterReport {
        routers: ways.filter(|way| way.to != id).collect(),
        neighbours: connected.keys().cloned().collect(),
        connections: connected,
        addresses: names,
    }
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_list().unwrap_or_default().iter();
    texts
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

/// The name of an address that clients use, from its key: a class, for some a phase, the name.
fn of_clients(key: &str) -> Option<String> {
    let name = key.strip_prefix('M')?.get(1..)?;
    let own = name.starts_with('$') || name.starts_with("_$");
    (!own && !name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: Vec<Vec<Value>>) -> Table {
        Table {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows,
        }
    }

    #[test]
    fn rows_become_ways_neighbours_and_addresses() {
        let text = |text: &str| Value::from(text.to_owned());
        let routers = table(
            &["id", "nextHop", "cost"],
            vec![
                vec![text("A"), text("(self)"), Value::Null],
                vec![text("C"), text("B"), Value::Ulong(2)],
                vec![text("B"), Value::Null, Value::Ulong(1)],
                vec![text("D"), Value::Null, Value::Null],
            ],
        );
        let connections = table(
            &["role", "container", "opened"],
            vec![
                vec![text("inter-router"), text("B"), Value::Bool(true)],
                vec![text("inter-router"), text("D"), Value::Bool(false)],
                vec![text("normal"), text("me"), Value::Bool(true)],
            ],
        );
        let addresses = table(
            &["key", "subscriberCount", "remoteCount", "deliveriesIngress"],
            vec![
                vec![text("M0news"), 2_u64.into(), 1_u64.into(), 7_u64.into()],
                vec![
                    text("M0$management"),
                    1_u64.into(),
                    0_u64.into(),
                    9_u64.into(),
                ],
                vec![text("Ttemp.1"), 1_u64.into(), 0_u64.into(), 9_u64.into()],
            ],
        );
        let report = read("A", &routers, &connections, &addresses);
        let way = |to: &str, next: Option<&str>, cost| Way {
            to: to.to_owned(),
            next: next.map(str::to_owned),
            cost,
            origins: Vec::new(),
        };
        assert_eq!(report.routers, [way("C", Some("B"), 2), way("B", None, 1)]);
        assert_eq!(report.neighbours, ["B"]);
        assert_eq!(report.connections["B"], 1);
        assert_eq!(report.addresses.keys().collect::<Vec<_>>(), ["news"]);
        let news = report.addresses["news"];
        assert_eq!((news.receivers, news.routers, news.entered), (2, 1, 7));
    }
}
