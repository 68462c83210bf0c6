//! READ, UPDATE and paging of what only the running router has.

use std::time::Duration;

use amqp_codec::{Map, Value};
use router_core::ids::ConnectionId;
use router_core::inspect::{LinkRow, Subject};
use router_core::limits;
use router_core::mail::ConnectionCommand;

use crate::world::{World, connection, link};

fn body(entries: &[(&'static str, Value)]) -> Value {
    Value::Map(entries.iter().cloned().collect::<Map>())
}

fn member<'a>(body: &'a Value, name: &str) -> &'a Value {
    body.as_map()
        .and_then(|map| map.get(name))
        .expect("a member")
}

#[test]
fn a_read_shows_all_columns_nulls_included() {
    let mut world = World::new();
    world.connections = vec![connection(1), connection(2)];
    let asked = [("type", "connection"), ("identity", "2")];
    let response = world.request("READ", &asked, Value::Null);
    assert_eq!((response.status, &*response.description), (200, "OK"));
    assert_eq!(response.body.as_map().map(Map::len), Some(26));
    assert_eq!(
        *member(&response.body, "host"),
        Value::from("127.0.0.1:40002")
    );
    assert_eq!(*member(&response.body, "tenant"), Value::Null);
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut world = World::new();
    for asked in [
        [("type", "connection"), ("identity", "9")],
        [("type", "router.link"), ("identity", "9")],
        [("type", "router.link"), ("name", "nobody")],
        [("type", "router.address"), ("name", "M0nobody")],
        [("type", "listener"), ("name", "nobody")],
    ] {
        assert_eq!(
            world.request("READ", &asked, Value::Null).status,
            404,
            "{asked:?}"
        );
    }
    let response = world.request(
        "READ",
        &[("type", "connection"), ("name", "x")],
        Value::Null,
    );
    assert_eq!(response.status, 400);
    assert_eq!(
        response.description,
        "Name not supported. Identity required"
    );
    let response = world.request("READ", &[("type", "router.link")], Value::Null);
    assert_eq!(
        (response.status, &*response.description),
        (400, "No name or identity provided")
    );
}

#[test]
fn an_address_is_read_by_its_key() {
    let mut world = World::new();
    let asked = [
        ("type", "org.apache.qpid.dispatch.router.address"),
        ("name", "L$management"),
    ];
    let response = world.request("READ", &asked, Value::Null);
    assert_eq!(response.status, 200);
    assert_eq!(
        *member(&response.body, "distribution"),
        Value::from("closest")
    );
}

#[test]
fn the_router_and_the_management_node_can_be_read() {
    let mut world = World::new();
    let response = world.request(
        "READ",
        &[("type", "router"), ("identity", "1")],
        Value::Null,
    );
    assert_eq!(*member(&response.body, "id"), Value::from("router"));
    let response = world.request("READ", &[("name", "self")], Value::Null);
    assert_eq!(*member(&response.body, "identity"), Value::from("self"));
}

#[test]
fn an_administrator_deletes_and_traces_connections() {
    let mut world = World::new();
    world.connections = vec![connection(4)];
    let asked = [("type", "connection"), ("identity", "4")];
    let response = world.request("UPDATE", &asked, body(&[("adminStatus", "deleted".into())]));
    assert_eq!(response.status, 200);
    assert_eq!(
        *member(&response.body, "operStatus"),
        Value::from("closing")
    );
    let traced = body(&[("enableProtocolTrace", "yes".into())]);
    let response = world.request("UPDATE", &asked, traced);
    assert_eq!(
        *member(&response.body, "enableProtocolTrace"),
        Value::Bool(true)
    );
    let id = ConnectionId(4);
    let expected = [
        (id, ConnectionCommand::Drop(None)),
        (id, ConnectionCommand::Trace(true)),
    ];
    assert_eq!(world.commands, expected);
}

#[test]
fn a_connection_between_routers_cannot_be_deleted() {
    let mut world = World::new();
    world.connections = vec![connection(4)];
    world.connections[0].role = "inter-router";
    let asked = [("type", "connection"), ("identity", "4")];
    let deleted = body(&[("adminStatus", "deleted".into())]);
    let response = world.request("UPDATE", &asked, deleted);
    let expected = "You are not allowed to perform this operation.";
    assert_eq!((response.status, &*response.description), (403, expected));
    assert_eq!(world.commands, []);
    let traced = body(&[("enableProtocolTrace", "yes".into())]);
    assert_eq!(world.request("UPDATE", &asked, traced).status, 200);
}

