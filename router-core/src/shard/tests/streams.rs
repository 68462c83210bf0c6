//! Deliveries that end before their messages do, or whose consumers do.

use amqp_codec::message::{Depth, MessageBuilder, Properties, scan_one};
use amqp_codec::{DeliveryState, DeliveryTag, Map, Role, Str, Value};
use amqp_proto::{Event, LinkKey, OutTransfer, Payload, Sent, Time};
use bytes::Bytes;

use super::world::{Peer, World};
use crate::ids::{AddressId, InLinkKey, Key, ShardId};
use crate::limits;
use crate::route::{DEFAULT_PRIORITY, Treatment};
use crate::settings::ConnectionRole;
use crate::shard::link::Flow;
use crate::shard::termini::{DATA, pair_attach};

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

/// The annotation by which a router says that a message is a stream, then the rest of a message.
fn announced(rest: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut annotations = Map::new();
    annotations.push(Value::symbol("x-opt-qd.stream"), Value::Int(1));
    let first = MessageBuilder::new()
        .message_annotations(annotations)
        .data("")
        .build();
    let end = scan_one(&first, Depth::MessageAnnotations).unwrap().rest as usize;
    (first[..end].to_vec(), rest.to_vec())
}

#[test]
fn only_who_may_speak_for_routers_announces_a_stream() {
    for strips in [true, false] {
        let mut world = World::new(1);
        let consumer = world.connect(0);
        world.receiver(consumer, "r", "q", 10);
        world.listener.strip_annotations.inbound = strips;
        let producer = world.connect(0);
        let sender = world.sender(producer, "s", "q");
        let (first, rest) = announced(&message(10));
        let begun = [first, rest[..5].to_vec()].concat();
        assert!(world.send_part(producer, sender, &begun, false, true));
        let census = world.shards[0].census();
        assert_eq!(census.outbound, usize::from(!strips));
        assert!(world.send_part(producer, sender, &rest[5..], false, false));
        assert_eq!(world.peers[consumer].received(), [message(10)]);
    }
}

#[test]
fn long_leading_sections_are_read_to_their_end() {
    let mut properties = Properties {
        to: Some(Str::from("q")),
        ..Properties::default()
    };
    properties.subject = Some(Str::copy(&"s".repeat(LARGE)));
    let mut annotations = Map::new();
    annotations.push(
        Value::symbol("note"),
        Value::String(Str::copy(&"n".repeat(LARGE))),
    );
    let message = MessageBuilder::new()
        .message_annotations(annotations)
        .properties(properties)
        .data("text")
        .build();
    for address in ["q", ""] {
        let mut world = World::new(1);
        let producer = world.connect(0);
        let consumer = world.connect(0);
        world.receiver(consumer, "r", "q", 10);
        let sender = world.sender(producer, "s", address);
        for part in message.chunks(150_000) {
            let more = part.as_ptr_range().end != message.as_ptr_range().end;
            assert!(world.send_part(producer, sender, part, false, more));
        }
        assert_eq!(world.peers[consumer].received(), [&message[..]]);
        assert_eq!(world.peers[producer].outcome(0), None);
    }
}

#[test]
fn a_message_that_never_says_where_it_goes_is_refused_at_its_bound() {
    let mut world = World::new(1);
    let producer = world.connect(0);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "q", 10);
    let sender = world.sender(producer, "s", "q");
    // Message annotations of a gigabyte.
    let head = [0x00, 0x53, 0x72, 0xd1, 0x40, 0, 0, 0, 0, 0, 0, 2];
    assert!(world.send_part(producer, sender, &head, false, true));
    let chunk = vec![0; 100_000];
    for _ in 0..limits::OPENING_BYTES / 100_000 {
        assert!(world.send_part(producer, sender, &chunk, false, true));
    }
    assert!(world.shards[0].census().held_bytes > 1_000_000);
    assert!(world.send_part(producer, sender, &chunk, false, true));
    assert!(world.send_part(producer, sender, &chunk, false, false));
    let told = world.peers[producer].outcome(0);
    assert!(
        matches!(told, Some((Some(DeliveryState::Rejected(_)), true))),
        "{told:?}"
    );
    assert!(world.nothing_under_way());
}

/// A neighbour with so many links of its own on one session.
fn neighbor(world: &mut World, role: Role, links: &[&str]) -> (usize, Vec<LinkKey>) {
    world.listener.role = ConnectionRole::InterRouter;
    let peer = world.connect(0);
    world.listener.role = ConnectionRole::Normal;
    let attach = |name: &&str| world.attach(peer, pair_attach(name, DATA, role));
    let links = links.iter().map(attach).collect();
    (peer, links)
}

