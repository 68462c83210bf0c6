//! Peers that break the rules: one test for each `Violation`, named after it. Each misdeed ends
//! what it touches, with a condition and a text, and nothing else.

use std::time::Duration;

use amqp_codec::{Begin, Detach, Disposition, End, Flow, Open, Performative, ProtocolHeader, Role};
use amqp_codec::{Symbol, Transfer};
use amqp_proto::{Config, Event, Limits, LinkKey, Mechanism, Sasl, SessionKey, Time, Violation};

use crate::raw::{Raw, attach, begin, frame, open, server, transfer};

/// The sasl-init of a client that chooses ANONYMOUS.
const INIT: &[u8] = b"\0\0\0\x19\x02\x01\0\0\0\x53\x41\xc0\x0c\x01\xa3\x09ANONYMOUS";

fn limited(limits: Limits) -> Config {
    Config { limits, ..server() }
}

fn send_transfer(raw: &mut Raw, channel: u16, transfer: Transfer) {
    raw.bytes(&frame(
        channel,
        &Performative::Transfer(transfer),
        b"payload",
    ));
}

/// The connection has ended without a Close, and the owner heard nothing before.
#[track_caller]
fn ends_quietly(raw: &Raw, violation: Violation, text: &str) {
    let error = raw.error.as_ref().expect("an error");
    assert_eq!(error.violation(), Some(violation));
    assert_eq!(error.condition.as_str(), violation.condition());
    assert_eq!(&*error.text, text);
    assert!(error.quiet && raw.connection.is_closed());
    assert!(raw.events.is_empty(), "{:?}", raw.events);
}

/// The peer was told by a Close, and whatever else it says is not heard.
#[track_caller]
fn closes(raw: &mut Raw, violation: Violation, text: &str) {
    let (what, condition, told) = raw.told();
    assert_eq!((what, &*condition), ("close", violation.condition()));
    assert_eq!(told, text);
    let error = raw.error.take().expect("an error");
    assert_eq!((error.violation(), &*error.text), (Some(violation), text));
    assert!(raw.connection.is_closed() && !error.quiet);
    raw.events.clear();
    raw.bytes(&frame(0, &Performative::Begin(Box::new(begin(None))), b""));
    assert!(raw.events.is_empty() && raw.out.is_empty());
}

/// The session on channel 0 was ended; another one goes on, and so does the channel in time.
#[track_caller]
fn ends(raw: &mut Raw, session: SessionKey, violation: Violation, text: &str) {
    let (what, condition, told) = raw.told();
    assert_eq!((what, &*condition), ("end", violation.condition()));
    assert_eq!(told, text);
    match raw.events.pop() {
        Some(Event::SessionFailed {
            session: failed,
            error,
        }) => {
            assert_eq!((failed, error.violation()), (session, Some(violation)));
        }
        other => panic!("{other:?}"),
    }
    assert!(raw.connection.is_open());
    raw.events.clear();
    // What was on its way is swallowed, even further misdeeds.
    send_transfer(raw, 0, transfer(0, 77));
    raw.send(
        0,
        Performative::Detach(Detach {
            handle: 55,
            closed: true,
            error: None,
        }),
    );
    assert!(raw.events.is_empty() && raw.out.is_empty());
    raw.begin(1);
    let link = raw.attach(1, 0, "other", Role::Sender);
    raw.connection.set_credit(link, 1, false, &mut raw.out);
    send_transfer(raw, 1, transfer(0, 0));
    assert!(matches!(raw.events.pop(), Some(Event::Transfer { .. })));

    let mut links = Vec::new();
    raw.connection.links_of(session, &mut links);
    for link in links {
        raw.connection
            .forget_link(link, &mut Vec::new(), &mut Vec::new());
    }
    raw.send(0, Performative::End(End { error: None }));
    assert!(raw.events.is_empty(), "the owner knows already");
    assert_eq!(raw.connection.session_count(), 1);
    raw.begin(0);
}

