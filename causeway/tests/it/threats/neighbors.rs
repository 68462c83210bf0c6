//! Who speaks for routers: neighbours by connections of role inter-router, and nobody else.

use std::process::Command;

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{DeliveryState, Map, Performative, Role, Source, Str, Symbol, Target, Value};
use management::client::Query;

use super::manager::Manager;
use super::peer::{Peer, attach, flow_of_link, open, told, transfer};
use crate::harness::{CAUSEWAY, Router};

/// The capabilities of links between routers.
const CAPABILITIES: [&str; 2] = ["qd.router", "qd.router-data"];

/// What routers tell each other comes to these.
const OWN_ADDRESSES: [&str; 5] = [
    "_local/qdhello",
    "_topo/0/A/qdrouter",
    "_topo/0/A/qdrouter.ma",
    "_topo/0/all/qdrouter",
    "_topo/0/all/qdrouter.ma",
];

/// An interior router with a listener for clients, and more.
fn interior(id: &str, more: &str) -> Router {
    let text = format!(
        "router {{\n mode: interior\n id: {id}\n}}\nlistener {{\n host: 127.0.0.1\n port: 0\n}}\n\
         {more}"
    );
    Router::start_with(&text, &["--workers", "2"])
}

const FOR_ROUTERS: &str =
    "listener {\n name: routers\n host: 127.0.0.1\n port: 0\n role: inter-router\n}\n";

fn connector(port: u16) -> String {
    format!("connector {{\n host: 127.0.0.1\n port: {port}\n role: inter-router\n}}\n")
}

/// A message of the routing protocol.
fn control(to: &str, opcode: &'static str, body: Vec<(&'static str, Value)>) -> Vec<u8> {
    let properties = Properties {
        to: Some(Str::copy(to)),
        ..Properties::default()
    };
    let mut application_properties = Map::new();
    application_properties.push("opcode", opcode);
    let mut map = Map::new();
    for (name, value) in body {
        map.push(name, value);
    }
    let builder = MessageBuilder::new().properties(properties);
    let builder = builder.application_properties(application_properties);
    builder.value(Value::Map(map)).build().to_vec()
}

/// The fields that each of them begins with.
fn from_router(id: &str, version: i32) -> Vec<(&'static str, Value)> {
    vec![
        ("id", Value::from(id.to_owned())),
        ("pv", Value::Int(version)),
        ("area", Value::from("0")),
        ("instance", Value::Int(100)),
    ]
}

fn hello(to: &str, version: i32) -> Vec<u8> {
    let mut body = from_router("X", version);
    body.push(("seen", Value::List(vec![Value::from("A")])));
    control(to, "HELLO", body)
}

fn terminus(capability: Option<&'static str>, address: Option<&str>) -> (Source, Target) {
    let capabilities: Vec<Symbol> = capability.into_iter().map(Symbol::from).collect();
    let source = Source {
        address: address.map(Str::copy),
        capabilities: capabilities.clone(),
        ..Source::default()
    };
    let target = Target {
        address: address.map(Str::copy),
        capabilities,
        ..Target::default()
    };
    (source, target)
}

/// A peer that has the links of the routing protocol: a consumer's, and a producer's by handle 1.
fn neighbor(port: u16) -> Peer {
    let mut peer = Peer::opened_at(port, open());
    peer.begin(0);
    let (source, target) = terminus(Some(CAPABILITIES[0]), None);
    for (handle, role) in [(0, Role::Receiver), (1, Role::Sender)] {
        let attach = attach(handle, role, source.clone(), target.clone());
        peer.send(0, &Performative::Attach(Box::new(attach)));
        peer.until(|performative| matches!(performative, Performative::Attach(_)));
    }
    peer.send(0, &flow_of_link(0, 0, 100));
    peer
}

/// The routers of the network, as one of them tells.
fn nodes(router: &Router) -> Vec<String> {
    let mut manager = Manager::start(router);
    let rows = manager.query(Query::new(
        "org.apache.qpid.dispatch.router.node",
        ["id"],
        None,
    ));
    let ids = rows
        .iter()
        .map(|row| row[0].as_str().unwrap_or_default().to_owned());
    ids.collect()
}

