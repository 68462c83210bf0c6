//! Headers, SASL and Open: what an engine says first, and to whom it says nothing.

//! The opening of a connection: protocol headers, SASL, Open, and what ends it before it began.

use std::time::Duration;

use amqp_codec::{Performative, ProtocolHeader, Symbol};
use amqp_proto::{Config, Event, Mechanism, Sasl, Violation};

use crate::pair::Pair;
use crate::raw::{Raw, open, server};

fn required(mechanisms: &[&'static str]) -> Config {
    let mechanisms = mechanisms.iter().map(|name| Symbol::from(*name)).collect();
    Config {
        sasl: Sasl::Server {
            mechanisms,
            required: true,
        },
        ..server()
    }
}

fn anonymous() -> Config {
    let sasl = Sasl::Client {
        mechanism: Mechanism::Anonymous,
    };
    Config {
        container_id: "client".into(),
        sasl,
        ..Config::default()
    }
}

//= amqp-1.0 §2.2
#[test]
fn bare_amqp_is_answered_at_once_and_opened_after_the_peer() {
    let mut raw = Raw::new(server());
    assert!(raw.out.is_empty());
    raw.bytes(b"AMQP\x00\x01\x00");
    assert!(raw.out.is_empty());
    raw.bytes(b"\x00");
    assert_eq!(raw.out.to_bytes(), b"AMQP\x00\x01\x00\x00");
    raw.send(0, Performative::Open(Box::new(open())));
    assert!(matches!(&raw.events[..], [Event::Opened(open)] if &*open.container_id == "peer"));
    assert_eq!(raw.out.len(), 8);
    assert!(!raw.connection.is_authenticated());
}

#[test]
fn what_a_peer_pipelines_waits_for_our_open() {
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.send(0, Performative::Open(Box::new(open())));
    raw.send(3, Performative::Begin(Box::new(crate::raw::begin(None))));
    assert_eq!(raw.events.len(), 1);
    raw.connection.open(None, &mut raw.out);
    raw.poll();
    assert!(matches!(raw.events[1], Event::Begun { answer: false, .. }));
}

//= amqp-1.0 §5.3
#[test]
fn anonymous_with_segments_of_every_size() {
    for segment in 1..40 {
        let mut pair = Pair::new(anonymous(), required(&["PLAIN", "ANONYMOUS"]));
        pair.segment = segment;
        pair.start();
        for side in [&pair.client, &pair.server] {
            assert!(side.connection.is_open(), "segment {segment}");
            assert!(side.connection.is_authenticated());
            assert_eq!(
                side.connection.mechanism(),
                Some(&Symbol::from("ANONYMOUS"))
            );
            assert!(matches!(
                &side.events[..],
                [Event::Authenticated { user, .. }, Event::Opened(_)] if &**user == "anonymous"
            ));
        }
    }
}

#[test]
fn an_empty_list_of_mechanisms_is_an_empty_array() {
    let mut raw = Raw::new(required(&[]));
    raw.bytes(ProtocolHeader::Sasl.bytes());
    let written = raw.out.to_bytes();
    assert_eq!(written[..8], *ProtocolHeader::Sasl.bytes());
    assert!(
        written.ends_with(&[0xe0, 0x02, 0x00, 0xa3]),
        "{written:02x?}"
    );
}

#[test]
fn our_open_carries_the_configuration() {
    let config = Config {
        hostname: Some("host".into()),
        max_frame_size: 1234,
        channel_max: 17,
        idle_time_out: Some(Duration::from_secs(16)),
        offered_capabilities: vec![Symbol::from("ANONYMOUS-RELAY")],
        ..server()
    };
    let mut pair = Pair::new(anonymous(), config);
    pair.start();
    let Some(Event::Opened(open)) = pair.client.events.last() else {
        panic!()
    };
    assert_eq!(
        (&*open.container_id, open.hostname.as_deref()),
        ("server", Some("host"))
    );
    assert_eq!((open.max_frame_size, open.channel_max), (1234, 17));
    assert_eq!(open.idle_time_out, Some(8000));
    assert_eq!(open.offered_capabilities, [Symbol::from("ANONYMOUS-RELAY")]);
    assert_eq!(pair.client.connection.peer_max_frame_size(), 1234);
}

/// The connection ended with this violation and without a single byte for the peer.
#[track_caller]
fn silent(config: Config, bytes: &[u8], violation: Violation) {
    let mut raw = Raw::new(config);
    raw.bytes(bytes);
    let error = raw.error.expect("an error");
    assert_eq!((error.violation(), error.quiet), (Some(violation), true));
    assert!(raw.out.is_empty() && raw.connection.is_closed());
}

#[test]
fn skipped_authentication_gets_no_answer() {
    let amqp = ProtocolHeader::Amqp.bytes();
    silent(
        required(&["ANONYMOUS"]),
        amqp,
        Violation::SkippedAuthentication,
    );
}

#[test]
fn tls_where_there_is_none_gets_no_answer() {
    silent(
        server(),
        ProtocolHeader::Tls.bytes(),
        Violation::TlsNotOffered,
    );
    silent(
        server(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        Violation::TlsNotOffered,
    );
    silent(server(), b"\x16\x03\x01", Violation::TlsNotOffered);
}

#[test]
fn missing_encryption_gets_no_answer_even_after_sasl() {
    let config = Config {
        encryption_missing: true,
        ..server()
    };
    silent(
        config.clone(),
        ProtocolHeader::Amqp.bytes(),
        Violation::EncryptionMissing,
    );
    let mut pair = Pair::new(anonymous(), config);
    pair.start();
    assert!(matches!(
        pair.client.events[..],
        [Event::Authenticated { .. }]
    ));
    let error = pair.server.error.expect("an error");
    assert_eq!(
        (error.violation(), error.quiet),
        (Some(Violation::EncryptionMissing), true)
    );
}

#[test]
fn an_unknown_protocol_is_quoted() {
    for (bytes, quoted) in [
        (&b"AMQP\x00\x00\x09\x01"[..], r"'AMQP\x00\x00\x09\x01'"),
        (b"GET / HTTP/1.1\r\n", r"'GET / HTTP/1.1\x0d\x0a'"),
        (b"x", "'x'"),
    ] {
        let mut raw = Raw::new(server());
        raw.bytes(bytes);
        assert_eq!(raw.out.to_bytes()[..8], *ProtocolHeader::Amqp.bytes());
        let frames = raw.written();
        let [
            (_, Performative::Open(open), _),
            (_, Performative::Close(close), _),
        ] = &frames[..]
        else {
            panic!("{frames:?}");
        };
        assert_eq!(&*open.container_id, "");
        let error = close.error.as_ref().expect("what the scene needs");
        assert_eq!(error.condition.as_str(), "amqp:connection:framing-error");
        let text = format!("Unknown protocol detected: {quoted}");
        assert_eq!(error.description.as_deref(), Some(&*text));
        assert_eq!(
            raw.error.expect("what the scene needs").violation(),
            Some(Violation::UnknownProtocol)
        );
    }
}

#[test]
fn a_mechanism_that_was_not_offered_fails() {
    let mut pair = Pair::new(anonymous(), required(&["PLAIN"]));
    pair.start();
    let error = pair.client.error.expect("an error");
    assert_eq!(error.violation(), Some(Violation::NoMechanism));
    assert_eq!(error.condition.as_str(), "amqp:unauthorized-access");

    let mut pair = Pair::new(anonymous(), server());
    pair.segment = 1000;
    pair.start();
    let mut raw = Raw::new(required(&["PLAIN"]));
    raw.bytes(ProtocolHeader::Sasl.bytes());
    // sasl-init with mechanism ANONYMOUS.
    raw.bytes(b"\0\0\0\x19\x02\x01\0\0\0\x53\x41\xc0\x0c\x01\xa3\x09ANONYMOUS");
    let error = raw.error.as_ref().expect("an error");
    assert_eq!(error.violation(), Some(Violation::AuthenticationFailed));
    assert_eq!(
        error.text.as_str(),
        "Authentication failed [mech=ANONYMOUS]"
    );
    // sasl-outcome with code 1.
    assert!(
        raw.out
            .to_bytes()
            .ends_with(b"\x02\x01\0\0\0\x53\x44\xc0\x03\x01\x50\x01")
    );
}

#[test]
fn amqp_in_the_security_layer_has_nowhere_to_land() {
    let mut raw = Raw::new(required(&["ANONYMOUS"]));
    raw.bytes(ProtocolHeader::Sasl.bytes());
    raw.out.consume(usize::MAX);
    raw.send(0, Performative::Open(Box::new(open())));
    let error = raw.error.as_ref().expect("an error");
    assert_eq!(
        (error.violation(), error.quiet),
        (Some(Violation::SaslSequence), true)
    );
    assert!(raw.out.is_empty() && raw.events.is_empty());
}

#[test]
fn a_sasl_frame_above_512_bytes_is_refused() {
    let mut raw = Raw::new(required(&["ANONYMOUS"]));
    raw.bytes(ProtocolHeader::Sasl.bytes());
    raw.bytes(b"\0\0\x02\x01\x02\x01\0\0");
    assert_eq!(
        raw.error.expect("what the scene needs").violation(),
        Some(Violation::SaslSequence)
    );
}

#[test]
fn the_amqp_header_cannot_be_skipped_after_sasl() {
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Sasl.bytes());
    raw.bytes(b"\0\0\0\x19\x02\x01\0\0\0\x53\x41\xc0\x0c\x01\xa3\x09ANONYMOUS");
    assert!(raw.connection.is_authenticated());
    raw.bytes(ProtocolHeader::Sasl.bytes());
    assert_eq!(
        raw.error.expect("what the scene needs").violation(),
        Some(Violation::HeaderMismatch)
    );
}

#[test]
fn an_initiator_that_wants_sasl_does_not_fall_back() {
    let mut raw = Raw::new(Config {
        initiator: true,
        ..anonymous()
    });
    raw.connection.start(&mut raw.out);
    raw.connection.start(&mut raw.out);
    assert_eq!(raw.out.to_bytes(), ProtocolHeader::Sasl.bytes());
    raw.bytes(ProtocolHeader::Amqp.bytes());
    assert_eq!(
        raw.error.expect("what the scene needs").violation(),
        Some(Violation::HeaderMismatch)
    );
}

#[test]
fn a_refused_initiator_learns_why() {
    let mut raw = Raw::new(Config {
        initiator: true,
        ..anonymous()
    });
    raw.connection.start(&mut raw.out);
    raw.bytes(ProtocolHeader::Sasl.bytes());
    // sasl-mechanisms with ANONYMOUS as a single symbol, then sasl-outcome with code 1.
    raw.bytes(b"\0\0\0\x19\x02\x01\0\0\0\x53\x40\xc0\x0c\x01\xa3\x09ANONYMOUS");
    raw.bytes(b"\0\0\0\x10\x02\x01\0\0\0\x53\x44\xc0\x03\x01\x50\x01");
    let error = raw.error.expect("what the scene needs");
    assert_eq!(
        error.to_string(),
        "amqp:unauthorized-access Authentication failed [mech=ANONYMOUS]"
    );
    assert_eq!(error.violation(), None);
}

#[test]
fn policy_may_narrow_the_open_once_the_peer_is_known() {
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.send(0, Performative::Open(Box::new(open())));
    let narrow = Config {
        channel_max: 1,
        session_window: 9,
        ..server()
    };
    raw.connection.set_config(std::sync::Arc::new(narrow));
    raw.connection.open(None, &mut raw.out);
    assert!(
        matches!(&raw.written()[..], [(_, Performative::Open(open), _)] if open.channel_max == 1)
    );
    raw.send(0, Performative::Begin(Box::new(crate::raw::begin(None))));
    let Some(&Event::Begun { session, .. }) = raw.events.last() else {
        panic!()
    };
    raw.connection.answer_begin(session, &mut raw.out);
    assert!(matches!(
        &raw.written()[..],
        [(_, Performative::Begin(begin), _)] if begin.incoming_window == 9
    ));
}
