//! The state of a mesh, and its words.
//!
//! A view is taken from the cluster at one moment; rates come from two of them. It never writes
//! anything itself, so the same view serves the screen and plain lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use amqp_proto::Time;

use crate::cli::quantity::grouped;
use crate::cli::table::Layout;
use crate::cluster::{AddressReport, Cluster, Edge, LinkState, RouterReport};

/// Addresses named for a router.
const ADDRESSES: usize = 4;

/// A mesh at one moment.
#[derive(Debug)]
pub(super) struct View {
    taken: Time,
    routers: Vec<Seen>,
    links: Vec<(Edge, LinkState)>,
}

#[derive(Debug)]
struct Seen {
    name: String,
    url: String,
    /// What it says; its silence, if it runs and says nothing; nothing, if it does not run.
    said: Option<Result<RouterReport, String>>,
    expected: Vec<String>,
}

/// Messages a second of one router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rates {
    entered: u64,
    left: u64,
    passed_on: u64,
}

impl View {
    /// Looks at all routers and links.
    pub(super) fn take(cluster: &mut Cluster, now: Time) -> Self {
        let mut routers = Vec::new();
        for name in cluster.names() {
            let running = cluster.is_running(&name).unwrap_or_default();
            let said = running.then(|| cluster.report(&name).map_err(|error| error.to_string()));
            routers.push(Seen {
                url: cluster.url(&name).unwrap_or_default(),
                expected: cluster
                    .reachable(&name)
                    .unwrap_or_default()
                    .into_keys()
                    .collect(),
                said,
                name,
            });
        }
        let links = cluster.links().map(|(edge, state)| (edge.clone(), state));
        Self {
            taken: now,
            links: links.collect(),
            routers,
        }
    }

    /// The table of routers and the links; rates since `before`.
    pub(super) fn lines(&self, before: Option<&Self>) -> Vec<String> {
        let mut table = Layout::new([
            "router",
            "clients connect to",
            "state",
            "neighbours",
            "knows",
            "in/s",
            "out/s",
            "on/s",
            "addresses",
        ]);
        for router in &self.routers {
            let rates = self.rates(router, before);
            let report = router.report();
            table.add(vec![
                router.name.clone(),
                router.url.clone(),
                router.state(),
                report
                    .map(|report| report.neighbours.join(" "))
                    .unwrap_or_default(),
                router.knowledge(),
                grouped(rates.entered),
                grouped(rates.left),
                grouped(rates.passed_on),
                report.map(addresses).unwrap_or_default(),
            ]);
        }
        let mut lines = table.lines();
        if !self.links.is_empty() {
            lines.push(String::new());
            lines.push(format!("  links  {}", self.link_states().join("   ")));
        }
        lines
    }

    /// A line for each thing that can change, by its name: for those who read lines.
    pub(super) fn facts(&self, before: Option<&Self>) -> BTreeMap<String, String> {
        let mut facts = BTreeMap::new();
        for router in &self.routers {
            let mut words = vec![router.state()];
            if let Some(report) = router.report() {
                words.push(format!("neighbours: {}", report.neighbours.join(" ")));
                words.push(format!("knows {}", router.knowledge()));
                if !report.addresses.is_empty() {
                    words.push(format!("addresses: {}", addresses(report)));
                }
            }
            let rates = self.rates(router, before);
            if rates != Rates::default() {
                let Rates {
                    entered,
                    left,
                    passed_on,
                } = rates;
                words.push(format!(
                    "messages/s: {entered} in, {left} out, {passed_on} on"
                ));
            }
            facts.insert(format!("router {}", router.name), words.join("; "));
        }
        for (edge, state) in &self.links {
            facts.insert(format!("link {edge}"), self.link_state(edge, *state));
        }
        facts
    }

    /// Whether every router that runs knows those that it can reach, and no others.
    pub(super) fn is_converged(&self) -> bool {
        self.routers.iter().all(|router| {
            let known = router.report().map(known);
            router.said.is_none() || known.as_ref() == Some(&router.expected)
        })
    }

    fn link_states(&self) -> Vec<String> {
        let links = self.links.iter();
        links
            .map(|(edge, state)| format!("{edge} {}", self.link_state(edge, *state)))
            .collect()
    }

    /// How a link is: what was done to it, or what the routers make of it.
    fn link_state(&self, edge: &Edge, state: LinkState) -> String {
        let sees = |one: &String, other: &String| {
            let router = self.routers.iter().find(|router| router.name == *one);
            let report = router.and_then(Seen::report);
            report.is_some_and(|report| report.neighbours.contains(other))
        };
        let [one, other] = &edge.ends;
        if state.passes() && !(sees(one, other) && sees(other, one)) {
            return "down".to_owned();
        }
        state.to_string()
    }

    fn rates(&self, router: &Seen, before: Option<&Self>) -> Rates {
        let earlier = before.and_then(|view| {
            let same = view.routers.iter().find(|seen| seen.name == router.name)?;
            Some((view.taken, same.totals()?))
        });
        let (Some((then, earlier)), Some(now)) = (earlier, router.totals()) else {
            return Rates::default();
        };
        let elapsed = self.taken.saturating_sub(then).as_millis().max(1);
        // A router that was started anew counts from zero.
        let rate = |now: u64, then: u64| {
            let moved = u128::from(now.saturating_sub(then));
            u64::try_from((moved * 1000 + elapsed / 2) / elapsed).unwrap_or(u64::MAX)
        };
        Rates {
            entered: rate(now.entered, earlier.entered),
            left: rate(now.left, earlier.left),
            passed_on: rate(now.passed_on, earlier.passed_on),
        }
    }
}

impl Seen {
    fn report(&self) -> Option<&RouterReport> {
        self.said.as_ref()?.as_ref().ok()
    }

    fn state(&self) -> String {
        match &self.said {
            None => "killed".to_owned(),
            Some(Ok(_)) => "up".to_owned(),
            Some(Err(silence)) => silence.clone(),
        }
    }

    /// How many of the routers that it can reach it knows, and who is missing or gone.
    fn knowledge(&self) -> String {
        let Some(report) = self.report() else {
            return String::new();
        };
        let known = known(report);
        let of_them = self.expected.iter().filter(|name| known.contains(name));
        let mut text = format!("{} of {}", of_them.count(), self.expected.len());
        let gone: Vec<&str> = known
            .iter()
            .filter(|name| !self.expected.contains(name))
            .map(String::as_str)
            .collect();
        if !gone.is_empty() {
            write!(text, ", still {}", gone.join(" ")).unwrap_or_default();
        }
        text
    }

    /// What passed since it was started.
    fn totals(&self) -> Option<Rates> {
        let report = self.report()?;
        let sum = |rates: Rates, address: &AddressReport| Rates {
            entered: rates.entered + address.entered,
            left: rates.left + address.left,
            passed_on: rates.passed_on + address.passed_on,
        };
        Some(report.addresses.values().fold(Rates::default(), sum))
    }
}

fn known(report: &RouterReport) -> Vec<String> {
    let mut known: Vec<String> = report.routers.iter().map(|way| way.to.clone()).collect();
    known.sort_unstable();
    known
}

/// Addresses with how many receive from them here.
fn addresses(report: &RouterReport) -> String {
    let mut used = report
        .addresses
        .iter()
        .filter(|(_, address)| address.receivers + address.routers > 0);
    let mut words: Vec<String> = used
        .by_ref()
        .take(ADDRESSES)
        .map(|(name, address)| match address.receivers {
            0 => name.clone(),
            here => format!("{name} ({here} here)"),
        })
        .collect();
    let more = used.count();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join(", ")
}