/// The link on handle 0 was detached; another one of its session goes on, and the handle in time.
#[track_caller]
fn detaches(raw: &mut Raw, link: LinkKey, violation: Violation, text: &str, next_id: u32) {
    let (what, condition, told) = raw.told();
    assert_eq!((what, &*condition), ("detach", violation.condition()));
    assert_eq!(told, text);
    match raw.events.pop() {
        Some(Event::LinkFailed {
            link: failed,
            error,
        }) => {
            assert_eq!((failed, error.violation()), (link, Some(violation)));
        }
        other => panic!("{other:?}"),
    }
    assert!(raw.connection.is_open());
    raw.events.clear();
    raw.connection
        .forget_link(link, &mut Vec::new(), &mut Vec::new());
    // What was on its way is swallowed, but counted.
    send_transfer(raw, 0, transfer(0, next_id));
    assert!(raw.events.is_empty() && raw.out.is_empty());
    let other = raw.attach(0, 1, "other", Role::Sender);
    raw.connection.set_credit(other, 1, false, &mut raw.out);
    send_transfer(raw, 0, transfer(1, next_id + 1));
    assert!(matches!(raw.events.pop(), Some(Event::Transfer { link, .. }) if link == other));

    raw.send(
        0,
        Performative::Detach(Detach {
            handle: 0,
            closed: true,
            error: None,
        }),
    );
    assert!(raw.events.is_empty(), "the owner knows already");
    assert_eq!(raw.connection.link_count(), 1);
    raw.attach(0, 0, "link", Role::Sender);
}

/// A link on which the engine receives and has given this much credit.
fn receiving(config: Config, credit: u32) -> (Raw, SessionKey, LinkKey) {
    let (mut raw, session, link) = Raw::attached(config, Role::Sender);
    raw.connection.set_credit(link, credit, false, &mut raw.out);
    raw.written();
    (raw, session, link)
}

#[test]
fn unknown_protocol() {
    let mut raw = Raw::new(server());
    raw.bytes(b"HELLO");
    closes(
        &mut raw,
        Violation::UnknownProtocol,
        "Unknown protocol detected: 'HELLO'",
    );
}

#[test]
fn tls_not_offered() {
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Tls.bytes());
    ends_quietly(&raw, Violation::TlsNotOffered, "TLS is not offered here");
    assert!(raw.out.is_empty());
}

#[test]
fn encryption_missing() {
    let mut raw = Raw::new(Config {
        encryption_missing: true,
        ..server()
    });
    raw.bytes(ProtocolHeader::Amqp.bytes());
    let text = "Client connection unencrypted - forbidden";
    ends_quietly(&raw, Violation::EncryptionMissing, text);
    assert!(raw.out.is_empty());
}

#[test]
fn skipped_authentication() {
    let sasl = Sasl::Server {
        mechanisms: vec![Symbol::from("ANONYMOUS")],
        required: true,
    };
    let mut raw = Raw::new(Config { sasl, ..server() });
    raw.bytes(ProtocolHeader::Amqp.bytes());
    let text = "Client skipped authentication - forbidden";
    ends_quietly(&raw, Violation::SkippedAuthentication, text);
    assert!(raw.out.is_empty());
}

#[test]
fn sasl_sequence() {
    // An outcome, from the side that cannot judge.
    let outcome = b"\0\0\0\x10\x02\x01\0\0\0\x53\x44\xc0\x03\x01\x50\x00";
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Sasl.bytes());
    raw.bytes(outcome);
    ends_quietly(&raw, Violation::SaslSequence, "SASL frame out of sequence");
    assert!(!raw.connection.is_authenticated());
}

