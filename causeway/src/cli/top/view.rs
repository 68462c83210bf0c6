//! What `causeway top` can show: what is asked for each view, and which columns it has.
//!
//! Owns the views and what a sample of one is; it prints nothing. Decision: only the attributes
//! that are shown are asked for, page by page, once a round.

use std::collections::BTreeMap;

use clap::ValueEnum;
use management::client::Table;

use crate::cli::failure::Failure;
use crate::cli::manager::{Manager, Node, Trouble};
use crate::cli::stat::cells::{Row, key_parts};

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum View {
    /// Who sends and receives.
    Connections,
    /// Each link.
    Links,
    /// Each address.
    Addresses,
    /// Each router of the network.
    Routers,
}

/// What stands in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// A text of the sample.
    Text(usize),
    /// How fast a counter of the sample grows.
    Rate(usize),
    /// A number of the sample as it is.
    Gauge(usize),
}

/// A column: its head, its width, what stands there.
pub(super) type Column = (&'static str, usize, Figure);

/// One entity at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sample {
    /// What tells it from the others.
    pub(super) key: String,
    pub(super) texts: Vec<String>,
    /// Numbers that grow.
    pub(super) counters: Vec<u64>,
    /// Numbers that come and go.
    pub(super) gauges: Vec<u64>,
}

use Figure::{Gauge, Rate, Text};

impl View {
    /// Its columns; together they fit 80.
    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Connections => &[
                ("conn", 5, Text(0)),
                ("container", 24, Text(1)),
                ("host", 21, Text(2)),
                ("in/s", 8, Rate(0)),
                ("out/s", 8, Rate(1)),
                ("unsett", 7, Gauge(0)),
            ],
            Self::Links => &[
                ("link", 6, Text(0)),
                ("conn", 5, Text(1)),
                ("dir", 3, Text(2)),
                ("address", 26, Text(3)),
                ("msg/s", 8, Rate(0)),
                ("undel", 6, Gauge(0)),
                ("unsett", 6, Gauge(1)),
                ("cred", 6, Gauge(2)),
                ("blkd", 5, Gauge(3)),
            ],
            Self::Addresses => &[
                ("address", 32, Text(0)),
                ("phs", 3, Text(1)),
                ("in/s", 8, Rate(0)),
                ("out/s", 8, Rate(1)),
                ("thru/s", 8, Rate(2)),
                ("local", 5, Gauge(0)),
                ("remote", 6, Gauge(1)),
            ],
            Self::Routers => &[
                ("router", 24, Text(0)),
                ("in/s", 9, Rate(0)),
                ("out/s", 9, Rate(1)),
                ("thru/s", 9, Rate(2)),
                ("conns", 6, Gauge(0)),
                ("links", 7, Gauge(1)),
                ("addrs", 7, Gauge(2)),
            ],
        }
    }

    /// Its name in a headline.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Links => "links",
            Self::Addresses => "addresses",
            Self::Routers => "routers",
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// If the router does not answer.
    pub(super) fn ask(self, manager: &mut Manager, node: &Node) -> Result<Vec<Sample>, Failure> {
        manager.turn_to(node)?;
        let mut ask = |name: &str, columns: &[&str]| {
            let name = format!("org.apache.qpid.dispatch.{name}");
            manager.table(&name, columns, None).map_err(Failure::from)
        };
        match self {
            Self::Connections => {
                let connections = ask("connection", &["identity", "container", "host"])?;
                let links = ask("router.link", &LINK_COLUMNS)?;
                Ok(connections_of(&connections, &links))
            }
            Self::Links => {
                let links = ask("router.link", &LINK_COLUMNS)?;
                Ok(Row::all(&links).map(|row| link(&row)).collect())
            }
            Self::Addresses => {
                let addresses = ask("router.address", &ADDRESS_COLUMNS)?;
                Ok(Row::all(&addresses).map(|row| address(&row)).collect())
            }
            Self::Routers => {
                let nodes = ask("router.node", &["id"])?;
                let ids: Vec<String> = Row::all(&nodes).map(|row| row.text("id")).collect();
                routers(manager, node, &ids)
            }
        }
    }
}

const LINK_COLUMNS: [&str; 9] = [
    "identity",
    "connectionId",
    "linkDir",
    "owningAddr",
    "deliveryCount",
    "undeliveredCount",
    "unsettledCount",
    "creditAvailable",
    "zeroCreditSeconds",
];

const ADDRESS_COLUMNS: [&str; 6] = [
    "key",
    "deliveriesIngress",
    "deliveriesEgress",
    "deliveriesTransit",
    "subscriberCount",
    "remoteCount",
];

fn numbers<const N: usize>(row: &Row<'_>, names: [&str; N]) -> Vec<u64> {
    names.map(|name| row.number(name).unwrap_or(0)).to_vec()
}

