//! Settlement between two engines: both modes, ranges, stragglers, and what a lost link leaves.

use amqp_codec::{DeliveryState, DeliveryTag, Disposition, Role};
use amqp_proto::{Event, LinkKey, OutTransfer, Payload, Sent, SessionKey};
use bytes::Bytes;

use crate::pair::{Pair, Side};

/// A pair whose client has sent deliveries 0..count, unsettled, tracked by the server. A token is
/// the delivery-id plus 100 on the sender's side, plus 1000 on the receiver's.
fn sent(count: u32) -> (Pair, LinkKey, LinkKey) {
    let (mut pair, link, other) = Pair::attached(Role::Sender);
    pair.server
        .connection
        .set_credit(other, count, false, &mut pair.server.out);
    pair.run();
    for id in 0..count {
        let tag = DeliveryTag::new(&id.to_be_bytes()).unwrap();
        let transfer = OutTransfer::new(u64::from(id) + 100, tag);
        let body = Payload::from(Bytes::from_static(b"body"));
        let client = &mut pair.client;
        let sent = client
            .connection
            .send_transfer(link, &transfer, b"", &body, &mut client.out);
        assert_eq!(sent, Sent::Whole);
        assert_eq!(client.connection.last_delivery_id(link), id);
        pair.run();
        pair.server
            .connection
            .track(other, id, u64::from(id) + 1000);
        let session = pair.server.session();
        pair.server
            .connection
            .flush_session(session, &mut pair.server.out);
        pair.run();
    }
    (pair, link, other)
}

fn tell(side: &mut Side, role: Role, ids: impl IntoIterator<Item = u32>, settled: bool) {
    let session = side.session();
    for id in ids {
        let state = Some(DeliveryState::Accepted);
        side.connection
            .queue_disposition(session, role, id, settled, state);
    }
    assert!(!side.connection.flush_dispositions(session, &mut side.out));
}

fn heard(side: &mut Side) -> Vec<(SessionKey, Disposition)> {
    let told = |event: &mut Event| matches!(event, Event::Disposition { .. });
    let events = side.events.extract_if(.., told);
    let told = events.filter_map(|event| match event {
        Event::Disposition {
            session,
            disposition,
        } => Some((session, disposition)),
        _ => None,
    });
    told.collect()
}

/// The tokens of all dispositions that have arrived.
fn disposed(side: &mut Side) -> Vec<u64> {
    let mut tokens = Vec::new();
    for (session, disposition) in heard(side) {
        side.connection.disposed(session, &disposition, &mut tokens);
    }
    tokens
}

fn left(side: &mut Side, link: LinkKey) -> (Vec<u64>, Vec<u64>) {
    let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
    side.connection
        .forget_link(link, &mut incoming, &mut outgoing);
    (incoming, outgoing)
}

//= amqp-1.0 §2.6.12
#[test]
fn the_receiver_settles_first() {
    let (mut pair, link, other) = sent(3);
    tell(&mut pair.server, Role::Receiver, [1], true);
    pair.run();
    assert_eq!(disposed(&mut pair.client), [101]);
    assert_eq!(left(&mut pair.client, link).1, [100, 102]);
    assert_eq!(left(&mut pair.server, other).0, [1000, 1002]);
}

//= amqp-1.0 §2.6.12
#[test]
fn the_receiver_settles_second() {
    let (mut pair, link, other) = sent(2);
    tell(&mut pair.server, Role::Receiver, [0], false);
    pair.run();
    let (session, disposition) = heard(&mut pair.client).remove(0);
    assert_eq!(
        (disposition.settled, disposition.state.clone()),
        (false, Some(DeliveryState::Accepted),)
    );
    let mut tokens = Vec::new();
    // Until it is settled it may be told more than once.
    for _ in 0..2 {
        pair.client
            .connection
            .disposed(session, &disposition, &mut tokens);
    }
    assert_eq!(tokens, [100, 100]);
    tell(&mut pair.client, Role::Sender, [0], true);
    pair.run();
    assert_eq!(disposed(&mut pair.server), [1000]);
    assert_eq!(left(&mut pair.client, link).1, [101]);
    assert_eq!(left(&mut pair.server, other).0, [1001]);
}

