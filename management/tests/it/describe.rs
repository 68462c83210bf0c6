//! The operations by which a client learns what there is.

use amqp_codec::{Map, Value};
use management::LogRow;

use crate::world::World;

fn node(world: &mut World, operation: &str, filter: Option<&str>) -> Value {
    let filter = filter.map(|name| ("entityType", Value::from(name.to_owned())));
    let call = world.client.node_call(operation, filter);
    let response = world.ask(call);
    assert_eq!(response.status, 200, "{}", response.description);
    response.body
}

fn member<'a>(map: &'a Value, name: &str) -> Option<&'a Value> {
    map.as_map().and_then(|map| map.get(name))
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_list()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn types_come_with_the_types_they_extend() {
    let mut world = World::new();
    let types = node(&mut world, "GET-TYPES", None);
    let of_listener = member(&types, "org.apache.qpid.dispatch.listener").expect("listener");
    let expected = [
        "org.apache.qpid.dispatch.configurationEntity",
        "org.apache.qpid.dispatch.entity",
    ];
    assert_eq!(texts(of_listener), expected);
    let below = node(&mut world, "get-types", Some("configurationEntity"));
    assert!(member(&below, "org.apache.qpid.dispatch.router").is_some());
    assert!(member(&below, "org.apache.qpid.dispatch.connection").is_none());
}

#[test]
fn attributes_and_operations_can_be_asked_for_one_type() {
    let mut world = World::new();
    let attributes = node(&mut world, "GET-ATTRIBUTES", Some("log"));
    let [(name, of_log)] = &*attributes.as_map().expect("a map").0 else {
        panic!("one type")
    };
    assert_eq!(name.as_str(), Some("org.apache.qpid.dispatch.log"));
    let expected = [
        "module",
        "enable",
        "includeTimestamp",
        "includeSource",
        "outputFile",
        "name",
        "identity",
        "type",
    ];
    assert_eq!(texts(of_log), expected);
    let operations = node(&mut world, "GET-OPERATIONS", None);
    let of_listener = member(&operations, "org.apache.qpid.dispatch.listener").expect("listener");
    assert_eq!(texts(of_listener), ["CREATE", "DELETE", "READ"]);
    assert_eq!(
        node(&mut world, "GET-ANNOTATIONS", None),
        Value::Map(Map::new())
    );
}

#[test]
fn the_schema_leaves_out_what_is_false() {
    let mut world = World::new();
    let schema = node(&mut world, "GET-SCHEMA", None);
    assert_eq!(
        member(&schema, "prefix"),
        Some(&Value::from("org.apache.qpid.dispatch"))
    );
    let types = member(&schema, "entityTypes").expect("types");
    let router = member(types, "router").expect("router");
    assert_eq!(member(router, "singleton"), Some(&Value::Bool(true)));
    assert!(
        member(types, "address").is_some(),
        "router.config. is left out of keys"
    );
    let attributes = member(router, "attributes").expect("attributes");
    assert!(member(attributes, "type").is_none());
    let mode = member(attributes, "mode").expect("mode");
    assert_eq!(member(mode, "default"), Some(&Value::from("standalone")));
    assert_eq!(
        texts(member(mode, "type").expect("tags")),
        ["standalone", "interior", "edge"]
    );
    assert!(member(mode, "required").is_none());
    let profile = member(types, "sslProfile").and_then(|of| member(of, "attributes"));
    let file = profile.and_then(|attributes| member(attributes, "passwordFile"));
    let deprecated = file.and_then(|file| member(file, "deprecated"));
    assert_eq!(deprecated, Some(&Value::Bool(true)));
    let root = member(types, "entity").expect("the root of all types");
    assert!(member(root, "operations").is_none());
}

#[test]
fn the_schema_as_json_says_the_same() {
    let mut world = World::new();
    let schema = node(&mut world, "GET-SCHEMA", None);
    for indent in [Value::Null, Value::Int(4)] {
        let call = world
            .client
            .node_call("GET-JSON-SCHEMA", [("indent", indent)]);
        let body = world.ask(call).body;
        let text = body.as_str().expect("text");
        let json: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(management::json::to_json(&schema), json);
    }
    let call = world
        .client
        .node_call("GET-JSON-SCHEMA", [("indent", Value::Int(4))]);
    let body = world.ask(call).body;
    assert!(
        body.as_str().expect("text").contains("\n    \"prefix\""),
        "indented by four"
    );
}

#[test]
fn the_newest_lines_of_the_log_are_given_oldest_first() {
    let mut world = World::new();
    let line = |text: &str| LogRow {
        module: "SERVER".to_owned(),
        level: "info".to_owned(),
        text: text.to_owned(),
        file: None,
        line: Some(7),
        seconds: 1_795_218_235,
    };
    world.program.lines = vec![line("one"), line("two"), line("three")];
    let call = world
        .client
        .node_call("GET-LOG", [("limit", Value::from("2"))]);
    let body = world.ask(call).body;
    let rows = body.as_list().expect("rows");
    assert_eq!(rows.len(), 2);
    let expected = vec![
        "SERVER".into(),
        "info".into(),
        "two".into(),
        Value::Null,
        Value::Int(7),
        Value::Int(1_795_218_235),
    ];
    assert_eq!(rows[0], Value::List(expected));
    let call = world
        .client
        .node_call("GET-LOG", [("limit", Value::Int(-1))]);
    assert_eq!(world.ask(call).body.as_list().map(<[Value]>::len), Some(3));
}

#[test]
fn unknown_types_are_named_in_the_answer() {
    let mut world = World::new();
    for operation in ["QUERY", "GET-TYPES", "GET-ATTRIBUTES", "GET-OPERATIONS"] {
        let call = world
            .client
            .node_call(operation, [("entityType", "bogus".into())]);
        let response = world.ask(call);
        assert_eq!(response.status, 400);
        let expected = "No such entity type 'org.apache.qpid.dispatch.bogus'";
        assert_eq!(response.description, expected);
    }
    let call = world
        .client
        .node_call("QUERY", [("entityType", "console".into())]);
    assert_eq!(world.ask(call).status, 501, "planned, but not there");
}

#[test]
fn what_is_not_implemented_lists_what_is() {
    let mut world = World::new();
    let call = world.client.node_call("NOT-IMPL", []);
    let response = world.ask(call);
    assert_eq!(response.status, 501);
    let start = "Operation 'NOT-IMPL' not implemented for \
                 'org.apache.qpid.dispatch.management' ['GET-SCHEMA', ";
    assert!(
        response.description.starts_with(start),
        "{}",
        response.description
    );
}