fn link(row: &Row<'_>) -> Sample {
    let (class, address, phase) = key_parts(&row.text("owningAddr"));
    let address = match (class.as_str(), phase.as_str()) {
        ("mobile", "0") | ("", _) => address,
        ("mobile", phase) => format!("{address} ({phase})"),
        (class, _) => format!("{class}:{address}"),
    };
    Sample {
        key: row.text("identity"),
        texts: vec![
            row.text("identity"),
            row.text("connectionId"),
            row.text("linkDir"),
            address,
        ],
        counters: numbers(row, ["deliveryCount"]),
        gauges: numbers(
            row,
            [
                "undeliveredCount",
                "unsettledCount",
                "creditAvailable",
                "zeroCreditSeconds",
            ],
        ),
    }
}

fn address(row: &Row<'_>) -> Sample {
    let key = row.text("key");
    let (class, address, phase) = key_parts(&key);
    let address = match class.as_str() {
        "mobile" => address,
        class => format!("{class}:{address}"),
    };
    Sample {
        key,
        texts: vec![address, phase],
        counters: numbers(
            row,
            ["deliveriesIngress", "deliveriesEgress", "deliveriesTransit"],
        ),
        gauges: numbers(row, ["subscriberCount", "remoteCount"]),
    }
}

/// What the links of each connection carry together.
fn connections_of(connections: &Table, links: &Table) -> Vec<Sample> {
    let mut sums: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for row in Row::all(links) {
        let (came, left, open) = sums.entry(row.text("connectionId")).or_default();
        let count = row.number("deliveryCount").unwrap_or(0);
        match row.text("linkDir") == "in" {
            true => *came += count,
            false => *left += count,
        }
        *open += row.number("unsettledCount").unwrap_or(0);
    }
    let of_row = |row: Row<'_>| {
        let key = row.text("identity");
        let (came, left, open) = sums.get(&key).copied().unwrap_or_default();
        Sample {
            texts: vec![key.clone(), row.text("container"), row.text("host")],
            key,
            counters: vec![came, left],
            gauges: vec![open],
        }
    };
    Row::all(connections).map(of_row).collect()
}

/// Each router of the network; one that does not answer has no figures.
fn routers(manager: &mut Manager, own: &Node, ids: &[String]) -> Result<Vec<Sample>, Failure> {
    let mut nodes: Vec<Node> = ids.iter().cloned().map(Node::Router).collect();
    if nodes.is_empty() {
        // A router that is by itself.
        nodes.push(own.clone());
    }
    let mut samples = Vec::new();
    for node in nodes {
        let asked = manager.turn_to(&node).map_err(Trouble::from);
        let asked =
            asked.and_then(|()| manager.table("org.apache.qpid.dispatch.router", &[], None));
        let sample = |row: Row<'_>| Sample {
            key: row.text("id"),
            texts: vec![row.text("id")],
            counters: numbers(
                &row,
                ["deliveriesIngress", "deliveriesEgress", "deliveriesTransit"],
            ),
            gauges: numbers(&row, ["connectionCount", "linkCount", "addrCount"]),
        };
        match (asked, node) {
            (Ok(table), _) => samples.extend(Row::all(&table).map(sample)),
            (Err(_), Node::Router(id)) if !manager.interrupted() => {
                samples.push(Sample {
                    key: id.clone(),
                    texts: vec![format!("{id} (silent)")],
                    ..Sample::default()
                });
            }
            (Err(trouble), _) => return Err(trouble.into()),
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use amqp_codec::Value;

    use super::*;

    #[test]
    fn every_view_fits_a_narrow_terminal() {
        for view in View::value_variants() {
            let columns = view.columns();
            let width: usize = columns.iter().map(|(_, width, _)| width + 1).sum();
            assert!(width <= 80, "{view:?}: {width}");
            assert!(columns.iter().all(|(head, width, _)| head.len() <= *width));
        }
    }

    #[test]
    fn a_connection_carries_what_its_links_carry() {
        let row = |values: &[Value]| values.to_vec();
        let connections = Table {
            columns: ["identity", "container", "host"]
                .map(str::to_owned)
                .to_vec(),
            rows: vec![row(&["7".into(), "c".into(), "h".into()])],
        };
        let link = |connection: &'static str, dir: &'static str, count: u64| {
            row(&[connection.into(), dir.into(), count.into(), 2_u64.into()])
        };
        let links = Table {
            columns: ["connectionId", "linkDir", "deliveryCount", "unsettledCount"]
                .map(str::to_owned)
                .to_vec(),
            rows: vec![
                link("7", "in", 5),
                link("7", "out", 3),
                link("7", "in", 1),
                link("8", "in", 9),
            ],
        };
        let samples = connections_of(&connections, &links);
        assert_eq!(samples.len(), 1);
        assert_eq!(
            (&samples[0].counters[..], &samples[0].gauges[..]),
            (&[6, 3][..], &[6][..])
        );
    }
}
