//! The columns, their order and their AMQP types: what the incumbent's tools index by.

use std::time::Duration;

use amqp_codec::{Encoded, Map, Value};
use router_core::counters::Counter;
use router_core::ids::ConnectionId;

use crate::world::{World, connection, link};

/// The names of the AMQP types of a row's values; `null` where there is none.
fn types(row: &[Value]) -> Vec<&'static str> {
    row.iter()
        .map(|value| match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Uint(_) => "uint",
            Value::Ulong(_) => "ulong",
            Value::Int(_) => "int",
            Value::Long(_) => "long",
            Value::String(_) => "string",
            Value::Map(_) => "map",
            Value::List(_) => "list",
            _ => "another",
        })
        .collect()
}

fn full(short: &str) -> String {
    format!("org.apache.qpid.dispatch.{short}")
}

#[test]
fn the_router_has_one_row_of_33_columns() {
    let mut world = World::new();
    world.counters.add(Counter::AcceptedDeliveries, 5);
    world.counters.add(Counter::Links, 3);
    let table = world.query(&full("router"));
    assert_eq!(table.columns.len(), 33);
    let first = [
        "name", "identity", "id", "type", "mode", "area", "version", "metadata",
    ];
    assert_eq!(table.columns[..8], first);
    assert_eq!(
        table.columns[29..],
        [
            "linksBlocked",
            "uptimeSeconds",
            "memoryUsage",
            "workerThreads"
        ]
    );
    let [row] = &*table.rows else {
        panic!("one router")
    };
    let mut expected = vec!["string"; 8];
    expected.extend(["ulong"; 21]);
    expected.extend(["uint", "uint", "ulong", "int"]);
    assert_eq!(types(row), expected);
    let value = |name| table.value(row, name);
    assert_eq!(*value("name"), Value::from("router"));
    assert_eq!(*value("identity"), Value::from("1"));
    assert_eq!(*value("mode"), Value::from("standalone"));
    assert_eq!(*value("version"), Value::from("9.9"));
    assert_eq!(*value("metadata"), Value::from("a test"));
    assert_eq!(*value("acceptedDeliveries"), Value::Ulong(5));
    assert_eq!(*value("linkCount"), Value::Ulong(3));
    assert_eq!(*value("addrCount"), Value::Ulong(4));
    assert_eq!(*value("memoryUsage"), Value::Ulong(77));
    assert_eq!(*value("workerThreads"), Value::Int(4));
}

#[test]
fn a_connection_has_25_columns_and_one_of_ours() {
    let mut world = World::new();
    let mut row = connection(3);
    let properties: Map = [(Value::symbol("product"), Value::from("x"))]
        .into_iter()
        .collect();
    row.properties = Some(Encoded::from_value(&Value::Map(properties.clone())));
    row.last_delivery_seconds = Some(2);
    row.trunk = Some(ConnectionId(1));
    world.connections = vec![row, connection(2)];
    let table = world.query(&full("connection"));
    let last = [
        "active",
        "adminStatus",
        "operStatus",
        "uptimeSeconds",
        "lastDlvSeconds",
    ];
    assert_eq!(table.columns[19..24], last);
    assert_eq!(table.columns[24..], ["enableProtocolTrace", "trunk"]);
    let [older, younger] = &*table.rows else {
        panic!("two connections")
    };
    assert_eq!(
        *table.value(older, "identity"),
        Value::from("2"),
        "the oldest comes first"
    );
    assert_eq!(*table.value(older, "lastDlvSeconds"), Value::Null);
    assert_eq!(*table.value(older, "properties"), Value::Map(Map::new()));
    let expected = [
        "string", "string", "string", "string", "string", "string", "string", "string", "bool",
        "string", "bool", "null", "null", "map", "long", "null", "string", "bool", "bool", "bool",
        "string", "string", "uint", "uint", "bool", "string",
    ];
    assert_eq!(types(younger), expected);
    assert_eq!(*table.value(younger, "trunk"), Value::from("1"));
    assert_eq!(
        *table.value(younger, "name"),
        Value::from("connection/127.0.0.1:40003")
    );
    assert_eq!(*table.value(younger, "properties"), Value::Map(properties));
    assert_eq!(*table.value(younger, "adminStatus"), Value::from("enabled"));
}

