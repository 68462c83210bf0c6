//! Several routers in one process: what a program that starts them can rely on.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use causeway::{Cluster, ClusterError, ClusterSettings, LinkState, Wires};

use crate::harness::{CAUSEWAY, PATIENCE, Port, client, converged, on_both_wires};

on_both_wires! {
    a_router_comes_back_where_it_was,
    messages_cross_a_line_until_a_router_of_it_is_killed,
    large_messages_of_a_sender_arrive_in_the_order_in_which_they_were_sent,
    a_cut_link_is_gone_round_and_a_healed_one_taken_again,
    the_cheaper_way_is_taken_and_new_routers_find_it,
    routers_that_do_not_know_each_other_in_time_are_named,
    a_mesh_tells_what_to_try_and_what_becomes_of_it,
}

fn alone() -> ClusterSettings {
    ClusterSettings {
        routers: 1,
        ..ClusterSettings::default()
    }
}

/// Passes messages from clients of one router to clients of another: by an address that was there
/// before, perhaps elsewhere, and by one of which no router has heard. Each arrives where it
/// should.
fn pass(cluster: &mut Cluster, from: &str, to: &str) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let addresses = ["q".to_owned(), format!("new.{number}")];
    let (there, here) = (cluster.url(to).unwrap(), cluster.url(from).unwrap());
    let receivers = addresses
        .each_ref()
        .map(|address| client(&["recv", "--url", &there, address, "-n", "1"]));
    for address in &addresses {
        cluster.wait_address(address, PATIENCE).unwrap();
    }
    for (address, receiver) in addresses.iter().zip(receivers) {
        let body = format!("{number} from {from} to {to} by {address}");
        let sent = client(&["send", "--url", &here, address, &body]).wait_with_output();
        let said = String::from_utf8(sent.as_ref().unwrap().stderr.clone()).unwrap();
        assert!(sent.unwrap().status.success(), "{body}: {said}");
        let received = receiver.wait_with_output().unwrap();
        let received = String::from_utf8(received.stdout).unwrap();
        assert_eq!(received, format!("{body}\n"));
    }
}

