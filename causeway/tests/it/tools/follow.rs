//! `causeway trace` and `causeway top`: tools that work out what a router does not say itself.

use std::process::Child;

use causeway::{Cluster, ClusterSettings, Topology};
use serde_json::Value as Json;

use super::{err, out, run, run_at};
use crate::harness::{PATIENCE, Router, client, converged};

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

fn line(routers: usize) -> Cluster {
    let settings = ClusterSettings {
        routers,
        topology: Topology::Line,
        ..ClusterSettings::default()
    };
    converged(settings)
}

fn trace(url: &str, address: &str) -> (Option<i32>, Json) {
    let traced = run_at(
        "causeway",
        url,
        &[
            "trace",
            address,
            "--url",
            "URL",
            "--json",
            "--timeout",
            "2s",
        ],
    );
    let json = serde_json::from_slice(&traced.stdout);
    let json = json.unwrap_or_else(|error| panic!("{error}: {}{}", out(&traced), err(&traced)));
    (traced.status.code(), json)
}

#[test]
fn an_address_is_followed_through_the_network() {
    let mut cluster = line(3);
    let (a, c) = (cluster.url("A").unwrap(), cluster.url("C").unwrap());
    let (status, nobody) = trace(&a, "orders");
    assert_eq!((status, &nobody["flows"]), (Some(3), &false.into()));
    assert_eq!(nobody["reasons"][0], "no consumer anywhere");
    let _receiver = Client::start(&["recv", "--url", &c, "orders"]);
    cluster.wait_address("orders", PATIENCE).unwrap();
    let (status, found) = trace(&a, "orders");
    assert_eq!(
        (status, &found["flows"]),
        (Some(0), &true.into()),
        "{found}"
    );
    let consumer = &found["consumers"][0];
    assert_eq!(consumer["router"], "C", "{found}");
    let container = consumer["container"].as_str().unwrap();
    assert!(container.starts_with("causeway-recv-"), "{found}");
    assert!(consumer["credit"].as_u64().unwrap() > 0, "{found}");
    let reason = found["reasons"][0].as_str().unwrap();
    assert!(
        reason.contains("a message to router A would reach consumer"),
        "{reason}"
    );
    let text = run_at("causeway", &a, &["trace", "orders", "--url", "URL"]);
    let text = out(&text);
    for words in [
        "Address orders",
        "Consumers\n",
        "Between routers\n",
        "It flows:",
    ] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    // Asked from its own router, the way is none.
    let (status, near) = trace(&c, "orders");
    assert_eq!(status, Some(0), "{near}");
    let reason = near["reasons"][0].as_str().unwrap();
    assert!(
        reason.contains("a message to router C would reach consumer"),
        "{reason}"
    );
}

#[test]
fn a_router_in_between_that_is_gone_is_named() {
    let mut cluster = line(3);
    let (a, c) = (cluster.url("A").unwrap(), cluster.url("C").unwrap());
    let _receiver = Client::start(&["recv", "--url", &c, "orders"]);
    cluster.wait_address("orders", PATIENCE).unwrap();
    cluster.kill("B").unwrap();
    // As long as the loss is not known, nor is what is attached there; then nobody is left.
    for _ in 0..3 {
        let (status, lost) = trace(&a, "orders");
        let reasons = lost["reasons"].to_string();
        match status {
            Some(1) => {
                assert_eq!(lost["flows"], Json::Null, "{lost}");
                assert!(reasons.contains("cannot be reached"), "{reasons}");
            }
            status => {
                assert_eq!((status, &lost["flows"]), (Some(3), &false.into()), "{lost}");
                assert!(reasons.contains("no consumer anywhere"), "{reasons}");
            }
        }
        assert_eq!(lost["routers"][0]["id"], "A", "{lost}");
    }
    let all = [
        "stat",
        "--all-routers",
        "--json",
        "--timeout",
        "1s",
        "--url",
        "URL",
    ];
    let stated = run_at("causeway", &a, &all);
    let stated: Json = serde_json::from_slice(&stated.stdout).unwrap();
    assert_eq!(stated["A"][0]["id"], "A", "{stated}");
}

