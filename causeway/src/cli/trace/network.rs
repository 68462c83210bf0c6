//! What the routers of a network tell about one address.
//!
//! Owns the asking and what is kept of the answers; it draws no conclusion. Decision: routers are
//! asked one after another over one connection, each with a deadline of its own, and one that does
//! not answer is noted instead of ending the work.

use std::collections::{BTreeMap, BTreeSet};

use management::client::Table;
use router_core::address::{PatternTree, trim_separators};

use crate::cli::failure::Failure;
use crate::cli::manager::{Manager, Node, Trouble};
use crate::cli::stat::cells::Row;

/// All routers that were asked.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) address: String,
    pub(super) routers: Vec<RouterSeen>,
}

/// What one router tells.
#[derive(Debug, Default)]
pub(super) struct RouterSeen {
    pub(super) id: String,
    /// Why it tells nothing.
    pub(super) silent: Option<String>,
    /// How it reaches each other router.
    pub(super) ways: BTreeMap<String, Way>,
    /// What is configured for the address, or else for all; empty where that is not told.
    pub(super) configured: String,
    pub(super) places: Vec<Place>,
    pub(super) links: Vec<LinkSeen>,
    pub(super) trunks: Vec<Trunk>,
    pub(super) routes: Vec<Route>,
    pub(super) autos: Vec<Auto>,
}

/// How another router is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) next: String,
    pub(super) cost: Option<u64>,
}

/// The address in one of its phases, at one router.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) phase: String,
    pub(super) distribution: String,
    pub(super) in_process: u64,
    pub(super) local: u64,
    pub(super) remote: u64,
    pub(super) ingress: u64,
    pub(super) egress: u64,
    pub(super) transit: u64,
}

/// A link of a client.
#[derive(Debug, Default)]
pub(super) struct LinkSeen {
    pub(super) is_consumer: bool,
    pub(super) phase: String,
    pub(super) identity: String,
    pub(super) name: String,
    pub(super) peer: Peer,
    pub(super) credit: u64,
    /// Seconds without credit.
    pub(super) blocked: u64,
    pub(super) undelivered: u64,
    pub(super) unsettled: u64,
    pub(super) delivered: u64,
    pub(super) stuck: u64,
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    pub(super) connection: String,
    pub(super) container: String,
    pub(super) host: String,
    pub(super) role: String,
}

/// What waits on the way to a neighbour.
#[derive(Debug, Default)]
pub(super) struct Trunk {
    pub(super) to: String,
    pub(super) connection: String,
    pub(super) undelivered: u64,
    pub(super) unsettled: u64,
    /// Links of it that carry messages there.
    pub(super) links: u64,
    /// Links of it that have had no credit for a while.
    pub(super) blocked_links: u64,
}

/// A link route that covers the address.
#[derive(Debug, Default)]
pub(super) struct Route {
    pub(super) pattern: String,
    pub(super) direction: String,
    pub(super) whom: String,
    pub(super) status: String,
}

/// An auto-link of the address.
#[derive(Debug, Default)]
pub(super) struct Auto {
    pub(super) direction: String,
    pub(super) phase: String,
    pub(super) external: String,
    pub(super) whom: String,
    pub(super) status: String,
    pub(super) error: String,
}

/// Routers of a path that nobody tells.
pub(super) const UNKNOWN: &str = "…";

const PREFIX: &str = "org.apache.qpid.dispatch.";

