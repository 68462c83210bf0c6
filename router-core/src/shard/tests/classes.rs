//! Classes of attack on shards; each test is named after its class: 5 endless deliveries, 6 windows
//! and tables, 7 ranges, 14 annotations, 20 defects of ours, 23 forms of the same message.

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{DeliveryState, Disposition, Map, Performative, Role, Symbol, Transfer, Value};
use amqp_proto::{
    Clear, Event, LinkKey, Payload, RecvBuf, Security, SendQueue, Transform, TransformError,
};
use bytes::Bytes;

use super::world::World;
use crate::limits;
use crate::route::Treatment;

/// Runs a scene with everything on one shard, and with the consumer on another shard.
fn on_one_and_two_shards(scene: impl Fn(&mut World, usize)) {
    scene(&mut World::new(1), 0);
    scene(&mut World::new(2), 1);
}

/// A message with one data section of this length.
fn message(length: usize) -> Bytes {
    let mut bytes = vec![0x00, 0x53, 0x75, 0xb0];
    bytes.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    bytes.resize(8 + length, 7);
    bytes.into()
}

/// Sends messages until the windows are shut; how many bytes went, and what is left of the last.
fn flood(world: &mut World, peer: usize, link: LinkKey, message: &Bytes) -> (u64, Payload) {
    let mut bytes = 0;
    loop {
        let mut rest = Payload::from(message.clone());
        let whole = world.pour(peer, link, &mut rest, false, false);
        bytes += if whole {
            message.len()
        } else {
            message.len() - rest.len()
        } as u64;
        if !whole {
            return (bytes, rest);
        }
        assert!(bytes < 1 << 30, "nothing holds the producer back");
    }
}

#[test]
fn class_5_what_a_link_holds_is_bounded_whatever_its_messages_are() {
    let most = limits::LINK_BYTES
        + limits::WITHHELD_STEP
        + u64::from(limits::SESSION_WINDOW_BYTES)
        + limits::STREAM_WINDOW;
    for size in [100_000, 200_000, 300_000, 1_000_000, 100_000_000] {
        on_one_and_two_shards(|world, far| {
            let producer = world.connect(0);
            let consumer = world.connect(far);
            let receiver = world.receiver(consumer, "r", "q", 0);
            let sender = world.sender(producer, "s", "q");
            let message = message(size);
            let (held, mut rest) = flood(world, producer, sender, &message);
            assert!(held <= most, "{held} bytes of {size} each are held");
            // The window opens again when somebody takes what is held.
            world.credit(consumer, receiver, 1000, false);
            let mut whole = world.pour(producer, sender, &mut rest, false, false);
            let mut taken = 0;
            while taken < world.peers[consumer].messages.len() {
                assert!(*world.peers[consumer].received()[taken] == message);
                let id = u32::try_from(taken).unwrap();
                world.dispose(consumer, id, DeliveryState::Accepted, true);
                taken += 1;
                whole = whole || world.pour(producer, sender, &mut rest, false, false);
            }
            assert!(whole, "the window of {size} stays shut");
            for shard in &world.shards {
                assert_eq!(shard.deliveries_in_flight(), 0);
            }
        });
    }
}

#[test]
fn class_5_what_a_connection_holds_is_bounded_however_many_its_links_are() {
    let mut world = World::new(2);
    let producer = world.connect(0);
    let consumer = world.connect(1);
    world.receiver(consumer, "r", "q", 0);
    let mut held = 0;
    // Deliveries of which the end is never sent, and which are not yet long enough to go on.
    for number in 0..2000 {
        let sender = world.sender(producer, &format!("s{number}"), "q");
        let mut rest = Payload::from(message(100_000));
        let whole = world.pour(producer, sender, &mut rest, false, true);
        held += 100_000 - rest.len();
        if !whole {
            break;
        }
    }
    let most = limits::CONNECTION_BYTES + u64::from(limits::SESSION_WINDOW_BYTES);
    assert!(held as u64 <= most, "{held} bytes are held");
    world.vanish(producer);
    for shard in &world.shards {
        assert_eq!(shard.deliveries_in_flight(), 0);
    }
}

