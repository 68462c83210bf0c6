//! Routers that connect to each other, seen from their management.
//!
//! What must come is waited for; how soon it comes is nobody's business here.

use std::thread;
use std::time::Duration;

use causeway::Router;
use causeway::cli::client::ConnectOptions;
use causeway::cli::manager::Manager;
use causeway::log::{Level, Levels, LogSettings, Module, Output, Row};
use management::client::Table;
use serde_json::Value as Json;

use crate::harness::{PATIENCE, Port, start_inside};
use crate::threats::manager::Manager as Asking;
use crate::threats::peer::{Peer, message, open};

/// How often it is looked whether something has come.
const LOOK: Duration = Duration::from_millis(20);

/// Starts an interior router with a listener for clients on a free port, and more.
fn start(id: &str, more: &str) -> Router {
    let text = format!(
        "router {{\n mode: interior\n id: {id}\n}}\nlistener {{\n name: clients\n \
         host: localhost\n port: 0\n}}\n{more}"
    );
    let (router, _) = start_inside(&text, 2);
    assert!(router.has_started());
    router
}

/// A listener for other routers.
fn listener(port: u16) -> String {
    format!(
        "listener {{\n name: routers\n host: 127.0.0.1\n port: {port}\n role: inter-router\n \
         cost: 5\n}}\n"
    )
}

fn connector(host: &str, port: u16) -> String {
    format!("connector {{\n name: up\n host: {host}\n port: {port}\n role: inter-router\n}}\n")
}

fn port(router: &Router, name: &str) -> u16 {
    let mut listening = router.listening().iter();
    let found = listening.find(|listening| listening.name == name);
    found.unwrap().address.port()
}

/// The rows of a type, as its management tells them.
fn rows(router: &Router, entity_type: &str) -> Vec<Json> {
    let url = format!("amqp://localhost:{}", port(router, "clients"));
    let options = ConnectOptions::to(url.parse().unwrap());
    let mut manager = Manager::connect(&options, None, PATIENCE).unwrap();
    let full = format!("org.apache.qpid.dispatch.{entity_type}");
    let Table { columns, rows } = manager.query(&full, None).unwrap();
    manager.close();
    let row = |values: Vec<_>| {
        let values = values.iter().map(causeway::cli::json::from_amqp);
        columns.iter().cloned().zip(values).collect()
    };
    rows.into_iter().map(row).map(Json::Object).collect()
}

/// Waits until a row is as it should be; that row.
fn wait_for(router: &Router, entity_type: &str, is_it: impl Fn(&Json) -> bool) -> Json {
    let mut looks = PATIENCE.as_millis() / LOOK.as_millis();
    loop {
        let rows = rows(router, entity_type);
        if let Some(row) = rows.iter().find(|row| is_it(row)) {
            return row.clone();
        }
        assert!(looks > 0, "{rows:#?}");
        looks -= 1;
        thread::sleep(LOOK);
    }
}

fn is_open_to(row: &Json, container: &str) -> bool {
    row["container"] == container && row["opened"] == true
}

#[test]
fn what_routers_say_to_each_other_is_traced_where_that_is_asked_for() {
    let of = |id: &str, more: &str| {
        let text = format!("router {{\n mode: interior\n id: {id}\n}}\n{more}");
        start_inside(&text, 1)
    };
    let (above, quiet) = of("Above", &listener(0));
    let place = port(&above, "routers");
    let (_below, log) = of("Below", &connector("127.0.0.1", place));
    let mut settings = LogSettings::default();
    settings.module_mut(Module::Default).output = Some(Output::named("/dev/null"));
    settings.module_mut(Module::RouterHello).levels = Some(Levels::from(Level::Trace));
    log.configure(&settings).unwrap();
    let wanted = [
        ("SENT: HELLO(id=Below pv=1 area=0 inst=", "seen=['Above'])"),
        ("RCVD: HELLO(id=Above pv=1 area=0 inst=", "seen=['Below'])"),
    ];
    for (begins, ends) in wanted {
        let is_it = |row: &Row| {
            let text = &row.text;
            row.module == Module::RouterHello && text.starts_with(begins) && text.ends_with(ends)
        };
        let mut looks = PATIENCE.as_millis() / LOOK.as_millis();
        while !log.recent(1000).iter().any(is_it) {
            assert!(looks > 0, "{begins}");
            looks -= 1;
            thread::sleep(LOOK);
        }
    }
    let is_traced = |row: &Row| row.level == Level::Trace;
    assert!(!quiet.recent(1000).iter().any(is_traced));
    let is_other = |row: &Row| is_traced(row) && row.module != Module::RouterHello;
    assert!(!log.recent(1000).iter().any(is_other));
}