#[test]
fn authentication_failed() {
    let sasl = Sasl::Server {
        mechanisms: vec![Symbol::from("PLAIN")],
        required: false,
    };
    let mut raw = Raw::new(Config { sasl, ..server() });
    raw.bytes(ProtocolHeader::Sasl.bytes());
    raw.bytes(INIT);
    let text = "Authentication failed [mech=ANONYMOUS]";
    ends_quietly(&raw, Violation::AuthenticationFailed, text);
    assert!(
        raw.out
            .to_bytes()
            .ends_with(b"\0\0\0\x53\x44\xc0\x03\x01\x50\x01")
    );
}

#[test]
fn no_mechanism() {
    let sasl = Sasl::Client {
        mechanism: Mechanism::Anonymous,
    };
    let mut raw = Raw::new(Config {
        initiator: true,
        sasl,
        ..Config::default()
    });
    raw.connection.start(&mut raw.out);
    raw.bytes(ProtocolHeader::Sasl.bytes());
    // sasl-mechanisms with PLAIN.
    raw.bytes(b"\0\0\0\x15\x02\x01\0\0\0\x53\x40\xc0\x08\x01\xa3\x05PLAIN");
    let text = "Authentication failed [mech=ANONYMOUS]: the peer does not offer it";
    ends_quietly(&raw, Violation::NoMechanism, text);
    assert_eq!(raw.out.to_bytes(), ProtocolHeader::Sasl.bytes());
}

#[test]
fn header_mismatch() {
    let mut raw = Raw::new(Config {
        initiator: true,
        ..Config::default()
    });
    raw.connection.start(&mut raw.out);
    raw.bytes(ProtocolHeader::Sasl.bytes());
    let text = "The peer answered with another protocol";
    ends_quietly(&raw, Violation::HeaderMismatch, text);
}

#[test]
fn handshake_timeout() {
    let handshake_time_out = Some(Duration::from_secs(1));
    let mut raw = Raw::new(Config {
        handshake_time_out,
        ..server()
    });
    raw.error = raw
        .connection
        .handle_timeout(Time::from_millis(1000), &mut raw.out)
        .err();
    let text = "Timeout waiting for initial handshake";
    ends_quietly(&raw, Violation::HandshakeTimeout, text);
}

#[test]
fn decode() {
    let mut raw = Raw::opened(server());
    // A list where a descriptor should be.
    raw.bytes(b"\0\0\0\x09\x02\0\0\0\x45");
    let error = raw.error.clone().expect("an error");
    closes(&mut raw, Violation::Decode, &error.text);
    assert!(!error.text.is_empty());
}

//= amqp-1.0 §2.3
#[test]
fn framing() {
    for bytes in [
        // Smaller than its header; data offset before the header's end; of an unknown type; SASL.
        &b"\0\0\0\x04\x02\0\0\0"[..],
        b"\0\0\0\x08\x01\0\0\0",
        b"\0\0\0\x08\x02\x07\0\0",
        INIT,
    ] {
        let mut raw = Raw::opened(server());
        raw.bytes(bytes);
        let text = raw.error.clone().expect("an error").text;
        closes(&mut raw, Violation::Framing, &text);
    }
}

#[test]
fn sequence() {
    let mut raw = Raw::opened(server());
    raw.send(0, Performative::Open(Box::new(open())));
    closes(&mut raw, Violation::Sequence, "open received twice");

    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.send(0, Performative::Begin(Box::new(begin(None))));
    closes(&mut raw, Violation::Sequence, "frame before open");
}

//= amqp-1.0 §2.4.5
#[test]
fn idle_timeout() {
    let idle_time_out = Some(Duration::from_secs(2));
    let mut raw = Raw::opened(Config {
        idle_time_out,
        ..server()
    });
    assert_eq!(
        raw.connection
            .handle_timeout(Time::from_millis(1999), &mut raw.out),
        Ok(())
    );
    raw.error = raw
        .connection
        .handle_timeout(Time::from_millis(2000), &mut raw.out)
        .err();
    closes(
        &mut raw,
        Violation::IdleTimeout,
        "local-idle-timeout expired",
    );
}