#[test]
fn class_5_a_stream_goes_on_when_the_consumer_that_stalled_it_leaves() {
    // The one who takes nothing is on a shard of its own, or with one who takes everything.
    for stalled_at in [1, 2] {
        let mut world = World::with_default(3, Treatment::Multicast);
        let producer = world.connect(0);
        let reader = world.connect(1);
        world.receiver(reader, "r", "m", 1000);
        let stalled = world.connect(stalled_at);
        let stuck = world.receiver(stalled, "r", "m", 0);
        let sender = world.sender(producer, "s", "m");
        let message = message(30_000_000);
        let mut rest = Payload::from(message.clone());
        let whole = world.pour(producer, sender, &mut rest, false, false);
        assert!(!whole, "it goes at the pace of the slowest");
        if stalled_at == 1 {
            world.vanish(stalled);
        } else {
            world.detach(stalled, stuck);
        }
        assert!(world.pour(producer, sender, &mut rest, false, false));
        assert_eq!(world.peers[reader].received(), [message]);
        world.dispose(reader, 0, DeliveryState::Accepted, true);
        let told = world.peers[producer].outcome(0);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
    }
}

/// A request to the management agent; by its properties where the link is anonymous.
fn request(text: &'static str) -> Bytes {
    MessageBuilder::new()
        .properties(Properties {
            to: Some("$management".into()),
            ..Properties::default()
        })
        .value(text)
        .build()
}

#[test]
fn class_5_requests_without_end_hold_no_place_at_the_agent() {
    for address in ["$management", ""] {
        let mut world = World::new(1);
        let attacker = world.connect(0);
        let mut begun = request("never ending").to_vec();
        begun.resize(limits::STREAM_THRESHOLD + 1000, 0);
        for number in 0..limits::IN_PROCESS_DEPTH * 2 {
            let sender = world.sender(attacker, &format!("s{number}"), address);
            assert!(world.send_part(attacker, sender, &begun, number % 2 == 0, true));
        }
        let asking = world.connect(0);
        let sender = world.sender(asking, "s", address);
        assert!(world.send(asking, sender, &request("short"), false));
        let asked = world.control.poll_request().expect("a place at the agent");
        assert_eq!(asked.message, request("short"));
        // One that is too long is rejected, and one that ends is asked.
        let sender = world.sender(asking, "long", address);
        let mut long = begun.clone();
        long.resize(limits::IN_PROCESS_MESSAGE_BYTES + 1, 0);
        assert!(world.send(asking, sender, &long, false));
        let told = world.peers[asking].outcome(1);
        assert!(
            matches!(told, Some((Some(DeliveryState::Rejected(_)), true))),
            "{told:?}"
        );
        long.truncate(limits::IN_PROCESS_MESSAGE_BYTES - 1000);
        assert!(world.send(asking, sender, &long, false));
        let asked = world.control.poll_request().expect("a request");
        assert_eq!(asked.message, long);
    }
}

#[test]
fn class_6_more_frames_than_the_window_end_the_session_and_no_other() {
    let mut world = World::new(1);
    world.listener.max_session_frames = Some(10);
    let producer = world.connect(0);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "q", 0);
    let sender = world.sender(producer, "s", "q");
    let (held, _) = flood(&mut world, producer, sender, &message(10_000));
    assert!(held > 0);
    let other = {
        let peer = &mut world.peers[producer];
        peer.engine.begin(&mut peer.output).unwrap()
    };
    world.run();
    let part = |more| {
        Performative::Transfer(Transfer {
            delivery_id: Some(1_000_000),
            more,
            ..Transfer::default()
        })
    };
    for _ in 0..2000 {
        world.raw(producer, 0, &part(true));
    }
    let ended = world.peers[producer]
        .events
        .iter()
        .find_map(|event| match event {
            Event::Ended { session, error, .. } => Some((*session, error.clone())),
            Event::LinkFailed { .. } | Event::Closed { .. } => panic!("{event:?}"),
            _ => None,
        });
    let (session, error) = ended.expect("the session ends");
    assert_ne!(session, other);
    assert!(error.is_some());
    assert!(world.peers[producer].engine.is_open());
}

