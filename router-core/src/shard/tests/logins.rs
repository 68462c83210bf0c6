//! Authentication that somebody else decides: what a shard asks, and what it does meanwhile.

use std::sync::Arc;

use amqp_codec::{FrameType, ProtocolHeader, SaslCode, SaslFrame, Symbol, begin_frame, end_frame};
use amqp_proto::{Clear, SaslReply, SaslStep};
use bytes::{Bytes, BytesMut};

use super::world::World;
use crate::ids::{ConnKey, ConnectionId};
use crate::mail::{Batch, Command, Mail};
use crate::notice::Notice;
use crate::settings::{ConnectionSettings, NewConnection, SaslSettings};
use crate::shard::SaslQuestion;

/// A world with a connection that has said this much.
fn connected(mechanisms: &[&str], said: &[Vec<u8>]) -> (World, ConnKey) {
    let mut world = World::new(1);
    let settings = ConnectionSettings {
        sasl_mechanisms: mechanisms.iter().map(|&name| name.to_owned()).collect(),
        authenticate_peer: true,
        sasl: SaslSettings {
            plain_in_clear: true,
            ..SaslSettings::default()
        },
        ..world.listener.clone()
    };
    let peer = "10.0.0.1:5".to_owned();
    let new = NewConnection::accepted(ConnectionId(7), Arc::new(settings), peer);
    let key = world.shards[0].accept(new, Box::new(Clear), world.now);
    world.wires.insert((0, key), Vec::new());
    say(&mut world, key, ProtocolHeader::Sasl.bytes());
    for bytes in said {
        say(&mut world, key, bytes);
    }
    (world, key)
}

fn say(world: &mut World, key: ConnKey, bytes: &[u8]) {
    let shard = &mut world.shards[0];
    shard.window()[..bytes.len()].copy_from_slice(bytes);
    shard.received(key, bytes.len(), world.now);
    world.run();
}

fn frame(frame: &SaslFrame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    let mark = begin_frame(&mut bytes, FrameType::Sasl, 0);
    frame.encode(&mut bytes);
    end_frame(&mut bytes, mark, 0);
    bytes.to_vec()
}

fn init(mechanism: &'static str) -> Vec<u8> {
    frame(&SaslFrame::Init {
        mechanism: Symbol::from(mechanism),
        initial_response: Some(Bytes::from_static(b"\0me\0secret")),
        hostname: None,
    })
}

fn question(world: &mut World) -> Option<SaslQuestion> {
    world.shards[0].poll_question()
}

fn answer(world: &mut World, reply: SaslReply) {
    let command = Command::Sasl(ConnectionId(7), reply);
    let mail = vec![Mail::Command(Box::new(command))];
    world.shards[0].take_mail(Batch { mail }, world.now);
    world.run();
}

fn success() -> SaslReply {
    SaslReply::Success {
        user: "me".into(),
        data: None,
    }
}

fn failures(world: &World) -> Vec<&str> {
    let failed = world.notices.iter().filter_map(|notice| match notice {
        Notice::ConnectionFailed { description, .. } => Some(&**description),
        _ => None,
    });
    failed.collect()
}

#[test]
fn a_step_is_asked_once_and_the_answer_lets_in() {
    let (mut world, key) = connected(&["PLAIN"], &[init("PLAIN")]);
    let asked = question(&mut world).expect("a question");
    assert_eq!(asked.connection, ConnectionId(7));
    assert_eq!(asked.peer, "10.0.0.1:5");
    assert!(matches!(asked.step, Some(SaslStep::Init { .. })));
    assert!(question(&mut world).is_none());
    assert!(world.shards[0].is_behind(key), "nothing is read meanwhile");
    answer(&mut world, success());
    assert!(!world.shards[0].is_behind(key));
    say(&mut world, key, ProtocolHeader::Amqp.bytes());
    let amqp = ProtocolHeader::Amqp.bytes();
    assert!(world.wires[&(0, key)].ends_with(amqp), "AMQP goes on");
    assert!(failures(&world).is_empty());
}

#[test]
fn a_refusal_ends_the_connection_and_names_the_user_to_the_log() {
    let (mut world, key) = connected(&["PLAIN"], &[init("PLAIN")]);
    question(&mut world).expect("a question");
    let refusal = SaslReply::Failure {
        code: SaslCode::Auth,
        user: Some("me".into()),
    };
    answer(&mut world, refusal);
    assert_eq!(
        failures(&world),
        ["Failed to authenticate client [mech=PLAIN] [user=me]"]
    );
    assert_eq!(world.closed, [(0, key)]);
    assert!(!format!("{:?}", world.notices).contains("secret"));
}

#[test]
fn who_leaves_before_the_answer_is_forgotten_by_whoever_decides() {
    let (mut world, key) = connected(&["PLAIN"], &[init("PLAIN")]);
    question(&mut world).expect("a question");
    let now = world.now;
    world.shards[0].end_of_input(key, None, now);
    world.run();
    let gone = question(&mut world).expect("the end of the question");
    assert!(gone.step.is_none() && gone.connection == ConnectionId(7));
    answer(&mut world, success());
    assert!(
        world.wires[&(0, key)].len() < 100,
        "nobody is let in any more"
    );
}

#[test]
fn who_was_let_in_is_not_asked_about_again() {
    let (mut world, key) = connected(&["PLAIN"], &[init("PLAIN")]);
    question(&mut world).expect("a question");
    answer(&mut world, success());
    // Somebody who answers twice, and once more after all is over.
    answer(&mut world, success());
    let now = world.now;
    world.shards[0].end_of_input(key, None, now);
    world.run();
    assert!(question(&mut world).is_none());
}

/// The incumbent ends as a process for this.
#[test]
fn class_10_a_response_before_the_init_asks_nobody() {
    let response = frame(&SaslFrame::Response(Bytes::from_static(b"\0me\0secret")));
    let (mut world, key) = connected(&["PLAIN", "SCRAM-SHA-256"], &[response]);
    assert!(question(&mut world).is_none());
    assert_eq!(world.closed, [(0, key)]);
}

#[test]
fn class_11_a_mechanism_that_was_not_offered_asks_nobody() {
    for mechanism in ["EXTERNAL", "ANONYMOUS", "SCRAM-SHA-1", "X"] {
        let (mut world, key) = connected(&["PLAIN", "EXTERNAL"], &[init(mechanism)]);
        assert!(question(&mut world).is_none(), "{mechanism}");
        assert_eq!(world.closed, [(0, key)], "{mechanism}");
    }
}

#[test]
fn a_connector_with_a_user_asks_what_to_say() {
    let mut world = World::new(1);
    let settings = ConnectionSettings {
        connector: Some("connector/there:1".into()),
        sasl_mechanisms: vec!["SCRAM-SHA-256".to_owned()],
        ..world.listener.clone()
    };
    let new = NewConnection {
        hostname: Some("there".to_owned()),
        ..NewConnection::accepted(ConnectionId(7), Arc::new(settings), "there:1".to_owned())
    };
    let key = world.shards[0].accept(new, Box::new(Clear), world.now);
    world.wires.insert((0, key), Vec::new());
    world.run();
    let offer = frame(&SaslFrame::Mechanisms(vec![Symbol::from("SCRAM-SHA-256")]));
    let said = [&ProtocolHeader::Sasl.bytes()[..], &offer].concat();
    say(&mut world, key, &said);
    let asked = question(&mut world).expect("a question");
    assert!(matches!(asked.step, Some(SaslStep::Offered(names)) if names.len() == 1));
    answer(&mut world, SaslReply::Abort("no password".into()));
    assert_eq!(failures(&world), ["no password"]);
}
