//! From what is known of the router to its metrics.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::SystemTime;

use router_core::ids::{AddressId, ConnectionId, Direction};
use router_core::inspect::{AddressCounters, LinkRow};
use router_core::limits::OLD_SECONDS;

use super::facts::Facts;
use super::families::Families;
use super::health::missing;
use super::process::Figures;
use super::slots::Limits;
use super::table::{self as m, Column, INCUMBENT};
use crate::clock::time_of_day;

/// Characters of a container that are shown.
const CONTAINER: usize = 128;

/// Characters of an address that are; of a longer one, a hash keeps it apart from others.
const ADDRESS: usize = 256;

/// What the HTTP thread knows of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    pub(super) clients: usize,
    pub(super) refused: u64,
    /// Answers by status code.
    pub(super) answers: BTreeMap<u16, u64>,
}

/// The text of all metrics, with series of so many addresses and connections. Without an answer of
/// every worker these would go back, and are left out.
///
/// # Errors
/// The encoder's, in words.
pub(super) fn text(
    facts: &Facts,
    (address_series, connection_series): Limits,
    own: &Own,
) -> Result<String, String> {
    let mut families = Families::default();
    incumbent(facts, &mut families);
    router(facts, &mut families);
    http(own, &mut families);
    if address_series > 0 && facts.workers_answer {
        addresses(facts, address_series, &mut families);
    }
    if connection_series > 0 && facts.workers_answer {
        connections(facts, connection_series, &mut families);
    }
    process(Figures::now(), &mut families);
    families.to_text()
}

fn incumbent(facts: &Facts, families: &mut Families) {
    let totals = &facts.totals;
    for (metric, column) in INCUMBENT {
        let value = match column {
            Column::Of(counter) => totals.counter(*counter),
            Column::Addresses => totals.addresses as u64,
            Column::Routers => totals.routers as u64,
            Column::LinkRoutes => totals.link_routes as u64,
            Column::AutoLinks => totals.auto_links as u64,
        };
        families.one(metric, value as f64);
    }
}

fn router(facts: &Facts, families: &mut Families) {
    let build = [facts.version, &facts.id, facts.mode];
    families.all(&m::BUILD_INFO, [(&build[..], 1.0)]);
    families.one(&m::READY, truth(missing(facts).is_empty()));
    let named = |name: &str, is: bool| (name.to_owned(), truth(is));
    let listeners = facts.listeners.iter();
    by_name(
        &m::LISTENER_OPEN,
        listeners.map(|(name, is_open)| named(name, *is_open)),
        families,
    );
    let connectors = facts.connectors.iter();
    by_name(
        &m::CONNECTOR_OPEN,
        connectors.map(|connector| named(&connector.name, connector.is_open)),
        families,
    );
    let now = time_of_day().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.map_or(0.0, |now| now.as_secs_f64());
    let left = |end: Option<u64>| end.map(|end| (end as f64 - now).floor());
    let profiles = || facts.profiles.iter();
    by_name(
        &m::CERTIFICATE_EXPIRY,
        profiles().filter_map(|(name, expiry)| Some((name.clone(), left(expiry.certificate)?))),
        families,
    );
    by_name(
        &m::AUTHORITY_EXPIRY,
        profiles().filter_map(|(name, expiry)| Some((name.clone(), left(expiry.authorities)?))),
        families,
    );
    families.one(&m::IN_FLIGHT, facts.in_flight as f64);
    families.histogram(&m::LATENCY, &facts.latencies);
    let workers = facts.worker_busy.iter().enumerate();
    by_name(
        &m::WORKER_BUSY,
        workers.map(|(worker, busy)| (worker.to_string(), busy.as_secs_f64())),
        families,
    );
}

fn http(own: &Own, families: &mut Families) {
    families.one(&m::HTTP_CLIENTS, own.clients as f64);
    let answers = own.answers.iter();
    by_name(
        &m::HTTP_REQUESTS,
        answers.map(|(code, count)| (code.to_string(), *count as f64)),
        families,
    );
    families.one(&m::HTTP_REFUSED, own.refused as f64);
}

fn process(figures: Figures, families: &mut Families) {
    let number = |value: Option<u64>| value.map(|value| value as f64);
    families.maybe(&m::PROCESS_CPU, figures.cpu_seconds);
    families.maybe(&m::PROCESS_START, figures.started);
    families.maybe(&m::PROCESS_RESIDENT, number(figures.resident));
    families.maybe(&m::PROCESS_VIRTUAL, number(figures.virtual_size));
    families.maybe(&m::PROCESS_FILES, number(figures.open_files));
    families.maybe(&m::PROCESS_FILES_MAX, number(figures.open_files_max));
    families.maybe(&m::PROCESS_THREADS, number(figures.threads));
}

