//! Deliveries that end before their messages do, or whose consumers do.

use amqp_codec::message::{Depth, MessageBuilder, Properties, scan_one};
use amqp_codec::{DeliveryState, Map, Str, Value};
use amqp_proto::LinkKey;

use super::world::World;
use crate::limits;
use crate::route::Treatment;

/// More than is held before a message is forwarded.
const LARGE: usize = 200_000;

fn message(size: usize) -> Vec<u8> {
    MessageBuilder::new().data(vec![7; size]).build().to_vec()
}

/// Begins a message of which more is to come.
fn begin(world: &mut World, peer: usize, link: LinkKey) -> Vec<u8> {
    let mut first = message(2 * LARGE);
    let rest = first.split_off(LARGE);
    assert!(world.send_part(peer, link, &first, false, true));
    rest
}

#[test]
fn copies_settled_before_their_end_leave_their_links_usable() {
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::with_default(shards, Treatment::Multicast);
        let producer = world.connect(0);
        let consumers = [world.connect(far), world.connect(0)];
        for (consumer, name) in consumers.into_iter().zip(["one", "two"]) {
            world.receiver(consumer, name, "m", 10);
        }
        let sender = world.sender(producer, "s", "m");
        let rest = begin(&mut world, producer, sender);
        for consumer in consumers {
            world.dispose(consumer, 0, DeliveryState::Released, true);
        }
        assert!(world.send_part(producer, sender, &rest, false, false));
        let told = world.peers[producer].outcome(0);
        assert_eq!(told, Some((Some(DeliveryState::Released), true)));
        assert!(world.send(producer, sender, &message(10), false));
        for consumer in consumers {
            assert_eq!(world.peers[consumer].received(), [message(10)]);
            world.dispose(consumer, 1, DeliveryState::Accepted, true);
        }
        let told = world.peers[producer].outcome(1);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        assert!(world.nothing_under_way());
    }
}

/// The annotation by which a router says that a message is a stream, then the rest of a message.
fn announced(rest: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut annotations = Map::new();
    annotations.push(Value::symbol("x-opt-qd.stream"), Value::Int(1));
    let first = MessageBuilder::new()
        .message_annotations(annotations)
        .data("")
        .build();
    let end = scan_one(&first, Depth::MessageAnnotations).unwrap().rest as usize;
    (first[..end].to_vec(), rest.to_vec())
}

#[test]
fn only_who_may_speak_for_routers_announces_a_stream() {
    for strips in [true, false] {
        let mut world = World::new(1);
        let consumer = world.connect(0);
        world.receiver(consumer, "r", "q", 10);
        world.listener.strip_annotations.inbound = strips;
        let producer = world.connect(0);
        let sender = world.sender(producer, "s", "q");
        let (first, rest) = announced(&message(10));
        let begun = [first, rest[..5].to_vec()].concat();
        assert!(world.send_part(producer, sender, &begun, false, true));
        let census = world.shards[0].census();
        assert_eq!(census.outbound, usize::from(!strips));
        assert!(world.send_part(producer, sender, &rest[5..], false, false));
        assert_eq!(world.peers[consumer].received(), [message(10)]);
    }
}

#[test]
fn long_leading_sections_are_read_to_their_end() {
    let mut properties = Properties {
        to: Some(Str::from("q")),
        ..Properties::default()
    };
    properties.subject = Some(Str::copy(&"s".repeat(LARGE)));
    let mut annotations = Map::new();
    annotations.push(
        Value::symbol("note"),
        Value::String(Str::copy(&"n".repeat(LARGE))),
    );
    let message = MessageBuilder::new()
        .message_annotations(annotations)
        .properties(properties)
        .data("text")
        .build();
    for address in ["q", ""] {
        let mut world = World::new(1);
        let producer = world.connect(0);
        let consumer = world.connect(0);
        world.receiver(consumer, "r", "q", 10);
        let sender = world.sender(producer, "s", address);
        for part in message.chunks(150_000) {
            let more = part.as_ptr_range().end != message.as_ptr_range().end;
            assert!(world.send_part(producer, sender, part, false, more));
        }
        assert_eq!(world.peers[consumer].received(), [&message[..]]);
        assert_eq!(world.peers[producer].outcome(0), None);
    }
}

#[test]
fn a_message_that_never_says_where_it_goes_is_refused_at_its_bound() {
    let mut world = World::new(1);
    let producer = world.connect(0);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "q", 10);
    let sender = world.sender(producer, "s", "q");
    // Message annotations of a gigabyte.
    let head = [0x00, 0x53, 0x72, 0xd1, 0x40, 0, 0, 0, 0, 0, 0, 2];
    assert!(world.send_part(producer, sender, &head, false, true));
    let chunk = vec![0; 100_000];
    for _ in 0..limits::OPENING_BYTES / 100_000 {
        assert!(world.send_part(producer, sender, &chunk, false, true));
    }
    assert!(world.shards[0].census().held_bytes > 1_000_000);
    assert!(world.send_part(producer, sender, &chunk, false, true));
    assert!(world.send_part(producer, sender, &chunk, false, false));
    let told = world.peers[producer].outcome(0);
    assert!(
        matches!(told, Some((Some(DeliveryState::Rejected(_)), true))),
        "{told:?}"
    );
    assert!(world.nothing_under_way());
}
