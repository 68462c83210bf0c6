//! Mechanisms that the owner decides, and what the transport has to do with them.

use std::time::Duration;

use amqp_codec::{FrameType, Performative, ProtocolHeader, SaslCode, SaslFrame, Str, Symbol};
use amqp_proto::{Config, Event, SASL_DATA_MAX, Sasl, SaslReply, SaslStep, Time, Violation};
use bytes::{Bytes, BytesMut};

use crate::raw::{Raw, open, server};

fn offering(mechanisms: &[&'static str]) -> Config {
    let mechanisms = mechanisms.iter().map(|name| Symbol::from(*name)).collect();
    Config {
        sasl: Sasl::Server {
            mechanisms,
            required: true,
        },
        ..server()
    }
}

/// A SASL frame as bytes.
fn frame(frame: &SaslFrame) -> Vec<u8> {
    let mut body = BytesMut::new();
    frame.encode(&mut body);
    let size = u32::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&size[..], &[2, FrameType::Sasl as u8, 0, 0], &body].concat()
}

fn init(mechanism: &'static str, response: &'static [u8]) -> Vec<u8> {
    frame(&SaslFrame::Init {
        mechanism: Symbol::from(mechanism),
        initial_response: Some(Bytes::from_static(response)),
        hostname: Some("vhost".into()),
    })
}

/// The SASL frames written since the last call; a header before them is skipped.
fn written(raw: &mut Raw) -> Vec<SaslFrame> {
    let mut bytes = Bytes::from(raw.out.to_bytes());
    raw.out.consume(usize::MAX);
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        if bytes.starts_with(b"AMQP") {
            bytes = bytes.slice(8..);
            continue;
        }
        let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        assert!(size <= 512, "a SASL frame of {size} bytes");
        frames.push(SaslFrame::decode(&mut bytes.slice(8..size)).unwrap());
        bytes = bytes.slice(size..);
    }
    frames
}

