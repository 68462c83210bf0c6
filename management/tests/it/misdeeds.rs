//! Requests that cannot be meant: each gets an answer, and none silences the agent.

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{DeliveryState, Map, Value};
use bytes::{Bytes, BytesMut};
use management::client::Response;
use router_core::limits;
use router_core::notice::Notice;

use crate::world::{REPLY_TO, World};

/// A request whose body is the given encoded section.
fn with_body(operation: &str, body: &[u8]) -> Bytes {
    let mut application_properties = Map::new();
    application_properties.push("operation", operation.to_owned());
    application_properties.push("type", "listener");
    let head = MessageBuilder::new()
        .properties(Properties {
            reply_to: Some(REPLY_TO.into()),
            correlation_id: Some(Value::from("c")),
            ..Properties::default()
        })
        .application_properties(application_properties)
        .build();
    let mut message = BytesMut::from(&head[..]);
    message.extend_from_slice(body);
    message.freeze()
}

fn refused(world: &mut World, message: Bytes) -> Response {
    world.send(message);
    let response = world.reply().expect("an answer, never silence");
    assert_eq!(response.status, 400, "{response:?}");
    response
}

fn is_alive(world: &mut World) {
    let call = world.client.node_call("GET-MGMT-NODES", []);
    assert_eq!(world.ask(call).status, 200);
}

#[test]
fn odd_sized_maps_are_answered_and_management_goes_on() {
    let mut world = World::new();
    // amqp-value { map8 of 1 element: "x" }.
    let odd = [0x00, 0x53, 0x77, 0xc1, 0x04, 0x01, 0xa1, 0x01, b'x'];
    for operation in ["QUERY", "CREATE", "READ", "UPDATE", "DELETE", "GET-TYPES"] {
        let response = refused(&mut world, with_body(operation, &odd));
        assert!(
            response.description.starts_with("Malformed request"),
            "{response:?}"
        );
        assert_eq!(response.correlation_id, Some(Value::from("c")));
    }
    is_alive(&mut world);
    assert!(
        world
            .outcomes
            .iter()
            .all(|state| *state == DeliveryState::Accepted)
    );
}

#[test]
fn bodies_of_the_wrong_type_are_answered() {
    let mut world = World::new();
    let string = [0x00, 0x53, 0x77, 0xa1, 0x01, b'x'];
    let list = [0x00, 0x53, 0x77, 0x45];
    let data = [0x00, 0x53, 0x75, 0xa0, 0x01, b'x'];
    let sequence = [0x00, 0x53, 0x76, 0x45];
    for body in [&string[..], &list, &data, &sequence] {
        for operation in ["QUERY", "CREATE", "UPDATE"] {
            // An UPDATE must find its target before its body counts.
            world.send(with_body(operation, body));
            let response = world.reply().expect("an answer");
            assert!(
                matches!(response.status, 400 | 501),
                "{operation} {response:?}"
            );
        }
    }
    is_alive(&mut world);
}

#[test]
fn nested_and_broken_bodies_are_answered() {
    let mut world = World::new();
    let mut nested = vec![0x00, 0x53, 0x77];
    // A list of one list of one list …, 100 deep, each with its own size.
    let mut inner = vec![0x45];
    for _ in 0..100 {
        let size = u8::try_from(inner.len() + 1).unwrap_or(u8::MAX);
        let mut outer = vec![0xc0, size, 0x01];
        outer.extend_from_slice(&inner);
        inner = outer;
    }
    nested.extend_from_slice(&inner);
    let huge_count = [
        0x00, 0x53, 0x77, 0xd1, 0x00, 0x00, 0x00, 0x04, 0xff, 0xff, 0xff, 0xfe,
    ];
    let truncated = [0x00, 0x53, 0x77, 0xc1, 0x40, 0x02, 0xa1];
    let no_code = [0x00, 0x53, 0x77, 0xff];
    let zero_width = [
        0x00, 0x53, 0x77, 0xf0, 0x00, 0x00, 0x00, 0x05, 0x7f, 0xff, 0xff, 0xff, 0x40,
    ];
    for body in [&nested[..], &huge_count, &truncated, &no_code, &zero_width] {
        refused(&mut world, with_body("QUERY", body));
    }
    is_alive(&mut world);
}

