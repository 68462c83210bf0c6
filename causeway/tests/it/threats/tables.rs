//! Sessions, links and windows beyond what was agreed: each ends what it is a misdeed of.

use amqp_codec::{Performative, Role, Source, Target, Transfer};

use super::peer::{Peer, Told, attach, begin, frame, message, told, transfer};
use super::pump::Pump;
use super::scene::Scene;
use crate::harness::listening_with;

/// Sessions and links that a connection may have (`router_core::limits`).
const SESSIONS: u16 = 1024;
const LINKS: u32 = 16_384;

/// Frames that begin one thing after another, as one piece of bytes.
fn storm(count: u32, performative: impl Fn(u32) -> (u16, Performative)) -> Vec<u8> {
    let frames = (0..count).map(|number| {
        let (channel, performative) = performative(number);
        frame(channel, &performative, b"")
    });
    frames.flatten().collect()
}

fn begins(count: u16) -> Vec<u8> {
    storm(count.into(), |number| {
        let channel = u16::try_from(number).unwrap();
        (channel, Performative::Begin(Box::new(begin())))
    })
}

fn attaches(channel: u16, first: u32, count: u32, role: Role) -> Vec<u8> {
    storm(count, |number| {
        let handle = first + number;
        let address = Some(format!("storm/{handle}").into());
        let (mut source, mut target) = (Source::default(), Target::default());
        match role {
            Role::Sender => target.address = address,
            Role::Receiver => source.address = address,
        }
        let attach = attach(handle, role, source, target);
        (channel, Performative::Attach(Box::new(attach)))
    })
}

/// The router ends what a peer has misused, and nothing around it.
fn ends_alone(mut scene: Scene, [mut peer, other]: [Peer; 2], expected: &Told) {
    assert_eq!(peer.told(), *expected);
    peer.is_alive();
    scene.stays_small();
    peer.vanish();
    other.vanish();
    scene.ends_well();
}

#[test]
fn class_6_thousands_of_sessions_are_ended_beyond_the_limit() {
    let mut scene = Scene::new();
    let mut peer = Peer::opened(&scene.router);
    peer.write(&begins(SESSIONS + 1000));
    for _ in 0..1000 {
        assert_eq!(peer.told(), told("end", "amqp:resource-limit-exceeded"));
    }
    scene.stays_small();
    // What was within the limit is as good as ever.
    peer.write(&attaches(1, 0, 1, Role::Sender));
    peer.until(|performative| matches!(performative, Performative::Attach(_)));
    peer.vanish();
    scene.ends_well();
}

