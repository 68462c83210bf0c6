//! The end of a router in good order: what it waits for, and what it says.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use causeway::{ClusterSettings, End, Readiness, Topology};

use crate::harness::{
    CAUSEWAY, PATIENCE, Router, client, configuration, contains, converged, read_to_end, signal,
    start_inside,
};
use crate::threats::exchange::wait_until;
use crate::threats::manager::Manager;
use crate::threats::peer::{Peer, message, open};

/// A configuration whose router waits so long.
fn patient(seconds: u32) -> String {
    let text = configuration("");
    text.replacen(
        "router {\n",
        &format!("router {{\n drainSeconds: {seconds}\n"),
        1,
    )
}

/// A consumer with one delivery that it has not settled, and who sent that.
pub(crate) fn unsettled(port: u16) -> (Peer, Peer, u32) {
    unsettled_at(port, "q")
}

fn unsettled_at(port: u16, address: &str) -> (Peer, Peer, u32) {
    let mut consumer = Peer::opened_at(port, open());
    consumer.begin(0);
    consumer.consume(0, address, 1);
    let mut producer = Peer::opened_at(port, open());
    producer.begin(0);
    producer.produce(0, address);
    producer.deliver(0, 0, &message(10));
    let (id, _) = consumer.message();
    (consumer, producer, id)
}

