//! Many links and little room: a session's window is shared, and nobody is forgotten.

use std::sync::Arc;

use amqp_codec::{DeliveryState, Role, Source, Str, Target};
use amqp_proto::{Config, LinkKey};

use super::world::{World, attach};
use crate::limits;

/// A message of one small data section.
const MESSAGE: [u8; 6] = [0x00, 0x53, 0x75, 0xa0, 0x01, 0x78];

/// A consumer with so many links in a session whose window is `window`, and four messages for each.
fn crowd(world: &mut World, links: usize, window: u32) -> (usize, Vec<LinkKey>) {
    let consumer = world.connect_with_window(world.shards.len() - 1, window);
    let producer = world.connect(0);
    let mut keys = Vec::new();
    for number in 0..links {
        let address = format!("q{number}");
        keys.push(world.receiver(consumer, &address, &address, 0));
        let sender = world.sender(producer, &address, &address);
        for _ in 0..4 {
            assert!(world.send(producer, sender, &MESSAGE, number % 2 == 0));
        }
    }
    (consumer, keys)
}

/// Tells the router that the session has its whole window again.
fn renew(world: &mut World, consumer: usize) {
    let peer = &mut world.peers[consumer];
    let session = peer.session.unwrap();
    peer.engine.send_flow(session, None, &mut peer.output);
    world.run();
}

#[test]
fn a_consumer_that_is_answered_is_no_matter_to_producers_that_have_credit() {
    let mut world = World::new(2);
    let consumer = world.connect(1);
    world.receiver(consumer, "old", "old", 100);
    let client = world.connect(0);
    let producers: Vec<_> = (0..50)
        .map(|number| {
            let link = world.sender(client, &format!("p{number}"), "old");
            assert!(world.send(client, link, &MESSAGE, true));
            link
        })
        .collect();
    let given = |world: &World| -> Vec<u32> {
        let credit = |link: &LinkKey| world.peers[client].engine.credit(*link);
        producers.iter().map(credit).collect()
    };
    let before = given(&world);
    let address = || Some(Str::copy("new"));
    let (source, target) = (Source::default(), Target::default());
    let receiver = Source {
        address: address(),
        ..source.clone()
    };
    let sender = Target {
        address: address(),
        ..target.clone()
    };
    let peer = &mut world.peers[client];
    let session = peer.session.unwrap();
    let mut add = |attach| peer.engine.attach(session, attach, &mut peer.output);
    let [_, new] = [
        attach("in", Role::Receiver, Some(receiver), Some(target)),
        attach("out", Role::Sender, Some(source), Some(sender)),
    ]
    .map(|attach| add(attach).unwrap());
    world.run();
    assert!(world.peers[client].engine.credit(new) > 0);
    assert_eq!(given(&world), before, "flows for those that need none");
}

#[test]
fn every_link_has_its_turn_with_a_window_too_small_for_all() {
    for (shards, window) in [(1, 1), (2, 1), (2, 3), (2, 7)] {
        let mut world = World::new(shards);
        let (consumer, keys) = crowd(&mut world, 9, window);
        for &link in &keys {
            let peer = &mut world.peers[consumer];
            peer.engine.set_credit(link, 100, false, &mut peer.output);
        }
        world.run();
        let mut flows = 0;
        while world.peers[consumer].messages.len() < 4 * keys.len() {
            let before = world.peers[consumer].messages.len();
            renew(&mut world, consumer);
            let now = world.peers[consumer].messages.len();
            assert!(now > before, "nothing came after {before} messages");
            flows += 1;
        }
        assert!(
            flows <= 36_u32.div_ceil(window),
            "{flows} flows of {window}"
        );
    }
}

