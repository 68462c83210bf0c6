//! Neighbours that are lost while messages flow: by silence on a link, by a process that is stopped
//! or killed. Nothing that was accepted is lost, and every message has its outcome.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use causeway::{Cluster, ClusterSettings, LinkState, Wires};

use crate::harness::{CAUSEWAY, PATIENCE, Router, converged, on_both_wires};

on_both_wires! {
    a_link_that_swallows_everything_is_gone_round,
    a_link_that_is_cut_and_a_router_that_is_killed_are_gone_round,
}

/// Messages of a flow.
const MESSAGES: usize = 1500;

/// An address of which every message goes to the nearest consumer.
const ADDRESS: &str = "closest/flow";

const CLOSEST: &str = "address {\n prefix: closest\n distribution: closest\n}\n";

fn client(verb: &str, url: &str, options: &[&str]) -> Child {
    let mut command = Command::new(CAUSEWAY);
    command.args([verb, "--url", url, ADDRESS]).args(options);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends messages one after the other, makes trouble in between, and holds what the sender was told
/// against what the receiver got.
fn flow(from: &str, to: &str, trouble: impl FnOnce()) {
    let receiver = client("recv", to, &["--body", "--timeout", "8s"]);
    let options = ["--file", "-", "--lines", "--as", "text", "--timeout", "30s"];
    let mut sender = client("send", from, &options);
    let mut lines = sender.stdin.take().unwrap();
    let mut trouble = Some(trouble);
    for number in 0..MESSAGES {
        writeln!(lines, "{number}").unwrap();
        lines.flush().unwrap();
        thread::sleep(Duration::from_millis(1));
        if number == MESSAGES / 3
            && let Some(trouble) = trouble.take()
        {
            trouble();
        }
    }
    drop(lines);
    let sent = sender.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&sent.stderr) + String::from_utf8_lossy(&sent.stdout);
    let counts = outcomes(&said);
    let all: usize = counts.iter().map(|(count, _)| count).sum();
    assert!(!said.contains("without outcome"), "{said}");
    assert_eq!(all, MESSAGES, "{said}");
    let accepted = counts.iter().find(|(_, outcome)| outcome == "accepted");
    let accepted = accepted.map_or(0, |(count, _)| *count);
    assert!(
        accepted > MESSAGES * 2 / 3,
        "it went on after the trouble: {said}"
    );
    let received = receiver.wait_with_output().unwrap();
    let received = String::from_utf8_lossy(&received.stdout).into_owned();
    let distinct: BTreeSet<&str> = received.lines().collect();
    assert!(
        distinct.len() >= accepted,
        "{} came of {accepted} accepted",
        distinct.len()
    );
}

/// From `sent 3 messages to q: 2 accepted, 1 released`.
fn outcomes(said: &str) -> Vec<(usize, String)> {
    let (_, parts) = said.rsplit_once(": ").unwrap_or_default();
    let part = |part: &str| {
        let (count, outcome) = part.trim().split_once(' ')?;
        Some((count.parse().ok()?, outcome.trim().to_owned()))
    };
    parts.split(',').filter_map(part).collect()
}

fn triangle(wires: Wires) -> Cluster {
    let settings = ClusterSettings {
        topology: "A-B,B-C,A-C:5".parse().unwrap(),
        wires,
        router_attributes: "lossDetectionMilliseconds: 300".to_owned(),
        sections: CLOSEST.to_owned(),
        ..ClusterSettings::default()
    };
    converged(settings)
}

fn a_link_that_swallows_everything_is_gone_round(wires: Wires) {
    for ends in [["A", "B"], ["B", "C"]] {
        let mut cluster = triangle(wires);
        let (from, to) = (cluster.url("A").unwrap(), cluster.url("C").unwrap());
        flow(&from, &to, || {
            let [one, other] = ends;
            cluster.set_link(one, other, LinkState::Frozen).unwrap();
        });
        let rows = ends.map(|name| cluster.log(name, 1000).unwrap());
        let said = rows.iter().flatten();
        let silent = said.filter(|row| row.text.contains("has been silent for"));
        assert!(silent.count() >= 2, "both ends say why");
        let [one, other] = ends;
        cluster.heal(one, other).unwrap();
        cluster.wait_converged(PATIENCE).unwrap();
    }
}

fn a_link_that_is_cut_and_a_router_that_is_killed_are_gone_round(wires: Wires) {
    let mut cluster = triangle(wires);
    let (from, to) = (cluster.url("A").unwrap(), cluster.url("C").unwrap());
    flow(&from, &to, || cluster.cut("A", "B").unwrap());
    cluster.heal("A", "B").unwrap();
    cluster.wait_converged(PATIENCE).unwrap();
    flow(&from, &to, || cluster.kill("B").unwrap());
}

fn member(id: &str, sections: &str) -> Router {
    let text = format!(
        "router {{\n id: {id}\n mode: interior\n lossDetectionMilliseconds: 300\n}}\n\
         listener {{\n host: 127.0.0.1\n port: 0\n}}\n{CLOSEST}{sections}"
    );
    Router::start_with(&text, &["--workers", "1"])
}

fn connector(port: u16, cost: u32) -> String {
    format!(
        "connector {{\n host: 127.0.0.1\n port: {port}\n role: inter-router\n cost: {cost}\n}}\n"
    )
}

#[test]
fn a_router_that_is_stopped_is_gone_round_and_found_again() {
    let door = "listener {\n name: routers\n host: 127.0.0.1\n port: 0\n role: inter-router\n}\n";
    let mut transit = member("B", door);
    let to_transit = transit.next_port();
    let mut last = member("C", &(door.to_owned() + &connector(to_transit, 1)));
    let to_last = last.next_port();
    let mut first = member("A", &(connector(to_transit, 1) + &connector(to_last, 5)));
    for _ in ["B", "C"] {
        first.wait_for("Neighbor Router Found: ");
    }
    let url = |router: &Router| format!("amqp://127.0.0.1:{}", router.port);
    let (from, to) = (url(&first), url(&last));
    flow(&from, &to, || transit.signal("STOP"));
    first.wait_for("router B has been silent for ");
    last.wait_for("router B has been silent for ");
    transit.signal("CONT");
    first.wait_for("Neighbor Router Found: B");
    last.wait_for("Neighbor Router Found: B");
    transit.pass("closest/after", "hello");
}
