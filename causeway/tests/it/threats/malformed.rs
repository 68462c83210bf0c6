//! Requests to management that cannot be meant: each is answered or refused, and the next is
//! answered as ever.

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{Map, Performative, Role, Source, Target, Transfer, Value};

use super::exchange::wait_until;
use super::manager::Manager;
use super::peer::{Peer, accepted, attach, message, transfer};
use super::pump::Pump;
use super::scene::{GROWTH_MAX, Scene};

const OPERATIONS: [&str; 12] = [
    "CREATE",
    "READ",
    "UPDATE",
    "DELETE",
    "QUERY",
    "GET-TYPES",
    "GET-ATTRIBUTES",
    "GET-OPERATIONS",
    "GET-MGMT-NODES",
    "GET-ANNOTATIONS",
    "GET-LOG",
    "\u{0}",
];

/// Requests without end, as far as a test goes.
const MANY: u32 = 500;

/// What answers that nobody takes may hold, all of them together.
const ANSWERS_MAX: u64 = 3 * GROWTH_MAX;

/// A list of one list of one list …, as deep as asked.
fn nested(depth: usize) -> Vec<u8> {
    let mut inner = vec![0x45];
    for _ in 0..depth {
        let size = u32::try_from(inner.len() + 4).unwrap().to_be_bytes();
        inner = [&[0xd0][..], &size, &[0, 0, 0, 1], &inner].concat();
    }
    inner
}

