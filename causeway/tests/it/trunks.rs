//! Trunks between routers of a cluster: several connections when there is much to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use causeway::{Cluster, ClusterSettings, Topology, Wires};

use crate::harness::{PATIENCE, client, converged, on_both_wires};

on_both_wires! {
    a_busy_trunk_gets_a_connection_and_its_loss_loses_nothing,
}

/// How often is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(50);

/// A client command that ends with the test.
struct Client(Child);

impl Client {
    fn start(arguments: &[&str]) -> Self {
        Self(client(arguments))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn routers(wires: Wires, more: &str) -> Cluster {
    let settings = ClusterSettings {
        routers: 2,
        topology: Topology::Line,
        wires,
        workers: 2,
        router_attributes: more.to_owned(),
        ..ClusterSettings::default()
    };
    converged(settings)
}

/// Clients that keep the routers busy with each other until they are dropped: so many that there is
/// always something for the routers to do, however quick these are and whoever shares the machine.
fn load(cluster: &mut Cluster) -> Vec<Client> {
    let (from, to) = (cluster.url("A").unwrap(), cluster.url("B").unwrap());
    let recv = ["recv", "--url", &to, "load", "--settled", "--body"];
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = Client::start(&recv);
        discard(&mut client);
        clients.push(client);
    }
    cluster.wait_address("load", PATIENCE).unwrap();
    let count = u32::MAX.to_string();
    let send = ["send", "--url", &from, "load", "x", "--settled", "--count"];
    for _ in 0..8 {
        clients.push(Client::start(&[&send[..], &[&count]].concat()));
    }
    clients
}

/// Reads what a client says, for nobody.
fn discard(client: &mut Client) {
    let mut output = client.0.stdout.take().unwrap();
    let reader = move || std::io::copy(&mut output, &mut std::io::sink());
    drop(thread::Builder::new().spawn(reader).unwrap());
}

/// Waits until a router has so many connections to the other one.
fn wait_connections(cluster: &mut Cluster, count: usize) {
    let mut looks = 0;
    loop {
        let found = ["A", "B"].map(|name| {
            let report = cluster.report(name).unwrap();
            let counts = report.connections.into_values();
            counts.sum::<usize>()
        });
        if found == [count; 2] {
            return;
        }
        assert!(LOOK * looks < 2 * PATIENCE, "{found:?} connections");
        looks += 1;
        thread::sleep(LOOK);
    }
}

/// Sends numbered lines; what became of them, in the words of the command.
fn send_lines(url: String, name: &'static str, count: u32) -> thread::JoinHandle<String> {
    let work = move || {
        let send = ["send", "--url", &url, "lines", "--file", "-", "--lines"];
        let mut client = Client::start(&send);
        let mut input = client.0.stdin.take().unwrap();
        for number in 0..count {
            // Who stops reading says why.
            if writeln!(input, "{name} {number}").is_err() {
                break;
            }
        }
        drop(input);
        let mut said = String::new();
        let outputs: [Box<dyn std::io::Read>; 2] = [
            Box::new(client.0.stdout.take().unwrap()),
            Box::new(client.0.stderr.take().unwrap()),
        ];
        for mut output in outputs {
            output.read_to_string(&mut said).unwrap();
        }
        said
    };
    thread::Builder::new().spawn(work).unwrap()
}

/// What a client says, line by line, as fast as it does.
fn read_lines(client: &mut Client) -> mpsc::Receiver<String> {
    let output = BufReader::new(client.0.stdout.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    let reader = move || {
        let mut lines = output.lines().map_while(Result::ok);
        lines.all(|line| sender.send(line).is_ok())
    };
    drop(thread::Builder::new().spawn(reader).unwrap());
    receiver
}

fn line(lines: &mpsc::Receiver<String>) -> String {
    lines.recv_timeout(PATIENCE).unwrap()
}

/// How many of the messages had an outcome of that name.
fn outcome(said: &str, name: &str) -> u32 {
    let summary = said.lines().find(|line| line.starts_with("sent "));
    let parts = summary.unwrap_or_else(|| panic!("no summary: {said}"));
    let parts = parts.split(": ").nth(1).unwrap().split(", ");
    let counts = parts.filter_map(|part| part.strip_suffix(name)?.trim().parse::<u32>().ok());
    counts.sum()
}

fn a_busy_trunk_gets_a_connection_and_its_loss_loses_nothing(wires: Wires) {
    const COUNT: u32 = 20_000;
    /// As many as a sender has credit for.
    const IN_FLIGHT: u32 = 250;
    let mut cluster = routers(wires, "");
    wait_connections(&mut cluster, 1);
    let clients = load(&mut cluster);
    wait_connections(&mut cluster, 2);
    drop(clients);

    let to = cluster.url("B").unwrap();
    let mut receiver = Client::start(&["recv", "--url", &to, "lines", "--body"]);
    let lines = read_lines(&mut receiver);
    cluster.wait_address("lines", PATIENCE).unwrap();
    let from = cluster.url("A").unwrap();
    let senders = ["one", "two", "three"].map(|name| send_lines(from.clone(), name, COUNT));
    let mut received: Vec<String> = (0..1000).map(|_| line(&lines)).collect();
    cluster.break_connection("A", "B", 0).unwrap();
    let said = senders.map(|sender| sender.join().unwrap());
    let accepted: u32 = said.iter().map(|said| outcome(said, "accepted")).sum();
    let modified: u32 = said.iter().map(|said| outcome(said, "modified")).sum();
    assert_eq!(accepted + modified, 3 * COUNT, "{said:#?}");
    while received.len() < accepted as usize {
        received.push(line(&lines));
    }
    for name in ["one", "two", "three"] {
        let of = received.iter().filter_map(|line| line.strip_prefix(name));
        let numbers: Vec<u32> = of.map(|text| text.trim().parse().unwrap()).collect();
        // What was on its way when the connection broke finds its way anew; of that, and of nothing
        // else, some may be overtaken.
        let mut seen = std::collections::BTreeSet::new();
        let (mut last, mut overtaken) = (0, Vec::new());
        for &number in &numbers {
            assert!(seen.insert(number), "{name} {number} came twice");
            if number < last {
                overtaken.push(number);
            }
            last = last.max(number);
        }
        if let (Some(first), Some(end)) = (overtaken.iter().min(), overtaken.iter().max()) {
            assert!(end - first < IN_FLIGHT, "{name}: {overtaken:?}");
        }
    }
    cluster.wait_converged(PATIENCE).unwrap();
}

#[test]
fn a_trunk_that_falls_silent_has_one_connection_again() {
    let mut cluster = routers(Wires::Sockets, "");
    let clients = load(&mut cluster);
    wait_connections(&mut cluster, 2);
    drop(clients);
    wait_connections(&mut cluster, 1);
    cluster.wait_converged(PATIENCE).unwrap();
}

#[test]
fn a_trunk_of_one_connection_stays_so() {
    let mut cluster = routers(Wires::Sockets, "trunkConnections: 1");
    let clients = load(&mut cluster);
    let passed = |cluster: &mut Cluster| {
        let report = cluster.report("A").unwrap();
        report
            .addresses
            .get("load")
            .map_or(0, |load| load.passed_on)
    };
    let mut looks = 0;
    while passed(&mut cluster) < 50_000 {
        assert!(LOOK * looks < PATIENCE, "nothing moves");
        looks += 1;
        thread::sleep(LOOK);
    }
    wait_connections(&mut cluster, 1);
    drop(clients);
}
