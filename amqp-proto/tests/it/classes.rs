//! Classes of attack on this layer; each test is named after its class: 1 sizes from the wire, 5
//! size of deliveries, 6 windows and tables, 7 ranges, 8 reflection, 9 slow handshakes, 10 order of
//! layers, 14 identities that were only claimed.

use std::time::Duration;

use amqp_codec::{
    Detach, Disposition, Flow, Performative, ProtocolHeader, Role, SaslFrame, Symbol, Transfer,
};
use amqp_proto::{Config, Event, Limits, Sasl, Violation};

use crate::raw::{Raw, attach, begin, frame, open, server, transfer};

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
    let part = Transfer {
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
        ..Disposition::default()
    };
    let mut tokens = Vec::new();
    for _ in 0..1000 {
        raw.connection.disposed(session, &disposition, &mut tokens);
    }
    assert_eq!(tokens, [42]);
}

#[test]
fn class_5_deliveries_settled_or_aborted_by_a_later_frame_leave_the_books() {
    let limits = Limits {
        unsettled_per_session: 2,
        ..Limits::default()
    };
    let config = Config { limits, ..server() };
    let (mut raw, session, link) = Raw::attached(config, Role::Sender);
    raw.connection.set_credit(link, 1000, false, &mut raw.out);
    for delivery_id in 0..40 {
        let first = Transfer {
            more: true,
            ..transfer(0, delivery_id)
        };
        raw.bytes(&frame(0, &Performative::Transfer(first), b"some"));
        raw.connection
            .track(link, delivery_id, u64::from(delivery_id));
        assert_eq!(raw.connection.unsettled_in(session), 1);
        let aborts = delivery_id % 2 == 0;
        let last = Transfer {
            settled: (!aborts).then_some(true),
            aborted: aborts,
            ..transfer(0, delivery_id)
        };
        raw.bytes(&frame(0, &Performative::Transfer(last), b"more"));
        assert_eq!(raw.connection.unsettled_in(session), 0);
    }
    assert_eq!((raw.events.len(), raw.error), (80, None));
    let mut forgotten = Vec::new();
    raw.connection
        .forget_link(link, &mut forgotten, &mut Vec::new());
    assert_eq!(forgotten, []);
}

#[test]
fn class_5_deliveries_concluded_while_their_link_is_detached_come_back_with_it() {
    for aborts in [false, true] {
        let (mut raw, _, link) = Raw::attached(server(), Role::Sender);
        raw.connection.set_credit(link, 10, false, &mut raw.out);
        let first = Transfer {
            more: true,
            ..transfer(0, 0)
        };
        raw.bytes(&frame(0, &Performative::Transfer(first), b"some"));
        raw.connection.track(link, 0, 42);
        raw.connection.detach(link, true, None, &mut raw.out);
        let last = Transfer {
            settled: (!aborts).then_some(true),
            aborted: aborts,
            ..transfer(0, 0)
        };
        raw.events.clear();
        raw.bytes(&frame(0, &Performative::Transfer(last), b"more"));
        assert!(raw.events.is_empty() && raw.error.is_none());
        let mut forgotten = Vec::new();
        raw.connection
            .forget_link(link, &mut forgotten, &mut Vec::new());
        assert_eq!(forgotten, [42]);
    }
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
    raw.send(0, Performative::Open(Box::new(open())));
    assert!(raw.error.is_some());
    assert!(
        !raw.events
            .iter()
            .any(|event| matches!(event, Event::Opened(_)))
    );
}

#[test]
fn class_1_a_sasl_frame_above_512_bytes_is_refused_by_its_header() {
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Sasl.bytes());
    raw.bytes(&[0, 0, 2, 1, 2, 1, 0, 0]);
    let error = raw.error.expect("an error");
    assert_eq!(error.violation(), Some(Violation::SaslSequence));
    assert!(!raw.connection.is_authenticated());
}