#[test]
fn a_link_has_29_columns() {
    let mut world = World::new();
    world.links = vec![link(11)];
    let table = world.query(&full("router.link"));
    let first = [
        "name",
        "identity",
        "type",
        "linkName",
        "linkType",
        "linkDir",
        "owningAddr",
    ];
    assert_eq!(table.columns[..7], first);
    let [row] = &*table.rows else {
        panic!("one link")
    };
    let mut expected = vec!["string"; 7];
    expected.extend([
        "uint", "null", "ulong", "ulong", "ulong", "string", "string", "string",
    ]);
    expected.extend(["ulong"; 9]);
    expected.extend(["list", "uint", "uint", "uint", "uint"]);
    assert_eq!(types(row), expected);
    assert_eq!(*table.value(row, "linkType"), Value::from("endpoint"));
    assert_eq!(*table.value(row, "connectionId"), Value::from("1"));
    assert_eq!(*table.value(row, "creditAvailable"), Value::Uint(10));
    let Value::List(histogram) = table.value(row, "ingressHistogram") else {
        panic!("a list")
    };
    let head = [3, 0, 5, 0].map(Value::Ulong);
    assert_eq!((histogram.len(), &histogram[..4]), (128, &head[..]));
    // In a network of hundreds no router is left out.
    world.links[0].ingress = Some(vec![(0, 3), (700, 5)]);
    world.now = world.now + Duration::from_secs(60);
    let table = world.query(&full("router.link"));
    let Value::List(histogram) = table.value(&table.rows[0], "ingressHistogram") else {
        panic!("a list")
    };
    assert_eq!((histogram.len(), &histogram[700]), (701, &Value::Ulong(5)));
}

#[test]
fn addresses_come_in_the_order_of_their_creation_with_the_counters_of_all_shards() {
    use router_core::inspect::AddressCounters;

    let mut world = World::new();
    world.attach_receiver("M0queue", 5);
    world.attach_receiver("M0queue", 6);
    let id = world.control.address("M0queue").expect("bound").id;
    let carried = AddressCounters {
        ingress: 3,
        egress: 2,
        ..AddressCounters::default()
    };
    world.addresses = vec![(id, carried)];
    let table = world.query(&full("router.address"));
    assert_eq!(table.columns.len(), 21);
    let names: Vec<_> = table
        .rows
        .iter()
        .filter_map(|row| row[0].as_str())
        .collect();
    let expected = [
        "M0$management",
        "L$management",
        "L$_management_internal",
        "Ltemp.me",
        "M0queue",
    ];
    assert_eq!(names, expected);
    let row = &table.rows[4];
    let mut expected = vec!["string"; 5];
    expected.extend(["uint"; 4]);
    expected.push("list");
    expected.extend(["ulong"; 7]);
    expected.extend(["null", "long", "int", "ulong"]);
    assert_eq!(types(row), expected);
    assert_eq!(*table.value(row, "subscriberCount"), Value::Uint(2));
    assert_eq!(*table.value(row, "deliveriesIngress"), Value::Ulong(3));
    assert_eq!(*table.value(row, "distribution"), Value::from("balanced"));
    assert_eq!(*table.value(row, "priority"), Value::Int(-1));
    let management = &table.rows[0];
    assert_eq!(*table.value(management, "inProcess"), Value::Uint(1));
    assert_eq!(
        *table.value(management, "deliveriesToContainer"),
        Value::Ulong(1)
    );
}

#[test]
fn the_mode_and_the_timers_of_a_router_can_be_asked_for() {
    let mut world = World::in_mode("interior");
    let names = ["mode", "helloIntervalSeconds", "remoteLsMaxAgeSeconds"];
    let mut asked = Map::new();
    let columns = names.iter().map(|name| Value::from(*name)).collect();
    asked.push("attributeNames", Value::List(columns));
    let response = world.request("QUERY", &[("entityType", "router")], Value::Map(asked));
    let results = response.body.as_map().and_then(|map| map.get("results"));
    let row = results.and_then(Value::as_list).expect("rows")[0].clone();
    let expected = ["interior".into(), Value::Int(1), Value::Int(60)];
    assert_eq!(row.as_list(), Some(&expected[..]));
}

#[test]
fn a_standalone_router_is_in_no_network() {
    let mut world = World::new();
    assert_eq!(world.query(&full("router.node")).rows.len(), 0);
    let call = world.client.node_call("GET-MGMT-NODES", []);
    assert_eq!(world.ask(call).body, Value::List(Vec::new()));
}

#[test]
fn short_names_and_any_letter_case_ask_the_same() {
    let mut world = World::new();
    world.links = vec![link(1)];
    let long = world.query(&full("router.link"));
    assert_eq!(world.query("router.link"), long);
    let response = world.request("query", &[("entityType", "router.link")], Value::Null);
    assert_eq!(response.status, 200);
    let response = world.request("QUERY", &[("type", "router.link")], Value::Null);
    let results = response
        .body
        .as_map()
        .and_then(|map| map.get("results"))
        .cloned();
    assert_eq!(
        results.expect("rows").as_list().map(<[Value]>::len),
        Some(1)
    );
}