#[test]
fn a_session_with_all_the_unsettled_it_may_have_goes_on_as_they_are_settled() {
    let mut world = World::new(1);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "q", 100);
    for (_, conn) in world.shards[0].conns.iter_mut() {
        let mut config = Config::clone(conn.engine.config());
        config.limits.unsettled_per_session = 3;
        conn.engine.set_config(Arc::new(config));
    }
    let producer = world.connect(0);
    let sender = world.sender(producer, "s", "q");
    for _ in 0..9 {
        assert!(world.send(producer, sender, &MESSAGE, false));
    }
    let came = |world: &World| world.peers[consumer].messages.len();
    for id in 0..6 {
        assert_eq!(came(&world), 3 + id as usize);
        world.dispose(consumer, id, DeliveryState::Accepted, true);
    }
    assert_eq!(came(&world), 9);
}

#[test]
fn what_a_link_leaves_of_a_window_is_anothers() {
    let mut world = World::new(1);
    let (consumer, keys) = crowd(&mut world, 6, 2);
    // The first two have credit for less than they have, the third is gone when its turn comes.
    for (place, &link) in keys.iter().enumerate() {
        let credit = if place < 2 { 1 } else { 100 };
        let peer = &mut world.peers[consumer];
        peer.engine
            .set_credit(link, credit, false, &mut peer.output);
    }
    world.run();
    world.detach(consumer, keys[2]);
    let mut rounds = 0;
    while world.peers[consumer].messages.len() < 2 + 3 * 4 {
        renew(&mut world, consumer);
        rounds += 1;
        assert!(rounds < 20, "{} came", world.peers[consumer].messages.len());
    }
}

#[test]
fn links_that_go_while_they_wait_leave_nothing_behind() {
    let mut world = World::new(1);
    let (consumer, keys) = crowd(&mut world, 6, 1);
    for &link in &keys {
        world.credit(consumer, link, 100, false);
    }
    for link in keys {
        world.detach(consumer, link);
    }
    assert_eq!(world.shards[0].census().strays, 0);
}

#[test]
fn a_drain_that_was_taken_back_does_not_count_for_the_next() {
    let mut world = World::new(2);
    world.listener.link_capacity = 2;
    let consumer = world.connect(1);
    let link = world.receiver(consumer, "r", "q", 0);
    // Two wait in the consumer's lane, two where they came in.
    for _ in 0..2 {
        let producer = world.connect(0);
        let sender = world.sender(producer, "s", "q");
        for _ in 0..2 {
            assert!(world.send(producer, sender, &MESSAGE, false));
        }
    }
    let peer = &mut world.peers[consumer];
    for drain in [true, false, true] {
        peer.engine.set_credit(link, 10, drain, &mut peer.output);
    }
    world.run();
    let peer = &world.peers[consumer];
    assert_eq!((peer.messages.len(), peer.engine.credit(link)), (4, 0));
}

#[test]
fn sessions_have_their_full_window_again_once_they_are_few() {
    let mut world = World::new(1);
    let peer = world.connect(0);
    let begin = |world: &mut World| {
        let entry = &mut world.peers[peer];
        let session = entry.engine.begin(&mut entry.output).unwrap();
        world.run();
        let window = world.peers[peer].engine.session_window(session);
        (session, window)
    };
    let mut sessions: Vec<_> = (0..20).map(|_| begin(&mut world)).collect();
    let windows = |sessions: &[(_, u32)], window| {
        let sessions = sessions.iter();
        sessions.filter(|(_, given)| *given == window).count()
    };
    // One more was begun when the peer connected.
    assert_eq!(windows(&sessions, limits::SESSION_WINDOW_FRAMES), 15);
    assert_eq!(windows(&sessions, limits::CROWDED_WINDOW_FRAMES), 5);
    for (session, _) in sessions.drain(..8) {
        let entry = &mut world.peers[peer];
        entry.engine.end(session, None, &mut entry.output);
    }
    world.run();
    let more: Vec<_> = (0..5).map(|_| begin(&mut world)).collect();
    assert_eq!(windows(&more, limits::SESSION_WINDOW_FRAMES), 3);
    assert_eq!(windows(&more, limits::CROWDED_WINDOW_FRAMES), 2);
}
