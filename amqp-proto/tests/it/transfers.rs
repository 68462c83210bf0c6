//! Deliveries between two engines: split into frames, held back by windows, settled.

use amqp_codec::{DeliveryState, DeliveryTag, Role};
use amqp_proto::{Event, OutTransfer, Payload, Sent};
use bytes::Bytes;

use crate::pair::Pair;

fn tag() -> DeliveryTag {
    DeliveryTag::new(b"t").expect("short enough")
}

/// Sends all of a message, letting bytes pass whenever the engine wants more room.
fn send(pair: &mut Pair, link: amqp_proto::LinkKey, message: &[u8]) {
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
