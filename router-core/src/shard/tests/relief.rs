//! Connections between routers that are full: who has to go, and who goes on.

use amqp_codec::message::{MessageBuilder, Properties};
use amqp_codec::{DeliveryState, DeliveryTag, Role, Str};
use amqp_proto::{Event, LinkKey, OutTransfer, Payload, Sent};

use super::world::World;
use crate::route::Treatment;
use crate::settings::ConnectionRole;
use crate::shard::termini::{DATA, pair_attach};

/// Bytes that a neighbour's connection may hold in these tests.
const HELD: u64 = 1_000_000;

fn addressed(to: &str, size: usize) -> Payload {
    let properties = Properties {
        to: Some(Str::copy(to)),
        ..Properties::default()
    };
    let message = MessageBuilder::new().properties(properties);
    message.data(vec![7; size]).build().into()
}

/// A neighbour that may send so many frames ahead.
fn neighbor(world: &mut World, frames: u32) -> usize {
    let size = world.listener.max_frame_size;
    neighbor_with(world, frames, size)
}

/// The same for frames of this size.
fn neighbor_with(world: &mut World, frames: u32, size: u32) -> usize {
    let normal = world.listener.clone();
    world.listener.max_frame_size = size;
    world.listener.role = ConnectionRole::InterRouter;
    world.listener.held_bytes = HELD;
    world.listener.max_session_frames = Some(frames);
    let peer = world.connect(0);
    world.listener = normal;
    peer
}

/// A link of a neighbour's, on a session of its own.
fn link(world: &mut World, peer: usize, name: &str) -> LinkKey {
    let entry = &mut world.peers[peer];
    entry.session = entry.engine.begin(&mut entry.output).ok();
    world.run();
    world.attach(peer, pair_attach(name, DATA, Role::Sender))
}

/// Sends messages of this size until no more can be; what is left of the last.
fn fill(world: &mut World, peer: usize, link: LinkKey, to: &str, size: usize) -> Payload {
    for _ in 0..1000 {
        let mut rest = addressed(to, size);
        if !world.pour(peer, link, &mut rest, false, false) {
            return rest;
        }
    }
    panic!("there is no end to it");
}

/// Lets so many seconds pass.
fn pass(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.pass(1000);
    }
}

fn outcome(world: &World, peer: usize, id: u32) -> Option<DeliveryState> {
    world.peers[peer].outcome(id).and_then(|(state, _)| state)
}

#[test]
fn who_takes_nothing_does_not_keep_what_strangers_share() {
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::new(shards);
        let [dead, quick] = [far, 0].map(|shard| world.connect(shard));
        let waits = world.receiver(dead, "dead", "dead", 0);
        world.receiver(quick, "quick", "quick", 1000);
        let peer = neighbor(&mut world, 16);
        let shared = link(&mut world, peer, "one");
        let mut rest = fill(&mut world, peer, shared, "dead", 30_000);
        pass(&mut world, 9);
        assert!(!world.pour(peer, shared, &mut rest, false, false));
        pass(&mut world, 3);
        let first = (0..2).map(|id| outcome(&world, peer, id));
        assert!(first.clone().any(|told| told.is_none()), "the first stays");
        assert!(first.flatten().all(|told| told == DeliveryState::Released));
        assert!(world.pour(peer, shared, &mut rest, false, false));
        // From now on nobody has to wait.
        for round in 1..=100 {
            for to in ["dead", "quick"] {
                let mut message = addressed(to, 30_000);
                assert!(world.pour(peer, shared, &mut message, false, false));
            }
            assert_eq!(world.peers[quick].messages.len(), round);
        }
        let last = world.peers[peer].engine.last_delivery_id(shared) - 1;
        assert_eq!(outcome(&world, peer, last), Some(DeliveryState::Released));
        assert!(world.peers[dead].messages.is_empty());
        world.credit(dead, waits, 10, false);
        assert_eq!(world.peers[dead].messages.len(), 1);
        pass(&mut world, 2);
        let mut message = addressed("dead", 30_000);
        assert!(world.pour(peer, shared, &mut message, false, false));
        assert_eq!(world.peers[dead].messages.len(), 2, "it takes something");
    }
}