/// A metric with one label. Several things may have one name: the least of their values counts.
fn by_name(
    metric: &m::Metric,
    values: impl Iterator<Item = (String, f64)>,
    families: &mut Families,
) {
    let mut named: BTreeMap<String, f64> = BTreeMap::new();
    for (name, value) in values {
        let entry = named.entry(name).or_insert(value);
        *entry = entry.min(value);
    }
    let names: Vec<_> = named
        .iter()
        .map(|(name, value)| ([&**name], *value))
        .collect();
    families.all(
        metric,
        names.iter().map(|(name, value)| (&name[..], *value)),
    );
}

fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

/// Sums over links that go one way.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    links: u64,
    credit: u64,
    undelivered: u64,
    unsettled: u64,
    stuck: u64,
    blocked: u64,
}

impl Sums {
    fn add(&mut self, row: &LinkRow) {
        self.links += 1;
        self.credit += u64::from(row.credit);
        self.undelivered += row.undelivered;
        self.unsettled += row.unsettled;
        self.stuck += row.stuck;
        self.blocked += u64::from(row.zero_credit_seconds > u64::from(OLD_SECONDS));
    }
}

/// A figure of links that go one way.
type Figure = (m::Metric, fn(&Sums) -> u64);

/// In and out, as labels have them.
const WAYS: [(Direction, &str); 2] = [(Direction::In, "in"), (Direction::Out, "out")];

/// Sums by whatever links belong to.
type SumsBy<K> = BTreeMap<K, [Sums; 2]>;

fn sums<K: Ord>(links: &[LinkRow], key: impl Fn(&LinkRow) -> Option<K>) -> SumsBy<K> {
    let mut all: SumsBy<K> = BTreeMap::new();
    for link in links {
        let Some(key) = key(link) else { continue };
        let place = WAYS.iter().position(|(way, _)| *way == link.direction);
        let entry = all.entry(key).or_default();
        if let Some(sums) = place.and_then(|place| entry.get_mut(place)) {
            sums.add(link);
        }
    }
    all
}

/// Adds figures of links: for each thing both ways, behind the labels of the thing.
fn add_figures(figures: &[Figure], things: &[(Vec<&str>, [Sums; 2])], families: &mut Families) {
    for (metric, figure) in figures {
        let mut rows = Vec::new();
        for (labels, sums) in things {
            for ((_, way), sums) in WAYS.iter().zip(sums) {
                let mut labels = labels.clone();
                labels.push(way);
                rows.push((labels, figure(sums) as f64));
            }
        }
        families.all(
            metric,
            rows.iter().map(|(labels, value)| (&labels[..], *value)),
        );
    }
}

fn addresses(facts: &Facts, most: usize, families: &mut Families) {
    /// One figure of an address.
    type Carried = (m::Metric, fn(&AddressCounters) -> u64);
    const CARRIED: [Carried; 4] = [
        (m::ADDRESS_INGRESS, |of| of.ingress),
        (m::ADDRESS_EGRESS, |of| of.egress),
        (m::ADDRESS_TRANSIT, |of| of.transit),
        (m::ADDRESS_REDIRECTED, |of| of.redirected),
    ];
    const FIGURES: [Figure; 5] = [
        (m::ADDRESS_CREDIT, |of| of.credit),
        (m::ADDRESS_UNDELIVERED, |of| of.undelivered),
        (m::ADDRESS_UNSETTLED, |of| of.unsettled),
        (m::ADDRESS_STUCK, |of| of.stuck),
        (m::ADDRESS_BLOCKED, |of| of.blocked),
    ];
    let rows = facts.rows.addresses.iter();
    // Those that clients may send to and receive from, not the router's own.
    let named = rows.filter_map(|row| Some((row, phase_and_name(&row.key)?)));
    let mut named: Vec<_> = named.collect();
    let omitted = named.len().saturating_sub(most);
    named.truncate(most);
    let carried: BTreeMap<AddressId, AddressCounters> =
        facts.rows.carried.iter().copied().collect();
    let shown: Vec<_> = named.iter().map(|(_, (_, name))| address(name)).collect();
    let labels: Vec<_> = named
        .iter()
        .zip(&shown)
        .map(|((row, (phase, _)), name)| (*row, [&**name, *phase]))
        .collect();
    for (metric, figure) in &CARRIED {
        let value = |id| carried.get(&id).map_or(0, figure) as f64;
        let series = labels.iter();
        families.all(
            metric,
            series.map(|(row, labels)| (&labels[..], value(row.id))),
        );
    }
    let receivers = labels.iter();
    families.all(
        &m::ADDRESS_RECEIVERS,
        receivers.map(|(row, labels)| (&labels[..], row.subscribers as f64)),
    );
    let routers = labels.iter();
    families.all(
        &m::ADDRESS_ROUTERS,
        routers.map(|(row, labels)| (&labels[..], row.routers.len() as f64)),
    );
    let by_key = sums(&facts.rows.links, |link| link.address.clone());
    let things: Vec<_> = labels
        .iter()
        .map(|(row, labels)| {
            let sums = by_key.get(&row.key).copied().unwrap_or_default();
            (labels.to_vec(), sums)
        })
        .collect();
    add_figures(&FIGURES, &things, families);
    families.one(&m::ADDRESS_OMITTED, omitted as f64);
}

