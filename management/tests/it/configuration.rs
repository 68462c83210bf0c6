//! CREATE, DELETE and UPDATE of what a configuration file may hold, and the file itself.

use amqp_codec::{Map, Value};
use amqp_proto::Time;
use management::client::Response;
use management::schema::{Source, validate};
use management::{Failure, Origin, Status};
use router_core::control::Effect;
use router_core::ids::Direction;
use router_core::limits;
use router_core::route::Treatment;
use router_core::settings::ConnectionRole;

use crate::world::World;

fn body(entries: &[(&'static str, &'static str)]) -> Value {
    Value::Map(entries.iter().copied().collect::<Map>())
}

fn member<'a>(body: &'a Value, name: &str) -> &'a Value {
    body.as_map()
        .and_then(|map| map.get(name))
        .unwrap_or(&Value::Null)
}

fn of_file(
    world: &mut World,
    section: &str,
    attributes: &[(&str, &str)],
) -> Result<String, String> {
    let attributes: Vec<_> = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from((*value).to_owned())))
        .collect();
    let validated = validate(section, &attributes, Source::File).map_err(|errors| {
        errors
            .into_iter()
            .map(|error| error.text)
            .collect::<Vec<_>>()
            .join("; ")
    })?;
    let World {
        agent,
        control,
        program,
        ..
    } = world;
    let made = agent.create(validated.entity, Origin::File, control, program);
    made.map_err(|failure| failure.text)
}

#[test]
fn a_capacity_of_none_is_the_usual_one() {
    let mut world = World::new();
    for (port, capacity, granted) in [("5673", "0", 250), ("5674", "7", 7)] {
        let attributes = [
            ("host", "127.0.0.1"),
            ("port", port),
            ("linkCapacity", capacity),
        ];
        let asked = [("type", "listener"), ("name", capacity)];
        let response = world.request("CREATE", &asked, body(&attributes));
        assert_eq!(response.status, 201, "{}", response.description);
        let Some(Effect::Listen(listen)) = world.effects.last() else {
            panic!("{:?}", world.effects)
        };
        assert_eq!(listen.settings.link_capacity, granted);
    }
}

#[test]
fn a_listener_is_created_read_and_deleted() {
    let mut world = World::new();
    let asked = [
        ("type", "org.apache.qpid.dispatch.listener"),
        ("name", "mine"),
    ];
    let attributes = body(&[
        ("host", "127.0.0.1"),
        ("port", "5673"),
        ("idleTimeoutSeconds", "8"),
    ]);
    let response = world.request("CREATE", &asked, attributes);
    assert_eq!((response.status, &*response.description), (201, "Created"));
    assert_eq!(
        *member(&response.body, "identity"),
        Value::from("listener/127.0.0.1:5673:mine")
    );
    assert_eq!(*member(&response.body, "idleTimeoutSeconds"), Value::Int(8));
    assert_eq!(*member(&response.body, "role"), Value::from("normal"));
    let [Effect::Listen(listen)] = &*world.effects else {
        panic!("{:?}", world.effects)
    };
    assert!(
        !listen.required,
        "a listener made later is no condition of life"
    );
    assert_eq!((&*listen.host, &*listen.port), ("127.0.0.1", "5673"));
    assert_eq!(listen.settings.name, "mine");
    assert_eq!(
        listen.settings.idle_time_out.map(|time| time.as_secs()),
        Some(8)
    );
    world.effects.clear();

    let table = world.query("listener");
    assert_eq!(table.rows.len(), 1);
    let response = world.request("READ", &asked, Value::Null);
    assert_eq!(*member(&response.body, "port"), Value::from("5673"));
    assert_eq!(
        *member(&response.body, "linkCapacity"),
        Value::Null,
        "not given, not shown"
    );

    let response = world.request("DELETE", &asked, Value::Null);
    assert_eq!(
        (response.status, &*response.description),
        (204, "No Content")
    );
    assert!(matches!(&*world.effects, [Effect::Unlisten { .. }]));
    assert_eq!(world.request("DELETE", &asked, Value::Null).status, 404);
}