#[test]
fn outcomes_in_any_order_are_told_as_ranges() {
    let (mut pair, link, _) = sent(100);
    let shuffled = (0..100)
        .map(|place| place * 37 % 100)
        .filter(|&id| id != 50);
    tell(&mut pair.server, Role::Receiver, shuffled, true);
    pair.run();
    let told = heard(&mut pair.client);
    let mut ranges: Vec<_> = told
        .iter()
        .map(|(_, range)| (range.first, range.last))
        .collect();
    ranges.sort_unstable();
    assert_eq!(ranges, [(0, Some(49)), (51, Some(99))]);
    let mut tokens = Vec::new();
    for (session, disposition) in told {
        pair.client
            .connection
            .disposed(session, &disposition, &mut tokens);
    }
    assert_eq!(tokens.len(), 99);
    assert_eq!(left(&mut pair.client, link).1, [150]);
}

#[test]
fn a_straggler_is_found_long_after_its_neighbours() {
    let (mut pair, link, _) = sent(9000);
    tell(
        &mut pair.server,
        Role::Receiver,
        (0..9000).filter(|id| id % 4500 != 1),
        true,
    );
    pair.run();
    assert_eq!(disposed(&mut pair.client).len(), 8998);
    tell(&mut pair.server, Role::Receiver, [1], true);
    pair.run();
    assert_eq!(disposed(&mut pair.client), [101]);
    assert_eq!(left(&mut pair.client, link).1, [4601]);
}

#[test]
fn a_disposition_of_one_role_leaves_the_other_direction_alone() {
    let (mut pair, link, _) = sent(2);
    let session = pair.client.session();
    let range = |role| Disposition {
        role,
        first: 0,
        last: Some(1),
        settled: true,
        ..Disposition::default()
    };
    let mut tokens = Vec::new();
    pair.client
        .connection
        .disposed(session, &range(Role::Sender), &mut tokens);
    assert_eq!(tokens, [0_u64; 0]);
    pair.client
        .connection
        .disposed(session, &range(Role::Receiver), &mut tokens);
    assert_eq!(tokens, [100, 101]);
    assert_eq!(left(&mut pair.client, link).1, [0_u64; 0]);
}

#[test]
fn a_full_queue_delays_outcomes_and_loses_none() {
    let (mut pair, _, _) = sent(100);
    let server = &mut pair.server;
    let session = server.session();
    // Every second one: no ranges.
    for id in (0..100).step_by(2) {
        server
            .connection
            .queue_disposition(session, Role::Receiver, id, true, None);
    }
    let filler = amqp_proto::SendQueue::HIGH_MARK;
    let mut full = amqp_proto::SendQueue::new();
    full.push_shared(Bytes::from(vec![0; filler]));
    assert!(
        server.connection.flush_dispositions(session, &mut full),
        "more remains"
    );
    assert_eq!(full.len(), filler);
    assert!(
        !server
            .connection
            .flush_dispositions(session, &mut server.out)
    );
    pair.run();
    assert_eq!(disposed(&mut pair.client).len(), 50);
}

#[test]
fn a_lost_peer_leaves_every_token_to_be_taken_back() {
    let (mut pair, link, other) = sent(5);
    tell(&mut pair.server, Role::Receiver, [2, 3], true);
    pair.cut = true;
    pair.run();
    assert_eq!(left(&mut pair.client, link).1, [100, 101, 102, 103, 104]);
    assert_eq!(left(&mut pair.server, other).0, [1000, 1001, 1004]);
    assert_eq!(left(&mut pair.client, link).1, [0_u64; 0], "once");
}