#[test]
fn class_6_a_channel_beyond_the_agreed_closes_the_connection() {
    let mut scene = Scene::with(&listening_with("maxSessions: 10"));
    for channel in [10, 11, 1000, u16::MAX] {
        let mut peer = Peer::opened(&scene.router);
        peer.begin(9);
        peer.send(channel, &Performative::Begin(Box::new(begin())));
        assert_eq!(
            peer.told(),
            told("close", "amqp:connection:framing-error"),
            "{channel}"
        );
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_6_thousands_of_links_are_refused_beyond_the_limit() {
    let mut scene = Scene::new();
    let mut peer = Peer::opened(&scene.router);
    for (channel, role) in (0..).zip([Role::Sender, Role::Receiver, Role::Sender, Role::Sender]) {
        peer.begin(channel);
        // Answers are read in between: nobody floods here.
        for first in (0..LINKS / 4).step_by(512) {
            peer.write(&attaches(channel, first, 512, role));
            peer.is_alive();
        }
        scene.goes_on();
    }
    peer.begin(4);
    peer.write(&attaches(4, 0, 100, Role::Receiver));
    for _ in 0..100 {
        assert_eq!(peer.told(), told("detach", "amqp:resource-limit-exceeded"));
    }
    peer.is_alive();
    scene.goes_on();
    peer.vanish();
    scene.ends_well();
}

#[test]
fn class_6_handles_beyond_the_agreed_close_the_connection() {
    let mut scene = Scene::new();
    for handle in [65_536, 1 << 20, u32::MAX] {
        let mut peer = Peer::begun(&scene.router);
        let attach = attach(handle, Role::Sender, Source::default(), Target::default());
        peer.send(0, &Performative::Attach(Box::new(attach)));
        assert_eq!(
            peer.told(),
            told("close", "amqp:connection:framing-error"),
            "{handle}"
        );
    }
    scene.stays_small();
    scene.ends_well();
}

#[test]
fn class_6_more_deliveries_than_credit_detach_the_link() {
    let scene = Scene::new();
    let consumer = Peer::consuming(&scene.router, "stuck", 0);
    let mut peer = Peer::producing(&scene.router, "stuck");
    peer.produce(1, "stuck");
    let mut pump = Pump::new(peer, 0);
    pump.send(&message(10), false, 250);
    for id in 250..300 {
        pump.peer.deliver(0, id, &message(10));
    }
    // Session and connection go on, and so does the other link.
    let told = told("detach", "amqp:link:transfer-limit-exceeded");
    ends_alone(scene, [pump.peer, consumer], &told);
}

#[test]
fn class_6_more_frames_than_the_window_end_the_session() {
    let scene = Scene::with(&listening_with("maxSessionFrames: 20"));
    let consumer = Peer::consuming(&scene.router, "stuck", 0);
    let mut pump = Pump::producing(&scene.router, "stuck").within(20);
    // As much as the windows let, which nobody opens any more; then more of it.
    let part = message(15_000);
    let open_end = Transfer {
        more: true,
        ..transfer(0, 0)
    };
    let endless = std::iter::repeat_n(&part[..], 10_000);
    assert!(!pump.parts(&open_end, endless, true));
    for _ in 0..100 {
        pump.peer.transfer(open_end.clone(), &part);
    }
    let told = told("end", "amqp:session:window-violation");
    ends_alone(scene, [pump.peer, consumer], &told);
}

#[test]
fn class_6_a_crowd_of_connections_leaves_nothing_behind() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        let crowd: Vec<_> = (0..300)
            .map(|number| {
                let mut peer = Peer::begun(&scene.router);
                peer.write(&attaches(0, 0, 5, Role::Sender));
                peer.consume(100, &format!("crowd/{number}"), 10);
                peer
            })
            .collect();
        scene.goes_on();
        // Half of them say good-bye, half just go.
        for (number, mut peer) in crowd.into_iter().enumerate() {
            if number % 2 == 0 {
                peer.send(0, &Performative::Close(amqp_codec::Close { error: None }));
                peer.is_dropped();
            } else {
                peer.vanish();
            }
        }
    }
    scene.ends_well();
}

#[test]
fn class_1_frame_sizes_of_peers_are_kept_to_and_never_trusted() {
    let mut scene = Scene::new();
    for max_frame_size in [0, 1, 511, 512, 65_536, 1 << 30, u32::MAX] {
        let open = amqp_codec::Open {
            max_frame_size,
            ..super::peer::open()
        };
        let mut peer = Peer::begun_as(&scene.router, open);
        peer.consume(0, "sizes", 10);
        peer.produce(1, "sizes");
        let mut pump = Pump::new(peer, 1);
        // As one that is streamed, and in frames of a byte each.
        let large = message(300_000);
        pump.parts(&transfer(1, 0), large.chunks(16_000), false);
        let mut peer = pump.peer;
        let mut received = Vec::new();
        while received.len() < large.len() {
            let (_, _, payload) =
                peer.until(|performative| matches!(performative, Performative::Transfer(_)));
            // What is not told in an Open is 64 KiB at most.
            assert!(payload.len() < 65_536.min(max_frame_size.max(512) as usize));
            received.extend_from_slice(&payload);
        }
        assert!(received == large);
        peer.accept(0);
        peer.until(|performative| matches!(performative, Performative::Disposition(_)));
        let mut crumbs = Pump::producing(&scene.router, "sizes");
        let small = message(100);
        crumbs.parts(&transfer(0, 0), small.chunks(1), false);
        let (_, received) = peer.message();
        assert_eq!(received, small);
        crumbs.peer.vanish();
        peer.vanish();
        scene.stays_small();
    }
    scene.ends_well();
}