#[test]
fn a_listener_that_failed_is_tried_again_with_the_next_one() {
    let mut world = World::new();
    let first = [("type", "listener"), ("name", "first")];
    world.request("CREATE", &first, body(&[("port", "1")]));
    let Some(Effect::Listen(listen)) = world.effects.pop() else {
        panic!("no effect")
    };
    world.control.listener_failed(&listen.identity);
    let second = [("type", "listener"), ("name", "second")];
    world.request("CREATE", &second, body(&[("port", "2")]));
    let identities: Vec<_> = world
        .effects
        .iter()
        .map(|effect| match effect {
            Effect::Listen(listen) => listen.identity.to_string(),
            other => panic!("nothing was deleted or dialled: {other:?}"),
        })
        .collect();
    assert_eq!(identities, ["listener/:1:first", "listener/:2:second"]);
}

#[test]
fn an_address_rule_is_in_force_from_its_creation_to_its_deletion() {
    let mut world = World::new();
    let asked = [
        ("type", "org.apache.qpid.dispatch.router.config.address"),
        ("name", "news"),
    ];
    let attributes = body(&[("prefix", "news"), ("distribution", "multicast")]);
    let response = world.request("CREATE", &asked, attributes);
    assert_eq!(response.status, 201);
    assert_eq!(*member(&response.body, "prefix"), Value::from("news"));
    assert_eq!(*member(&response.body, "priority"), Value::Int(-1));
    let treatment = |world: &World| {
        world
            .control
            .table()
            .rules()
            .resolve("news.today", Direction::In)
            .treatment
    };
    assert_eq!(treatment(&world), Treatment::Multicast);
    assert_eq!(world.request("DELETE", &asked, Value::Null).status, 204);
    world.turn();
    assert_eq!(treatment(&world), Treatment::AnycastBalanced);
}

#[test]
fn an_address_has_a_fallback_by_either_name_of_the_attribute() {
    let mut world = World::new();
    let has_one = |world: &World| world.control.table().rules().has_fallback("news.today");
    for name in ["enableFallback", "fallback"] {
        assert!(!has_one(&world));
        let asked = [("type", "router.config.address"), ("name", name)];
        let attributes = body(&[("prefix", "news"), (name, "yes")]);
        let made = world.request("CREATE", &asked, attributes);
        assert_eq!(made.status, 201, "{}", made.description);
        assert_eq!(*member(&made.body, "fallback"), Value::from(true));
        world.turn();
        assert!(has_one(&world), "{name}");
        assert_eq!(world.request("DELETE", &asked, Value::Null).status, 204);
        world.turn();
    }
}

#[test]
fn an_address_rule_that_cannot_be_is_refused_in_the_known_words() {
    let mut world = World::new();
    let mut create = |name: &str, attributes: &[(&'static str, &'static str)]| {
        let asked = [("type", "router.config.address"), ("name", name)];
        let response = world.request("CREATE", &asked, body(attributes));
        (response.status, response.description)
    };
    assert_eq!(create("a", &[("prefix", "x")]).0, 201);
    let refused = [
        (
            create("a", &[("prefix", "y")]),
            "Name conflicts with an existing entity",
        ),
        (create("b", &[("prefix", "x")]), "Already exists"),
        (
            create("b", &[]),
            "Either a 'prefix' or 'pattern' attribute must be provided",
        ),
        (
            create("b", &[("prefix", "y"), ("pattern", "z")]),
            "Cannot specify both a 'prefix' and a 'pattern' attribute",
        ),
        (
            create("b", &[("prefix", "y"), ("ingressPhase", "1")]),
            "Phase values must be between 0 and 9",
        ),
        (
            create(
                "b",
                &[
                    ("prefix", "y"),
                    ("waypoint", "yes"),
                    ("enableFallback", "yes"),
                ],
            ),
            "Fallback cannot be specified with waypoint or non-zero ingress and egress phases",
        ),
        (
            create("b", &[("prefix", "y"), ("distribution", "some")]),
            "Invalid value for enum['multicast', 'closest', 'balanced', 'unavailable']: 'some'",
        ),
        (
            create("b", &[("prefix", "y"), ("colour", "red")]),
            "Unknown attribute 'colour' for 'org.apache.qpid.dispatch.router.config.address'",
        ),
    ];
    for ((status, description), expected) in refused {
        assert_eq!((status, &*description), (400, expected));
    }
}

