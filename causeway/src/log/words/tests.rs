//! The lines that operators and system tests search for, letter by letter.

use std::sync::Arc;

use amqp_codec::{Map, Str};
use bytes::Bytes;

use super::*;

fn text(notice: &Notice) -> String {
    say(notice).text
}

fn tapped(kind: TapKind, performative: &[u8], payload: &[u8], payload_len: usize) -> String {
    let frame = Tapped {
        incoming: true,
        kind,
        performative: Bytes::copy_from_slice(performative),
        payload: Bytes::copy_from_slice(payload),
        payload_len,
        lost: 0,
    };
    text(&Notice::Frame {
        connection: ConnectionId(1),
        frame: Box::new(frame),
    })
}

#[test]
fn connections_are_announced() {
    let connection = ConnectionId(1);
    let notice = Notice::ConnectionAccepted {
        connection,
        listener: "127.0.0.1:32501".into(),
        peer: "127.0.0.1:51402".into(),
    };
    assert_eq!(
        text(&notice),
        "[C1] Accepted connection to 127.0.0.1:32501 from 127.0.0.1:51402"
    );
    let properties = Value::Map(Map(vec![
        (
            Value::Symbol(Symbol::copy("a")),
            Value::String(Str::copy("b")),
        ),
        (Value::Symbol(Symbol::copy("n")), Value::Int(5)),
    ]));
    let mut opened = Opened {
        connection,
        direction: Direction::In,
        peer: "127.0.0.1:57404".into(),
        mechanism: Some("ANONYMOUS".into()),
        user: Some("anonymous".into()),
        encrypted: None,
        container: "c".into(),
        properties: Some(Encoded::from_value(&properties)),
    };
    assert_eq!(
        text(&Notice::ConnectionOpened(Arc::new(opened.clone()))),
        "[C1] Connection Opened: dir=in host=127.0.0.1:57404 vhost= encrypted=no auth=ANONYMOUS \
         user=anonymous container_id=c props={:a=\"b\", :n=5}"
    );
    opened.encrypted = Some("TLSv1.3");
    assert!(
        text(&Notice::ConnectionOpened(Arc::new(opened.clone()))).contains(" encrypted=TLSv1.3 ")
    );
    (opened.mechanism, opened.user, opened.properties) = (None, None, None);
    assert!(
        text(&Notice::ConnectionOpened(Arc::new(opened)))
            .ends_with(" auth=no user=anonymous container_id=c props=")
    );
}

#[test]
fn failures_carry_condition_and_description() {
    let notice = Notice::ConnectionFailed {
        connection: ConnectionId(2),
        listener: Some("127.0.0.1:32702".into()),
        peer: "127.0.0.1:5".into(),
        condition: "amqp:connection:framing-error".into(),
        description: "connection aborted".into(),
    };
    assert_eq!(
        text(&notice),
        "[C2] Connection from 127.0.0.1:5 (to 127.0.0.1:32702) failed: \
         amqp:connection:framing-error connection aborted"
    );
    let notice = Notice::ConnectionFailed {
        connection: ConnectionId(3),
        listener: None,
        peer: "b:5".into(),
        condition: "proton:io".into(),
        description: "Connection refused - disconnected b:5".into(),
    };
    assert_eq!(
        text(&notice),
        "[C3] Connection to b:5 failed: proton:io Connection refused - disconnected b:5"
    );
}

#[test]
fn links_are_announced_with_their_termini() {
    let notice = |source: TerminusText, target: TerminusText| Notice::LinkAttached {
        connection: ConnectionId(1),
        link: LinkId(3),
        direction: Direction::Out,
        source: Box::new(source),
        target: Box::new(target),
    };
    let plain = TerminusText {
        expiry: Some("sess"),
        ..TerminusText::default()
    };
    let dynamic = TerminusText {
        dynamic: true,
        ..plain.clone()
    };
    assert_eq!(
        text(&notice(dynamic, plain)),
        "[C1][L3] Link attached: dir=out source={(dyn)<none> expire:sess} \
         target={<none> expire:sess}"
    );
    let full = TerminusText {
        address: Some("q".into()),
        durable: 2,
        expiry: Some("never"),
        timeout: 5,
        capabilities: vec!["queue".into(), "topic".into()],
        ..TerminusText::default()
    };
    let crowded = TerminusText {
        more_capabilities: 16_000,
        ..full.clone()
    };
    assert!(
        text(&notice(crowded, TerminusText::default()))
            .contains("caps:@PN_SYMBOL[:queue, :topic, ... 16000 more]}")
    );
    let coordinator = TerminusText {
        coordinator: true,
        ..TerminusText::default()
    };
    assert_eq!(
        text(&notice(full, coordinator)),
        "[C1][L3] Link attached: dir=out \
         source={q dur:deliveries timeout:5 caps:@PN_SYMBOL[:queue, :topic]} \
         target={<coordinator>}"
    );
}