#[test]
fn class_14_clients_cannot_speak_as_routers() {
    let mut a = interior("A", FOR_ROUTERS);
    let place = a.next_port();
    let mut b = interior("B", &connector(place));
    a.wait_for("Neighbor Router Found: B");
    a.wait_for("Computed next hops: {'B': 'B'}");
    b.wait_for("Neighbor Router Found: A");

    let mut client = Peer::begun(&a);
    let mut handle = 0;
    let mut refused = |client: &mut Peer, role, terminus: (Source, Target)| {
        let attach = attach(handle, role, terminus.0, terminus.1);
        client.send(0, &Performative::Attach(Box::new(attach)));
        assert_eq!(client.told(), told("detach", "qd:forbidden"));
        handle += 1;
    };
    for role in [Role::Sender, Role::Receiver] {
        for capability in CAPABILITIES {
            refused(&mut client, role, terminus(Some(capability), None));
        }
        for address in OWN_ADDRESSES {
            refused(&mut client, role, terminus(None, Some(address)));
        }
    }

    let mut forger = Peer::begun(&a);
    forger.produce(0, "");
    let elsewhere = ["_topo/0/B/qdrouter", "_topo/0/B/qdrouter.ma"];
    let mut id = 0;
    for to in OWN_ADDRESSES.into_iter().chain(elsewhere) {
        let mut advertisement = from_router("X", 1);
        advertisement.push(("ls_seq", Value::Long(1)));
        advertisement.push(("mobile_seq", Value::Long(1)));
        for message in [hello(to, 1), control(to, "RA", advertisement)] {
            forger.deliver(0, id, &message);
            let (_, disposition, _) =
                forger.until(|performative| matches!(performative, Performative::Disposition(_)));
            let Performative::Disposition(disposition) = disposition else {
                panic!("{disposition:?}");
            };
            assert_eq!(disposition.state, Some(DeliveryState::Released), "{to}");
            id += 1;
        }
    }
    assert_eq!(nodes(&a), ["A", "B"]);
    assert_eq!(nodes(&b), ["A", "B"]);
    client.is_alive();
    forger.is_alive();
}

#[test]
fn class_14_a_router_with_the_id_of_its_neighbor_is_refused_by_both() {
    let mut first = interior("Twin", FOR_ROUTERS);
    let place = first.next_port();
    let mut second = interior("Twin", &connector(place));
    let words = "ROUTER_HELLO (critical) [C";
    for router in [&mut first, &mut second] {
        let line = router.wait_for(words);
        assert!(
            line.contains("Detected Neighbor Router with a Duplicate ID - Twin"),
            "{line}"
        );
        assert!(line.contains("another id in its router section"), "{line}");
    }
    let url = format!("amqp://127.0.0.1:{}", second.port);
    let shown = Command::new(CAUSEWAY)
        .args(["stat", "connectors", "--url", &url])
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("router id 'Twin' is that of the router it connects to"),
        "{shown}"
    );
    assert_eq!(nodes(&first), ["Twin"]);
}

#[test]
fn class_14_a_router_that_claims_its_neighbors_id_is_told_and_ignored() {
    let mut router = interior("A", FOR_ROUTERS);
    let place = router.next_port();
    let mut peer = neighbor(place);
    let mut namesake = from_router("A", 1);
    namesake.push(("seen", Value::List(vec![Value::from("A")])));
    let namesake = control("_local/qdhello", "HELLO", namesake);
    peer.deliver_as(&transfer(1, 0), &namesake);
    let line = router.wait_for("ROUTER_HELLO (critical) [C");
    assert!(line.contains("Duplicate ID - A"), "{line}");
    peer.vanish();
    assert_eq!(nodes(&router), ["A"]);
}

#[test]
fn class_14_a_version_that_is_not_spoken_is_told_with_who_and_where() {
    let mut router = interior("A", FOR_ROUTERS);
    let place = router.next_port();
    let mut peer = neighbor(place);
    peer.deliver_as(&transfer(1, 0), &hello("_local/qdhello", 2));
    let line = router.wait_for("at protocol version 2 from X. Ignoring");
    assert!(line.contains("ROUTER (warning) [C"), "{line}");
    assert!(line.contains("speaks version 1"), "{line}");
    peer.is_alive();
    assert_eq!(nodes(&router), ["A"]);
}

#[test]
fn class_14_a_neighbor_has_one_pair_of_links_for_the_routing_protocol() {
    let mut router = interior("A", FOR_ROUTERS);
    let place = router.next_port();
    let mut peer = neighbor(place);
    let (source, target) = terminus(Some(CAPABILITIES[0]), None);
    for (handle, role) in [(2, Role::Receiver), (3, Role::Sender)] {
        let more = attach(handle, role, source.clone(), target.clone());
        peer.send(0, &Performative::Attach(Box::new(more)));
        let refused = ("detach", "amqp:resource-limit-exceeded".to_owned());
        assert_eq!(peer.told(), refused);
    }
    // The first pair is as good as before.
    peer.deliver_as(&transfer(1, 0), &hello("_local/qdhello", 2));
    router.wait_for("at protocol version 2 from X. Ignoring");
}
