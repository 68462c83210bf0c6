//! Silence: heartbeats, and peers that are lost.

//! Timers: idle time-outs in both directions, the handshake and the close deadline.

use std::time::Duration;

use amqp_codec::{Performative, ProtocolHeader, Role};
use amqp_proto::{Config, Time, Violation};

use crate::pair::Pair;
use crate::raw::{Raw, open, server};

fn pair(client_idle: Option<Duration>, server_idle: Option<Duration>) -> Pair {
    let client = Config {
        idle_time_out: client_idle,
        ..Config::default()
    };
    let mut pair = Pair::new(
        client,
        Config {
            idle_time_out: server_idle,
            ..server()
        },
    );
    pair.start();
    pair
}

//= amqp-1.0 §2.4.5
#[test]
fn silent_peers_keep_each_other_alive() {
    let short = Some(Duration::from_millis(600));
    let mut pair = pair(short, Some(Duration::from_secs(2)));
    pair.sleep(Duration::from_secs(30));
    assert!(pair.client.connection.is_open() && pair.server.connection.is_open());
    assert_eq!((pair.client.error, pair.server.error), (None, None));
}

#[test]
fn a_lost_peer_is_noticed_after_the_full_time_out_and_told_why() {
    let mut pair = pair(None, Some(Duration::from_secs(2)));
    pair.sleep(Duration::from_millis(500));
    pair.cut = true;
    pair.sleep(Duration::from_millis(1400));
    assert_eq!(pair.server.error, None);
    pair.sleep(Duration::from_millis(1100));
    let error = pair.server.error.expect("an error");
    assert_eq!(error.violation(), Some(Violation::IdleTimeout));
    assert_eq!(
        error.to_string(),
        "amqp:resource-limit-exceeded local-idle-timeout expired"
    );
    assert!(pair.server.connection.is_closed() && !error.quiet);
    assert_eq!(pair.server.connection.poll_timeout(), None);
}

/// The empty frames written for a peer with this time-out, in milliseconds since the Open.
fn heartbeats(peer_time_out: u32, busy_until: u64) -> Vec<u64> {
    let mut raw = Raw::new(server());
    raw.bytes(ProtocolHeader::Amqp.bytes());
    let open = amqp_codec::Open {
        idle_time_out: Some(peer_time_out),
        ..open()
    };
    raw.send(0, Performative::Open(Box::new(open)));
    raw.connection.open(None, &mut raw.out);
    let mut at = Vec::new();
    for milli in 0..2000 {
        raw.now = Time::from_millis(milli);
        raw.out.consume(usize::MAX);
        if milli % 10 == 0 && milli < busy_until {
            raw.connection.begin(&mut raw.out).ok();
            raw.out.consume(usize::MAX);
        }
        if raw
            .connection
            .poll_timeout()
            .is_some_and(|due| due <= raw.now)
        {
            raw.connection
                .handle_timeout(raw.now, &mut raw.out)
                .expect("what the scene needs");
            if !raw.out.is_empty() {
                assert_eq!(raw.out.to_bytes(), b"\0\0\0\x08\x02\0\0\0");
                at.push(milli);
            }
        }
    }
    at
}

#[test]
fn empty_frames_come_at_half_the_peers_time_out() {
    assert_eq!(heartbeats(800, 0), [600, 1000, 1400, 1800]);
    assert_eq!(heartbeats(0, 0), [0; 0]);
}

#[test]
fn a_tiny_time_out_does_not_make_us_chatter() {
    assert!(heartbeats(1, 0).len() <= 40);
}

#[test]
fn signs_of_life_may_be_shown_more_often_than_was_asked_for() {
    let mut raw = Raw::opened(server());
    for millis in [200, 1000] {
        raw.connection.beat(Duration::from_millis(millis));
    }
    let mut shown = 0;
    raw.out.consume(usize::MAX);
    for milli in 0..2100 {
        raw.now = Time::from_millis(milli);
        let due = raw.connection.poll_timeout().expect("it has to speak");
        if due <= raw.now {
            let result = raw.connection.handle_timeout(raw.now, &mut raw.out);
            assert_eq!(result, Ok(()));
            shown += usize::from(!raw.out.is_empty());
            raw.out.consume(usize::MAX);
        }
    }
    assert!((9..=10).contains(&shown), "{shown}");
}

#[test]
fn no_open_in_time_ends_the_connection_without_a_word() {
    let config = Config {
        handshake_time_out: Some(Duration::from_secs(1)),
        ..server()
    };
    let mut raw = Raw::new(config);
    raw.bytes(ProtocolHeader::Amqp.bytes());
    raw.out.consume(usize::MAX);
    assert_eq!(raw.connection.poll_timeout(), Some(Time::from_millis(1000)));
    assert_eq!(
        raw.connection
            .handle_timeout(Time::from_millis(999), &mut raw.out),
        Ok(())
    );
    let error = raw
        .connection
        .handle_timeout(Time::from_millis(1000), &mut raw.out)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "amqp:not-allowed Timeout waiting for initial handshake"
    );
    assert!(error.quiet && raw.out.is_empty());
}

#[test]
fn the_handshake_deadline_ends_with_the_open() {
    let config = Config {
        handshake_time_out: Some(Duration::from_secs(1)),
        ..server()
    };
    let raw = Raw::opened(config);
    assert_eq!(raw.connection.poll_timeout(), None);
}

#[test]
fn a_close_without_answer_ends_after_a_while() {
    let (mut pair, _, _) = Pair::attached(Role::Sender);
    pair.sleep(Duration::from_secs(100));
    pair.cut = true;
    pair.client.connection.close(None, &mut pair.client.out);
    pair.sleep(Duration::from_secs(4));
    assert_eq!(pair.client.error, None);
    pair.sleep(Duration::from_secs(2));
    let error = pair.client.error.expect("an error");
    assert_eq!(
        (error.violation(), error.quiet),
        (Some(Violation::CloseTimeout), true)
    );
}
