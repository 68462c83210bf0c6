//! What the tap shows of frames.

//! The tap: both ends of a wire show the same frames.

use amqp_codec::{Performative, ProtocolHeader, Role};
use amqp_proto::{OutTransfer, Payload, TapKind};
use bytes::Bytes;

use crate::pair::Pair;
use crate::raw::{Raw, server};

#[test]
fn both_ends_show_the_same_frames() {
    let mut pair = Pair::new(amqp_proto::Config::default(), server());
    pair.client.connection.set_tap(true);
    pair.server.connection.set_tap(true);
    pair.start();
    let session = pair
        .client
        .connection
        .begin(&mut pair.client.out)
        .expect("what the scene needs");
    let attach = crate::pair::named("link", Role::Sender);
    let link = pair
        .client
        .connection
        .attach(session, attach, &mut pair.client.out)
        .expect("what the scene needs");
    pair.run();
    let server_link = pair.server.link();
    pair.server
        .connection
        .set_credit(server_link, 1, false, &mut pair.server.out);
    pair.run();
    let body = Payload::from(Bytes::from(vec![7; 3000]));
    let transfer = OutTransfer::new(
        1,
        amqp_codec::DeliveryTag::new(b"t").expect("what the scene needs"),
    );
    pair.client
        .connection
        .send_transfer(link, &transfer, b"head", &body, &mut pair.client.out);
    pair.run();

    let seen = |pair: &mut Pair, client: bool| {
        let side = if client {
            &mut pair.client
        } else {
            &mut pair.server
        };
        let all = std::iter::from_fn(|| side.connection.poll_tap());
        let (sent, got): (Vec<_>, Vec<_>) = all.partition(|tapped| !tapped.incoming);
        let plain = |tapped: Vec<amqp_proto::Tapped>| {
            let shown = tapped.into_iter();
            // The sender shows the first piece, the receiver the first bytes of all of them.
            shown
                .map(|tapped| (tapped.kind, tapped.performative, tapped.payload_len))
                .collect::<Vec<_>>()
        };
        (plain(sent), plain(got))
    };
    let (client_sent, client_got) = seen(&mut pair, true);
    let (server_sent, server_got) = seen(&mut pair, false);
    assert_eq!(client_sent, server_got);
    assert_eq!(server_sent, client_got);
    assert_eq!(client_sent[0].0, TapKind::Header);
    let Some((TapKind::Amqp(0), performative, 3004)) = client_sent.last() else {
        panic!("{client_sent:?}");
    };
    let mut performative = performative.clone();
    assert!(matches!(
        Performative::decode(&mut performative),
        Ok(Performative::Transfer(_))
    ));
    assert!(performative.is_empty());
}

#[test]
fn nothing_is_kept_while_the_tap_is_off() {
    let mut raw = Raw::new(server());
    raw.connection.set_tap(true);
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.connection.set_tap(false);
    assert_eq!(raw.connection.poll_tap(), None);
    raw.connection.set_tap(true);
    assert_eq!(raw.connection.poll_tap(), None);
    raw.bytes(b"\0\0\0\x08\x02\0\0\x05");
    let tapped = raw.connection.poll_tap().expect("what the scene needs");
    assert_eq!((tapped.incoming, tapped.kind), (true, TapKind::Empty(5)));
}