#[test]
fn class_6_sessions_beyond_the_limit_are_ended_alone() {
    let mut world = World::new(1);
    let peer = world.connect(0);
    for _ in 0..limits::SESSIONS_PER_CONNECTION + 10 {
        let peer = &mut world.peers[peer];
        peer.engine.begin(&mut peer.output).unwrap();
    }
    world.run();
    let ended = world.peers[peer]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Ended { error, .. } => error.as_ref(),
            _ => None,
        });
    let conditions: Vec<_> = ended.map(|error| error.condition.to_string()).collect();
    // The peer had one session before.
    assert_eq!(conditions, vec!["amqp:resource-limit-exceeded"; 11]);
    assert!(world.peers[peer].engine.is_open());
    world.receiver(peer, "r", "q", 1);
}

#[test]
fn class_7_ranges_settle_what_there_is_once() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver(consumer, "r", "q", 1000);
        let sender = world.sender(producer, "s", "q");
        for _ in 0..100 {
            assert!(world.send(producer, sender, &message(10), false));
        }
        let everything = |role, first, settled| {
            Performative::Disposition(Disposition {
                role,
                first,
                last: Some(first.wrapping_add(u32::MAX >> 1)),
                settled,
                state: Some(DeliveryState::Accepted),
                ..Disposition::default()
            })
        };
        for first in [0, u32::MAX - 50, u32::MAX >> 1, 1 << 31] {
            for _ in 0..20 {
                world.raw(consumer, 0, &everything(Role::Receiver, first, first != 0));
                world.raw(producer, 0, &everything(Role::Sender, 1 << 31, true));
            }
        }
        let accepted = world
            .shards
            .iter()
            .map(|shard| shard.deliveries_in_flight());
        assert_eq!(accepted.sum::<usize>(), 0);
        let told = world.peers[producer].outcome(99);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
    });
}

/// Everything that routers say to each other, from a client.
fn forged() -> Map {
    let mut annotations = Map::new();
    let list = |text: &'static str| Value::List(vec![Value::from(text)]);
    for (key, value) in [
        ("x-opt-qd.to", Value::from("elsewhere")),
        ("x-opt-qd.ingress", Value::from("0/OTHER")),
        ("x-opt-qd.trace", list("0/QDR")),
        ("x-opt-qd.phase", Value::Int(7)),
        ("x-opt-qd.class", Value::Int(1)),
        ("x-opt-qd.anything", list("at all")),
    ] {
        annotations.push(Value::Symbol(Symbol::from(key)), value);
    }
    annotations
}

#[test]
fn class_14_router_annotations_of_clients_never_pass_and_lead_nowhere() {
    for (address, size, outbound) in [
        ("q", 10, true),
        ("", 10, true),
        ("q", 500_000, true),
        ("", 500_000, true),
        ("q", 10, false),
        ("", 500_000, false),
    ] {
        on_one_and_two_shards(|world, far| {
            world.listener.strip_annotations.outbound = outbound;
            let producer = world.connect(0);
            let consumer = world.connect(far);
            world.receiver(consumer, "r", "q", 10);
            world.receiver(consumer, "elsewhere", "elsewhere", 10);
            let sender = world.sender(producer, "s", address);
            let properties = Properties {
                to: Some("q".into()),
                ..Properties::default()
            };
            let build = |annotations| {
                MessageBuilder::new()
                    .message_annotations(annotations)
                    .properties(properties.clone())
                    .data(vec![7; size])
                    .build()
            };
            assert!(world.send(producer, sender, &build(forged()), false));
            let received = world.peers[consumer].received();
            let [received] = received[..] else {
                panic!("{} messages", received.len());
            };
            if outbound {
                assert!(*received == build(Map::new()));
            } else {
                let has = |text: &[u8]| received.windows(text.len()).any(|part| part == text);
                assert!(has(b"0/QDR") && has(b"x-opt-qd.ingress"));
                assert!(!has(b"OTHER") && !has(b"elsewhere") && !has(b"anything"));
            }
        });
    }
}

