//! What is left of the deliveries of a link that has gone.

use amqp_codec::message::MessageBuilder;
use amqp_codec::{DeliveryState, Role, SenderSettleMode, Source, Str, Target};

use super::world::{World, attach};
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
        let source = Source {
            address: Some(Str::from("m")),
            ..Source::default()
        };
        let mut attach = attach("r", Role::Receiver, Some(source), Some(Target::default()));
        attach.snd_settle_mode = SenderSettleMode::Settled;
        let link = world.attach(consumer, attach);
        world.credit(consumer, link, 10, false);
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