#[test]
fn an_address_that_nobody_may_attach_to_is_told() {
    let router = Router::start("address {\n prefix: secret\n distribution: unavailable\n}\n");
    let traced = run("causeway", &router, &["trace", "secret.a", "--url", "URL"]);
    assert_eq!(traced.status.code(), Some(3), "{}", out(&traced));
    let text = out(&traced);
    assert!(
        text.contains("configured as unavailable at router Tested"),
        "{text}"
    );
}

#[test]
fn a_link_route_whose_container_is_not_there_is_named() {
    let route = "linkRoute {\n prefix: queue\n direction: in\n containerId: broker\n}\n\
        linkRoute {\n prefix: queue\n direction: out\n containerId: broker\n}\n";
    let router = Router::start(route);
    let traced = run("causeway", &router, &["trace", "queue.a", "--url", "URL"]);
    assert_eq!(traced.status.code(), Some(3), "{}", out(&traced));
    let text = out(&traced);
    assert!(
        text.contains("links of receivers are refused: link route queue at router Tested"),
        "{text}"
    );
}

#[test]
fn rates_are_shown_round_by_round() {
    let router = Router::start("");
    let url = format!("amqp://127.0.0.1:{}", router.port);
    let count = u32::MAX.to_string();
    let _receiver = Client::start(&["recv", "--url", &url, "busy"]);
    let _sender = Client::start(&["send", "--url", &url, "busy", "x", "--count", &count]);
    let is_busy = |of: &Json| of[0]["deliveriesIngress"].as_u64() > Some(0);
    let stat = ["stat", "-g", "--json", "--url", "URL"];
    while !is_busy(&super::json(&run("causeway", &router, &stat))) {}
    for (view, heads, rate) in [
        ("connections", "conn container host in/s out/s unsett", 3),
        (
            "links",
            "link conn dir address msg/s undel unsett cred blkd",
            4,
        ),
        ("addresses", "address phs in/s out/s thru/s local remote", 2),
        ("routers", "router in/s out/s thru/s conns links addrs", 1),
    ] {
        let shown = run(
            "causeway",
            &router,
            &[
                "top", view, "--batch", "-n", "2", "-i", "200ms", "--url", "URL",
            ],
        );
        assert!(shown.status.success(), "{}", err(&shown));
        let text = out(&shown);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains(&format!(": {view}, by ")), "{text}");
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(words.join(" "), heads);
        assert_eq!(
            text.lines().filter(|line| *line == lines[1]).count(),
            2,
            "{text}"
        );
        // The busiest comes first and has a rate: a round before was there to compare with.
        let busiest = lines[2].split_whitespace().nth(rate).unwrap_or_default();
        assert!(
            busiest.starts_with(|first| ('1'..='9').contains(&first)),
            "{text}"
        );
    }
    let unknown = run(
        "causeway",
        &router,
        &["top", "--sort", "colour", "--url", "URL"],
    );
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        err(&unknown).contains("no column `colour`"),
        "{}",
        err(&unknown)
    );
}

#[test]
fn completions_and_pages_come_from_the_program() {
    let router = Router::start("");
    for (shell, words) in [
        ("bash", "_causeway()"),
        ("zsh", "#compdef causeway"),
        ("fish", "complete -c causeway"),
    ] {
        let script = run("causeway", &router, &["completions", shell]);
        assert!(out(&script).contains(words), "{shell}");
    }
    let script = run("causeway", &router, &["completions", "bash", "qdstat"]);
    assert!(out(&script).contains("_qdstat()"));
    let page = out(&run("causeway", &router, &["man", "trace"]));
    assert!(page.contains(".TH causeway-trace 1"), "{page}");
    let folder = crate::harness::Directory::new();
    let place = folder.path().to_str().unwrap();
    assert!(
        run("causeway", &router, &["man", "--out", place])
            .status
            .success()
    );
    for name in [
        "causeway.1",
        "causeway-stat.1",
        "causeway-manage.1",
        "causeway-top.1",
        "qdstat.1",
        "qdmanage.1",
        "qdrouterd.1",
    ] {
        let page = std::fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(page.contains("OPTIONS"), "{name}");
    }
    assert_eq!(
        run("causeway", &router, &["man", "nonsense"]).status.code(),
        Some(1)
    );
}
