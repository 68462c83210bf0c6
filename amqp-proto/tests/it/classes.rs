//! Classes of attack on this layer; each test is named after its class: 1 sizes from the wire, 5 size
//! of deliveries, 6 windows and tables, 7 ranges, 8 reflection, 9 slow handshakes, 10 order of
//! layers, 14 identities that were only claimed.

use std::time::Duration;

use amqp_codec::{Disposition, Flow, Performative, Role};
use amqp_proto::{Config, Event, Limits};

use crate::raw::{Raw, attach, frame, server, transfer};

fn whole(delivery_id: u32) -> Vec<u8> {
    frame(
        0,
        &Performative::Transfer(transfer(0, delivery_id)),
        b"\x00\x53\x75\xa0\x01x",
    )
}

#[test]
fn class_6_transfers_beyond_the_session_window_end_the_session() {
    let config = Config {
        session_window: 2,
        ..server()
    };
    let (mut raw, _, link) = Raw::attached(config, Role::Sender);
    raw.connection.set_credit(link, 10, false, &mut raw.out);
    raw.written();
    for delivery in 0..3 {
        raw.bytes(&whole(delivery));
    }
    let (what, condition, _) = raw.told();
    assert_eq!(
        (what, condition.as_str()),
        ("end", "amqp:session:window-violation")
    );
    assert!(raw.connection.is_open());
}

#[test]
fn class_6_transfers_beyond_the_credit_detach_the_link() {
    let (mut raw, _, link) = Raw::attached(server(), Role::Sender);
    raw.connection.set_credit(link, 1, false, &mut raw.out);
    raw.written();
    raw.bytes(&whole(0));
    raw.bytes(&whole(1));
    let (what, condition, _) = raw.told();
    assert_eq!(
        (what, condition.as_str()),
        ("detach", "amqp:link:transfer-limit-exceeded")
    );
    assert!(raw.connection.is_open());
}

#[test]
fn class_1_a_frame_larger_than_agreed_is_refused_before_anything_is_kept() {
    let mut raw = Raw::opened(Config {
        max_frame_size: 4096,
        ..server()
    });
    raw.bytes(&[0x7f, 0xff, 0xff, 0xff, 2, 0, 0, 0]);
    let (what, condition, _) = raw.told();
    assert_eq!(
        (what, condition.as_str()),
        ("close", "amqp:connection:framing-error")
    );
    assert!(raw.error.is_some());
    assert!(raw.input.len() <= 8);
}

#[test]
fn class_5_a_delivery_of_too_many_transfers_detaches_its_link() {
    let limits = Limits {
        transfers_per_delivery: 3,
        ..Limits::default()
    };
    let (mut raw, _, link) = Raw::attached(Config { limits, ..server() }, Role::Sender);
    raw.connection.set_credit(link, 1, false, &mut raw.out);
    raw.written();
    let part = amqp_codec::Transfer {
        more: true,
        ..transfer(0, 0)
    };
    for _ in 0..4 {
        raw.bytes(&frame(0, &Performative::Transfer(part.clone()), b"x"));
    }
    let (what, _, text) = raw.told();
    assert_eq!(
        (what, text.as_str()),
        ("detach", "too many transfers in one delivery")
    );
    assert!(raw.connection.is_open());
}

#[test]
fn class_7_a_disposition_of_everything_touches_only_what_is_unsettled() {
    let (mut raw, session, link) = Raw::attached(server(), Role::Sender);
    raw.connection.set_credit(link, 10, false, &mut raw.out);
    raw.bytes(&whole(7));
    raw.connection.track(link, 7, 42);
    let disposition = Disposition {
        role: Role::Sender,
        first: 0,
        last: Some(i32::MAX as u32),
        settled: true,
        state: None,
        batchable: false,
    };
    let mut tokens = Vec::new();
    for _ in 0..1000 {
        raw.connection.disposed(session, &disposition, &mut tokens);
    }
    assert_eq!(tokens, [42]);
}

#[test]
fn class_8_echoes_are_answered_from_a_budget() {
    let (mut raw, _) = Raw::begun(server());
    for _ in 0..10_000 {
        let flow = Flow {
            next_incoming_id: Some(0),
            incoming_window: 100,
            next_outgoing_id: 5,
            outgoing_window: 100,
            echo: true,
            ..Flow::default()
        };
        raw.send(0, Performative::Flow(flow));
    }
    let answered = raw
        .events
        .iter()
        .filter(|event| matches!(event, Event::Flow { echo: true, .. }))
        .count();
    assert!(
        (1..=Limits::default().echoes as usize).contains(&answered),
        "{answered}"
    );
    assert!(raw.connection.is_open());
}

#[test]
fn class_9_a_handshake_that_takes_too_long_ends() {
    let mut raw = Raw::new(Config {
        handshake_time_out: Some(Duration::from_secs(5)),
        ..server()
    });
    raw.bytes(b"AMQP");
    raw.now = raw.connection.poll_timeout().expect("a deadline");
    assert!(
        raw.connection
            .handle_timeout(raw.now, &mut raw.out)
            .is_err()
    );
    assert!(
        raw.out.is_empty(),
        "nothing is said to who has said nothing"
    );
}

#[test]
fn class_10_a_sasl_frame_has_nowhere_to_land_behind_the_header() {
    let mut raw = Raw::opened(server());
    raw.bytes(&[0, 0, 0, 16, 2, 1, 0, 0, 0, 0x53, 0x44, 0xc0, 3, 1, 0x50, 0]);
    assert!(raw.error.is_some());
    assert!(!raw.connection.is_authenticated());
}

#[test]
fn class_10_a_performative_has_nowhere_to_land_before_authentication() {
    let mut raw = Raw::new(server());
    raw.bytes(b"AMQP\x03\x01\x00\x00");
    raw.send(0, Performative::Open(Box::new(crate::raw::open())));
    assert!(raw.error.is_some());
    assert!(
        !raw.events
            .iter()
            .any(|event| matches!(event, Event::Opened(_)))
    );
}