#[test]
fn names_are_unique_over_all_types() {
    let mut world = World::new();
    let listener = [("type", "listener"), ("name", "both")];
    assert_eq!(
        world
            .request("CREATE", &listener, body(&[("port", "1")]))
            .status,
        201
    );
    let address = [("type", "router.config.address"), ("name", "both")];
    let response = world.request("CREATE", &address, body(&[("prefix", "x")]));
    assert_eq!(response.status, 400);
    assert!(
        response
            .description
            .contains("duplicates unique attribute 'name'")
    );
    let again = [("type", "listener")];
    assert_eq!(
        world
            .request("CREATE", &again, body(&[("port", "2")]))
            .status,
        201
    );
    assert_eq!(
        world
            .request("CREATE", &again, body(&[("port", "2")]))
            .status,
        400
    );
}

#[test]
fn requests_may_add_entities_up_to_a_limit() {
    let mut world = World::new();
    for number in 0..limits::CONFIGURED_ENTITIES {
        let prefix = format!("p{number}");
        of_file(&mut world, "address", &[("prefix", &*prefix)]).unwrap();
    }
    let one = [("type", "router.config.address"), ("name", "one")];
    let refused = world.request("CREATE", &one, body(&[("prefix", "one")]));
    let expected = "There are 4096 entities of type \
                    org.apache.qpid.dispatch.router.config.address, the limit is 4096";
    assert_eq!((refused.status, &*refused.description), (400, expected));
    let listener = [("type", "listener")];
    let other = world.request("CREATE", &listener, body(&[("port", "1")]));
    assert_eq!(other.status, 201, "each type has its own");
    let first = [("type", "router.config.address"), ("identity", "1")];
    assert_eq!(world.request("DELETE", &first, Value::Null).status, 204);
    let taken = world.request("CREATE", &one, body(&[("prefix", "one")]));
    assert_eq!(taken.status, 201, "{taken:?}");
}

#[test]
fn attributes_are_of_bounded_length() {
    let mut world = World::new();
    let long = "x".repeat(limits::ATTRIBUTE_BYTES + 1);
    let expected = "Value of 4097 bytes is too long for an attribute: the limit is 4096";
    let address = [("type", "router.config.address"), ("name", &*long)];
    let refused = world.request("CREATE", &address, body(&[("prefix", "p")]));
    assert_eq!((refused.status, &*refused.description), (400, expected));
    let address = [("type", "router.config.address"), ("name", &long[1..])];
    let taken = world.request("CREATE", &address, body(&[("prefix", "p")]));
    assert_eq!(taken.status, 201, "{taken:?}");
    let mut listener = Map::new();
    listener.push("port", "1");
    let properties: Map = [("key", Value::from(long))].into_iter().collect();
    listener.push("openProperties", Value::Map(properties));
    let refused = world.request("CREATE", &[("type", "listener")], Value::Map(listener));
    assert_eq!(refused.status, 400);
    assert!(
        refused.description.ends_with("the limit is 4096"),
        "{refused:?}"
    );
    let mut log = Map::new();
    log.push("outputFile", "x".repeat(5000));
    let of_log = [("type", "log"), ("name", "log/DEFAULT")];
    assert_eq!(
        world.request("UPDATE", &of_log, Value::Map(log)).status,
        400
    );
}

#[test]
fn name_and_type_may_stand_in_the_body() {
    let mut world = World::new();
    let all = [("type", "listener"), ("name", "mine"), ("port", "1")];
    assert_eq!(world.request("CREATE", &[], body(&all)).status, 201);
    let conflict = world.request("CREATE", &[("name", "other")], body(&all));
    assert_eq!(
        (conflict.status, &*conflict.description),
        (400, "Conflicting values for 'name'")
    );
    let untyped = world.request("CREATE", &[], body(&[("port", "2")]));
    assert_eq!(
        (untyped.status, &*untyped.description),
        (400, "No 'type' attribute in request")
    );
}