#[test]
fn what_waits_for_another_consumer_goes_to_who_takes_it() {
    let mut world = World::with_default(1, Treatment::AnycastClosest);
    let [dead, quick] = [0, 0].map(|shard| world.connect(shard));
    world.receiver(dead, "dead", "both", 0);
    world.receiver(quick, "quick", "both", 1000);
    let peer = neighbor(&mut world, 16);
    let shared = link(&mut world, peer, "one");
    let mut rest = fill(&mut world, peer, shared, "both", 30_000);
    pass(&mut world, 12);
    let before = world.peers[quick].messages.len();
    assert!(world.pour(peer, shared, &mut rest, false, false));
    for _ in 0..50 {
        let mut message = addressed("both", 30_000);
        assert!(world.pour(peer, shared, &mut message, false, false));
    }
    assert_eq!(world.peers[quick].messages.len(), before + 51);
}

#[test]
fn large_messages_for_who_takes_nothing_do_not_fill_a_connection_for_good() {
    let mut world = World::new(1);
    let [dead, quick] = [0, 0].map(|shard| world.connect(shard));
    world.receiver(dead, "dead", "dead", 0);
    world.receiver(quick, "quick", "quick", 1000);
    let peer = neighbor(&mut world, 16);
    let flows: Vec<_> = (0..4)
        .map(|number| link(&mut world, peer, &format!("flow {number}")))
        .collect();
    let mut rests: Vec<_> = flows
        .iter()
        .map(|flow| fill(&mut world, peer, *flow, "dead", 200_000))
        .collect();
    let other = link(&mut world, peer, "other");
    let mut rest = fill(&mut world, peer, other, "quick", 30_000);
    for _ in 0..15 {
        pass(&mut world, 1);
        for (flow, rest) in flows.iter().zip(&mut rests) {
            world.pour(peer, *flow, rest, false, false);
        }
    }
    assert!(world.pour(peer, other, &mut rest, false, false));
    for round in 0..30 {
        let mut message = addressed("quick", 30_000);
        assert!(
            world.pour(peer, other, &mut message, false, false),
            "{round}"
        );
        for flow in &flows {
            let mut message = addressed("dead", 200_000);
            world.pour(peer, *flow, &mut message, false, false);
        }
    }
}

#[test]
fn who_is_merely_slow_gets_everything() {
    let mut world = World::new(1);
    let slow = world.connect(0);
    let takes = world.receiver(slow, "slow", "slow", 0);
    let peer = neighbor(&mut world, 16);
    let shared = link(&mut world, peer, "one");
    let mut rest = fill(&mut world, peer, shared, "slow", 30_000);
    for round in 1..=20 {
        pass(&mut world, 6);
        world.credit(slow, takes, 1, false);
        assert_eq!(world.peers[slow].messages.len(), round);
        if world.pour(peer, shared, &mut rest, false, false) {
            rest = addressed("slow", 30_000);
        }
    }
    assert!(world.peers[peer].dispositions().is_empty());
}

#[test]
fn who_is_slow_with_a_large_message_gets_it_and_what_lies_behind() {
    let mut world = World::new(1);
    let slow = world.connect_with_window(0, 1);
    world.receiver(slow, "slow", "slow", 100);
    let peer = neighbor(&mut world, 16);
    let flow = link(&mut world, peer, "flow");
    let mut large = addressed("slow", 950_000);
    assert!(world.pour(peer, flow, &mut large, false, false), "whole");
    let shared = link(&mut world, peer, "one");
    let mut rest = fill(&mut world, peer, shared, "slow", 30_000);
    for _ in 0..20 {
        pass(&mut world, 8);
        if world.pour(peer, shared, &mut rest, false, false) {
            rest = fill(&mut world, peer, shared, "slow", 30_000);
        }
        let entry = &mut world.peers[slow];
        let session = entry.session.unwrap();
        entry.engine.send_flow(session, None, &mut entry.output);
        world.run();
    }
    assert!(
        world.peers[slow].messages.len() > 1,
        "the large one, and more"
    );
    assert!(world.peers[peer].dispositions().is_empty());
}

#[test]
fn large_messages_for_who_is_merely_slow_wait_for_their_turn() {
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::new(shards);
        let slow = world.connect(far);
        let takes = world.receiver(slow, "slow", "slow", 0);
        let peer = neighbor(&mut world, 4);
        let mut waiting: Vec<_> = (0..10)
            .map(|number| {
                let flow = link(&mut world, peer, &format!("flow {number}"));
                (flow, addressed("slow", 300_000))
            })
            .collect();
        let mut go_on = |world: &mut World| {
            waiting.retain_mut(|(flow, rest)| !world.pour(peer, *flow, rest, false, false));
            waiting.len()
        };
        assert!(go_on(&mut world) > 0, "all of them do not fit");
        for round in 1..=10 {
            pass(&mut world, 6);
            world.credit(slow, takes, 1, false);
            go_on(&mut world);
            assert_eq!(world.peers[slow].messages.len(), round);
        }
        assert!(world.peers[peer].dispositions().is_empty());
    }
}