#[test]
fn a_router_that_is_drained_says_so_and_ends() {
    let mut router = Router::start("");
    let mut stream = router.open();
    let output = router.run(&["drain", "--seconds", "30"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(said, "draining, for at most 30 s\nthe router has ended\n");
    assert!(contains(
        &read_to_end(&mut stream),
        b"amqp:connection:forced"
    ));
    assert_eq!(router.wait().code(), Some(0));
    let log = router.log.join("\n");
    assert!(log.contains("Draining: nobody new is let in"), "{log}");
    assert!(log.contains(": nothing is in flight"), "{log}");
}

#[test]
fn what_is_in_flight_is_waited_for() {
    let mut router = Router::start_with(&patient(60), &["--workers", "2"]);
    let (mut consumer, _producer, id) = unsettled(router.port);
    router.signal("TERM");
    let line = router.wait_for("Draining: ");
    assert!(
        line.contains("1 delivery in flight may take 60 s"),
        "{line}"
    );
    assert!(std::net::TcpStream::connect(("127.0.0.1", router.port)).is_err());
    consumer.accept(id);
    router.wait_for("Drained in ");
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn a_consumer_that_never_settles_is_waited_for_no_longer_than_was_said() {
    let mut router = Router::start_with(&patient(1), &["--workers", "2"]);
    let (_consumer, _producer, _) = unsettled(router.port);
    router.signal("TERM");
    let line = router.wait_for("Not drained after ");
    assert!(
        line.contains("1 delivery in flight left unsettled"),
        "{line}"
    );
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn a_second_signal_waits_for_nothing() {
    let mut router = Router::start_with(&patient(86_400), &["--workers", "2"]);
    let (_consumer, _producer, _) = unsettled(router.port);
    router.signal("TERM");
    router.wait_for("Draining: ");
    router.signal("TERM");
    router.wait_for("nothing is waited for");
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn a_second_drain_shortens_the_wait_and_who_asked_is_in_the_log() {
    let mut router = Router::start_with(&patient(60), &["--workers", "2"]);
    let (_consumer, _producer, _) = unsettled(router.port);
    let mut manager = Manager::start(&router);
    for (seconds, words) in [
        (3600, "Draining: "),
        (7200, "what is in flight may take 3"),
        (1, "what is in flight may take 1 s"),
    ] {
        assert_eq!(manager.drain(seconds), 200);
        router.wait_for(words);
        let done = router.wait_for("Done: DRAIN");
        assert!(done.contains("by connection [C"), "{done}");
    }
    router.wait_for("Not drained after ");
    assert_eq!(router.wait().code(), Some(0));
}

#[test]
fn who_stops_waiting_for_a_drain_is_not_told_that_it_failed() {
    let mut router = Router::start_with(&patient(60), &["--workers", "2"]);
    let (_consumer, _producer, _) = unsettled(router.port);
    let url = format!("amqp://127.0.0.1:{}", router.port);
    let asking = client(&["drain", "--seconds", "3600", "--url", &url]);
    router.wait_for("Draining: ");
    signal(asking.id(), "INT");
    let output = asking.wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("stopped") && !said.contains("closed"),
        "{said}"
    );
}

#[test]
fn whoever_deals_clients_to_routers_sees_that_this_one_leaves() {
    let (router, _log) = start_inside(&patient(86_400), 1);
    let handle = router.handle();
    assert_eq!(handle.readiness(), Readiness::Ready);
    let port = router.listening()[0].address.port();
    let (consumer, producer, _) = unsettled(port);
    handle.stop();
    wait_until("it drains", || handle.readiness() == Readiness::Draining);
    handle.stop();
    assert_eq!(router.wait(), End::Stopped);
    assert_eq!(handle.readiness(), Readiness::Ended);
    drop((consumer, producer));
}

/// Whether a router knows of another that it has receivers of an address.
fn receives(url: &str, key: &str, other: &str) -> bool {
    let kind = "--type=org.apache.qpid.dispatch.router.address";
    let mut asking = Command::new(CAUSEWAY);
    asking.args(["manage", "read", kind, "--url", url, "--identity", key]);
    let output = asking.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let row: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let routers = row["remoteHostRouters"].as_array().unwrap();
    routers.iter().any(|router| router == other)
}

#[test]
fn in_a_network_others_take_what_a_leaving_router_would_have_had() {
    let mut cluster = converged(ClusterSettings {
        routers: 3,
        topology: Topology::Ring,
        router_attributes: " drainSeconds: 60\n".to_owned(),
        ..ClusterSettings::default()
    });
    let url = |cluster: &causeway::Cluster, name: &str| cluster.url(name).unwrap();
    let [a, b, c] = ["A", "B", "C"].map(|name| url(&cluster, name));
    let (at_b, at_c) = (format!("{b}/q"), format!("{c}/q"));
    let leaving = client(&["recv", "--body", &at_b]);
    let mut staying = client(&["recv", "--body", &at_c]);
    cluster.wait_address("q", PATIENCE).unwrap();
    // Something is in flight at B until the end.
    let place = cluster.address("B").unwrap().port();
    let (mut consumer, _producer, id) = unsettled_at(place, "held");
    let target = format!("{a}/q");
    let mut sender = Command::new(CAUSEWAY);
    sender.args(["send", &target, "--file", "-", "--lines"]);
    let mut sender = sender.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = sender.stdin.take().unwrap();
    let mut draining = client(&["drain", "--url", &b]);
    let is_draining = |cluster: &causeway::Cluster| {
        let log = cluster.log("B", 50).unwrap();
        log.iter().any(|row| row.text.starts_with("Draining"))
    };
    wait_until("B drains", || is_draining(&cluster));
    let mut send = |number: u32| {
        writeln!(input, "{number}").unwrap();
        thread::sleep(Duration::from_millis(1));
    };
    (0..200).for_each(&mut send);
    wait_until("A knows", || !receives(&a, "M0q", "B"));
    (200..300).for_each(&mut send);
    consumer.accept(id);
    assert!(draining.wait().unwrap().success());
    drop(input);
    assert!(
        sender.wait().unwrap().success(),
        "every message was accepted by somebody"
    );
    // What a client has been given it has written before it is accepted.
    staying.kill().unwrap();
    let bodies = |child: Child| {
        let output = child.wait_with_output().unwrap().stdout;
        let text = String::from_utf8_lossy(&output).into_owned();
        let numbers = text.lines().map(|line| line.parse::<u32>().unwrap());
        numbers.collect::<Vec<_>>()
    };
    let (there, here) = (bodies(leaving), bodies(staying));
    let late = there.iter().filter(|number| **number >= 200);
    assert_eq!(
        late.count(),
        0,
        "nothing goes there once it is known: {there:?}"
    );
    let mut all: Vec<u32> = there.into_iter().chain(here).collect();
    all.sort_unstable();
    assert_eq!(all, (0..300).collect::<Vec<_>>());
    assert!(!cluster.is_running("B").unwrap());
}