/// The beginning of a text.
fn cut(text: &str, most: usize) -> &str {
    let end = text.char_indices().nth(most);
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

/// An address as a label has it.
fn address(name: &str) -> Cow<'_, str> {
    let beginning = cut(name, ADDRESS);
    match beginning.len() == name.len() {
        true => Cow::Borrowed(name),
        false => Cow::Owned(format!("{beginning}#{}", web::fingerprint(name))),
    }
}

/// The parts of the key of an address that is not one of the router itself.
fn phase_and_name(key: &str) -> Option<(&str, &str)> {
    let rest = key.strip_prefix('M')?;
    let (phase, name) = rest.split_at_checked(1)?;
    (!name.starts_with('$')).then_some((phase, name))
}

fn connections(facts: &Facts, most: usize, families: &mut Families) {
    const FIGURES: [Figure; 6] = [
        (m::CONNECTION_LINKS, |of| of.links),
        (m::CONNECTION_CREDIT, |of| of.credit),
        (m::CONNECTION_UNDELIVERED, |of| of.undelivered),
        (m::CONNECTION_UNSETTLED, |of| of.unsettled),
        (m::CONNECTION_STUCK, |of| of.stuck),
        (m::CONNECTION_BLOCKED, |of| of.blocked),
    ];
    let rows = &facts.rows.connections;
    let omitted = rows.len().saturating_sub(most);
    let by_connection: SumsBy<ConnectionId> = sums(&facts.rows.links, |link| Some(link.connection));
    let numbers: Vec<_> = rows
        .iter()
        .take(most)
        .map(|row| row.id.to_string())
        .collect();
    let labelled = rows.iter().zip(&numbers).map(|(row, number)| {
        let container = cut(row.container.as_deref().unwrap_or_default(), CONTAINER);
        (
            row,
            vec![number.as_str(), container, row.host.as_str(), row.role],
        )
    });
    let labelled: Vec<_> = labelled.collect();
    let things: Vec<_> = labelled
        .iter()
        .map(|(row, labels)| {
            let sums = by_connection.get(&row.id).copied().unwrap_or_default();
            (labels.clone(), sums)
        })
        .collect();
    add_figures(&FIGURES, &things, families);
    families.all(
        &m::CONNECTION_UPTIME,
        labelled
            .iter()
            .map(|(row, labels)| (&labels[..], row.uptime_seconds as f64)),
    );
    families.one(&m::CONNECTION_OMITTED, omitted as f64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::facts::Scope;

    #[test]
    fn what_not_all_workers_have_said_is_left_out() {
        let scope = Scope {
            addresses: true,
            connections: true,
        };
        let text = |workers_answer| {
            let facts = Facts::of_nobody(scope, workers_answer);
            text(&facts, (10, 10), &Own::default()).unwrap()
        };
        let is_there = |text: &str| {
            ["address", "connection"].map(|of| text.contains(&format!("causeway_{of}_series")))
        };
        assert_eq!(is_there(&text(true)), [true, true]);
        assert_eq!(is_there(&text(false)), [false, false]);
    }

    #[test]
    fn what_peers_are_called_is_cut_and_addresses_stay_apart() {
        assert_eq!(cut("\u{e4}\u{f6}\u{fc}", 2), "\u{e4}\u{f6}");
        assert_eq!(cut("ab", 2), "ab");
        let long = "x".repeat(ADDRESS);
        assert_eq!(address(&long), long);
        let [one, other] = ["1", "2"].map(|end| format!("{long}{end}"));
        let shown = address(&one);
        assert!(shown.starts_with(&format!("{long}#")) && shown.len() < 2 * ADDRESS);
        assert_ne!(shown, address(&other));
        assert_eq!(shown, address(&one));
    }
}