#[test]
fn large_messages_that_wait_in_line_for_who_is_merely_slow_keep_their_place() {
    let mut world = World::new(1);
    world.listener.link_capacity = 1;
    let slow = world.connect(0);
    let takes = world.receiver(slow, "slow", "slow", 0);
    let peer = neighbor(&mut world, 4);
    let mut waiting: Vec<_> = (0..10)
        .map(|number| {
            let flow = link(&mut world, peer, &format!("flow {number}"));
            (flow, addressed("slow", 300_000))
        })
        .collect();
    for round in 1..=10 {
        waiting.retain_mut(|(flow, rest)| !world.pour(peer, *flow, rest, false, false));
        pass(&mut world, 6);
        world.credit(slow, takes, 1, false);
        waiting.retain_mut(|(flow, rest)| !world.pour(peer, *flow, rest, false, false));
        assert_eq!(world.peers[slow].messages.len(), round);
    }
    assert!(world.peers[peer].dispositions().is_empty());
}

#[test]
fn a_neighbour_of_our_kind_is_shown_that_its_large_message_waits_for_who_moves() {
    let mut world = World::new(1);
    let slow = world.connect(0);
    let takes = world.receiver(slow, "slow", "slow", 0);
    let peer = neighbor(&mut world, 4);
    let key = world.peers[peer].key;
    world.shards[0].conns.get_mut(key).unwrap().vigil.is_ours = true;
    for name in ["one", "two"] {
        let first = link(&mut world, peer, name);
        let mut message = addressed("slow", 150_000);
        world.pour(peer, first, &mut message, false, false);
    }
    let flow = link(&mut world, peer, "flow");
    let mut begun = addressed("slow", 500_000);
    assert!(world.pour(peer, flow, &mut begun, false, true));
    let signs = |world: &mut World, seconds| {
        world.peers[peer].events.clear();
        pass(world, seconds);
        let events = world.peers[peer].events.iter();
        let is_its =
            |event: &&Event| matches!(event, Event::Flow { link, .. } if *link == Some(flow));
        events.filter(is_its).count()
    };
    assert!(signs(&mut world, 9) > 1);
    signs(&mut world, 3);
    assert_eq!(signs(&mut world, 20), 0, "it stands");
    world.credit(slow, takes, 1, false);
    signs(&mut world, 2);
    assert!(signs(&mut world, 6) > 0, "it has moved");
}

#[test]
fn who_takes_nothing_and_keeps_nobody_waiting_may_have_what_waits() {
    let mut world = World::new(1);
    let dead = world.connect(0);
    let takes = world.receiver(dead, "dead", "dead", 0);
    let peer = neighbor(&mut world, 16);
    let shared = link(&mut world, peer, "one");
    for _ in 0..20 {
        let mut message = addressed("dead", 30_000);
        assert!(world.pour(peer, shared, &mut message, false, false));
    }
    pass(&mut world, 60);
    assert!(world.peers[peer].dispositions().is_empty());
    world.credit(dead, takes, 100, false);
    assert_eq!(world.peers[dead].messages.len(), 20);
}

#[test]
fn streams_that_are_little_ahead_fill_no_connection_for_good() {
    let mut world = World::new(1);
    let [dead, quick] = [0, 0].map(|shard| world.connect(shard));
    world.receiver(dead, "dead", "dead", 0);
    world.receiver(quick, "quick", "quick", 1000);
    let peer = neighbor(&mut world, 4);
    for number in 0..8 {
        let flow = link(&mut world, peer, &format!("flow {number}"));
        let mut begun = addressed("dead", 150_000);
        world.pour(peer, flow, &mut begun, false, true);
    }
    assert!(world.shards[0].census().held_bytes > HELD, "it is full");
    let other = link(&mut world, peer, "other");
    let mut rest = addressed("quick", 150_000);
    assert!(!world.pour(peer, other, &mut rest, false, false));
    pass(&mut world, 12);
    assert!(world.pour(peer, other, &mut rest, false, false));
    assert_eq!(world.peers[quick].messages.len(), 1);
}