impl Network {
    /// Asks all routers that the one which is connected to knows.
    ///
    /// # Errors
    /// If that one does not answer, or the person wants to stop.
    pub(super) fn ask(manager: &mut Manager, address: &str) -> Result<Self, Failure> {
        let own = manager.query(&format!("{PREFIX}router"), None)?;
        let own = Row::all(&own).next().map(|row| row.text("id"));
        let own = own.unwrap_or_default();
        let nodes = manager.query(&format!("{PREFIX}router.node"), None)?;
        let mut ids = vec![own.clone()];
        let others = Row::all(&nodes).map(|row| row.text("id"));
        ids.extend(others.filter(|id| *id != own));
        let mut routers = Vec::new();
        for id in ids {
            let node = match id == own {
                true => Node::Own,
                false => Node::Router(id.clone()),
            };
            let asked = manager
                .turn_to(&node)
                .map_err(Trouble::from)
                .and_then(|()| ask_one(manager, &id, address));
            routers.push(match asked {
                Ok(router) => router,
                Err(trouble) if manager.interrupted() || id == own => return Err(trouble.into()),
                Err(trouble) => RouterSeen {
                    id,
                    silent: Some(Failure::from(trouble).to_string()),
                    ..RouterSeen::default()
                },
            });
        }
        Ok(Self {
            address: address.to_owned(),
            routers,
        })
    }

    /// The router of that id.
    pub(super) fn router(&self, id: &str) -> Option<&RouterSeen> {
        self.routers.iter().find(|router| router.id == id)
    }

    /// All links that receive, or all that send, with their routers.
    pub(super) fn links(
        &self,
        is_consumer: bool,
    ) -> impl Iterator<Item = (&RouterSeen, &LinkSeen)> {
        let all = self
            .routers
            .iter()
            .flat_map(|router| router.links.iter().map(move |link| (router, link)));
        all.filter(move |(_, link)| link.is_consumer == is_consumer)
    }

    /// The phases that the address has anywhere.
    pub(super) fn phases(&self) -> BTreeSet<&str> {
        let routers = self.routers.iter();
        let places = routers.flat_map(|router| router.places.iter());
        let phases: BTreeSet<&str> = places.map(|place| place.phase.as_str()).collect();
        let links = self.routers.iter().flat_map(|router| router.links.iter());
        phases
            .into_iter()
            .chain(links.map(|link| link.phase.as_str()))
            .collect()
    }

    /// How the address is distributed.
    pub(super) fn distribution(&self) -> &str {
        let routers = self.routers.iter();
        let mut places = routers.clone().flat_map(|router| &router.places);
        let seen = places.next().map(|place| place.distribution.as_str());
        let mut configured = routers.map(|router| router.configured.as_str());
        let configured = || configured.find(|distribution| !distribution.is_empty());
        seen.or_else(configured).unwrap_or_default()
    }

    /// Whether some router did not answer.
    pub(super) fn is_partly_silent(&self) -> bool {
        self.routers.iter().any(|router| router.silent.is_some())
    }

    /// The routers on the way from one to another, both included; none if there is no way, or it is
    /// not known. [`UNKNOWN`] stands for those in between that nobody tells.
    pub(super) fn path(&self, from: &str, to: &str) -> Option<Vec<String>> {
        let mut path = vec![from.to_owned()];
        let mut at = from.to_owned();
        while at != to {
            let router = self.router(&at)?;
            let way = router.ways.get(to)?;
            way.cost?;
            if path.contains(&way.next) {
                return None;
            }
            at.clone_from(&way.next);
            path.push(at.clone());
            // The rest is only known of those that answer.
            if at != to && self.router(&at).is_none_or(|next| next.silent.is_some()) {
                path.extend([UNKNOWN.to_owned(), to.to_owned()]);
                break;
            }
        }
        Some(path)
    }

    /// What the way from one to another costs.
    pub(super) fn cost(&self, from: &str, to: &str) -> Option<u64> {
        match from == to {
            true => Some(0),
            false => self.router(from)?.ways.get(to)?.cost,
        }
    }
}