fn offered(raw: &mut Raw) -> Vec<String> {
    raw.bytes(ProtocolHeader::Sasl.bytes());
    match &written(raw)[..] {
        [SaslFrame::Mechanisms(names)] => names.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn judging(mechanism: &'static str, response: &'static [u8]) -> Raw {
    let mut raw = Raw::new(offering(&["SCRAM-SHA-256"]));
    offered(&mut raw);
    raw.bytes(&init(mechanism, response));
    raw
}

fn step(raw: &Raw) -> &SaslStep {
    match raw.events.last() {
        Some(Event::Sasl(step)) => step,
        other => panic!("{other:?} {:?}", raw.error),
    }
}

fn succeed(user: &str) -> SaslReply {
    SaslReply::Success {
        user: Str::copy(user),
        data: None,
    }
}

#[test]
fn what_is_offered_depends_on_the_transport() {
    let all = ["SCRAM-SHA-256", "PLAIN", "EXTERNAL"];
    let cases: [(bool, Option<&str>, bool, &[&str]); 5] = [
        (false, None, false, &["SCRAM-SHA-256"]),
        (false, None, true, &["SCRAM-SHA-256", "PLAIN"]),
        (true, None, false, &["SCRAM-SHA-256", "PLAIN"]),
        (true, Some("CN=me"), false, &all),
        (
            false,
            Some("unix:me"),
            false,
            &["SCRAM-SHA-256", "EXTERNAL"],
        ),
    ];
    for (encrypted, external, plain_in_clear, expected) in cases {
        let mut raw = Raw::new(Config {
            plain_in_clear,
            ..offering(&all)
        });
        raw.connection
            .set_security(encrypted, external.map(Str::copy));
        assert_eq!(offered(&mut raw), expected);
    }
}

#[test]
fn who_chooses_what_was_not_offered_for_the_transport_is_refused() {
    for mechanism in ["PLAIN", "EXTERNAL"] {
        let mut raw = Raw::new(offering(&["PLAIN", "EXTERNAL"]));
        offered(&mut raw);
        raw.bytes(&init(mechanism, b"\0user\0password"));
        let error = raw.error.as_ref().expect("an error");
        assert_eq!(error.violation(), Some(Violation::AuthenticationFailed));
        let text = format!("Authentication failed [mech={mechanism}]");
        assert_eq!(error.text.as_str(), text);
        assert!(matches!(
            &written(&mut raw)[..],
            [SaslFrame::Outcome {
                code: SaslCode::Auth,
                ..
            }]
        ));
        assert!(raw.events.is_empty(), "nobody is asked: {:?}", raw.events);
    }
}

#[test]
fn external_is_who_the_transport_says_and_nobody_else() {
    let cases: [(&'static [u8], bool); 3] = [(b"", true), (b"CN=me", true), (b"admin", false)];
    for (authorization, succeeds) in cases {
        let mut raw = Raw::new(offering(&["EXTERNAL"]));
        raw.connection.set_security(true, Some("CN=me".into()));
        offered(&mut raw);
        raw.bytes(&init("EXTERNAL", authorization));
        assert_eq!(raw.connection.is_authenticated(), succeeds);
        let user = raw.connection.user().map(Str::as_str);
        assert_eq!(user, succeeds.then_some("CN=me"));
    }
}

#[test]
fn encryption_is_not_missing_where_it_is() {
    let config = Config {
        encryption_missing: true,
        ..server()
    };
    let mut raw = Raw::new(config);
    raw.connection.set_security(true, None);
    raw.bytes(ProtocolHeader::Amqp.bytes());
    assert_eq!(raw.out.to_bytes(), ProtocolHeader::Amqp.bytes());
}

//= amqp-1.0 §5.3
#[test]
fn an_exchange_of_several_steps() {
    let mut raw = judging("SCRAM-SHA-256", b"first");
    assert_eq!(
        *step(&raw),
        SaslStep::Init {
            mechanism: Symbol::from("SCRAM-SHA-256"),
            response: Some(Bytes::from_static(b"first")),
            hostname: Some("vhost".into()),
        }
    );
    let challenge = SaslReply::Challenge(Bytes::from_static(b"second"));
    raw.connection.reply_sasl(challenge, &mut raw.out).unwrap();
    assert_eq!(
        written(&mut raw),
        [SaslFrame::Challenge(Bytes::from_static(b"second"))]
    );
    raw.bytes(&frame(&SaslFrame::Response(Bytes::from_static(b"third"))));
    assert_eq!(
        *step(&raw),
        SaslStep::Response(Bytes::from_static(b"third"))
    );
    assert!(!raw.connection.is_authenticated());
    let success = SaslReply::Success {
        user: "me".into(),
        data: Some(Bytes::from_static(b"fourth")),
    };
    raw.connection.reply_sasl(success, &mut raw.out).unwrap();
    assert_eq!(
        written(&mut raw),
        [SaslFrame::Outcome {
            code: SaslCode::Ok,
            additional_data: Some(Bytes::from_static(b"fourth")),
        }]
    );
    assert!(raw.connection.is_authenticated());
    assert_eq!(raw.connection.user().map(Str::as_str), Some("me"));
    let mechanism = raw.connection.mechanism().map(Symbol::as_str);
    assert_eq!(mechanism, Some("SCRAM-SHA-256"));
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.send(0, Performative::Open(Box::new(open())));
    assert!(matches!(raw.events.last(), Some(Event::Opened(_))));
}

#[test]
fn nothing_is_read_while_the_owner_thinks() {
    let mut raw = judging("SCRAM-SHA-256", b"first");
    let steps = raw.events.len();
    assert!(raw.connection.awaits_sasl());
    raw.bytes(&frame(&SaslFrame::Response(Bytes::from_static(b"early"))));
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.send(0, Performative::Open(Box::new(open())));
    assert_eq!(raw.events.len(), steps, "one step at a time");
    assert!(raw.error.is_none() && raw.out.is_empty());
    // What came too early is out of place once the exchange has ended.
    raw.connection
        .reply_sasl(succeed("me"), &mut raw.out)
        .unwrap();
    raw.poll();
    assert!(raw.error.is_some());
    assert!(!raw.connection.is_open());
}

#[test]
fn a_refusal_tells_the_log_who_it_was_and_the_peer_nothing() {
    for code in [SaslCode::Auth, SaslCode::SysTemp, SaslCode::Ok] {
        let mut raw = judging("SCRAM-SHA-256", b"first");
        let failure = SaslReply::Failure {
            code,
            user: Some("alice".into()),
        };
        let error = raw
            .connection
            .reply_sasl(failure, &mut raw.out)
            .expect_err("it is over");
        assert_eq!(
            error.text.as_str(),
            "Failed to authenticate client [mech=SCRAM-SHA-256] [user=alice]"
        );
        let expected = code.max(SaslCode::Auth);
        assert_eq!(
            written(&mut raw),
            [SaslFrame::Outcome {
                code: expected,
                additional_data: None
            }]
        );
        raw.bytes(ProtocolHeader::Amqp.bytes());
        raw.send(0, Performative::Open(Box::new(open())));
        assert!(raw.connection.is_closed() && !raw.connection.is_authenticated());
        assert!(raw.out.is_empty());
    }
}

#[test]
fn an_answer_to_something_else_does_nothing() {
    let mut raw = judging("SCRAM-SHA-256", b"first");
    for reply in [
        SaslReply::Offer(Vec::new()),
        SaslReply::Accept("me".into()),
        SaslReply::Response(Bytes::new()),
        SaslReply::Abort("no".into()),
    ] {
        raw.connection.reply_sasl(reply, &mut raw.out).unwrap();
        assert!(raw.out.is_empty() && raw.connection.awaits_sasl());
    }
    // And after the end, nothing at all.
    let mut raw = Raw::opened(server());
    raw.connection
        .reply_sasl(succeed("admin"), &mut raw.out)
        .unwrap();
    assert!(raw.out.is_empty() && raw.connection.user().is_none());
}

#[test]
fn a_challenge_that_fits_no_frame_is_not_sent() {
    let challenge = |length| SaslReply::Challenge(Bytes::from(vec![b'x'; length]));
    let mut raw = judging("SCRAM-SHA-256", b"first");
    raw.connection
        .reply_sasl(challenge(SASL_DATA_MAX), &mut raw.out)
        .unwrap();
    assert_eq!(written(&mut raw).len(), 1);
    let mut raw = judging("SCRAM-SHA-256", b"first");
    let reply = challenge(SASL_DATA_MAX + 1);
    assert!(raw.connection.reply_sasl(reply, &mut raw.out).is_err());
    assert!(raw.out.is_empty() && raw.connection.is_closed());
}

#[test]
fn an_owner_that_never_answers_is_a_handshake_that_takes_too_long() {
    let config = Config {
        handshake_time_out: Some(Duration::from_secs(1)),
        ..offering(&["SCRAM-SHA-256"])
    };
    let mut raw = Raw::new(config);
    offered(&mut raw);
    raw.bytes(&init("SCRAM-SHA-256", b"first"));
    let late = raw
        .connection
        .handle_timeout(Time::from_millis(1000), &mut raw.out);
    assert_eq!(
        late.unwrap_err().violation(),
        Some(Violation::HandshakeTimeout)
    );
    raw.connection
        .reply_sasl(succeed("me"), &mut raw.out)
        .unwrap();
    assert!(!raw.connection.is_authenticated());
}

#[test]
fn a_response_before_the_init_ends_its_connection_in_every_state() {
    let response = frame(&SaslFrame::Response(Bytes::from_static(b"\0guest\0guest")));
    let relayed = Config {
        sasl: Sasl::Relayed { required: true },
        ..server()
    };
    for config in [offering(&["SCRAM-SHA-256"]), offering(&[]), relayed] {
        let mut raw = Raw::new(config);
        raw.bytes(ProtocolHeader::Sasl.bytes());
        if raw.connection.awaits_sasl() {
            let offer = SaslReply::Offer(vec![Symbol::from("PLAIN")]);
            raw.connection.reply_sasl(offer, &mut raw.out).unwrap();
        }
        raw.bytes(&response);
        let error = raw.error.as_ref().expect("an error");
        assert_eq!(error.violation(), Some(Violation::SaslSequence));
        assert!(!raw.connection.is_authenticated());
    }
}

#[test]
fn a_second_init_in_place_of_a_response_is_refused() {
    let mut raw = judging("SCRAM-SHA-256", b"first");
    let challenge = SaslReply::Challenge(Bytes::from_static(b"second"));
    raw.connection.reply_sasl(challenge, &mut raw.out).unwrap();
    raw.bytes(&init("SCRAM-SHA-256", b"again"));
    let error = raw.error.as_ref().expect("an error");
    assert_eq!(error.violation(), Some(Violation::SaslSequence));
}

#[test]
fn a_relayed_exchange_offers_what_it_is_told() {
    let mut raw = Raw::new(Config {
        sasl: Sasl::Relayed { required: true },
        ..server()
    });
    raw.bytes(ProtocolHeader::Sasl.bytes());
    assert_eq!(*step(&raw), SaslStep::Started);
    let offer = SaslReply::Offer(vec![Symbol::from("X-OURS"), Symbol::from("ANONYMOUS")]);
    raw.connection.reply_sasl(offer, &mut raw.out).unwrap();
    assert!(matches!(&written(&mut raw)[..], [SaslFrame::Mechanisms(names)] if names.len() == 2));
    raw.bytes(&init("ANONYMOUS", b"me"));
    assert!(matches!(step(&raw), SaslStep::Init { .. }));
    raw.connection
        .reply_sasl(succeed("somebody"), &mut raw.out)
        .unwrap();
    assert_eq!(raw.connection.user().map(Str::as_str), Some("somebody"));
}

fn asked() -> Raw {
    let mut raw = Raw::new(Config {
        initiator: true,
        hostname: Some("host".into()),
        sasl: Sasl::Asked,
        ..Config::default()
    });
    raw.connection.start(&mut raw.out);
    raw.bytes(ProtocolHeader::Sasl.bytes());
    raw.bytes(&frame(&SaslFrame::Mechanisms(vec![
        Symbol::from("PLAIN"),
        Symbol::from("SCRAM-SHA-512"),
    ])));
    raw.out.consume(usize::MAX);
    raw
}

fn choose(raw: &mut Raw) {
    let choice = SaslReply::Choice {
        mechanism: Symbol::from("SCRAM-SHA-512"),
        response: Some(Bytes::from_static(b"first")),
    };
    raw.connection.reply_sasl(choice, &mut raw.out).unwrap();
}

#[test]
fn an_initiator_that_asks_its_owner() {
    let mut raw = asked();
    assert!(matches!(step(&raw), SaslStep::Offered(names) if names.len() == 2));
    choose(&mut raw);
    assert!(matches!(
        &written(&mut raw)[..],
        [SaslFrame::Init { mechanism, hostname: Some(host), .. }]
            if mechanism.as_str() == "SCRAM-SHA-512" && &**host == "host"
    ));
    raw.bytes(&frame(&SaslFrame::Challenge(Bytes::from_static(b"2"))));
    assert_eq!(*step(&raw), SaslStep::Challenge(Bytes::from_static(b"2")));
    let response = SaslReply::Response(Bytes::from_static(b"3"));
    raw.connection.reply_sasl(response, &mut raw.out).unwrap();
    assert_eq!(
        written(&mut raw),
        [SaslFrame::Response(Bytes::from_static(b"3"))]
    );
    raw.bytes(&frame(&SaslFrame::Outcome {
        code: SaslCode::Ok,
        additional_data: Some(Bytes::from_static(b"4")),
    }));
    assert_eq!(
        *step(&raw),
        SaslStep::Succeeded(Some(Bytes::from_static(b"4")))
    );
    assert!(raw.out.is_empty(), "no Open before the owner is content");
    let accept = SaslReply::Accept("me".into());
    raw.connection.reply_sasl(accept, &mut raw.out).unwrap();
    assert_eq!(raw.out.to_bytes()[..8], *ProtocolHeader::Amqp.bytes());
    assert_eq!(raw.connection.user().map(Str::as_str), Some("me"));
}

#[test]
fn a_server_that_proves_nothing_gets_no_open() {
    let mut raw = asked();
    choose(&mut raw);
    raw.out.consume(usize::MAX);
    raw.bytes(&frame(&SaslFrame::Outcome {
        code: SaslCode::Ok,
        additional_data: None,
    }));
    let abort = SaslReply::Abort("the server has not proved that it knows the password".into());
    let error = raw
        .connection
        .reply_sasl(abort, &mut raw.out)
        .expect_err("it is over");
    assert_eq!(error.violation(), Some(Violation::AuthenticationFailed));
    assert!(raw.out.is_empty() && raw.connection.is_closed());
    assert!(!raw.connection.is_authenticated());
}

#[test]
fn an_initiator_that_is_refused_learns_by_which_mechanism() {
    let mut raw = asked();
    choose(&mut raw);
    raw.bytes(&frame(&SaslFrame::Outcome {
        code: SaslCode::Auth,
        additional_data: None,
    }));
    assert_eq!(
        raw.error.expect("an error").to_string(),
        "amqp:unauthorized-access Authentication failed [mech=SCRAM-SHA-512]"
    );
}

#[test]
fn secrets_are_in_no_debug_text() {
    let response = Some(Bytes::from_static(b"\0me\0hunter2"));
    let step = SaslStep::Init {
        mechanism: Symbol::from("PLAIN"),
        response: response.clone(),
        hostname: None,
    };
    let reply = SaslReply::Choice {
        mechanism: Symbol::from("PLAIN"),
        response,
    };
    let text = format!(
        "{step:?} {reply:?} {:?}",
        Event::Sasl(Box::new(step.clone()))
    );
    assert!(!text.contains("hunter2") && !text.contains("me"), "{text}");
}
