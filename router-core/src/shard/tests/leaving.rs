//! What is left of the deliveries of a link that has gone.

use amqp_codec::DeliveryState;
use amqp_codec::message::MessageBuilder;

use amqp_proto::Time;

use super::world::World;
use crate::ids::ConnKey;
use crate::limits;
use crate::route::Treatment;

fn message(size: usize) -> Vec<u8> {
    MessageBuilder::new().data(vec![7; size]).build().to_vec()
}

#[test]
fn links_that_have_gone_leave_nothing_on_their_connections_account() {
    let mut world = World::new(1);
    let producer = world.connect(0);
    let consumer = world.connect(0);
    let link = world.receiver(consumer, "r", "sink", 0);
    let size = 1_000_000;
    // Another that sends by the session, so that they are let in.
    world.sender(producer, "beside", "sink");
    let links = limits::CONNECTION_BYTES / limits::LINK_BYTES + 1;
    for number in 0..links {
        let sender = world.sender(producer, &format!("s{number}"), "sink");
        for _ in 0..limits::LINK_BYTES / size as u64 {
            assert!(world.send(producer, sender, &message(size), false));
        }
        world.detach(producer, sender);
    }
    world.detach(consumer, link);
    assert_eq!(world.shards[0].census().held_bytes, 0);
    world.receiver(consumer, "other", "q", 10);
    let sender = world.sender(producer, "s", "q");
    assert!(world.send(producer, sender, &message(size), false));
}

#[test]
fn half_a_copy_for_a_consumer_that_wants_it_settled_is_modified() {
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::with_default(shards, Treatment::Multicast);
        let producer = world.connect(0);
        let consumer = world.connect_with_window(far, 1);
        world.receiver_of_settled(consumer, "r", "m", 10);
        let other = world.connect(0);
        world.receiver(other, "r", "m", 10);
        let sender = world.sender(producer, "s", "m");
        assert!(world.send(producer, sender, &message(100_000), false));
        world.dispose(other, 0, DeliveryState::Released, true);
        assert_eq!(world.peers[producer].outcome(0), None);
        world.vanish(consumer);
        let told = world.peers[producer].outcome(0);
        assert!(
            matches!(told, Some((Some(DeliveryState::Modified(_)), true))),
            "{told:?}"
        );
        assert!(world.nothing_under_way());
    }
}

#[test]
fn what_ends_by_a_timer_is_told_without_waiting_for_something_else() {
    let mut world = World::with_default(2, Treatment::Multicast);
    let producer = world.connect(0);
    let quick = world.connect(1);
    world.receiver(quick, "quick", "m", 10);
    let silent = world.connect(1);
    world.receiver(silent, "silent", "m", 0);
    let sender = world.sender(producer, "s", "m");
    assert!(world.send(producer, sender, &message(10_000), false));
    let held = |world: &World| world.shards[0].census().held_bytes;
    assert!(held(&world) >= 10_000);
    let shard = &mut world.shards[1];
    let (lost, _) = shard.conns.iter().last().unwrap();
    // As a timer does, at the end of a turn.
    shard.lose(ConnKey(lost), None);
    while shard.poll_closed().is_some() {}
    assert!(world.shards[1].is_runnable(), "it has something to tell");
    world.run();
    assert!(held(&world) < 10_000);
    world.dispose(quick, 0, DeliveryState::Accepted, true);
    let told = world.peers[producer].outcome(0);
    assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
}

#[test]
fn a_router_that_retires_lets_nothing_in_and_delivers_what_it_has() {
    for shards in [1, 2] {
        let mut world = World::new(shards);
        let producer = world.connect(0);
        let consumer = world.connect(usize::from(shards) - 1);
        let link = world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        for _ in 0..3 {
            assert!(world.send(producer, sender, &message(10), true));
        }
        world.control.retire(Time::ZERO);
        world.run();
        let peer = &mut world.peers[producer];
        assert!(peer.engine.drain_requested(sender));
        peer.engine.drained(sender, &mut peer.output);
        let late = world.sender(producer, "late", "q");
        for link in [sender, late] {
            assert!(!world.send(producer, link, &message(20), true), "no credit");
        }
        let under_way = |world: &World| -> usize {
            let shards = world.shards.iter();
            shards.map(crate::shard::Shard::deliveries_in_flight).sum()
        };
        assert_eq!(under_way(&world), 3);
        world.credit(consumer, link, 10, false);
        assert_eq!(world.peers[consumer].received().len(), 3);
        assert_eq!(under_way(&world), 0);
    }
}
