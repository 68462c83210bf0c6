//! Deliveries that end before their messages do, or whose consumers do.

use amqp_codec::DeliveryState;
use amqp_codec::message::MessageBuilder;
use amqp_proto::LinkKey;

use super::world::World;
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