#[test]
fn broken_application_properties_are_answered() {
    let mut world = World::new();
    let head = MessageBuilder::new().properties(Properties {
        reply_to: Some(REPLY_TO.into()),
        ..Properties::default()
    });
    let mut message = BytesMut::from(&head.build()[..]);
    message.extend_from_slice(&[0x00, 0x53, 0x74, 0xc1, 0x04, 0x01, 0xa1, 0x01, b'x']);
    refused(&mut world, message.freeze());
    is_alive(&mut world);
}

#[test]
fn what_is_no_message_is_rejected() {
    let mut world = World::new();
    // Properties that claim more bytes than there are.
    world.send(Bytes::from_static(&[0x00, 0x53, 0x73, 0xc0, 0x40, 0x05]));
    assert_eq!(world.reply(), None, "nobody knows where an answer would go");
    let [DeliveryState::Rejected(Some(error))] = &*world.outcomes else {
        panic!("{:?}", world.outcomes)
    };
    assert_eq!(&*error.condition, "amqp:decode-error");
    is_alive(&mut world);
}

#[test]
fn a_request_without_reply_to_is_done_and_not_answered() {
    let mut world = World::new();
    let mut properties = Map::new();
    properties.push("operation", "QUERY");
    world.send(
        MessageBuilder::new()
            .application_properties(properties)
            .value(Value::Null)
            .build(),
    );
    assert_eq!(world.reply(), None);
    assert_eq!(world.outcomes, [DeliveryState::Accepted]);
    is_alive(&mut world);
}

#[test]
fn an_answer_that_comes_back_as_a_request_ends_there() {
    let mut world = World::new();
    let mut properties = Map::new();
    properties.push("operation", "GET-TYPES");
    let message = MessageBuilder::new()
        .properties(Properties {
            reply_to: Some("$management".into()),
            ..Properties::default()
        })
        .application_properties(properties)
        .build();
    world.send(message);
    assert_eq!(world.reply(), None);
    assert!(!world.control.is_runnable() && !world.agent.is_runnable(&world.control));
    is_alive(&mut world);
}

#[test]
fn operations_that_are_no_text_or_missing_are_answered() {
    let mut world = World::new();
    let call = world.client.call("", [], Value::Null);
    let response = refused(&mut world, call.message);
    assert_eq!(response.description, "No 'operation' property");
    let mut properties = Map::new();
    properties.push("operation", Value::Int(4));
    let message = MessageBuilder::new()
        .properties(Properties {
            reply_to: Some(REPLY_TO.into()),
            ..Properties::default()
        })
        .application_properties(properties)
        .build();
    refused(&mut world, message);
}

#[test]
fn a_long_name_costs_no_more_than_the_request() {
    let mut world = World::new();
    let name = "x".repeat(900_000);
    for of_type in [
        "router.address",
        "router.link",
        "connection",
        "listener",
        "router",
        "bogus",
    ] {
        let asked = [("type", of_type), ("name", &*name)];
        let response = world.request("READ", &asked, Value::Null);
        assert!(response.status == 404 || response.status == 400 || response.status == 200);
        assert!(response.description.len() < 1000, "{of_type}");
    }
    let response = world.request("READ", &[("type", &*name)], Value::Null);
    assert!(response.description.len() < 1000);
    let response = world.request(&name, &[], Value::Null);
    assert!(response.description.len() < 1000);
}