fn ask_one(manager: &mut Manager, id: &str, address: &str) -> Result<RouterSeen, Trouble> {
    let mut ask = |name: &str| manager.table(&format!("{PREFIX}{name}"), &[], None);
    let connections = ask("connection")?;
    let links = ask("router.link")?;
    let addresses = ask("router.address")?;
    let nodes = ask("router.node")?;
    let routes = ask("router.config.linkRoute")?;
    let autos = ask("router.config.autoLink")?;
    let rules = ask("router.config.address")?;
    let router = ask("router")?;
    let peers = peers(&connections);
    let peer = |row: &Row<'_>| {
        peers
            .get(&row.text("connectionId"))
            .cloned()
            .unwrap_or_default()
    };
    Ok(RouterSeen {
        id: id.to_owned(),
        silent: None,
        ways: Row::all(&nodes)
            .filter(|row| row.text("id") != id)
            .map(way)
            .collect(),
        configured: configured(&rules, &router, address),
        places: Row::all(&addresses)
            .filter_map(|row| place(&row, address))
            .collect(),
        links: Row::all(&links)
            .filter_map(|row| link(&row, address, peer(&row)))
            .collect(),
        trunks: trunks(&links, &peers),
        routes: Row::all(&routes)
            .filter_map(|row| route(&row, address))
            .collect(),
        autos: Row::all(&autos)
            .filter_map(|row| auto(&row, address))
            .collect(),
    })
}

fn peers(connections: &Table) -> BTreeMap<String, Peer> {
    let of_row = |row: Row<'_>| {
        let peer = Peer {
            connection: row.text("identity"),
            container: row.text("container"),
            host: row.text("host"),
            role: row.text("role"),
        };
        (peer.connection.clone(), peer)
    };
    Row::all(connections).map(of_row).collect()
}

fn way(row: Row<'_>) -> (String, Way) {
    let id = row.text("id");
    let next = match row.text("nextHop") {
        next if next.is_empty() => id.clone(),
        next => next,
    };
    let cost = row.number("cost");
    (id, Way { next, cost })
}

/// The phase of a key, if it is one of the address.
fn phase(key: &str, address: &str) -> Option<String> {
    let mut rest = key.strip_prefix('M')?.chars();
    let phase = rest.next()?;
    (rest.as_str() == address).then(|| phase.to_string())
}

fn place(row: &Row<'_>, address: &str) -> Option<Place> {
    let number = |name| row.number(name).unwrap_or(0);
    Some(Place {
        phase: phase(&row.text("key"), address)?,
        distribution: row.text("distribution"),
        in_process: number("inProcess"),
        local: number("subscriberCount"),
        remote: number("remoteCount"),
        ingress: number("deliveriesIngress"),
        egress: number("deliveriesEgress"),
        transit: number("deliveriesTransit"),
    })
}

fn link(row: &Row<'_>, address: &str, peer: Peer) -> Option<LinkSeen> {
    let number = |name| row.number(name).unwrap_or(0);
    if row.text("linkType") != "endpoint" {
        return None;
    }
    Some(LinkSeen {
        phase: phase(&row.text("owningAddr"), address)?,
        is_consumer: row.text("linkDir") == "out",
        identity: row.text("identity"),
        name: row.text("linkName"),
        peer,
        credit: number("creditAvailable"),
        blocked: number("zeroCreditSeconds"),
        undelivered: number("undeliveredCount"),
        unsettled: number("unsettledCount"),
        delivered: number("deliveryCount"),
        stuck: number("deliveriesStuck"),
    })
}

/// What waits for each neighbour, by connection.
fn trunks(links: &Table, peers: &BTreeMap<String, Peer>) -> Vec<Trunk> {
    let mut trunks: BTreeMap<String, Trunk> = BTreeMap::new();
    for row in Row::all(links) {
        let connection = row.text("connectionId");
        let is_out = row.text("linkDir") == "out" && row.text("linkType") == "inter-router";
        let Some(peer) = peers.get(&connection).filter(|_| is_out) else {
            continue;
        };
        let trunk = trunks.entry(connection.clone()).or_insert_with(|| Trunk {
            to: peer.container.clone(),
            connection,
            ..Trunk::default()
        });
        let number = |name| row.number(name).unwrap_or(0);
        trunk.undelivered += number("undeliveredCount");
        trunk.unsettled += number("unsettledCount");
        trunk.links += 1;
        trunk.blocked_links += u64::from(number("zeroCreditSeconds") > 0);
    }
    trunks.into_values().collect()
}