#[test]
fn close_timeout() {
    let mut raw = Raw::opened(server());
    raw.connection.close(None, &mut raw.out);
    raw.connection
        .handle_timeout(Time::ZERO, &mut raw.out)
        .unwrap();
    // What the peer says instead does not help.
    raw.send(0, Performative::Begin(Box::new(begin(None))));
    raw.error = raw
        .connection
        .handle_timeout(Time::from_millis(5000), &mut raw.out)
        .err();
    ends_quietly(&raw, Violation::CloseTimeout, "Timeout waiting for close");
}

#[test]
fn channel_beyond_max() {
    let mut raw = Raw::opened(Config {
        channel_max: 3,
        ..server()
    });
    raw.begin(3);
    raw.send(4, Performative::Begin(Box::new(begin(None))));
    closes(
        &mut raw,
        Violation::ChannelBeyondMax,
        "channel 4 exceeds channel-max 3",
    );

    // The peer leaves no channel for our answer.
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.send(
        0,
        Performative::Open(Box::new(Open {
            channel_max: 0,
            ..open()
        })),
    );
    raw.connection.open(None, &mut raw.out);
    raw.events.clear();
    raw.begin(0);
    raw.send(1, Performative::Begin(Box::new(begin(None))));
    closes(
        &mut raw,
        Violation::ChannelBeyondMax,
        "no channel is left for the answer",
    );
}

#[test]
fn channel_in_use() {
    let (mut raw, _) = Raw::begun(server());
    raw.send(0, Performative::Begin(Box::new(begin(None))));
    closes(
        &mut raw,
        Violation::ChannelInUse,
        "channel already in use: 0",
    );
}

#[test]
fn channel_unmapped() {
    let range = Disposition {
        role: Role::Sender,
        first: 0,
        settled: true,
        ..Disposition::default()
    };
    for performative in [
        Performative::Transfer(transfer(0, 0)),
        Performative::Flow(Flow::default()),
        Performative::Disposition(range),
        Performative::Attach(Box::new(attach("link", 0, Role::Sender))),
        Performative::Detach(Detach {
            handle: 0,
            closed: true,
            error: None,
        }),
        Performative::End(End { error: None }),
    ] {
        let (mut raw, _) = Raw::begun(server());
        raw.send(9, performative);
        closes(&mut raw, Violation::ChannelUnmapped, "no such channel: 9");
    }
}

#[test]
fn begin_unasked() {
    let mut raw = Raw::opened(server());
    raw.send(0, Performative::Begin(Box::new(begin(Some(5)))));
    closes(
        &mut raw,
        Violation::BeginUnasked,
        "begin reply to unknown channel 5",
    );

    // A second answer to the same Begin.
    let mut raw = Raw::opened(server());
    raw.connection.begin(&mut raw.out).unwrap();
    raw.written();
    raw.send(2, Performative::Begin(Box::new(begin(Some(0)))));
    assert!(matches!(
        raw.events[..],
        [Event::Begun { answer: true, .. }]
    ));
    raw.send(3, Performative::Begin(Box::new(begin(Some(0)))));
    closes(
        &mut raw,
        Violation::BeginUnasked,
        "begin reply to unknown channel 0",
    );
}

#[test]
fn handle_beyond_max() {
    let (mut raw, _) = Raw::begun(Config {
        handle_max: 3,
        ..server()
    });
    raw.attach(0, 3, "highest", Role::Sender);
    raw.send(
        0,
        Performative::Attach(Box::new(attach("link", 4, Role::Sender))),
    );
    closes(
        &mut raw,
        Violation::HandleBeyondMax,
        "handle 4 exceeds handle-max 3",
    );
}

#[test]
fn handle_unattached() {
    let flow = Flow {
        next_incoming_id: Some(0),
        handle: Some(3),
        ..Flow::default()
    };
    for performative in [
        Performative::Transfer(transfer(3, 0)),
        Performative::Flow(flow),
        Performative::Detach(Detach {
            handle: 3,
            closed: true,
            error: None,
        }),
    ] {
        let (mut raw, _, _) = Raw::attached(server(), Role::Sender);
        raw.send(0, performative);
        closes(&mut raw, Violation::HandleUnattached, "no such handle: 3");
    }
}

