//! Management over sockets: by which addresses it answers, whom it lets change something, and what
//! the log says of it.

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{Map, Value};
use management::client::{Query, Response};
use serde_json::Value as Json;

use crate::harness::{Router, configuration};
use crate::threats::manager::Manager;
use crate::threats::peer::Peer;

/// A request for the types, with whatever stands in `to`.
fn ask_for_types(manager: &mut Manager, to: Option<&str>, correlation: Value) -> Response {
    let mut asked = Map::new();
    asked.push("operation", "get-types");
    let properties = Properties {
        to: to.map(|to| to.to_owned().into()),
        correlation_id: Some(correlation),
        ..manager.properties()
    };
    let request = MessageBuilder::new()
        .properties(properties)
        .application_properties(asked)
        .build();
    manager.ask(&request)
}

#[test]
fn management_answers_by_every_address_and_echoes_what_it_was_asked_with() {
    let router = Router::start_with(
        "router {\n mode: interior\n id: Tested\n}\nlistener {\n host: 127.0.0.1\n port: 0\n}\n",
        &["--workers", "2"],
    );
    let addresses = [
        "$management",
        "/$management",
        "amqp:/$management",
        "amqp://somewhere:5672/$management",
        "_local/$management",
        "_topo/0/Tested/$management",
        "_topo/all/Tested/$management",
        "_local/$_management_internal",
        "_topo/0/Tested/$_management_internal",
        "amqp:/_topo/0/Tested/$management",
    ];
    let correlations = [
        Value::from("text"),
        Value::Ulong(7),
        Value::Binary(vec![0, 255].into()),
        Value::Uuid([9; 16]),
    ];
    let mut anonymous = Manager::start_by(router.port, "");
    for address in addresses {
        let mut manager = Manager::start_by(router.port, address);
        for correlation in &correlations {
            let response = ask_for_types(&mut manager, None, correlation.clone());
            assert_eq!(response.status, 200, "{address}");
            assert_eq!(response.correlation_id.as_ref(), Some(correlation));
        }
        let response = ask_for_types(&mut anonymous, Some(address), Value::from("c"));
        assert_eq!(response.status, 200, "{address}");
    }
}

#[test]
fn only_one_listener_lets_its_peers_change_something() {
    let mut router = Router::start(
        "listener {\n name: public\n host: 127.0.0.1\n port: 0\n managementAccess: read\n}\n",
    );
    let public = router.next_port();
    let asked = [("type", "org.apache.qpid.dispatch.router.config.address")];
    let attributes = [("prefix", "new")];
    let mut reader = Manager::start_at(public);
    let refused = reader.response("CREATE", &asked, &attributes);
    assert_eq!(refused.status, 403);
    let text = "peers of 'public': ask at a listener whose managementAccess is full";
    assert!(refused.description.ends_with(text), "{refused:?}");
    reader.answers();
    assert!(
        reader
            .query(Query::new("router.config.address", ["prefix"], None))
            .is_empty()
    );
    // A link that names no address does not help, whichever listener it is attached at.
    for port in [public, router.port] {
        let mut anonymous = Manager::start_by(port, "");
        let response = ask_for_types(&mut anonymous, Some("$management"), Value::from("c"));
        assert_eq!(response.status, 200);
        let mut properties = Map::new();
        properties.push("operation", "CREATE");
        properties.push("type", "router.config.address");
        let request = MessageBuilder::new()
            .properties(Properties {
                to: Some("$management".into()),
                ..anonymous.properties()
            })
            .application_properties(properties)
            .build();
        assert_eq!(anonymous.ask(&request).status, 403);
    }
    let mut admin = Manager::start_at(router.port);
    assert_eq!(admin.change("CREATE", &asked, &attributes), 201);
    router.wait_for(
        "AGENT (info) Done: CREATE type=org.apache.qpid.dispatch.router.config.address by ",
    );
}

#[test]
fn a_log_in_json_has_an_object_a_line_with_connection_and_link() {
    let text = configuration("log {\n module: ROUTER_CORE\n enable: info+\n}\n");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_causeway"));
    command.args(["run", "--log-format", "json", "--workers", "1"]);
    let mut router = Router::start_unheard(command, &text);
    let line = router.wait_for("Listening on ");
    let listening: Json = serde_json::from_str(&line).unwrap();
    let said = listening["text"].as_str().unwrap();
    router.port = said
        .rsplit([':', ' '])
        .find_map(|part| part.parse().ok())
        .unwrap();
    assert_eq!(
        (&listening["module"], &listening["level"]),
        (&"SERVER".into(), &"notice".into())
    );
    let mut peer = Peer::producing(&router, "$management");
    peer.is_alive();
    let attached: Json = serde_json::from_str(&router.wait_for("Link attached")).unwrap();
    assert_eq!(attached["connection"], 1);
    assert!(attached["link"].is_u64(), "{attached}");
    assert_eq!(attached["module"], "ROUTER_CORE");
    assert!(
        attached["time"].as_str().unwrap().ends_with('Z'),
        "{attached}"
    );
    for line in &router.log {
        let line: Json =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["text"].is_string() && line["level"].is_string());
    }
}

#[test]
fn nobody_writes_lines_into_the_log_by_the_name_of_a_link() {
    let mut router = Router::start("");
    let peer = Peer::consuming(&router, "q\nSERVER (critical) Shutting down", 1);
    drop(peer);
    let line = router.wait_for("Link attached");
    assert!(
        line.contains("q\\nSERVER (critical) Shutting down"),
        "{line}"
    );
}

#[test]
fn one_connection_is_traced_on_demand() {
    let mut router = Router::start("");
    let mut peer = Peer::begun(&router);
    let mut other = Peer::begun(&router);
    let mut manager = Manager::start(&router);
    let asked = [
        ("type", "org.apache.qpid.dispatch.connection"),
        ("identity", "1"),
    ];
    let traced = |on: &'static str| [("enableProtocolTrace", on)];
    // Each worker obeys before it answers a question that comes later.
    let obeyed = |manager: &mut Manager| {
        let all = Query::new("org.apache.qpid.dispatch.connection", ["identity"], None);
        assert_eq!(manager.query(all).len(), 3);
    };
    assert_eq!(manager.change("UPDATE", &asked, &traced("yes")), 200);
    obeyed(&mut manager);
    other.is_alive();
    peer.is_alive();
    let line = router.wait_for("PROTOCOL (trace)");
    assert!(line.contains("[C1]:FRAME: "), "{line}");
    // A trace of all leaves out whom an administrator wants left out.
    let log = [("type", "log"), ("identity", "log/PROTOCOL")];
    assert_eq!(manager.change("UPDATE", &log, &[("enable", "trace+")]), 200);
    assert_eq!(manager.change("UPDATE", &asked, &traced("no")), 200);
    obeyed(&mut manager);
    other.is_alive();
    router.wait_for("[C2]:FRAME: ");
    let before = router.log.len();
    peer.is_alive();
    other.is_alive();
    manager.answers();
    router.wait_for("[C2]:FRAME: ");
    let of_peer = |line: &&String| line.contains("[C1]:FRAME: ");
    assert_eq!(router.log[before..].iter().find(of_peer), None);
}
