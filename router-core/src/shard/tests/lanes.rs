//! What waits for a consumer that gives no credit.

use amqp_codec::DeliveryState;
use amqp_codec::message::MessageBuilder;
use amqp_proto::LinkKey;

use super::world::World;
use crate::counters::Counter;
use crate::limits;
use crate::route::Treatment;

fn message(size: usize) -> Vec<u8> {
    MessageBuilder::new().data(vec![7; size]).build().to_vec()
}

#[test]
fn what_is_settled_early_and_dropped_gives_its_window_back() {
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::new(shards);
        world.listener.link_capacity = 10;
        let producer = world.connect(0);
        let consumer = world.connect(far);
        let link = world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        for _ in 0..10 {
            assert!(world.send(producer, sender, &message(1), false));
            world.settle_as_sender(producer, sender);
        }
        assert!(world.send(producer, sender, &message(2), true));
        for _ in 0..8 {
            assert!(world.send(producer, sender, &message(3), false));
        }
        world.credit(consumer, link, 100, false);
        let late = world.peers[consumer].received();
        let late = late.iter().filter(|got| **got == message(3)).count();
        assert_eq!(late, 8);
    }
}

#[test]
fn what_is_settled_while_it_waits_obeys_the_rule_for_settled_deliveries() {
    let size = 1_900_000;
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::new(shards);
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        for _ in 0..20 {
            assert!(world.send(producer, sender, &message(size), false));
            world.settle_as_sender(producer, sender);
            let waiting = world.shards[far].census().lane_bytes;
            assert!(waiting < limits::LANE_BYTES, "{waiting}");
        }
        let dropped = world.shards[far].out_links.iter().next().unwrap().1;
        assert!(dropped.counters.dropped_presettled > 0);
    }
}

#[test]
fn a_stream_that_is_settled_on_its_way_is_settled_in_its_lane() {
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::new(shards);
        let producer = world.connect(0);
        let consumer = world.connect(far);
        let link = world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        let mut first = message(400_000);
        let rest = first.split_off(200_000);
        assert!(world.send_part(producer, sender, &first, false, true));
        assert!(world.send_part(producer, sender, &rest, true, false));
        assert!(world.shards[far].census().lane_bytes > 400_000);
        world.credit(consumer, link, 1, false);
        assert_eq!(world.peers[consumer].messages.len(), 1);
        assert!(world.nothing_under_way());
    }
}

#[test]
fn a_large_message_that_was_whole_before_its_consumer_left_goes_to_another() {
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::new(shards);
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        let whole = message(2_000_000);
        assert!(world.send_part(producer, sender, &whole[..500_000], false, true));
        assert!(world.send_part(producer, sender, &whole[500_000..], false, false));
        let begun = message(400_000);
        assert!(world.send_part(producer, sender, &begun[..300_000], false, true));
        let second = world.connect(0);
        let link = world.receiver(second, "r", "q", 0);
        world.vanish(consumer);
        // One that is not whole cannot: what came of it has gone ahead.
        let told = world.peers[producer].outcome(1);
        assert_eq!(told, Some((Some(DeliveryState::Released), false)));
        assert!(world.send_part(producer, sender, &begun[300_000..], false, false));
        assert_eq!(world.peers[producer].outcome(0), None);
        world.credit(second, link, 10, false);
        assert_eq!(world.peers[second].received(), [&whole[..]]);
        assert_eq!(
            world.shards[0].census().held_bytes,
            limits::DELIVERY_OVERHEAD
        );
        world.dispose(second, 0, DeliveryState::Accepted, true);
        let told = world.peers[producer].outcome(0);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        assert!(world.nothing_under_way());
    }
}

/// Whether what waits in the lanes of a shard shares its memory with nothing, such as the window
/// that it was read into.
fn keeps_to_itself(world: &World, shard: usize) -> bool {
    let links = world.shards[shard].out_links.iter();
    let waiting = links.flat_map(|(_, link)| &link.lane);
    let mut chunks = waiting.flat_map(|queued| queued.forward.payload.chunks());
    chunks.all(bytes::Bytes::is_unique)
}

#[test]
fn small_messages_that_wait_let_go_of_their_read_window() {
    for treatment in [Treatment::AnycastBalanced, Treatment::Multicast] {
        let mut world = World::with_default(2, treatment);
        let producer = world.connect(0);
        let consumer = world.connect(1);
        world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        for settled in [false, true, false] {
            assert!(world.send(producer, sender, &message(1), settled));
            assert!(keeps_to_itself(&world, 1));
        }
        assert_eq!(world.shards[1].census().queued, 3);
    }
}