#[test]
fn link_name_in_use() {
    let (mut raw, _, _) = Raw::attached(server(), Role::Sender);
    // The other direction is another link.
    raw.attach(0, 1, "link", Role::Receiver);
    raw.send(
        0,
        Performative::Attach(Box::new(attach("link", 2, Role::Sender))),
    );
    closes(
        &mut raw,
        Violation::LinkNameInUse,
        "link name already attached: link",
    );
}

#[test]
fn too_many_empty_frames() {
    let mut raw = Raw::opened(limited(Limits {
        empty_frames: 3,
        ..Limits::default()
    }));
    for _ in 0..3 {
        raw.bytes(b"\0\0\0\x08\x02\0\0\0");
    }
    raw.now = Time::from_millis(334);
    raw.bytes(b"\0\0\0\x08\x02\0\0\0");
    assert_eq!(raw.error, None);
    raw.bytes(b"\0\0\0\x08\x02\0\0\0");
    closes(
        &mut raw,
        Violation::TooManyEmptyFrames,
        "too many empty frames",
    );
}

#[test]
fn window_exceeded() {
    let (mut raw, session, _) = receiving(
        Config {
            session_window: 2,
            ..server()
        },
        10,
    );
    for delivery_id in 0..2 {
        send_transfer(&mut raw, 0, transfer(0, delivery_id));
    }
    assert_eq!(raw.events.len(), 2);
    send_transfer(&mut raw, 0, transfer(0, 2));
    let text = "incoming session window exceeded";
    ends(&mut raw, session, Violation::WindowExceeded, text);
}

#[test]
fn handle_in_use() {
    let (mut raw, session, _) = Raw::attached(server(), Role::Sender);
    raw.send(
        0,
        Performative::Attach(Box::new(attach("other", 0, Role::Sender))),
    );
    ends(
        &mut raw,
        session,
        Violation::HandleInUse,
        "handle already in use: 0",
    );
}

#[test]
fn handles_exhausted() {
    let mut raw = Raw::opened(server());
    let few = Begin {
        handle_max: 1,
        ..begin(None)
    };
    raw.send(0, Performative::Begin(Box::new(few)));
    let Some(Event::Begun { session, .. }) = raw.events.pop() else {
        panic!()
    };
    raw.connection.answer_begin(session, &mut raw.out);
    raw.attach(0, 7, "one", Role::Sender);
    raw.attach(0, 8, "two", Role::Sender);
    raw.send(
        0,
        Performative::Attach(Box::new(attach("three", 9, Role::Sender))),
    );
    let text = "no handle is left for the answer";
    ends(&mut raw, session, Violation::HandlesExhausted, text);
}

#[test]
fn delivery_id_out_of_sequence() {
    let cases = [
        (
            transfer(0, 0),
            transfer(0, 2),
            "sequencing error, expected delivery-id 1, got 2",
        ),
        (
            transfer(0, 0),
            Transfer {
                delivery_id: None,
                ..transfer(0, 1)
            },
            "delivery-id required on initial transfer",
        ),
        (
            Transfer {
                more: true,
                ..transfer(0, 0)
            },
            transfer(0, 1),
            "invalid delivery-id for a continuation: 1, expected 0",
        ),
    ];
    for (before, misdeed, text) in cases {
        let (mut raw, session, _) = receiving(server(), 10);
        send_transfer(&mut raw, 0, before);
        assert_eq!(raw.events.len(), 1);
        send_transfer(&mut raw, 0, misdeed);
        ends(&mut raw, session, Violation::DeliveryIdOutOfSequence, text);
    }
}