#[test]
fn every_column_of_the_table_can_be_asked_for_alone() {
    let mut world = World::new();
    world.links = vec![link(1)];
    world.connections = vec![connection(1)];
    for entity_type in management::schema::ENTITY_TYPES {
        for column in entity_type.all_columns() {
            let mut body = Map::new();
            body.push("attributeNames", Value::List(vec![column.into()]));
            let asked = [("entityType", entity_type.short)];
            let response = world.request("QUERY", &asked, Value::Map(body));
            assert_eq!(response.status, 200, "{}.{column}", entity_type.short);
        }
    }
}

#[test]
fn the_router_is_called_as_what_is_configured_where_that_is_asked_for() {
    let mut world = World::new();
    let configured = Value::from("router/router");
    for asked in ["router", "configurationEntity", ""] {
        let table = world.query(asked);
        let is_router = |row: &&Vec<Value>| *table.value(row, "type") == full("router").into();
        let row = table.rows.iter().find(is_router).expect("the router");
        for name in ["name", "identity"] {
            assert_eq!(*table.value(row, name), configured, "{asked} {name}");
        }
    }
    for (name, value) in [("identity", "router/router"), ("name", "router/router")] {
        let response = world.request("READ", &[(name, value)], Value::Null);
        let id = response.body.as_map().and_then(|map| map.get("id"));
        assert_eq!(id, Some(&"router".into()), "{name} {response:?}");
    }
}

#[test]
fn log_and_pools_have_figures() {
    let mut world = World::new();
    let table = world.query("logStats");
    let [row] = &*table.rows else {
        panic!("one module")
    };
    assert_eq!(*table.value(row, "name"), Value::from("AGENT"));
    assert_eq!(*table.value(row, "identity"), Value::from("logStats/AGENT"));
    assert_eq!(*table.value(row, "traceCount"), Value::Ulong(1));
    assert_eq!(*table.value(row, "criticalCount"), Value::Ulong(7));
    let asked = [("identity", "logStats/AGENT")];
    assert_eq!(world.request("READ", &asked, Value::Null).status, 200);
    let pools = world.query(&full("allocator"));
    let [row] = &*pools.rows else {
        panic!("one pool")
    };
    assert_eq!(*pools.value(row, "identity"), "allocator/delivery".into());
    assert_eq!(*pools.value(row, "typeSize"), Value::Uint(96));
    assert_eq!(*pools.value(row, "totalAllocFromHeap"), Value::Ulong(15));
    assert_eq!(*pools.value(row, "totalFreeToHeap"), Value::Ulong(10));
    assert_eq!(*pools.value(row, "heldByThreads"), Value::Ulong(5));
}

#[test]
fn there_is_a_policy_and_no_virtual_host() {
    let mut world = World::new();
    let table = world.query("policy");
    let [row] = &*table.rows else {
        panic!("one policy")
    };
    assert_eq!(*table.value(row, "identity"), "policy/None".into());
    assert_eq!(*table.value(row, "maxConnections"), Value::Int(65_535));
    assert_eq!(*table.value(row, "defaultVhost"), "$default".into());
    assert_eq!(*table.value(row, "connectionsProcessed"), Value::Ulong(11));
    assert_eq!(*table.value(row, "totalDenials"), Value::Ulong(2));
    assert_eq!(*table.value(row, "connectionsCurrent"), Value::Ulong(3));
    assert_eq!(*table.value(row, "linksDenied"), Value::Uint(0));
    let asked = [("identity", "policy/None")];
    assert_eq!(world.request("READ", &asked, Value::Null).status, 200);
    for none in ["vhost", "vhostStats"] {
        let table = world.query(none);
        assert!(table.columns.iter().any(|column| column == "hostname"));
        assert!(table.rows.is_empty());
    }
}

#[test]
fn the_default_of_the_log_shows_what_is_in_force() {
    let mut world = World::new();
    let asked = [("identity", "log/DEFAULT")];
    let read = |world: &mut World| world.request("READ", &asked, Value::Null).body;
    let shown = |body: &Value, name: &str| body.as_map().and_then(|map| map.get(name).cloned());
    let before = read(&mut world);
    assert_eq!(shown(&before, "enable"), Some("info+".into()));
    assert_eq!(shown(&before, "includeTimestamp"), Some(true.into()));
    assert_eq!(shown(&before, "includeSource"), Some(false.into()));
    assert_eq!(shown(&before, "outputFile"), Some("stderr".into()));
    let change = |value: Value| Value::Map([("enable", value)].into_iter().collect());
    let changed = world.request("UPDATE", &asked, change("debug+".into()));
    assert_eq!(shown(&changed.body, "enable"), Some("debug+".into()));
    let restored = world.request("UPDATE", &asked, change(Value::Null));
    assert_eq!(shown(&restored.body, "enable"), Some("info+".into()));
}