#[test]
fn a_multicast_stream_goes_on_for_those_who_wait_until_the_slowest_is_a_window_behind() {
    for (shards, far) in [(1, 0), (2, 1)] {
        let mut world = World::with_default(shards, Treatment::Multicast);
        let [slow, quick] = [far, 0].map(|shard| world.connect(shard));
        world.receiver(slow, "slow", "m", 0);
        world.receiver(quick, "quick", "m", 10);
        let peer = neighbor(&mut world, 4);
        // Others have filled it, and take nothing either.
        let dead = world.connect(0);
        world.receiver(dead, "dead", "dead", 0);
        let flow = link(&mut world, peer, "flow");
        let mut begun = addressed("m", 140_000);
        assert!(world.pour(peer, flow, &mut begun, false, true));
        let shared = link(&mut world, peer, "shared");
        fill(&mut world, peer, shared, "dead", 30_000);
        assert!(world.shards[0].census().held_bytes > HELD, "it is full");
        let mut more = Payload::from(bytes::Bytes::from(vec![0; 1_000_000]));
        assert!(!world.pour(peer, flow, &mut more, false, true));
        let sent = 1_000_000 - more.len();
        assert!((100_000..300_000).contains(&sent), "{sent} of it");
    }
}

/// A neighbour whose connection is full of what waits for somebody who takes nothing yet, with a
/// link on a session that takes somewhat more at a time than is held of a message; and who it is
/// that takes nothing, with its link.
fn full(world: &mut World) -> (usize, LinkKey, usize, LinkKey) {
    let late = world.connect(0);
    let takes = world.receiver(late, "late", "late", 0);
    let peer = neighbor_with(world, 3, 65_536);
    let shared = link(world, peer, "shared");
    fill(world, peer, shared, "late", 100_000);
    let flow = link(world, peer, "flow");
    (peer, flow, late, takes)
}

/// A message in two parts: as much of it as the window takes, and the rest.
fn parts(to: &str) -> (Payload, Payload) {
    let whole = addressed(to, 800_000).chunks()[0].clone();
    (whole.slice(..196_000).into(), whole.slice(196_000..).into())
}

/// Whether a further message does not get in before the connection has room, and does then.
fn waits_for_room(world: &mut World, peer: usize, flow: LinkKey, late: (usize, LinkKey)) -> bool {
    let mut next = addressed("quick", 250_000);
    let waits = !world.pour(peer, flow, &mut next, false, false);
    world.credit(late.0, late.1, 100, false);
    waits && world.pour(peer, flow, &mut next, false, false)
}

#[test]
fn a_message_longer_than_a_window_comes_to_its_end_for_who_waits_on_a_full_connection() {
    let mut world = World::new(1);
    let quick = world.connect(0);
    world.receiver(quick, "quick", "quick", 10);
    let (peer, flow, late, takes) = full(&mut world);
    let mut message = addressed("quick", 250_000);
    assert!(world.pour(peer, flow, &mut message, false, false));
    assert_eq!(world.peers[quick].messages.len(), 1);
    assert!(waits_for_room(&mut world, peer, flow, (late, takes)));
    assert_eq!(world.peers[quick].messages.len(), 2);
}

#[test]
fn what_nobody_wants_any_more_is_read_to_its_end_on_a_full_connection() {
    let mut world = World::new(1);
    let quick = world.connect(0);
    world.receiver(quick, "quick", "quick", 10);
    let (peer, flow, late, takes) = full(&mut world);
    let (mut first, mut rest) = parts("quick");
    assert!(world.pour(peer, flow, &mut first, false, true));
    world.dispose(quick, 0, DeliveryState::Released, true);
    assert!(world.pour(peer, flow, &mut rest, false, false));
    let id = world.peers[peer].engine.last_delivery_id(flow);
    assert_eq!(outcome(&world, peer, id), Some(DeliveryState::Released));
    assert!(waits_for_room(&mut world, peer, flow, (late, takes)));
}

#[test]
fn who_gives_a_message_up_has_no_window_of_it_on_a_full_connection() {
    let mut world = World::new(1);
    let quick = world.connect(0);
    world.receiver(quick, "quick", "quick", 10);
    let (peer, flow, late, takes) = full(&mut world);
    let (mut first, _) = parts("quick");
    assert!(world.pour(peer, flow, &mut first, false, true));
    let transfer = OutTransfer {
        aborted: true,
        ..OutTransfer::new(7, DeliveryTag::new(b"t").unwrap())
    };
    let entry = &mut world.peers[peer];
    let payload = Payload::new();
    let sent = entry
        .engine
        .send_transfer(flow, &transfer, &[], &payload, &mut entry.output);
    assert_eq!(sent, Sent::Whole);
    world.run();
    assert!(waits_for_room(&mut world, peer, flow, (late, takes)));
    assert_eq!(world.peers[quick].messages.len(), 1);
}
