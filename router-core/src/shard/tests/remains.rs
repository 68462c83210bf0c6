//! What the simulator found: what was left behind when deliveries ended in unusual ways, and what
//! was still in the form meant for somebody else.

use amqp_codec::message::{Depth, MessageBuilder, Properties, parse, scan_one};
use amqp_codec::{DeliveryState, DeliveryTag, Map, Str, Value};
use amqp_proto::{LinkKey, OutTransfer, Payload};
use bytes::Bytes;

use super::world::World;
use crate::route::Treatment;

/// More than is held before a message is forwarded.
const LARGE: usize = 200_000;

fn message(size: usize) -> Vec<u8> {
    MessageBuilder::new().data(vec![7; size]).build().to_vec()
}

/// Gives up the message that a producer has begun.
fn abort(world: &mut World, peer: usize, link: LinkKey) {
    let tag = DeliveryTag::new(b"t").unwrap();
    let transfer = OutTransfer {
        aborted: true,
        ..OutTransfer::new(7, tag)
    };
    let peer = &mut world.peers[peer];
    peer.engine
        .send_transfer(link, &transfer, &[], &Payload::new(), &mut peer.output);
    world.run();
}

/// Sets of copies, and deliveries found by their origin, on all shards.
fn remains(world: &World) -> usize {
    let shards = world.shards.iter();
    shards
        .map(|shard| shard.census())
        .map(|census| census.copies + census.origins)
        .sum()
}

#[test]
fn a_message_that_calls_itself_a_stream_waits_for_its_address() {
    let mut world = World::new(1);
    let producer = world.connect(0);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "q", 10);
    let sender = world.sender(producer, "s", "");
    let mut annotations = Map::new();
    annotations.push(Value::symbol("x-opt-qd.stream"), Value::Int(1));
    let message = MessageBuilder::new()
        .message_annotations(annotations)
        .properties(Properties {
            to: Some(Str::from("q")),
            ..Properties::default()
        })
        .data("text")
        .build();
    let sections = scan_one(&message, Depth::MessageAnnotations).unwrap();
    let (first, rest) = message.split_at(sections.rest as usize);
    assert!(world.send_part(producer, sender, first, false, true));
    assert!(world.send_part(producer, sender, &rest[..3], false, true));
    assert!(world.send_part(producer, sender, &rest[3..], false, false));
    assert_eq!(world.peers[consumer].received().len(), 1);
    assert_eq!(world.peers[producer].outcome(0), None);
}

#[test]
fn nothing_is_left_of_copies_of_an_aborted_stream() {
    for shards in [1, 2] {
        let mut world = World::with_default(shards, Treatment::Multicast);
        let producer = world.connect(0);
        let consumer = world.connect(usize::from(shards) - 1);
        world.receiver(consumer, "one", "m", 10);
        world.receiver(consumer, "two", "m", 0);
        let sender = world.sender(producer, "s", "m");
        assert!(world.send_part(producer, sender, &message(LARGE), false, true));
        assert_eq!(remains(&world), 2);
        abort(&mut world, producer, sender);
        assert_eq!(remains(&world), 0);
        assert!(world.send(producer, sender, &message(10), false));
        assert_eq!(world.peers[consumer].messages.len(), 1);
    }
}

#[test]
fn nothing_is_left_of_a_settled_stream_that_was_dropped() {
    let mut world = World::new(2);
    world.listener.link_capacity = 2;
    let producer = world.connect(0);
    let consumer = world.connect(1);
    world.receiver(consumer, "r", "q", 0);
    let sender = world.sender(producer, "s", "q");
    assert!(world.send(producer, sender, &message(10), true));
    assert!(world.send(producer, sender, &message(LARGE), true));
    assert!(world.send(producer, sender, &message(10), true));
    assert_eq!(remains(&world), 0);
}

#[test]
fn a_lost_consumer_of_settled_deliveries_has_not_accepted_half_a_message() {
    let mut world = World::new(2);
    let producer = world.connect(0);
    let consumer = world.connect_with_window(1, 1);
    world.receiver_of_settled(consumer, "r", "q", 10);
    let sender = world.sender(producer, "s", "q");
    assert!(world.send(producer, sender, &message(LARGE), false));
    assert_eq!(world.peers[producer].outcome(0), None);
    world.vanish(consumer);
    let told = world.peers[producer].outcome(0);
    assert!(
        matches!(told, Some((Some(DeliveryState::Modified(_)), true))),
        "{told:?}"
    );
    assert_eq!(world.shards[0].deliveries_in_flight(), 0);
}

/// A message that waits for one consumer goes to another one, whose connection wants router
/// annotations or not; what the other one got.
fn handed_over(first_strips: bool, second_strips: bool) -> Bytes {
    let mut world = World::new(1);
    let producer = world.connect(0);
    world.listener.strip_annotations.outbound = first_strips;
    let first = world.connect_with_window(0, 1);
    let link = world.receiver(first, "r", "q", 10);
    let sender = world.sender(producer, "s", "q");
    assert!(world.send(producer, sender, &message(1), false));
    assert!(world.send(producer, sender, &message(2), false));
    assert_eq!(world.peers[first].messages.len(), 1, "no window for two");
    world.listener.strip_annotations.outbound = second_strips;
    let second = world.connect(0);
    world.receiver(second, "r", "q", 10);
    world.detach(first, link);
    Bytes::from(world.peers[second].messages[0].2.clone())
}

#[test]
fn a_message_changes_its_annotations_with_its_consumer() {
    assert_eq!(handed_over(true, true), message(2));
    assert_eq!(handed_over(false, true), message(2));
    for first in [true, false] {
        let annotated = parse(&handed_over(first, false)).unwrap();
        let trace = annotated.message_annotations.get("x-opt-qd.trace");
        assert!(trace.is_some(), "{annotated:?}");
    }
}
