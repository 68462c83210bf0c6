//! What clients see of message routing, on one shard and on two.

use amqp_codec::{AmqpError, DeliveryState, Modified, Str, Symbol};
use amqp_proto::Event;

use super::world::World;
use crate::ids::ShardId;
use crate::route::Treatment;

/// A message with nothing but a body: one data section.
fn message(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x00, 0x53, 0x75, 0xa0, u8::try_from(text.len()).unwrap()];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Runs a scene with everything on one shard, and with the consumer on another shard.
fn on_one_and_two_shards(scene: impl Fn(&mut World, usize)) {
    scene(&mut World::new(1), 0);
    scene(&mut World::new(2), 1);
}

#[test]
fn an_accepted_message_is_told_to_its_producer() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        let sender = world.sender(producer, "s", "q");
        assert_eq!(world.peers[producer].engine.credit(sender), 0);
        world.receiver(consumer, "r", "q", 10);
        assert_eq!(world.peers[producer].engine.credit(sender), 250);
        assert!(world.send(producer, sender, &message("hello"), false));
        assert_eq!(world.peers[consumer].received(), [message("hello")]);
        assert_eq!(world.peers[producer].outcome(0), None);
        world.dispose(consumer, 0, DeliveryState::Accepted, true);
        let told = world.peers[producer].outcome(0);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        assert_eq!(world.peers[producer].engine.credit(sender), 250);
    });
}

#[test]
fn a_client_may_not_ask_before_the_node_for_its_answer_is_there() {
    let mut world = World::new(2);
    let control = ShardId(2);
    let service = world.connect(1);
    world.receiver(service, "r", "service", 10);
    let client = world.connect(0);
    let credit = |world: &World, link| world.peers[client].engine.credit(link);
    let old = world.sender(client, "old", "service");
    assert!(world.send(client, old, &message("x"), false));
    world.keep_busy(control);
    let answers = world.receiver(client, "answers", "mine", 0);
    let (asks, anonymous) = (
        world.sender(client, "asks", "service"),
        world.sender(client, "anonymous", ""),
    );
    assert_eq!((credit(&world, asks), credit(&world, anonymous)), (0, 0));
    // Who has begun goes on, and so does who has nothing to wait for.
    assert!(world.send(client, old, &message("x"), false));
    let other = world.connect(0);
    let link = world.sender(other, "other", "service");
    assert_eq!(world.peers[other].engine.credit(link), 250);
    world.let_take_mail(control);
    assert!(world.peers[client].engine.is_attached(answers));
    assert_eq!(
        (credit(&world, asks), credit(&world, anonymous)),
        (250, 250)
    );
    // One that is given up keeps nobody waiting.
    world.keep_busy(control);
    let answers = world.receiver(client, "more", "mine", 0);
    let asks = world.sender(client, "asks more", "service");
    assert_eq!(credit(&world, asks), 0);
    world.detach(client, answers);
    assert_eq!(credit(&world, asks), 250);
    world.let_take_mail(control);
}

#[test]
fn outcomes_pass_as_they_are_but_modified_has_failed() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver(consumer, "r", "q", 10);
        let sender = world.sender(producer, "s", "q");
        let rejected = DeliveryState::Rejected(Some(Box::new(AmqpError {
            condition: Symbol::from("app:no"),
            description: Some(Str::from("not today")),
            info: None,
        })));
        let modified = |failed| {
            DeliveryState::Modified(Box::new(Modified {
                delivery_failed: failed,
                undeliverable_here: true,
                message_annotations: None,
            }))
        };
        let received = DeliveryState::Received {
            section_number: 1,
            section_offset: 2,
        };
        for _ in 0..4 {
            assert!(world.send(producer, sender, &message("m"), false));
        }
        world.dispose(consumer, 3, DeliveryState::Released, true);
        world.dispose(consumer, 1, modified(false), true);
        world.dispose(consumer, 0, rejected.clone(), true);
        world.dispose(consumer, 2, received.clone(), false);
        let peer = &world.peers[producer];
        assert_eq!(peer.outcome(0), Some((Some(rejected), true)));
        assert_eq!(peer.outcome(1), Some((Some(modified(true)), true)));
        assert_eq!(peer.outcome(2), Some((Some(received), false)));
        assert_eq!(peer.outcome(3), Some((Some(DeliveryState::Released), true)));
        world.dispose(consumer, 2, DeliveryState::Accepted, true);
        let told = world.peers[producer].outcome(2);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
    });
}

#[test]
fn a_vanished_consumer_modifies_what_was_sent_and_releases_what_was_not() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver(consumer, "r", "q", 1);
        let sender = world.sender(producer, "s", "q");
        assert!(world.send(producer, sender, &message("sent"), false));
        assert!(world.send(producer, sender, &message("queued"), false));
        world.vanish(consumer);
        let peer = &world.peers[producer];
        let Some((Some(DeliveryState::Modified(modified)), true)) = peer.outcome(0) else {
            panic!("{:?}", peer.outcome(0));
        };
        assert!(modified.delivery_failed);
        assert_eq!(peer.outcome(1), Some((Some(DeliveryState::Released), true)));
        assert!(world.send(producer, sender, &message("later"), false));
        let peer = &world.peers[producer];
        assert_eq!(peer.outcome(2), Some((Some(DeliveryState::Released), true)));
        assert!(
            peer.engine.drain_requested(sender),
            "no path: the producer is asked to drain"
        );
    });
}

