//! What management is told of how much came and went.

use std::sync::Arc;
use std::time::Duration;

use amqp_codec::DeliveryState;
use amqp_codec::Str;
use amqp_codec::message::{MessageBuilder, Properties};

use super::world::World;
use crate::counters::Counter;
use crate::inspect::{AddressCounters, LinkRow, Rows, Subject};
use crate::mail::Mail;
use crate::notice::Notice;
use crate::route::{Entry, Paths};

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

/// What is told of trouble since the last time: stuck links and blocked ones.
fn troubles(world: &mut World) -> (usize, usize) {
    let is_stuck = |notice: &&Notice| matches!(notice, Notice::LinkStuck { .. });
    let is_blocked = |notice: &&Notice| matches!(notice, Notice::LinkBlocked { .. });
    let notices = std::mem::take(&mut world.notices);
    let stuck = notices.iter().filter(is_stuck).count();
    (stuck, notices.iter().filter(is_blocked).count())
}

/// What management shows of links.
fn link_rows(world: &mut World) -> Vec<LinkRow> {
    world.control.ask(Subject::Links);
    world.run();
    let gathered = world.control.poll_gathered().expect("the shards answer");
    match gathered.rows {
        Rows::Links(rows) => rows,
        _ => panic!("asked for links"),
    }
}

fn pass_seconds(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.now = world.now + Duration::from_secs(1);
        world.run();
    }
}

#[test]
fn what_does_not_end_is_counted_and_told_once_as_long_as_it_lasts() {
    let mut world = World::new(2);
    let consumer = world.connect(1);
    world.receiver(consumer, "r", "q", 100);
    let producer = world.connect(0);
    let sender = world.sender(producer, "t", "q");
    let message = MessageBuilder::new().data("x").build();
    for _ in 0..2 {
        assert!(world.send(producer, sender, &message, false));
    }
    let stuck = |world: &World| world.counters.total(Counter::DeliveriesStuck);
    pass_seconds(&mut world, 8);
    assert_eq!((stuck(&world), troubles(&mut world)), (0, (0, 0)));
    pass_seconds(&mut world, 8);
    // Both at the producer's link and at the consumer's.
    assert_eq!((stuck(&world), troubles(&mut world)), (4, (2, 0)));
    pass_seconds(&mut world, 20);
    assert_eq!((stuck(&world), troubles(&mut world)), (4, (0, 0)));
    for id in 0..2 {
        world.dispose(consumer, id, DeliveryState::Accepted, true);
    }
    pass_seconds(&mut world, 6);
    assert_eq!((stuck(&world), troubles(&mut world)), (0, (0, 0)));
}

#[test]
fn a_large_message_does_not_end_once_it_is_there_and_nobody_settles_it() {
    let mut world = World::new(2);
    let consumer = world.connect(1);
    world.receiver(consumer, "r", "q", 100);
    let producer = world.connect(0);
    let sender = world.sender(producer, "t", "q");
    let message = MessageBuilder::new().data(vec![7; 400_000]).build();
    let stuck = |world: &World| world.counters.total(Counter::DeliveriesStuck);
    let shown = |world: &mut World| {
        let rows = link_rows(world);
        rows.iter().map(|row| row.stuck).sum::<u64>()
    };
    let (first, rest) = message.split_at(200_000);
    assert!(world.send_part(producer, sender, first, false, true));
    pass_seconds(&mut world, 30);
    // It comes, however slowly.
    assert_eq!((stuck(&world), shown(&mut world)), (0, 0));
    assert!(world.send_part(producer, sender, rest, false, false));
    pass_seconds(&mut world, 30);
    assert_eq!((stuck(&world), shown(&mut world)), (2, 2));
    world.dispose(consumer, 0, DeliveryState::Accepted, true);
    pass_seconds(&mut world, 6);
    assert_eq!((stuck(&world), shown(&mut world)), (0, 0));
}

#[test]
fn a_link_that_has_used_up_its_credit_is_blocked_after_a_while() {
    let mut world = World::new(1);
    let consumer = world.connect(0);
    let link = world.receiver(consumer, "r", "q", 1);
    let producer = world.connect(0);
    let sender = world.sender(producer, "t", "q");
    let blocked = |world: &World| world.counters.total(Counter::LinksBlocked);
    pass_seconds(&mut world, 20);
    assert_eq!((blocked(&world), troubles(&mut world)), (0, (0, 0)));
    let message = MessageBuilder::new().data("x").build();
    assert!(world.send(producer, sender, &message, true));
    pass_seconds(&mut world, 20);
    assert_eq!((blocked(&world), troubles(&mut world)), (1, (0, 1)));
    world.credit(consumer, link, 10, false);
    pass_seconds(&mut world, 6);
    assert_eq!((blocked(&world), troubles(&mut world)), (0, (0, 0)));
}

