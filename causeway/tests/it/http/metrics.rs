//! What is scraped, and that it is what happened.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::probe::{Scene, value};
use crate::harness::CAUSEWAY;

/// The metrics of Qpid Dispatch 1.19.0, as monitoring systems know them.
const INCUMBENT: &[(&str, &str)] = &[
    ("qdr_connections_total", "gauge"),
    ("qdr_links_total", "gauge"),
    ("qdr_addresses_total", "gauge"),
    ("qdr_routers_total", "gauge"),
    ("qdr_link_routes_total", "gauge"),
    ("qdr_auto_links_total", "gauge"),
    ("qdr_presettled_deliveries_total", "counter"),
    ("qdr_dropped_presettled_deliveries_total", "counter"),
    ("qdr_accepted_deliveries_total", "counter"),
    ("qdr_released_deliveries_total", "counter"),
    ("qdr_rejected_deliveries_total", "counter"),
    ("qdr_modified_deliveries_total", "counter"),
    ("qdr_deliveries_ingress_total", "counter"),
    ("qdr_deliveries_egress_total", "counter"),
    ("qdr_deliveries_transit_total", "counter"),
    ("qdr_deliveries_ingress_route_container_total", "counter"),
    ("qdr_deliveries_egress_route_container_total", "counter"),
    ("qdr_deliveries_delayed_1sec_total", "counter"),
    ("qdr_deliveries_delayed_10sec_total", "counter"),
    ("qdr_deliveries_stuck_total", "gauge"),
    ("qdr_links_blocked_total", "gauge"),
    ("qdr_deliveries_redirected_to_fallback_total", "counter"),
];

#[test]
fn the_metrics_of_the_incumbent_are_there_in_its_order() {
    let scene = Scene::start("", "");
    let answer = scene.get("/metrics");
    assert_eq!(answer.code, 200);
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    let types = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE qdr_"));
    let types: Vec<_> = types.map(|line| format!("qdr_{line}")).collect();
    let expected: Vec<_> = INCUMBENT
        .iter()
        .map(|(name, kind)| format!("{name} {kind}"))
        .collect();
    assert_eq!(types, expected);
    // Both of this router's links to itself, if any, are no clients'.
    assert_eq!(value(&answer.body, "qdr_connections_total"), Some(0.0));
}

#[test]
fn each_series_has_its_metric_s_type_and_help_once() {
    let scene = Scene::start("addressSeriesMax: 100\n connectionSeriesMax: 100", "");
    pass(&scene, "orders", 1);
    let text = scene.get("/metrics").body;
    let (mut types, mut helps) = (BTreeSet::new(), BTreeSet::new());
    let mut series = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "TYPE", name, _] => assert!(types.insert(name.to_owned()), "{line}"),
            ["#", "HELP", name, _] => assert!(helps.insert(name.to_owned()), "{line}"),
            _ => {
                let name = line.rsplit_once(' ').unwrap().0;
                assert!(series.insert(name.to_owned()), "twice: {line}");
                let name = name.split('{').next().unwrap();
                let ends = ["", "_bucket", "_sum", "_count"];
                let mut bases = ends.iter().filter_map(|end| name.strip_suffix(end));
                assert!(bases.any(|base| types.contains(base)), "{line}");
            }
        }
    }
    assert_eq!(types, helps);
    assert!(text.ends_with('\n'));
}

/// Sends messages to an address by which they are received.
fn pass(scene: &Scene, address: &str, count: usize) {
    let url = format!("amqp://{}/{address}", scene.place("amqp"));
    let mut receiver = Command::new(CAUSEWAY);
    receiver.args(["recv", "--body", "-n", &count.to_string(), &url]);
    let mut receiver = receiver.stdout(Stdio::null()).spawn().unwrap();
    let mut sender = Command::new(CAUSEWAY);
    let sender = sender.args(["send", &url]).args(vec!["x"; count]);
    assert!(sender.status().unwrap().success());
    assert!(receiver.wait().unwrap().success());
}

#[test]
fn messages_are_counted_and_their_time_is_measured() {
    let scene = Scene::start("", "");
    pass(&scene, "orders", 5);
    // Outcomes are counted when the record of a delivery is given up.
    while scene.metric("qdr_accepted_deliveries_total") != Some(5.0) {
        std::thread::yield_now();
    }
    let text = scene.get("/metrics").body;
    assert_eq!(value(&text, "qdr_deliveries_ingress_total"), Some(5.0));
    assert_eq!(value(&text, "qdr_deliveries_egress_total"), Some(5.0));
    assert_eq!(value(&text, "causeway_delivery_seconds_count"), Some(5.0));
    let last = "causeway_delivery_seconds_bucket{le=\"+Inf\"}";
    assert_eq!(value(&text, last), Some(5.0));
    assert!(value(&text, "causeway_worker_busy_seconds_total{worker=\"0\"}").is_some());
    assert!(value(&text, "causeway_delivery_seconds_sum").unwrap() < 60.0);
}

#[test]
fn addresses_and_connections_have_series_only_where_they_are_asked_for() {
    let plain = Scene::start("", "");
    pass(&plain, "orders", 1);
    let text = plain.get("/metrics").body;
    assert!(!text.contains("causeway_address") && !text.contains("causeway_connection_links"));

    let scene = Scene::start("addressSeriesMax: 2\n connectionSeriesMax: 1", "");
    // Somebody who stays: an address that nobody wants is forgotten.
    let url = format!("amqp://{}/a", scene.place("amqp"));
    let mut receiver = Command::new(CAUSEWAY);
    receiver
        .args(["recv", "-n", "4", &url])
        .stdout(Stdio::null());
    let mut receiver = receiver.spawn().unwrap();
    let mut sender = Command::new(CAUSEWAY);
    let sent = sender.args(["send", &url, "1", "2", "3"]).status().unwrap();
    assert!(sent.success());
    let text = scene.get("/metrics").body;
    let of = |name: &str| value(&text, &format!("{name}{{address=\"a\",phase=\"0\"}}"));
    assert_eq!(of("causeway_address_deliveries_ingress_total"), Some(3.0));
    assert_eq!(of("causeway_address_deliveries_egress_total"), Some(3.0));
    assert_eq!(of("causeway_address_receivers"), Some(1.0));
    assert_eq!(value(&text, "causeway_address_series_omitted"), Some(0.0));
    receiver.kill().unwrap();
    receiver.wait().unwrap();
}

#[test]
fn more_than_was_asked_for_is_left_out_and_counted() {
    let scene = Scene::start("addressSeriesMax: 2\n connectionSeriesMax: 1", "");
    let receivers: Vec<_> = ["a", "b", "c"]
        .iter()
        .map(|address| {
            let url = format!("amqp://{}/{address}", scene.place("amqp"));
            let mut receiver = Command::new(CAUSEWAY);
            receiver.args(["recv", "-n", "1", &url]);
            receiver.stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let text = loop {
        let text = scene.get("/metrics").body;
        if value(&text, "causeway_address_series_omitted") == Some(1.0)
            && value(&text, "causeway_connection_series_omitted") == Some(2.0)
        {
            break text;
        }
    };
    let addresses = text.lines();
    let addresses = addresses.filter(|line| line.starts_with("causeway_address_receivers{"));
    assert_eq!(addresses.count(), 2);
    let links = text.lines();
    let links = links.filter(|line| line.starts_with("causeway_connection_links{"));
    // Both ways of the one.
    assert_eq!(links.count(), 2);
    for mut receiver in receivers {
        receiver.kill().unwrap();
        receiver.wait().unwrap();
    }
}