#[test]
fn an_update_of_a_connection_that_cannot_be_meant_commands_nothing() {
    let mut world = World::new();
    world.connections = vec![connection(4)];
    let deleted = || body(&[("adminStatus", "deleted".into())]);
    let unknown = [("type", "connection"), ("identity", "5")];
    assert_eq!(world.request("UPDATE", &unknown, deleted()).status, 400);
    let unnamed = [("type", "connection")];
    assert_eq!(world.request("UPDATE", &unnamed, deleted()).status, 400);
    let known = [("type", "connection"), ("identity", "4")];
    for wrong in [
        body(&[("adminStatus", "gone".into())]),
        body(&[("host", "x".into())]),
        body(&[]),
        Value::Null,
        Value::from("deleted"),
    ] {
        assert_eq!(
            world.request("UPDATE", &known, wrong.clone()).status,
            400,
            "{wrong}"
        );
    }
    assert_eq!(world.commands, []);
}

#[test]
fn an_update_of_a_link_shows_it_and_changes_nothing() {
    let mut world = World::new();
    world.links = vec![link(6)];
    let asked = [("type", "router.link"), ("identity", "6")];
    let enabled = body(&[("adminStatus", "enabled".into())]);
    let response = world.request("UPDATE", &asked, enabled.clone());
    assert_eq!(*member(&response.body, "linkName"), Value::from("link-6"));
    assert_eq!(world.request("UPDATE", &asked, body(&[])).status, 400);
    let unknown = [("type", "router.link"), ("identity", "7")];
    assert_eq!(world.request("UPDATE", &unknown, enabled).status, 404);
}

#[test]
fn pages_of_one_query_show_each_link_once_although_links_go_meanwhile() {
    let mut world = World::new();
    world.links = (1..=1200).map(link).collect();
    let page = |world: &mut World, offset: u64| {
        let properties = [
            ("entityType", Value::from("router.link")),
            ("offset", Value::Ulong(offset)),
            ("count", Value::from("500")),
        ];
        let names = body(&[("attributeNames", Value::List(vec!["identity".into()]))]);
        let call = world.client.call("QUERY", properties, names);
        let response = world.ask(call);
        member(&response.body, "results")
            .as_list()
            .expect("a list")
            .to_vec()
    };
    let mut seen = page(&mut world, 0);
    assert_eq!(seen.len(), 500);
    world.links.drain(..100);
    seen.extend(page(&mut world, 500));
    seen.extend(page(&mut world, 1000));
    let ids: Vec<_> = seen
        .iter()
        .filter_map(|row| row.as_list()?[0].as_str())
        .collect();
    let expected: Vec<_> = (1..=1200).map(|id: u64| id.to_string()).collect();
    assert_eq!(ids, expected);
    assert_eq!(world.asked, [Subject::Links], "the shards were asked once");
    world.now = world.now + Duration::from_secs(6);
    assert_eq!(
        page(&mut world, 1000).len(),
        100,
        "after a while the rows are fresh"
    );
}

#[test]
fn an_answer_is_bounded_in_bytes_and_says_how_to_ask() {
    let mut world = World::new();
    let named = |id| LinkRow {
        name: "x".repeat(4096).into(),
        address: Some("y".repeat(4096).into()),
        ..link(id)
    };
    world.links = (1..=1000).map(named).collect();
    let ask = |world: &mut World, count: Value| {
        let asked = [("entityType", "router.link".into()), ("count", count)];
        let call = world.client.call("QUERY", asked, Value::Null);
        world.ask(call)
    };
    let refused = ask(&mut world, Value::Null);
    assert_eq!(refused.status, 400);
    let most = refused
        .description
        .strip_prefix("Too many rows for one answer, ")
        .and_then(|text| text.strip_suffix(" fit: use 'offset' and 'count'"));
    let most: u64 = most.expect("a number").parse().expect("a number");
    assert!((500..700).contains(&most), "a client's page of 500 fits");
    assert_eq!(ask(&mut world, Value::Ulong(most)).status, 200);
    assert_eq!(ask(&mut world, Value::Ulong(most + 1)).status, 400);
    assert_eq!(world.query("router.link").rows.len(), 1000, "in pages");
}

#[test]
fn rows_beyond_what_may_be_kept_are_asked_for_anew() {
    let mut world = World::new();
    let page = |world: &mut World, offset: u64| {
        let asked = [
            ("entityType", Value::from("router.link")),
            ("offset", Value::Ulong(offset)),
            ("count", Value::Ulong(1)),
        ];
        let call = world.client.call("QUERY", asked, Value::Null);
        assert_eq!(world.ask(call).status, 200);
    };
    let large = limits::PAGES_BYTES / 2;
    for (name, asked) in [(large, 1), (limits::PAGES_BYTES, 2)] {
        let mut long = link(3);
        long.name = "x".repeat(name).into();
        world.links = vec![link(1), link(2), long];
        world.asked.clear();
        page(&mut world, 0);
        page(&mut world, 1);
        assert_eq!(world.asked.len(), asked, "{name} bytes");
    }
}

