//! Several routers in one process: what a program that starts them can rely on.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use causeway::{Cluster, ClusterError, ClusterSettings};

use crate::harness::CAUSEWAY;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn alone() -> ClusterSettings {
    ClusterSettings {
        routers: 1,
        ..ClusterSettings::default()
    }
}

fn causeway(arguments: &[&str]) -> Child {
    let mut command = Command::new(CAUSEWAY);
    command.args(arguments).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// Passes a message from a client of one router to a client of another.
fn pass(cluster: &Cluster, from: &str, to: &str, address: &str) {
    let receiver = causeway(&[
        "recv",
        "--url",
        &cluster.url(to).unwrap(),
        address,
        "-n",
        "1",
    ]);
    let sender = causeway(&[
        "send",
        "--url",
        &cluster.url(from).unwrap(),
        address,
        "hello",
    ]);
    let sent = sender.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&sent.stderr);
    assert!(sent.status.success(), "{from} to {to}: {said}");
    let received = receiver.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&received.stdout), "hello\n");
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

#[test]
fn a_router_comes_back_where_it_was() {
    let mut cluster = Cluster::start(alone()).unwrap();
    cluster.wait_converged(PATIENCE).unwrap();
    pass(&cluster, "A", "A", "q");
    let place = cluster.address("A").unwrap();
    cluster.kill("A").unwrap();
    assert_eq!(cluster.is_running("A"), Ok(false));
    assert_eq!(
        cluster.kill("A"),
        Err(ClusterError::NotRunning("A".to_owned()))
    );
    let refused = TcpListener::bind(place);
    assert!(refused.is_ok(), "the killed router still listens");
    drop(refused);
    cluster.restart("A").unwrap();
    assert_eq!(
        cluster.restart("A"),
        Err(ClusterError::Running("A".to_owned()))
    );
    assert_eq!(cluster.address("A"), Ok(place));
    pass(&cluster, "A", "A", "q");
    let rows = cluster.log("A", 100).unwrap();
    assert!(rows.iter().any(|row| row.text == "Container Name: A"));
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