#[test]
fn class_5_many_links_of_one_consumer_hold_no_more_than_its_connection_may() {
    for shards in [1, 2] {
        let mut world = World::new(shards);
        let consumer = world.connect(usize::from(shards) - 1);
        let producer = world.connect(0);
        let message = MessageBuilder::new().data(vec![7; 100_000]).build();
        let links = limits::CONNECTION_LANE_BYTES / limits::LANE_BYTES + 2;
        let mut receivers = Vec::new();
        for number in 0..links {
            let address = format!("q{number}");
            receivers.push(world.receiver(consumer, &address, &address, 0));
            let sender = world.sender(producer, &address, &address);
            for _ in 0..limits::LANE_BYTES / 100_000 {
                assert!(world.send(producer, sender, &message, true));
            }
        }
        let census = world.shards[usize::from(shards) - 1].census();
        let most = limits::CONNECTION_LANE_BYTES + 200_000;
        assert!(census.connection_lane_bytes <= most, "{census:?}");
        assert_eq!(census.drift, 0);
        for link in receivers {
            world.credit(consumer, link, 1000, false);
        }
        let received = world.peers[consumer].received().len() as u64;
        let room = limits::CONNECTION_LANE_BYTES / (100_000 + limits::DELIVERY_OVERHEAD);
        assert!(received >= room && received <= room + 2, "{received}");
        let dropped = world.counters.total(Counter::DroppedPresettledDeliveries);
        assert_eq!(received + dropped, links * (limits::LANE_BYTES / 100_000));
        let census = world.shards[usize::from(shards) - 1].census();
        assert_eq!((census.connection_lane_bytes, census.drift), (0, 0));
    }
}

/// As many copies of one-byte messages as there is room for on a connection, and more.
fn crowd(settled: bool) -> (World, usize, usize) {
    let mut world = World::with_default(2, Treatment::Multicast);
    let crowd = world.connect(1);
    for number in 0..600 {
        world.receiver(crowd, &number.to_string(), "all", 0);
    }
    let reader = world.connect(0);
    world.receiver(reader, "r", "all", 10_000);
    let producer = world.connect(0);
    let sender = world.sender(producer, "s", "all");
    for _ in 0..2 {
        world.send_many(producer, sender, &message(1), settled, 120);
    }
    (world, crowd, reader)
}

#[test]
fn class_6_copies_for_a_crowd_that_gives_no_credit_are_bounded() {
    for settled in [true, false] {
        let (mut world, crowd, reader) = crowd(settled);
        let census = world.shards[1].census();
        let most = limits::CONNECTION_LANE_BYTES / limits::DELIVERY_OVERHEAD + 600;
        assert!(census.queued as u64 <= most, "{census:?}");
        assert!(census.queued > 100_000, "{census:?}");
        // Who reads has had each of them.
        assert_eq!(world.peers[reader].received().len(), 240);
        world.vanish(crowd);
        let census = world.shards[1].census();
        assert_eq!((census.queued, census.connection_lane_bytes), (0, 0));
    }
}

#[test]
fn class_6_states_on_transfers_that_wait_are_on_their_producers_account() {
    let mut world = World::new(1);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "q", 0);
    let producer = world.connect(0);
    let sender = world.sender(producer, "s", "q");
    let state = DeliveryState::Declared(vec![7; 10_000].into());
    for _ in 0..100 {
        world.send_with_state(producer, sender, &message(1), &state);
    }
    let held = world.shards[0].census().held_bytes;
    assert!(held > 100 * 10_000, "{held}");
}

/// A message of 10 kB for a consumer that takes it and does not settle, and for one on another
/// shard that gives no credit: the latter's connection and link.
fn sent_to_near_and_far(treatment: Treatment) -> (World, usize, LinkKey) {
    let mut world = World::with_default(2, treatment);
    let near = world.connect(0);
    world.receiver(near, "near", "q", 10);
    let far = world.connect(1);
    let slow = world.receiver(far, "far", "q", 0);
    let producer = world.connect(0);
    let sender = world.sender(producer, "s", "q");
    assert!(world.send(producer, sender, &message(10_000), false));
    (world, far, slow)
}

/// Asserts that one delivery is known of which nothing but its record is left.
fn assert_has_left(world: &World) {
    let census = world.shards[0].census();
    let found = (census.inbound, census.held_bytes);
    assert_eq!(found, (1, limits::DELIVERY_OVERHEAD));
}

#[test]
fn what_has_left_counts_no_more_although_it_is_not_settled() {
    let (world, _, _) = sent_to_near_and_far(Treatment::AnycastClosest);
    assert_has_left(&world);
    let (mut world, far, slow) = sent_to_near_and_far(Treatment::Multicast);
    let held = world.shards[0].census().held_bytes;
    assert!(held > 10_000, "a copy is still here: {held}");
    world.credit(far, slow, 1, false);
    assert_has_left(&world);
}

#[test]
fn a_copy_that_its_consumer_leaves_behind_counts_no_more() {
    let (mut world, far, gone) = sent_to_near_and_far(Treatment::Multicast);
    world.detach(far, gone);
    assert_has_left(&world);
}

#[test]
fn large_settled_messages_that_wait_hold_no_more_than_they_are_long() {
    let mut world = World::new(1);
    world.read = 20_000;
    let consumer = world.connect(0);
    let slow = world.receiver(consumer, "r", "q", 0);
    let producer = world.connect(0);
    let sender = world.sender(producer, "s", "q");
    let large = message(400_000);
    for _ in 0..5 {
        assert!(world.send(producer, sender, &large, true));
    }
    let window = &mut world.shards[0].window;
    for _ in 0..20 {
        window.relax();
    }
    assert!(!window.has_surplus(), "they keep what they were read into");
    world.credit(consumer, slow, 5, false);
    assert_eq!(world.peers[consumer].received(), vec![large; 5]);
}