/// A stage with a defect: it panics at a certain byte.
struct Defective;

impl Transform for Defective {
    fn open(&mut self, wire: &mut [u8], plain: &mut RecvBuf) -> Result<(), TransformError> {
        assert!(!wire.contains(&0xee), "the defect");
        Clear.open(wire, plain)
    }

    fn seal(&mut self, plain: &mut SendQueue, wire: &mut SendQueue) -> Result<(), TransformError> {
        Clear.seal(plain, wire)
    }

    fn security(&self) -> Option<&Security> {
        None
    }

    fn is_clear(&self) -> bool {
        false
    }
}

#[test]
fn class_20_a_defect_below_the_shard_ends_one_connection() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        let receiver = world.receiver(consumer, "r", "q", 10);
        let sender = world.sender(producer, "s", "q");
        let victim = world.connect_through(0, Box::new(Defective));
        let victims = world.sender(victim, "s", "q");
        assert!(world.send(victim, victims, &message(10), false));
        world.peers[victim]
            .output
            .push_shared(Bytes::from_static(&[0xee]));
        world.run();
        assert!(world.peers[victim].gone, "its connection ends");
        assert!(world.send(producer, sender, &message(20), false));
        assert_eq!(world.peers[consumer].received(), [message(10), message(20)]);
        for id in [0, 1] {
            world.dispose(consumer, id, DeliveryState::Accepted, true);
        }
        world.credit(consumer, receiver, 10, false);
        let told = world.peers[producer].outcome(0);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        for shard in &world.shards {
            assert_eq!(shard.deliveries_in_flight(), 0);
        }
    });
}

/// What becomes of a message: what a consumer of `q` gets of it, and what its producer is told.
type Fate = (Option<Vec<u8>>, Option<(Option<DeliveryState>, bool)>);

/// The fate of a message that is sent in frames of these sizes, the last for the rest.
fn fate(message: &[u8], address: &str, frames: &[usize], strip: bool) -> Fate {
    let mut world = World::new(1);
    world.listener.strip_annotations.inbound = strip;
    let peer = world.connect(0);
    world.receiver(peer, "r", "q", 10);
    let sender = world.sender(peer, "s", address);
    let mut rest = message;
    for &length in frames {
        let (part, more) = rest.split_at(length.min(rest.len()));
        rest = more;
        if !part.is_empty() && !rest.is_empty() {
            assert!(world.send_part(peer, sender, part, false, true));
        }
    }
    assert!(world.send(peer, sender, rest, false));
    let received = world.peers[peer].messages.pop();
    if let Some((_, id, _)) = &received {
        world.dispose(peer, *id, DeliveryState::Accepted, true);
    }
    let told = world.peers[peer].outcome(0);
    (received.map(|(_, _, bytes)| bytes), told)
}

