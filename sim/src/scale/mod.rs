//! How a network grows: the routing protocol's engines by themselves, on virtual time, in networks
//! of many sizes and shapes. `docs/scaling.md` has the tables.
//!
//! It measures and judges nothing: what must hold is proved by tests. Decision: no shard, no
//! control plane and no client's message takes part, so that a thousand routers fit into one
//! process.

mod network;
mod topology;
mod truth;

use std::time::Duration;

use network::{Network, Traffic};
use topology::Shape;

/// What the program that runs this knows of the world outside.
pub struct Host<'a> {
    /// Prints a line.
    pub say: &'a mut dyn FnMut(&str),
    /// Bytes of memory that the process has.
    pub resident: &'a dyn Fn() -> u64,
    /// Seconds on the wall.
    pub seconds: &'a dyn Fn() -> f64,
}

/// The sizes of networks.
const SIZES: [usize; 5] = [8, 32, 128, 512, 1000];

/// Addresses of which each router has a consumer.
const ADDRESSES: usize = 10;

/// Networks of each size and shape, and changes of each.
fn samples(shape: Shape, routers: usize) -> (u64, usize) {
    match routers {
        _ if shape == Shape::Full => (2, 10),
        0..=32 => (5, 20),
        33..=128 => (4, 25),
        129..=512 => (1, 5),
        _ => (1, 3),
    }
}

/// Which networks to look at.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Those of at most so many routers.
    pub most: usize,
    /// Those of so many.
    pub only: Option<usize>,
    /// Those of one shape. The memory of a network is what the process has come to hold for it, so
    /// it is right for the first network alone.
    pub shape: Option<&'a str>,
}

/// Prints the tables; that of addresses, unless a size or a shape was asked for.
pub fn run(host: &mut Host<'_>, wanted: Wanted<'_>) {
    topology_table(host, wanted);
    if wanted.only.is_none() && wanted.shape.is_none() {
        address_table(host);
    }
}

/// What was seen of one size and shape.
#[derive(Default)]
struct Seen {
    cold: Vec<Duration>,
    told: Vec<Duration>,
    cut: Vec<Duration>,
    killed: Vec<Duration>,
    cut_by_router: Vec<Duration>,
    rest: Traffic,
    start: Traffic,
    change: Traffic,
    changes: u64,
    refused: u64,
    memory: u64,
    links: usize,
}

fn topology_table(host: &mut Host<'_>, wanted: Wanted<'_>) {
    (host.say)(
        "| routers | shape | links | cold start, ms: ways / addresses | after a cut, ms: p50 / \
         p99 / one router's p99 | after a death, ms: p50 / p99 | at rest, per link and second | \
         per cut, messages / kB | cold start, messages a router | memory a router |",
    );
    (host.say)("|---|---|---|---|---|---|---|---|---|---|");
    let sizes = SIZES.into_iter().filter(|size| *size <= wanted.most);
    for routers in sizes.filter(|size| wanted.only.is_none_or(|only| only == *size)) {
        let is_wanted = |shape: &Shape| wanted.shape.is_none_or(|name| shape.name() == name);
        for shape in Shape::ALL.into_iter().filter(is_wanted) {
            if shape.is_sensible(routers) {
                let began = (host.seconds)();
                let seen = observe(host, shape, routers);
                (host.say)(&row(shape, routers, &seen));
                let took = (host.seconds)() - began;
                let refused = seen.refused;
                (host.say)(&format!("<!-- {took:.0} s, {refused} messages refused -->"));
            }
        }
    }
}

fn observe(host: &Host<'_>, shape: Shape, routers: usize) -> Seen {
    let mut seen = Seen::default();
    let (networks, changes) = samples(shape, routers);
    for seed in 1..=networks {
        let before = (host.resident)();
        let mut network = Network::new(shape, routers, seed);
        let began = network.now;
        for router in 0..routers {
            let first = router * ADDRESSES;
            network.subscribe(router, first..first + ADDRESSES, true);
        }
        let all = (routers - 1) * ADDRESSES;
        let is_done = |network: &Network| {
            network.converged(began).is_some() && network.told(all, began).is_some()
        };
        while !is_done(&network) && seconds_since(&network, began) < 120.0 {
            network.run(Duration::from_millis(50));
        }
        seen.cold
            .extend(network.converged(began).into_iter().flatten().max());
        seen.told.extend(network.told(all, began));
        seen.start.add(network.take_traffic());
        // Until nothing is in flux any more.
        network.run(Duration::from_secs(12));
        let held = (host.resident)().saturating_sub(before);
        seen.memory = seen.memory.max(held / routers as u64);
        network.take_traffic();
        network.run(Duration::from_secs(30));
        seen.rest.add(network.take_traffic());
        seen.links = network.wires();
        for _ in 0..changes {
            let began = network.now;
            let wire = network.cut();
            network.run(Duration::from_secs(4));
            let times = network.converged(began);
            seen.cut.extend(times.iter().flatten().max());
            seen.cut_by_router.extend(times.into_iter().flatten());
            seen.change.add(network.take_traffic());
            seen.changes += 1;
            network.heal(wire);
            // Longer than anything is held back that happens twice.
            network.run(Duration::from_secs(61));
            network.take_traffic();
        }
        for _ in 0..changes.min(routers / 4) {
            let began = network.now;
            network.kill();
            network.run(Duration::from_secs(4));
            seen.killed
                .extend(network.converged(began).into_iter().flatten().max());
            network.run(Duration::from_secs(20));
        }
        seen.refused += network.refused;
    }
    seen
}

