//! What waits for a consumer that gives no credit.

use amqp_codec::message::MessageBuilder;

use super::world::World;

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