fn addressed(to: &str, size: usize) -> Bytes {
    let properties = Properties {
        to: Some(Str::copy(to)),
        ..Properties::default()
    };
    let message = MessageBuilder::new().properties(properties);
    message.data(vec![7; size]).build()
}

/// Lets so many seconds pass.
fn pass(world: &mut World, seconds: u64) {
    for _ in 0..seconds {
        world.now = Time::from_nanos(world.now.as_nanos() + 1_000_000_000);
        world.run();
    }
}

/// A stream of a neighbour to a consumer that takes next to nothing of it, as far as it comes.
fn stalled(world: &mut World, links: &[&str]) -> (usize, Vec<LinkKey>, Payload) {
    let slow = world.connect_with_window(0, 1);
    world.receiver(slow, "slow", "slow", 10);
    let (peer, links) = neighbor(world, Role::Sender, links);
    let mut rest = Payload::from(addressed("slow", 30_000_000));
    assert!(!world.pour(peer, links[0], &mut rest, false, false));
    assert!(rest.len() > 1_000_000, "it is held back");
    (peer, links, rest)
}

#[test]
fn a_stalled_stream_that_holds_up_strangers_is_cut() {
    let mut world = World::new(1);
    let quick = world.connect(0);
    world.receiver(quick, "quick", "quick", 10);
    let (peer, links, mut rest) = stalled(&mut world, &["one", "two"]);
    let message = addressed("quick", 10);
    assert!(!world.send(peer, links[1], &message, false));
    pass(&mut world, 9);
    assert!(!world.send(peer, links[1], &message, false));
    pass(&mut world, 3);
    let told = world.peers[peer].outcome(0);
    assert!(
        matches!(told, Some((Some(DeliveryState::Modified(_)), false))),
        "{told:?}"
    );
    assert!(world.send(peer, links[1], &message, false));
    assert_eq!(world.peers[quick].received(), [message.to_vec()]);
    assert!(world.pour(peer, links[0], &mut rest, false, false));
    let told = world.peers[peer].outcome(0);
    assert!(matches!(told, Some((_, true))), "{told:?}");
    world.dispose(quick, 0, DeliveryState::Accepted, true);
}

#[test]
fn nobody_is_blamed_for_the_time_that_the_router_slept() {
    let mut world = World::new(1);
    let (peer, links, _) = stalled(&mut world, &["one", "two"]);
    let message = addressed("elsewhere", 10);
    assert!(!world.send(peer, links[1], &message, false));
    for _ in 0..3 {
        world.pass(60_000);
        pass(&mut world, 2);
        assert_eq!(world.peers[peer].outcome(0), None, "cut");
    }
    pass(&mut world, 8);
    assert!(
        world.peers[peer].outcome(0).is_some(),
        "it stands, and now the router has looked on"
    );
}

#[test]
fn a_router_that_is_late_again_and_again_still_cuts_what_stands() {
    let mut world = World::new(1);
    let (peer, links, _) = stalled(&mut world, &["one", "two"]);
    let message = addressed("elsewhere", 10);
    assert!(!world.send(peer, links[1], &message, false));
    let turns = (0..100).take_while(|_| {
        // Three seconds or more later than it was to be called.
        world.pass(8000);
        world.peers[peer].outcome(0).is_none()
    });
    let turns = turns.count();
    assert!((8..40).contains(&turns), "{turns}");
}

#[test]
fn a_stalled_stream_that_holds_up_nobody_may_wait() {
    let mut world = World::new(1);
    let (peer, _, _) = stalled(&mut world, &["one"]);
    pass(&mut world, 60);
    assert_eq!(world.peers[peer].outcome(0), None);
}

#[test]
fn a_stalled_stream_is_held_back_at_once_unless_others_send_by_its_session() {
    for settled in [false, true] {
        let mut world = World::new(1);
        let slow = world.connect_with_window(0, 1);
        world.receiver(slow, "slow", "slow", 10);
        let quick = world.connect(0);
        world.receiver(quick, "quick", "quick", 10);
        let producer = world.connect(0);
        let sender = world.sender(producer, "s", "slow");
        let mut rest = Payload::from(Bytes::from(message(30_000_000)));
        assert!(!world.pour(producer, sender, &mut rest, settled, false));
        let taken = 30_000_000 - rest.len() as u64;
        let window = u64::from(limits::SESSION_WINDOW_BYTES);
        assert!(
            taken < window + 2 * limits::STREAM_WINDOW,
            "{taken} bytes are kept for a consumer that takes none"
        );
        let other = world.sender(producer, "other", "quick");
        assert!(world.send(producer, other, &message(10), settled));
        assert_eq!(world.peers[quick].received(), [message(10)]);
    }
}