#[test]
fn class_5_empty_transfers_of_an_endless_delivery_are_paid_for() {
    let limits = Limits {
        empty_frames: 10,
        ..Limits::default()
    };
    let (mut raw, _, link) = Raw::attached(Config { limits, ..server() }, Role::Sender);
    raw.connection.set_credit(link, 1, false, &mut raw.out);
    raw.written();
    let part = Transfer {
        more: true,
        ..transfer(0, 0)
    };
    for _ in 0..11 {
        raw.send(0, Performative::Transfer(part.clone()));
    }
    assert_eq!(raw.events.len(), 10);
    let error = raw.error.take().expect("an error");
    assert_eq!(error.violation(), Some(Violation::TooManyEmptyFrames));
}

#[test]
fn class_5_aborted_deliveries_use_up_credit() {
    let (mut raw, _, link) = Raw::attached(server(), Role::Sender);
    raw.connection.set_credit(link, 3, false, &mut raw.out);
    raw.written();
    for delivery_id in 0..4 {
        let aborted = Transfer {
            aborted: true,
            ..transfer(0, delivery_id)
        };
        raw.send(0, Performative::Transfer(aborted));
    }
    assert_eq!(raw.told().1, "amqp:link:transfer-limit-exceeded");
    assert!(raw.connection.is_open());
}

#[test]
fn class_6_no_more_sessions_and_links_than_were_advertised() {
    let config = Config {
        channel_max: 2,
        handle_max: 2,
        ..server()
    };
    let mut raw = Raw::opened(config);
    for channel in 0..3 {
        raw.begin(channel);
        for handle in 0..3 {
            raw.attach(channel, handle, &format!("link {handle}"), Role::Sender);
        }
    }
    assert_eq!(raw.connection.session_count(), 3);
    assert_eq!(raw.connection.link_count(), 9);
    let more = attach("more", 3, Role::Sender);
    raw.send(1, Performative::Attach(Box::new(more)));
    let violation = raw.error.take().and_then(|error| error.violation());
    assert_eq!(violation, Some(Violation::HandleBeyondMax));
    assert_eq!(raw.connection.link_count(), 9);
}

#[test]
fn class_6_a_withheld_window_is_not_given_back() {
    let config = Config {
        session_window: 4,
        ..server()
    };
    let (mut raw, session, link) = Raw::attached(config, Role::Sender);
    raw.connection.set_credit(link, 100, false, &mut raw.out);
    raw.connection.set_withheld(session, 4);
    raw.written();
    for delivery_id in 0..4 {
        raw.bytes(&whole(delivery_id));
        raw.connection.flush_session(session, &mut raw.out);
    }
    assert!(raw.written().is_empty(), "a slow owner slows the peer down");
    raw.bytes(&whole(4));
    assert_eq!(raw.told().1, "amqp:session:window-violation");
}

#[test]
fn class_8_empty_frames_are_never_answered() {
    let mut raw = Raw::opened(server());
    for _ in 0..Limits::default().empty_frames {
        raw.bytes(&[0, 0, 0, 8, 2, 0, 0, 0]);
    }
    assert!(raw.error.is_none() && raw.out.is_empty() && raw.events.is_empty());
}

#[test]
fn class_8_a_repeated_drain_is_answered_once() {
    let (mut raw, _, link) = Raw::attached(server(), Role::Receiver);
    let drain = Flow {
        next_incoming_id: Some(0),
        incoming_window: 100,
        handle: Some(0),
        delivery_count: Some(0),
        link_credit: Some(10),
        drain: true,
        ..Flow::default()
    };
    for _ in 0..100 {
        raw.send(0, Performative::Flow(drain.clone()));
        raw.connection.drained(link, &mut raw.out);
    }
    let frames = raw.written();
    let [(0, Performative::Flow(flow), _)] = &frames[..] else {
        panic!("{frames:?}");
    };
    assert_eq!((flow.delivery_count, flow.link_credit), (Some(10), Some(0)));
}