#[test]
fn what_the_router_cannot_do_yet_is_said() {
    let mut world = World::new();
    let mut create = |of_type: &'static str, attributes: &[(&'static str, &'static str)]| {
        let response = world.request("CREATE", &[("type", of_type)], body(attributes));
        (response.status, response.description)
    };
    let (status, text) = create("listener", &[("port", "1"), ("role", "inter-router")]);
    assert_eq!(status, 400);
    let expected =
        "role='standalone' not allowed to connect to or accept connections from other routers.";
    assert_eq!(text, expected);
    let (status, text) = create("listener", &[("port", "1"), ("sslProfile", "x")]);
    let expected = "There is no sslProfile of the name 'x'";
    assert_eq!((status, &*text), (400, expected));
    let (status, text) = create("listener", &[("port", "1"), ("saslMechanisms", "PLAIN")]);
    assert_eq!(status, 400);
    assert_eq!(
        text,
        "SASL mechanism 'PLAIN' needs the router's saslUserFile"
    );
    let (status, text) = create("listener", &[("port", "1"), ("saslPlugin", "zz")]);
    assert_eq!((status, &*text), (400, "Cannot find sasl plugin zz"));
    assert_eq!(create("listener", &[("port", "1"), ("http", "no")]).0, 201);
    let (status, text) = create("vhost", &[("hostname", "x")]);
    assert_eq!(status, 501);
    assert!(
        text.starts_with("Operation 'CREATE' not implemented"),
        "{text}"
    );
    assert_eq!(create("log", &[("module", "AGENT")]).0, 501);
    assert_eq!(create("connection", &[]).0, 501);
    assert_eq!(create("router.link", &[]).0, 501);
    assert_eq!(create("router", &[]).0, 403);
    assert_eq!(create("bogus", &[]).0, 400);
}

#[test]
fn a_connector_is_shown_with_what_became_of_it() {
    let mut world = World::in_mode("interior");
    let asked = [("type", "connector"), ("name", "up")];
    let attributes = [
        ("host", "b"),
        ("port", "1"),
        ("role", "inter-router"),
        ("cost", "3"),
    ];
    let response = world.request("CREATE", &asked, body(&attributes));
    assert_eq!(response.status, 201);
    assert_eq!(
        *member(&response.body, "identity"),
        Value::from("connector/b:1:up")
    );
    assert_eq!(
        *member(&response.body, "connectionStatus"),
        Value::from("INITIALIZING")
    );
    let Some(Effect::Dial(dial)) = world.effects.pop() else {
        panic!("it is dialled at once")
    };
    assert_eq!((&*dial.host, &*dial.port), ("b", "1"));
    assert_eq!(
        (dial.settings.role, dial.settings.cost),
        (ConnectionRole::InterRouter, 3)
    );
    assert_eq!(dial.settings.connector.as_deref(), Some("connector/b:1:up"));
    let refused = "Connection refused - disconnected b:1".to_owned();
    world
        .control
        .dial_failed(dial.connection, refused, world.now);
    let response = world.request("READ", &asked, Value::Null);
    assert_eq!(
        *member(&response.body, "connectionStatus"),
        Value::from("CONNECTING")
    );
    let expected = "[C1] Connection to b:1 failed: proton:io Connection refused - disconnected b:1";
    assert_eq!(
        *member(&response.body, "connectionMsg"),
        Value::from(expected)
    );
    assert_eq!(
        *member(&response.body, "failoverUrls"),
        Value::from("amqp://b:1")
    );
    let again = world.request("CREATE", &asked, body(&attributes));
    assert_eq!(again.status, 400);
    let response = world.request("DELETE", &asked, Value::Null);
    assert_eq!(response.status, 204);
    assert_eq!(world.request("READ", &asked, Value::Null).status, 404);
    world.now = Time::from_millis(60_000);
    world.turn();
    let is_dialled = |effect: &Effect| matches!(effect, Effect::Dial(_));
    assert!(!world.effects.iter().any(is_dialled), "nothing is retried");
}