/// The connection or the container that is meant.
fn whom(row: &Row<'_>) -> String {
    match (row.text("connection"), row.text("containerId")) {
        (name, container) if name.is_empty() => container,
        (name, _) => name,
    }
}

/// What a prefix or a pattern is called in a tree of patterns.
fn pattern(row: &Row<'_>) -> String {
    match row.text("prefix") {
        prefix if prefix.is_empty() => row.text("pattern"),
        prefix => format!("{}/#", trim_separators(&prefix)),
    }
}

/// The distribution that the best of these rules gives the address, or else the router's own.
fn configured(rules: &Table, router: &Table, address: &str) -> String {
    let mut tree = PatternTree::new();
    for row in Row::all(rules) {
        // A router gives a rule that makes its addresses unavailable no distribution.
        let distribution = match row.text("distribution") {
            none if none.is_empty() => "unavailable".to_owned(),
            distribution => distribution,
        };
        // A rule that the router could not use covers nothing.
        tree.insert(&pattern(&row), distribution)
            .unwrap_or_default();
    }
    let others = || {
        let row = Row::all(router).next();
        row.map(|row| row.text("defaultDistribution"))
    };
    let best = tree.best_match(address).cloned();
    best.or_else(others).unwrap_or_default()
}

fn route(row: &Row<'_>, address: &str) -> Option<Route> {
    let mut tree = PatternTree::new();
    tree.insert(&pattern(row), ()).ok()?;
    tree.best_match(address)?;
    let shown = match row.text("prefix") {
        prefix if prefix.is_empty() => row.text("pattern"),
        prefix => prefix,
    };
    Some(Route {
        pattern: shown,
        direction: row.text("direction"),
        whom: whom(row),
        status: row.text("operStatus"),
    })
}

fn auto(row: &Row<'_>, address: &str) -> Option<Auto> {
    let name = match row.text("address") {
        name if name.is_empty() => row.text("addr"),
        name => name,
    };
    (name == address).then(|| Auto {
        direction: row.text("direction"),
        phase: row.text("phase"),
        external: row.text("externalAddress"),
        whom: whom(row),
        status: row.text("operStatus"),
        error: row.text("lastError"),
    })
}

#[cfg(test)]
mod tests {
    use amqp_codec::Value;

    use super::*;

    #[test]
    fn the_closest_rule_says_how_an_address_is_distributed() {
        let row = |prefix: &str, pattern: &str, distribution: &str| {
            [prefix, pattern, distribution].map(|text| Value::from(text.to_owned()))
        };
        let rules = Table {
            columns: ["prefix", "pattern", "distribution"]
                .map(str::to_owned)
                .to_vec(),
            rows: vec![
                row("secret", "", "").to_vec(),
                row("", "secret.*.open", "multicast").to_vec(),
            ],
        };
        let router = Table {
            columns: vec!["defaultDistribution".into()],
            rows: vec![vec!["balanced".into()]],
        };
        for (address, expected) in [
            ("secret", "unavailable"),
            ("secret.x", "unavailable"),
            ("secret.x.open", "multicast"),
            ("secrets", "balanced"),
        ] {
            assert_eq!(configured(&rules, &router, address), expected, "{address}");
        }
    }

    #[test]
    fn a_way_through_a_silent_router_has_a_gap() {
        let way = Way {
            next: "B".into(),
            cost: Some(2),
        };
        let router = |id: &str, silent: Option<&str>| RouterSeen {
            id: id.into(),
            silent: silent.map(str::to_owned),
            ways: [("C".to_owned(), way.clone())].into(),
            ..RouterSeen::default()
        };
        let network = Network {
            address: "q".into(),
            routers: vec![
                router("A", None),
                router("B", Some("gone")),
                router("C", None),
            ],
        };
        assert_eq!(network.path("A", "C").unwrap(), ["A", "B", UNKNOWN, "C"]);
    }
}