#[test]
fn two_routers_know_of_their_connection() {
    let above = start("Above", &listener(0));
    let place = port(&above, "routers");
    let below = start("Below", &connector("127.0.0.1", place));
    let row = wait_for(&below, "connection", |row| is_open_to(row, "Above"));
    assert_eq!(
        (&row["dir"], &row["role"]),
        (&"out".into(), &"inter-router".into())
    );
    assert_eq!(row["host"], format!("127.0.0.1:{place}"));
    assert_eq!(row["sasl"], "ANONYMOUS");
    assert_eq!(row["properties"]["qd.inter-router-cost"], 5);
    assert_eq!(row["properties"]["qd.annotations-version"], 1);
    let number = row["identity"].as_str().unwrap().to_owned();
    let row = wait_for(&above, "connection", |row| is_open_to(row, "Below"));
    assert_eq!(
        (&row["dir"], &row["role"]),
        (&"in".into(), &"inter-router".into())
    );
    assert_eq!(row["properties"]["qd.conn-id"].to_string(), number);
    let row = &rows(&below, "connector")[0];
    assert_eq!(row["connectionStatus"], "SUCCESS");
    assert_eq!(row["failoverUrls"], format!("amqp://127.0.0.1:{place}"));
    let said = row["connectionMsg"].as_str().unwrap();
    let begins = format!("[C{number}] Connection Opened: dir=out host=127.0.0.1:{place} ");
    assert!(said.starts_with(&begins), "{said}");
    assert!(said.ends_with("container_id=Above"), "{said}");
}

#[test]
fn a_router_that_comes_back_is_found_again() {
    let held = Port::new();
    let place = held.number();
    let above = start("Above", &listener(place));
    let below = start("Below", &connector("localhost", place));
    let first = wait_for(&below, "connection", |row| is_open_to(row, "Above"));
    above.handle().kill();
    drop(above);
    let refused = wait_for(&below, "connector", |row| {
        let said = row["connectionMsg"].as_str().unwrap_or_default();
        row["connectionStatus"] == "CONNECTING" && said.contains("Connection refused")
    });
    let said = refused["connectionMsg"].as_str().unwrap();
    let expected = format!("Connection to localhost:{place} failed: proton:io ");
    assert!(said.contains(&expected), "{said}");
    let above = start("Again", &listener(place));
    let second = wait_for(&below, "connection", |row| is_open_to(row, "Again"));
    assert_ne!(first["identity"], second["identity"]);
    wait_for(&above, "connection", |row| is_open_to(row, "Below"));
    wait_for(&below, "connector", |row| {
        row["connectionStatus"] == "SUCCESS"
    });
}

/// A name that no server can be asked about: between two dots there is always something.
const NO_NAME: &str = "no..such.host";

#[test]
fn a_name_that_nobody_knows_is_tried_again_and_again() {
    let router = start("Alone", &connector(NO_NAME, 5672));
    let failed =
        |row: &Json| row["connectionStatus"] == "CONNECTING" && row["connectionMsg"].is_string();
    let row = wait_for(&router, "connector", failed);
    let said = row["connectionMsg"].clone();
    let text = said.as_str().unwrap();
    assert!(
        text.contains("Connection to no..such.host:5672 failed: proton:io "),
        "{text}"
    );
    assert!(text.ends_with(" - connect to no..such.host:5672"), "{text}");
    wait_for(&router, "connector", |row| {
        failed(row) && row["connectionMsg"] != said
    });
}

#[test]
fn a_connector_goes_on_to_a_server_that_its_peer_has_named() {
    let second = start("Second", &listener(0));
    let (other, named) = (port(&second, "routers"), "  failoverUrls: 127.0.0.1:");
    let first = start(
        "First",
        &listener(0).replace("}", &format!("{named}{other}\n}}")),
    );
    let place = port(&first, "routers");
    let below = start("Below", &connector("127.0.0.1", place));
    let servers = format!("amqp://127.0.0.1:{place}, amqp://127.0.0.1:{other}");
    wait_for(&below, "connector", |row| row["failoverUrls"] == servers);
    first.handle().kill();
    wait_for(&below, "connection", |row| is_open_to(row, "Second"));
    let row = &rows(&below, "connector")[0];
    assert_eq!(row["connectionStatus"], "SUCCESS");
}

/// A client with a session.
fn client(router: &Router) -> Peer {
    let mut peer = Peer::opened_at(port(router, "clients"), open());
    peer.begin(0);
    peer
}