#[test]
fn what_waits_for_a_vanished_consumer_goes_to_another() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        for text in ["a", "b", "c"] {
            assert!(world.send(producer, sender, &message(text), false));
        }
        let second = world.connect(0);
        world.receiver(second, "r", "q", 10);
        world.vanish(consumer);
        assert_eq!(
            world.peers[second].received(),
            [message("a"), message("b"), message("c")]
        );
    });
}

#[test]
fn consumers_that_vanish_together_do_not_hand_deliveries_to_each_other() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumers = [world.connect(far), world.connect(far)];
        for consumer in consumers {
            world.receiver(consumer, "r", "q", 0);
        }
        let sender = world.sender(producer, "s", "q");
        assert!(world.send(producer, sender, &message("a"), false));
        assert!(world.send(producer, sender, &message("b"), false));
        world.vanish_together(&consumers);
        for id in [0, 1] {
            let outcome = world.peers[producer].outcome(id);
            assert_eq!(outcome, Some((Some(DeliveryState::Released), true)));
        }
    });
}

#[test]
fn anonymous_senders_reach_any_address_and_hear_of_unknown_ones() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver(consumer, "r", "q", 10);
        let sender = world.sender(producer, "s", "");
        assert_eq!(world.peers[producer].engine.credit(sender), 250);
        let to = |address: &str| {
            let length = u8::try_from(address.len()).unwrap();
            let mut bytes = vec![
                0x00,
                0x53,
                0x73,
                0xc0,
                5 + length,
                3,
                0x40,
                0x40,
                0xa1,
                length,
            ];
            bytes.extend_from_slice(address.as_bytes());
            bytes.extend_from_slice(&message("x"));
            bytes
        };
        assert!(world.send(producer, sender, &to("q"), false));
        assert!(world.send(producer, sender, &to("nowhere"), false));
        assert!(world.send(producer, sender, &message("no address"), false));
        assert_eq!(world.peers[consumer].received(), [to("q")]);
        let peer = &world.peers[producer];
        assert_eq!(peer.outcome(1), Some((Some(DeliveryState::Released), true)));
        let Some((Some(DeliveryState::Rejected(Some(error))), true)) = peer.outcome(2) else {
            panic!("{:?}", peer.outcome(2));
        };
        assert_eq!(error.condition.as_str(), "amqp:precondition-failed");
        assert_eq!(
            error.description.as_deref(),
            Some("Routing failure: no address present")
        );
    });
}

#[test]
fn multicast_reaches_all_and_the_strongest_outcome_wins() {
    let mut world = World::with_default(2, Treatment::Multicast);
    let producer = world.connect(0);
    let consumers = [world.connect(0), world.connect(1), world.connect(1)];
    for consumer in consumers {
        world.receiver(consumer, "r", "m", 10);
    }
    let sender = world.sender(producer, "s", "m");
    assert!(world.send(producer, sender, &message("all"), false));
    for consumer in consumers {
        assert_eq!(world.peers[consumer].received(), [message("all")]);
    }
    world.dispose(consumers[0], 0, DeliveryState::Released, true);
    world.dispose(consumers[1], 0, DeliveryState::Accepted, true);
    assert_eq!(world.peers[producer].outcome(0), None);
    world.vanish(consumers[2]);
    let told = world.peers[producer].outcome(0);
    assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
}

#[test]
fn a_copy_that_repeats_its_state_when_it_settles_does_not_answer_for_another() {
    let mut world = World::with_default(2, Treatment::Multicast);
    let producer = world.connect(0);
    let consumers = [world.connect(1), world.connect(1)];
    for consumer in consumers {
        world.receiver(consumer, "r", "m", 10);
    }
    let sender = world.sender(producer, "s", "m");
    assert!(world.send(producer, sender, &message("all"), false));
    world.dispose(consumers[0], 0, DeliveryState::Accepted, false);
    world.dispose(consumers[0], 0, DeliveryState::Accepted, true);
    assert_eq!(world.peers[producer].outcome(0), None);
    world.dispose(consumers[1], 0, DeliveryState::Rejected(None), true);
    let told = world.peers[producer].outcome(0);
    assert_eq!(told, Some((Some(DeliveryState::Rejected(None)), true)));
}

#[test]
fn closest_takes_turns_and_balanced_follows_the_load() {
    for treatment in [Treatment::AnycastClosest, Treatment::AnycastBalanced] {
        let mut world = World::with_default(2, treatment);
        let producer = world.connect(0);
        let consumers = [world.connect(0), world.connect(1)];
        for consumer in consumers {
            world.receiver(consumer, "r", "q", 100);
        }
        let sender = world.sender(producer, "s", "q");
        for _ in 0..10 {
            assert!(world.send(producer, sender, &message("x"), false));
        }
        for consumer in consumers {
            assert_eq!(world.peers[consumer].messages.len(), 5, "{treatment:?}");
        }
    }
}

