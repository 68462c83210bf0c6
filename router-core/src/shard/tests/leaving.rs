//! What is left of the deliveries of a link that has gone.

use amqp_codec::message::MessageBuilder;

use super::world::World;
use crate::limits;

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