/// Sends messages of `size` bytes until no window lets more out; how many left in full, and what is
/// left of the last.
fn flood(world: &mut World, producer: usize, link: LinkKey, size: usize) -> (usize, Payload) {
    let whole = Bytes::from(message(size));
    let mut count = 0;
    loop {
        let mut piece = Payload::from(whole.clone());
        if !world.pour(producer, link, &mut piece, false, false) {
            return (count, piece);
        }
        count += 1;
    }
}

#[test]
fn a_stream_goes_on_although_another_sender_of_its_session_has_sent_too_much() {
    for (bound, size) in [(u64::MAX, 100_000), (10_000_000, 60_000)] {
        let mut world = World::new(1);
        let consumer = world.connect(0);
        world.receiver(consumer, "r", "q", 1000);
        world.listener.held_bytes = bound;
        let producer = world.connect(0);
        let stream = world.sender(producer, "stream", "q");
        let other = world.sender(producer, "other", "q");
        let mut rest = Payload::from(Bytes::from(begin(&mut world, producer, stream)));
        // It waits behind the stream in the consumer's lane.
        let (mut count, mut piece) = flood(&mut world, producer, other, size);
        assert!(count * size > 10_000_000, "{count} were sent");
        assert!(world.pour(producer, stream, &mut rest, false, false));
        count += usize::from(world.pour(producer, other, &mut piece, false, false));
        let received = world.peers[consumer].received();
        assert_eq!(received[0], message(2 * LARGE));
        assert_eq!(received.len(), 1 + count);
    }
}

#[test]
fn a_stream_that_its_own_client_keeps_from_going_on_is_cut() {
    let mut world = World::new(1);
    let consumer = world.connect(0);
    world.receiver(consumer, "r", "q", 1000);
    world.listener.held_bytes = 4_000_000;
    let producer = world.connect(0);
    let stream = world.sender(producer, "stream", "q");
    let other = world.sender(producer, "other", "q");
    let mut rest = Payload::from(Bytes::from(begin(&mut world, producer, stream)));
    let (count, _) = flood(&mut world, producer, other, 60_000);
    assert!(count * 60_000 > 8_000_000, "{count} were sent");
    assert!(!world.pour(producer, stream, &mut rest, false, false));
    assert_eq!(world.peers[consumer].received().len(), 0);
    pass(&mut world, 12);
    let told = world.peers[producer].outcome(0);
    assert!(
        matches!(told, Some((Some(DeliveryState::Modified(_)), _))),
        "{told:?}"
    );
    assert_eq!(world.peers[consumer].received().len(), count);
    assert!(world.pour(producer, stream, &mut rest, false, false));
}

/// What nobody in particular sends to an address.
fn flow(address: u64) -> Flow {
    Flow {
        shard: ShardId(0),
        sender: InLinkKey(Key::NONE),
        address: AddressId(address),
        priority: DEFAULT_PRIORITY,
    }
}

#[test]
fn who_sends_large_messages_has_a_link_for_them() {
    let mut world = World::new(1);
    neighbor(&mut world, Role::Receiver, &["one"]);
    let shard = &mut world.shards[0];
    let data = shard.out_links.iter().next().map(|(key, _)| key).unwrap();
    let one = shard.streaming_link(data, flow(1), false);
    let other = shard.streaming_link(data, flow(2), true);
    assert_ne!(one, other);
    assert_eq!(shard.streaming_link(data, flow(1), false), one);
    assert_eq!(shard.streaming_link(data, flow(2), false), other);
    pass(&mut world, 6);
    let shard = &mut world.shards[0];
    assert_eq!(shard.streaming_link(data, flow(3), false), one, "it rests");
    let further = shard.streaming_link(data, flow(4), false);
    assert_ne!(further, other, "where what was settled is now is not known");
    assert_eq!(shard.streaming_link(data, flow(2), false), other);
}

/// Gives more flows a link than there are links; those of the last ones.
fn crowd(world: &mut World, data: Key) -> Vec<Key> {
    let shard = &mut world.shards[0];
    for own in 0..limits::STREAMING_LINKS as u64 {
        assert_ne!(shard.streaming_link(data, flow(own), false), data);
    }
    let others = 1000..2000;
    others
        .map(|other| shard.streaming_link(data, flow(other), false))
        .collect()
}