#[test]
fn odd_pages_are_answered() {
    let mut world = World::new();
    world.links = (1..=3).map(link).collect();
    let rows = |world: &mut World, offset: Value, count: Value| {
        let asked = [
            ("entityType", "router.link".into()),
            ("offset", offset),
            ("count", count),
        ];
        let call = world.client.call("QUERY", asked, Value::Null);
        let response = world.ask(call);
        let results = response
            .body
            .as_map()
            .and_then(|map| map.get("results"))
            .cloned();
        (
            response.status,
            results.and_then(|rows| rows.as_list().map(<[Value]>::len)),
        )
    };
    assert_eq!(
        rows(&mut world, Value::Int(-1), Value::Null),
        (200, Some(0))
    );
    assert_eq!(
        rows(&mut world, Value::Null, Value::Int(-5)),
        (200, Some(3))
    );
    assert_eq!(
        rows(&mut world, Value::from("0x1"), Value::from("01")),
        (200, Some(1))
    );
    assert_eq!(
        rows(&mut world, Value::Ulong(u64::MAX), Value::Null),
        (400, None)
    );
    assert_eq!(
        rows(&mut world, Value::Int(9), Value::Int(9)),
        (200, Some(0))
    );
    assert_eq!(
        rows(&mut world, Value::List(Vec::new()), Value::Null),
        (400, None)
    );
}

#[test]
fn a_shard_that_does_not_answer_fails_the_request() {
    let mut world = World::new();
    world.answers = false;
    let call = world
        .client
        .call("QUERY", [("entityType", "router.link".into())], Value::Null);
    world.send(call.message.clone());
    assert_eq!(world.reply(), None);
    world.now = world.control.next_deadline().expect("a question is out");
    let response = world.reply().expect("the time is up");
    assert!(response.answers(&call));
    assert_eq!(response.status, 500);
    world.answers = true;
    assert_eq!(
        world.query("router.link").rows.len(),
        0,
        "the next request is served"
    );
}

#[test]
fn a_flood_of_requests_is_answered_in_order_without_asking_for_more_than_can_wait() {
    let mut world = World::new();
    world.links = vec![link(1)];
    let calls: Vec<_> = (0..60)
        .map(|_| {
            world
                .client
                .call("QUERY", [("entityType", "router.link".into())], Value::Null)
        })
        .collect();
    for call in &calls {
        world.send(call.message.clone());
    }
    for call in &calls {
        let response = (0..20).find_map(|_| world.reply()).expect("an answer");
        assert!(response.answers(call));
    }
    assert_eq!(world.outcomes.len(), 60);
}

#[test]
fn a_query_for_all_types_joins_their_columns() {
    let mut world = World::new();
    world.links = vec![link(1)];
    world.connections = vec![connection(1)];
    let table = world.query("");
    let of_type = |short: &str| {
        let full = Value::from(format!("org.apache.qpid.dispatch.{short}"));
        table
            .rows
            .iter()
            .filter(|row| *table.value(row, "type") == full)
            .count()
    };
    assert_eq!(
        (
            of_type("router"),
            of_type("router.link"),
            of_type("connection")
        ),
        (1, 1, 1)
    );
    assert_eq!((of_type("log"), of_type("router.address")), (17, 4));
    let entities = world.query("operationalEntity");
    assert!(
        entities
            .rows
            .iter()
            .all(|row| *entities.value(row, "mode") == Value::Null)
    );
    assert!(
        entities.column("enable").is_none(),
        "log is a configuration entity"
    );
}

#[test]
fn a_router_of_the_network_is_found_by_its_identity_alone() {
    let mut world = World::in_mode("interior");
    let asked = [("identity", "router.node/router")];
    let response = world.request("READ", &asked, Value::Null);
    assert_eq!((response.status, &*response.description), (200, "OK"));
    assert_eq!(*member(&response.body, "nextHop"), Value::from("(self)"));
    assert_eq!(
        *member(&response.body, "address"),
        Value::from("amqp:/_topo/0/router")
    );
    let asked = [("identity", "router.node/nobody")];
    assert_eq!(world.request("READ", &asked, Value::Null).status, 404);
}