fn seconds_since(network: &Network, began: amqp_proto::Time) -> f64 {
    network.now.saturating_sub(began).as_secs_f64()
}

fn row(shape: Shape, routers: usize, seen: &Seen) -> String {
    let cuts = seen.changes.max(1);
    let (networks, _) = samples(shape, routers);
    let link_seconds = (networks * 30 * seen.links as u64).max(1);
    format!(
        "| {routers} | {} | {} | {} / {} | {} / {} / {} | {} / {} | {:.1} messages, {:.0} B | \
         {} / {} | {} | {} kB |",
        shape.name(),
        seen.links,
        part(&seen.cold, 100),
        part(&seen.told, 100),
        part(&seen.cut, 50),
        part(&seen.cut, 99),
        part(&seen.cut_by_router, 99),
        part(&seen.killed, 50),
        part(&seen.killed, 99),
        ratio(seen.rest.messages, link_seconds),
        ratio(seen.rest.bytes, link_seconds),
        seen.change.messages / cuts,
        seen.change.bytes / cuts / 1000,
        seen.start.messages / networks / routers as u64,
        seen.memory / 1000,
    )
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(amount: u64, by: u64) -> f64 {
    amount as f64 / by as f64
}

/// The time by which so many of a hundred were done, in milliseconds.
fn part(times: &[Duration], percent: usize) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100).max(1) - 1;
    let time = times.get(place);
    time.map_or_else(|| "never".to_owned(), |time| time.as_millis().to_string())
}

impl Traffic {
    fn add(&mut self, more: Self) {
        self.messages += more.messages;
        self.bytes += more.bytes;
    }
}

/// Eight routers, one of which has ever more addresses; then one more comes, and then a router
/// that knows none.
fn address_table(host: &mut Host<'_>) {
    (host.say)("");
    (host.say)(
        "| addresses | all told, ms | bytes to tell, all links | one more, ms / bytes a link | \
         memory for an address, each router |",
    );
    (host.say)("|---|---|---|---|---|");
    for addresses in [1000, 10_000, 100_000, 1_000_000] {
        let mut network = Network::new(Shape::Ring, 8, 1);
        network.run(Duration::from_secs(20));
        network.take_traffic();
        let before = (host.resident)();
        let began = network.now;
        network.subscribe(0, 0..addresses, true);
        let told = until_known(&mut network, addresses);
        let traffic = network.take_traffic();
        let memory = (host.resident)().saturating_sub(before) / 8 / addresses as u64;
        network.run(Duration::from_secs(5));
        let (links, at) = (network.wires() as u64, network.now);
        network.take_traffic();
        network.subscribe(0, addresses..addresses + 1, true);
        let one = until_known(&mut network, addresses + 1);
        let more = network.take_traffic();
        (host.say)(&format!(
            "| {addresses} | {} | {} | {} / {} | {memory} B |",
            told.saturating_sub(began).as_millis(),
            traffic.bytes,
            one.saturating_sub(at).as_millis(),
            more.bytes / links,
        ));
    }
}

/// Lets time pass until all others know so many addresses.
fn until_known(network: &mut Network, addresses: usize) -> amqp_proto::Time {
    for _ in 0..60_000 {
        network.run(Duration::from_millis(1));
        let others = network.routers.iter().skip(1).flatten();
        if others.clone().all(|router| router.addresses == addresses) {
            break;
        }
    }
    network.now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_networks_of_all_shapes_converge_after_every_change() {
        for shape in Shape::ALL {
            let mut network = Network::new(shape, 8, 3);
            let began = network.now;
            network.run(Duration::from_secs(15));
            assert!(network.converged(began).is_some(), "{shape:?}");
            assert_eq!(network.refused, 0, "{shape:?}");
            let began = network.now;
            let wire = network.cut();
            network.run(Duration::from_secs(5));
            assert!(network.converged(began).is_some(), "{shape:?} after a cut");
            network.heal(wire);
            network.run(Duration::from_secs(10));
            let began = network.now;
            network.kill();
            network.run(Duration::from_secs(5));
            assert!(
                network.converged(began).is_some(),
                "{shape:?} after a death"
            );
        }
    }

    #[test]
    fn addresses_reach_all() {
        let mut network = Network::new(Shape::Ring, 5, 1);
        network.run(Duration::from_secs(10));
        network.subscribe(2, 0..50, true);
        network.run(Duration::from_secs(2));
        let known = |network: &Network| {
            let routers = network.routers.iter().flatten();
            routers.map(|router| router.addresses).collect::<Vec<_>>()
        };
        assert_eq!(known(&network), [50, 50, 0, 50, 50]);
        network.subscribe(2, 0..50, false);
        network.run(Duration::from_secs(3));
        assert_eq!(known(&network), [0; 5]);
    }
}