#[test]
fn a_connector_made_by_management_joins_a_network_and_leaves_it_when_deleted() {
    let above = start("Above", &listener(0));
    let below = start("Below", "");
    let place = port(&above, "routers").to_string();
    let mut manager = Asking::start_at(port(&below, "clients"));
    let connector = [
        ("name", "up"),
        ("host", "127.0.0.1"),
        ("port", &place),
        ("role", "inter-router"),
        ("cost", "7"),
    ];
    let asked = [("type", "connector"), ("name", "up")];
    for address in ["once", "again"] {
        assert_eq!(manager.change("CREATE", &asked, &connector), 201);
        for (here, there) in [(&above, "Below"), (&below, "Above")] {
            let is_near = |row: &Json| row["id"] == there && row["cost"] == 7;
            wait_for(here, "router.node", is_near);
        }
        let (mut consumer, mut producer) = (client(&above), client(&below));
        consumer.consume(0, address, 1);
        producer.produce(0, address);
        producer.deliver(0, 0, &message(10));
        assert_eq!(consumer.message().1, message(10));
        assert_eq!(manager.change("DELETE", &asked, &[]), 204);
        for (here, there) in [(&above, "Below"), (&below, "Above")] {
            let is_far = |row: &Json| row["id"] == there && row["cost"].is_null();
            wait_for(here, "router.node", is_far);
        }
        assert!(rows(&below, "connector").is_empty());
        let to_above = |row: &Json| row["container"] == "Above";
        assert!(!rows(&below, "connection").iter().any(to_above));
    }
}

#[test]
fn what_is_under_way_to_another_router_is_shown_at_both() {
    let held = Port::new();
    let above = start("Above", &listener(held.number()));
    let below = start("Below", &connector("localhost", held.number()));
    let mut consumer = Peer::opened_at(port(&above, "clients"), open());
    consumer.begin(0);
    consumer.consume(0, "shared", 10);
    wait_for(&below, "router.address", |row| {
        row["name"] == "M0shared" && row["remoteCount"] == 1
    });
    // Only where there is a choice it counts who has how much.
    let mut other = Peer::opened_at(port(&below, "clients"), open());
    other.begin(0);
    other.consume(0, "shared", 100);
    wait_for(&below, "router.address", |row| {
        row["name"] == "M0shared" && row["subscriberCount"] == 1
    });
    let mut producer = Peer::opened_at(port(&below, "clients"), open());
    producer.begin(0);
    producer.produce(0, "shared");
    for number in 0..15 {
        producer.deliver(0, number, &message(10));
    }
    consumer.message();
    let sum = |list: &Json| {
        let numbers = list.as_array().into_iter().flatten();
        numbers.filter_map(Json::as_u64).sum::<u64>()
    };
    let at = |router: &Router, index: &str| {
        let of = wait_for(router, "router.node", |row| row["id"] == index);
        usize::try_from(of["index"].as_u64().unwrap()).unwrap()
    };
    let sent = wait_for(&below, "router.address", |row| {
        let here = row["trackedDeliveries"].as_u64().unwrap_or_default();
        row["name"] == "M0shared" && here + sum(&row["transitOutstanding"]) == 15
    });
    let count = sent["transitOutstanding"][at(&below, "Above")].clone();
    assert!(count.as_u64().is_some_and(|count| count > 0), "{sent}");
    assert_eq!(Some(sum(&sent["transitOutstanding"])), count.as_u64());
    wait_for(&above, "router.address", |row| {
        row["name"] == "M0shared" && row["trackedDeliveries"] == count
    });
    let below_there = at(&above, "Below");
    wait_for(&above, "router.link", |row| {
        let histogram = &row["ingressHistogram"];
        row["owningAddr"] == "M0shared"
            && histogram[below_there] == count
            && Some(sum(histogram)) == count.as_u64()
    });
}

#[test]
fn a_restricted_router_is_not_changed_by_way_of_another() {
    let held = Port::new();
    let more = format!(
        "{}listener {{\n name: public\n host: localhost\n port: 0\n managementAccess: read\n}}\n",
        listener(held.number())
    );
    let above = start("Above", &more);
    let below = start("Below", &connector("localhost", held.number()));
    wait_for(&below, "router.node", |row| row["id"] == "Above");
    let asked = [("type", "org.apache.qpid.dispatch.router.config.address")];
    let attributes = [("prefix", "new")];
    let address = "_topo/0/Above/$management";
    let mut afar = Asking::start_by(port(&below, "clients"), address);
    let refused = afar.response("CREATE", &asked, &attributes);
    assert_eq!(refused.status, 403);
    assert!(
        refused.description.contains("by way of another router"),
        "{refused:?}"
    );
    afar.answers();
    // Who is not restricted is asked by all.
    let mut afar = Asking::start_by(port(&above, "public"), "_topo/0/Below/$management");
    assert_eq!(afar.change("CREATE", &asked, &attributes), 201);
    let mut here = Asking::start_by(port(&above, "clients"), "$management");
    assert_eq!(here.change("CREATE", &asked, &attributes), 201);
}