/// Messages of many forms, sound and unsound.
fn forms() -> Vec<Vec<u8>> {
    let whole = MessageBuilder::new()
        .message_annotations(forged())
        .properties(Properties {
            to: Some("q".into()),
            ..Properties::default()
        })
        .data(&b"body"[..])
        .build()
        .to_vec();
    // A header, its descriptor by number of any width and by name.
    let by_name = |name: &str, section: &[u8]| {
        let length = u8::try_from(name.len()).unwrap();
        [&[0x00, 0xa3, length][..], name.as_bytes(), section].concat()
    };
    let header = by_name("amqp:header:list", &[0x45]);
    let long_header = [
        0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x70, 0xc0, 0x02, 0x01, 0x41,
    ];
    let properties = by_name(
        "amqp:properties:list",
        &[0xc0, 0x06, 0x03, 0x40, 0x40, 0xa1, 0x01, b'q'],
    );
    // Names of which a section's name is the beginning.
    let almost = by_name("amqp:data:binary-or-not", &[0xa0, 1, b'x']);
    let data = [0x00, 0x53, 0x75, 0xa0, 1, b'x'];
    vec![
        whole.clone(),
        [&header[..], &whole].concat(),
        [&long_header[..], &properties, &data].concat(),
        [&properties[..], &almost].concat(),
        [&properties[..], &data, &[0xff, 0xff]].concat(),
        whole[..whole.len() / 2].to_vec(),
        [
            &header[..],
            &[0x00, 0x53, 0x72, 0xc1, 0x04, 0x01, 0xa3, 0x01, b'x'],
            &data,
        ]
        .concat(),
        [&header[..], &[0x00, 0x53, 0x73, 0xc0, 0x7f, 0x05]].concat(),
        [
            &[0x00, 0x53, 0x72, 0xd1, 0, 0, 0, 4, 0, 0, 0, 0][..],
            &properties,
            &data,
        ]
        .concat(),
    ]
}

#[test]
fn class_23_a_message_has_one_fate_in_whatever_frames_it_comes() {
    for form in forms() {
        for (address, strip) in [("q", true), ("q", false), ("", true), ("", false)] {
            let expected = fate(&form, address, &[], strip);
            assert!(expected.1.is_some(), "it is settled: {form:?}");
            for length in 1..form.len() {
                let split = fate(&form, address, &[length], strip);
                assert_eq!(split, expected, "{length} of {form:?}");
            }
            let crumbs = fate(&form, address, &vec![1; form.len() - 1], strip);
            assert_eq!(crumbs, expected, "{form:?}");
        }
    }
}

#[test]
fn class_23_the_address_remembered_is_the_address_looked_up() {
    let to = |address: &str| {
        MessageBuilder::new()
            .properties(Properties {
                to: Some(address.to_owned().into()),
                ..Properties::default()
            })
            .build()
    };
    let mut world = World::new(2);
    let consumer = world.connect(1);
    let a = world.receiver(consumer, "a", "a", 100);
    let b = world.receiver(consumer, "b", "b", 100);
    let peer = world.connect(0);
    let sender = world.sender(peer, "s", "");
    let texts = [
        "a",
        "a",
        "b",
        "a",
        "amqp:/a",
        "amqp://host/b",
        "b",
        "nowhere",
        "b",
        "/a",
        "",
    ];
    for text in texts {
        // The same by a link that remembers nothing.
        let fresh = world.sender(peer, &format!("fresh {text}"), "");
        for link in [sender, fresh] {
            assert!(world.send(peer, link, &to(text), false));
        }
        let links: Vec<_> = world.peers[consumer]
            .messages
            .drain(..)
            .map(|m| m.0)
            .collect();
        let ([] | [_, _]) = links[..] else {
            panic!("{text}: {links:?}");
        };
        assert!(links.iter().all(|link| *link == links[0]), "{text}");
        assert!(links.iter().all(|link| [a, b].contains(link)));
        world.detach(peer, fresh);
    }
    // What was remembered is forgotten with its consumer.
    assert!(world.send(peer, sender, &to("a"), false));
    world.detach(consumer, a);
    let count = world.peers[consumer].messages.len();
    assert!(world.send(peer, sender, &to("a"), false));
    assert_eq!(world.peers[consumer].messages.len(), count);
}
