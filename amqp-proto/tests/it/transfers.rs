//! Deliveries between two engines: split into frames, held back by windows and credit, aborted,
//! drained, settled.

use amqp_codec::{DeliveryState, DeliveryTag, Role};
use amqp_proto::{Config, Event, InTransfer, LinkKey, OutTransfer, Payload, SendQueue, Sent};
use bytes::Bytes;

use crate::pair::{Pair, Side, named};
use crate::raw::server;

fn tag() -> DeliveryTag {
    DeliveryTag::new(b"t").expect("short enough")
}

/// Sends all of a message, letting bytes pass whenever the engine wants more room.
fn send(pair: &mut Pair, link: LinkKey, message: &[u8]) {
    let mut payload = Payload::from(Bytes::copy_from_slice(message));
    loop {
        let client = &mut pair.client;
        let transfer = OutTransfer::new(9, tag());
        match client
            .connection
            .send_transfer(link, &transfer, &[], &payload, &mut client.out)
        {
            Sent::Whole => break,
            Sent::Part(count) => payload.advance(count),
            Sent::Blocked => {}
        }
        pair.run();
        let session = pair.server.session();
        pair.server
            .connection
            .flush_session(session, &mut pair.server.out);
        pair.run();
    }
    pair.run();
}

//= amqp-1.0 §2.6.14
#[test]
fn a_long_message_arrives_whole_through_small_windows() {
    let (mut pair, link, server) = Pair::attached(Role::Sender);
    pair.server
        .connection
        .set_credit(server, 1, false, &mut pair.server.out);
    pair.run();
    let message: Vec<u8> = (0..5_000_000_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    send(&mut pair, link, &message);
    assert_eq!(pair.server.received(), message);
    assert_eq!(pair.server.connection.credit(server), 0);
    assert_eq!(pair.client.connection.credit(link), 0);
}

//= amqp-1.0 §2.6.12
#[test]
fn an_outcome_finds_its_delivery_once() {
    let (mut pair, link, server) = Pair::attached(Role::Sender);
    pair.server
        .connection
        .set_credit(server, 5, false, &mut pair.server.out);
    pair.run();
    send(&mut pair, link, b"\x00\x53\x75\xa0\x01x");
    let session = pair.server.session();
    pair.server.connection.track(server, 0, 1);
    let accepted = Some(DeliveryState::Accepted);
    pair.server
        .connection
        .queue_disposition(session, Role::Receiver, 0, true, accepted);
    pair.server
        .connection
        .flush_dispositions(session, &mut pair.server.out);
    pair.run();
    let told = pair.client.events.iter().find_map(|event| match event {
        Event::Disposition {
            session,
            disposition,
        } => Some((*session, disposition.clone())),
        _ => None,
    });
    let (session, disposition) = told.expect("a disposition");
    let mut tokens = Vec::new();
    pair.client
        .connection
        .disposed(session, &disposition, &mut tokens);
    assert_eq!(tokens, [9]);
    pair.client
        .connection
        .disposed(session, &disposition, &mut tokens);
    assert_eq!(tokens, [9], "it was settled: nothing is left to find");
}

/// A pair whose server reads frames of 512 bytes in windows of `window` frames, with `credit` for
/// the client's link.
fn sending(window: u32, credit: u32) -> (Pair, LinkKey, LinkKey) {
    let small = Config {
        max_frame_size: 512,
        session_window: window,
        ..server()
    };
    let mut pair = Pair::new(Config::default(), small);
    pair.start();
    let session = pair.client.connection.begin(&mut pair.client.out).unwrap();
    let attach = named("link", Role::Sender);
    let out = &mut pair.client.out;
    let link = pair.client.connection.attach(session, attach, out).unwrap();
    pair.run();
    let other = pair.server.link();
    let server = &mut pair.server;
    server
        .connection
        .set_credit(other, credit, false, &mut server.out);
    pair.run();
    (pair, link, other)
}

fn offer(side: &mut Side, link: LinkKey, transfer: &OutTransfer<'_>, body: &[u8]) -> Sent {
    let body = Payload::from(Bytes::copy_from_slice(body));
    side.connection
        .send_transfer(link, transfer, b"", &body, &mut side.out)
}

fn renew_window(pair: &mut Pair) {
    let session = pair.server.session();
    pair.server
        .connection
        .flush_session(session, &mut pair.server.out);
    pair.run();
}

/// The transfers that have arrived, and how many bytes came with each.
fn arrived(side: &Side) -> Vec<(InTransfer, usize)> {
    let transfers = side.events.iter().filter_map(|event| match event {
        Event::Transfer {
            delivery, payload, ..
        } => Some((delivery.clone(), payload.len())),
        _ => None,
    });
    transfers.collect()
}

#[test]
fn a_delivery_is_split_by_the_frame_size_and_numbered_once() {
    let (mut pair, link, _) = sending(100, 2);
    let transfer = OutTransfer {
        message_format: 7,
        ..OutTransfer::new(1, tag())
    };
    assert_eq!(
        offer(&mut pair.client, link, &transfer, &[1; 1200]),
        Sent::Whole
    );
    assert_eq!(
        offer(&mut pair.client, link, &transfer, &[2; 10]),
        Sent::Whole
    );
    pair.run();
    let frames = arrived(&pair.server);
    let told: Vec<_> = frames
        .iter()
        .map(|(delivery, _)| (delivery.delivery_id, delivery.first, delivery.more))
        .collect();
    let expected = [
        (0, true, true),
        (0, false, true),
        (0, false, false),
        (1, true, false),
    ];
    assert_eq!(told, expected);
    assert_eq!((frames[0].0.message_format, &frames[0].0.tag), (7, &tag()));
    assert!(frames[0].1 > 450 && frames[0].1 < 512, "{}", frames[0].1);
    assert_eq!(
        frames[..3].iter().map(|(_, count)| count).sum::<usize>(),
        1200
    );
}

//= amqp-1.0 §2.5.6
#[test]
fn a_shut_window_stops_a_delivery_in_the_middle_and_a_flow_resumes_it() {
    let (mut pair, link, _) = sending(2, 1);
    let session = pair.client.session();
    let transfer = OutTransfer::new(1, tag());
    let Sent::Part(first) = offer(&mut pair.client, link, &transfer, &[1; 1200]) else {
        panic!("the window does not hold it");
    };
    assert_eq!(pair.client.connection.session_window(session), 0);
    assert_eq!(
        offer(&mut pair.client, link, &transfer, &[1; 1]),
        Sent::Blocked
    );
    pair.run();
    renew_window(&mut pair);
    assert_eq!(pair.client.connection.session_window(session), 2);
    let rest = vec![1; 1200 - first];
    assert_eq!(offer(&mut pair.client, link, &transfer, &rest), Sent::Whole);
    pair.run();
    assert_eq!(pair.server.received(), [1; 1200]);
    assert_eq!(arrived(&pair.server).len(), 3);
}

//= amqp-1.0 §2.6.7
#[test]
fn without_credit_nothing_is_sent() {
    let (mut pair, link, other) = sending(100, 1);
    let transfer = OutTransfer::new(1, tag());
    assert_eq!(offer(&mut pair.client, link, &transfer, b"1"), Sent::Whole);
    assert_eq!(
        offer(&mut pair.client, link, &transfer, b"2"),
        Sent::Blocked
    );
    pair.run();
    let server = &mut pair.server;
    server
        .connection
        .set_credit(other, 1, false, &mut server.out);
    // The same again, as after a lost answer: credit is a limit, not a sum.
    server
        .connection
        .set_credit(other, 1, false, &mut server.out);
    pair.run();
    assert_eq!(pair.client.connection.credit(link), 1);
    assert_eq!(offer(&mut pair.client, link, &transfer, b"2"), Sent::Whole);
    assert_eq!(
        offer(&mut pair.client, link, &transfer, b"3"),
        Sent::Blocked
    );
    pair.run();
    assert_eq!(pair.server.received(), b"12");
    assert_eq!(pair.server.connection.delivery_count(other), 2);
}

//= amqp-1.0 §2.6.7
#[test]
fn drained_credit_is_gone_at_both_ends() {
    let (mut pair, link, other) = sending(100, 0);
    let server = &mut pair.server;
    server
        .connection
        .set_credit(other, 10, true, &mut server.out);
    pair.run();
    assert!(pair.client.connection.drain_requested(link));
    let transfer = OutTransfer::new(1, tag());
    assert_eq!(offer(&mut pair.client, link, &transfer, b"1"), Sent::Whole);
    pair.client.connection.drained(link, &mut pair.client.out);
    assert!(!pair.client.connection.drain_requested(link));
    assert_eq!(
        offer(&mut pair.client, link, &transfer, b"2"),
        Sent::Blocked
    );
    pair.run();
    for (side, link) in [(&pair.client, link), (&pair.server, other)] {
        assert_eq!(side.connection.credit(link), 0);
        assert_eq!(side.connection.delivery_count(link), 10);
    }
}

//= amqp-1.0 §2.6.14
#[test]
fn an_aborted_delivery_ends_without_bytes_and_is_settled() {
    let (mut pair, link, _) = sending(100, 5);
    let begun = OutTransfer {
        more: true,
        ..OutTransfer::new(1, tag())
    };
    let aborted = OutTransfer {
        aborted: true,
        ..OutTransfer::new(1, tag())
    };
    assert_eq!(offer(&mut pair.client, link, &aborted, b""), Sent::Whole);
    assert!(pair.client.out.is_empty(), "nothing had begun");
    offer(&mut pair.client, link, &begun, b"half");
    assert!(pair.client.connection.is_delivering(link));
    offer(&mut pair.client, link, &aborted, b"not sent");
    offer(&mut pair.client, link, &OutTransfer::new(2, tag()), b"next");
    pair.run();
    let frames = arrived(&pair.server);
    let told: Vec<_> = frames
        .iter()
        .map(|(delivery, count)| (delivery.delivery_id, delivery.aborted, *count))
        .collect();
    assert_eq!(told, [(0, false, 4), (0, true, 0), (1, false, 4)]);
    let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
    pair.client
        .connection
        .forget_link(link, &mut incoming, &mut outgoing);
    assert_eq!(outgoing, [2]);
}

#[test]
fn a_delivery_may_be_settled_by_its_last_frame() {
    let (mut pair, link, _) = sending(100, 1);
    let begun = OutTransfer {
        more: true,
        ..OutTransfer::new(1, tag())
    };
    let settled = OutTransfer {
        settled: true,
        ..OutTransfer::new(1, tag())
    };
    offer(&mut pair.client, link, &begun, b"first ");
    offer(&mut pair.client, link, &settled, b"last");
    pair.run();
    let frames = arrived(&pair.server);
    let told: Vec<_> = frames
        .iter()
        .map(|(delivery, _)| (delivery.settled, delivery.more))
        .collect();
    assert_eq!(told, [(false, true), (true, false)]);
    let mut outgoing = Vec::new();
    pair.client
        .connection
        .forget_link(link, &mut Vec::new(), &mut outgoing);
    assert!(outgoing.is_empty());
}

#[test]
fn a_full_queue_takes_no_more_and_the_window_is_not_spent() {
    let (mut pair, link, _) = sending(10_000, 10);
    let transfer = OutTransfer::new(1, tag());
    let body = vec![3; 4 * SendQueue::HIGH_MARK];
    let Sent::Part(taken) = offer(&mut pair.client, link, &transfer, &body) else {
        panic!("the queue does not hold it");
    };
    assert!(pair.client.out.is_full() && pair.client.out.len() < SendQueue::HIGH_MARK + 512);
    let session = pair.client.session();
    let window = pair.client.connection.session_window(session);
    assert_eq!(
        offer(&mut pair.client, link, &transfer, &body[taken..]),
        Sent::Blocked
    );
    assert_eq!(pair.client.connection.session_window(session), window);
    pair.run();
    assert_eq!(pair.server.received().len(), taken);
}

#[test]
fn segments_of_any_size_carry_the_same_deliveries() {
    for segment in [1, 2, 3, 7, 8, 9, 64, 511, 512, 513, 5000] {
        let (mut pair, link, _) = sending(100, 3);
        pair.segment = segment;
        let transfer = OutTransfer::new(1, tag());
        for body in [&b"small"[..], &[4; 3000], b""] {
            assert_eq!(offer(&mut pair.client, link, &transfer, body), Sent::Whole);
        }
        pair.run();
        assert_eq!(pair.server.received(), [&b"small"[..], &[4; 3000]].concat());
        let frames = arrived(&pair.server);
        let ends = frames.iter().filter(|(delivery, _)| !delivery.more);
        assert_eq!(ends.count(), 3, "segments of {segment}");
    }
}