#[test]
fn connectors_that_cannot_be_are_refused() {
    let mut world = World::new();
    let mut create = |name, value| {
        let response = world.request("CREATE", &[("type", "connector")], body(&[(name, value)]));
        (response.status, response.description)
    };
    for (name, value, expected) in [
        (
            "role",
            "inter-router",
            "role='standalone' not allowed to connect to or accept",
        ),
        (
            "role",
            "edge",
            "role='standalone' not allowed to connect to or accept",
        ),
        (
            "saslMechanisms",
            "CRAM-MD5",
            "SASL mechanism 'CRAM-MD5' is not supported by this version",
        ),
        (
            "failoverUrls",
            "x",
            "Cannot set attribute 'failoverUrls' in CREATE",
        ),
        (
            "connectionStatus",
            "x",
            "Cannot set attribute 'connectionStatus' in CREATE",
        ),
        ("cost", "0", "Value 0 of 'cost' is not in 1 to "),
    ] {
        let (status, text) = create(name, value);
        assert_eq!(status, 400);
        assert!(text.starts_with(expected), "{text}");
    }
    assert_eq!(create("role", "route-container").0, 201);
}

#[test]
fn an_interior_router_listens_for_others() {
    let mut world = World::in_mode("interior");
    let mut create = |role| {
        let attributes = [("port", "1"), ("role", role), ("cost", "7"), ("name", role)];
        let response = world.request("CREATE", &[("type", "listener")], body(&attributes));
        (response.status, response.description)
    };
    assert_eq!(create("inter-router").0, 201);
    let (status, text) = create("edge");
    let expected = "Value 'edge' of 'role' is not supported by this version yet";
    assert_eq!((status, &*text), (400, expected));
    let Effect::Listen(listen) = &world.effects[0] else {
        panic!("{:?}", world.effects)
    };
    assert_eq!(listen.settings.role, ConnectionRole::InterRouter);
    assert_eq!(listen.settings.cost, 7);
    assert!(!listen.settings.strip_annotations.outbound);
    let mut properties = Map::new();
    properties.push("a", Value::from("b"));
    let mut listener = Map::new();
    listener.push("port", Value::from("2"));
    listener.push("role", Value::from("inter-router"));
    listener.push("openProperties", Value::Map(properties));
    let asked = [("type", "listener")];
    let response = world.request("CREATE", &asked, Value::Map(listener));
    let expected = "openProperties not allowed for role inter-router";
    assert_eq!((response.status, &*response.description), (400, expected));
}

