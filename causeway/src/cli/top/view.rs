//! What `causeway top` can show: what is asked for each view, and which columns it has.
//!
//! Owns the views and what a sample of one is; it prints nothing. Decision: only the attributes
//! that are shown are asked for, page by page, once a round.

use std::collections::BTreeMap;

use amqp_proto::Time;
use clap::ValueEnum;
use management::client::Table;

use crate::cli::failure::Failure;
use crate::cli::manager::{Manager, Node, Trouble};
use crate::cli::stat::cells::{Row, key_parts};
use crate::clock::Clock;

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
    /// When it was taken.
    pub(super) at: Time,
    pub(super) texts: Vec<String>,
    /// What it is made of; nothing is known of one that has no parts.
    pub(super) parts: Vec<Part>,
    /// Numbers that come and go.
    pub(super) gauges: Vec<u64>,
}

/// What grows by itself, and may come and go by itself: a link of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) key: String,
    /// Numbers that grow.
    pub(super) counters: Vec<u64>,
}

impl Part {
    /// All of a sample.
    fn whole(key: &str, counters: Vec<u64>) -> Vec<Self> {
        let key = key.to_owned();
        vec![Self { key, counters }]
    }
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
    pub(super) fn ask(
        self,
        manager: &mut Manager,
        node: &Node,
        clock: &Clock,
    ) -> Result<Vec<Sample>, Failure> {
        manager.turn_to(node)?;
        let mut ask = |name: &str, columns: &[&str]| {
            let name = format!("org.apache.qpid.dispatch.{name}");
            manager.table(&name, columns, None).map_err(Failure::from)
        };
        let mut samples = match self {
            Self::Connections => {
                let connections = ask("connection", &["identity", "container", "host"])?;
                let links = ask("router.link", &LINK_COLUMNS)?;
                connections_of(&connections, &links)
            }
            Self::Links => {
                let links = ask("router.link", &LINK_COLUMNS)?;
                Row::all(&links).map(|row| link(&row)).collect()
            }
            Self::Addresses => {
                let addresses = ask("router.address", &ADDRESS_COLUMNS)?;
                Row::all(&addresses).map(|row| address(&row)).collect()
            }
            Self::Routers => {
                let nodes = ask("router.node", &["id"])?;
                let ids: Vec<String> = Row::all(&nodes).map(|row| row.text("id")).collect();
                return routers(manager, node, &ids, clock);
            }
        };
        let now = clock.now();
        samples
            .iter_mut()
            .for_each(|sample: &mut Sample| sample.at = now);
        Ok(samples)
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
    let key = row.text("identity");
    Sample {
        parts: Part::whole(&key, numbers(row, ["deliveryCount"])),
        texts: vec![
            key.clone(),
            row.text("connectionId"),
            row.text("linkDir"),
            address,
        ],
        key,
        at: Time::ZERO,
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
    let counters = ["deliveriesIngress", "deliveriesEgress", "deliveriesTransit"];
    Sample {
        parts: Part::whole(&key, numbers(row, counters)),
        key,
        at: Time::ZERO,
        texts: vec![address, phase],
        gauges: numbers(row, ["subscriberCount", "remoteCount"]),
    }
}

/// What the links of each connection carry together.
fn connections_of(connections: &Table, links: &Table) -> Vec<Sample> {
    let mut all: BTreeMap<String, (Vec<Part>, u64)> = BTreeMap::new();
    for row in Row::all(links) {
        let (parts, open) = all.entry(row.text("connectionId")).or_default();
        let count = row.number("deliveryCount").unwrap_or(0);
        let counters = match row.text("linkDir") == "in" {
            true => vec![count, 0],
            false => vec![0, count],
        };
        let key = row.text("identity");
        parts.push(Part { key, counters });
        *open += row.number("unsettledCount").unwrap_or(0);
    }
    let of_row = |row: Row<'_>| {
        let key = row.text("identity");
        let (mut parts, open) = all.remove(&key).unwrap_or_default();
        // One without links carries nothing, and that is known.
        let own = format!("connection {key}");
        parts.extend(Part::whole(&own, vec![0, 0]));
        Sample {
            texts: vec![key.clone(), row.text("container"), row.text("host")],
            key,
            at: Time::ZERO,
            parts,
            gauges: vec![open],
        }
    };
    Row::all(connections).map(of_row).collect()
}

/// Each router of the network; one that does not answer has no figures.
fn routers(
    manager: &mut Manager,
    own: &Node,
    ids: &[String],
    clock: &Clock,
) -> Result<Vec<Sample>, Failure> {
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
        let counters = ["deliveriesIngress", "deliveriesEgress", "deliveriesTransit"];
        let sample = |row: Row<'_>| Sample {
            key: row.text("id"),
            at: clock.now(),
            texts: vec![row.text("id")],
            parts: Part::whole(&row.text("id"), numbers(&row, counters)),
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
        let counters = samples[0].parts.iter().map(|part| &part.counters[..]);
        let counters: Vec<&[u64]> = counters.collect();
        assert_eq!(counters, [&[5, 0][..], &[0, 3], &[1, 0], &[0, 0]]);
        assert_eq!(samples[0].gauges, [6]);
    }
}