#[test]
fn more_flows_than_links_share_them_and_each_keeps_to_its_own() {
    let mut world = World::new(1);
    neighbor(&mut world, Role::Receiver, &["one"]);
    let links = world.shards[0].out_links.iter();
    let data = links.map(|(key, _)| key).next().unwrap();
    let first = crowd(&mut world, data);
    let links = world.shards[0].out_links.iter().count();
    assert_eq!(links, 1 + limits::STREAMING_LINKS);
    for link in world.shards[0].out_links.iter().map(|(key, _)| key) {
        let share = first.iter().filter(|&&of| of == link).count();
        assert!(share < 50, "{share} of 1000 go by one link");
        assert_eq!(share == 0, link == data, "each carries some");
    }
    assert_eq!(crowd(&mut world, data), first);
    pass(&mut world, 6);
    let shard = &mut world.shards[0];
    let again = shard.streaming_link(data, flow(5000), false);
    let of = shard.out_links.get(again).unwrap().flow;
    assert_eq!(of, Some(flow(5000)), "as all rest, it has one of its own");
}

#[test]
fn a_neighbour_that_lets_no_session_begin_gets_large_messages_by_what_there_is() {
    let mut world = World::new(1);
    neighbor(&mut world, Role::Receiver, &["one"]);
    let shard = &mut world.shards[0];
    let data = shard.out_links.iter().next().map(|(key, _)| key).unwrap();
    let one = shard.streaming_link(data, flow(1), false);
    let key = shard.out_links.get(data).unwrap().conn;
    let conn = shard.conns.get_mut(key).unwrap();
    while conn.engine.begin(&mut conn.output).is_ok() {}
    assert_eq!(shard.streaming_link(data, flow(2), false), one);
}

#[test]
fn links_for_large_messages_are_closed_when_nobody_needs_them() {
    let mut world = World::new(1);
    let (peer, _) = neighbor(&mut world, Role::Receiver, &["one"]);
    let shard = &mut world.shards[0];
    let data = shard.out_links.iter().next().map(|(key, _)| key).unwrap();
    let streaming = shard.streaming_link(data, flow(1), false);
    assert_ne!(streaming, data);
    assert_eq!(
        shard.streaming_link(data, flow(1), false),
        streaming,
        "its own"
    );
    world.run();
    let seen = |world: &World, wanted: fn(&Event) -> bool| {
        let events = world.peers[peer].events.iter();
        events.filter(|event| wanted(event)).count()
    };
    let attached = |event: &Event| matches!(event, Event::Attached { answer: false, .. });
    let detached = |event: &Event| matches!(event, Event::Detached { closed: true, .. });
    let ended = |event: &Event| matches!(event, Event::Ended { .. });
    pass(&mut world, 29);
    assert_eq!((seen(&world, attached), seen(&world, detached)), (1, 0));
    pass(&mut world, 3);
    assert_eq!((seen(&world, detached), seen(&world, ended)), (1, 1));
    let shard = &mut world.shards[0];
    assert_ne!(
        shard.streaming_link(data, flow(1), false),
        streaming,
        "a new one"
    );
    world.run();
    assert_eq!(seen(&world, attached), 2);
}

#[test]
fn a_state_that_comes_with_the_last_of_a_message_goes_on_with_it() {
    let state = DeliveryState::Received {
        section_number: 1,
        section_offset: 2,
    };
    for (treatment, size) in [
        (Treatment::AnycastBalanced, 10),
        (Treatment::AnycastBalanced, LARGE),
        (Treatment::Multicast, LARGE),
    ] {
        let mut world = World::with_default(2, treatment);
        let consumer = world.connect(1);
        world.receiver(consumer, "r", "q", 10);
        let producer = world.connect(0);
        let sender = world.sender(producer, "s", "q");
        let mut first = message(2 * size);
        let last = first.split_off(size);
        assert!(world.send_part(producer, sender, &first, false, true));
        let transfer = OutTransfer {
            state: Some(&state),
            ..OutTransfer::new(7, DeliveryTag::new(b"t").unwrap())
        };
        let mut rest = Payload::from(Bytes::from(last.clone()));
        loop {
            let Peer { engine, output, .. } = &mut world.peers[producer];
            let sent = engine.send_transfer(sender, &transfer, &[], &rest, output);
            world.run();
            match sent {
                Sent::Whole => break,
                Sent::Part(count) => rest.advance(count),
                Sent::Blocked => {}
            }
        }
        let told = world.peers[consumer].states.last();
        assert_eq!(told, Some(&state), "{treatment:?} {size}");
        let whole = [first, last].concat();
        assert_eq!(world.peers[consumer].received(), [whole]);
    }
}