#[test]
fn what_cannot_be_deleted_stays() {
    let mut world = World::new();
    let mut delete = |asked: &[(&'static str, &str)]| {
        let response = world.request("DELETE", asked, Value::Null);
        response.status
    };
    assert_eq!(delete(&[("type", "router"), ("identity", "1")]), 403);
    assert_eq!(delete(&[("type", "connection"), ("identity", "1")]), 403);
    assert_eq!(delete(&[("type", "router.link"), ("identity", "1")]), 501);
    assert_eq!(
        delete(&[("type", "router.address"), ("identity", "M0x")]),
        501
    );
    assert_eq!(delete(&[("type", "log"), ("name", "log/AGENT")]), 501);
    assert_eq!(delete(&[("name", "log/AGENT")]), 501);
    assert_eq!(delete(&[("name", "self")]), 501);
    assert_eq!(delete(&[("type", "listener")]), 400);
}

#[test]
fn the_log_is_changed_only_if_the_program_can_do_it() {
    let mut world = World::new();
    let asked = [("type", "log"), ("name", "log/SERVER")];
    let response = world.request(
        "UPDATE",
        &asked,
        body(&[("enable", "debug+"), ("output", "x")]),
    );
    assert_eq!(response.status, 200, "{}", response.description);
    assert_eq!(*member(&response.body, "enable"), Value::from("debug+"));
    assert_eq!(*member(&response.body, "outputFile"), Value::from("x"));
    let [settings] = &*world.program.settings else {
        panic!("one change")
    };
    assert_eq!(
        (&*settings.module, settings.enable.as_deref()),
        ("SERVER", Some("debug+"))
    );

    let text = "Failed to open log file 'x'";
    world.program.refuses = Some(Failure::new(Status::InternalError, text));
    let response = world.request("UPDATE", &asked, body(&[("outputFile", "x")]));
    assert_eq!(
        (response.status, &*response.description),
        (500, "CError: Configuration: Failed to open log file 'x'")
    );
    world.program.refuses = Some(Failure::bad_request("'loud' is not a valid log level."));
    let response = world.request("UPDATE", &asked, body(&[("enable", "loud")]));
    assert_eq!(
        (response.status, &*response.description),
        (400, "'loud' is not a valid log level.")
    );
    let response = world.request("READ", &asked, Value::Null);
    assert_eq!(
        *member(&response.body, "enable"),
        Value::from("debug+"),
        "nothing has changed"
    );

    world.program.refuses = None;
    let null = Value::Map([("enable", Value::Null)].into_iter().collect());
    let response = world.request("UPDATE", &asked, null);
    assert_eq!(
        *member(&response.body, "enable"),
        Value::Null,
        "null takes a value away"
    );
    let response = world.request("UPDATE", &asked, body(&[("module", "AGENT")]));
    assert_eq!(
        response.description,
        "Cannot update attribute 'module' in UPDATE"
    );
}

#[test]
fn updates_of_other_types_are_refused() {
    let mut world = World::new();
    let mut update =
        |asked: &[(&'static str, &str)]| world.request("UPDATE", asked, body(&[("x", "y")])).status;
    assert_eq!(update(&[("type", "router"), ("identity", "1")]), 403);
    assert_eq!(update(&[("type", "listener"), ("name", "x")]), 501);
    assert_eq!(
        update(&[("type", "router.config.address"), ("name", "x")]),
        501
    );
    assert_eq!(update(&[("type", "router.address"), ("name", "x")]), 501);
    assert_eq!(update(&[("name", "nobody")]), 404);
}

#[test]
fn a_file_is_applied_by_the_same_code() {
    let mut world = World::new();
    let listener = of_file(&mut world, "listener", &[("port", "amqp")]).expect("a listener");
    assert_eq!(listener, "listener/:amqp");
    world.turn();
    assert!(matches!(&*world.effects, [Effect::Listen(listen)] if listen.required));
    of_file(&mut world, "address", &[("prefix", "a")]).expect("an address");
    of_file(&mut world, "address", &[("pattern", "b.*")]).expect("an address");
    let table = world.query("router.config.address");
    let names: Vec<_> = table
        .rows
        .iter()
        .filter_map(|row| row[0].as_str())
        .collect();
    assert_eq!(names, ["address/0", "address/1"]);
    of_file(
        &mut world,
        "log",
        &[("module", "AGENT"), ("enable", "info+")],
    )
    .expect("a log");
    assert_eq!(world.program.settings.len(), 1);
    assert!(of_file(&mut world, "address", &[("prefix", "a")]).is_err());
    assert!(
        of_file(&mut world, "router", &[]).is_err(),
        "there is one already"
    );
    assert!(
        of_file(&mut world, "connection", &[]).is_err(),
        "no section"
    );
}

#[test]
fn all_errors_of_a_section_are_reported() {
    let attributes = [
        ("port", "1"),
        ("maxFrameSize", "big"),
        ("role", "boss"),
        ("x", "y"),
    ];
    let attributes: Vec<_> = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
        .collect();
    let errors = validate("listener", &attributes, Source::File).expect_err("three errors");
    let named: Vec<_> = errors
        .iter()
        .filter_map(|error| error.attribute.as_deref())
        .collect();
    assert_eq!(named, ["maxFrameSize", "role", "x"]);
}

#[test]
fn a_deprecated_name_is_taken_with_a_warning_and_not_beside_the_new_one() {
    let attribute = |name: &str, value: &'static str| (name.to_owned(), Value::from(value));
    let old = [attribute("module", "AGENT"), attribute("output", "stderr")];
    let validated = validate("log", &old, Source::File).expect("an entity");
    assert_eq!(validated.entity.text("outputFile"), Some("stderr"));
    let expected =
        "Attribute 'output' of entity 'log' has been deprecated. Use 'outputFile' instead";
    let warning = &validated.warnings[0];
    assert_eq!(
        (warning.attribute.as_str(), warning.text.as_str()),
        ("output", expected)
    );
    assert_eq!(validated.warnings.len(), 1);
    let both = [&old[..], &[attribute("outputFile", "x")]].concat();
    let errors = validate("log", &both, Source::File).expect_err("both");
    let expected = "Both 'output' and 'outputFile' cannot be specified for entity 'log'";
    assert_eq!(errors[0].text, expected);
}

#[test]
fn what_is_to_be_shown_of_messages_are_parts_that_they_have() {
    for entity_type in ["listener", "connector"] {
        let section = |name: &str, list: &'static str| {
            let attributes = [
                ("host".to_owned(), Value::from("127.0.0.1")),
                ("port".to_owned(), Value::from("5672")),
                (name.to_owned(), Value::from(list)),
            ];
            validate(entity_type, &attributes, Source::File)
        };
        for list in ["all", "none", "message-id,app-properties", "to, subject"] {
            let entity = section("messageLoggingComponents", list).expect("known parts");
            assert!(entity.warnings.is_empty(), "{list}");
        }
        let old = section("logMessage", "user-id").expect("the old name");
        assert_eq!(old.entity.text("messageLoggingComponents"), Some("user-id"));
        let errors = section("logMessage", "user-id,subjekt").expect_err("no such part");
        let at = errors[0].attribute.as_deref();
        assert_eq!(at, Some("messageLoggingComponents"));
        let text = "'subjekt' in messageLoggingComponents is no part of a message; give none, all, \
                    or a list of these with commas between them: message-id, user-id, to, ";
        assert!(errors[0].text.starts_with(text), "{}", errors[0].text);
    }
}

#[test]
fn a_file_may_name_what_only_the_router_sets_and_a_request_may_not() {
    let version = [("version".to_owned(), Value::from("9"))];
    let validated = validate("router", &version, Source::File).expect("ignored");
    assert_eq!(validated.entity.get("version"), None);
    let mut world = World::new();
    let asked = [("type", "listener")];
    let response = world.request("CREATE", &asked, body(&[("identity", "x")]));
    let expected = "Cannot set attribute 'identity' in CREATE";
    assert_eq!((response.status, &*response.description), (400, expected));
}

#[test]
fn a_profile_for_tls_lives_as_long_as_somebody_uses_it() {
    const PROFILE: &[(&str, &str)] = &[("type", "sslProfile"), ("name", "p")];
    let mut world = World::new();
    let mut create = |of_type: &'static str, attributes: &[(&'static str, &'static str)]| {
        let response = world.request("CREATE", &[("type", of_type)], body(attributes));
        (response.status, response.description)
    };
    let (status, text) = create("sslProfile", &[("name", "p"), ("certFile", "missing.pem")]);
    assert_eq!((status, &*text), (400, "certFile: no such file"));
    assert_eq!(
        create("sslProfile", &[("certFile", "c.pem")]).0,
        400,
        "it needs a name"
    );
    let made = [("name", "p"), ("certFile", "c.pem"), ("password", "secret")];
    assert_eq!(create("sslProfile", &made).0, 201);
    assert_eq!(
        create("sslProfile", &[("name", "p")]).0,
        400,
        "there is one"
    );
    assert_eq!(
        create(
            "listener",
            &[("port", "1"), ("sslProfile", "p"), ("name", "l")]
        )
        .0,
        201
    );
    let read = world.request("READ", PROFILE, body(&[]));
    let text = |read: &Response, name: &str| {
        let value = read.body.as_map().and_then(|map| map.get(name).cloned());
        value.and_then(|value| value.as_str().map(str::to_owned))
    };
    assert_eq!(text(&read, "identity").as_deref(), Some("sslProfile/p"));
    assert_eq!(
        text(&read, "certificateExpires").as_deref(),
        Some("2030-01-01T00:00:00Z")
    );
    assert_eq!(text(&read, "password"), None, "a secret is not shown");
    let read = world.request("UPDATE", PROFILE, body(&[]));
    let expected = Some("2031-01-01T00:00:00Z of p");
    assert_eq!(
        text(&read, "certificateExpires").as_deref(),
        expected,
        "read anew"
    );
    assert_eq!(world.request("DELETE", PROFILE, body(&[])).status, 204);
    assert_eq!(world.program.profiles, ["p"], "the listener keeps it");
    let listener = [("type", "listener"), ("name", "l")];
    assert_eq!(world.request("DELETE", &listener, body(&[])).status, 204);
    assert!(world.program.profiles.is_empty());
}

#[test]
fn a_profile_for_tls_lives_as_long_as_a_service_for_authentication_is_asked_by_it() {
    const SERVICE: &[(&str, &str)] = &[("type", "authServicePlugin"), ("name", "s")];
    let mut world = World::new();
    let mut request = |operation: &'static str,
                       entity: &[(&'static str, &'static str)],
                       attributes: &[(&'static str, &'static str)]| {
        let response = world.request(operation, entity, body(attributes));
        let profiles = world.program.profiles.clone();
        (response.status, response.description.clone(), profiles)
    };
    let made = [("name", "s"), ("host", "h"), ("sslProfile", "p")];
    let (status, text, _) = request("CREATE", SERVICE, &made[1..]);
    assert_eq!(status, 400);
    assert!(text.contains("There is no sslProfile of the name 'p'"));
    let profile = [("type", "sslProfile"), ("name", "p")];
    assert_eq!(request("CREATE", &profile, &[]).0, 201);
    assert_eq!(request("CREATE", SERVICE, &made[1..]).0, 201);
    let listener = [("type", "listener"), ("name", "l")];
    let names = [("port", "1"), ("saslPlugin", "s")];
    assert_eq!(request("CREATE", &listener, &names).0, 201);
    let (status, _, profiles) = request("DELETE", &profile, &[]);
    assert_eq!((status, profiles), (204, vec!["p".to_owned()]));
    let (status, _, profiles) = request("DELETE", SERVICE, &[]);
    assert_eq!(
        (status, profiles),
        (204, vec!["p".to_owned()]),
        "the listener keeps both"
    );
    let (status, _, profiles) = request("DELETE", &listener, &[]);
    assert_eq!((status, profiles), (204, vec![]));
    // Without a listener it goes with the service.
    assert_eq!(request("CREATE", &profile, &[]).0, 201);
    assert_eq!(request("CREATE", SERVICE, &made[1..]).0, 201);
    assert_eq!(request("DELETE", &profile, &[]).2, ["p"]);
    assert!(request("DELETE", SERVICE, &[]).2.is_empty());
}

#[test]
fn a_listener_gets_no_profile_that_it_cannot_use() {
    let mut world = World::new();
    let mut create = |of_type: &'static str, attributes: &[(&'static str, &'static str)]| {
        let response = world.request("CREATE", &[("type", of_type)], body(attributes));
        (response.status, response.description)
    };
    assert_eq!(create("sslProfile", &[("name", "bare")]).0, 201);
    for (attributes, expected) in [
        (
            [("port", "1"), ("sslProfile", "bare")],
            "sslProfile 'bare' has no certFile",
        ),
        (
            [("port", "1"), ("requireSsl", "yes")],
            "requireSsl needs an sslProfile",
        ),
        (
            [("port", "1"), ("sslProfile", "q")],
            "There is no sslProfile of the name 'q'",
        ),
    ] {
        let (status, text) = create("listener", &attributes);
        assert!(status == 400 && text.starts_with(expected), "{text}");
    }
}

#[test]
fn a_request_cannot_have_a_file_of_the_routers_sent_elsewhere() {
    let mut world = World::new();
    for password in ["file:/etc/hostname", "env:HOME"] {
        let attributes = [("host", "h"), ("port", "1"), ("saslPassword", password)];
        let response = world.request("CREATE", &[("type", "connector")], body(&attributes));
        assert_eq!(response.status, 400, "{response:?}");
        assert!(
            response.description.starts_with("saslPassword"),
            "{response:?}"
        );
    }
    let attributes = [("host", "h"), ("port", "1"), ("saslPassword", "pass:x")];
    let response = world.request("CREATE", &[("type", "connector")], body(&attributes));
    assert_eq!(response.status, 201, "{response:?}");
}
