//! What management is told of how much came and went.

use amqp_codec::DeliveryState;
use amqp_codec::Str;
use amqp_codec::message::{MessageBuilder, Properties};

use super::world::World;
use crate::counters::Counter;
use crate::inspect::{AddressCounters, Rows, Subject};

/// The counters of all addresses together.
fn carried(world: &mut World) -> AddressCounters {
    world.control.ask(Subject::Addresses);
    world.run();
    let gathered = world.control.poll_gathered().expect("the shards answer");
    let Rows::Addresses(rows) = gathered.rows else {
        panic!("asked for addresses")
    };
    let mut sum = AddressCounters::default();
    for (_, counters) in &rows {
        sum.add(counters);
    }
    sum
}

#[test]
fn an_address_counts_what_anonymous_senders_send_to_it() {
    for shards in [1, 2] {
        let mut world = World::new(shards);
        let consumer = world.connect(usize::from(shards) - 1);
        world.receiver(consumer, "r", "q", 100);
        let producer = world.connect(0);
        let targeted = world.sender(producer, "t", "q");
        let anonymous = world.sender(producer, "a", "");
        let properties = Properties {
            to: Some(Str::from("q")),
            ..Properties::default()
        };
        let message = MessageBuilder::new()
            .properties(properties)
            .data("x")
            .build();
        for settled in [true, false, false] {
            assert!(world.send(producer, anonymous, &message, settled));
        }
        assert!(world.send(producer, targeted, &message, false));
        let counters = carried(&mut world);
        assert_eq!((counters.ingress, counters.egress), (4, 4));
        for id in 0..4 {
            world.dispose(consumer, id, DeliveryState::Accepted, true);
        }
        world.detach(producer, anonymous);
        let counters = carried(&mut world);
        assert_eq!((counters.ingress, counters.egress), (4, 4));
    }
}

#[test]
fn what_nobody_takes_is_counted_once_whole_or_not() {
    let mut world = World::new(2);
    let producer = world.connect(1);
    let anonymous = world.sender(producer, "a", "");
    let properties = Properties {
        to: Some(Str::from("nobody")),
        ..Properties::default()
    };
    let message = MessageBuilder::new()
        .properties(properties)
        .data(vec![7; 400_000])
        .build();
    let (first, rest) = message.split_at(200_000);
    assert!(world.send(producer, anonymous, &message, false));
    assert!(world.send_part(producer, anonymous, first, false, true));
    assert!(world.send_part(producer, anonymous, rest, false, false));
    for id in [0, 1] {
        let told = world.peers[producer].outcome(id);
        assert_eq!(told, Some((Some(DeliveryState::Released), true)));
    }
    assert_eq!(world.counters.total(Counter::ReleasedDeliveries), 2);
    assert_eq!(world.counters.total(Counter::DeliveriesIngress), 2);
}
