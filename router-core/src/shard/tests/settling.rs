//! Who hears what of a delivery's state, whichever side speaks and however often.

use amqp_codec::{DeliveryState, Disposition, Role};

use super::world::World;
use crate::limits;
use crate::route::Treatment;

/// A message of one small data section.
const MESSAGE: [u8; 6] = [0x00, 0x53, 0x75, 0xa0, 0x01, 0x78];

fn received(section_number: u32) -> DeliveryState {
    DeliveryState::Received {
        section_number,
        section_offset: 0,
    }
}

/// What a peer was told by a sender of deliveries: first, last, settled.
fn told_by_sender(told: &[Disposition]) -> Vec<(u32, u32, bool)> {
    let told = told.iter().filter(|told| told.role == Role::Sender);
    told.map(|told| (told.first, told.last.unwrap_or(told.first), told.settled))
        .collect()
}

/// How many deliveries that is about.
fn count(told: &[(u32, u32, bool)]) -> u32 {
    told.iter().map(|(first, last, _)| last - first + 1).sum()
}

/// The producer says something of its deliveries.
fn say(world: &mut World, peer: usize, ids: std::ops::Range<u32>, settled: bool, number: u32) {
    let peer = &mut world.peers[peer];
    let session = peer.session.unwrap();
    for id in ids {
        let state = Some(received(number));
        peer.engine
            .queue_disposition(session, Role::Sender, id, settled, state);
    }
    peer.engine.flush_dispositions(session, &mut peer.output);
    world.run();
}

#[test]
fn a_producer_may_settle_any_of_what_was_sent() {
    for shards in [1, 2] {
        let mut world = World::new(shards);
        let producer = world.connect(0);
        let consumer = world.connect(usize::from(shards) - 1);
        world.receiver(consumer, "r", "q", 100);
        let sender = world.sender(producer, "s", "q");
        let mut expected = Vec::new();
        for round in 0..5 {
            for _ in 0..4 {
                assert!(world.send(producer, sender, &MESSAGE, false));
            }
            let id = round * 4 + 1;
            say(&mut world, producer, id..id + 2, true, 0);
            expected.push((id, id + 1, true));
            world.dispose(consumer, id + 2, DeliveryState::Accepted, true);
            let told = world.peers[producer].outcome(id + 2);
            assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        }
        let told = world.peers[consumer].dispositions();
        assert_eq!(told_by_sender(&told), expected);
        for id in 0..20 {
            world.dispose(consumer, id, DeliveryState::Accepted, true);
        }
        assert!(world.nothing_under_way());
    }
}

#[test]
fn a_producer_may_settle_any_of_what_was_sent_to_many() {
    for shards in [1, 2] {
        let mut world = World::with_default(shards, Treatment::Multicast);
        let producer = world.connect(0);
        let consumer = world.connect(usize::from(shards) - 1);
        world.receiver(consumer, "one", "m", 100);
        world.receiver(consumer, "two", "m", 100);
        let sender = world.sender(producer, "s", "m");
        for _ in 0..3 {
            assert!(world.send(producer, sender, &MESSAGE, false));
        }
        say(&mut world, producer, 1..2, true, 0);
        let told = told_by_sender(&world.peers[consumer].dispositions());
        assert_eq!(count(&told), 2, "{told:?}");
        world.vanish(producer);
        let told = told_by_sender(&world.peers[consumer].dispositions());
        assert_eq!(count(&told), 6, "{told:?}");
        assert!(world.nothing_under_way());
    }
}

#[test]
fn class_7_states_told_again_are_passed_on_at_a_rate() {
    let mut world = World::new(2);
    let producer = world.connect(0);
    let consumer = world.connect(1);
    world.receiver(consumer, "r", "q", 100);
    let sender = world.sender(producer, "s", "q");
    for _ in 0..50 {
        assert!(world.send(producer, sender, &MESSAGE, false));
    }
    for number in 0..100 {
        for id in 0..50 {
            world.dispose(consumer, id, received(number), false);
        }
        say(&mut world, producer, 0..50, false, number);
    }
    let most = limits::REPEATED_STATES as usize + 50;
    let told = world.peers[producer].dispositions().len();
    assert!((50..=most).contains(&told), "{told}");
    let told = told_by_sender(&world.peers[consumer].dispositions()).len();
    assert!((1..=most).contains(&told), "{told}");
    // An outcome goes on all the same, and time pays for more.
    world.dispose(consumer, 7, DeliveryState::Accepted, false);
    let told = world.peers[producer].outcome(7);
    assert_eq!(told, Some((Some(DeliveryState::Accepted), false)));
    world.pass(1000);
    world.dispose(consumer, 8, received(1000), false);
    let told = world.peers[producer].outcome(8);
    assert_eq!(told, Some((Some(received(1000)), false)));
    for id in 0..50 {
        world.dispose(consumer, id, DeliveryState::Accepted, true);
    }
    assert!(world.nothing_under_way());
}