#[test]
fn a_cluster_that_cannot_be_says_why() {
    let refused = |settings| Cluster::start(settings).unwrap_err().to_string();
    let many = ClusterSettings {
        routers: 1000,
        ..ClusterSettings::default()
    };
    assert_eq!(
        refused(many),
        "a cluster of 1000 routers cannot be: 1 to 64 can"
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let at = |first_port| ClusterSettings {
        first_port: Some(first_port),
        ..alone()
    };
    assert_eq!(
        refused(at(port)),
        format!("router A cannot listen on port {port}: Address already in use")
    );
    let odd = ClusterSettings {
        sections: "listener {\n prot: 1\n}\n".to_owned(),
        ..alone()
    };
    let said = refused(odd);
    assert!(
        said.starts_with("router A could not start: A.conf:"),
        "{said}"
    );
    assert!(said.contains("Unknown attribute 'prot'"), "{said}");
}

fn a_router_comes_back_where_it_was(wires: Wires) {
    let mut cluster = converged(ClusterSettings { wires, ..alone() });
    pass(&mut cluster, "A", "A");
    let place = cluster.address("A").unwrap();
    cluster.kill("A").unwrap();
    assert_eq!(cluster.is_running("A"), Ok(false));
    assert_eq!(
        cluster.kill("A"),
        Err(ClusterError::NotRunning("A".to_owned()))
    );
    // It does not listen any more, else this could not be had.
    let held = Port::at(place);
    assert!(TcpStream::connect(place).is_err());
    cluster.restart("A").unwrap();
    drop(held);
    assert_eq!(
        cluster.restart("A"),
        Err(ClusterError::Running("A".to_owned()))
    );
    assert_eq!(cluster.address("A"), Ok(place));
    pass(&mut cluster, "A", "A");
    let rows = cluster.log("A", 100).unwrap();
    assert!(rows.iter().any(|row| row.text == "Container Name: A"));
}

#[test]
fn a_pipe_is_shown_by_the_router_at_its_other_end() {
    let mut cluster = linked(Wires::Pipes, 2, "line");
    let asked = |cluster: &Cluster, router, what| {
        let url = cluster.url(router).unwrap();
        let output = client(&["stat", what, "--url", &url]).wait_with_output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let connectors = asked(&cluster, "B", "connectors");
    let connector = connectors.lines().find(|line| line.contains("A:pipe"));
    assert!(connector.unwrap().contains("SUCCESS"), "{connectors}");
    let connections = asked(&cluster, "A", "connections");
    assert!(connections.contains("B:pipe"), "{connections}");
    let said = |cluster: &Cluster, router: &str, words: &str| {
        let rows = cluster.log(router, 1000).unwrap();
        rows.iter().any(|row| row.text.contains(words))
    };
    for words in [
        "Listening on A:pipe",
        "Accepted connection to routers from B:pipe",
    ] {
        assert!(said(&cluster, "A", words), "{words}");
    }
    assert!(!said(&cluster, "A", "Left open: listener A:pipe"));
    cluster.cut("A", "B").unwrap();
    cluster.wait_converged(PATIENCE).unwrap();
    assert!(said(&cluster, "B", "Connection to A:pipe failed: "));
    let connectors = asked(&cluster, "B", "connectors");
    assert!(connectors.contains("CONNECTING"), "{connectors}");
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let mut cluster = Cluster::start(alone()).unwrap();
    let said = cluster.kill("B").unwrap_err().to_string();
    assert_eq!(said, "there is no router `B`, only A");
    let said = cluster.cut("A", "B").unwrap_err().to_string();
    assert_eq!(said, "there is no link A-B, nor any other");
    let said = cluster.add("A", &[]).unwrap_err().to_string();
    assert_eq!(said, "there is a router `A` already");
    let said = cluster.add("B", &[("C", 1)]).unwrap_err().to_string();
    assert_eq!(said, "there is no router `C`, only A, B");
}

fn linked(wires: Wires, routers: usize, topology: &str) -> Cluster {
    let settings = ClusterSettings {
        routers,
        topology: topology.parse().unwrap(),
        wires,
        ..ClusterSettings::default()
    };
    converged(settings)
}

fn messages_cross_a_line_until_a_router_of_it_is_killed(wires: Wires) {
    let mut cluster = linked(wires, 3, "line");
    pass(&mut cluster, "A", "C");
    pass(&mut cluster, "C", "A");
    cluster.kill("B").unwrap();
    cluster.wait_converged(PATIENCE).unwrap();
    assert_eq!(cluster.report("A").unwrap().routers, []);
    cluster.restart("B").unwrap();
    cluster.wait_converged(PATIENCE).unwrap();
    pass(&mut cluster, "A", "C");
}

fn large_messages_of_a_sender_arrive_in_the_order_in_which_they_were_sent(wires: Wires) {
    let mut cluster = linked(wires, 2, "line");
    let to = cluster.url("B").unwrap();
    let receiver = client(&["recv", "--url", &to, "large", "-n", "60"]);
    cluster.wait_address("large", PATIENCE).unwrap();
    let from = cluster.url("A").unwrap();
    let sizes = [400_000, 200_000, 700_000];
    let body = |number: usize| "_".repeat(sizes[number % 3]);
    let messages = (0..60).map(|number| format!("{number}{}\n", body(number)));
    let text: String = messages.collect();
    let name = format!("causeway-large-{wires:?}-{}.txt", std::process::id());
    let file = std::env::temp_dir().join(name);
    fs::write(&file, &text).unwrap();
    let path = file.to_str().unwrap();
    let sender = client(&["send", "--url", &from, "large", "--file", path, "--lines"]);
    let received = receiver.wait_with_output().unwrap();
    let sent = sender.wait_with_output().unwrap();
    fs::remove_file(&file).unwrap();
    assert!(
        sent.status.success(),
        "{}",
        String::from_utf8_lossy(&sent.stderr)
    );
    let numbers = |text: &str| -> Vec<String> {
        let lines = text.lines();
        let number = |line: &str| line.split('_').next().unwrap_or_default().to_owned();
        lines.map(number).collect()
    };
    let received = String::from_utf8(received.stdout).unwrap();
    assert_eq!(numbers(&received), numbers(&text));
    assert!(received == text, "bytes differ");
}

fn a_cut_link_is_gone_round_and_a_healed_one_taken_again(wires: Wires) {
    let mut cluster = linked(wires, 3, "ring");
    let way = |cluster: &mut Cluster| {
        let ways = cluster.report("A").unwrap().routers;
        let to_c = ways.into_iter().find(|way| way.to == "C");
        to_c.map(|way| (way.next, way.cost))
    };
    assert_eq!(way(&mut cluster), Some((None, 1)));
    for state in [LinkState::Cut, LinkState::Frozen] {
        cluster.set_link("A", "C", state).unwrap();
        cluster.wait_converged(PATIENCE).unwrap();
        assert_eq!(way(&mut cluster), Some((Some("B".to_owned()), 2)));
        pass(&mut cluster, "A", "C");
        cluster.heal("C", "A").unwrap();
        cluster.wait_converged(PATIENCE).unwrap();
        assert_eq!(way(&mut cluster), Some((None, 1)));
        pass(&mut cluster, "A", "C");
    }
}

fn the_cheaper_way_is_taken_and_new_routers_find_it(wires: Wires) {
    let mut cluster = linked(wires, 3, "A-B,B-C:2,A-C:9");
    cluster.add("D", &[("C", 3)]).unwrap();
    cluster.wait_converged(PATIENCE).unwrap();
    let mut ways = cluster.report("A").unwrap().routers;
    ways.sort_by_key(|way| way.cost);
    let ways: Vec<_> = ways
        .iter()
        .map(|way| (way.to.as_str(), way.next.as_deref(), way.cost))
        .collect();
    let expected = [("B", None, 1), ("C", Some("B"), 3), ("D", Some("B"), 6)];
    assert_eq!(ways, expected);
    pass(&mut cluster, "D", "A");
}

fn routers_that_do_not_know_each_other_in_time_are_named(wires: Wires) {
    let mut cluster = linked(wires, 2, "line");
    cluster.set_link("A", "B", LinkState::Frozen).unwrap();
    let error = cluster.wait_converged(Duration::ZERO).unwrap_err();
    assert_eq!(
        error.to_string(),
        "after 0 ms the routers do not know each other as they should: A still knows B; B still \
         knows A"
    );
}

/// `causeway mesh` as a process that reads commands and tells in lines.
struct Mesh {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Mesh {
    fn start(wires: Wires) -> Self {
        let option = match wires {
            Wires::Sockets => None,
            Wires::Pipes => Some("--pipes"),
        };
        // The ports after a free one are free, too, unless somebody is faster.
        loop {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let mut command = Command::new(CAUSEWAY);
            command.args(["mesh", "--topology", "line", "--port", &port.to_string()]);
            command.args(option);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.stderr(Stdio::null()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut mesh = Self { child, lines };
            if mesh.lines.next().is_some() {
                return mesh;
            }
        }
    }

    fn wait_for(&mut self, words: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(words)).unwrap()
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn a_mesh_tells_what_to_try_and_what_becomes_of_it(wires: Wires) {
    let mut mesh = Mesh::start(wires);
    let tried: Vec<String> = [" recv ", " send "]
        .into_iter()
        .map(|verb| mesh.wait_for(verb))
        .collect();
    mesh.wait_for("every router knows all");
    let words = |line: &String| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (recv, send) = (words(&tried[0]), words(&tried[1]));
    let receiver = Command::new(&recv[0])
        .args(&recv[1..])
        .args(["-n", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let sent = Command::new(&send[0]).args(&send[1..]).status().unwrap();
    assert!(sent.success());
    assert_eq!(receiver.wait_with_output().unwrap().stdout, b"hello\n");
    mesh.say("kill b");
    mesh.wait_for("killed B");
    mesh.wait_for("router B: killed");
    mesh.say("jump");
    mesh.wait_for("`jump` is no command");
    mesh.say("start B");
    mesh.wait_for("every router knows all");
    mesh.say("cut A-B");
    mesh.wait_for("link A-B: cut");
    mesh.say("quit");
    assert!(mesh.child.wait().unwrap().success());
}