#[test]
fn an_answer_tells_the_first_of_many_errors() {
    let mut world = World::new();
    let attributes = (0..20_000).map(|number| (format!("a{number}"), Value::Int(1)));
    let body = Value::Map(attributes.collect());
    let response = world.request("CREATE", &[("type", "listener"), ("name", "n")], body);
    assert_eq!(response.status, 400);
    assert!(response.description.len() < 2000, "{response:?}");
    assert!(response.description.contains("a0"), "{response:?}");
    assert!(response.description.ends_with(" more"), "{response:?}");
    let mut notices = Vec::new();
    world.control.drain_notices(&mut notices);
    let told = notices.iter().map(Notice::bytes).max().unwrap();
    assert!(told < 2 * limits::NOTICE_TEXT_BYTES, "{notices:?}");
    is_alive(&mut world);
}

#[test]
fn more_attribute_names_than_there_are_attributes_are_refused() {
    let mut world = World::new();
    let names = Value::List(vec!["name".into(); 257]);
    let body = Value::Map([("attributeNames", names)].into_iter().collect());
    let response = world.request("QUERY", &[("entityType", "router.link")], body);
    assert_eq!(response.status, 400);
    let names = Value::List(vec![Value::Int(3)]);
    let body = Value::Map([("attributeNames", names)].into_iter().collect());
    assert_eq!(
        world
            .request("QUERY", &[("entityType", "router.link")], body)
            .status,
        400
    );
    let body = Value::Map(
        [("attributeNames", Value::from("name"))]
            .into_iter()
            .collect(),
    );
    assert_eq!(world.request("QUERY", &[], body).status, 400);
}

#[test]
fn an_unknown_attribute_is_named() {
    let mut world = World::new();
    let names = Value::List(vec!["name".into(), "x".into()]);
    let body = Value::Map([("attributeNames", names)].into_iter().collect());
    let response = world.request("QUERY", &[("entityType", "router.link")], body.clone());
    let expected = "Unknown attributes ['x'] for type org.apache.qpid.dispatch.router.link.";
    assert_eq!((response.status, &*response.description), (404, expected));
    assert_eq!(
        world.request("QUERY", &[], body).description,
        "Unknown attributes ['x']."
    );
}

#[test]
fn a_correlation_id_of_any_type_comes_back_unchanged() {
    let mut world = World::new();
    for id in [
        Value::from("text"),
        Value::Binary(Bytes::from_static(b"\x00\xff")),
        Value::Ulong(7),
        Value::Uuid([9; 16]),
    ] {
        let mut properties = Map::new();
        properties.push("operation", "GET-MGMT-NODES");
        let message = MessageBuilder::new()
            .properties(Properties {
                reply_to: Some(REPLY_TO.into()),
                correlation_id: Some(id.clone()),
                ..Properties::default()
            })
            .application_properties(properties)
            .build();
        world.send(message);
        assert_eq!(world.reply().expect("an answer").correlation_id, Some(id));
    }
}

#[test]
fn an_answer_has_the_sections_that_clients_know() {
    let mut world = World::new();
    let call = world.client.node_call("GET-MGMT-NODES", []);
    world.send(call.message);
    let message = amqp_codec::message::parse(&world.reply_message()).expect("a message");
    assert_eq!(message.header.map(|header| header.durable), Some(false));
    assert_eq!(message.properties.to.as_deref(), Some(REPLY_TO));
    assert_eq!(
        message.properties.correlation_id,
        Some(Value::Ulong(call.id))
    );
    assert_eq!(
        message.application_properties.get("statusCode"),
        Some(&Value::Int(200))
    );
    let description = message.application_properties.get("statusDescription");
    assert_eq!(description, Some(&Value::from("OK")));
    assert_eq!(message.application_properties.len(), 2);
    assert!(message.message_annotations.is_empty() && message.delivery_annotations.is_empty());
}

#[test]
fn the_fuzz_target_holds_for_one_changed_byte_anywhere() {
    let map = [
        0x00, 0x53, 0x77, 0xc1, 0x07, 0x02, 0xa1, 0x01, b'x', 0xa1, 0x01, b'y',
    ];
    let message = with_body("CREATE", &map);
    for at in 0..message.len() {
        for flip in [0x01, 0x40, 0xff] {
            let mut changed = message.to_vec();
            changed[at] ^= flip;
            management::fuzz::fuzz_management_request(&changed);
        }
    }
}