#[test]
fn disposition_range() {
    let (mut raw, session, _) = receiving(server(), 10);
    let backwards = Disposition {
        role: Role::Sender,
        first: 5,
        last: Some(4),
        settled: true,
        ..Disposition::default()
    };
    raw.send(0, Performative::Disposition(backwards));
    let text = "the range of a disposition runs backwards";
    ends(&mut raw, session, Violation::DispositionRange, text);
}

#[test]
fn too_many_states() {
    let limits = Limits {
        states: 10,
        ..Limits::default()
    };
    let (mut raw, session, link) = receiving(limited(limits), 10);
    for delivery_id in 0..3 {
        send_transfer(&mut raw, 0, transfer(0, delivery_id));
        raw.connection.track(link, delivery_id, 100);
    }
    let everything = Disposition {
        role: Role::Sender,
        first: 0,
        last: Some(i32::MAX as u32),
        settled: false,
        ..Disposition::default()
    };
    // Of nothing unsettled, a state costs nothing.
    let nothing = Disposition {
        role: Role::Receiver,
        ..everything.clone()
    };
    for _ in 0..100 {
        raw.send(0, Performative::Disposition(nothing.clone()));
    }
    for _ in 0..3 {
        raw.send(0, Performative::Disposition(everything.clone()));
    }
    assert_eq!(raw.events.len(), 106);
    raw.send(0, Performative::Disposition(everything));
    let text = "too many states of unsettled deliveries";
    ends(&mut raw, session, Violation::TooManyStates, text);
}

#[test]
fn too_many_unsettled() {
    let limits = Limits {
        unsettled_per_session: 2,
        ..Limits::default()
    };
    let (mut raw, session, link) = receiving(limited(limits), 10);
    for delivery_id in 0..2 {
        send_transfer(&mut raw, 0, transfer(0, delivery_id));
        raw.connection.track(link, delivery_id, 100);
    }
    // A settled one takes no place.
    send_transfer(
        &mut raw,
        0,
        Transfer {
            settled: Some(true),
            ..transfer(0, 2)
        },
    );
    assert_eq!(raw.events.len(), 3);
    send_transfer(&mut raw, 0, transfer(0, 3));
    ends(
        &mut raw,
        session,
        Violation::TooManyUnsettled,
        "too many unsettled deliveries",
    );
}

#[test]
fn credit_exceeded() {
    let (mut raw, _, link) = receiving(server(), 1);
    send_transfer(&mut raw, 0, transfer(0, 0));
    assert_eq!(raw.events.len(), 1);
    send_transfer(&mut raw, 0, transfer(0, 1));
    detaches(
        &mut raw,
        link,
        Violation::CreditExceeded,
        "link credit exceeded",
        2,
    );
}

#[test]
fn transfer_to_sender() {
    let (mut raw, _, link) = Raw::attached(server(), Role::Receiver);
    send_transfer(&mut raw, 0, transfer(0, 0));
    let text = "transfer towards the sender of the link";
    detaches(&mut raw, link, Violation::TransferToSender, text, 1);
}

#[test]
fn delivery_tag_missing() {
    let (mut raw, _, link) = receiving(server(), 10);
    send_transfer(
        &mut raw,
        0,
        Transfer {
            delivery_tag: None,
            ..transfer(0, 0)
        },
    );
    let text = "delivery-tag required on initial transfer";
    detaches(&mut raw, link, Violation::DeliveryTagMissing, text, 1);
}

#[test]
fn too_many_transfers() {
    let limits = Limits {
        transfers_per_delivery: 3,
        ..Limits::default()
    };
    let (mut raw, _, link) = receiving(limited(limits), 10);
    for _ in 0..3 {
        send_transfer(
            &mut raw,
            0,
            Transfer {
                more: true,
                ..transfer(0, 0)
            },
        );
    }
    assert_eq!(raw.events.len(), 3);
    send_transfer(&mut raw, 0, transfer(0, 0));
    let text = "too many transfers in one delivery";
    detaches(&mut raw, link, Violation::TooManyTransfers, text, 1);
}