#[test]
fn nothing_is_stuck_or_blocked_because_the_router_slept() {
    let mut world = World::new(2);
    let consumer = world.connect(1);
    world.receiver(consumer, "r", "q", 1);
    let producer = world.connect(0);
    let sender = world.sender(producer, "t", "q");
    let message = MessageBuilder::new().data("x").build();
    for _ in 0..2 {
        assert!(world.send(producer, sender, &message, false));
    }
    for _ in 0..2 {
        pass_seconds(&mut world, 1);
        world.pass(60_000);
        assert_eq!(troubles(&mut world), (0, 0));
    }
    for counter in [Counter::DeliveriesStuck, Counter::LinksBlocked] {
        assert_eq!(world.counters.total(counter), 0);
    }
    assert!(link_rows(&mut world).iter().all(|row| row.stuck == 0));
    pass_seconds(&mut world, 20);
    assert_eq!(troubles(&mut world), (2, 1));
}

#[test]
fn a_message_is_as_old_where_it_leaves_as_where_it_came_in() {
    // That shard alone sleeps that has something to do: the other counts more seconds.
    for asleep in [0, 1] {
        let mut world = World::new(2);
        let ends = [world.connect(asleep), world.connect(1 - asleep)];
        world.receiver(ends[0], "other", "other", 1);
        world.pass(600_000);
        for (from, to) in [(0, 1), (1, 0)] {
            let address = format!("q{from}");
            world.receiver(ends[to], &address, &address, 10);
            let sender = world.sender(ends[from], &address, &address);
            let message = MessageBuilder::new().data("x").build();
            assert!(world.send(ends[from], sender, &message, false));
            world.dispose(ends[to], 0, DeliveryState::Accepted, true);
            assert!(world.send(ends[from], sender, &message, false));
        }
        pass_seconds(&mut world, 8);
        assert_eq!(world.counters.total(Counter::DeliveriesStuck), 0);
        assert_eq!(world.counters.total(Counter::DeliveriesDelayed1Sec), 0);
        assert_eq!(world.counters.total(Counter::DeliveriesDelayed10Sec), 0);
        pass_seconds(&mut world, 8);
        assert_eq!(world.counters.total(Counter::DeliveriesStuck), 4);
    }
}

#[test]
fn a_producer_whose_address_nobody_receives_is_told_of_and_not_counted() {
    let mut world = World::new(1);
    let producer = world.connect(0);
    let sender = world.sender(producer, "t", "nobody");
    pass_seconds(&mut world, 20);
    // What is counted are receivers that take nothing; that nobody receives is no trouble of one.
    assert_eq!(world.counters.total(Counter::LinksBlocked), 0);
    assert_eq!(troubles(&mut world), (0, 1));
    world.detach(producer, sender);
}

#[test]
fn what_is_under_way_is_tracked_and_what_has_gone_out_is_known_by_its_origin() {
    let mut world = World::new(2);
    let consumer = world.connect(1);
    world.receiver(consumer, "r", "q", 1);
    let producer = world.connect(0);
    let sender = world.sender(producer, "t", "q");
    let message = MessageBuilder::new().data("x").build();
    for _ in 0..3 {
        assert!(world.send(producer, sender, &message, false));
    }
    assert_eq!(carried(&mut world).tracked, 3);
    world.dispose(consumer, 0, DeliveryState::Accepted, true);
    assert_eq!(carried(&mut world).tracked, 2);
    let rows = link_rows(&mut world);
    let shown: Vec<_> = rows.iter().map(|row| row.ingress.as_deref()).collect();
    let one = [(0, 1)];
    assert!(
        shown.contains(&Some(&one[..])) && shown.contains(&None),
        "{shown:?}"
    );
}

#[test]
fn a_settled_message_that_nobody_takes_counts_as_one_that_came() {
    let mut world = World::new(1);
    let producer = world.connect(0);
    let anonymous = world.sender(producer, "a", "");
    let properties = Properties {
        to: Some(Str::from("nobody")),
        ..Properties::default()
    };
    let message = MessageBuilder::new()
        .properties(properties)
        .data("x")
        .build();
    assert!(world.send(producer, anonymous, &message, true));
    let rows = link_rows(&mut world);
    let counters = rows[0].counters;
    let counted = (
        counters.deliveries,
        counters.presettled,
        counters.dropped_presettled,
    );
    assert_eq!(counted, (1, 1, 1));
}

#[test]
fn what_came_by_a_router_that_has_left_does_not_count_for_the_next_with_its_number() {
    let mut world = World::new(1);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "q", 1);
    let knows = |world: &mut World, ids: &[(&str, u16)]| {
        let known = ids.iter().map(|&(id, index)| (Arc::from(id), index));
        let paths = Paths::new(Vec::new(), Vec::new(), known.collect(), 1);
        let now = world.now;
        world.shards[0].take_letter(Mail::Paths(Arc::new(paths)), now);
    };
    knows(&mut world, &[("A", 1), ("B", 2)]);
    for (_, link) in world.shards[0].out_links.iter_mut() {
        for router in [2, 1, 2] {
            link.histogram.count(Entry::Router(router));
        }
    }
    let shown = |world: &mut World| link_rows(world)[0].ingress.clone();
    assert_eq!(shown(&mut world), Some(vec![(1, 1), (2, 2)]));
    knows(&mut world, &[("A", 1)]);
    assert_eq!(shown(&mut world), Some(vec![(1, 1)]));
    knows(&mut world, &[("C", 1), ("A", 2)]);
    assert_eq!(shown(&mut world), Some(vec![]));
}