#[test]
fn class_8_churn_of_links_leaves_nothing_behind() {
    let (mut raw, _) = Raw::begun(server());
    for handle in 0..5000 {
        let link = raw.attach(0, handle, &format!("link {handle}"), Role::Sender);
        let detach = Detach {
            handle,
            closed: true,
            error: None,
        };
        raw.send(0, Performative::Detach(detach));
        raw.events.clear();
        raw.connection.detach(link, true, None, &mut raw.out);
        raw.connection
            .forget_link(link, &mut Vec::new(), &mut Vec::new());
        assert_eq!(raw.written().len(), 1);
        assert_eq!(raw.connection.link_count(), 0);
    }
}

#[test]
fn class_9_bytes_that_trickle_in_do_not_move_the_handshake_deadline() {
    let mut raw = Raw::new(Config {
        handshake_time_out: Some(Duration::from_secs(5)),
        ..server()
    });
    let deadline = raw.connection.poll_timeout();
    let mut hello = ProtocolHeader::Amqp.bytes().to_vec();
    hello.extend(frame(0, &Performative::Open(Box::new(open())), b""));
    for byte in &hello[..hello.len() - 1] {
        raw.bytes(&[*byte]);
        raw.now = raw.now + Duration::from_millis(10);
        assert_eq!(raw.connection.poll_timeout(), deadline);
    }
    let end = raw
        .connection
        .handle_timeout(deadline.unwrap(), &mut raw.out);
    assert_eq!(
        end.unwrap_err().violation(),
        Some(Violation::HandshakeTimeout)
    );
}

#[test]
fn class_10_nothing_follows_failed_authentication() {
    let sasl = Sasl::Server {
        mechanisms: vec![Symbol::from("PLAIN")],
        required: false,
    };
    let mut raw = Raw::new(Config { sasl, ..server() });
    let init = claiming("ANONYMOUS", b"");
    raw.bytes(&[&ProtocolHeader::Sasl.bytes()[..], &init].concat());
    raw.out.consume(usize::MAX);
    raw.error = None;
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.send(0, Performative::Open(Box::new(open())));
    raw.send(0, Performative::Begin(Box::new(begin(None))));
    assert!(raw.connection.is_closed() && !raw.connection.is_authenticated());
    assert!(raw.events.is_empty() && raw.out.is_empty());
}

/// A sasl-init that claims to be somebody.
fn claiming(mechanism: &'static str, response: &'static [u8]) -> Vec<u8> {
    let init = SaslFrame::Init {
        mechanism: Symbol::from(mechanism),
        initial_response: Some(bytes::Bytes::from_static(response)),
        hostname: None,
    };
    let mut body = bytes::BytesMut::new();
    init.encode(&mut body);
    let size = u8::try_from(body.len() + 8).unwrap();
    [&[0, 0, 0, size, 2, 1, 0, 0][..], &body].concat()
}

#[test]
fn class_14_who_gives_no_proof_is_anonymous_whatever_is_claimed() {
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Sasl.bytes());
    raw.bytes(&claiming("ANONYMOUS", b"admin"));
    assert!(matches!(
        &raw.events[..],
        [Event::Authenticated { user, .. }] if &**user == "anonymous"
    ));
    assert_eq!(raw.connection.user().map(|user| &**user), Some("anonymous"));
}

#[test]
fn class_14_an_open_names_no_user() {
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Amqp.bytes());
    let claim = amqp_codec::Open {
        container_id: "admin".into(),
        hostname: Some("admin".into()),
        ..open()
    };
    raw.send(0, Performative::Open(Box::new(claim)));
    raw.connection.open(None, &mut raw.out);
    assert!(raw.connection.is_open() && !raw.connection.is_authenticated());
    assert_eq!(
        (raw.connection.user(), raw.connection.mechanism()),
        (None, None)
    );
}
