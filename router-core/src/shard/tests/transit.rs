//! Threads that are slow to take their mail.

use amqp_codec::message::MessageBuilder;

use super::world::World;
use crate::ids::ShardId;
use crate::limits;
use crate::mail::Mail;
use crate::route::Treatment;

/// Bytes of a message.
const SIZE: usize = 10_000;

fn message(size: usize) -> Vec<u8> {
    MessageBuilder::new().data(vec![7; size]).build().to_vec()
}

/// Sends so many settled messages; how many had credit.
fn send_settled(world: &mut World, producer: usize, count: usize) -> usize {
    let sender = world.sender(producer, "s", "q");
    let mut sent = 0;
    while sent < count && world.send(producer, sender, &message(SIZE), true) {
        sent += 1;
    }
    sent
}

#[test]
fn a_shard_that_does_not_take_its_mail_holds_back_who_sends_to_it() {
    for treatment in [Treatment::AnycastBalanced, Treatment::Multicast] {
        let mut world = World::with_default(2, treatment);
        let consumer = world.connect(1);
        let receiver = world.receiver(consumer, "r", "q", 10_000);
        let producer = world.connect(0);
        world.keep_busy(ShardId(1));
        let sent = send_settled(&mut world, producer, 2000);
        // Who is not read sends no more than its credit.
        assert!(sent < 2000, "{sent}");
        let waiting = world.let_take_mail(ShardId(1));
        let most = usize::try_from(limits::TRANSIT_BYTES).unwrap() + 2 * SIZE;
        assert!(waiting > 50 * SIZE && waiting < most, "{waiting}");
        // Nothing of it was lost, and it goes on.
        assert_eq!(world.peers[consumer].received().len(), sent);
        let more = world.connect(0);
        assert_eq!(send_settled(&mut world, more, 50), 50);
        assert_eq!(world.peers[consumer].received().len(), sent + 50);
        world.detach(consumer, receiver);
        assert!(world.nothing_under_way());
    }
}

#[test]
fn who_sends_elsewhere_goes_on_meanwhile() {
    let mut world = World::new(3);
    let slow = world.connect(1);
    world.receiver(slow, "r", "q", 10_000);
    let other = world.connect(2);
    world.receiver(other, "r", "other", 10_000);
    let producer = world.connect(0);
    world.keep_busy(ShardId(1));
    send_settled(&mut world, producer, 2000);
    let elsewhere = world.connect(0);
    let sender = world.sender(elsewhere, "s", "other");
    for count in 1..=500 {
        assert!(world.send(elsewhere, sender, &message(SIZE), true));
        assert_eq!(world.peers[other].received().len(), count);
    }
}

#[test]
fn a_busy_control_plane_is_not_buried_in_what_peers_ask_for() {
    let mut world = World::new(1);
    let control = ShardId(1);
    let peer = world.connect(0);
    world.keep_busy(control);
    for number in 0..10_000 {
        let link = world.receiver(peer, &number.to_string(), "q", 0);
        world.detach(peer, link);
    }
    let waiting = world.busy[&control].iter().flat_map(|batch| &batch.mail);
    let letters = waiting
        .filter(|mail| matches!(mail, Mail::Command(_)))
        .count();
    let most = usize::try_from(limits::TRANSIT_BYTES).unwrap() / size_of::<Mail>();
    assert!(letters > 1000 && letters < most, "{letters}");
    world.let_take_mail(control);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "late", 10);
    let sender = world.sender(peer, "s", "late");
    assert!(world.send(peer, sender, &message(1), true));
    // Who was not read is read again.
    assert_eq!(world.peers[consumer].received().len(), 1);
}