#[test]
fn a_large_message_is_streamed_and_its_abort_is_passed_on() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver(consumer, "r", "q", 10);
        let sender = world.sender(producer, "s", "q");
        let mut large = vec![0x00, 0x53, 0x75, 0xb0];
        large.extend_from_slice(&1_000_000u32.to_be_bytes());
        large.resize(8 + 1_000_000, 7);
        assert!(world.send(producer, sender, &large, false));
        assert_eq!(world.peers[consumer].messages.len(), 1);
        assert_eq!(world.peers[consumer].received()[0], large);
        world.dispose(consumer, 0, DeliveryState::Accepted, true);
        let told = world.peers[producer].outcome(0);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
        assert!(world.send_part(producer, sender, &large[..300_000], false, true));
        world.vanish(producer);
        let aborted = world.peers[consumer]
            .events
            .iter()
            .any(|event| matches!(event, Event::Transfer { delivery, .. } if delivery.aborted));
        assert!(aborted);
    });
}

#[test]
fn settled_messages_beyond_the_capacity_keep_the_first_and_the_newest() {
    on_one_and_two_shards(|world, far| {
        world.listener.link_capacity = 3;
        let producer = world.connect(0);
        let consumer = world.connect(far);
        let receiver = world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        for text in ["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7"] {
            assert!(world.send(producer, sender, &message(text), true), "{text}");
            world.pass(1100);
        }
        world.credit(consumer, receiver, 10, false);
        assert_eq!(
            world.peers[consumer].received(),
            [message("m0"), message("m7")]
        );
    });
}

#[test]
fn a_drain_sends_what_is_there_and_takes_the_credit_back() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        let receiver = world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        for text in ["a", "b"] {
            assert!(world.send(producer, sender, &message(text), false));
        }
        world.credit(consumer, receiver, 10, true);
        assert_eq!(
            world.peers[consumer].received(),
            [message("a"), message("b")]
        );
        assert_eq!(world.peers[consumer].engine.credit(receiver), 0);
        world.credit(consumer, receiver, 1, false);
        assert!(world.send(producer, sender, &message("c"), false));
        assert_eq!(world.peers[consumer].messages.len(), 3);
    });
}

#[test]
fn a_receiver_that_wants_settled_deliveries_gets_them_and_the_producer_is_told_accepted() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        world.receiver_of_settled(consumer, "r", "q", 5);
        let sender = world.sender(producer, "s", "q");
        assert!(world.send(producer, sender, &message("x"), false));
        assert_eq!(world.peers[consumer].messages.len(), 1);
        let told = world.peers[producer].outcome(0);
        assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
    });
}

#[test]
fn nothing_is_left_of_deliveries_and_links_that_ended() {
    on_one_and_two_shards(|world, far| {
        let producer = world.connect(0);
        let consumer = world.connect(far);
        let receiver = world.receiver(consumer, "r", "q", 100);
        let sender = world.sender(producer, "s", "q");
        for id in 0..50 {
            assert!(world.send(producer, sender, &message("x"), false));
            world.dispose(consumer, id, DeliveryState::Accepted, true);
        }
        world.detach(consumer, receiver);
        world.detach(producer, sender);
        for shard in &world.shards {
            assert_eq!(shard.deliveries_in_flight(), 0);
        }
        world.vanish(producer);
        world.vanish(consumer);
        for shard in &world.shards {
            assert_eq!(shard.connection_count(), 0);
        }
    });
}

#[test]
fn a_vanished_producer_ends_its_own_copies_and_nobody_elses() {
    // Two producers on two shards, whose deliveries have the same key each on its own shard.
    let mut world = World::with_default(3, Treatment::Multicast);
    let consumer = world.connect(2);
    world.receiver(consumer, "r", "m", 10);
    let producers = [world.connect(0), world.connect(1)];
    let senders = producers.map(|producer| world.sender(producer, "s", "m"));
    for (producer, sender) in producers.into_iter().zip(senders) {
        assert!(world.send(producer, sender, &message("x"), false));
    }
    world.vanish(producers[0]);
    world.dispose(consumer, 1, DeliveryState::Accepted, true);
    let told = world.peers[producers[1]].outcome(0);
    assert_eq!(told, Some((Some(DeliveryState::Accepted), true)));
}

#[test]
fn a_producer_that_settles_early_does_not_use_a_window_up() {
    on_one_and_two_shards(|world, far| {
        world.listener.link_capacity = 1;
        let producer = world.connect(0);
        let consumer = world.connect(far);
        let receiver = world.receiver(consumer, "r", "q", 0);
        let sender = world.sender(producer, "s", "q");
        for _ in 0..3 {
            assert!(world.send(producer, sender, &message("x"), false));
            world.settle_as_sender(producer, sender);
            world.credit(consumer, receiver, 1, false);
            world.pass(1100);
        }
        assert_eq!(world.peers[consumer].messages.len(), 3);
    });
}