#[test]
fn links_end_with_their_counters() {
    let counters = LinkCounters {
        deliveries: 3,
        accepted: 1,
        ..LinkCounters::default()
    };
    for (how, words) in [
        (LinkEnd::Detached, "Link detached"),
        (LinkEnd::Lost, "Link lost"),
        (
            LinkEnd::ConnectionLost,
            "Link closed due to connection loss",
        ),
    ] {
        let notice = Notice::LinkEnded {
            connection: ConnectionId(1),
            link: LinkId(1),
            how,
            counters: Box::new(counters),
            blocked: false,
        };
        assert_eq!(
            text(&notice),
            format!(
                "[C1][L1] {words}: del=3 presett=0 psdrop=0 acc=1 rej=0 rel=0 mod=0 delay1=0 \
                 delay10=0 blocked=no"
            )
        );
    }
}

#[test]
fn frames_are_written_as_the_tracer_writes_them() {
    let header = b"AMQP\x03\x01\x00\x00";
    assert_eq!(
        tapped(TapKind::Header, header, b"", 0),
        "[C1]:FRAME:   <- SASL"
    );
    assert_eq!(
        tapped(TapKind::Empty(0), b"", b"", 0),
        "[C1]:FRAME: 0 <- (EMPTY FRAME)"
    );
    let end = [0x00, 0x53, 0x17, 0x45];
    assert_eq!(
        tapped(TapKind::Amqp(2), &end, b"", 0),
        "[C1]:FRAME: 2 <- @end(23) []"
    );
    let frame = Tapped {
        incoming: false,
        kind: TapKind::Amqp(2),
        performative: Bytes::copy_from_slice(&end),
        payload: Bytes::new(),
        payload_len: 0,
        lost: 0,
    };
    let notice = Notice::Frame {
        connection: ConnectionId(1),
        frame: Box::new(frame),
    };
    assert_eq!(traced(&notice).unwrap(), "[C1]:2 -> @end(23) []");
    let shown = tapped(TapKind::Amqp(0), &end, b"\x00Sp\"", 100);
    assert!(
        shown.ends_with(r#" (100) "\x00Sp\""... (truncated)"#),
        "{shown}"
    );
}

#[test]
fn what_routers_do_wrong_is_told_with_the_place_and_the_remedy() {
    let connection = Some(ConnectionId(4));
    let said = |notice| text(&Notice::Network(notice));
    let id = Arc::from("R.A");
    let namesake = |neighbor| NetworkNotice::DuplicateRouter {
        connection,
        id: Arc::clone(&id),
        neighbor,
    };
    assert_eq!(
        said(namesake(None)),
        "[C4] Detected Neighbor Router with a Duplicate ID - R.A: it is ignored until it or this \
         router has another id in its router section"
    );
    assert!(said(namesake(Some(Arc::from("B")))).contains("behind router B"));
    assert_eq!(
        said(NetworkNotice::VersionMismatch {
            connection,
            id: Arc::clone(&id),
            version: 2,
            own: 1,
            more: 3,
        }),
        "[C4] Received message at protocol version 2 from R.A. Ignoring: this router speaks \
         version 1; install a release on one of them that speaks the other's (3 more since)"
    );
    assert_eq!(
        said(NetworkNotice::RouterMisbehaved {
            connection: None,
            neighbor: None,
            why: "unknown operation".to_owned(),
            more: 0,
        }),
        "Ignoring a message of an unknown neighbor: unknown operation"
    );
}