/// Two shards that each begin to send a large message to a consumer of their own and then hear of
/// the other's: each is first in one consumer's lane and waits in the other's.
#[test]
fn of_messages_that_wait_for_each_other_one_arrives_and_the_other_has_an_outcome() {
    for settled in [false, true] {
        let mut world = World::with_default(2, Treatment::Multicast);
        let consumers = [world.connect(0), world.connect(1)];
        for consumer in consumers {
            world.receiver(consumer, "r", "m", 10);
        }
        let producers = [world.connect(0), world.connect(1)];
        let senders = producers.map(|producer| world.sender(producer, "s", "m"));
        let bodies = [1, 2].map(|mark| vec![mark; 4_000_000]);
        let wholes = bodies.map(|body| MessageBuilder::new().data(body).build());
        for shard in 0..2 {
            world.keep_busy(ShardId(shard));
        }
        for at in 0..2 {
            let first = &wholes[at][..LARGE];
            assert!(world.send_part(producers[at], senders[at], first, settled, true));
        }
        for shard in 0..2 {
            world.let_take_mail(ShardId(shard));
        }
        let mut rests = [0, 1].map(|at| Payload::from(wholes[at].slice(LARGE..)));
        let mut ended = [None; 2];
        for second in 0..20 {
            for at in 0..2 {
                if ended[at].is_none()
                    && world.pour(producers[at], senders[at], &mut rests[at], settled, false)
                {
                    ended[at] = Some(second);
                }
            }
            pass(&mut world, 1);
        }
        assert!(matches!(ended, [Some(10..=16), Some(10..=16)]), "{ended:?}");
        let received = world.peers[consumers[0]].received().concat();
        let arrived = wholes.iter().position(|whole| *whole == received);
        let arrived = arrived.expect("one of them is whole");
        assert_eq!(world.peers[consumers[1]].received(), [&wholes[arrived]]);
        if !settled {
            for consumer in consumers {
                let id = world.peers[consumer].messages[0].1;
                world.dispose(consumer, id, DeliveryState::Accepted, true);
            }
            let told = producers.map(|producer| world.peers[producer].outcome(0));
            let lost = &told[1 - arrived];
            assert_eq!(told[arrived], Some((Some(DeliveryState::Accepted), true)));
            assert!(
                matches!(lost, Some((Some(DeliveryState::Modified(_)), true))),
                "{lost:?}"
            );
        }
        assert!(world.nothing_under_way());
    }
}

/// A consumer that takes nothing sets the pace of a message for several, unless others wait.
#[test]
fn a_message_for_all_may_wait_for_one_that_takes_nothing_unless_others_wait_behind_it() {
    for others in [false, true] {
        let mut world = World::with_default(2, Treatment::Multicast);
        let slow = world.connect_with_window(1, 1);
        world.receiver(slow, "slow", "m", 10);
        let quick = world.connect(0);
        world.receiver(quick, "quick", "m", 10);
        let producer = world.connect(0);
        let sender = world.sender(producer, "s", "m");
        let mut rest = Payload::from(Bytes::from(message(4_000_000)));
        assert!(!world.pour(producer, sender, &mut rest, false, false));
        if others {
            let other = world.connect(0);
            let sender = world.sender(other, "other", "m");
            assert!(world.send(other, sender, &message(10), false));
        }
        pass(&mut world, 60);
        let told = world.peers[producer].outcome(0);
        assert_eq!(told.is_some(), others, "{told:?}");
        let received = world.peers[quick].received();
        assert_eq!(received, vec![message(10); usize::from(others)]);
    }
}

/// A producer that pauses in the middle of a message is waited for, whoever waits behind it.
#[test]
fn a_message_for_all_whose_producer_pauses_is_not_cut() {
    let mut world = World::with_default(2, Treatment::Multicast);
    let consumers = [world.connect(0), world.connect(1)];
    for consumer in consumers {
        world.receiver(consumer, "r", "m", 10);
    }
    let producer = world.connect(0);
    let sender = world.sender(producer, "s", "m");
    let rest = begin(&mut world, producer, sender);
    let other = world.connect(1);
    let behind = world.sender(other, "other", "m");
    assert!(world.send(other, behind, &message(10), false));
    pass(&mut world, 60);
    assert_eq!(world.peers[producer].outcome(0), None);
    assert!(world.send_part(producer, sender, &rest, false, false));
    for consumer in consumers {
        let received = world.peers[consumer].received();
        assert_eq!(received, [message(2 * LARGE), message(10)]);
    }
}