#[test]
fn class_2_odd_maps_and_worse_do_not_silence_management() {
    let mut scene = Scene::new();
    let amqp_value = |value: &[u8]| [&[0x00, 0x53, 0x77][..], value].concat();
    let bodies = [
        amqp_value(&[0xc1, 0x04, 0x01, 0xa1, 0x01, b'x']),
        amqp_value(&[0xd1, 0, 0, 0, 7, 0, 0, 0, 1, 0xa1, 0x01, b'x']),
        amqp_value(&[0xc1, 0x07, 0x03, 0xa1, 0x01, b'x', 0x40, 0x40, 0x40]),
        amqp_value(&[0xd1, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xfe]),
        amqp_value(&[0xd0, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff]),
        amqp_value(&[0xf0, 0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff, 0x40]),
        amqp_value(&[0xc1, 0x40, 0x02, 0xa1]),
        amqp_value(&[0xc1, 0x01, 0x00, 0x40]),
        amqp_value(&[0xff]),
        amqp_value(&[]),
        amqp_value(&nested(5000)),
        amqp_value(&[0x00; 5000]),
        amqp_value(&[0xa1, 0x01, b'x']),
        amqp_value(&[0xa1, 0x01, 0xff]),
        vec![0x00, 0x53, 0x75, 0xa0, 0x01, b'x'],
        vec![0x00, 0x53, 0x76, 0x45],
        vec![0x00, 0x53, 0x7f, 0x45],
        vec![0x00],
        vec![0xff; 100],
    ];
    for body in &bodies {
        for operation in OPERATIONS {
            for name in ["", "self", "listener/nothing"] {
                let properties = [
                    ("operation", operation),
                    ("type", "listener"),
                    ("name", name),
                ];
                let request = scene.manager.request(&properties, body);
                let response = scene.manager.ask(&request);
                assert!(
                    (200..600).contains(&response.status),
                    "{operation} {body:?}: {response:?}"
                );
            }
        }
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_2_requests_that_are_no_messages_do_not_silence_management() {
    let mut scene = Scene::new();
    let head = |scene: &Scene| {
        let properties = scene.manager.properties();
        MessageBuilder::new().properties(properties).build()
    };
    // What comes behind the properties can be answered.
    let odd_properties = [0x00, 0x53, 0x74, 0xc1, 0x04, 0x01, 0xa1, 0x01, b'x'];
    let no_map = [0x00, 0x53, 0x74, 0x45];
    let numbers = [0x00, 0x53, 0x74, 0xc1, 0x05, 0x02, 0x54, 1, 0x54, 2];
    for section in [&odd_properties[..], &no_map, &numbers] {
        let request = [&head(&scene)[..], section].concat();
        let status = scene.manager.ask(&request).status;
        assert_eq!(status, 400, "{section:?}");
    }
    // Without properties nobody knows where an answer would go: the next request is answered.
    let lost = [
        &[0x00, 0x53, 0x73, 0xc0, 0x40, 0x05][..],
        &[0x00, 0x53, 0x73, 0xd0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1],
        &[0x00, 0x53, 0x73, 0x45],
        &[0x00, 0x53, 0x70],
        &[0xff],
    ];
    for message in lost {
        scene.manager.send(message);
        scene.manager.answers();
    }
    scene.ends_well();
}

#[test]
fn class_4_very_long_names_are_answered_and_forgotten() {
    let mut scene = Scene::new();
    let long = "n".repeat(500_000);
    for round in 0..50 {
        let name = format!("{round}{long}");
        for (operation, type_name) in [
            ("READ", "org.apache.qpid.dispatch.listener"),
            ("READ", long.as_str()),
            ("DELETE", "listener"),
            (long.as_str(), "address"),
        ] {
            let properties = [
                ("operation", operation),
                ("type", type_name),
                ("name", &name),
                ("identity", &name),
            ];
            let mut properties = properties.to_vec();
            // A message to management has 1 MiB at most.
            properties.truncate(if operation.len() + type_name.len() > 100 {
                2
            } else {
                3
            });
            let request = scene
                .manager
                .request(&properties, &[0x00, 0x53, 0x77, 0xc1, 1, 0]);
            let status = scene.manager.ask(&request).status;
            assert!((400..600).contains(&status), "{status}");
        }
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_2_queries_for_too_much_are_answered() {
    let mut scene = Scene::new();
    let query = |scene: &Scene, offset: Value, count: Value, names: usize| {
        let mut properties = Map::new();
        properties.push("operation", "QUERY");
        properties.push("entityType", "org.apache.qpid.dispatch.router.link");
        properties.push("offset", offset);
        properties.push("count", count);
        let names = vec![Value::from("linkName"); names];
        let mut body = Map::new();
        body.push("attributeNames", Value::List(names));
        MessageBuilder::new()
            .properties(scene.manager.properties())
            .application_properties(properties)
            .value(Value::Map(body))
            .build()
    };
    for number in [
        Value::Int(-1),
        Value::Long(i64::MIN),
        Value::Ulong(u64::MAX),
        Value::from("many"),
        Value::Null,
        Value::Int(1),
    ] {
        for (offset, count) in [(number.clone(), Value::Null), (Value::Null, number)] {
            let request = query(&scene, offset, count, 1);
            let status = scene.manager.ask(&request).status;
            assert!((200..600).contains(&status), "{status}");
        }
    }
    let request = query(&scene, Value::Null, Value::Null, 50_000);
    let status = scene.manager.ask(&request).status;
    assert!((200..600).contains(&status), "{status}");
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_5_a_request_without_end_is_refused_and_forgotten() {
    let mut scene = Scene::new();
    let mut crowd = Vec::new();
    for _ in 0..5 {
        let mut peer = Peer::producing(&scene.router, "$management");
        // Twice what management takes; the end never comes.
        for _ in 0..150 {
            let part = Transfer {
                more: true,
                ..transfer(0, 0)
            };
            peer.transfer(part, &message(15_000));
        }
        crowd.push(peer);
    }
    // Whole ones, each twice as long as management takes.
    let mut peer = Peer::producing(&scene.router, "$management");
    for id in 0..5 {
        peer.deliver(0, id, &message(2_000_000));
        let (_, answer, _) =
            peer.until(|performative| matches!(performative, Performative::Disposition(_)));
        let Performative::Disposition(answer) = answer else {
            panic!("{answer:?}");
        };
        assert!(
            matches!(answer.state, Some(amqp_codec::DeliveryState::Rejected(_))),
            "{answer:?}"
        );
    }
    scene.stays_small();
    crowd.into_iter().for_each(Peer::vanish);
    peer.vanish();
    scene.ends_well();
}

#[test]
fn class_5_requests_without_end_do_not_keep_others_from_asking() {
    let mut scene = Scene::new();
    let nameless = MessageBuilder::new()
        .properties(Properties {
            to: Some("$management".into()),
            ..Properties::default()
        })
        .build();
    for address in ["$management", ""] {
        // On both workers, since each has its own way to management.
        let mut crowd: Vec<_> = (0..2).map(|_| Peer::begun(&scene.router)).collect();
        for peer in &mut crowd {
            for handle in 0..100 {
                peer.produce(handle, address);
                let open_end = Transfer {
                    more: true,
                    ..transfer(handle, handle)
                };
                peer.transfer(open_end.clone(), &nameless);
                for _ in 0..10 {
                    peer.transfer(open_end.clone(), &message(15_000));
                }
            }
            peer.is_alive();
        }
        scene.goes_on();
        // Whoever comes now is answered too, on either worker.
        for _ in 0..2 {
            Manager::start(&scene.router).answers();
        }
        crowd.into_iter().for_each(Peer::vanish);
    }
    scene.ends_well();
}

/// A request for all links, to be answered at an address.
fn all_links(reply_to: &str, number: u32) -> Vec<u8> {
    let mut properties = Map::new();
    properties.push("operation", "QUERY");
    properties.push("entityType", "org.apache.qpid.dispatch.router.link");
    let mut body = Map::new();
    body.push("attributeNames", Value::List(Vec::new()));
    MessageBuilder::new()
        .properties(Properties {
            reply_to: Some(reply_to.to_owned().into()),
            correlation_id: Some(Value::Uint(number)),
            ..Properties::default()
        })
        .application_properties(properties)
        .value(Value::Map(body))
        .build()
        .to_vec()
}

#[test]
fn class_8_answers_that_nobody_takes_do_not_pile_up() {
    let mut scene = Scene::new();
    let mut peer = Peer::begun(&scene.router);
    // Many links make long answers; a consumer without credit is where they go.
    for handle in 10..2010 {
        let target = Target {
            address: Some(format!("many/{handle}").into()),
            ..Target::default()
        };
        let attach = attach(handle, Role::Sender, Source::default(), target);
        peer.send(0, &Performative::Attach(Box::new(attach)));
        peer.until(|performative| matches!(performative, Performative::Attach(_)));
    }
    peer.consume(0, "answers", 0);
    peer.produce(1, "$management");
    let mut pump = Pump::new(peer, 1);
    for settled in [true, false] {
        pump.send(&all_links("answers", 0), settled, MANY);
        scene.stays_below(ANSWERS_MAX);
    }
    pump.peer.vanish();
    scene.ends_well();
}

#[test]
fn class_8_an_answer_to_management_is_no_request() {
    let mut scene = Scene::new();
    let mut peer = Peer::producing(&scene.router, "$management");
    for number in 0..100 {
        peer.deliver(0, number, &all_links("$management", number));
        peer.until(|performative| matches!(performative, Performative::Disposition(_)));
    }
    // Nothing is left that runs in a circle: what came in has ended.
    let mut ingress = 0;
    wait_until("no delivery comes or goes by itself", || {
        let before = ingress;
        ingress = scene.manager.figure("deliveriesIngress");
        scene.exchange.goes_on();
        before != 0
    });
    peer.send(0, &accepted(0, 0));
    peer.is_alive();
    peer.vanish();
    scene.ends_well();
}

#[test]
fn class_2_a_message_of_garbage_passes_or_is_rejected_and_nothing_else() {
    let mut scene = Scene::new();
    let mut consumer = Peer::consuming(&scene.router, "garbage", 1000);
    let mut producer = Peer::producing(&scene.router, "garbage");
    let mut garbage: Vec<Vec<u8>> = vec![
        vec![],
        vec![0x00],
        vec![0x00, 0x53],
        // Message annotations: odd, too long, too many, too deep.
        vec![0x00, 0x53, 0x72, 0xc1, 0x04, 0x01, 0xa3, 0x01, b'x'],
        vec![0x00, 0x53, 0x72, 0xd1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2],
        vec![0x00, 0x53, 0x72, 0xd1, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xfe],
        [
            &[0x00, 0x53, 0x72, 0xd1][..],
            &u32::try_from(nested(1000).len() + 7).unwrap().to_be_bytes(),
            &[0, 0, 0, 2, 0xa3, 1, b'x'],
            &nested(1000),
        ]
        .concat(),
        // A header that is no list, sections in the wrong order and twice.
        vec![0x00, 0x53, 0x70, 0xa1, 1, b'x'],
        [&message(1)[..], &[0x00, 0x53, 0x70, 0x45], &message(1)].concat(),
        [[0x00, 0x53, 0x72, 0xc1, 1, 0]; 200].concat(),
    ];
    garbage.push(nested(4000));
    for (id, bytes) in (0..).zip(&garbage) {
        match bytes.is_empty() {
            true => producer.transfer(transfer(0, id), b""),
            false => producer.deliver(0, id, bytes),
        }
    }
    // Those that pass come out as they went in; the others are rejected, each of them once.
    producer.deliver(0, u32::try_from(garbage.len()).unwrap(), &message(10));
    loop {
        let (id, received) = consumer.message();
        consumer.accept(id);
        if received == message(10) {
            break;
        }
        assert!(garbage.contains(&received), "{received:?}");
    }
    let mut settled = 0;
    while settled <= garbage.len() {
        let (_, told, _) =
            producer.until(|performative| matches!(performative, Performative::Disposition(_)));
        let Performative::Disposition(told) = told else {
            continue;
        };
        assert!(told.settled);
        settled += (told.last.unwrap_or(told.first) - told.first + 1) as usize;
    }
    producer.vanish();
    consumer.vanish();
    scene.goes_on();
    scene.ends_well();
}
